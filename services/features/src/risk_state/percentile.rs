//! Where today's volatility stands among those of the past.

use crate::strategic::window::SortedWindow;

/// Observations in the past (RK-11).
const WINDOW: usize = 252;

/// Horizons on which the volatility is watched (RK-11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Horizon {
    /// Five-minute bars.
    FiveMinutes,
    /// Half-hour bars.
    HalfHour,
    /// Sessions.
    Daily,
}

/// Realised volatilities of each horizon and the percentile of the newest. Cost of an observation: two binary searches
/// and one move of at most 252 values; all memory is taken by `default`.
#[derive(Clone, Debug)]
pub struct VolatilityRegime {
    past: [SortedWindow; 3],
    newest: [Option<f64>; 3],
}

/// A volatility that is none.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("realised volatility is {0}, it must be finite and at least 0")]
pub struct VolatilityError(pub f64);

impl Default for VolatilityRegime {
    fn default() -> Self {
        Self { past: std::array::from_fn(|_| SortedWindow::new(WINDOW)), newest: [None; 3] }
    }
}

impl VolatilityRegime {
    /// Takes the newest realised volatility of a horizon: its percentile among the 252 before it, 0 to 1; `None` for the first.
    ///
    /// # Errors
    /// [`VolatilityError`]; nothing was changed.
    pub fn push(&mut self, horizon: Horizon, volatility: f64) -> Result<Option<f64>, VolatilityError> {
        if !(volatility.is_finite() && volatility >= 0.0) {
            return Err(VolatilityError(volatility));
        }
        let (past, newest) = (&mut self.past[horizon as usize], &mut self.newest[horizon as usize]);
        *newest = mid_rank(past.sorted(), volatility);
        past.push(volatility);
        Ok(*newest)
    }

    /// Highest percentile of the three horizons; `None` while none is known.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.newest.into_iter().flatten().max_by(f64::total_cmp)
    }
}

/// Share of smaller values and half of the equal ones (RK-11); `None` of nothing. `sorted` ascends.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn mid_rank(sorted: &[f64], value: f64) -> Option<f64> {
    let less = sorted.partition_point(|other| *other < value);
    let equal = sorted[less..].partition_point(|other| *other <= value);
    (!sorted.is_empty()).then(|| (less as f64 + 0.5 * equal as f64) / sorted.len() as f64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HISTORY: [f64; 10] = [0.10, 0.12, 0.15, 0.15, 0.18, 0.20, 0.22, 0.25, 0.30, 0.40];

    /// RK-V2, also in another order; ties count half.
    #[test]
    fn percentile_of_a_volatility() {
        assert_eq!(mid_rank(&HISTORY, 0.15), Some(0.3));
        let mut regime = VolatilityRegime::default();
        assert_eq!(regime.push(Horizon::Daily, HISTORY[9]), Ok(None));
        for volatility in HISTORY[..9].iter().rev() {
            regime.push(Horizon::Daily, *volatility).unwrap();
        }
        assert_eq!(regime.push(Horizon::Daily, 0.15), Ok(Some(0.3)));
    }

    /// RK-11: the highest horizon counts; the past is 252 observations long.
    #[test]
    fn the_highest_horizon_counts() {
        let mut regime = VolatilityRegime::default();
        assert_eq!(regime.value(), None);
        for step in 0..400 {
            regime.push(Horizon::Daily, 400.0 - f64::from(step)).unwrap();
            regime.push(Horizon::HalfHour, 1.0).unwrap();
        }
        assert_eq!(regime.value(), Some(0.5), "always equal beats always lower");
        assert_eq!(regime.push(Horizon::Daily, 126.5), Ok(Some(0.5)), "the newest 252 are 1 to 252");
        assert_eq!(
            regime.push(Horizon::FiveMinutes, f64::NAN).unwrap_err().to_string(),
            "realised volatility is NaN, it must be finite and at least 0"
        );
        assert_eq!(regime.value(), Some(0.5));
    }
}
