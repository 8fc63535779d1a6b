//! Z-scores of the risk state for networks.

use serde::{Deserialize, Serialize};

use crate::schema::FeatureValueError;
use crate::strategic::window::Window;

use super::state::{COLUMNS, RawRiskState, SCHEMA};

/// Updates in the rolling statistics (RK-8): a series sampled once a second.
const WINDOW: usize = 1_000;
/// Smallest deviation that is divided by (RK-8).
const LEAST_DEVIATION: f64 = 1e-8;
/// Largest score (RK-8).
const CLIP: f64 = 5.0;

/// Means and population deviations of the ten values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moments {
    /// Means, finite.
    pub mean: [f64; COLUMNS],
    /// Deviations, finite and at least 0.
    pub deviation: [f64; COLUMNS],
}

/// A state in units of its deviations, each value within +-5 (RK-8); networks see only this one (RK-9).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredRiskState([f64; COLUMNS]);

impl ScoredRiskState {
    /// All values in the order of the schema.
    #[must_use]
    pub const fn values(&self) -> &[f64; COLUMNS] {
        &self.0
    }

    /// As networks take it (RK-5).
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub fn to_f32(&self) -> [f32; COLUMNS] {
        self.0.map(|value| value as f32)
    }
}

/// Rolling statistics of the state (RK-8). Work: two passes over the window for each sample, constant for each score;
/// all memory is taken by [`RiskScaler::new`].
#[derive(Clone, Debug)]
pub struct RiskScaler {
    windows: [Window; COLUMNS],
    /// Statistics of a checkpoint: they hold until the window is full.
    shipped: Option<Moments>,
    /// Statistics of the window.
    own: Option<Moments>,
}

impl RiskScaler {
    /// Begins with the statistics of a checkpoint, if it has some (RK-8). Without them the window counts from its
    /// first sample, and before that every score is 0.
    ///
    /// # Errors
    /// [`FeatureValueError`] names a mean or deviation that is not finite, or a negative deviation.
    pub fn new(shipped: Option<Moments>) -> Result<Self, FeatureValueError> {
        if let Some(moments) = &shipped {
            for (at, column) in SCHEMA.columns.into_iter().enumerate() {
                let (mean, deviation) = (moments.mean[at], moments.deviation[at]);
                if let Some(value) = [mean, deviation].into_iter().find(|value| !value.is_finite()) {
                    return Err(FeatureValueError::NotFinite { schema: SCHEMA.name, column, value });
                }
                if deviation < 0.0 {
                    return Err(FeatureValueError::Range {
                        schema: SCHEMA.name,
                        column,
                        value: deviation,
                        range: [0.0, f64::MAX],
                    });
                }
            }
        }
        Ok(Self { windows: std::array::from_fn(|_| Window::new(WINDOW)), shipped, own: None })
    }

    /// Takes the state of the next second into the statistics.
    pub fn sample(&mut self, state: &RawRiskState) {
        for (window, value) in self.windows.iter_mut().zip(state.values()) {
            window.push(*value);
        }
        if self.windows[0].is_full() || self.shipped.is_none() {
            self.own = Some(moments(&self.windows));
        }
    }

    /// Scores a state against what was sampled before it.
    #[must_use]
    pub fn score(&self, state: &RawRiskState) -> ScoredRiskState {
        let Some(Moments { mean, deviation }) = self.moments() else { return ScoredRiskState([0.0; COLUMNS]) };
        let score = |at: usize| z_score(state.values()[at], mean[at], deviation[at]);
        ScoredRiskState(std::array::from_fn(score))
    }

    /// The statistics in force: what a checkpoint ships.
    #[must_use]
    pub fn moments(&self) -> Option<&Moments> {
        self.own.as_ref().or(self.shipped.as_ref())
    }
}

fn z_score(value: f64, mean: f64, deviation: f64) -> f64 {
    ((value - mean) / deviation.max(LEAST_DEVIATION)).clamp(-CLIP, CLIP)
}

fn moments(windows: &[Window; COLUMNS]) -> Moments {
    let both = |at: usize| mean_and_deviation(windows[at].slice());
    Moments { mean: std::array::from_fn(|at| both(at).0), deviation: std::array::from_fn(|at| both(at).1) }
}

/// Mean and population deviation, from the mean (two passes); zeros for no values.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub(super) fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    (mean, (squares / n).sqrt())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]
    use super::*;
    use crate::risk_state::{AccountReading, PriceReading, RiskAges, RiskInputs};
    use tradewind_core::money::Money;
    use tradewind_core::time::Nanos;

    /// A state with so many open positions.
    fn state(open_positions: u32) -> RawRiskState {
        let units = Money::from_units(1);
        let account = AccountReading {
            at: Nanos(0),
            equity: units,
            initial_capital: units,
            margin_used: Money::ZERO,
            drawdown_pct: Some(0.0),
            open_positions: Some(open_positions),
            var: Money::ZERO,
        };
        let prices =
            PriceReading { oldest: Nanos(0), volatility_regime: None, correlation_risk: 0.0, stress: 0.0, liquidity_risk: 0.0 };
        let inputs = RiskInputs { now: Nanos(0), account: Some(account), prices: Some(prices), time_of_day_risk: 0.0 };
        RawRiskState::new(&inputs, &RiskAges::default()).unwrap()
    }

    /// RK-V1: population deviation, the scored value is not part of the window.
    #[test]
    fn score_of_a_count() {
        let mut scaler = RiskScaler::new(None).unwrap();
        assert_eq!(*scaler.score(&state(7)).values(), [0.0; COLUMNS], "nothing to compare with");
        [1, 2, 3, 4, 10].into_iter().for_each(|count| scaler.sample(&state(count)));
        let moments = scaler.moments().unwrap();
        assert_eq!(moments.mean[1], 4.0);
        assert!((moments.deviation[1] - 3.162_277_66).abs() < 1e-8);
        let scored = scaler.score(&state(12));
        assert!((scored.values()[1] - 2.529_822_13).abs() < 1e-8);
        assert_eq!((scored.values()[0], scored.to_f32()[1]), (0.0, scored.values()[1] as f32));
    }

    /// RK-8: within +-5, also where nothing ever varied.
    #[test]
    fn scores_are_clipped() {
        let mut scaler = RiskScaler::new(None).unwrap();
        scaler.sample(&state(3));
        assert_eq!([2, 3, 4].map(|count| scaler.score(&state(count)).values()[1]), [-5.0, 0.0, 5.0]);
    }

    /// RK-8: shipped statistics hold until a thousand samples are known; then the oldest is forgotten.
    #[test]
    fn a_checkpoint_warms_the_window_up() {
        let shipped = Moments { mean: [2.0; COLUMNS], deviation: [0.5; COLUMNS] };
        let mut scaler = RiskScaler::new(Some(shipped)).unwrap();
        for count in 0..999 {
            scaler.sample(&state(count));
            assert_eq!(scaler.moments(), Some(&shipped));
        }
        assert_eq!(scaler.score(&state(3)).values()[1], 2.0);
        scaler.sample(&state(999));
        assert_eq!(scaler.moments().unwrap().mean[1], 499.5);
        scaler.sample(&state(1_000));
        assert_eq!(scaler.moments().unwrap().mean[1], 500.5);
    }

    /// RK-34: statistics that are none are refused by name.
    #[test]
    fn bad_statistics_are_refused() {
        let mut shipped = Moments { mean: [0.0; COLUMNS], deviation: [1.0; COLUMNS] };
        shipped.deviation[3] = f64::NAN;
        let text = RiskScaler::new(Some(shipped)).unwrap_err().to_string();
        assert_eq!(text, "risk-10-v1: correlation_risk is NaN, it must be finite");
        shipped.deviation[3] = -1.0;
        assert!(RiskScaler::new(Some(shipped)).unwrap_err().to_string().starts_with("risk-10-v1: correlation_risk is -1, it"));
    }
}
