//! A policy whose actions are numbers: normal around the network's outputs.

use std::f64::consts::TAU;

use super::column::{self, ColumnError};

/// Deviation of both risk actions, stop and target multiple (EX-103).
pub const DEVIATION: f64 = 0.1;

/// Log-density of actions around their means, summed over the independent dimensions (EX-103). `actions` are the samples
/// before the environment clamped them (EX-106).
///
/// # Errors
/// [`ColumnError`] when lengths differ, a figure is not finite, or the deviation is not above 0.
pub fn log_density(actions: &[f64], means: &[f64], deviation: f64) -> Result<f64, ColumnError> {
    column::finite("actions", actions, actions.len())?;
    column::finite("means", means, actions.len())?;
    let each = log_normaliser(deviation)?;
    Ok(actions.iter().zip(means).map(|(action, mean)| -0.5 * ((action - mean) / deviation).powi(2) - each).sum())
}

/// Entropy of `dimensions` independent actions, nats; negative when they are narrow (EX-103).
///
/// # Errors
/// [`ColumnError`] when the deviation is not above 0.
pub fn entropy(dimensions: u32, deviation: f64) -> Result<f64, ColumnError> {
    Ok(f64::from(dimensions) * (0.5 + log_normaliser(deviation)?))
}

fn log_normaliser(deviation: f64) -> Result<f64, ColumnError> {
    column::every("deviation", &[deviation], "finite and above 0", |part| part.is_finite() && part > 0.0)?;
    Ok(deviation.ln() + 0.5 * TAU.ln())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::super::near;
    use super::super::surrogate::ratio;
    use super::*;

    /// EX-V18
    #[test]
    fn densities_of_risk_actions() {
        let of = |means: [f64; 2]| log_density(&[1.85, 3.1], &means, DEVIATION).unwrap();
        near(&[of([1.8, 3.2]), of([1.85, 3.1])], &[2.142_293_12, 2.767_293_12], 1e-8);
        near(&[entropy(2, DEVIATION).unwrap()], &[-1.767_293_12], 1e-8);
        near(&[ratio(of([1.8, 3.2]), of([1.82, 3.18]))], &[1.296_930_09], 1e-8);
    }

    #[test]
    fn impossible_actions_are_refused() {
        assert!(log_density(&[1.0], &[], DEVIATION).is_err() && log_density(&[f64::NAN], &[1.0], DEVIATION).is_err());
        assert!([0.0, f64::NAN].into_iter().all(|deviation| entropy(2, deviation).is_err()));
    }
}
