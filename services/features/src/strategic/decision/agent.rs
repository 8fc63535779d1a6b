//! The three agents, the three actions, and a distribution over these.

use serde::{Deserialize, Serialize};

use crate::categorical::entropy;
use crate::strategic::schema::AGENTS;

/// One of three actions; the place in [`Action::ALL`] is its index in every list (X-1, SU C-1 by ruling 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Upwards.
    Bullish,
    /// No trade.
    Neutral,
    /// Downwards.
    Bearish,
}

impl Action {
    /// All actions by index.
    pub const ALL: [Self; 3] = [Self::Bullish, Self::Neutral, Self::Bearish];

    /// +1, 0 or -1.
    #[must_use]
    pub const fn direction(self) -> i8 {
        match self {
            Self::Bullish => 1,
            Self::Neutral => 0,
            Self::Bearish => -1,
        }
    }
}

/// One of the three agents; the place in [`Agent::ALL`] is its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Agent {
    /// Momentum index.
    Mlmi,
    /// Kernel regression and low-volume nodes.
    Nwrqk,
    /// Regime of the market.
    Regime,
}

impl Agent {
    /// All agents by id.
    pub const ALL: [Self; 3] = [Self::Mlmi, Self::Nwrqk, Self::Regime];

    /// Name in manifests, tensors and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        AGENTS[self as usize]
    }
}

/// A distribution over the three actions, with named fields so that no order can be mistaken (ST-129).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probabilities {
    /// Of [`Action::Bullish`], 0 to 1.
    pub bullish: f64,
    /// Of [`Action::Neutral`], 0 to 1.
    pub neutral: f64,
    /// Of [`Action::Bearish`], 0 to 1.
    pub bearish: f64,
}

impl From<[f64; 3]> for Probabilities {
    /// By index of the actions.
    fn from([bullish, neutral, bearish]: [f64; 3]) -> Self {
        Self { bullish, neutral, bearish }
    }
}

impl Probabilities {
    /// By index of the actions.
    #[must_use]
    pub const fn to_array(self) -> [f64; 3] {
        [self.bullish, self.neutral, self.bearish]
    }

    /// The most probable action; ties go to neutral, then to bullish (ST-66). NaN is neutral.
    #[must_use]
    pub fn action(self) -> Action {
        if self.bullish > self.neutral && self.bullish >= self.bearish {
            Action::Bullish
        } else if self.bearish > self.neutral && self.bearish > self.bullish {
            Action::Bearish
        } else {
            Action::Neutral
        }
    }

    /// Largest probability, 1/3 to 1 (ST-63, ST-67).
    #[must_use]
    pub fn confidence(self) -> f64 {
        self.bullish.max(self.neutral).max(self.bearish)
    }

    /// Entropy in nats, 0 to ln 3.
    #[must_use]
    pub fn entropy(self) -> f64 {
        entropy(&self.to_array())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ST-66: ties go to neutral, then to the lower index; NaN is no direction.
    #[test]
    fn ties_and_nan() {
        let action = |p: [f64; 3]| Probabilities::from(p).action();
        assert_eq!(action([0.4, 0.4, 0.2]), Action::Neutral);
        assert_eq!(action([0.2, 0.4, 0.4]), Action::Neutral);
        assert_eq!(action([0.4, 0.2, 0.4]), Action::Bullish);
        assert_eq!(action([0.3, 0.3, 0.4]), Action::Bearish);
        for bad in [[f64::NAN, 0.1, 0.1], [0.9, f64::NAN, 0.1], [0.1, 0.2, f64::NAN], [f64::NAN; 3]] {
            assert_eq!(action(bad), Action::Neutral, "{bad:?}");
        }
    }
}
