//! A closed bar, in ticks.

use serde::{Deserialize, Serialize};

use crate::instrument::Ticks;
use crate::time::Nanos;

/// A closed bar of one symbol. Its figures are known at `close_time`, never before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// Number of the bar within its symbol and feed, from 0, without holes.
    pub index: u64,
    /// Opening instant (for daily bars the label of the session).
    pub open_time: Nanos,
    /// Instant from which the bar is known.
    pub close_time: Nanos,
    /// First price.
    pub open: Ticks,
    /// Highest price.
    pub high: Ticks,
    /// Lowest price.
    pub low: Ticks,
    /// Last price.
    pub close: Ticks,
    /// Traded volume in the source's unit; finite and not negative.
    pub volume: f64,
}

/// Why a bar cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum BarError {
    /// A price is zero or negative.
    #[error("bar {index}: low is {low} ticks, prices must be above 0")]
    Price {
        /// Number of the bar.
        index: u64,
        /// Lowest price seen.
        low: i64,
    },
    /// High and low do not enclose open and close.
    #[error("bar {index}: low {low} and high {high} (ticks) must enclose open and close")]
    Range {
        /// Number of the bar.
        index: u64,
        /// Lowest price.
        low: i64,
        /// Highest price.
        high: i64,
    },
    /// The volume is negative, infinite or not a number.
    #[error("bar {index}: volume is {volume}, it must be finite and at least 0")]
    Volume {
        /// Number of the bar.
        index: u64,
        /// The value seen.
        volume: f64,
    },
    /// The bar closes before it opens.
    #[error("bar {index}: it closes before it opens")]
    Time {
        /// Number of the bar.
        index: u64,
    },
}

impl Bar {
    /// Refuses figures that no market can produce; NaN fails closed.
    ///
    /// # Errors
    /// [`BarError`] names the first fault.
    pub fn validate(&self) -> Result<(), BarError> {
        let index = self.index;
        if self.low.0 <= 0 {
            return Err(BarError::Price { index, low: self.low.0 });
        }
        let enclosed = self.low <= self.open.min(self.close) && self.high >= self.open.max(self.close);
        if !enclosed {
            return Err(BarError::Range { index, low: self.low.0, high: self.high.0 });
        }
        if !(self.volume.is_finite() && self.volume >= 0.0) {
            return Err(BarError::Volume { index, volume: self.volume });
        }
        if self.close_time < self.open_time {
            return Err(BarError::Time { index });
        }
        Ok(())
    }
}
