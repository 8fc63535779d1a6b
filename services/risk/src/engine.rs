//! The engine: questions in messages, answers from memory, changes through the journal.

use crate::limits::{Denial, TradingState};
use tradewind_crds::RiskProfileSpec;
use tradewind_crds::validation::{self, validate_risk_profile};
use tradewind_journal::Log;
use tradewind_wire::convert::money_to_wire;
use tradewind_wire::v1;

use crate::error::RiskError;
use crate::messages;
use crate::record::{CheckRecord, Record};
use crate::state::State;
use crate::stops::halt::HaltAsk;
use tradewind_core::time::Nanos;

/// The risk engine of one account. One caller at a time: checks and their reservations are atomic (RK-107).
pub struct Engine {
    log: Box<dyn Log<Record>>,
    state: State,
    invalid_profile: String,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("account", &self.state.account_name)
            .field("sequence", &self.state.sequence)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Replays a journal, or begins an empty one. Limits, halt and a latched breaker are in force at once, before
    /// any profile is read.
    ///
    /// # Errors
    /// [`RiskError::Journal`] when it cannot be read, [`RiskError::Account`] when it is another account's.
    pub fn open(account: &str, log: Box<dyn Log<Record>>) -> Result<Self, RiskError> {
        Self::open_as(account, "", log)
    }

    /// As [`Engine::open`]; an empty journal is begun under the name `journal`, which makes the ids of its halts and
    /// breakers differ from those of every other journal of the account. A journal that has begun keeps its name.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_as(account: &str, journal: &str, log: Box<dyn Log<Record>>) -> Result<Self, RiskError> {
        let mut engine = Self::reopen(log)?;
        if engine.log.is_empty() {
            engine.commit(Record::Opened { account: account.to_owned(), journal: journal.to_owned() })?;
        }
        if engine.state.account_name != account {
            return Err(RiskError::Account { found: engine.state.account_name, wanted: account.to_owned() });
        }
        Ok(engine)
    }

    /// Replays a journal that knows its account; a restart needs nothing else.
    ///
    /// # Errors
    /// [`RiskError::Journal`] when it cannot be read.
    pub fn reopen(mut log: Box<dyn Log<Record>>) -> Result<Self, RiskError> {
        let mut state = State::default();
        for record in log.replay()? {
            state.apply(&record)?;
        }
        Ok(Self { log, state, invalid_profile: String::new() })
    }

    /// Takes a profile: tighter limits, halt and acknowledgement act at once, looser limits wait for their digest.
    /// A generation that is in force already changes nothing.
    ///
    /// An invalid profile leaves the limits before it in force, and [`Engine::status`] says why. Its halt acts all
    /// the same, before anything else is looked at: stopping needs no valid limits. A process that has a clock asks for
    /// the halt with [`Engine::see_halt`] first; here the time of a halt is that of the newest mark.
    ///
    /// # Errors
    /// [`RiskError::Journal`].
    pub fn apply_profile(&mut self, generation: i64, spec: &RiskProfileSpec) -> Result<(), RiskError> {
        if spec.halt {
            self.see_halt(&HaltAsk::Spec { generation, mode: spec.halt_mode }, self.state.event_time)?;
        }
        let known = self.state.profile.as_ref();
        if known.is_some_and(|known| known.generation == generation && known.spec == *spec && !known.gone) {
            self.invalid_profile.clear();
            return Ok(());
        }
        let mut violations = validate_risk_profile(spec);
        let guarded = &self.state.account_name;
        if spec.account != *guarded {
            violations.push(validation::Violation::new("spec.account", &spec.account, guarded, "it cannot be changed"));
        }
        if let Some(known) = known.filter(|known| known.spec.starting_equity != spec.starting_equity) {
            let allowed = known.spec.starting_equity.to_string();
            violations.push(validation::Violation::new(
                "spec.startingEquity",
                spec.starting_equity,
                allowed,
                "it cannot be changed",
            ));
        }
        if !violations.is_empty() {
            self.refuse_profile(generation, &validation::join(&violations));
            return Ok(());
        }
        self.commit(Record::Profile { generation, spec: Box::new(spec.clone()) })?;
        self.invalid_profile.clear();
        Ok(())
    }

    /// Halts the account when the request says something new: it is journaled with an id first, and stays until a valid
    /// profile names that id in `spec.acknowledgeHalt` beside `spec.halt: false`. `at` is the caller's clock. Returns the id
    /// of the halt in force; empty when there is none, because the request is older than the profile in force.
    ///
    /// # Errors
    /// [`RiskError::Journal`].
    pub fn see_halt(&mut self, ask: &HaltAsk, at: Nanos) -> Result<String, RiskError> {
        if let Some(record) = self.state.stops.halt_record(ask, self.log.len(), at) {
            self.commit(Record::Halted(record))?;
        }
        Ok(self.state.stops.halt().map_or_else(String::new, |halt| halt.id.clone()))
    }

    /// A direct call: of a person, or of the operator that has seen `spec.halt` of a generation.
    ///
    /// # Errors
    /// [`RiskError::OtherAccount`], [`RiskError::Journal`].
    pub fn halt_now(&mut self, request: &v1::HaltNowRequest, at: Nanos) -> Result<v1::HaltNowReply, RiskError> {
        self.guards(&request.account)?;
        let (actor, reason) = (request.actor.clone(), request.reason.clone());
        let ask = match request.generation {
            0 => HaltAsk::Direct { actor, reason },
            generation => HaltAsk::Operator { generation, actor, reason },
        };
        Ok(v1::HaltNowReply { halt_id: self.see_halt(&ask, at)? })
    }

    /// Notes that a generation cannot be used; the limits before it stay in force.
    pub fn refuse_profile(&mut self, generation: i64, reason: &str) {
        self.invalid_profile = format!("generation {generation} is not in force: {reason}");
    }

    /// The profile was deleted: only orders that reduce positions until it is back.
    ///
    /// # Errors
    /// [`RiskError::Journal`].
    pub fn profile_gone(&mut self) -> Result<(), RiskError> {
        match &self.state.profile {
            Some(profile) if !profile.gone => self.commit(Record::ProfileGone),
            _ => Ok(()),
        }
    }

    /// Gives the account to an execution process: a token above every earlier one; from now on older ones are refused.
    ///
    /// # Errors
    /// [`RiskError::OtherAccount`], [`RiskError::Journal`].
    pub fn acquire(&mut self, request: &v1::AcquireRequest) -> Result<v1::AcquireReply, RiskError> {
        self.guards(&request.account)?;
        let token = self.state.token.max(request.last_token) + 1;
        self.commit(Record::Acquired { token, policy: request.policy.clone() })?;
        Ok(v1::AcquireReply { token })
    }

    /// Checks one order and reserves it when it is allowed. The same id gets the same verdict again, with one
    /// exception: an order that opens risk is refused when trading was halted in the meantime, because its sender
    /// asks again only when it has not sent it.
    ///
    /// # Errors
    /// [`RiskError::Journal`]. Unusable messages are answered with a denial, not with an error.
    pub fn check_order(&mut self, order: &v1::OrderProposal) -> Result<v1::OrderVerdict, RiskError> {
        if let Err(RiskError::OtherAccount { seen, guarded }) = self.guards(&order.account) {
            return Ok(self.verdict(&order.order_id, &[Denial::UnknownAccount { seen, allowed: guarded }]));
        }
        if order.fencing_token != self.state.token {
            let (seen, allowed) = (order.fencing_token, self.state.token);
            return Ok(self.verdict(&order.order_id, &[Denial::StaleFencingToken { seen, allowed }]));
        }
        if let Some(known) = self.state.verdict(&order.order_id) {
            let denials = if known.denials.is_empty() && !known.reduce_only { self.permission() } else { known.denials.clone() };
            return Ok(self.verdict(&order.order_id, &denials));
        }
        let proposal = match messages::proposal(order) {
            Ok(proposal) => proposal,
            Err(error) => return Ok(self.verdict(&order.order_id, &[Denial::UnknownInstrument { reason: error.to_string() }])),
        };
        let denials = self.state.check(&proposal);
        self.commit(Record::Checked(CheckRecord {
            order_id: order.order_id.clone(),
            instrument: proposal.instrument,
            lots: proposal.lots,
            reference: proposal.reference,
            reduce_only: proposal.reduce_only,
            event_time: proposal.event_time,
            denials: denials.clone(),
        }))?;
        Ok(self.verdict(&order.order_id, &denials))
    }

    /// Books fills, releases finished orders and values the account. Fills are known by their number and reports by
    /// their sequence, so repeating is free.
    ///
    /// # Errors
    /// [`RiskError::Fenced`] from a process that lost the account, [`RiskError::Gap`] when fills are missing,
    /// [`RiskError::Journal`]; nothing is booked then.
    pub fn report(&mut self, report: &v1::AccountReport) -> Result<v1::RiskState, RiskError> {
        self.guards(&report.account)?;
        if report.fencing_token != self.state.token {
            return Err(RiskError::Fenced { seen: report.fencing_token, allowed: self.state.token });
        }
        if self.state.account.is_none() {
            return Err(RiskError::NoProfile);
        }
        let record = messages::report(report)?;
        let mut booked = self.state.fill_number;
        for fill in record.fills.iter().filter(|fill| fill.number > self.state.fill_number) {
            if fill.number != booked + 1 {
                return Err(RiskError::Gap { booked, seen: fill.number });
            }
            booked = fill.number;
        }
        let known = |order_id: &String| self.state.reservations.iter().any(|(open, _)| open == order_id);
        let is_new = booked > self.state.fill_number || record.sequence > self.state.sequence || record.closed.iter().any(known);
        if is_new {
            self.state.try_report(&record)?;
            self.commit(Record::Reported(record))?;
        }
        Ok(self.state())
    }

    /// The state that heartbeats carry.
    #[must_use]
    pub fn state(&self) -> v1::RiskState {
        let (state, reason) = self.state.trading();
        let account = self.state.account.as_ref();
        let money = |amount| money_to_wire(amount).ok();
        v1::RiskState {
            sequence: self.state.sequence,
            state: state.to_string(),
            reason,
            equity: account.and_then(|account| money(account.equity())),
            session_start_equity: account.and_then(|account| money(account.session_start())),
            daily_pnl_bps: account.map_or(0, |account| account.daily_pnl_bps()),
            drawdown_bps: account.map_or(0, |account| account.drawdown_bps()),
            gross_exposure_bps: account.map_or(0, |account| account.gross_exposure_bps()),
            losing_streak: account.map_or(0, |account| account.losing_streak()),
            fencing_token: self.state.token,
        }
    }

    /// What the operator copies to the status of the RiskProfile.
    #[must_use]
    pub fn status(&self) -> v1::RiskStatus {
        let (state, reason) = self.state.trading();
        let (profile, stops) = (self.state.profile.as_ref(), &self.state.stops);
        let (latched, pending, halt) = (stops.breaker(), stops.pending(), stops.halt());
        let soak = pending.and_then(|pending| pending.soak.as_ref());
        let text = |text: Option<&String>| text.cloned().unwrap_or_default();
        v1::RiskStatus {
            account: self.state.account_name.clone(),
            state: state.to_string(),
            reason,
            observed_generation: profile.map_or(0, |profile| profile.generation),
            effective_limits_json: stops.written().and_then(|written| serde_json::to_string(written).ok()).unwrap_or_default(),
            pending_loosening: text(pending.map(|pending| &pending.digest)),
            breaker_id: text(latched.map(|latched| &latched.id)),
            breaker_reason: text(latched.map(|latched| &latched.reason)),
            last_transition_ns: self.state.last_transition.0,
            denials_total: self.state.denials_total,
            recent_denials: self.state.recent_denials.iter().cloned().collect(),
            invalid_profile: self.invalid_profile.clone(),
            halt_id: text(halt.map(|halt| &halt.id)),
            halt_reason: text(halt.map(|halt| &halt.reason)),
            halt_actor: text(halt.map(|halt| &halt.actor)),
            halted_since_ns: halt.map_or(0, |halt| halt.since.0),
            soak_not_before_ns: soak.map_or(0, |soak| soak.not_before().0),
            soak_open_market_ns: soak.map_or(0, crate::stops::soak::Soak::needed),
        }
    }

    /// Lots held in a symbol, as risk has booked them.
    #[must_use]
    pub fn lots(&self, symbol: &tradewind_core::instrument::Symbol) -> i64 {
        self.state.account.as_ref().map_or(0, |account| account.lots(symbol).0)
    }

    /// Orders that are reserved against the limits.
    #[must_use]
    pub fn open_reservations(&self) -> usize {
        self.state.reservations.len()
    }

    fn guards(&self, account: &str) -> Result<(), RiskError> {
        let guarded = &self.state.account_name;
        if account == guarded {
            Ok(())
        } else {
            Err(RiskError::OtherAccount { seen: account.to_owned(), guarded: guarded.clone() })
        }
    }

    /// Why no new risk may be taken now; empty when it may.
    fn permission(&self) -> Vec<Denial> {
        match self.state.trading() {
            (TradingState::Normal, _) => Vec::new(),
            (_, reason) => {
                vec![Denial::Halted { reason, allowed: "this order was allowed before and has not been sent".to_owned() }]
            }
        }
    }

    fn verdict(&self, order_id: &str, denials: &[Denial]) -> v1::OrderVerdict {
        let texts: Vec<String> = denials.iter().map(ToString::to_string).collect();
        v1::OrderVerdict {
            order_id: order_id.to_owned(),
            allowed: denials.is_empty(),
            denial: denials.first().map_or_else(String::new, |denial| denial.code().to_owned()),
            message: texts.join("; "),
            state: self.state.trading().0.to_string(),
        }
    }

    fn commit(&mut self, record: Record) -> Result<(), RiskError> {
        self.log.append(&record)?;
        Ok(self.state.apply(&record)?)
    }
}
