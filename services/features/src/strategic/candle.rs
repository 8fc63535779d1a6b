//! A closed bar as features see it.

use serde::{Deserialize, Serialize};

use tradewind_core::bar::Bar;
use tradewind_core::time::Nanos;

/// Prices outside are refused: squares and ratios of the features stay finite inside.
pub const PRICE_RANGE: [f64; 2] = [1e-15, 1e19];
/// Largest volume of a bar, for the same reason.
pub const MAX_VOLUME: f64 = 1e24;

/// A closed bar in floats; features need no exact prices, they never become money.
///
/// All features are free of scale, so any unit of price does. Ticks are best, because then the few absolute
/// thresholds (1e-12 and below) mean "nothing" for every instrument.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candle {
    /// Number of the bar within its symbol and feed, from 0, without holes.
    pub index: u64,
    /// Instant from which the bar is known, UTC.
    pub close_time: Nanos,
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Traded volume, any unit.
    pub volume: f64,
}

/// Why a bar is unusable (ST-19: fails closed).
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum CandleError {
    /// A figure is infinite or not a number.
    #[error("bar {index}: {field} is {value}, it must be finite")]
    NotFinite {
        /// Number of the bar.
        index: u64,
        /// Which figure.
        field: &'static str,
        /// The value seen.
        value: f64,
    },
    /// A price is zero, negative or beyond [`PRICE_RANGE`].
    #[error("bar {index}: {field} is {value}, prices must lie within 1e-15 and 1e19")]
    Price {
        /// Number of the bar.
        index: u64,
        /// Which price.
        field: &'static str,
        /// The value seen.
        value: f64,
    },
    /// High and low do not enclose open and close.
    #[error("bar {index}: low {low} and high {high} must enclose open and close")]
    Range {
        /// Number of the bar.
        index: u64,
        /// Lowest price.
        low: f64,
        /// Highest price.
        high: f64,
    },
    /// The volume is negative or beyond [`MAX_VOLUME`].
    #[error("bar {index}: volume is {value}, it must lie within 0 and 1e24")]
    Volume {
        /// Number of the bar.
        index: u64,
        /// The value seen.
        value: f64,
    },
}

impl Candle {
    /// A bar in ticks.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub const fn from_bar(bar: &Bar) -> Self {
        Self {
            index: bar.index,
            close_time: bar.close_time,
            open: bar.open.0 as f64,
            high: bar.high.0 as f64,
            low: bar.low.0 as f64,
            close: bar.close.0 as f64,
            volume: bar.volume,
        }
    }

    /// Refuses what no market can produce; NaN and infinity are named.
    ///
    /// # Errors
    /// [`CandleError`] names the first fault.
    pub fn validate(&self) -> Result<(), CandleError> {
        let index = self.index;
        let prices = [("open", self.open), ("high", self.high), ("low", self.low), ("close", self.close)];
        for (field, value) in prices.into_iter().chain([("volume", self.volume)]) {
            if !value.is_finite() {
                return Err(CandleError::NotFinite { index, field, value });
            }
        }
        for (field, value) in prices {
            if !(PRICE_RANGE[0]..=PRICE_RANGE[1]).contains(&value) {
                return Err(CandleError::Price { index, field, value });
            }
        }
        if self.low > self.open.min(self.close) || self.high < self.open.max(self.close) {
            return Err(CandleError::Range { index, low: self.low, high: self.high });
        }
        if !(0.0..=MAX_VOLUME).contains(&self.volume) {
            return Err(CandleError::Volume { index, value: self.volume });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Candle = Candle { index: 4, close_time: Nanos(0), open: 2.0, high: 3.0, low: 1.0, close: 2.5, volume: 0.0 };

    /// ST-19: every fault is named with its field and value.
    #[test]
    fn faults_are_named() {
        assert_eq!(GOOD.validate(), Ok(()));
        let text = |candle: Candle| candle.validate().map_err(|error| error.to_string());
        let refused = |wanted: &str| Err(wanted.to_owned());
        assert_eq!(text(Candle { high: f64::NAN, ..GOOD }), refused("bar 4: high is NaN, it must be finite"));
        assert_eq!(text(Candle { volume: f64::INFINITY, ..GOOD }), refused("bar 4: volume is inf, it must be finite"));
        assert_eq!(text(Candle { low: 0.0, ..GOOD }), refused("bar 4: low is 0, prices must lie within 1e-15 and 1e19"));
        assert_eq!(text(Candle { close: -1.0, ..GOOD }), refused("bar 4: close is -1, prices must lie within 1e-15 and 1e19"));
        assert_eq!(text(Candle { low: 2.2, ..GOOD }), refused("bar 4: low 2.2 and high 3 must enclose open and close"));
        assert_eq!(text(Candle { high: 2.4, ..GOOD }), refused("bar 4: low 1 and high 2.4 must enclose open and close"));
        assert_eq!(text(Candle { volume: -0.5, ..GOOD }), refused("bar 4: volume is -0.5, it must lie within 0 and 1e24"));
    }
}
