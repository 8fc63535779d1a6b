//! A closed form that stands beside the networks.

use crate::categorical::softmax;

use super::agent::Probabilities;

/// Baseline for comparisons and degraded displays; it never opens a trade (ST-60, X-8).
///
/// - `slope`: of the kernel regression, ATR per bar;
/// - `signed_support`: -1 to 1, below the close counts upwards (ST-30);
/// - `uncertainty`: of the decision before, 0 to 1; 1 when there is none.
///
/// `None` when a figure is not finite.
#[must_use]
pub fn simple_policy(slope: f64, signed_support: f64, uncertainty: f64) -> Option<Probabilities> {
    let drift = slope + signed_support;
    softmax([drift, uncertainty, -drift]).map(Probabilities::from)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// ST-V31: a node below the price supports, one above it resists.
    #[test]
    fn support_below_and_resistance_above() {
        for (support, wanted) in
            [(0.4, [0.601_726_65, 0.298_808_61, 0.099_464_75]), (-0.4, [0.342_008_77, 0.377_978_14, 0.280_013_09])]
        {
            let seen = simple_policy(0.5, support, 0.2).unwrap().to_array();
            assert!(seen.iter().zip(wanted).all(|(s, w)| (s - w).abs() < 1e-8), "{seen:?}");
        }
        assert_eq!(simple_policy(f64::NAN, 0.4, 0.2), None);
    }
}
