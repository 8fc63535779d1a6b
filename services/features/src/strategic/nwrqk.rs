//! Kernel regression of the close.

use serde::{Deserialize, Serialize};

use super::config::KernelConfig;
use super::window::Window;

/// Below this average true range a slope has no unit.
const LEAST_ATR: f64 = 1e-12;

/// Relative distance of the estimate from the close at which column 2 is full (ST-8).
const ESTIMATE_REACH: f64 = 0.05;
/// Slope at which column 3 is full, ATR per bar (ST-8).
const SLOPE_REACH: f64 = 2.0;

/// What the regression says at one bar.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NwrqkReading {
    /// Estimate of the close, in the unit of the prices (ST-24).
    pub value: f64,
    /// Change of the estimate in ATR per bar (ST-25); `None` at the first estimate and while the ATR is unknown.
    pub slope: Option<f64>,
    /// +1 or -1 when the slope changes its sign at this bar, else 0 (ST-25).
    pub signal: i8,
}

impl NwrqkReading {
    /// Column 2: how far the estimate lies from the close, within +-1 (ST-8).
    #[must_use]
    pub fn value_column(&self, close: f64) -> f64 {
        ((self.value / close - 1.0) / ESTIMATE_REACH).clamp(-1.0, 1.0)
    }

    /// Column 3: the slope, within +-1 (ST-8).
    #[must_use]
    pub fn slope_column(&self) -> Option<f64> {
        self.slope.map(|slope| slope.clamp(-SLOPE_REACH, SLOPE_REACH) / SLOPE_REACH)
    }
}

/// Nadaraya-Watson regression with a rational quadratic kernel over the newest closes (ST-22 to ST-25).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Nwrqk {
    /// Weight of lag 0, 1, ..., and their sum.
    weights: Vec<f64>,
    weight_sum: f64,
    closes: Window,
    value: Option<f64>,
    slope: Option<f64>,
}

impl Nwrqk {
    /// A regression without history.
    #[must_use]
    pub fn new(config: &KernelConfig) -> Self {
        let weights = kernel_weights(config);
        Self { weight_sum: weights.iter().sum(), closes: Window::new(weights.len()), weights, value: None, slope: None }
    }

    /// Takes the next close and the ATR after it; `None` until the window is full.
    pub fn push(&mut self, close: f64, atr: Option<f64>) -> Option<NwrqkReading> {
        self.closes.push(close);
        if !self.closes.is_full() {
            return None;
        }
        let newest_first = self.closes.slice().iter().rev();
        let value = self.weights.iter().zip(newest_first).map(|(w, close)| w * close).sum::<f64>() / self.weight_sum;
        let before = self.value.replace(value);
        let slope = before.zip(atr).map(|(before, atr)| if atr < LEAST_ATR { 0.0 } else { (value - before) / atr });
        let signal = flip(std::mem::replace(&mut self.slope, slope), slope);
        Some(NwrqkReading { value, slope, signal })
    }

    /// Forgets the slope that the next one would be compared with (ST-18).
    pub fn forget_crossings(&mut self) {
        self.slope = None;
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.closes.clear();
        self.value = None;
        self.slope = None;
    }
}

/// `(1 + j^2 / (2 alpha h^2))^-alpha` for lag j (ST-23).
#[allow(clippy::cast_precision_loss)]
fn kernel_weights(config: &KernelConfig) -> Vec<f64> {
    let scale = 2.0 * config.alpha * config.bandwidth * config.bandwidth;
    (0..config.window.max(1)).map(|lag| libm::pow(1.0 + f64::from(lag) * f64::from(lag) / scale, -config.alpha)).collect()
}

fn flip(before: Option<f64>, now: Option<f64>) -> i8 {
    match before.zip(now) {
        Some((before, now)) if now > 0.0 && before <= 0.0 => 1,
        Some((before, now)) if now < 0.0 && before >= 0.0 => -1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn near(seen: f64, wanted: f64) {
        assert!((seen - wanted).abs() < 1e-7, "{seen} instead of {wanted}");
    }

    /// ST-V3
    #[test]
    fn weights_of_the_default_kernel() {
        let weights = kernel_weights(&KernelConfig::default());
        let lags = [0, 1, 2, 4, 8, 16, 26];
        let wanted = [1.0, 0.992_221_72, 0.969_292_24, 0.883_350_25, 0.615_699_06, 0.167_772_16, 0.017_330_39];
        lags.into_iter().zip(wanted).for_each(|(lag, wanted): (usize, f64)| near(weights[lag], wanted));
        assert_eq!(weights.len(), 27);
        near(weights.iter().sum(), 10.967_539_38);
    }

    /// ST-V4
    #[test]
    fn estimates_and_slope_with_five_lags() {
        let config = KernelConfig { window: 5, ..KernelConfig::default() };
        let mut rising = Nwrqk::new(&config);
        let seen = [100.0, 101.0, 102.0, 103.0, 104.0].map(|close| rising.push(close, None));
        assert_eq!(seen[3], None);
        near(seen[4].unwrap().value, 102.061_360_02);
        let mut nwrqk = Nwrqk::new(&config);
        let first = [100.0, 102.0, 101.0, 105.0, 103.0].map(|close| nwrqk.push(close, Some(1.5)))[4].unwrap();
        near(first.value, 102.259_704_14);
        assert_eq!(first.slope, None);
        let second = nwrqk.push(104.0, Some(1.5)).unwrap();
        near(second.value, 103.039_867_36);
        near(second.slope.unwrap(), 0.520_108_81);
        near(second.slope_column().unwrap(), 0.260_054_41);
    }

    /// ST-V13, first part; ST-8: the borders.
    #[test]
    fn column_of_the_estimate() {
        let column = |value| NwrqkReading { value, slope: Some(-9.0), signal: 0 }.value_column(100.0);
        [(101.5, 0.3), (200.0, 1.0), (1.0, -1.0)].into_iter().for_each(|(value, wanted)| near(column(value), wanted));
        near(NwrqkReading { value: 1.0, slope: Some(-9.0), signal: 0 }.slope_column().unwrap(), -1.0);
    }

    /// ST-25: a flat market has no unit for a slope.
    #[test]
    fn no_slope_without_a_range() {
        let mut nwrqk = Nwrqk::new(&KernelConfig { window: 1, ..KernelConfig::default() });
        nwrqk.push(1.0, Some(0.0));
        assert_eq!(nwrqk.push(2.0, Some(1e-13)).unwrap().slope, Some(0.0));
    }

    /// ST-25, ST-18: a change of sign is a signal, unless a gap lies between.
    #[test]
    fn signals_at_changes_of_sign() {
        let signals = |gap: bool| {
            let mut nwrqk = Nwrqk::new(&KernelConfig { window: 1, ..KernelConfig::default() });
            [5.0, 4.0, 6.0, 7.0, 7.0, 6.0].map(|close| {
                if gap {
                    nwrqk.forget_crossings();
                }
                nwrqk.push(close, Some(1.0)).unwrap().signal
            })
        };
        assert_eq!(signals(false), [0, 0, 1, 0, 0, -1]);
        assert_eq!(signals(true), [0; 6]);
    }
}
