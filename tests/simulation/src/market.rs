//! The true market: what the bars are, whoever has seen them.

use std::collections::BTreeMap;

use tradewind_core::bar::Bar;
use tradewind_core::instrument::{Instrument, Symbol, Ticks};
use tradewind_core::time::Nanos;
use tradewind_wire::bus::SequencedBar;
use tradewind_wire::v1;

/// Symbols of the simulation, by the number that steps name them with: of policy `one`, of policy `two`, of the liar.
pub const SYMBOLS: [&str; 3] = ["SPX", "IXIC", "GOLD"];
/// The account.
pub const ACCOUNT: &str = "paper-1";
/// Its policies; each trades the symbol of the same number.
pub const POLICIES: [&str; 3] = ["one", "two", "liar"];
/// Price before the first bar, ticks of 0.01.
const FIRST_PRICE: i64 = 100_000;
const DAY: i64 = 86_400_000_000_000;
/// Nano units of a price in a tick.
const TICK_NANOS: i64 = 10_000_000;

/// The instrument of a symbol: tick 0.01, lot 1, point value 1.
///
/// # Panics
/// Never: the symbols are those of [`SYMBOLS`].
#[must_use]
pub fn instrument(number: usize) -> Instrument {
    let symbol = Symbol::try_from(SYMBOLS[number % SYMBOLS.len()].to_owned());
    let figures = ["0.01", "1", "1"].map(|text| text.parse().ok());
    match (symbol, figures) {
        (Ok(symbol), [Some(tick), Some(lot), Some(point_value)]) => Instrument::new(symbol, tick, lot, point_value),
        _ => unreachable!("the symbols and figures above are valid"),
    }
    .unwrap_or_else(|_| unreachable!("the symbols and figures above are valid"))
}

/// How a bar comes out of the price before it, basis points: gap at the open, move to the close, and how far it strays.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// From the last close to the open.
    pub gap: i64,
    /// From the open to the close.
    pub drift: i64,
    /// Beyond the higher of the two.
    pub above: i64,
    /// Below the lower of the two.
    pub below: i64,
}

/// All bars so far.
#[derive(Clone, Debug, Default)]
pub struct Market {
    bars: Vec<SequencedBar>,
    closes: BTreeMap<usize, (u64, i64)>,
}

impl Market {
    /// The next bar of a symbol. Each takes the next place in the feed.
    pub fn next(&mut self, symbol: usize, shape: Shape) -> SequencedBar {
        let (index, last) = self.closes.get(&symbol).copied().unwrap_or((0, FIRST_PRICE));
        let moved = |price: i64, bps: i64| (price + price * bps / 10_000).clamp(1_000, 10_000_000);
        let open = moved(last, shape.gap);
        let close = moved(open, shape.drift);
        let (high, low) = (moved(open.max(close), shape.above.abs()), moved(open.min(close), -shape.below.abs()));
        self.closes.insert(symbol, (index + 1, close));
        // Both symbols of a day close at once.
        let open_time_ns = (10_000 + i64::try_from(index).unwrap_or(i64::MAX / (2 * DAY))) * DAY;
        let bar = v1::Bar {
            symbol: SYMBOLS[symbol].to_owned(),
            index,
            open_time_ns,
            close_time_ns: open_time_ns + DAY,
            open_nanos: open * TICK_NANOS,
            high_nanos: high * TICK_NANOS,
            low_nanos: low * TICK_NANOS,
            close_nanos: close * TICK_NANOS,
            volume: 1.0,
        };
        let sequence = self.bars.len() as u64 + 1;
        let bar = SequencedBar { sequence, arrived: Nanos(bar.close_time_ns), bar };
        self.bars.push(bar.clone());
        bar
    }

    /// The bar at a place of the feed.
    #[must_use]
    pub fn at(&self, sequence: u64) -> Option<&SequencedBar> {
        self.bars.get(usize::try_from(sequence.checked_sub(1)?).ok()?)
    }

    /// Whether a bar is the true one of its place.
    #[must_use]
    pub fn is_true(&self, sequence: u64, symbol: &Symbol, bar: &Bar) -> bool {
        self.at(sequence).is_some_and(|truth| {
            let prices = [truth.bar.open_nanos, truth.bar.high_nanos, truth.bar.low_nanos, truth.bar.close_nanos];
            let seen = [bar.open, bar.high, bar.low, bar.close];
            truth.bar.symbol == symbol.as_str()
                && truth.bar.index == bar.index
                && prices.iter().zip(seen).all(|(truth, Ticks(seen))| truth / TICK_NANOS == seen)
        })
    }
}
