//! What a reconcile may use.

use k8s_openapi::jiff::Timestamp;

use crate::build::settings::Settings;
use crate::runtime::authority::CurrentAuthority;
use crate::runtime::brake::Brake;
use crate::runtime::caches::Caches;
use crate::runtime::halts::Halts;
use crate::runtime::metrics::Metrics;
use crate::runtime::polls::Polls;
use crate::runtime::status_writer::StatusWriter;
use crate::runtime::writes::Writes;

/// Everything that a reconcile may use.
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
    pub authority: CurrentAuthority,
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
