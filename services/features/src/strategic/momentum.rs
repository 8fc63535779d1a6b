//! Logarithmic returns over many bars, in units of their expected size.

use serde::{Deserialize, Serialize};

use super::window::Window;

/// Bars of `momentum_20` and `momentum_50`: part of the columns' names, so not configurable (ST-31).
pub const HORIZONS: [u32; 2] = [20, 50];
/// A smaller deviation of returns than this is none (ST-32).
pub(super) const LEAST_DEVIATION: f64 = 1e-12;

/// `ln(C_t / C_{t-n})` (ST-31).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Momentum {
    closes: Window,
}

impl Momentum {
    /// A momentum over `bars`, at least 1.
    #[must_use]
    pub fn new(bars: usize) -> Self {
        Self { closes: Window::new(bars.max(1)) }
    }

    /// Takes the next close; `None` until `bars` earlier closes are known.
    pub fn push(&mut self, close: f64) -> Option<f64> {
        self.closes.push(close).map(|earlier| libm::log(close / earlier))
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.closes.clear();
    }
}

/// Columns 8 and 9: momentum over its expected size, within +-1; 0 in a flat market (ST-8, ST-32).
#[must_use]
pub fn scaled(momentum: f64, deviation: f64, bars: u32) -> f64 {
    if deviation < LEAST_DEVIATION {
        return 0.0;
    }
    (momentum / (deviation * f64::from(bars).sqrt())).clamp(-3.0, 3.0) / 3.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]
    use super::*;

    /// ST-V8
    #[test]
    fn momentum_and_its_columns() {
        let mut momentum = Momentum::new(20);
        for _ in 0..20 {
            assert_eq!(momentum.push(100.0), None);
        }
        let seen = momentum.push(102.0).unwrap();
        assert!((seen - 0.019_802_63).abs() < 1e-7);
        assert!((scaled(seen, 0.005, 20) - 0.295_200_14).abs() < 1e-7);
        assert!((scaled(libm::log(1.05), 0.005, 50) - 0.459_998_08).abs() < 1e-7);
    }

    /// ST-8, ST-32
    #[test]
    fn bounds() {
        assert_eq!(scaled(9.0, 1e-3, 20), 1.0);
        assert_eq!(scaled(-9.0, 1e-3, 20), -1.0);
        assert_eq!(scaled(9.0, 1e-13, 20), 0.0);
    }
}
