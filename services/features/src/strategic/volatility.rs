//! Deviation of returns, and how it compares with its own past.

use serde::{Deserialize, Serialize};

use super::config::VolatilityConfig;
use super::momentum::LEAST_DEVIATION;
use super::window::{SortedWindow, Window};

/// What is known of the volatility at one bar.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolatilityReading {
    /// Standard deviation of the newest 30 returns, n - 1 (ST-32).
    pub deviation: f64,
    /// The same over its median of the newest 480 bars, around 1, at least 0 (ST-33).
    pub ratio: f64,
}

impl VolatilityReading {
    /// Column 11, within +-1 (ST-8).
    #[must_use]
    pub fn column(&self) -> f64 {
        column(self.ratio)
    }
}

fn column(ratio: f64) -> f64 {
    libm::log(ratio).clamp(-2.0, 2.0) / 2.0
}

/// Incremental volatility (ST-32, ST-33).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Volatility {
    returns: Window,
    past: SortedWindow,
}

impl Volatility {
    /// Without history; all memory is taken here.
    #[must_use]
    pub fn new(config: &VolatilityConfig) -> Self {
        Self { returns: Window::new(config.bars as usize), past: SortedWindow::new(config.median_bars as usize) }
    }

    /// Takes the next return; `None` until the window is full.
    pub fn push(&mut self, log_return: f64) -> Option<VolatilityReading> {
        self.returns.push(log_return);
        if !self.returns.is_full() {
            return None;
        }
        let deviation = sample_deviation(self.returns.slice());
        self.past.push(deviation);
        let median = self.past.median()?;
        let ratio = if median < LEAST_DEVIATION { 1.0 } else { deviation / median };
        Some(VolatilityReading { deviation, ratio })
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.returns.clear();
        self.past.clear();
    }
}

/// `sd1`: standard deviation with n - 1, from the mean (two passes); 0 for fewer than two values.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn sample_deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    (squares / (n - 1.0)).sqrt()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]
    use super::*;

    /// ST-V9
    #[test]
    fn column_and_deviation() {
        assert!((column(1.5) - 0.202_732_55).abs() < 1e-7);
        assert!((column(0.5) + 0.346_573_59).abs() < 1e-7);
        assert_eq!((column(10.0), column(0.0)), (1.0, -1.0));
        let returns = [0.01, -0.02, 0.015, 0.0, 0.005];
        assert!((sample_deviation(&returns) - 0.013_509_26).abs() < 1e-7);
        let population = sample_deviation(&returns) * (4.0_f64 / 5.0).sqrt();
        assert!((population - 0.012_083_05).abs() < 1e-7, "not the one that is used");
    }

    /// ST-33: the first ratio is 1, a flat past gives 1, the median includes the newest bar.
    #[test]
    fn the_ratio_compares_with_the_median() {
        let mut volatility = Volatility::new(&VolatilityConfig { bars: 2, median_bars: 3 });
        assert_eq!(volatility.push(0.0), None);
        assert_eq!(volatility.push(0.0).unwrap().ratio, 1.0);
        let first = volatility.push(0.02).unwrap();
        assert_eq!(first.ratio, 2.0, "median of 0 and s is s / 2");
        volatility.push(0.0);
        assert_eq!(volatility.push(0.06).unwrap().ratio, 3.0);
    }
}
