//! Running scale of rewards.

use super::column::{self, ColumnError};

/// How much of the newest batch is taken in (ST-115).
const NEWEST: f64 = 0.01;
/// Keeps the divisor above 0 (ST-115).
const LEAST_DEVIATION: f64 = 1e-8;
/// No scaled reward lies farther from 0 (ST-115).
const CLIP: f64 = 10.0;

/// Mean and deviation of the rewards of recent batches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RewardNormaliser {
    mean: f64,
    deviation: f64,
}

impl Default for RewardNormaliser {
    fn default() -> Self {
        Self { mean: 0.0, deviation: 1.0 }
    }
}

impl RewardNormaliser {
    /// Takes the mean and the sample deviation of a batch in (ST-115).
    ///
    /// # Errors
    /// [`ColumnError`] for fewer than two rewards or one that is not finite; nothing has changed then.
    pub fn take(&mut self, rewards: &[f64]) -> Result<(), ColumnError> {
        let (mean, deviation) = column::moments("rewards", rewards)?;
        self.mean += NEWEST * (mean - self.mean);
        self.deviation += NEWEST * (deviation - self.deviation);
        Ok(())
    }

    /// A reward over the running deviation, -10 to 10; NaN stays NaN. It keeps its sign: a small loss among larger ones
    /// stays a loss (ST-115, X-17).
    #[must_use]
    pub fn scaled(&self, reward: f64) -> f64 {
        (reward / (self.deviation + LEAST_DEVIATION)).clamp(-CLIP, CLIP)
    }

    /// A reward with the running mean taken away as well. To compare with, not to train on: it can turn a loss into a gain.
    #[must_use]
    pub fn centred(&self, reward: f64) -> f64 {
        (reward - self.mean) / (self.deviation + LEAST_DEVIATION)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::super::near;
    use super::*;

    /// ST-V46
    #[test]
    fn a_batch_moves_the_scale() {
        let mut normaliser = RewardNormaliser::default();
        let batch = [1.0, -0.5, 0.3];
        normaliser.take(&batch).unwrap();
        near(&batch.map(|reward| normaliser.centred(reward)), &[0.999_827_34, -0.503_923_67, 0.298_076_87], 1e-8);
    }

    /// ST-115, X-17: losses stay losses, and nothing is out of bounds.
    #[test]
    fn scaling_keeps_the_sign() {
        let mut normaliser = RewardNormaliser::default();
        (0..500).for_each(|_| normaliser.take(&[-100.0, -80.0, -120.0]).unwrap());
        assert!(normaliser.centred(-20.0) > 0.0 && normaliser.scaled(-20.0) < 0.0);
        near(&[normaliser.scaled(-1e9), normaliser.scaled(1e9)], &[-10.0, 10.0], 1e-12);
        let before = normaliser;
        assert!(normaliser.take(&[1.0]).is_err() && normaliser.take(&[1.0, f64::NAN]).is_err());
        assert_eq!(normaliser, before);
        assert!(normaliser.scaled(f64::NAN).is_nan());
    }
}
