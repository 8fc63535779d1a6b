//! The clipped objective of a policy.

use super::column::{self, ColumnError};

/// Log-probabilities farther apart than this count as this far apart, so that no ratio overflows (ST-84).
const MOST_APART: f64 = 20.0;

/// How far one update may move a policy, and what exploring is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clip {
    /// Largest distance of a ratio from 1 that still earns, within 0 and 1.
    pub epsilon: f64,
    /// Coefficient of the entropy, at least 0.
    pub entropy: f64,
}

impl Clip {
    /// Of the strategic and tactical agents (ST-84, ST-85, TA-44).
    pub const SIGNALS: Self = Self { epsilon: 0.2, entropy: 0.01 };
    /// Of the execution and risk agents (EX-101, RK-111).
    pub const ORDERS: Self = Self { epsilon: 0.15, entropy: 0.005 };
}

/// One batch of records; all columns have the same length, at least 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolicyBatch<'a> {
    /// Log-probabilities of the actions when they were taken.
    pub old: &'a [f64],
    /// Log-probabilities of the same actions now.
    pub new: &'a [f64],
    /// Advantages, standardised or not.
    pub advantages: &'a [f64],
    /// Entropies of the policy now, nats.
    pub entropies: &'a [f64],
    /// Importance weights, at least 0; ones when records were not drawn by priority.
    pub weights: &'a [f64],
}

/// What one pass over a batch sees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolicyLoss {
    /// Negated weighted mean of the surrogates.
    pub surrogate: f64,
    /// What is minimised: the surrogate part without the bonus for entropy.
    pub total: f64,
    /// Estimate of how far the policy has moved, at least 0 ([`approximate_kl`]).
    pub kl: f64,
    /// Share of the records whose ratio is beyond the clip, 0 to 1.
    pub clipped: f64,
}

/// Probability of an action now over the one when it was taken (ST-84).
#[must_use]
pub fn ratio(old: f64, new: f64) -> f64 {
    (new - old).clamp(-MOST_APART, MOST_APART).exp()
}

/// The smaller of the advantage times the ratio and times the clipped ratio (ST-84, SU-22, TA-47, EX-103): moving farther
/// than `epsilon` earns nothing more, moving in the wrong direction costs in full.
#[must_use]
pub fn clipped_surrogate(ratio: f64, advantage: f64, epsilon: f64) -> f64 {
    let clipped = ratio.max(1.0 - epsilon).min(1.0 + epsilon);
    (ratio * advantage).min(clipped * advantage)
}

/// Loss of a policy on a batch (ST-84, ST-85, SU-22, EX-103). The entropy of each record is weighted with the record, so
/// that the bonus does not depend on the mean weight.
///
/// # Errors
/// [`ColumnError`] for an empty batch, lengths that differ, figures that are not finite, negative weights or a clip that
/// is none.
pub fn policy_loss(batch: &PolicyBatch<'_>, clip: Clip) -> Result<PolicyLoss, ColumnError> {
    let PolicyBatch { old, new, advantages, entropies, weights } = *batch;
    let rows = old.len();
    let kl = approximate_kl(old, new)?;
    column::finite("advantages", advantages, rows)?;
    column::finite("entropies", entropies, rows)?;
    column::finite("weights", weights, rows)?;
    column::every("weights", weights, "at least 0", |weight| weight >= 0.0)?;
    column::every("clip", &[clip.epsilon], "within 0 and 1", |epsilon| (0.0..=1.0).contains(&epsilon))?;
    column::every("entropy coefficient", &[clip.entropy], "finite and at least 0", |part| part.is_finite() && part >= 0.0)?;
    let (mut surrogate, mut bonus, mut clipped) = (0.0, 0.0, 0.0);
    for row in 0..rows {
        let ratio = ratio(old[row], new[row]);
        surrogate -= weights[row] * clipped_surrogate(ratio, advantages[row], clip.epsilon);
        bonus += weights[row] * clip.entropy * entropies[row];
        clipped += f64::from(u8::from((ratio - 1.0).abs() > clip.epsilon));
    }
    let n = rows as f64;
    Ok(PolicyLoss { surrogate: surrogate / n, total: (surrogate - bonus) / n, kl, clipped: clipped / n })
}

/// Estimate of the divergence of the new policy from the old one, from the actions taken: the mean of
/// `ratio - 1 - ln ratio` (ST-90, SU-23). It is never negative, unlike the mean difference of the log-probabilities,
/// which hides a policy that has moved far.
///
/// # Errors
/// [`ColumnError`] for an empty batch, lengths that differ or figures that are not finite.
pub fn approximate_kl(old: &[f64], new: &[f64]) -> Result<f64, ColumnError> {
    let rows = old.len();
    column::at_least("log-probabilities", rows, 1)?;
    column::finite("old log-probabilities", old, rows)?;
    column::finite("new log-probabilities", new, rows)?;
    let terms = old.iter().zip(new).map(|(old, new)| {
        let apart = (new - old).clamp(-MOST_APART, MOST_APART);
        apart.exp_m1() - apart
    });
    Ok(terms.sum::<f64>() / rows as f64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::super::near;
    use super::*;

    fn logs(probabilities: &[f64]) -> Vec<f64> {
        probabilities.iter().map(|p| p.ln()).collect()
    }

    fn loss(old: &[f64], new: &[f64], advantages: &[f64], entropies: &[f64], weights: &[f64], clip: Clip) -> PolicyLoss {
        policy_loss(&PolicyBatch { old: &logs(old), new: &logs(new), advantages, entropies, weights }, clip).unwrap()
    }

    /// ST-V37
    #[test]
    fn loss_of_a_strategic_policy() {
        let (old, new) = ([0.5, 0.25, 0.4], [0.75, 0.125, 0.44]);
        let ratios: Vec<f64> = logs(&old).iter().zip(logs(&new)).map(|(old, new)| ratio(*old, new)).collect();
        near(&ratios, &[1.5, 0.5, 1.1], 1e-12);
        let advantages = [1.0, -1.0, 0.5];
        let surrogates: Vec<f64> = ratios.iter().zip(advantages).map(|(r, a)| clipped_surrogate(*r, a, 0.2)).collect();
        near(&surrogates, &[1.2, -0.8, 0.55], 1e-12);
        let seen = loss(&old, &new, &advantages, &[0.9; 3], &[1.0; 3], Clip::SIGNALS);
        let wanted = [-0.316_666_67, -0.325_666_67, 0.097_457_30, 0.666_666_67];
        near(&[seen.surrogate, seen.total, seen.kl, seen.clipped], &wanted, 1e-8);
    }

    /// SU-V2: the mean loss of the first four, and of all six.
    #[test]
    fn surrogates_of_the_training_pipeline() {
        let rows = [(1.5, 1.0, 1.2), (0.5, 1.0, 0.5), (1.5, -1.0, -1.5), (0.5, -1.0, -0.8), (1.1, 2.0, 2.2), (0.9, -2.0, -1.8)];
        rows.iter().for_each(|(r, a, wanted)| near(&[clipped_surrogate(*r, *a, 0.2)], &[*wanted], 1e-12));
        near(&[ratio(0.0, 0.405_465_108_1), ratio(0.0, -std::f64::consts::LN_2)], &[1.5, 0.5], 1e-10);
        for (taken, wanted) in [(4, 0.15), (6, 0.033_333_333_3)] {
            let (new, advantages): (Vec<f64>, Vec<f64>) = rows[..taken].iter().map(|(r, a, _)| (0.5 * r, *a)).unzip();
            let seen = loss(&vec![0.5; taken], &new, &advantages, &vec![0.0; taken], &vec![1.0; taken], Clip::SIGNALS);
            near(&[seen.surrogate, seen.total], &[wanted; 2], 1e-10);
        }
    }

    /// SU-V3, first part: weighted, with the entropy of each record.
    #[test]
    fn loss_of_weighted_records() {
        let seen = loss(&[0.5, 0.4], &[0.6, 0.3], &[1.0, -0.5], &[0.9, 1.0], &[1.0, 0.5], Clip::SIGNALS);
        near(&[seen.surrogate, seen.total], &[-0.5, -0.507], 1e-12);
    }

    /// SU-V4, ST-90: three actions that became likelier, whose mean log-difference is -0.61, have moved far.
    #[test]
    fn divergence_is_never_hidden() {
        let (old, new) = (logs(&[0.5, 0.3, 0.2]), logs(&[0.2, 0.3, 0.5]));
        let kl = |actions: &[usize]| {
            let taken = |logs: &[f64]| actions.iter().map(|action| logs[*action]).collect::<Vec<_>>();
            approximate_kl(&taken(&old), &taken(&new)).unwrap()
        };
        near(&[kl(&[2, 2, 1]), kl(&[0, 1, 2, 0]), kl(&[1])], &[0.389_139_512_1, 0.304_072_683_0, 0.0], 1e-10);
    }

    /// TA-V15
    #[test]
    fn surrogates_of_a_tactical_policy() {
        for (ratio, advantage, wanted) in
            [(1.25, 1.0, 1.2), (1.25, -1.0, -1.25), (0.75, 1.0, 0.75), (0.75, -1.0, -0.8), (1.05, 2.0, 2.1)]
        {
            near(&[clipped_surrogate(ratio, advantage, Clip::SIGNALS.epsilon)], &[wanted], 1e-12);
        }
    }

    /// EX-V17
    #[test]
    fn loss_of_an_execution_policy() {
        let advantages = [1.0, -0.5, 2.0];
        let seen = loss(&[0.2, 0.5, 0.1], &[0.25, 0.4, 0.3], &advantages, &[1.470_808_48; 3], &[1.0; 3], Clip::ORDERS);
        near(&[seen.surrogate, seen.total], &[-1.008_333_33, -1.015_687_38], 1e-8);
        let surrogates = [1.25, 0.8, 3.0].into_iter().zip(advantages).map(|(r, a)| clipped_surrogate(r, a, 0.15));
        near(&surrogates.collect::<Vec<_>>(), &[1.15, -0.425, 2.3], 1e-12);
    }

    #[test]
    fn impossible_batches_are_refused() {
        let column = [-1.0, -2.0];
        let good = PolicyBatch { old: &column, new: &column, advantages: &column, entropies: &[1.0; 2], weights: &[1.0; 2] };
        let text = |batch: PolicyBatch<'_>, clip| policy_loss(&batch, clip).unwrap_err().to_string();
        assert!(policy_loss(&good, Clip::SIGNALS).is_ok());
        let (nan, signals) = ([0.0, f64::NAN], Clip::SIGNALS);
        assert_eq!(text(PolicyBatch { old: &[], ..good }, signals), "log-probabilities: 0 figures, at least 1 are needed");
        assert_eq!(text(PolicyBatch { new: &nan, ..good }, signals), "new log-probabilities[1] is NaN, it must be finite");
        assert_eq!(text(PolicyBatch { advantages: &[1.0], ..good }, signals), "advantages: 1 figures where the batch has 2");
        assert!(text(PolicyBatch { entropies: &nan, ..good }, signals).starts_with("entropies[1]"));
        assert_eq!(text(PolicyBatch { weights: &[1.0, -1.0], ..good }, signals), "weights[1] is -1, it must be at least 0");
        assert!(text(good, Clip { epsilon: f64::NAN, ..signals }).starts_with("clip"));
        assert!(text(good, Clip { entropy: -1.0, ..signals }).starts_with("entropy coefficient"));
        let far = loss(&[1e-300], &[1.0], &[1.0], &[0.0], &[1.0], signals);
        assert!(far.total.is_finite() && far.kl.is_finite(), "ST-84: log-probabilities far apart");
    }
}
