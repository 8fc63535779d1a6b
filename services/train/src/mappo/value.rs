//! Losses of a critic.

use super::column::{self, ColumnError};

/// Mean over the records of the larger of two squared errors: of the value, and of the value moved at most `clip` (in units of
/// the reward) away from the old one (ST-86). A clip of 0 is none.
///
/// # Errors
/// [`ColumnError`] for an empty batch, lengths that differ, figures that are not finite or a negative clip.
pub fn clipped_value_loss(old: &[f64], values: &[f64], targets: &[f64], clip: f64) -> Result<f64, ColumnError> {
    let rows = values.len();
    check(values, targets)?;
    column::finite("old values", old, rows)?;
    column::every("value clip", &[clip], "finite and at least 0", |clip| clip.is_finite() && clip >= 0.0)?;
    let most = if clip > 0.0 { clip } else { f64::INFINITY };
    let terms = (0..rows).map(|row| {
        let moved = old[row] + (values[row] - old[row]).clamp(-most, most);
        (values[row] - targets[row]).powi(2).max((moved - targets[row]).powi(2))
    });
    Ok(terms.sum::<f64>() / rows as f64)
}

/// Mean squared error with the importance weight of each record (SU-24).
///
/// # Errors
/// [`ColumnError`] for an empty batch, lengths that differ, figures that are not finite or negative weights.
pub fn weighted_value_loss(values: &[f64], targets: &[f64], weights: &[f64]) -> Result<f64, ColumnError> {
    check(values, targets)?;
    column::finite("weights", weights, values.len())?;
    column::every("weights", weights, "at least 0", |weight| weight >= 0.0)?;
    let terms = values.iter().zip(targets).zip(weights).map(|((value, target), weight)| weight * (value - target).powi(2));
    Ok(terms.sum::<f64>() / values.len() as f64)
}

fn check(values: &[f64], targets: &[f64]) -> Result<(), ColumnError> {
    column::at_least("values", values.len(), 1)?;
    column::finite("values", values, values.len())?;
    column::finite("targets", targets, values.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::super::near;
    use super::*;

    /// ST-V38; ST-86: a clip of 0 leaves the plain squared error.
    #[test]
    fn loss_with_a_clipped_value() {
        near(&[clipped_value_loss(&[0.5, 1.0], &[0.9, 0.9], &[1.0, 0.2], 0.2).unwrap()], &[0.29], 1e-12);
        near(&[clipped_value_loss(&[0.5, 1.0], &[0.9, 0.9], &[1.0, 0.2], 0.0).unwrap()], &[0.25], 1e-12);
    }

    /// SU-V3, second part.
    #[test]
    fn losses_of_the_training_pipeline() {
        near(&[clipped_value_loss(&[0.5], &[0.9], &[1.2], 0.2).unwrap()], &[0.25], 1e-12);
        near(&[clipped_value_loss(&[0.5], &[0.4], &[1.0], 0.2).unwrap()], &[0.36], 1e-12);
        near(&[weighted_value_loss(&[0.8, 0.2], &[1.0, -0.5], &[1.0, 0.5]).unwrap()], &[0.1425], 1e-12);
    }

    #[test]
    fn impossible_batches_are_refused() {
        let nan = f64::NAN;
        assert_eq!(weighted_value_loss(&[], &[], &[]).unwrap_err().to_string(), "values: 0 figures, at least 1 are needed");
        assert!(weighted_value_loss(&[1.0], &[nan], &[1.0]).is_err());
        assert!(weighted_value_loss(&[1.0], &[1.0], &[-1.0]).is_err());
        assert!(weighted_value_loss(&[1.0], &[1.0], &[]).is_err());
        assert!(clipped_value_loss(&[1.0, 2.0], &[1.0], &[1.0], 0.2).is_err());
        assert!([nan, -0.1].into_iter().all(|clip| clipped_value_loss(&[1.0], &[1.0], &[1.0], clip).is_err()));
    }
}
