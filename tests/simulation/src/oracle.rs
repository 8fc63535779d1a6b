//! What must hold, judged from the gate's own records by books of the simulation's own.
//!
//! Written from the limits' definitions (RK-107 ff., EX-114 to EX-118), without any code of the gate: a position here is the
//! sum of fills, an amount is lots times ticks.

use std::collections::{BTreeMap, BTreeSet};

use tradewind_core::orders::{Kind, Order, OrderId};
use tradewind_crds::Decimal;
use tradewind_crds::risk_profile::Limits;
use tradewind_risk::{CheckRecord, MetRecord, Record};
use tradewind_venue::adapter::Phase;
use tradewind_venue::paper::{VenueEvent, What};
use tradewind_wire::v1;

use crate::market::{Market, POLICIES, SYMBOLS};

/// Nano units of money of one lot in a price of one tick.
const TICK: i128 = 10_000_000;

/// An order that works.
#[derive(Clone, Debug)]
struct Live {
    order: Order,
    symbol: usize,
    left: i64,
    price: i64,
}

/// Limits that an entry is held to, money in nano units.
#[derive(Clone, Copy, Debug)]
struct Bound {
    order: i128,
    position: i128,
    gross_bps: i128,
    collar_bps: i128,
}

impl Bound {
    fn of(limits: &Limits) -> Self {
        Self {
            order: limits.max_order_notional.nanos(),
            position: limits.max_position_notional.nanos(),
            gross_bps: i128::from(limits.max_gross_exposure_bps),
            collar_bps: i128::from(limits.price_collar_bps),
        }
    }

    /// A looser limit waits for an approval, which nobody gives here.
    fn tightened(self, by: Self) -> Self {
        Self {
            order: self.order.min(by.order),
            position: self.position.min(by.position),
            gross_bps: self.gross_bps.min(by.gross_bps),
            collar_bps: self.collar_bps.min(by.collar_bps),
        }
    }
}

/// What an account can be in the middle of, when something happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// No bar has come.
    Fresh,
    /// Nothing is held or on its way.
    Flat,
    /// An order that opens a position works.
    Entering,
    /// A position is held.
    Holding,
    /// A bar was met up to its open, and something traded there.
    WithinABar,
    /// A halt is in force.
    Halted,
    /// The gate does not run.
    Down,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 7] =
        [Self::Fresh, Self::Flat, Self::Entering, Self::Holding, Self::WithinABar, Self::Halted, Self::Down];
}

/// What happened, for the figures at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Orders that the gate judged.
    pub checked: u64,
    /// Orders that it let through.
    pub allowed: u64,
    /// Fills.
    pub fills: u64,
    /// Halts.
    pub halts: u64,
}

/// The books of the simulation, and what they found wrong.
pub struct Oracle {
    judged: usize,
    /// None before the first profile.
    bound: Option<Bound>,
    cash: i128,
    positions: [i64; SYMBOLS.len()],
    marks: [Option<i64>; SYMBOLS.len()],
    live: BTreeMap<OrderId, Live>,
    accepted: BTreeSet<String>,
    numbers: BTreeMap<String, u64>,
    epochs: BTreeMap<String, u64>,
    halt: Option<String>,
    /// A bar was met up to its open only.
    within_a_bar: bool,
    violations: Vec<String>,
    /// Figures.
    pub tally: Tally,
}

impl Oracle {
    /// Books of an account that begins with so much.
    #[must_use]
    pub fn new(starting_equity: Decimal) -> Self {
        Self {
            judged: 0,
            bound: None,
            cash: starting_equity.nanos(),
            positions: Default::default(),
            marks: Default::default(),
            live: BTreeMap::new(),
            accepted: BTreeSet::new(),
            numbers: BTreeMap::new(),
            epochs: BTreeMap::new(),
            halt: None,
            within_a_bar: false,
            violations: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// What the account is in the middle of.
    #[must_use]
    pub fn state(&self) -> State {
        let opens = |live: &Live| !live.order.reduce_only;
        match () {
            () if self.halt.is_some() => State::Halted,
            () if self.within_a_bar => State::WithinABar,
            () if self.live.values().any(opens) => State::Entering,
            () if self.positions.iter().any(|lots| *lots != 0) => State::Holding,
            () if self.marks.iter().any(Option::is_some) => State::Flat,
            () => State::Fresh,
        }
    }

    /// Records judged so far.
    #[must_use]
    pub const fn judged(&self) -> usize {
        self.judged
    }

    /// What did not hold, the first of it first.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// Notes what did not hold.
    pub fn violated(&mut self, text: String) {
        self.violations.push(text);
    }

    /// Lots held in a symbol.
    #[must_use]
    pub fn lots(&self, symbol: usize) -> i64 {
        self.positions[symbol]
    }

    /// Price of the newest bar, or of its open while no more of it was met, ticks.
    #[must_use]
    pub fn mark(&self, symbol: usize) -> Option<i64> {
        self.marks[symbol]
    }

    /// Epoch in force of a policy; 0 before the first.
    #[must_use]
    pub fn epoch(&self, policy: &str) -> u64 {
        self.epochs.get(policy).copied().unwrap_or(0)
    }

    /// Events of a policy's venue so far.
    #[must_use]
    pub fn events(&self, policy: &str) -> u64 {
        self.numbers.get(policy).copied().unwrap_or(0)
    }

    /// Ids and lots of a policy's working orders; of all for an empty name.
    #[must_use]
    pub fn working(&self, policy: &str) -> Vec<(String, i64)> {
        let ours = self.live.iter().filter(|(id, _)| id.as_str().starts_with(policy));
        ours.map(|(id, live)| (id.to_string(), live.left)).collect()
    }

    /// What the gate told a trader: an order that it let through is in its journal.
    pub fn promised(&mut self, request: &v1::PlaceRequest, reply: &v1::PlaceReply) {
        for (order, verdict) in request.orders.iter().zip(&reply.verdicts) {
            if verdict.allowed && !self.accepted.contains(&order.order_id) {
                self.violated(format!("the gate let {} through and did not write it down", order.order_id));
            }
        }
    }

    /// Judges the next record of the gate.
    pub fn judge(&mut self, record: &Record, market: &Market) {
        self.judged += 1;
        match record {
            Record::Profile { spec, .. } => {
                let wanted = Bound::of(&spec.limits);
                self.bound = Some(self.bound.map_or(wanted, |bound| bound.tightened(wanted)));
                if !spec.halt && self.halt.as_ref().is_some_and(|halt| spec.acknowledge_halt == *halt) {
                    self.halt = None;
                }
            }
            Record::Halted(halt) => {
                self.tally.halts += u64::from(self.halt.is_none());
                self.halt = Some(halt.id.clone());
            }
            Record::Acquired { policy, epoch, .. } => {
                let before = self.epochs.insert(policy.clone(), *epoch).unwrap_or(0);
                if *epoch <= before {
                    self.violated(format!("epoch {epoch} of {policy} was given after {before}"));
                }
            }
            Record::Checked(check) => self.checked(check),
            Record::Cancelled(cancel) => self.told(&cancel.policy, &cancel.events, None),
            Record::Met(met) => self.met(met, market),
            Record::Opened { .. } | Record::ProfileGone | Record::Account { .. } | Record::Follows { .. } => {}
        }
    }

    fn checked(&mut self, check: &CheckRecord) {
        self.tally.checked += 1;
        if check.denials.is_empty() {
            self.tally.allowed += 1;
            self.allowed(check);
        }
        self.told(&check.policy, &check.events, None);
    }

    /// An order that was let through.
    fn allowed(&mut self, check: &CheckRecord) {
        let order = &check.order;
        let symbol = SYMBOLS.iter().position(|symbol| *symbol == order.symbol.as_str());
        let Some(symbol) = symbol.filter(|symbol| POLICIES[*symbol] == check.policy) else {
            return self.violated(format!("{} of {} is about {}", order.id, check.policy, order.symbol));
        };
        if !self.accepted.insert(order.id.to_string()) {
            self.violated(format!("{} was let through a second time", order.id));
        }
        let Some(mark) = self.marks[symbol] else {
            return self.violated(format!("{} was let through before the first bar of its symbol", order.id));
        };
        let price = order.kind.price().map_or(mark, |price| price.0);
        let wrong = if order.reduce_only { self.not_reducing(symbol, order) } else { self.beyond(symbol, order, price, mark) };
        if let Some(wrong) = wrong {
            self.violated(format!("{} ({} lots at {price}, mark {mark}) was let through: {wrong}", order.id, order.lots.0));
        }
        let live = Live { order: order.clone(), symbol, left: order.lots.0, price: price.max(mark) };
        self.live.insert(order.id.clone(), live);
    }

    fn not_reducing(&self, symbol: usize, order: &Order) -> Option<String> {
        let held = self.positions[symbol];
        let reduces = held.signum() == -order.lots.0.signum() && order.lots.0.abs() <= held.abs();
        (!reduces).then(|| format!("it may only reduce, and {held} lots are held"))
    }

    /// The first limit that an entry goes beyond, everything that works counted as filled.
    fn beyond(&self, symbol: usize, order: &Order, price: i64, mark: i64) -> Option<String> {
        if let Some(halt) = &self.halt {
            return Some(format!("{halt} is in force"));
        }
        if !matches!(order.kind, Kind::Limit { .. }) {
            return Some(format!("an entry without a limit: {:?}", order.kind));
        }
        let Some(bound) = self.bound else { return Some("no profile was ever read".into()) };
        let worse = price.max(mark);
        let distance = i128::from((price - mark).abs()) * 10_000;
        if distance > i128::from(mark) * bound.collar_bps {
            return Some(format!("the collar is {} bps", bound.collar_bps));
        }
        let value = amount(order.lots.0, worse);
        if value > bound.order {
            return Some(format!("worth {value}, an order may be worth {}", bound.order));
        }
        let own = self.reach(symbol, Some((order.lots.0, worse)));
        if own > bound.position {
            return Some(format!("a position of {own} could follow, allowed is {}", bound.position));
        }
        let others: i128 = (0..SYMBOLS.len()).filter(|other| *other != symbol).map(|other| self.reach(other, None)).sum();
        let allowed = self.equity() * bound.gross_bps / 10_000;
        (own + others > allowed).then(|| format!("gross exposure could become {}, allowed is {allowed}", own + others))
    }

    /// Worst value of a symbol's position once what works, and this as well, has filled on one side.
    fn reach(&self, symbol: usize, with: Option<(i64, i64)>) -> i128 {
        let held = self.positions[symbol];
        let working = self.live.values().filter(|live| live.symbol == symbol && !live.order.reduce_only);
        let (mut up, mut down, mut dearest) = (held, held, self.marks[symbol].unwrap_or(0));
        for (lots, price) in working.map(|live| (live.left, live.price)).chain(with) {
            up += lots.max(0);
            down += lots.min(0);
            dearest = dearest.max(price);
        }
        amount(up.abs().max(down.abs()), dearest)
    }

    /// Money and positions at the newest prices.
    #[must_use]
    pub fn equity(&self) -> i128 {
        let held = self.positions.iter().zip(self.marks);
        self.cash + held.map(|(lots, mark)| i128::from(*lots) * i128::from(mark.unwrap_or(0)) * TICK).sum::<i128>()
    }

    fn met(&mut self, met: &MetRecord, market: &Market) {
        if !market.is_true(met.sequence, &met.symbol, &met.bar) {
            self.violated(format!("bar {} of {} was never in the market", met.sequence, met.symbol));
        }
        self.told(&met.policy, &met.events, Some(met));
        let symbol = SYMBOLS.iter().position(|symbol| *symbol == met.symbol.as_str());
        if let Some(symbol) = symbol {
            self.within_a_bar = met.phase == Phase::Open;
            let price = if self.within_a_bar { met.bar.open } else { met.bar.close };
            self.marks[symbol] = Some(price.0);
        }
    }

    /// What the venue told of a policy's orders.
    fn told(&mut self, policy: &str, events: &[VenueEvent], met: Option<&MetRecord>) {
        for event in events {
            let due = self.numbers.get(policy).copied().unwrap_or(0) + 1;
            if event.number != due {
                self.violated(format!("event {} of {policy} came where {due} was due", event.number));
            }
            self.numbers.insert(policy.to_owned(), event.number);
            let Some(mut live) = self.live.get(&event.order_id).cloned() else {
                self.violated(format!("the venue tells of {}, which does not work: {:?}", event.order_id, event.what));
                continue;
            };
            match &event.what {
                What::Accepted => continue,
                What::Filled { lots, price, fee, .. } => {
                    if let Some(wrong) = self.filled_wrongly(&live, lots.0, price.0, met) {
                        self.violated(format!("{} filled {} lots at {}: {wrong}", event.order_id, lots.0, price.0));
                    }
                    self.tally.fills += 1;
                    self.positions[live.symbol] += lots.0;
                    self.cash -= i128::from(lots.0) * i128::from(price.0) * TICK + fee.nanos();
                    live.left -= lots.0;
                }
                What::Reduced { lots } => live.left -= lots.0,
                What::Cancelled { .. } => live.left = 0,
            }
            if live.left == 0 {
                self.live.remove(&event.order_id);
            } else {
                self.live.insert(event.order_id.clone(), live);
            }
        }
    }

    fn filled_wrongly(&self, live: &Live, lots: i64, price: i64, met: Option<&MetRecord>) -> Option<String> {
        let Some(met) = met.filter(|met| met.symbol == live.order.symbol) else {
            return Some("no bar of its symbol was met".into());
        };
        if lots.signum() != live.left.signum() || lots.abs() > live.left.abs() {
            return Some(format!("{} lots were left", live.left));
        }
        // Half a spread of 2 bps, rounded up.
        let spread = price / 10_000 + 2;
        if price < met.bar.low.0 - spread || price > met.bar.high.0 + spread {
            return Some(format!("the bar went from {} to {}", met.bar.low.0, met.bar.high.0));
        }
        if let Kind::Limit { limit } = live.order.kind
            && (price - limit.0) * lots.signum() > 0
        {
            return Some(format!("its limit is {}", limit.0));
        }
        let held = self.positions[live.symbol];
        if live.order.reduce_only && (held.signum() != -lots.signum() || lots.abs() > held.abs()) {
            return Some(format!("it may only reduce, and {held} lots are held"));
        }
        match &self.halt {
            Some(halt) if !live.order.reduce_only => Some(format!("{halt} is in force")),
            _ => None,
        }
    }
}

/// Value of so many lots at a price in ticks, nano units, without a sign.
fn amount(lots: i64, price: i64) -> i128 {
    (i128::from(lots) * i128::from(price) * TICK).abs()
}
