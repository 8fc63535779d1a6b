//! A deterministic venue on paper: commands in, numbered events out.
//!
//! The venue is a function of its commands, so a journal of commands is its whole memory. Every command can be
//! repeated: an order is known by its client id, a bar by its index, and a repetition gives no event.
//!
//! A bar is met in two steps, because a protective order is placed the moment its entry fills: [`Command::Open`]
//! lets market orders and marketable limits (EX-56) trade at the open (EX-76), then [`Command::Range`] lets stops and limits meet the rest of
//! the bar. Stops go first: a bar does not say which of two touched prices came first.
//!
//! Chance is a hash of seed and order id: the same order always has the same latency and the same partial fills.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use tradewind_core::bar::Bar;
use tradewind_core::instrument::{Instrument, Lots, Symbol, Ticks};
use tradewind_core::money::Money;
use tradewind_core::orders::{Kind, Order, OrderId, TimeInForce};
use tradewind_core::side::Side;
use tradewind_core::time::Nanos;

use super::fills::FillModel;

/// Figures of the venue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PaperConfig {
    /// Costs of trading.
    pub fills: FillModel,
    /// Seed of partial fills and latencies.
    pub seed: u64,
    /// Share of market and limit fills that are partial, in basis points.
    pub partial_fill_bps: u32,
    /// Mean latency from sending to arrival, in milliseconds of event time; drawn from 0 to twice the mean.
    pub latency_ms: u32,
}

/// What can be asked of the venue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Sets the figures from here on.
    Configure {
        /// The figures.
        config: PaperConfig,
    },
    /// Lists an instrument.
    List {
        /// The instrument.
        instrument: Instrument,
    },
    /// Places an order.
    Place {
        /// The order.
        order: Order,
    },
    /// Takes back what is left of an order.
    Cancel {
        /// Order to take back.
        order_id: OrderId,
    },
    /// Market orders meet the open of a bar.
    Open {
        /// Symbol of the bar.
        symbol: Symbol,
        /// The bar.
        bar: Bar,
    },
    /// Stops and limits meet the range of a bar.
    Range {
        /// Symbol of the bar.
        symbol: Symbol,
        /// The bar.
        bar: Bar,
    },
}

/// Why the venue refuses a command. Nothing changes then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaperError {
    /// The instrument is not listed or was listed otherwise.
    #[error("paper venue: {0} is not listed, or was listed with another tick, lot or point value")]
    Instrument(Symbol),
    /// An id that is in use for another order.
    #[error("paper venue: order id {0} was used for another order")]
    IdUsed(OrderId),
    /// The order has no size or a price that is not positive.
    #[error("paper venue: order {id} of {lots} lots at {price} ticks: the size must differ from 0 and the price be above 0")]
    Order {
        /// Order in question.
        id: OrderId,
        /// Size seen.
        lots: i64,
        /// Price seen.
        price: i64,
    },
}

/// What happened to an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// The venue has it.
    Accepted,
    /// It traded.
    Filled {
        /// Signed size.
        lots: Lots,
        /// Price.
        price: Ticks,
        /// Fee.
        fee: Money,
        /// Event time.
        at: Nanos,
        /// Index of the bar.
        bar: u64,
    },
    /// A sibling of its group took lots away, some are left.
    Reduced {
        /// Signed size taken away.
        lots: Lots,
    },
    /// What was left of it is gone.
    Cancelled {
        /// Why.
        reason: CancelReason,
    },
}

/// Why an order ended before it was filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// Its sender asked for it.
    Requested,
    /// It was to be filled at once and a part was not.
    ImmediateOrCancel,
    /// A sibling of its group was filled.
    Sibling,
    /// It may only reduce and there is nothing to reduce.
    NothingToReduce,
}

impl CancelReason {
    const ALL: [Self; 4] = [Self::Requested, Self::ImmediateOrCancel, Self::Sibling, Self::NothingToReduce];

    /// The word for messages and ledgers.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::ImmediateOrCancel => "immediate_or_cancel",
            Self::Sibling => "sibling",
            Self::NothingToReduce => "nothing_to_reduce",
        }
    }

    /// The reason of a word.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

/// An event with its number, from 1 without holes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueEvent {
    /// Number.
    pub number: u64,
    /// Order it is about.
    pub order_id: OrderId,
    /// What happened.
    pub what: What,
}

/// A working order as the venue sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Working {
    /// The order as placed.
    pub order: Order,
    /// Signed size left.
    pub left: Lots,
    /// Event time from which it can trade.
    pub arrives_at: Nanos,
}

/// The venue.
#[derive(Clone, Debug, Default)]
pub struct PaperVenue {
    config: PaperConfig,
    instruments: BTreeMap<Symbol, Instrument>,
    /// By order of acceptance.
    working: BTreeMap<u64, Working>,
    /// Every id ever used; an id is never free again.
    seen: BTreeMap<OrderId, u64>,
    accepted: u64,
    positions: BTreeMap<Symbol, i64>,
    opened: BTreeMap<Symbol, u64>,
    ranged: BTreeMap<Symbol, u64>,
    events: VecDeque<VenueEvent>,
    numbered: u64,
}

impl PaperVenue {
    /// A venue without instruments. Configure it and list instruments by commands.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a command would change anything: `false` for a repetition, which need not be journaled.
    ///
    /// # Errors
    /// [`PaperError`] when the command is refused.
    pub fn admit(&self, command: &Command) -> Result<bool, PaperError> {
        match command {
            Command::Configure { config } => Ok(*config != self.config),
            Command::List { instrument } => match self.instruments.get(&instrument.symbol) {
                Some(listed) if listed != instrument => Err(PaperError::Instrument(instrument.symbol.clone())),
                listed => Ok(listed.is_none()),
            },
            Command::Place { order } => self.admit_order(order),
            Command::Cancel { order_id } => Ok(self.working_number(order_id).is_some()),
            Command::Open { symbol, bar } => Ok(self.is_new(&self.opened, symbol, bar) && self.concerns(symbol)),
            Command::Range { symbol, bar } => Ok(self.is_new(&self.ranged, symbol, bar) && self.concerns(symbol)),
        }
    }

    /// Applies a command that [`PaperVenue::admit`] let through. Events are kept until they are forgotten.
    pub fn apply(&mut self, command: &Command) {
        match command {
            Command::Configure { config } => self.config = *config,
            Command::List { instrument } => {
                self.instruments.insert(instrument.symbol.clone(), instrument.clone());
            }
            Command::Place { order } => self.accept(order),
            Command::Cancel { order_id } => {
                if let Some(number) = self.working_number(order_id) {
                    self.end(number, CancelReason::Requested);
                }
            }
            Command::Open { symbol, bar } => self.open(symbol, bar),
            Command::Range { symbol, bar } => self.range(symbol, bar),
        }
    }

    /// Events after a number, oldest first.
    pub fn events_after(&self, number: u64) -> impl Iterator<Item = &VenueEvent> {
        self.events.iter().skip_while(move |event| event.number <= number)
    }

    /// Drops events up to a number: their reader has them in its own journal.
    pub fn forget_through(&mut self, number: u64) {
        while self.events.front().is_some_and(|event| event.number <= number) {
            self.events.pop_front();
        }
    }

    /// Working orders in the order of their acceptance.
    pub fn working(&self) -> impl Iterator<Item = &Working> {
        self.working.values()
    }

    /// Positions that are not flat.
    pub fn positions(&self) -> impl Iterator<Item = (&Symbol, Lots)> {
        self.positions.iter().filter(|(_, lots)| **lots != 0).map(|(symbol, lots)| (symbol, Lots(*lots)))
    }

    /// Figures in force.
    #[must_use]
    pub const fn config(&self) -> &PaperConfig {
        &self.config
    }

    fn admit_order(&self, order: &Order) -> Result<bool, PaperError> {
        let price = order.kind.price().map_or(1, |price| price.0);
        if order.lots.0 == 0 || price <= 0 {
            return Err(PaperError::Order { id: order.id.clone(), lots: order.lots.0, price });
        }
        if !self.instruments.contains_key(&order.symbol) {
            return Err(PaperError::Instrument(order.symbol.clone()));
        }
        match self.seen.get(&order.id) {
            None => Ok(true),
            Some(number) if self.working.get(number).is_none_or(|working| working.order == *order) => Ok(false),
            Some(_) => Err(PaperError::IdUsed(order.id.clone())),
        }
    }

    fn is_new(&self, newest: &BTreeMap<Symbol, u64>, symbol: &Symbol, bar: &Bar) -> bool {
        self.instruments.contains_key(symbol) && newest.get(symbol).is_none_or(|newest| bar.index > *newest)
    }

    /// A bar without an order to meet changes nothing. It need not be journaled either: orders carry the index
    /// of the bar that caused them and never meet an earlier one.
    fn concerns(&self, symbol: &Symbol) -> bool {
        self.working.values().any(|working| working.order.symbol == *symbol)
    }

    fn working_number(&self, id: &OrderId) -> Option<u64> {
        self.seen.get(id).copied().filter(|number| self.working.contains_key(number))
    }

    fn accept(&mut self, order: &Order) {
        self.accepted += 1;
        let millis = 2 * u64::from(self.config.latency_ms) + 1;
        let latency = i64::try_from(self.draw(&order.id, "latency", 0) % millis).unwrap_or(0) * 1_000_000;
        let arrives_at = Nanos(order.sent_at.0.saturating_add(latency));
        self.seen.insert(order.id.clone(), self.accepted);
        self.working.insert(self.accepted, Working { order: order.clone(), left: order.lots, arrives_at });
        self.tell(&order.id, What::Accepted);
    }

    fn open(&mut self, symbol: &Symbol, bar: &Bar) {
        self.opened.insert(symbol.clone(), bar.index);
        for number in self.eligible(symbol, bar, |order| {
            order.kind == Kind::Market
                || matches!(order.kind, Kind::Limit { .. }) && order.time_in_force == TimeInForce::ImmediateOrCancel
        }) {
            let Some(working) = self.working.get(&number) else { continue };
            let (kind, time_in_force, left) = (working.order.kind, working.order.time_in_force, working.left);
            let side = Side::of(left).unwrap_or(Side::Long);
            let price = self.config.fills.market(side, bar.open);
            // What the order would pay, spread included, must be within its limit.
            let fits = kind.price().is_none_or(|limit| match side {
                Side::Long => price <= limit,
                Side::Short => price >= limit,
            });
            let at = working.arrives_at.max(bar.open_time);
            if fits {
                self.trade(number, bar, price, at, true);
            }
            if time_in_force == TimeInForce::ImmediateOrCancel && self.working.contains_key(&number) {
                self.end(number, CancelReason::ImmediateOrCancel);
            }
        }
    }

    fn range(&mut self, symbol: &Symbol, bar: &Bar) {
        self.ranged.insert(symbol.clone(), bar.index);
        let stops = self.eligible(symbol, bar, |order| matches!(order.kind, Kind::Stop { .. }));
        let limits = self.eligible(symbol, bar, |order| matches!(order.kind, Kind::Limit { .. }));
        for number in stops.into_iter().chain(limits) {
            // An earlier order of this bar may have ended it as its sibling.
            let Some(working) = self.working.get(&number) else { continue };
            let side = Side::of(working.left).unwrap_or(Side::Long);
            let (price, may_be_partial) = match working.order.kind {
                Kind::Stop { trigger } => (self.config.fills.stop(side, trigger, bar), false),
                Kind::Limit { limit } => (self.config.fills.limit(side, limit, bar), true),
                Kind::Market => (None, false),
            };
            if let Some(price) = price {
                self.trade(number, bar, price, bar.close_time, may_be_partial);
            }
        }
    }

    /// Orders of a symbol that the bar can meet, in the order of their acceptance.
    fn eligible(&self, symbol: &Symbol, bar: &Bar, kind: impl Fn(&Order) -> bool) -> Vec<u64> {
        let fits = |working: &Working| {
            let order = &working.order;
            let later = order.after_index.is_none_or(|index| index < bar.index);
            order.symbol == *symbol && kind(order) && later && working.arrives_at < bar.close_time
        };
        self.working.iter().filter(|(_, working)| fits(working)).map(|(number, _)| *number).collect()
    }

    /// Fills an order as far as its nature allows.
    fn trade(&mut self, number: u64, bar: &Bar, price: Ticks, at: Nanos, may_be_partial: bool) {
        let Some(working) = self.working.get(&number) else { return };
        let (id, symbol, left) = (working.order.id.clone(), working.order.symbol.clone(), working.left.0);
        let held = self.positions.get(&symbol).copied().unwrap_or(0);
        let mut size = left.abs();
        if working.order.reduce_only {
            size = if held.signum() == -left.signum() { size.min(held.abs()) } else { 0 };
        }
        if size == 0 {
            return self.end(number, CancelReason::NothingToReduce);
        }
        if may_be_partial {
            size = self.part(&id, bar.index, size);
        }
        let Some(instrument) = self.instruments.get(&symbol) else { return };
        let lots = Lots(size * left.signum());
        let fee = self.config.fills.fee(instrument, lots, price);
        *self.positions.entry(symbol).or_default() += lots.0;
        self.tell(&id, What::Filled { lots, price, fee, at, bar: bar.index });
        let group = self.working.get(&number).and_then(|working| working.order.group.clone());
        self.take(number, lots, None);
        if let Some(group) = group {
            let in_group = |working: &Working| working.order.group.as_ref() == Some(&group);
            let siblings: Vec<u64> =
                self.working.iter().filter(|(other, working)| **other != number && in_group(working)).map(|(n, _)| *n).collect();
            siblings.into_iter().for_each(|sibling| self.take(sibling, lots, Some(CancelReason::Sibling)));
        }
    }

    /// Takes lots from what is left of an order, and tells so when it was not the order's own fill.
    fn take(&mut self, number: u64, lots: Lots, why: Option<CancelReason>) {
        let Some(working) = self.working.get_mut(&number) else { return };
        let taken = lots.0.abs().min(working.left.0.abs()) * working.left.0.signum();
        working.left.0 -= taken;
        let (id, left) = (working.order.id.clone(), working.left.0);
        match (left, why) {
            (0, None) => drop(self.working.remove(&number)),
            (0, Some(reason)) => self.end(number, reason),
            (_, None) => {}
            (_, Some(_)) => self.tell(&id, What::Reduced { lots: Lots(taken) }),
        }
    }

    fn end(&mut self, number: u64, reason: CancelReason) {
        if let Some(working) = self.working.remove(&number) {
            self.tell(&working.order.id, What::Cancelled { reason });
        }
    }

    fn tell(&mut self, order_id: &OrderId, what: What) {
        self.numbered += 1;
        self.events.push_back(VenueEvent { number: self.numbered, order_id: order_id.clone(), what });
    }

    /// The part of a fill that happens: all of it, or by chance of the seed less, but at least one lot.
    fn part(&self, id: &OrderId, bar: u64, size: i64) -> i64 {
        let draw = self.draw(id, "part", bar);
        if size < 2 || draw % 10_000 >= u64::from(self.config.partial_fill_bps) {
            return size;
        }
        let parts = u64::try_from(size - 1).unwrap_or(1);
        1 + i64::try_from((draw / 10_000) % parts).unwrap_or(0)
    }

    fn draw(&self, id: &OrderId, purpose: &str, salt: u64) -> u64 {
        let digest = Sha256::digest(format!("{}|{id}|{purpose}|{salt}", self.config.seed));
        digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}
