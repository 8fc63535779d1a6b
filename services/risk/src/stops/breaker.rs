//! The drawdown breaker: once fired it stays until a person names it.

use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use tradewind_core::account::Account;
use tradewind_core::time::Nanos;

use super::ids::Ids;

/// A breaker that has fired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Latched {
    /// Id that an acknowledgement must name: `drawdown-` and twelve hex digits, never used twice.
    pub id: String,
    /// What fired it, with the figures.
    pub reason: String,
    /// Event time at which it fired.
    pub fired_at: Nanos,
}

/// Watches the fall from the high-water mark (RK-83, RK-87): latched, and monotone until reset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrawdownBreaker {
    latched: Option<Latched>,
    fired: u32,
}

impl DrawdownBreaker {
    /// The latched breaker, if it has fired.
    #[must_use]
    pub const fn latched(&self) -> Option<&Latched> {
        self.latched.as_ref()
    }

    /// Looks at the account after a mark; true when the breaker fires now. Recovery does not clear it, and while
    /// it is latched it does not fire again.
    pub fn observe(&mut self, account: &Account, limits: &Limits, at: Nanos, ids: &Ids) -> bool {
        if self.latched.is_some() || !limits.drawdown_exceeded(account) {
            return false;
        }
        self.fired = self.fired.saturating_add(1);
        let reason = format!(
            "equity {} is {} bps from its high of {}, allowed is -{} bps",
            account.equity(),
            account.drawdown_bps(),
            account.high_water(),
            limits.max_drawdown_bps
        );
        let id = ids.id("drawdown", &[self.fired.to_string(), at.0.to_string(), reason.clone()]);
        self.latched = Some(Latched { id, reason, fired_at: at });
        true
    }

    /// Clears the breaker when `id` names it, and measures drawdown from the present equity on: otherwise it
    /// would fire again at once and nobody could trade out of a loss. Any other id changes nothing.
    pub fn acknowledge(&mut self, id: &str, account: &mut Account) -> bool {
        if self.latched.as_ref().is_none_or(|latched| latched.id != id) {
            return false;
        }
        self.latched = None;
        account.rebase_high_water();
        true
    }
}
