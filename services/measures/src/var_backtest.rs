//! Whether losses exceeded the value at risk as often as they should.

/// How close the rate of violations is to the one expected: `1 - |rate - expected| / expected`, 0 to 1 (RK-56); 0 without
/// days. To report, not to pass by: it is mostly the noise of a year (risk C-27).
#[must_use]
pub fn accuracy(violations: u32, days: u32, expected: f64) -> f64 {
    if days == 0 {
        return 0.0;
    }
    (1.0 - (f64::from(violations) / f64::from(days) - expected).abs() / expected).max(0.0)
}

/// A likelihood ratio and the probability of a larger one when the model is right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LikelihoodRatio {
    /// At least 0; chi-squared with one degree of freedom when the model is right.
    pub statistic: f64,
    /// 0 to 1; below 0.05 the model is rejected (RK-57).
    pub probability: f64,
}

impl LikelihoodRatio {
    fn new(restricted: f64, free: f64) -> Self {
        let statistic = (2.0 * (free - restricted)).max(0.0);
        Self { statistic, probability: libm::erfc((statistic / 2.0).sqrt()) }
    }
}

/// Kupiec's test that violations are as frequent as `expected`, above 0 and below 1 (RK-57); `None` without days or with
/// more violations than days.
#[must_use]
pub fn frequency(violations: u32, days: u32, expected: f64) -> Option<LikelihoodRatio> {
    if days == 0 || violations > days || !(expected > 0.0 && expected < 1.0) {
        return None;
    }
    let (hits, misses) = (f64::from(violations), f64::from(days - violations));
    let free = log_likelihood(hits, misses, hits / (hits + misses));
    Some(LikelihoodRatio::new(log_likelihood(hits, misses, expected), free))
}

/// Christoffersen's test that a violation does not make one on the next day likelier (RK-57); `None` with fewer than two days.
#[must_use]
pub fn independence(violations: &[bool]) -> Option<LikelihoodRatio> {
    if violations.len() < 2 {
        return None;
    }
    let mut steps = [[0.0; 2]; 2];
    violations.windows(2).for_each(|pair| steps[usize::from(pair[0])][usize::from(pair[1])] += 1.0);
    let own = |[misses, hits]: [f64; 2]| log_likelihood(hits, misses, hits / (hits + misses));
    let [after_miss, after_hit] = steps;
    let both = [after_miss[0] + after_hit[0], after_miss[1] + after_hit[1]];
    Some(LikelihoodRatio::new(own(both), own(after_miss) + own(after_hit)))
}

/// What did not happen adds nothing, whatever its probability.
fn log_likelihood(hits: f64, misses: f64, probability: f64) -> f64 {
    let part = |times: f64, probability: f64| if times > 0.0 { times * libm::log(probability) } else { 0.0 };
    part(hits, probability) + part(misses, 1.0 - probability)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn near(seen: f64, wanted: f64, tolerance: f64) {
        assert!((seen - wanted).abs() < tolerance, "{seen} instead of {wanted}");
    }

    /// RK-V11: accuracy, statistic and probability; in a year only 12 or 13 violations score 0.95.
    #[test]
    fn frequencies_of_violations() {
        for (violations, days, score, statistic, probability) in [
            (12, 252, 0.952_380_952_4, 0.030_538_564_6, 0.861_273_8),
            (13, 252, 0.968_253_968_3, 0.013_234_841_2, 0.908_411_2),
            (10, 252, 0.793_650_793_7, 0.605_901_168_6, 0.436_335_3),
            (5, 100, 1.0, 0.0, 1.0),
            (4, 100, 0.8, 0.225_341_164_0, 0.635_000_0),
            (10, 100, 0.0, 4.130_843_782_6, 0.042_108_4),
            (20, 252, 0.412_698_412_7, 3.912_550_827_6, 0.047_926_8),
            (0, 100, 0.0, 10.258_658_877_5, 0.001_360_4),
        ] {
            near(accuracy(violations, days, 0.05), score, 1e-10);
            let seen = frequency(violations, days, 0.05).unwrap();
            near(seen.statistic, statistic, 1e-9);
            // The root of a statistic that is 0 but for rounding.
            near(seen.probability, probability, 2e-7);
        }
        let scoring: Vec<u32> = (0..=252).filter(|violations| accuracy(*violations, 252, 0.05) >= 0.95).collect();
        assert_eq!(scoring, [12, 13]);
    }

    /// RK-V11, Christoffersen. Exact to the last digit; the vector itself says 6.2984983168, which is 2e-6 less.
    #[test]
    fn violations_that_follow_each_other() {
        let days: Vec<bool> = (0..100).map(|day| [10, 11, 50, 51, 90].contains(&day)).collect();
        near(independence(&days).unwrap().statistic, 6.298_500_316_8, 1e-10);
        near(independence(&[false; 50]).unwrap().statistic, 0.0, 1e-12);
    }

    #[test]
    fn without_days_there_is_no_test() {
        assert_eq!((frequency(0, 0, 0.05), frequency(2, 1, 0.05), frequency(1, 2, f64::NAN)), (None, None, None));
        assert_eq!((independence(&[true]), frequency(1, 2, 0.0)), (None, None));
        near(accuracy(0, 0, 0.05), 0.0, 1e-12);
    }
}
