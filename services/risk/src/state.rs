//! The state of the engine: a fold over its records.

use std::collections::{BTreeMap, VecDeque};

use crate::limits::{self, Denial, OrderRate, Proposal, Reservation, Reservations, Standing, TradingState};
use tradewind_core::account::{Account, AccountError, Fill};
use tradewind_core::money::Money;
use tradewind_core::time::Nanos;
use tradewind_crds::RiskProfileSpec;

use crate::record::{CheckRecord, FillRecord, Record, ReportRecord};
use crate::stops::Stops;
use crate::stops::daily_loss::SessionKey;

/// Verdicts that are remembered for repeated questions.
const REMEMBERED: usize = 1_000;
/// Denials that the status shows.
const SHOWN: usize = 10;

/// The profile in force.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InForce {
    pub(crate) generation: i64,
    pub(crate) spec: RiskProfileSpec,
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
    pub(crate) stops: Stops,
    pub(crate) reservations: Reservations,
    pub(crate) rate: OrderRate,
    pub(crate) token: u64,
    pub(crate) sequence: u64,
    pub(crate) fill_number: u64,
    pub(crate) event_time: Nanos,
    pub(crate) last_transition: Nanos,
    /// Fills are booked whose mark has not come yet: equity is not known.
    settling: bool,
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
            Record::Opened { account, journal } => {
                self.account_name.clone_from(account);
                self.stops.opened(account, journal);
            }
            Record::Profile { generation, spec } => self.adopt(*generation, spec),
            Record::ProfileGone => {
                if let Some(profile) = &mut self.profile {
                    profile.gone = true;
                }
                self.stops.profile_gone();
            }
            Record::Halted(halt) => self.stops.halted(halt),
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
        let starting_equity = Money::from_nanos(spec.starting_equity.nanos());
        let account = self.account.get_or_insert_with(|| Account::new(starting_equity));
        self.stops.adopt(generation, spec, account, self.event_time);
        self.profile = Some(InForce { generation, spec: spec.clone(), gone: false });
        // A tighter limit acts at once, not at the next mark.
        if !self.settling {
            self.stops.watch_losses(account, self.event_time);
        }
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
        if let Some(account) = &mut self.account
            && let Some(session) = book(account, report, self.sequence, self.fill_number)?
        {
            self.stops.begin_session(SessionKey::of_calendar(session));
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
            let passed = if self.event_time.0 == 0 { 0 } else { mark.event_time.since(self.event_time) };
            self.event_time = self.event_time.max(mark.event_time);
            self.stops.pass_open_market(passed);
            if let Some(account) = &self.account {
                self.stops.watch_losses(account, self.event_time);
            }
        }
        Ok(())
    }

    /// The remembered verdict on an order.
    pub(crate) fn verdict(&self, order_id: &str) -> Option<&Verdict> {
        self.verdicts.get(order_id)
    }

    /// Which orders are allowed, and why not all.
    pub(crate) fn trading(&self) -> (TradingState, String) {
        self.stops.trading()
    }

    /// Reasons against an order; empty means allowed.
    pub(crate) fn check(&self, proposal: &Proposal) -> Vec<Denial> {
        let (Some(limits), Some(account)) = (self.stops.limits(), &self.account) else {
            let reason = "no valid RiskProfile has been seen yet".to_owned();
            return vec![Denial::Halted { reason, allowed: "no order is allowed".to_owned() }];
        };
        let known = account.position(&proposal.instrument.symbol);
        if known.is_some_and(|position| position.instrument != proposal.instrument) {
            let reason = format!("{} came with another tick, lot or point value before", proposal.instrument.symbol);
            return vec![Denial::UnknownInstrument { reason }];
        }
        let standing = Standing {
            limits,
            account,
            reservations: &self.reservations,
            rate: &self.rate,
            halt: self.stops.restriction(),
            breaker: self.stops.breaker(),
            daily_loss: self.stops.daily_loss(),
        };
        limits::check(&standing, proposal)
    }

    /// Books a report on a copy of the account, to know that it can be booked.
    pub(crate) fn try_report(&self, report: &ReportRecord) -> Result<(), AccountError> {
        match &self.account {
            Some(account) => book(&mut account.clone(), report, self.sequence, self.fill_number).map(drop),
            None => Ok(()),
        }
    }
}

/// Session, fills, mark: in this order, so that the first fills of a session count for it. Returns the session.
fn book(account: &mut Account, report: &ReportRecord, sequence: u64, fill_number: u64) -> Result<Option<i64>, AccountError> {
    let mark = report.mark.as_ref().filter(|_| report.sequence > sequence);
    if let Some(mark) = mark {
        account.register(&mark.instrument)?;
    }
    let session = report.session.or_else(|| mark.map(|mark| mark.event_time)).map(Nanos::session_day);
    if let Some(session) = session {
        account.roll_session(session);
    }
    for fill in report.fills.iter().filter(|fill| fill.number > fill_number) {
        let FillRecord { symbol, lots, price, fee, event_time, .. } = fill.clone();
        account.book(&Fill { symbol, lots, price, fee, event_time })?;
    }
    if let Some(mark) = mark {
        account.mark(&mark.instrument.symbol, mark.price, mark.event_time)?;
    }
    Ok(session)
}
