//! How far one step may go.

use super::column::{self, ColumnError};

/// Keeps the divisor above 0, as optimisers customarily do (ST-88).
const GUARD: f64 = 1e-6;

/// Factor on a gradient whose norm must not exceed `largest` (ST-88, SU-22, TA-44): 1 when it does not.
///
/// # Errors
/// [`ColumnError`] when the norm is not finite, since such an update must not be made (ST-96), or `largest` is not above 0.
pub fn clip_factor(norm: f64, largest: f64) -> Result<f64, ColumnError> {
    column::every("gradient norm", &[norm], "finite and at least 0", |norm| norm.is_finite() && norm >= 0.0)?;
    column::every("largest norm", &[largest], "finite and above 0", |largest| largest.is_finite() && largest > 0.0)?;
    Ok(if norm > largest { largest / (norm + GUARD) } else { 1.0 })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::super::near;
    use super::*;

    /// ST-V39, SU-V3 (third part)
    #[test]
    fn gradients_are_clipped_to_the_norm() {
        let factor = clip_factor(5.0, 0.5).unwrap();
        near(&[3.0 * factor, 4.0 * factor], &[0.299_999_94, 0.399_999_92], 1e-9);
        near(&[clip_factor(0.5, 0.5).unwrap(), clip_factor(0.0, 0.5).unwrap()], &[1.0; 2], 1e-15);
    }

    #[test]
    fn a_gradient_that_is_none_is_refused() {
        assert_eq!(
            clip_factor(f64::NAN, 0.5).unwrap_err().to_string(),
            "gradient norm[0] is NaN, it must be finite and at least 0"
        );
        assert!(
            clip_factor(f64::INFINITY, 0.5).is_err() && clip_factor(1.0, 0.0).is_err() && clip_factor(1.0, f64::NAN).is_err()
        );
    }
}
