//! Shares of capital that carry equal risk.

use crate::value_at_risk::{Covariance, CovarianceError};

/// How far a share of the risk may be from equal (RK-78).
const TOLERANCE: f64 = 1e-10;
/// Sweeps until the inverse of the deviations serves instead; a handful is enough for ordinary matrices.
const SWEEPS: usize = 1_000;

/// Why there are no shares.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum RiskParityError {
    /// The figures are no covariance.
    #[error(transparent)]
    Covariance(#[from] CovarianceError),
    /// No finite share of something without risk carries as much as the others.
    #[error("deviation {0} is 0: it can carry no risk")]
    NoRisk(usize),
}

/// Shares, each above 0 with sum 1, whose contributions `w_i (Sigma w)_i` are equal (RK-78): the minimum of
/// `w' Sigma w / 2 - sum(ln w) / n`, found by solving for one share after the other, which needs no step size. The inverse
/// of the deviations, when the sweeps do not settle. `correlations` are row-major.
///
/// # Errors
/// [`RiskParityError`]
#[allow(clippy::cast_precision_loss)]
pub fn equal_risk_shares(deviations: &[f64], correlations: &[f64]) -> Result<Vec<f64>, RiskParityError> {
    Covariance::new(deviations.to_vec(), correlations.to_vec())?;
    if let Some(at) = deviations.iter().position(|deviation| *deviation <= 0.0) {
        return Err(RiskParityError::NoRisk(at));
    }
    let n = deviations.len();
    let each = 1.0 / n as f64;
    // In units of deviations, so that the covariance is the correlation.
    let mut risk = vec![1.0; n];
    let slope = |risk: &[f64], row: usize| -> f64 { (0..n).map(|column| correlations[row * n + column] * risk[column]).sum() };
    let settled = (0..SWEEPS).any(|_| {
        for row in 0..n {
            let others = slope(&risk, row) - risk[row];
            let root = (others * others + 4.0 * each).sqrt();
            // The positive root, written so that a large `others` does not cancel.
            risk[row] = if others > 0.0 { 2.0 * each / (root + others) } else { (root - others) / 2.0 };
        }
        (0..n).all(|row| (risk[row] * slope(&risk, row) - each).abs() < TOLERANCE)
    });
    if !settled {
        risk.fill(1.0);
    }
    let shares: Vec<f64> = risk.iter().zip(deviations).map(|(risk, deviation)| risk / deviation).collect();
    let sum: f64 = shares.iter().sum();
    Ok(shares.iter().map(|share| share / sum).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn near(seen: &[f64], wanted: &[f64]) {
        assert_eq!(seen.len(), wanted.len());
        seen.iter().zip(wanted).for_each(|(s, w)| assert!((s - w).abs() < 1e-9, "{seen:?} instead of {wanted:?}"));
    }

    /// RK-V17: shares, and without correlations the inverse of the deviations.
    #[test]
    fn risk_is_shared_equally() {
        let deviations = [0.10, 0.15, 0.20, 0.25, 0.30];
        #[rustfmt::skip]
        let correlations = [
            1.0, 0.2, 0.1, 0.0, 0.3,
            0.2, 1.0, 0.4, 0.1, 0.2,
            0.1, 0.4, 1.0, 0.3, 0.1,
            0.0, 0.1, 0.3, 1.0, 0.25,
            0.3, 0.2, 0.1, 0.25, 1.0,
        ];
        let seen = equal_risk_shares(&deviations, &correlations).unwrap();
        near(&seen, &[0.366_196_596_3, 0.217_534_866_0, 0.162_662_186_1, 0.143_983_045_5, 0.109_623_306_2]);
        let part = |row: usize| -> f64 {
            let covariance = |column: usize| correlations[row * 5 + column] * deviations[row] * deviations[column];
            seen[row] * (0..5).map(|column| covariance(column) * seen[column]).sum::<f64>()
        };
        let variance: f64 = (0..5).map(part).sum();
        near(&(0..5).map(|row| part(row) / variance).collect::<Vec<_>>(), &[0.2; 5]);
        let mean: f64 = seen.iter().zip(deviations).map(|(share, deviation)| share * deviation).sum();
        near(&[variance.sqrt(), mean / variance.sqrt()], &[0.101_498_937_6, 1.681_446_959_5]);
        let alone: Vec<f64> = (0..25).map(|at| if at % 6 == 0 { 1.0 } else { 0.0 }).collect();
        let inverse = [0.344_827_586_2, 0.229_885_057_5, 0.172_413_793_1, 0.137_931_034_5, 0.114_942_528_7];
        near(&equal_risk_shares(&deviations, &alone).unwrap(), &inverse);
    }

    #[test]
    fn what_has_no_answer_is_refused() {
        assert_eq!(equal_risk_shares(&[0.1, 0.0], &[1.0, 0.0, 0.0, 1.0]), Err(RiskParityError::NoRisk(1)));
        let refused = |deviation| matches!(equal_risk_shares(&[deviation], &[1.0]), Err(RiskParityError::Covariance(_)));
        assert!(refused(f64::NAN) && refused(-0.1));
        // A perfect hedge has no equal shares of a risk that is 0: the inverse of the deviations serves.
        near(&equal_risk_shares(&[0.1, 0.3], &[1.0, -1.0, -1.0, 1.0]).unwrap(), &[0.75, 0.25]);
        assert!(equal_risk_shares(&[], &[]).unwrap().is_empty());
    }
}
