//! What stops an account and what lets it trade again: halts, breaker, loss of the session, approvals of looser limits.
//!
//! [`Stops`] is a value folded from the journal: no clock, no I/O. Whatever stops latches (ruling 17). A halt or a breaker
//! is lifted by the acknowledgement of its id alone, the loss of a session also by the next session; a restart, a profile
//! applied again or a price that comes back lift nothing.

pub mod approval;
pub mod breaker;
pub mod daily_loss;
pub mod halt;
pub mod ids;
pub mod soak;

use crate::limits::{Limits, TradingState};
use tradewind_core::account::Account;
use tradewind_core::time::Nanos;
use tradewind_crds::RiskProfileSpec;
use tradewind_crds::risk_profile::{HaltMode, Limits as Written};

use approval::{Adoption, Pending};
use breaker::{DrawdownBreaker, Latched};
use daily_loss::{DailyLoss, Hit, SessionKey};
use halt::{Halt, HaltAsk, HaltRecord, Halts, Moment};
use ids::Ids;

/// What of the profile in force decides on halts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Profile {
    generation: i64,
    mode: HaltMode,
    gone: bool,
}

/// Everything that stops one account.
///
/// `opened`, `halted`, `adopt`, `profile_gone`, `begin_session`, `pass_open_market` and `watch_losses` fold: call them only
/// while a record is applied, with what the record holds, so that a replay is the same value. The others ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stops {
    ids: Ids,
    profile: Option<Profile>,
    halts: Halts,
    breaker: DrawdownBreaker,
    daily_loss: DailyLoss,
    adoption: Adoption,
}

impl Stops {
    /// The journal begins: `journal` tells it from every other journal of the account.
    pub fn opened(&mut self, account: &str, journal: &str) {
        self.ids = Ids::new(account, journal);
    }

    /// A halt was journaled.
    pub fn halted(&mut self, record: &HaltRecord) {
        self.halts.apply(record);
    }

    /// A valid profile was journaled: acknowledgements, then limits. Event time is `at`. Call [`Stops::watch_losses`] after
    /// it, so that a tighter limit acts at once.
    pub fn adopt(&mut self, generation: i64, spec: &RiskProfileSpec, account: &mut Account, at: Nanos) {
        self.profile = Some(Profile { generation, mode: spec.halt_mode, gone: false });
        self.halts.acknowledge(spec.halt, &spec.acknowledge_halt);
        self.breaker.acknowledge(&spec.acknowledge_breaker, account);
        self.adoption.adopt(spec, &self.ids, at);
    }

    /// The profile was deleted.
    pub fn profile_gone(&mut self) {
        if let Some(profile) = &mut self.profile {
            profile.gone = true;
        }
        self.halts.profile_gone();
        self.adoption.withdraw();
    }

    /// A session of the account's calendar begins; true when it is a later one than the present. Then the caller rolls the
    /// account. Only who follows the account's own instruments and their calendar may call it (see [`SessionKey`]).
    pub fn begin_session(&mut self, key: SessionKey) -> bool {
        self.daily_loss.begin_session(key)
    }

    /// Open market has passed, nanoseconds: the time between two marks of the account's own instruments, or two ticks of
    /// the injected clock, within open sessions. True when looser limits came into force.
    pub fn pass_open_market(&mut self, nanos: i64) -> bool {
        self.adoption.pass_open_market(nanos)
    }

    /// Compares the account with the limits on losses; call it after every mark and every profile, but not while fills are
    /// booked whose mark has not come yet.
    pub fn watch_losses(&mut self, account: &Account, at: Nanos) {
        let Some(in_force) = self.adoption.in_force() else { return };
        self.breaker.observe(account, &in_force.limits, at, &self.ids);
        self.daily_loss.observe(account, &in_force.limits);
    }

    /// What has to be journaled, and then given to [`Stops::halted`], for a request to halt; `None` when it says nothing
    /// new. `position` is the number of records in the journal, `at` the caller's clock.
    #[must_use]
    pub fn halt_record(&self, ask: &HaltAsk, position: u64, at: Nanos) -> Option<HaltRecord> {
        let known = self.profile.filter(|profile| !profile.gone);
        let generation = known.map_or(0, |profile| profile.generation);
        let mode = self.profile.map_or(HaltMode::ReduceOnly, |profile| profile.mode);
        self.halts.record(ask, &Moment { ids: &self.ids, position, generation, mode, at })
    }

    /// The halt in force.
    #[must_use]
    pub const fn halt(&self) -> Option<&Halt> {
        self.halts.latched()
    }

    /// The breaker that has fired.
    #[must_use]
    pub const fn breaker(&self) -> Option<&Latched> {
        self.breaker.latched()
    }

    /// The loss of this session, once it went beyond its limit.
    #[must_use]
    pub const fn daily_loss(&self) -> Option<&Hit> {
        self.daily_loss.hit()
    }

    /// Limits in force, as the check reads them; `None` before the first profile.
    #[must_use]
    pub fn limits(&self) -> Option<&Limits> {
        self.adoption.in_force().map(|in_force| &in_force.limits)
    }

    /// Limits in force, as they are written in a profile.
    #[must_use]
    pub fn written(&self) -> Option<&Written> {
        self.adoption.in_force().map(|in_force| &in_force.written)
    }

    /// Looser limits that wait for an approval or a soak.
    #[must_use]
    pub const fn pending(&self) -> Option<&Pending> {
        self.adoption.pending()
    }

    /// What people, or the lack of a profile, forbid; not what losses forbid.
    #[must_use]
    pub fn restriction(&self) -> Option<(TradingState, &str)> {
        let Some(profile) = self.profile else {
            return Some((TradingState::Halted, "no valid RiskProfile has been seen yet"));
        };
        let gone = profile.gone.then_some((TradingState::ReduceOnly, "the RiskProfile was deleted"));
        self.halts.latched().map(Halt::restriction).or(gone)
    }

    /// Which orders are allowed, and why not all.
    #[must_use]
    pub fn trading(&self) -> (TradingState, String) {
        if let Some((state, reason)) = self.restriction() {
            return (state, reason.to_owned());
        }
        if let Some(latched) = self.breaker.latched() {
            let reason =
                format!("breaker {} has fired: {}; acknowledge it in spec.acknowledgeBreaker", latched.id, latched.reason);
            return (TradingState::ReduceOnly, reason);
        }
        match self.daily_loss.hit() {
            Some(hit) => (TradingState::ReduceOnly, hit.reason.clone()),
            None => (TradingState::Normal, String::new()),
        }
    }
}
