//! Average true range.

use serde::{Deserialize, Serialize};

/// Wilder's average of the true range (ST-19), in the unit of the prices.
///
/// The first bar has no previous close and adds no range, so that 14 ranges are known at t = 14. The tactical
/// average counts the first bar's high - low instead.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Atr {
    period: u32,
    seen: u32,
    /// Sum of the first `period` ranges, then the average.
    value: f64,
    previous_close: Option<f64>,
}

impl Atr {
    /// An average over `period` ranges, at least 1.
    #[must_use]
    pub fn new(period: u32) -> Self {
        Self { period: period.max(1), seen: 0, value: 0.0, previous_close: None }
    }

    /// Takes the next bar; `None` until `period` ranges are known.
    pub fn push(&mut self, high: f64, low: f64, close: f64) -> Option<f64> {
        let range = true_range(high, low, self.previous_close.replace(close)?);
        let n = f64::from(self.period);
        if self.seen < self.period {
            self.seen += 1;
            self.value += range;
            if self.seen == self.period {
                self.value /= n;
            }
        } else {
            self.value = (self.value * (n - 1.0) + range) / n;
        }
        (self.seen == self.period).then_some(self.value)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::new(self.period);
    }
}

/// Largest of the bar's own range and its distances from the previous close.
#[must_use]
pub fn true_range(high: f64, low: f64, previous_close: f64) -> f64 {
    (high - low).max((high - previous_close).abs()).max((low - previous_close).abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ST-V4, last figure.
    #[test]
    #[allow(clippy::float_cmp)]
    fn the_previous_close_widens_the_range() {
        assert_eq!(true_range(102.0, 99.0, 98.0), 4.0);
    }

    /// ST-19: the mean of the first ranges, then Wilder's recursion.
    #[test]
    fn mean_then_recursion() {
        let mut atr = Atr::new(2);
        let seen =
            [(10.0, 9.0, 9.5), (11.0, 9.0, 10.0), (12.0, 8.0, 11.0), (12.0, 11.0, 11.5)].map(|(h, l, c)| atr.push(h, l, c));
        assert_eq!(seen, [None, None, Some(3.0), Some(2.0)]);
    }
}
