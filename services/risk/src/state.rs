//! The state of the gate: a fold over its records.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tradewind_core::account::{Account, AccountError, Fill};
use tradewind_core::money::Money;
use tradewind_core::orders::{Order, OrderId};
use tradewind_core::time::Nanos;
use tradewind_crds::RiskProfileSpec;
use tradewind_venue::adapter::Phase;
use tradewind_venue::paper::{VenueEvent, What};
use tradewind_wire::account::AccountConfig;
use tradewind_wire::bus::{FeedName, StreamIdentity};

use crate::limits::{self, Denial, OrderRate, Proposal, Reservation, Reservations, Standing, TradingState};
use crate::listing::Listings;
use crate::record::{CheckRecord, MetRecord, Record};
use crate::stops::Stops;
use crate::stops::daily_loss::SessionKey;

/// Verdicts that are remembered for repeated questions; ids of working orders are remembered by their reservations.
const REMEMBERED: usize = 10_000;
/// Refusals of a policy in a minute that are written down and bind their id. Beyond them a refusal is answered, counted and
/// forgotten: whoever asks in vain without end would fill the disk of the account and end it for all its policies.
const MOST_REFUSALS: u64 = 600;
/// Denials that the status shows.
const SHOWN: usize = 10;

/// The profile in force.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InForce {
    pub(crate) generation: i64,
    pub(crate) spec: RiskProfileSpec,
    pub(crate) gone: bool,
}

/// The verdict on an order, remembered with what the id stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) order: Order,
    pub(crate) denials: Vec<Denial>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State {
    pub(crate) account_name: String,
    pub(crate) profile: Option<InForce>,
    pub(crate) account: Option<Account>,
    pub(crate) stops: Stops,
    pub(crate) reservations: Reservations,
    pub(crate) rate: OrderRate,
    /// Refusals by policy that were written down.
    refusals: BTreeMap<String, OrderRate>,
    pub(crate) listings: Listings,
    /// What the resources say about the account, as taken last.
    pub(crate) configured: Option<AccountConfig>,
    /// The stream of each feed that was opened.
    pub(crate) streams: BTreeMap<FeedName, StreamIdentity>,
    /// Newest bar met, of any instrument.
    pub(crate) sequence: u64,
    /// Newest instant of the account's own feeds.
    pub(crate) event_time: Nanos,
    pub(crate) last_transition: Nanos,
    pub(crate) denials_total: u64,
    pub(crate) recent_denials: VecDeque<String>,
    verdicts: BTreeMap<String, Verdict>,
    verdict_order: VecDeque<String>,
    voided: BTreeSet<String>,
    voided_order: VecDeque<String>,
}

impl State {
    /// Applies a record.
    ///
    /// # Errors
    /// Figures that the account cannot book: a foreign journal, or a fault of ours.
    pub(crate) fn apply(&mut self, record: &Record) -> Result<(), AccountError> {
        let before = self.trading().0;
        match record {
            Record::Opened { account, journal } => {
                self.account_name.clone_from(account);
                self.stops.opened(account, journal);
            }
            Record::Profile { generation, spec } => self.adopt(*generation, spec)?,
            Record::ProfileGone => {
                if let Some(profile) = &mut self.profile {
                    profile.gone = true;
                }
                self.stops.profile_gone();
            }
            Record::Halted(halt) => self.stops.halted(halt),
            Record::Account { config } => {
                self.listings.take(config);
                self.configured = Some(config.as_ref().clone());
                self.register()?;
            }
            Record::Acquired { policy, epoch, claim } => {
                if let Some(policy) = self.listings.policies.get_mut(policy) {
                    (policy.epoch, policy.claim) = (*epoch, claim.clone());
                }
            }
            Record::Follows { feed, stream } => drop(self.streams.insert(feed.clone(), *stream)),
            Record::Checked(check) => self.remember(check)?,
            Record::Cancelled(cancel) => {
                self.void(&cancel.void);
                self.told(&cancel.policy, &cancel.events)?;
            }
            Record::Met(met) => self.meet(met)?,
        }
        if self.trading().0 != before {
            self.last_transition = self.event_time;
        }
        Ok(())
    }

    fn adopt(&mut self, generation: i64, spec: &RiskProfileSpec) -> Result<(), AccountError> {
        let starting_equity = Money::from_nanos(spec.starting_equity.nanos());
        let account = self.account.get_or_insert_with(|| Account::new(starting_equity));
        self.stops.adopt(generation, spec, account, self.event_time);
        self.profile = Some(InForce { generation, spec: spec.clone(), gone: false });
        self.register()?;
        // A tighter limit acts at once, not at the next mark.
        self.watch_losses();
        Ok(())
    }

    /// Instruments come from the resources, whichever of both is read first.
    fn register(&mut self) -> Result<(), AccountError> {
        let Some(account) = &mut self.account else { return Ok(()) };
        self.listings.symbols.values().try_for_each(|listing| account.register(&listing.instrument))
    }

    /// Compares the account with the limits on losses.
    fn watch_losses(&mut self) {
        if let Some(account) = &self.account {
            self.stops.watch_losses(account, self.event_time);
        }
    }

    fn remember(&mut self, check: &CheckRecord) -> Result<(), AccountError> {
        let order = &check.order;
        if check.denials.is_empty() {
            let (symbol, reduce_only) = (order.symbol.clone(), order.reduce_only);
            let reservation = Reservation { symbol, lots: order.lots, price: check.price, reduce_only };
            self.reservations.reserve(order.id.as_str(), reservation);
            self.rate.count(check.at);
        }
        if let Some(first) = check.denials.first() {
            self.denied(order.id.as_str(), first);
            self.refusals.entry(check.policy.clone()).or_default().count(check.at);
        }
        let verdict = Verdict { order: order.clone(), denials: check.denials.clone() };
        if self.verdicts.insert(order.id.to_string(), verdict).is_none() {
            self.verdict_order.push_back(order.id.to_string());
        }
        // What an order that still works stands for is kept, however old it is.
        for _ in REMEMBERED..self.verdict_order.len() {
            let Some(oldest) = self.verdict_order.pop_front() else { break };
            if self.reservations.holds(&oldest) {
                self.verdict_order.push_back(oldest);
            } else {
                self.verdicts.remove(&oldest);
            }
        }
        self.told(&check.policy, &check.events)
    }

    /// Ids that were taken back before their orders came.
    fn void(&mut self, order_ids: &[OrderId]) {
        for id in order_ids {
            if self.voided.insert(id.to_string()) {
                self.voided_order.push_back(id.to_string());
            }
        }
        for _ in REMEMBERED..self.voided_order.len() {
            if let Some(oldest) = self.voided_order.pop_front() {
                self.voided.remove(&oldest);
            }
        }
    }

    /// Whether a policy has been refused so often in the minute that ends at `at` that one more refusal is only answered.
    pub(crate) fn is_refused_often(&self, policy: &str, at: Nanos) -> bool {
        self.refusals.get(policy).is_some_and(|refusals| refusals.within_minute(at) >= MOST_REFUSALS)
    }

    /// Whether the id was taken back before its order came.
    pub(crate) fn is_void(&self, order_id: &str) -> bool {
        self.voided.contains(order_id)
    }

    /// Counts a refusal and keeps a sample of it.
    pub(crate) fn denied(&mut self, order_id: &str, first: &Denial) {
        self.denials_total += 1;
        self.recent_denials.push_back(format!("{order_id}: {}: {first}", first.code()));
        if self.recent_denials.len() > SHOWN {
            self.recent_denials.pop_front();
        }
    }

    /// Session, what the venue said, mark: in this order, so that the first fills of a session count for it.
    fn meet(&mut self, met: &MetRecord) -> Result<(), AccountError> {
        let (whole, bar) = (met.phase == Phase::Range, &met.bar);
        // Sessions are those of the account's calendar, begun by bars of its own instruments alone.
        let calendar = self.configured.as_ref().map(|config| config.calendar).unwrap_or_default().calendar();
        let session = calendar.session_of_bar(bar.open_time, bar.close_time);
        if self.stops.begin_session(SessionKey::of_calendar(session.0))
            && let Some(account) = &mut self.account
        {
            account.roll_session(session);
        }
        self.told(&met.policy, &met.events)?;
        self.listings.met(met, whole);
        let (before, now) = (self.event_time, if whole { bar.close_time } else { bar.open_time });
        self.event_time = before.max(now);
        if before.0 > 0 {
            self.stops.pass_open_market(calendar.open_time_between(before, self.event_time));
        }
        let Some(account) = &mut self.account else { return Ok(()) };
        if !whole {
            return account.revalue(&met.symbol, bar.open, bar.open_time);
        }
        account.mark(&met.symbol, bar.close, bar.close_time)?;
        self.sequence = self.sequence.max(met.sequence);
        self.watch_losses();
        Ok(())
    }

    /// Books what the venue of a policy said.
    fn told(&mut self, policy: &str, events: &[VenueEvent]) -> Result<(), AccountError> {
        for event in events {
            let booked = self.listings.policies.get_mut(policy).map(|policy| &mut policy.booked);
            let Some(booked) = booked.filter(|booked| event.number > **booked) else { continue };
            *booked = event.number;
            let id = event.order_id.as_str();
            match &event.what {
                What::Accepted => {}
                What::Filled { lots, price, fee, at, .. } => {
                    if let (Some(open), Some(account)) = (self.reservations.get(id), &mut self.account) {
                        let symbol = open.symbol.clone();
                        account.book(&Fill { symbol, lots: *lots, price: *price, fee: *fee, event_time: *at })?;
                    }
                    self.reservations.filled(id, *lots);
                }
                What::Reduced { lots } => self.reservations.filled(id, *lots),
                What::Cancelled { .. } => self.reservations.release(id),
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
}
