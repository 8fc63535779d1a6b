//! Weighted moving average.

use serde::{Deserialize, Serialize};

use super::window::Window;

/// Linearly weighted average, the newest value weighs most (ST-19).
///
/// Summed anew over its short window at each bar: no rounding error is carried along.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Wma {
    values: Window,
    divisor: f64,
}

impl Wma {
    /// An average over `period` values, at least 1.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn new(period: usize) -> Self {
        let period = period.max(1);
        Self { values: Window::new(period), divisor: (period * (period + 1) / 2) as f64 }
    }

    /// Takes the next value; `None` until the window is full.
    #[allow(clippy::cast_precision_loss)]
    pub fn push(&mut self, value: f64) -> Option<f64> {
        self.values.push(value);
        if !self.values.is_full() {
            return None;
        }
        let sum: f64 = self.values.slice().iter().enumerate().map(|(i, value)| (i + 1) as f64 * value).sum();
        Some(sum / self.divisor)
    }

    /// Forgets all values.
    pub fn clear(&mut self) {
        self.values.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ST-V1
    #[test]
    fn average_of_one_to_five() {
        let mut wma = Wma::new(5);
        let seen: Vec<_> = [1.0, 2.0, 3.0, 4.0, 5.0].map(|value| wma.push(value)).to_vec();
        assert_eq!(seen[..4], [None; 4]);
        assert!(seen[4].is_some_and(|value| (value - 3.666_666_67).abs() < 1e-7), "{seen:?}");
    }
}
