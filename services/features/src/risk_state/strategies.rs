//! How the strategies of an account did lately.

use crate::strategic::window::Window;

use super::scores::mean_and_deviation;

/// Strategies that share the risk (RK-22).
pub const STRATEGIES: usize = 5;
/// Returns in the rolling figures: one year of sessions.
const WINDOW: usize = 252;
/// Sessions of a year.
const SESSIONS_PER_YEAR: f64 = 252.0;
/// Return of a year without risk.
const RISK_FREE: f64 = 0.02;
/// A smaller deviation than this is none.
const LEAST_DEVIATION: f64 = 1e-12;

/// What is known of the strategies after the newest session (RK-27).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StrategyFigures {
    /// Annualised Sharpe ratio; 0 for fewer than two returns or without deviation.
    pub sharpe: [f64; STRATEGIES],
    /// Share of the summed variances, 0 to 1; 0 while nothing varies.
    pub variance_share: [f64; STRATEGIES],
    /// Mean correlation of all pairs that vary, -1 to 1; 0 without one.
    pub mean_correlation: f64,
}

/// A return that is none.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("return of strategy {strategy} is {value}, it must be finite and at least -1")]
pub struct ReturnError {
    /// Its place.
    pub strategy: usize,
    /// The value seen.
    pub value: f64,
}

/// Session returns of the strategies, a fraction each. All memory is taken by `default`.
#[derive(Clone, Debug)]
pub struct StrategyReturns([Window; STRATEGIES]);

impl Default for StrategyReturns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Window::new(WINDOW)))
    }
}

impl StrategyReturns {
    /// Takes the returns of a session; 0 for a strategy that was flat.
    ///
    /// # Errors
    /// [`ReturnError`]; nothing was changed.
    pub fn push(&mut self, returns: &[f64; STRATEGIES]) -> Result<(), ReturnError> {
        if let Some(strategy) = returns.iter().position(|value| !(value.is_finite() && *value >= -1.0)) {
            return Err(ReturnError { strategy, value: returns[strategy] });
        }
        for (window, value) in self.0.iter_mut().zip(returns) {
            window.push(*value);
        }
        Ok(())
    }

    /// Figures over the newest 252 sessions.
    #[must_use]
    pub fn figures(&self) -> StrategyFigures {
        let moments: [(f64, f64); STRATEGIES] = std::array::from_fn(|at| mean_and_deviation(self.0[at].slice()));
        let total: f64 = moments.iter().map(|(_, deviation)| deviation * deviation).sum();
        let share = |deviation: f64| if total > 0.0 { deviation * deviation / total } else { 0.0 };
        let pairs = (0..STRATEGIES).flat_map(|a| (a + 1..STRATEGIES).map(move |b| (a, b)));
        let (sum, count) = pairs
            .filter_map(|(a, b)| correlation([self.0[a].slice(), self.0[b].slice()], [moments[a], moments[b]]))
            .fold((0.0, 0.0_f64), |(sum, count), rho| (sum + rho, count + 1.0));
        StrategyFigures {
            sharpe: moments.map(|(mean, deviation)| sharpe(mean, deviation)),
            variance_share: moments.map(|(_, deviation)| share(deviation)),
            mean_correlation: sum / count.max(1.0),
        }
    }
}

/// Annualised Sharpe ratio of session returns: population deviation, excess over 2 % a year.
#[must_use]
pub fn sharpe(mean: f64, deviation: f64) -> f64 {
    let excess = mean - RISK_FREE / SESSIONS_PER_YEAR;
    if deviation < LEAST_DEVIATION { 0.0 } else { excess / deviation * SESSIONS_PER_YEAR.sqrt() }
}

#[allow(clippy::cast_precision_loss)]
fn correlation([a, b]: [&[f64]; 2], moments: [(f64, f64); 2]) -> Option<f64> {
    if moments.iter().any(|(_, deviation)| *deviation < LEAST_DEVIATION) {
        return None;
    }
    let products: f64 = a.iter().zip(b).map(|(x, y)| (x - moments[0].0) * (y - moments[1].0)).sum();
    Some((products / a.len() as f64 / (moments[0].1 * moments[1].1)).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]
    use super::*;

    /// The returns of RK-V10.
    const RETURNS: [f64; 20] = [
        -0.031, 0.012, 0.004, -0.007, 0.018, -0.022, 0.009, 0.001, -0.015, 0.025, 0.006, -0.011, 0.014, -0.004, 0.008, -0.019,
        0.011, 0.003, -0.009, 0.016,
    ];

    /// RK-V10: mean, population deviation and Sharpe ratio; the shares sum to 1.
    #[test]
    fn figures_of_known_returns() {
        let mut returns = StrategyReturns::default();
        for value in RETURNS {
            returns.push(&[value, -value, 2.0 * value, 0.0, value + 0.01]).unwrap();
        }
        let (mean, deviation) = mean_and_deviation(returns.0[0].slice());
        assert!((mean - 4.5e-4).abs() < 1e-15 && (deviation - 0.014_434_247_5).abs() < 1e-9);
        let figures = returns.figures();
        assert!((figures.sharpe[0] - 0.407_617_160_2).abs() < 1e-9, "{}", figures.sharpe[0]);
        assert_eq!(figures.sharpe[3], 0.0, "never in the market");
        let wanted = [1.0, 1.0, 4.0, 0.0, 1.0].map(|part| part / 7.0);
        figures.variance_share.iter().zip(wanted).for_each(|(seen, wanted)| assert!((seen - wanted).abs() < 1e-12));
        // Six pairs vary: three equal ones and three opposite ones.
        assert!(figures.mean_correlation.abs() < 1e-12);
    }

    /// RK-27: nothing is known before the second session; what is older than a year is forgotten.
    #[test]
    fn the_window_is_a_year() {
        let mut returns = StrategyReturns::default();
        assert_eq!(returns.figures(), StrategyFigures::default());
        returns.push(&[0.5; STRATEGIES]).unwrap();
        assert_eq!(returns.figures(), StrategyFigures::default());
        for session in 0..252 {
            returns.push(&[if session % 2 == 0 { 0.01 } else { -0.01 }; STRATEGIES]).unwrap();
        }
        let figures = returns.figures();
        assert!((figures.sharpe[2] + 0.02 / 252.0 / 0.01 * 252.0_f64.sqrt()).abs() < 1e-9, "{}", figures.sharpe[2]);
        assert!((figures.mean_correlation - 1.0).abs() < 1e-12);
        let refused = returns.push(&[0.0, 0.0, f64::NAN, 0.0, 0.0]).unwrap_err().to_string();
        assert_eq!(refused, "return of strategy 2 is NaN, it must be finite and at least -1");
        assert_eq!(returns.figures(), figures);
    }
}
