//! The engine: the resources in, questions in messages, answers from memory, changes through the journal.

use tradewind_core::calendar::CalendarName;
use tradewind_core::instrument::Symbol;
use tradewind_core::orders::OrderId;
use tradewind_core::time::Nanos;
use tradewind_crds::RiskProfileSpec;
use tradewind_crds::validation::{self, validate_risk_profile};
use tradewind_journal::Log;
use tradewind_venue::paper::VenueEvent;
use tradewind_wire::account::AccountConfig;
use tradewind_wire::bus::{FeedKind, FeedName};
use tradewind_wire::convert::{money_to_wire, required};
use tradewind_wire::v1;

use crate::error::RiskError;
use crate::limits::TradingState;
use crate::messages;
use crate::record::{CancelRecord, Record};
use crate::state::State;
use crate::stops::halt::HaltAsk;
use crate::venues::Venues;

/// Most orders that one cancellation may name.
const MOST_CANCELLED: usize = 64;

/// The gate of one account. One caller at a time: a check, its reservation and its way to the venue are one step (RK-107).
pub struct Engine {
    log: Box<dyn Log<Record>>,
    pub(crate) state: State,
    pub(crate) venues: Venues,
    /// Applied and not yet written; nothing is answered before it is.
    staged: Vec<Record>,
    invalid_profile: String,
    invalid_account: String,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("account", &self.state.account_name)
            .field("sequence", &self.state.sequence)
            .finish_non_exhaustive()
    }
}

/// The owner of a policy's orders, as a call proved it.
#[derive(Clone, Debug)]
pub(crate) struct Proven {
    pub(crate) policy: String,
    pub(crate) kind: FeedKind,
    /// Number of the newest event of its venue.
    pub(crate) booked: u64,
    /// Whether the resources still name the policy.
    pub(crate) present: bool,
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
            engine.record(Record::Opened { account: account.to_owned(), journal: journal.to_owned() })?;
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
    pub fn reopen(log: Box<dyn Log<Record>>) -> Result<Self, RiskError> {
        let (mut state, mut venues) = (State::default(), Venues::default());
        for record in log.records_from(0)? {
            let record = record?;
            state.apply(&record)?;
            venues.replay(&record)?;
        }
        let (invalid_profile, invalid_account) = Default::default();
        let mut engine = Self { log, state, venues, staged: Vec::new(), invalid_profile, invalid_account };
        // A crash may have come between what restricts trading and the orders that it takes back.
        engine.restrict()?;
        Ok(engine)
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
        self.record(Record::Profile { generation, spec: Box::new(spec.clone()) })?;
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
            self.record(Record::Halted(record))?;
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

    /// Notes that what the resources say about the account cannot be read; what was in force before stays.
    pub fn refuse_account(&mut self, reason: &str) {
        reason.clone_into(&mut self.invalid_account);
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
            Some(profile) if !profile.gone => self.record(Record::ProfileGone),
            _ => Ok(()),
        }
    }

    /// Takes what the resources say about the account: policies, instruments, feeds, venues.
    ///
    /// What contradicts what is booked is refused whole, and [`Engine::status`] says why; what was in force before stays.
    ///
    /// # Errors
    /// [`RiskError::Journal`].
    pub fn apply_account(&mut self, config: &AccountConfig) -> Result<(), RiskError> {
        let is_flat = |symbol: &Symbol| {
            let held = self.state.account.as_ref().map_or(0, |account| account.lots(symbol).0);
            held == 0 && self.state.reservations.iter().all(|(_, open)| open.symbol != *symbol)
        };
        let mut found = self.state.listings.contradictions(config, is_flat);
        let guarded = &self.state.account_name;
        let known = self.state.configured.as_ref().map(|known| known.calendar).filter(|known| *known != CalendarName::default());
        if let Some(known) = known.filter(|known| *known != config.calendar) {
            found.push(format!("the calendar of the account is {known} and may be set once"));
        }
        if config.account != *guarded {
            found.push(format!("account '{}': this service guards account '{guarded}'", config.account));
        }
        if !found.is_empty() {
            self.invalid_account = found.join("; ");
            return Ok(());
        }
        self.invalid_account.clear();
        let record = Record::Account { config: Box::new(config.clone()) };
        if self.state.configured.as_ref() == Some(config) {
            return Ok(());
        }
        self.venues.configure(config);
        self.stage(record)?;
        self.take_back_unlisted()?;
        self.flush()
    }

    /// Entries of instruments that the resources do not name any more.
    fn take_back_unlisted(&mut self) -> Result<(), RiskError> {
        let listings = &self.state.listings;
        let gone = |symbol: &Symbol| {
            let listing = listings.symbols.get(symbol)?;
            let traded = listing.present && listings.policies.get(&listing.policy).is_some_and(|policy| policy.present);
            (!traded).then(|| listing.policy.clone())
        };
        let entries = self.state.reservations.iter().filter(|(_, open)| !open.reduce_only);
        let entries = entries.filter_map(|(id, open)| Some((gone(&open.symbol)?, OrderId::from_text(id.clone()))));
        for (policy, order_id) in entries.collect::<Vec<_>>() {
            self.take_back(&policy, vec![order_id], Vec::new(), "the resources do not name the instrument any more")?;
        }
        Ok(())
    }

    /// Whether a policy has something at a venue: a position or a working order.
    pub(crate) fn is_engaged(&self, policy: &str) -> bool {
        let ours = |symbol: &Symbol| self.state.listings.symbols.get(symbol).is_some_and(|listing| listing.policy == policy);
        let held = |account: &tradewind_core::account::Account| {
            account.positions().any(|one| one.lots.0 != 0 && ours(&one.instrument.symbol))
        };
        let met_in_part = |listing: &crate::listing::Listing| listing.policy == policy && listing.open.is_some();
        self.state.listings.symbols.values().any(met_in_part)
            || self.state.account.as_ref().is_some_and(held)
            || self.state.reservations.iter().any(|(_, open)| ours(&open.symbol))
    }

    /// Gives the orders of a policy to a process: an epoch above every earlier one of that policy.
    ///
    /// Only the process that holds the present epoch by its journal gets the next one; the same claim gets the same epoch
    /// again, because an answer may be lost. Whoever lost the orders has lost them for good.
    ///
    /// # Errors
    /// [`RiskError::OtherAccount`], [`RiskError::UnknownPolicy`], [`RiskError::Fenced`], [`RiskError::Journal`].
    pub fn acquire(&mut self, request: &v1::AcquireRequest) -> Result<v1::AcquireReply, RiskError> {
        self.guards(&request.account)?;
        let policy = self.state.listings.policies.get(&request.policy).filter(|policy| policy.present);
        let policy = policy.ok_or_else(|| RiskError::UnknownPolicy(request.policy.clone()))?;
        let allowed = policy.epoch;
        if allowed > 0 && !request.claim.is_empty() && request.claim == policy.claim {
            return Ok(v1::AcquireReply { epoch: allowed });
        }
        if request.claim.is_empty() || request.claim.len() > 200 || request.last_epoch != allowed {
            return Err(RiskError::Fenced { policy: request.policy.clone(), seen: request.last_epoch, allowed });
        }
        // The epoch in force is one of ours, counted up from 1 by this line alone.
        let epoch = allowed.saturating_add(1);
        self.record(Record::Acquired { policy: request.policy.clone(), epoch, claim: request.claim.clone() })?;
        Ok(v1::AcquireReply { epoch })
    }

    /// Takes orders of the caller's policy back. One that is not working stays as it is.
    ///
    /// # Errors
    /// [`RiskError::Fenced`] and its kin, [`RiskError::TooMany`], [`RiskError::Journal`].
    pub fn cancel(&mut self, request: &v1::CancelRequest) -> Result<v1::EventsReply, RiskError> {
        let proven = self.owner(request.owner.as_ref())?;
        if request.order_ids.len() > MOST_CANCELLED {
            let (seen, allowed) = (request.order_ids.len(), MOST_CANCELLED);
            return Err(RiskError::TooMany { what: "orders to be taken back", seen, allowed });
        }
        let prefix = format!("{}/", proven.policy);
        let ours = request.order_ids.iter().filter(|id| id.starts_with(&prefix) && id.len() <= 200);
        let unknown = |id: &String| self.state.verdict(id).is_none() && !self.state.is_void(id);
        let void = ours.clone().filter(|id| unknown(id)).map(|id| OrderId::from_text(id.clone())).collect();
        let order_ids = ours.filter(|id| self.state.reservations.holds(id)).map(|id| OrderId::from_text(id.clone())).collect();
        self.take_back(&proven.policy, order_ids, void, "")?;
        self.flush()?;
        self.report(request.owner.as_ref(), &proven)
    }

    /// What the venue said to the caller's policy since the event that it acknowledges, and what works and is held there.
    ///
    /// # Errors
    /// [`RiskError::Fenced`] and its kin.
    pub fn events(&mut self, request: &v1::EventsRequest) -> Result<v1::EventsReply, RiskError> {
        let proven = self.owner(request.owner.as_ref())?;
        self.report(request.owner.as_ref(), &proven)
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
            open_positions: account.map_or(0, |account| account.open_positions()),
            price_collar_bps: self.state.stops.limits().map_or(0, |limits| limits.price_collar_bps),
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
            invalid_account: self.invalid_account.clone(),
            halt_id: text(halt.map(|halt| &halt.id)),
            halt_reason: text(halt.map(|halt| &halt.reason)),
            halt_actor: text(halt.map(|halt| &halt.actor)),
            halted_since_ns: halt.map_or(0, |halt| halt.since.0),
            soak_not_before_ns: soak.map_or(0, |soak| soak.not_before().0),
            soak_open_market_ns: soak.map_or(0, crate::stops::soak::Soak::needed),
            // Whoever reads them knows.
            feeds: Vec::new(),
        }
    }

    /// Whether the resources have ever said who trades the account.
    #[must_use]
    pub const fn is_configured(&self) -> bool {
        self.state.configured.is_some()
    }

    /// Feeds of the account, whether each is recorded, and the newest bar of it that was met.
    #[must_use]
    pub fn feeds(&self) -> Vec<(FeedName, FeedKind, u64)> {
        let mut feeds: Vec<(FeedName, FeedKind, u64)> = Vec::new();
        let followed = |(name, policy): &(&String, &crate::listing::Policy)| policy.present || self.is_engaged(name);
        for (_, policy) in self.state.listings.policies.iter().filter(followed) {
            let met = |(_, listing): (_, &crate::listing::Listing)| listing.met.map_or(0, |met| met.sequence);
            let newest = self.state.listings.of_feed(&policy.feed).map(met).max().unwrap_or(0);
            if feeds.iter().all(|(feed, ..)| *feed != policy.feed) {
                feeds.push((policy.feed.clone(), policy.kind, newest));
            }
        }
        feeds
    }

    /// The feed of a policy and whether it is recorded.
    #[must_use]
    pub fn feed_of(&self, policy: &str) -> Option<(FeedName, FeedKind)> {
        let policy = self.state.listings.policies.get(policy)?;
        Some((policy.feed.clone(), policy.kind))
    }

    /// Lots held in a symbol, as the venue's fills say.
    #[must_use]
    pub fn lots(&self, symbol: &Symbol) -> i64 {
        self.state.account.as_ref().map_or(0, |account| account.lots(symbol).0)
    }

    /// Orders that are reserved against the limits: those that work at a venue.
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

    /// Whether the caller owns the orders of the policy that it names. What it acknowledges is forgotten.
    pub(crate) fn owner(&mut self, owner: Option<&v1::Owner>) -> Result<Proven, RiskError> {
        let owner = required(owner, "request", "owner")?;
        self.guards(&owner.account)?;
        // A policy that the resources do not name any more still closes what it has.
        let policy = self.state.listings.policies.get(&owner.policy);
        let told = |policy: &crate::listing::Policy| owner.acknowledged < policy.booked;
        let policy = policy.filter(|policy| policy.present || told(policy) || self.is_engaged(&owner.policy));
        let policy = policy.ok_or_else(|| RiskError::UnknownPolicy(owner.policy.clone()))?;
        if owner.epoch == 0 || owner.epoch != policy.epoch {
            let (seen, allowed) = (owner.epoch, policy.epoch);
            return Err(RiskError::Fenced { policy: owner.policy.clone(), seen, allowed });
        }
        let (kind, booked, present) = (policy.kind, policy.booked, policy.present);
        let proven = Proven { policy: owner.policy.clone(), kind, booked, present };
        let known = owner.acknowledged.min(booked);
        if let Some(venue) = self.venues.of(&owner.policy) {
            venue.forget_through(known);
        }
        Ok(proven)
    }

    /// Events of a policy that its owner does not have yet, as messages.
    pub(crate) fn unread(&mut self, owner: Option<&v1::Owner>, policy: &str) -> Result<Vec<v1::VenueEvent>, RiskError> {
        let after = owner.map_or(0, |owner| owner.acknowledged);
        let events = self.venues.events_after(policy, after);
        Ok(events.iter().map(messages::event).collect::<Result<_, _>>()?)
    }

    /// Events of a policy's venue that are not booked yet.
    pub(crate) fn fresh(&mut self, policy: &str) -> Vec<VenueEvent> {
        let booked = self.state.listings.policies.get(policy).map_or(0, |policy| policy.booked);
        self.venues.events_after(policy, booked)
    }

    fn report(&mut self, owner: Option<&v1::Owner>, proven: &Proven) -> Result<v1::EventsReply, RiskError> {
        let working = self.venues.of(&proven.policy).map_or_else(Vec::new, |venue| venue.working());
        let working = working.iter().map(|(id, left)| v1::WorkingOrder { order_id: id.to_string(), lots: left.0 }).collect();
        Ok(v1::EventsReply {
            events: self.unread(owner, &proven.policy)?,
            working,
            positions: self.held(&proven.policy)?,
            state: Some(self.state()),
        })
    }

    /// Positions in a policy's instruments, as booked from the venue's fills.
    pub(crate) fn held(&self, policy: &str) -> Result<Vec<v1::HeldPosition>, RiskError> {
        let Some(account) = &self.state.account else { return Ok(Vec::new()) };
        let ours = |symbol| self.state.listings.symbols.get(symbol).is_some_and(|listing| listing.policy == policy);
        let held = account.positions().filter(|one| one.lots.0 != 0 && ours(&one.instrument.symbol));
        held.map(|one| {
            let symbol = one.instrument.symbol.to_string();
            Ok(v1::HeldPosition { symbol, lots: one.lots.0, cost: Some(money_to_wire(one.cost)?) })
        })
        .collect()
    }

    /// Takes orders back and notes it; [`Engine::flush`] writes it.
    fn take_back(&mut self, policy: &str, order_ids: Vec<OrderId>, void: Vec<OrderId>, reason: &str) -> Result<(), RiskError> {
        if order_ids.is_empty() && void.is_empty() {
            return Ok(());
        }
        self.venues.cancel(policy, &order_ids)?;
        let (policy, reason, events) = (policy.to_owned(), reason.to_owned(), self.fresh(policy));
        self.stage(Record::Cancelled(CancelRecord { policy, order_ids, void, reason, events }))
    }

    /// While trading is restricted, no order that may open a position works anywhere: the gate takes them back itself.
    fn restrict(&mut self) -> Result<(), RiskError> {
        let (state, reason) = self.state.trading();
        if state == TradingState::Normal {
            return Ok(());
        }
        let policies: Vec<String> = self.state.listings.policies.keys().cloned().collect();
        for policy in policies {
            let entries = self.state.reservations.entries_of(&policy);
            for some in entries.chunks(MOST_CANCELLED) {
                self.take_back(&policy, some.to_vec(), Vec::new(), &reason)?;
                self.write()?;
            }
        }
        Ok(())
    }

    /// Applies a record and keeps it for the next write.
    pub(crate) fn stage(&mut self, record: Record) -> Result<(), RiskError> {
        self.state.apply(&record)?;
        self.staged.push(record);
        Ok(())
    }

    /// Writes what was staged, and takes back what it no longer allows. Nothing may be answered before.
    pub(crate) fn flush(&mut self) -> Result<(), RiskError> {
        self.write()?;
        self.restrict()
    }

    fn write(&mut self) -> Result<(), RiskError> {
        if self.staged.is_empty() {
            return Ok(());
        }
        self.log.append_batch(&self.staged)?;
        self.staged.clear();
        Ok(())
    }

    pub(crate) fn record(&mut self, record: Record) -> Result<(), RiskError> {
        self.stage(record)?;
        self.flush()
    }
}
