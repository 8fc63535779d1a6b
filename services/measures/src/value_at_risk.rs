//! Value at risk of positions that move together.

use tradewind_core::money::Money;

/// How far below 0 rounding may push an eigenvalue (EX-53).
const EIGENVALUE_SLACK: f64 = 1e-8;

/// A quantile of the normal distribution (RK-50, EX-51).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tail {
    /// Probability of a larger loss, above 0 and below 1.
    pub probability: f64,
    /// Deviations up to the quantile, above 0.
    pub quantile: f64,
}

impl Tail {
    /// The tail of the risk state (RK-6).
    pub const FIVE_PERCENT: Self = Self { probability: 0.05, quantile: 1.644_853_626_951_472_2 };
    /// Between both.
    pub const TWO_AND_A_HALF_PERCENT: Self = Self { probability: 0.025, quantile: 1.959_963_984_540_054 };
    /// The tail of the execution context, exact (EX-51).
    pub const ONE_PERCENT: Self = Self { probability: 0.01, quantile: 2.326_347_874_040_841 };
    /// The same as limits round it (EX-51).
    pub const ONE_PERCENT_OF_LIMITS: Self = Self { probability: 0.01, quantile: 2.33 };

    /// Mean loss beyond the quantile, in deviations (RK-50).
    #[must_use]
    pub fn shortfall(self) -> f64 {
        libm::exp(-0.5 * self.quantile * self.quantile) / std::f64::consts::TAU.sqrt() / self.probability
    }
}

/// Deviations and correlations of instruments, checked (EX-53).
#[derive(Clone, Debug, PartialEq)]
pub struct Covariance {
    deviations: Vec<f64>,
    /// Row-major.
    correlations: Vec<f64>,
}

/// Why figures are no covariance, or exposures do not belong to it.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum CovarianceError {
    /// Rows, columns and deviations do not fit.
    #[error("{correlations} correlations and {exposures} exposures for {instruments} instruments")]
    Size {
        /// Number of deviations.
        instruments: usize,
        /// Number of correlations.
        correlations: usize,
        /// Number of exposures.
        exposures: usize,
    },
    /// A deviation is not finite or negative.
    #[error("deviation of instrument {instrument} is {value}, it must be finite and at least 0")]
    Deviation {
        /// Its place.
        instrument: usize,
        /// The value seen.
        value: f64,
    },
    /// A correlation is not within -1 and 1, not that of the mirrored pair, or not 1 on the diagonal.
    #[error(
        "correlation of instruments {row} and {column} is {value}, it must lie within -1 and 1, be symmetric and 1 on the diagonal"
    )]
    Correlation {
        /// Row.
        row: usize,
        /// Column.
        column: usize,
        /// The value seen.
        value: f64,
    },
    /// The correlations contradict each other: some book would have a negative variance.
    #[error("correlations contradict each other: their smallest eigenvalue is below -1e-8")]
    NotPositive,
}

/// Risk of a book over a horizon, account currency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueAtRisk {
    /// Deviation of one session's profit.
    pub deviation: f64,
    /// Loss that is exceeded with the tail's probability, at least 0.
    pub value_at_risk: f64,
    /// Mean of the losses beyond, at least 0.
    pub expected_shortfall: f64,
}

impl Covariance {
    /// From the deviations of one session's returns and their correlations, row-major.
    ///
    /// # Errors
    /// [`CovarianceError`] names the first fault; NaN is one.
    pub fn new(deviations: Vec<f64>, correlations: Vec<f64>) -> Result<Self, CovarianceError> {
        let n = deviations.len();
        if correlations.len() != n * n {
            return Err(CovarianceError::Size { instruments: n, correlations: correlations.len(), exposures: n });
        }
        if let Some(instrument) = deviations.iter().position(|value| !(value.is_finite() && *value >= 0.0)) {
            return Err(CovarianceError::Deviation { instrument, value: deviations[instrument] });
        }
        for (at, &value) in correlations.iter().enumerate() {
            let (row, column) = (at / n, at % n);
            let mirrored = correlations[column * n + row];
            let fine = (-1.0..=1.0).contains(&value) && value.to_bits() == mirrored.to_bits();
            if !fine || (row == column && value < 1.0) {
                return Err(CovarianceError::Correlation { row, column, value });
            }
        }
        if !is_positive(&correlations, n) {
            return Err(CovarianceError::NotPositive);
        }
        Ok(Self { deviations, correlations })
    }

    /// Risk of signed exposures (position x point value x price) over `sessions`, without any expected profit (EX-48,
    /// EX-50, RK-50). Hedges offset, what is not held does not count.
    ///
    /// # Errors
    /// [`CovarianceError::Size`]
    pub fn value_at_risk(&self, exposures: &[Money], tail: Tail, sessions: f64) -> Result<ValueAtRisk, CovarianceError> {
        self.check(exposures)?;
        let variance: f64 = (0..exposures.len()).map(|at| exposures[at].to_f64() * self.slope(exposures, at)).sum();
        let deviation = variance.max(0.0).sqrt();
        let scaled = deviation * sessions.max(0.0).sqrt();
        let (value_at_risk, expected_shortfall) = (tail.quantile * scaled, tail.shortfall() * scaled);
        Ok(ValueAtRisk { deviation, value_at_risk, expected_shortfall })
    }

    /// What one instrument adds to the value at risk of one session; the components sum to it (RK-50). Negative for a
    /// hedge, 0 where nothing is at risk.
    ///
    /// # Errors
    /// [`CovarianceError::Size`]
    pub fn component(&self, exposures: &[Money], instrument: usize, tail: Tail) -> Result<f64, CovarianceError> {
        let whole = self.value_at_risk(exposures, tail, 1.0)?;
        let part = exposures.get(instrument).map_or(0.0, |exposure| exposure.to_f64() * self.slope(exposures, instrument));
        Ok(if whole.deviation > 0.0 { part * tail.quantile / whole.deviation } else { 0.0 })
    }

    const fn check(&self, exposures: &[Money]) -> Result<(), CovarianceError> {
        let instruments = self.deviations.len();
        if exposures.len() == instruments {
            return Ok(());
        }
        Err(CovarianceError::Size { instruments, correlations: self.correlations.len(), exposures: exposures.len() })
    }

    /// Row of the covariance times the exposures.
    fn slope(&self, exposures: &[Money], row: usize) -> f64 {
        let n = self.deviations.len();
        let rows = self.correlations[row * n..(row + 1) * n].iter().zip(&self.deviations).zip(exposures);
        self.deviations[row] * rows.map(|((rho, deviation), exposure)| rho * deviation * exposure.to_f64()).sum::<f64>()
    }
}

/// Whether the smallest eigenvalue is at least -1e-8 (EX-53): then, and only then, a Cholesky factor of the matrix with
/// 1e-8 more on its diagonal exists.
fn is_positive(matrix: &[f64], n: usize) -> bool {
    let mut factor = vec![0.0; n * n];
    for row in 0..n {
        for column in 0..=row {
            let known: f64 = (0..column).map(|k| factor[row * n + k] * factor[column * n + k]).sum();
            let rest = matrix[row * n + column] - known;
            if row == column {
                if rest + EIGENVALUE_SLACK <= 0.0 {
                    return false;
                }
                factor[row * n + row] = (rest + EIGENVALUE_SLACK).sqrt();
            } else {
                factor[row * n + column] = rest / factor[column * n + column];
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn near(seen: f64, wanted: f64) {
        assert!((seen / wanted - 1.0).abs() < 1e-8, "{seen} instead of {wanted}");
    }

    fn money(units: &[f64]) -> Vec<Money> {
        units.iter().map(|units| Money::from_nanos((units * 1e9) as i128)).collect()
    }

    /// Upper triangle of the correlations, row by row.
    fn covariance(deviations: &[f64], triangle: &[f64]) -> Covariance {
        let n = deviations.len();
        let mut correlations = vec![1.0; n * n];
        let pairs = (0..n).flat_map(|row| (row + 1..n).map(move |column| (row, column)));
        for ((row, column), rho) in pairs.zip(triangle) {
            correlations[row * n + column] = *rho;
            correlations[column * n + row] = *rho;
        }
        Covariance::new(deviations.to_vec(), correlations).unwrap()
    }

    fn at(covariance: &Covariance, exposures: &[f64], tail: Tail) -> ValueAtRisk {
        covariance.value_at_risk(&money(exposures), tail, 1.0).unwrap()
    }

    /// EX-V6: one instrument, one and five sessions, exact and rounded quantile.
    #[test]
    fn one_instrument() {
        let covariance = covariance(&[0.015], &[]);
        near(at(&covariance, &[207_512.5], Tail::ONE_PERCENT).value_at_risk, 7_241.193_95);
        near(at(&covariance, &[-207_512.5], Tail::ONE_PERCENT_OF_LIMITS).value_at_risk, 7_252.561_88);
        let week = covariance.value_at_risk(&money(&[207_512.5]), Tail::ONE_PERCENT, 5.0).unwrap();
        near(week.value_at_risk, 16_191.801_9);
    }

    /// EX-V7: a hedge lowers the risk, an instrument that is not held does not count.
    #[test]
    fn two_instruments() {
        let covariance = covariance(&[0.015, 0.020], &[0.9]);
        let var = |contracts: [f64; 2]| {
            let exposures = [contracts[0] * 4150.25 * 50.0, contracts[1] * 14_500.0 * 20.0];
            at(&covariance, &exposures, Tail::ONE_PERCENT).value_at_risk
        };
        near(var([2.0, 1.0]), 27_267.755_4);
        near(var([2.0, -1.0]), 6_329.367_51);
        near(var([1.0, 0.0]), 7_241.193_95);
        assert!(var([0.0, 0.0]).abs() < f64::MIN_POSITIVE);
    }

    /// EX-V8
    #[test]
    fn three_instruments() {
        let covariance = covariance(&[0.01, 0.02, 0.03], &[0.3, 0.1, -0.2]);
        let seen = at(&covariance, &[2_000.0, -1_000.0, 3_000.0], Tail::ONE_PERCENT);
        near(seen.deviation, 98.691_438_3);
        near(seen.value_at_risk, 229.590_618);
    }

    /// RK-V9, constants.
    #[test]
    fn quantiles_and_shortfalls() {
        for (tail, quantile, shortfall) in [
            (Tail::FIVE_PERCENT, 1.644_853_627_0, 2.062_712_807_5),
            (Tail::ONE_PERCENT, 2.326_347_874_0, 2.665_214_220_3),
            (Tail::TWO_AND_A_HALF_PERCENT, 1.959_963_984_5, 2.337_802_792_0),
        ] {
            near(tail.quantile, quantile);
            near(tail.shortfall(), shortfall);
        }
        let unit = at(&covariance(&[0.02], &[]), &[1.0], Tail::FIVE_PERCENT);
        near(unit.value_at_risk, 0.032_897_072_5);
        near(unit.expected_shortfall, 0.041_254_256_2);
    }

    /// RK-V7, closed forms: of the true deviation, and of the sample's, whose mean profit the product leaves out (EX-48).
    #[test]
    fn one_position_of_a_hundred() {
        near(at(&covariance(&[0.02], &[]), &[100.0], Tail::FIVE_PERCENT).value_at_risk, 3.289_707_254);
        let sample = covariance(&[0.019_581_986_66], &[]);
        for (sessions, wanted) in [(1.0, 3.183_241_786), (5.0, 7.013_721_590)] {
            let seen = sample.value_at_risk(&money(&[100.0]), Tail::FIVE_PERCENT, sessions).unwrap();
            near(seen.value_at_risk - sessions * 0.037_708_391_73, wanted);
        }
    }

    /// RK-V9, cases 1 and 2: long against short, components that sum to the whole, ten sessions.
    #[test]
    fn components_sum_to_the_whole() {
        let pair = covariance(&[0.012, 0.015], &[0.85]);
        let seen = at(&pair, &[225_000.0, -180_000.0], Tail::FIVE_PERCENT);
        [seen.deviation, seen.value_at_risk, seen.expected_shortfall]
            .into_iter()
            .zip([1_478.850_905_3, 2_432.493_275_2, 3_050.444_702_7])
            .for_each(|(seen, wanted)| near(seen, wanted));
        near(at(&pair, &[225_000.0, 180_000.0], Tail::FIVE_PERCENT).value_at_risk, 8_542.635_634_7);
        let book = money(&[225_000.0, -180_000.0]);
        [0, 1].into_iter().for_each(|of| near(pair.component(&book, of, Tail::FIVE_PERCENT).unwrap(), 1_216.246_637_6));

        let three = covariance(&[0.011, 0.016, 0.008], &[0.9, 0.3, 0.25]);
        let exposures = [225_000.0, 150_000.0, -100_000.0];
        let seen = at(&three, &exposures, Tail::FIVE_PERCENT);
        near(seen.deviation, 4_590.166_119_0);
        near(seen.value_at_risk, 7_550.151_389_1);
        near(seen.expected_shortfall, 9_468.194_442_2);
        near(three.value_at_risk(&money(&exposures), Tail::FIVE_PERCENT, 10.0).unwrap().value_at_risk, 23_875.675_069);
        for (of, wanted) in [3_897.920_134_1, 3_807.752_091_5, -155.520_836_4].into_iter().enumerate() {
            near(three.component(&money(&exposures), of, Tail::FIVE_PERCENT).unwrap(), wanted);
        }
    }

    /// EX-53: what is no covariance is refused by name, and exposures must belong to it.
    #[test]
    fn bad_matrices_are_refused() {
        let text = |deviations: &[f64], correlations: &[f64]| {
            Covariance::new(deviations.to_vec(), correlations.to_vec()).unwrap_err().to_string()
        };
        assert_eq!(
            text(&[0.1, f64::NAN], &[1.0, 0.5, 0.5, 1.0]),
            "deviation of instrument 1 is NaN, it must be finite and at least 0"
        );
        for (correlations, place) in [
            ([1.0, 0.5, 0.4, 1.0], "0 and 1 is 0.5"),
            ([1.0, f64::NAN, f64::NAN, 1.0], "0 and 1 is NaN"),
            ([1.0, 1.5, 1.5, 1.0], "0 and 1 is 1.5"),
            ([1.0, 0.5, 0.5, 0.9], "1 and 1 is 0.9"),
        ] {
            let seen = text(&[0.1, 0.2], &correlations);
            assert!(seen.contains(place), "{seen}");
        }
        let contradiction = [1.0, 0.9, 0.9, 0.9, 1.0, -0.9, 0.9, -0.9, 1.0];
        assert!(text(&[0.1; 3], &contradiction).contains("contradict"));
        assert!(Covariance::new(vec![0.1; 3], vec![1.0; 9]).is_ok(), "three times the same instrument");
        assert!(text(&[0.1], &[1.0, 0.0]).contains("2 correlations"));
        let one = covariance(&[0.1], &[]);
        assert!(one.value_at_risk(&money(&[1.0, 2.0]), Tail::ONE_PERCENT, 1.0).is_err());
    }
}
