//! An advisory name for the state of the market; it never gates.

use serde::{Deserialize, Serialize};

use super::window::SortedWindow;

/// Scores that the percentile is taken of (ST-48).
const SCORES: usize = 480;
/// Nearest-rank 99th percentile of 480 values: the 476th.
const RANK: usize = 475;
/// From here on volatility is high.
const HIGH: f64 = 1.5;
/// Up to here volatility is low.
const LOW: f64 = 0.67;

/// The label (ST-48).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegimeLabel {
    /// The newest bars differ from the past as rarely before.
    Shift,
    /// Volatility of at least 1.5 times its median.
    HighVol,
    /// Volatility of at most 0.67 times its median.
    LowVol,
    /// None of these.
    Normal,
}

/// Names each bar, for explanations and dashboards.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RegimeLabeller {
    scores: SortedWindow,
}

impl Default for RegimeLabeller {
    fn default() -> Self {
        Self { scores: SortedWindow::new(SCORES) }
    }
}

impl RegimeLabeller {
    /// Takes the next score, which counts among the last 480, and names the bar.
    pub fn push(&mut self, mmd_score: f64, volatility_ratio: f64) -> RegimeLabel {
        self.scores.push(mmd_score);
        let sorted = self.scores.sorted();
        let shift = sorted.len() == SCORES && mmd_score > sorted[RANK];
        match volatility_ratio {
            _ if shift => RegimeLabel::Shift,
            ratio if ratio >= HIGH => RegimeLabel::HighVol,
            ratio if ratio <= LOW => RegimeLabel::LowVol,
            _ => RegimeLabel::Normal,
        }
    }

    /// Forgets all scores, keeps the memory.
    pub fn clear(&mut self) {
        self.scores.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ST-V14, third part
    #[test]
    fn labels() {
        let mut labeller = RegimeLabeller::default();
        let seen = [1.6, 0.6, 1.0].map(|ratio| labeller.push(0.0, ratio));
        assert_eq!(seen, [RegimeLabel::HighVol, RegimeLabel::LowVol, RegimeLabel::Normal]);
        for _ in 3..SCORES - 1 {
            assert_ne!(labeller.push(0.1, 1.0), RegimeLabel::Shift);
        }
        for ratio in [1.6, 0.6, 1.0] {
            assert_eq!(labeller.push(0.2, ratio), RegimeLabel::Shift);
        }
        assert_eq!(labeller.push(0.2, 1.0), RegimeLabel::Shift, "fourth of 480");
        assert_eq!(labeller.push(0.2, 1.0), RegimeLabel::Normal, "the percentile is 0.2 now");
        assert_eq!(serde_json::to_string(&RegimeLabel::HighVol).ok().as_deref(), Some("\"high_vol\""));
    }

    /// ST-48: 480 values are needed.
    #[test]
    fn no_shift_while_few_scores_are_known() {
        let mut labeller = RegimeLabeller::default();
        let shifted = (0..SCORES - 1).any(|i| labeller.push(i as f64, 1.0) == RegimeLabel::Shift);
        assert!(!shifted);
        assert_eq!(labeller.push(1e9, 1.0), RegimeLabel::Shift);
    }
}
