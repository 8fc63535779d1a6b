//! Orders that are allowed and not yet done: they count as if they were filled.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use tradewind_core::instrument::{Lots, Symbol, Ticks};
use tradewind_core::orders::OrderId;
use tradewind_core::time::Nanos;

/// Length of the window in which orders are counted.
const MINUTE: i64 = 60_000_000_000;

/// The open part of an allowed order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// What it trades.
    pub symbol: Symbol,
    /// Signed size that is not filled yet.
    pub lots: Lots,
    /// The worse of its own price and the mark at which it was allowed.
    pub price: Ticks,
    /// Whether it may only reduce.
    pub reduce_only: bool,
}

/// Reservations of working orders, by order id (RK-125).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservations {
    open: BTreeMap<String, Reservation>,
}

/// Sizes by which the working orders of a symbol could move its position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Lots that orders free to open could buy.
    pub(crate) buys: i64,
    /// Lots that orders free to open could sell.
    pub(crate) sells: i64,
    /// Lots that reduce-only orders could buy.
    pub(crate) reducing_buys: i64,
    /// Lots that reduce-only orders could sell.
    pub(crate) reducing_sells: i64,
}

impl Reach {
    pub(crate) fn add(&mut self, lots: i64, reduce_only: bool) {
        let size = match (lots > 0, reduce_only) {
            (true, false) => &mut self.buys,
            (false, false) => &mut self.sells,
            (true, true) => &mut self.reducing_buys,
            (false, true) => &mut self.reducing_sells,
        };
        *size = size.saturating_add(lots.saturating_abs());
    }

    /// Largest position, without its sign, that any order of fills can lead to. Reduce-only orders may fill
    /// first, up to flat, and so make room for the others.
    pub(crate) fn worst(&self, held: i64) -> i64 {
        let up = held.saturating_add(self.buys).saturating_add(self.reducing_buys.min(held.saturating_neg().max(0)));
        let down = held.saturating_sub(self.sells).saturating_sub(self.reducing_sells.min(held.max(0)));
        up.saturating_abs().max(down.saturating_abs()).max(held.saturating_abs())
    }
}

impl Reservations {
    /// Reserves an order. Repeating an id replaces the earlier reservation.
    pub fn reserve(&mut self, order_id: &str, reservation: Reservation) {
        self.open.insert(order_id.to_owned(), reservation);
    }

    /// A part of an order was filled.
    pub fn filled(&mut self, order_id: &str, lots: Lots) {
        let Some(open) = self.open.get_mut(order_id) else { return };
        open.lots.0 = open.lots.0.saturating_sub(lots.0);
        if open.lots.0 == 0 || open.lots.0.signum() == lots.0.signum().saturating_neg() {
            self.open.remove(order_id);
        }
    }

    /// An order is done: filled, cancelled, expired or never sent.
    pub fn release(&mut self, order_id: &str) {
        self.open.remove(order_id);
    }

    /// The open part of an order.
    #[must_use]
    pub fn get(&self, order_id: &str) -> Option<&Reservation> {
        self.open.get(order_id)
    }

    /// Whether a part of an order is open.
    #[must_use]
    pub fn holds(&self, order_id: &str) -> bool {
        self.open.contains_key(order_id)
    }

    /// Ids of a policy's working orders that may open a position.
    #[must_use]
    pub fn entries_of(&self, policy: &str) -> Vec<OrderId> {
        let ours = |id: &str| id.strip_prefix(policy).is_some_and(|rest| rest.starts_with('/'));
        let open = self.open.iter().filter(|(id, open)| !open.reduce_only && ours(id));
        open.map(|(id, _)| OrderId::from_text(id.clone())).collect()
    }

    /// Open reservations, by order id.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Reservation)> {
        self.open.iter()
    }

    /// Number of open reservations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether nothing is reserved.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Number of working orders of a symbol that may only reduce.
    pub(crate) fn reducing(&self, symbol: &Symbol) -> u64 {
        self.open.values().filter(|open| open.reduce_only && open.symbol == *symbol).count() as u64
    }

    pub(crate) fn reach(&self, symbol: &Symbol) -> Reach {
        let mut reach = Reach::default();
        for open in self.open.values().filter(|open| open.symbol == *symbol) {
            reach.add(open.lots.0, open.reduce_only);
        }
        reach
    }
}

/// Orders of one kind in the last minute of event time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRate {
    times: VecDeque<Nanos>,
    newest: Nanos,
}

impl OrderRate {
    /// Counts an order. Event time never runs back: an earlier instant counts as the newest one.
    pub fn count(&mut self, at: Nanos) {
        self.newest = self.newest.max(at);
        self.times.push_back(self.newest);
        while self.times.front().is_some_and(|first| self.newest.since(*first) >= MINUTE) {
            self.times.pop_front();
        }
    }

    /// Orders counted in the minute that ends at `at`.
    #[must_use]
    pub fn within_minute(&self, at: Nanos) -> u64 {
        let end = self.newest.max(at);
        self.times.iter().filter(|time| end.since(**time) < MINUTE).count() as u64
    }
}
