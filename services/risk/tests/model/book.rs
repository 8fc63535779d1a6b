//! What the account holds and what works for it: cash that flowed, lots that are held, orders that may still fill.

use std::collections::BTreeMap;

use super::calls::{Bar, Fill, Listing};

/// The newest bar of a symbol, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Last price, ticks.
    pub price: i64,
    /// Close of the bar.
    pub close_time: i64,
}

/// One symbol in the book.
#[derive(Clone, Debug)]
struct Holding {
    listing: Listing,
    lots: i128,
    /// Money that flowed for it, fees included: negative after a purchase.
    cash: i128,
    mark: Option<Mark>,
}

impl Holding {
    fn value(&self) -> i128 {
        self.mark.map_or(0, |mark| self.lots.saturating_mul(i128::from(mark.price)).saturating_mul(self.listing.tick_value()))
    }
}

/// The open part of an accepted order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Working {
    /// What it trades.
    pub symbol: String,
    /// Signed size that is still open.
    pub lots: i128,
    /// Price at which it was valued, ticks.
    pub price: i128,
    /// May only reduce.
    pub reduce_only: bool,
}

/// The book of the account.
#[derive(Clone, Debug)]
pub struct Book {
    start: i128,
    holdings: BTreeMap<String, Holding>,
    working: BTreeMap<String, Working>,
}

impl Book {
    /// A book that holds nothing.
    #[must_use]
    pub fn new(start: i128, listings: &[Listing]) -> Self {
        let holding = |listing: &Listing| Holding { listing: listing.clone(), lots: 0, cash: 0, mark: None };
        let holdings = listings.iter().map(|listing| (listing.symbol.clone(), holding(listing))).collect();
        Self { start, holdings, working: BTreeMap::new() }
    }

    /// The instrument, when it is listed.
    #[must_use]
    pub fn listing(&self, symbol: &str) -> Option<&Listing> {
        self.holdings.get(symbol).map(|holding| &holding.listing)
    }

    /// All listed symbols.
    pub fn symbols(&self) -> impl Iterator<Item = &String> {
        self.holdings.keys()
    }

    /// Lots held; 0 of a symbol that is not listed.
    #[must_use]
    pub fn lots(&self, symbol: &str) -> i128 {
        self.holdings.get(symbol).map_or(0, |holding| holding.lots)
    }

    /// The newest mark.
    #[must_use]
    pub fn mark(&self, symbol: &str) -> Option<Mark> {
        self.holdings.get(symbol).and_then(|holding| holding.mark)
    }

    /// What the account began with, what flowed since, and what is held at its marks, nanos.
    #[must_use]
    pub fn equity(&self) -> i128 {
        let each = self.holdings.values().map(|holding| holding.cash.saturating_add(holding.value()));
        each.fold(self.start, i128::saturating_add)
    }

    /// Working orders by id.
    #[must_use]
    pub const fn working(&self) -> &BTreeMap<String, Working> {
        &self.working
    }

    /// An accepted order works.
    pub fn work(&mut self, id: &str, order: Working) {
        self.working.insert(id.to_owned(), order);
    }

    /// An order ended: cancelled, expired, refused by the venue.
    pub fn end(&mut self, id: &str) {
        self.working.remove(id);
    }

    /// Books an execution of a working order. False when there is no such order: the venue cannot fill what it does
    /// not hold, so the driver lost something.
    pub fn fill(&mut self, fill: &Fill) -> bool {
        let Some(order) = self.working.get_mut(&fill.id) else { return false };
        let Some(holding) = self.holdings.get_mut(&order.symbol) else { return false };
        let lots = i128::from(fill.lots);
        let paid = lots.saturating_mul(i128::from(fill.price)).saturating_mul(holding.listing.tick_value());
        holding.cash = holding.cash.saturating_sub(paid).saturating_sub(fill.fee);
        holding.lots += lots;
        order.lots -= lots;
        if order.lots == 0 {
            self.working.remove(&fill.id);
        }
        true
    }

    /// Takes a bar as the mark. False when it is of no listed symbol, or not newer than the one before.
    pub fn set_mark(&mut self, bar: &Bar) -> bool {
        let Some(holding) = self.holdings.get_mut(&bar.symbol) else { return false };
        if holding.mark.is_some_and(|mark| bar.close_time <= mark.close_time) {
            return false;
        }
        holding.mark = Some(Mark { price: bar.close(), close_time: bar.close_time });
        true
    }

    /// The largest size, without its sign, that fills of the working orders and of one more can bring, in whatever
    /// sequence: what only reduces goes first, as far as flat, and then all that opens goes one way.
    #[must_use]
    pub fn worst_lots(&self, symbol: &str, more: i128) -> i128 {
        let held = self.lots(symbol);
        let (mut up, mut down) = (held, held);
        for order in self.working.values().filter(|order| order.symbol == symbol && order.reduce_only) {
            if order.lots > 0 {
                up = (up + order.lots).min(up.max(0));
            } else {
                down = (down + order.lots).max(down.min(0));
            }
        }
        let free = self.working.values().filter(|order| order.symbol == symbol && !order.reduce_only);
        for lots in free.map(|order| order.lots).chain([more]) {
            if lots > 0 {
                up += lots;
            } else {
                down += lots;
            }
        }
        held.abs().max(up.abs()).max(down.abs())
    }

    /// The dearest price at which a symbol may have to be valued, ticks; `None` without a mark.
    #[must_use]
    pub fn dearest(&self, symbol: &str) -> Option<i128> {
        let mark = i128::from(self.mark(symbol)?.price);
        let opening = self.working.values().filter(|order| order.symbol == symbol && !order.reduce_only);
        Some(opening.map(|order| order.price).fold(mark, i128::max))
    }

    /// Value of `lots` at `price` ticks, nanos; `None` when it does not fit or the symbol is not listed.
    #[must_use]
    pub fn value(&self, symbol: &str, lots: i128, price: i128) -> Option<i128> {
        let unit = self.listing(symbol)?.tick_value();
        lots.checked_abs()?.checked_mul(price)?.checked_mul(unit)
    }

    /// Worst value of everything but one symbol, nanos; `None` when it does not fit.
    #[must_use]
    pub fn others(&self, symbol: &str) -> Option<i128> {
        let mut sum = 0_i128;
        for other in self.symbols().filter(|other| *other != symbol) {
            if let Some(price) = self.dearest(other) {
                sum = sum.checked_add(self.value(other, self.worst_lots(other, 0), price)?)?;
            }
        }
        Some(sum)
    }
}
