//! Distributions over a few actions.

/// Softmax, shifted by the largest logit so that it cannot overflow (ST-52, TA-21, EX-16, RK-29). The results are at
/// least 0 and sum to 1. `None` when a logit is not finite.
#[must_use]
pub fn softmax<const N: usize>(logits: [f64; N]) -> Option<[f64; N]> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights = logits.map(|logit| libm::exp(logit - largest));
    let sum: f64 = weights.iter().sum();
    logits.iter().all(|logit| logit.is_finite()).then(|| weights.map(|weight| weight / sum))
}

/// Logarithms of [`softmax`], exact where a probability is too small for a float (ST-51). `None` when a logit is not
/// finite.
#[must_use]
pub fn log_softmax<const N: usize>(logits: [f64; N]) -> Option<[f64; N]> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|logit| libm::exp(logit - largest)).sum();
    let log_sum = libm::log(sum);
    logits.iter().all(|logit| logit.is_finite()).then(|| logits.map(|logit| logit - largest - log_sum))
}

/// Logistic function, 0 to 1 (EX-18, RK-29); NaN stays NaN.
#[must_use]
pub fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-logit))
}

/// Entropy in nats, at least 0; an impossible action adds nothing (`0 ln 0 = 0`).
#[must_use]
pub fn entropy(probabilities: &[f64]) -> f64 {
    // A fold from +0, because the negated sum of zeros is -0, which a record would show.
    probabilities.iter().filter(|p| **p != 0.0).fold(0.0, |sum, p| sum - p * libm::log(*p))
}

/// Lowest index of the largest value (TA-22); 0 when all are NaN.
#[must_use]
pub fn argmax(values: &[f64]) -> usize {
    (1..values.len()).fold(0, |best, index| if values[index] > values[best] { index } else { best })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]
    use proptest::prelude::*;

    use super::*;

    fn near(seen: &[f64], wanted: &[f64]) {
        assert_eq!(seen.len(), wanted.len());
        seen.iter().zip(wanted).for_each(|(s, w)| assert!((s - w).abs() < 1e-8, "{seen:?} instead of {wanted:?}"));
    }

    /// ST-V26: at the temperatures 1, 1.5, 0.5 and the adaptive one of ST-65; logarithms.
    #[test]
    fn softmax_at_several_temperatures() {
        let at = |tau: f64| softmax([1.0, 0.0, -1.0].map(|logit: f64| logit / tau)).unwrap();
        near(&at(1.0), &[0.665_240_96, 0.244_728_47, 0.090_030_57]);
        near(&at(1.5), &[0.562_741_69, 0.288_921_22, 0.148_337_10]);
        near(&at(0.5), &[0.866_813_33, 0.117_310_43, 0.015_876_24]);
        near(&at(1.729_846_7), &[0.533_145_76, 0.299_079_36, 0.167_774_87]);
        near(&log_softmax([1.0, 0.0, -1.0]).unwrap(), &[-0.407_605_96, -1.407_605_96, -2.407_605_96]);
    }

    /// ST-V27, EX-V15: entropies.
    #[test]
    fn entropies() {
        near(&[entropy(&[0.7, 0.2, 0.1])], &[0.801_818_55]);
        near(&[entropy(&[0.9, 0.05, 0.05])], &[0.394_397_69]);
        near(&[entropy(&[0.5, 0.4, 0.1])], &[0.943_348_39]);
        near(&[entropy(&[1.0 / 3.0; 3])], &[1.098_612_29]);
        near(&[entropy(&[0.2; 5])], &[1.609_437_91]);
        near(&[entropy(&[0.25; 4])], &[1.386_294_36]);
        near(&[entropy(&[0.1, 0.2, 0.4, 0.2, 0.1])], &[1.470_808_48]);
        assert_eq!(entropy(&[0.0, 1.0, 0.0]).to_bits(), 0, "SU-V8 f: exactly 0, and not -0");
    }

    /// Not finite means no distribution, never a guess.
    #[test]
    fn logits_that_are_not_finite_have_no_distribution() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!((softmax([0.0, bad]), log_softmax([bad, 0.0, 0.0])), (None, None));
        }
        assert_eq!(softmax([f64::MAX, f64::MIN, 0.0]), Some([1.0, 0.0, 0.0]));
        assert_eq!((sigmoid(-1e9), sigmoid(1e9), sigmoid(0.0)), (0.0, 1.0, 0.5));
        assert!(sigmoid(f64::NAN).is_nan());
    }

    #[test]
    fn ties_go_to_the_lowest_index() {
        assert_eq!((argmax(&[0.2, 0.4, 0.4]), argmax(&[0.25; 4]), argmax(&[f64::NAN; 3]), argmax(&[])), (1, 0, 0, 0));
    }

    proptest! {
        /// ST-52, ST-148: a distribution; a constant added to all logits changes nothing that counts.
        #[test]
        fn distributions_are_valid(logits in prop::array::uniform5(-700.0_f64..700.0), shift in -100.0_f64..100.0) {
            let p = softmax(logits).unwrap();
            prop_assert!(p.iter().all(|p| (0.0..=1.0).contains(p)) && (p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            let shifted = softmax(logits.map(|logit| logit + shift)).unwrap();
            prop_assert!(p.iter().zip(shifted).all(|(a, b)| (a - b).abs() < 1e-9));
            let logs = log_softmax(logits).unwrap();
            prop_assert!(p.iter().zip(logs).all(|(p, log)| (libm::exp(log) - p).abs() < 1e-12));
            let h = entropy(&p);
            prop_assert!(h >= 0.0 && h <= 5.0_f64.ln() + 1e-12);
        }
    }
}
