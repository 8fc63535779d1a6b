//! What a pass may use, and how a pass may end.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::runtime::controller::Action;

use super::apply::ApplyError;
use crate::build::config::UnusableSpec;
use crate::build::owner::NotStored;
use crate::build::settings::Settings;
use crate::runtime::authority::Authority;
use crate::runtime::brake::Brake;
use crate::runtime::caches::Caches;
use crate::runtime::halts::Halts;
use crate::runtime::metrics::Metrics;
use crate::runtime::polls::Polls;
use crate::runtime::status_writer::{StatusError, StatusWriter};
use crate::runtime::writes::{WriteError, Writes};

/// Everything that a pass may use.
#[derive(Debug)]
pub struct Context {
    /// Reads.
    pub caches: Caches,
    /// Writes of children.
    pub writes: Writes,
    /// Writes of status, with their events.
    pub status: StatusWriter,
    /// What running processes say.
    pub polls: Polls,
    /// Direct calls that stop an account.
    pub halts: Halts,
    /// Rejected pods.
    pub brake: Brake,
    /// Certificates.
    pub authority: Arc<Authority>,
    /// What children inherit.
    pub settings: Settings,
    /// Counters.
    pub metrics: Metrics,
    /// The wall clock, injected.
    pub clock: fn() -> Timestamp,
}

impl Context {
    /// Now, in whole seconds: status never carries more.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let now = (self.clock)();
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }
}

/// How a pass that went well ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing to do until something changes.
    Done,
    /// Something is awaited that no watch announces.
    LookAgain(Duration),
}

impl Next {
    /// The sooner of two.
    #[must_use]
    pub fn sooner(self, other: Self) -> Self {
        match (self, other) {
            (Self::LookAgain(a), Self::LookAgain(b)) => Self::LookAgain(a.min(b)),
            (Self::LookAgain(a), Self::Done) | (Self::Done, Self::LookAgain(a)) => Self::LookAgain(a),
            (Self::Done, Self::Done) => Self::Done,
        }
    }
}

impl From<Next> for Action {
    fn from(next: Next) -> Self {
        match next {
            Next::Done => Self::await_change(),
            Next::LookAgain(after) => Self::requeue(after),
        }
    }
}

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The object lacks what the API server fills in.
    #[error(transparent)]
    NotStored(#[from] NotStored),
    /// A read that caches cannot answer failed.
    #[error("{what} could not be read: {source}")]
    Read {
        /// What was read.
        what: &'static str,
        /// Reason.
        source: Box<kube::Error>,
    },
    /// Children.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// A write outside of the children.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Status or events.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// A spec that passed validation and gives no configuration.
    #[error(transparent)]
    Unusable(#[from] UnusableSpec),
    /// A status is not JSON.
    #[error("status: {0}")]
    Encode(#[from] serde_json::Error),
}

impl PassError {
    /// Static category for metrics.
    #[must_use]
    pub fn category(&self) -> &'static str {
        match self {
            Self::NotStored(_) => "not_stored",
            Self::Read { .. } => "read",
            Self::Apply(_) => "apply",
            Self::Write(_) => "write",
            Self::Status(_) => "status",
            Self::Unusable(_) => "unusable",
            Self::Encode(_) => "encode",
        }
    }
}
