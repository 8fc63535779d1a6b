//! Asymmetry of the volume over price.

use serde::{Deserialize, Serialize};

use super::candle::Candle;
use super::window::Window;

/// A smaller variance than this is none (ST-38).
const LEAST_VARIANCE: f64 = 1e-16;

/// Volume-weighted skewness of the typical price over the newest bars (ST-38).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VolumeSkew {
    prices: Window,
    volumes: Window,
}

impl VolumeSkew {
    /// Over `bars`, at least 1; all memory is taken here.
    #[must_use]
    pub fn new(bars: usize) -> Self {
        Self { prices: Window::new(bars), volumes: Window::new(bars) }
    }

    /// Takes the next bar; `None` until the window is full.
    pub fn push(&mut self, candle: &Candle) -> Option<f64> {
        self.prices.push((candle.high + candle.low + candle.close) / 3.0);
        self.volumes.push(candle.volume);
        self.prices.is_full().then(|| weighted_skew(self.prices.slice(), self.volumes.slice()).unwrap_or(0.0))
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.prices.clear();
        self.volumes.clear();
    }
}

/// Column 12, within +-1 (ST-8).
#[must_use]
pub fn column(skew: f64) -> f64 {
    skew.clamp(-3.0, 3.0) / 3.0
}

/// Third central moment over variance^1.5; `None` without volume or variance.
#[must_use]
pub fn weighted_skew(prices: &[f64], volumes: &[f64]) -> Option<f64> {
    let total: f64 = volumes.iter().sum();
    if total <= 0.0 {
        return None;
    }
    let weighted = |moment: &dyn Fn(f64) -> f64| prices.iter().zip(volumes).map(|(p, v)| v / total * moment(*p)).sum::<f64>();
    let mean = weighted(&|price| price);
    let variance = weighted(&|price| (price - mean) * (price - mean));
    if variance < LEAST_VARIANCE {
        return None;
    }
    let third = weighted(&|price| (price - mean) * (price - mean) * (price - mean));
    Some(third / (variance * variance.sqrt()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]
    use super::*;

    /// ST-V12
    #[test]
    fn skew_of_five_prices() {
        let seen = weighted_skew(&[100.0, 101.0, 102.0, 103.0, 108.0], &[10.0, 20.0, 40.0, 20.0, 10.0]).unwrap();
        assert!((seen - 1.792_297_31).abs() < 1e-7, "{seen}");
        assert!((column(seen) - 0.597_432_44).abs() < 1e-7);
        assert_eq!((column(9.0), column(-9.0)), (1.0, -1.0));
    }

    /// ST-38: neither volume nor variance.
    #[test]
    fn nothing_to_weigh() {
        assert_eq!(weighted_skew(&[1.0, 2.0], &[0.0, 0.0]), None);
        assert_eq!(weighted_skew(&[2.0, 2.0], &[1.0, 3.0]), None);
    }
}
