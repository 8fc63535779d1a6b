//! The state of the engine: a fold over its records.

use std::collections::{BTreeMap, VecDeque};

use crate::breaker::DrawdownBreaker;
use crate::limits::{self, Denial, Limits, OrderRate, Proposal, Reservation, Reservations, Standing, TradingState};
use tradewind_core::account::{Account, AccountError, Fill};
use tradewind_core::calendar::SessionId;
use tradewind_core::money::Money;
use tradewind_core::time::Nanos;
use tradewind_crds::RiskProfileSpec;
use tradewind_crds::risk_profile::{HaltMode, Limits as Written};

use crate::adoption::{adopt, exact};
use crate::record::{CheckRecord, FillRecord, Record, ReportRecord};

/// Verdicts that are remembered for repeated questions.
const REMEMBERED: usize = 1_000;
/// Denials that the status shows.
const SHOWN: usize = 10;

/// The profile in force.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InForce {
    pub(crate) generation: i64,
    pub(crate) spec: RiskProfileSpec,
    pub(crate) written: Written,
    pub(crate) limits: Limits,
    pub(crate) pending: Option<String>,
    pub(crate) gone: bool,
}

/// The verdict on an order, remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) denials: Vec<Denial>,
    pub(crate) reduce_only: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State {
    pub(crate) account_name: String,
    pub(crate) profile: Option<InForce>,
    pub(crate) account: Option<Account>,
    pub(crate) breaker: DrawdownBreaker,
    pub(crate) reservations: Reservations,
    pub(crate) rate: OrderRate,
    pub(crate) token: u64,
    pub(crate) sequence: u64,
    pub(crate) fill_number: u64,
    pub(crate) event_time: Nanos,
    pub(crate) last_transition: Nanos,
    /// Fills are booked whose mark has not come yet: equity is not known.
    settling: bool,
    /// Why the loss of the session forbids new risk, as of the newest mark.
    daily_loss: Option<String>,
    pub(crate) denials_total: u64,
    pub(crate) recent_denials: VecDeque<String>,
    verdicts: BTreeMap<String, Verdict>,
    verdict_order: VecDeque<String>,
}

impl State {
    /// Applies a record. Figures were tried before they were journaled, so an error here means a foreign journal.
    pub(crate) fn apply(&mut self, record: &Record) -> Result<(), AccountError> {
        let before = self.trading().0;
        match record {
            Record::Opened { account } => self.account_name.clone_from(account),
            Record::Profile { generation, spec } => self.adopt(*generation, spec),
            Record::ProfileGone => {
                if let Some(profile) = &mut self.profile {
                    profile.gone = true;
                }
            }
            Record::Acquired { token, .. } => self.token = *token,
            Record::Checked(check) => self.remember(check)?,
            Record::Reported(report) => self.book(report)?,
        }
        if self.trading().0 != before {
            self.last_transition = self.event_time;
        }
        Ok(())
    }

    fn adopt(&mut self, generation: i64, spec: &RiskProfileSpec) {
        let in_force = self.profile.as_ref().map(|profile| &profile.written);
        let adoption = adopt(in_force, &spec.limits, &spec.approved_loosening);
        let limits = exact(&adoption.in_force);
        let starting_equity = Money::from_nanos(spec.starting_equity.nanos());
        let account = self.account.get_or_insert_with(|| Account::new(starting_equity));
        self.breaker.acknowledge(&spec.acknowledge_breaker, account);
        let (written, pending) = (adoption.in_force, adoption.pending);
        self.profile = Some(InForce { generation, spec: spec.clone(), written, limits, pending, gone: false });
        // A tighter limit acts at once, not at the next mark.
        if !self.settling {
            self.watch_losses();
        }
    }

    /// Compares the account with the limits on losses.
    fn watch_losses(&mut self) {
        let (Some(account), Some(profile)) = (&self.account, &self.profile) else { return };
        self.breaker.observe(account, &profile.limits, self.event_time);
        self.daily_loss = profile.limits.daily_loss_exceeded(account).then(|| {
            let (seen, allowed) = (account.daily_pnl_bps(), profile.limits.daily_loss_bps);
            format!("result of the session is {seen} bps, allowed is -{allowed} bps; until the next session")
        });
    }

    fn remember(&mut self, check: &CheckRecord) -> Result<(), AccountError> {
        if check.denials.is_empty() {
            if let Some(account) = &mut self.account {
                account.register(&check.instrument)?;
            }
            let (symbol, reduce_only) = (check.instrument.symbol.clone(), check.reduce_only);
            let reservation = Reservation { symbol, lots: check.lots, price: check.reference, reduce_only };
            self.reservations.reserve(&check.order_id, reservation);
            self.rate.count(check.event_time);
        }
        if let Some(first) = check.denials.first() {
            self.denials_total += 1;
            self.recent_denials.push_back(format!("{}: {}: {first}", check.order_id, first.code()));
            if self.recent_denials.len() > SHOWN {
                self.recent_denials.pop_front();
            }
        }
        let verdict = Verdict { denials: check.denials.clone(), reduce_only: check.reduce_only };
        if self.verdicts.insert(check.order_id.clone(), verdict).is_none() {
            self.verdict_order.push_back(check.order_id.clone());
        }
        if self.verdict_order.len() > REMEMBERED
            && let Some(oldest) = self.verdict_order.pop_front()
        {
            self.verdicts.remove(&oldest);
        }
        Ok(())
    }

    fn book(&mut self, report: &ReportRecord) -> Result<(), AccountError> {
        if let Some(account) = &mut self.account {
            book(account, report, self.sequence, self.fill_number)?;
        }
        for fill in report.fills.iter().filter(|fill| fill.number > self.fill_number) {
            self.reservations.filled(&fill.order_id, fill.lots);
        }
        let before = self.fill_number;
        self.fill_number = report.fills.last().map_or(self.fill_number, |fill| fill.number.max(self.fill_number));
        report.closed.iter().for_each(|order_id| self.reservations.release(order_id));
        let marked = report.sequence > self.sequence && report.mark.is_some();
        self.settling = !marked && (self.settling || report.fills.iter().any(|fill| fill.number > before));
        self.sequence = self.sequence.max(report.sequence);
        if let Some(mark) = report.mark.as_ref().filter(|_| marked) {
            self.event_time = self.event_time.max(mark.event_time);
            self.watch_losses();
        }
        Ok(())
    }

    /// The remembered verdict on an order.
    pub(crate) fn verdict(&self, order_id: &str) -> Option<&Verdict> {
        self.verdicts.get(order_id)
    }

    /// What people allow, if they restrict anything.
    fn halt(&self) -> Option<(TradingState, &'static str)> {
        match &self.profile {
            None => Some((TradingState::Halted, "no valid RiskProfile has been seen yet")),
            Some(profile) if profile.spec.halt && profile.spec.halt_mode == HaltMode::None => {
                Some((TradingState::Halted, "spec.halt of the RiskProfile, haltMode None"))
            }
            Some(profile) if profile.spec.halt => Some((TradingState::ReduceOnly, "spec.halt of the RiskProfile")),
            Some(profile) if profile.gone => Some((TradingState::ReduceOnly, "the RiskProfile was deleted")),
            Some(_) => None,
        }
    }

    /// Which orders are allowed, and why not all.
    pub(crate) fn trading(&self) -> (TradingState, String) {
        if let Some((state, reason)) = self.halt() {
            return (state, reason.to_owned());
        }
        if let Some(latched) = self.breaker.latched() {
            let reason =
                format!("breaker {} has fired: {}; acknowledge it in spec.acknowledgeBreaker", latched.id, latched.reason);
            return (TradingState::ReduceOnly, reason);
        }
        match &self.daily_loss {
            Some(reason) => (TradingState::ReduceOnly, reason.clone()),
            None => (TradingState::Normal, String::new()),
        }
    }

    /// Reasons against an order; empty means allowed.
    pub(crate) fn check(&self, proposal: &Proposal) -> Vec<Denial> {
        let (Some(profile), Some(account)) = (&self.profile, &self.account) else {
            let reason = "no valid RiskProfile has been seen yet".to_owned();
            return vec![Denial::Halted { reason, allowed: "no order is allowed".to_owned() }];
        };
        let known = account.position(&proposal.instrument.symbol);
        if known.is_some_and(|position| position.instrument != proposal.instrument) {
            let reason = format!("{} came with another tick, lot or point value before", proposal.instrument.symbol);
            return vec![Denial::UnknownInstrument { reason }];
        }
        let standing = Standing {
            limits: &profile.limits,
            account,
            reservations: &self.reservations,
            rate: &self.rate,
            halt: self.halt(),
            breaker: self.breaker.latched(),
        };
        limits::check(&standing, proposal)
    }

    /// Books a report on a copy of the account, to know that it can be booked.
    pub(crate) fn try_report(&self, report: &ReportRecord) -> Result<(), AccountError> {
        match &self.account {
            Some(account) => book(&mut account.clone(), report, self.sequence, self.fill_number),
            None => Ok(()),
        }
    }
}

/// Session, fills, mark: in this order, so that the first fills of a session count for it.
fn book(account: &mut Account, report: &ReportRecord, sequence: u64, fill_number: u64) -> Result<(), AccountError> {
    let mark = report.mark.as_ref().filter(|_| report.sequence > sequence);
    if let Some(mark) = mark {
        account.register(&mark.instrument)?;
    }
    if let Some(time) = report.session.or_else(|| mark.map(|mark| mark.event_time)) {
        account.roll_session(SessionId::around_the_clock(time));
    }
    for fill in report.fills.iter().filter(|fill| fill.number > fill_number) {
        let FillRecord { symbol, lots, price, fee, event_time, .. } = fill.clone();
        account.book(&Fill { symbol, lots, price, fee, event_time })?;
    }
    mark.map_or(Ok(()), |mark| account.mark(&mark.instrument.symbol, mark.price, mark.event_time))
}
