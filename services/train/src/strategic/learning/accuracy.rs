//! How often decisions that proceeded were right.

use serde::{Deserialize, Serialize};

/// Quantile of the normal distribution for 95 %, two-sided.
const Z: f64 = 1.959_963_984_540_054;
/// Fewest decisions that tell anything (ST-150).
const FEWEST: u64 = 200;
/// Accuracy that must be exceeded, and what its lower bound must exceed (ST-150).
const LEAST: [f64; 2] = [0.75, 0.70];

/// Share of decisions with a net profit in their direction (ST-5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrategicAccuracy {
    /// Decisions that proceeded and whose trade is closed.
    pub decided: u64,
    /// Those with a net profit after costs, at most `decided`.
    pub won: u64,
}

impl StrategicAccuracy {
    /// The share itself, 0 to 1; `None` without decisions.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn share(self) -> Option<f64> {
        (self.decided > 0).then(|| self.won as f64 / self.decided as f64)
    }

    /// Enough decisions, right often enough, surely enough, and more often than `baseline` was by following every
    /// synergy (ST-150). Missing figures never pass.
    #[must_use]
    pub fn accepted(self, baseline: Self) -> bool {
        let lower = wilson_interval(self.won, self.decided).map_or(0.0, |[lower, _]| lower);
        let better = self.share().zip(baseline.share()).is_some_and(|(share, baseline)| share > LEAST[0] && share > baseline);
        self.decided >= FEWEST && lower > LEAST[1] && better
    }
}

/// Wilson 95 % interval of a share (ST-5); `None` without trials or with more successes than trials.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn wilson_interval(successes: u64, trials: u64) -> Option<[f64; 2]> {
    if trials == 0 || successes > trials {
        return None;
    }
    let (n, p) = (trials as f64, successes as f64 / trials as f64);
    let scale = 1.0 + Z * Z / n;
    let centre = (p + Z * Z / (2.0 * n)) / scale;
    let half = Z / scale * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    Some([centre - half, centre + half])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// ST-V47
    #[test]
    fn intervals_of_shares() {
        for (successes, trials, wanted) in [
            (160, 200, [0.739_144_81, 0.849_547_99]),
            (152, 200, [0.696_266_59, 0.813_933_84]),
            (320, 400, [0.758_029_68, 0.836_262_94]),
        ] {
            let seen = wilson_interval(successes, trials).unwrap();
            assert!(seen.iter().zip(wanted).all(|(seen, wanted)| (seen - wanted).abs() < 1e-8), "{seen:?}");
        }
        assert_eq!((wilson_interval(0, 0), wilson_interval(2, 1)), (None, None));
    }

    /// ST-150
    #[test]
    fn acceptance_needs_number_share_certainty_and_a_beaten_baseline() {
        let of = |won, decided| StrategicAccuracy { decided, won };
        let weak = of(60, 100);
        assert!(of(160, 200).accepted(weak));
        assert!(!of(160, 199).accepted(weak), "too few");
        assert!(!of(152, 200).accepted(weak), "76 %, but the lower bound is 0.696");
        assert!(!of(750, 1_000).accepted(weak), "not above 75 %");
        assert!(!of(160, 200).accepted(of(80, 100)), "the baseline is as good");
        assert!(!of(160, 200).accepted(of(0, 0)), "no baseline");
    }
}
