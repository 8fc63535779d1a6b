//! Relative strength index.

use serde::{Deserialize, Serialize};

/// Wilder's index of the differences of closes, 0 to 100 (ST-19).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rsi {
    period: u32,
    seen: u32,
    previous: Option<f64>,
    /// Sums of the first `period` gains and losses, then their averages.
    gain: f64,
    loss: f64,
}

impl Rsi {
    /// An index over `period` differences, at least 1.
    #[must_use]
    pub fn new(period: u32) -> Self {
        Self { period: period.max(1), seen: 0, previous: None, gain: 0.0, loss: 0.0 }
    }

    /// Takes the next close; `None` until `period` differences are known, 50 while nothing moves.
    pub fn push(&mut self, close: f64) -> Option<f64> {
        let difference = close - self.previous.replace(close)?;
        let (gain, loss) = (difference.max(0.0), (-difference).max(0.0));
        let n = f64::from(self.period);
        if self.seen < self.period {
            self.seen += 1;
            self.gain += gain;
            self.loss += loss;
            if self.seen == self.period {
                self.gain /= n;
                self.loss /= n;
            }
        } else {
            self.gain = (self.gain * (n - 1.0) + gain) / n;
            self.loss = (self.loss * (n - 1.0) + loss) / n;
        }
        (self.seen == self.period).then(|| {
            let sum = self.gain + self.loss;
            if sum > 0.0 { 100.0 * self.gain / sum } else { 50.0 }
        })
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::new(self.period);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// ST-V2
    #[test]
    fn index_over_five_differences() {
        let mut rsi = Rsi::new(5);
        let seen: Vec<_> = [10.0, 11.0, 10.5, 11.5, 11.0, 12.0, 11.0].map(|close| rsi.push(close)).to_vec();
        assert_eq!(seen[..5], [None; 5]);
        assert!((seen[5].unwrap() - 75.0).abs() < 1e-7);
        assert!((seen[6].unwrap() - 57.142_857).abs() < 1e-6);
    }

    /// ST-19: 50 while nothing moves, 100 and 0 when only one side does.
    #[test]
    fn one_sided_and_flat_series() {
        let newest = |closes: [f64; 4]| {
            let mut rsi = Rsi::new(3);
            closes.map(|close| rsi.push(close))[3]
        };
        assert_eq!(newest([5.0; 4]), Some(50.0));
        assert_eq!(newest([1.0, 2.0, 3.0, 4.0]), Some(100.0));
        assert_eq!(newest([4.0, 3.0, 2.0, 1.0]), Some(0.0));
    }
}
