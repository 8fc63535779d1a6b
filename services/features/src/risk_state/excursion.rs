//! What a position has been through.

use crate::strategic::window::Window;
use tradewind_core::bar::{Bar, BarError};
use tradewind_core::instrument::Ticks;
use tradewind_core::side::Side;

/// Bars of the recent move (RK-25).
const MOVE_BARS: usize = 5;

/// Best and worst of an open position, in ticks (RK-25). All memory is taken by [`Excursion::new`].
#[derive(Clone, Debug)]
pub struct Excursion {
    side: Side,
    entry: Ticks,
    favourable: i64,
    adverse: i64,
    /// Closes of the bars before the newest.
    closes: Window<Ticks>,
    recent_move: i64,
}

impl Excursion {
    /// A position that was just opened.
    #[must_use]
    pub fn new(side: Side, entry: Ticks) -> Self {
        Self { side, entry, favourable: 0, adverse: 0, closes: Window::new(MOVE_BARS), recent_move: 0 }
    }

    /// Takes the next closed bar.
    ///
    /// # Errors
    /// [`BarError`]; nothing was changed.
    pub fn push(&mut self, bar: &Bar) -> Result<(), BarError> {
        bar.validate()?;
        let [low, high] = [bar.low, bar.high].map(|price| self.profit(price));
        self.favourable = self.favourable.max(low.max(high));
        self.adverse = self.adverse.max(low.min(high).saturating_neg());
        self.recent_move = self.closes.push(bar.close).map_or(0, |earlier| bar.close.0 - earlier.0);
        Ok(())
    }

    /// Ticks that the position gains at a price; negative for a loss.
    #[must_use]
    pub const fn profit(&self, price: Ticks) -> i64 {
        self.side.sign().saturating_mul(price.0.saturating_sub(self.entry.0))
    }

    /// Direction of the position.
    #[must_use]
    pub const fn side(&self) -> Side {
        self.side
    }

    /// Largest profit seen, at least 0 (MFE).
    #[must_use]
    pub const fn favourable(&self) -> i64 {
        self.favourable
    }

    /// Largest loss seen, at least 0 (MAE).
    #[must_use]
    pub const fn adverse(&self) -> i64 {
        self.adverse
    }

    /// Change of the close over five bars, whatever the side; 0 until five earlier closes are known.
    #[must_use]
    pub const fn recent_move(&self) -> i64 {
        self.recent_move
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tradewind_core::time::Nanos;

    fn bar(index: u64, [high, low, close]: [i64; 3]) -> Bar {
        let [high, low, close] = [high, low, close].map(Ticks);
        Bar { index, open_time: Nanos(0), close_time: Nanos(0), open: close, high, low, close, volume: 0.0 }
    }

    /// RK-25: highs help a long position, lows a short one; the move needs five earlier closes.
    #[test]
    fn best_and_worst_of_both_sides() {
        let run = |side| {
            let mut excursion = Excursion::new(side, Ticks(100));
            let figures = [[104, 99, 103], [106, 101, 105], [105, 90, 95], [99, 92, 96], [101, 95, 100], [112, 99, 111]];
            (0..).zip(figures).for_each(|(index, figures)| excursion.push(&bar(index, figures)).unwrap());
            [excursion.favourable(), excursion.adverse(), excursion.profit(Ticks(111)), excursion.recent_move()]
        };
        assert_eq!(run(Side::Long), [12, 10, 11, 8]);
        assert_eq!(run(Side::Short), [10, 12, -11, 8]);
    }

    /// A position that never moved the other way has no excursion there; a bad bar is refused.
    #[test]
    fn one_sided_positions() {
        let mut excursion = Excursion::new(Side::Long, Ticks(100));
        excursion.push(&bar(0, [110, 105, 106])).unwrap();
        assert_eq!((excursion.favourable(), excursion.adverse(), excursion.recent_move()), (10, 0, 0));
        assert!(excursion.push(&bar(1, [100, 0, 50])).is_err());
        assert_eq!(excursion.adverse(), 0);
    }
}
