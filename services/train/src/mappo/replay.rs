//! Drawing remembered records by how much they still teach. For the critic and for studies, never for the objective of a
//! policy, whose ratios would be stale (ST-103, SU-27).

use super::column::{self, ColumnError};

/// Least priority, so that a record the critic predicts exactly can still be drawn (ST-102).
const LEAST_PRIORITY: f64 = 1e-6;
/// Priority is capped here, so that a new record is never behind an old one by more than its reward says (SU-19).
const MOST_PRIORITY: f64 = 1.0;
/// What a record without any reward begins with (SU-19).
const FIRST_PRIORITY: f64 = 0.1;

/// Exponent of priorities (ST-101, SU-18).
pub const ALPHA: f64 = 0.6;

/// Priority of a record that was never drawn, 0.1 to 1 (SU-19).
///
/// # Errors
/// [`ColumnError`] when the reward is not finite.
pub fn initial_priority(reward: f64) -> Result<f64, ColumnError> {
    column::finite("reward", &[reward], 1)?;
    Ok((reward.abs() + FIRST_PRIORITY).min(MOST_PRIORITY))
}

/// Priority of a record after the critic erred by `error` on it, 1e-6 to 1 (SU-19).
///
/// # Errors
/// [`ColumnError`] when the error is not finite.
pub fn refreshed_priority(error: f64) -> Result<f64, ColumnError> {
    column::finite("temporal difference", &[error], 1)?;
    Ok((error.abs() + LEAST_PRIORITY).min(MOST_PRIORITY))
}

/// The probabilities with which records are drawn, with replacement (ST-101, SU-18). A draw costs one binary search.
#[derive(Clone, Debug, PartialEq)]
pub struct Lottery {
    /// Sums of the powers of the priorities up to each record.
    cumulative: Vec<f64>,
}

impl Lottery {
    /// From the priorities of all records, raised to `alpha`: 0 draws evenly, 1 in proportion. An empty memory has no lottery.
    ///
    /// # Errors
    /// [`ColumnError`] without records, or when a priority is not finite or negative, or `alpha` not within 0 and 1.
    pub fn new(priorities: &[f64], alpha: f64) -> Result<Self, ColumnError> {
        column::at_least("priorities", priorities.len(), 1)?;
        column::every("priorities", priorities, "finite and at least 0", |part| part.is_finite() && part >= 0.0)?;
        column::every("alpha", &[alpha], "within 0 and 1", |alpha| (0.0..=1.0).contains(&alpha))?;
        let powers = priorities.iter().map(|priority| priority.max(LEAST_PRIORITY).powf(alpha));
        let cumulative = powers.scan(0.0, |sum, power| {
            *sum += power;
            Some(*sum)
        });
        Ok(Self { cumulative: cumulative.collect() })
    }

    /// Probability of each record; they sum to 1.
    #[must_use]
    pub fn probabilities(&self) -> Vec<f64> {
        let total = self.total();
        let mut before = 0.0;
        let share = |sum: &f64| (sum - std::mem::replace(&mut before, *sum)) / total;
        self.cumulative.iter().map(share).collect()
    }

    /// Record that a number of at least 0 and below 1 draws; evenly spread numbers draw records with their probabilities.
    /// Anything else draws the nearest end, NaN the last record.
    #[must_use]
    pub fn draw(&self, number: f64) -> usize {
        let at = self.cumulative.partition_point(|sum| number.is_nan() || *sum <= number * self.total());
        at.min(self.cumulative.len() - 1)
    }

    /// Importance weight of each record, above 0 and at most 1: `(N P)^-beta` over the largest of the whole memory, so that
    /// the scale does not jump from batch to batch (ST-101, ST-102). `beta` of 0 weighs all alike, 1 undoes the priorities.
    ///
    /// # Errors
    /// [`ColumnError`] when `beta` is not within 0 and 1.
    pub fn weights(&self, beta: f64) -> Result<Vec<f64>, ColumnError> {
        column::every("beta", &[beta], "within 0 and 1", |beta| (0.0..=1.0).contains(&beta))?;
        let probabilities = self.probabilities();
        let rarest = probabilities.iter().copied().fold(f64::INFINITY, f64::min);
        Ok(probabilities.iter().map(|probability| (rarest / probability).powf(beta)).collect())
    }

    fn total(&self) -> f64 {
        self.cumulative.last().copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::super::advantage::temporal_difference;
    use super::super::near;
    use super::*;

    /// ST-V40
    #[test]
    fn draws_from_a_strategic_memory() {
        let lottery = Lottery::new(&[1.0, 2.0, 4.0, 0.5], ALPHA).unwrap();
        near(&lottery.probabilities(), &[0.182_719_58, 0.276_951_09, 0.419_779_36, 0.120_549_97], 1e-8);
        near(&lottery.weights(0.4).unwrap(), &[0.846_745_31, 0.716_977_62, 0.607_097_44, 1.0], 1e-8);
    }

    /// SU-V5: probabilities and weights; first priorities; errors, whose future an end cuts off, and the priorities after.
    #[test]
    fn draws_of_the_training_pipeline() {
        let lottery = Lottery::new(&[0.1, 0.5, 1.0, 2.0], ALPHA).unwrap();
        near(&lottery.probabilities(), &[0.073_304_239_2, 0.192_535_622_5, 0.291_829_432_6, 0.442_330_705_7], 1e-10);
        for (beta, wanted) in [
            (0.4, [1.0, 0.679_590_343_1, 0.575_439_937_3, 0.487_251_069_5]),
            (0.7, [1.0, 0.508_665_869_4, 0.380_189_396_3, 0.284_162_916_7]),
            (1.0, [1.0, 0.380_730_787_7, 0.251_188_643_2, 0.165_722_700_9]),
        ] {
            near(&lottery.weights(beta).unwrap(), &wanted, 1e-10);
        }
        let first = [0.0, 0.5, 0.9, -0.95, -3.0].map(|reward| initial_priority(reward).unwrap());
        near(&first, &[0.1, 0.6, 1.0, 1.0, 1.0], 1e-12);
        let errors = [temporal_difference(1.0, 0.8, 0.6, false, 0.99), temporal_difference(-0.5, 0.2, 0.3, true, 0.99)];
        near(&errors, &[0.794, -0.7], 1e-12);
        near(&errors.map(|error| refreshed_priority(error).unwrap()), &[0.794_001, 0.700_001], 1e-12);
        near(&[refreshed_priority(0.0).unwrap(), refreshed_priority(5.0).unwrap()], &[1e-6, 1.0], 1e-12);
    }

    /// ST-101: evenly spread numbers draw each record as often as its probability says; ends and NaN stay inside.
    #[test]
    fn draws_follow_the_probabilities() {
        let lottery = Lottery::new(&[1.0, 0.0, 3.0], 1.0).unwrap();
        let mut counts = [0.0; 3];
        (0..4000).for_each(|i| counts[lottery.draw(f64::from(i) / 4000.0)] += 1.0 / 4000.0);
        near(&counts, &lottery.probabilities(), 1e-3);
        assert_eq!([-1.0, 0.0, 1.0, f64::NAN].map(|number| lottery.draw(number)), [0, 0, 2, 2]);
        near(&Lottery::new(&[0.0; 4], ALPHA).unwrap().probabilities(), &[0.25; 4], 1e-12);
    }

    #[test]
    fn impossible_priorities_are_refused() {
        let text = |priorities: &[f64], alpha| Lottery::new(priorities, alpha).unwrap_err().to_string();
        assert_eq!(text(&[], ALPHA), "priorities: 0 figures, at least 1 are needed");
        assert_eq!(text(&[1.0, f64::NAN], ALPHA), "priorities[1] is NaN, it must be finite and at least 0");
        assert!(text(&[-1.0], ALPHA).starts_with("priorities[0]") && text(&[1.0], 1.5).starts_with("alpha"));
        assert!(Lottery::new(&[1.0], ALPHA).unwrap().weights(f64::NAN).is_err());
        assert!(initial_priority(f64::NAN).is_err() && refreshed_priority(f64::INFINITY).is_err());
    }
}
