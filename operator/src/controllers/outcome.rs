//! How a reconcile ends: it awaits a change, is requeued after a while, or fails.

use std::time::Duration;

use kube::runtime::controller::Action;

use super::apply::ApplyError;
use crate::build::config::UnusableSpec;
use crate::build::owner::NotStored;
use crate::runtime::status_writer::StatusError;
use crate::runtime::writes::WriteError;

/// How a reconcile that went well ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing to do until something changes.
    AwaitChange,
    /// Something is awaited that no watch announces.
    Requeue(Duration),
}

impl Next {
    /// The sooner of two.
    #[must_use]
    pub fn sooner(self, other: Self) -> Self {
        match (self, other) {
            (Self::Requeue(a), Self::Requeue(b)) => Self::Requeue(a.min(b)),
            (Self::Requeue(a), Self::AwaitChange) | (Self::AwaitChange, Self::Requeue(a)) => Self::Requeue(a),
            (Self::AwaitChange, Self::AwaitChange) => Self::AwaitChange,
        }
    }
}

impl From<Next> for Action {
    fn from(next: Next) -> Self {
        match next {
            Next::AwaitChange => Self::await_change(),
            Next::Requeue(after) => Self::requeue(after),
        }
    }
}

/// Why a reconcile failed.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
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

impl ReconcileError {
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
