//! Stress of the market as a whole.

use crate::schema::{ANY, FeatureSchema, FeatureValueError, NOT_NEGATIVE, SHARE};

/// What stress is made from. A ratio compares with what is normal: the median of the trailing 20 sessions (RK-93).
pub static TERMS: FeatureSchema<4> = FeatureSchema {
    name: "market-stress-4-v1",
    columns: ["volatility_ratio", "average_absolute_correlation", "liquidity_ratio", "var_ratio"],
    ranges: [NOT_NEGATIVE, SHARE, ANY, NOT_NEGATIVE],
};

/// Each term between calm (0) and the crisis trigger of RK-92 (1).
///
/// # Errors
/// [`FeatureValueError`]: a ratio that is unknown is no calm market.
pub fn stress_terms(
    volatility_ratio: f64,
    average_absolute_correlation: f64,
    liquidity_ratio: f64,
    var_ratio: f64,
) -> Result<[f64; 4], FeatureValueError> {
    let [volatility, correlation, liquidity, var] =
        *TERMS.vector([volatility_ratio, average_absolute_correlation, liquidity_ratio, var_ratio])?.values();
    let terms = [(volatility - 1.0) / 4.0, correlation / 0.9, (1.0 - liquidity) / 0.8, (var - 1.0) / 2.0];
    Ok(terms.map(|term| term.clamp(0.0, 1.0)))
}

/// Highest of the terms, 0 to 1 (RK-13).
#[must_use]
pub fn stress_level(terms: &[f64; 4]) -> f64 {
    terms.iter().copied().fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]
    use super::*;

    /// RK-V3
    #[test]
    fn stress_of_four_terms() {
        let terms = stress_terms(3.0, 0.72, 0.5, 2.0).unwrap();
        [0.5, 0.8, 0.625, 0.5]
            .into_iter()
            .zip(terms)
            .for_each(|(wanted, seen)| assert!((seen - wanted).abs() < 1e-12, "{terms:?}"));
        assert!((stress_level(&terms) - 0.8).abs() < 1e-12);
    }

    /// RK-13: 0 when all is normal, 1 at each crisis trigger of RK-92, never beyond.
    #[test]
    fn borders_of_the_terms() {
        let level = |terms: [f64; 4]| stress_level(&stress_terms(terms[0], terms[1], terms[2], terms[3]).unwrap());
        assert_eq!(level([1.0, 0.0, 1.0, 1.0]), 0.0);
        assert_eq!(level([0.2, 0.0, 3.0, 0.1]), 0.0);
        for crisis in
            [[5.0, 0.0, 1.0, 1.0], [1.0, 0.9, 1.0, 1.0], [1.0, 0.0, 0.2, 1.0], [1.0, 0.0, 1.0, 3.0], [9.0, 1.0, 0.0, 9.0]]
        {
            assert_eq!(level(crisis), 1.0, "{crisis:?}");
        }
        let unknown = stress_terms(1.0, f64::NAN, 1.0, 1.0).unwrap_err().to_string();
        assert_eq!(unknown, "market-stress-4-v1: average_absolute_correlation is NaN, it must be finite");
    }
}
