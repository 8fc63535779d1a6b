//! Is a run of losses or rewards still going anywhere?

/// Values in one window of the convergence score (TA-48).
pub const CONVERGENCE_WINDOW: usize = 100;

/// Least-squares slope per step (TA-49); 0 for fewer than two values.
pub fn slope(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    if values.len() < 2 {
        return 0.0;
    }
    let (mean_x, mean_y) = ((n - 1.0) / 2.0, values.iter().sum::<f64>() / n);
    let steps = values.iter().enumerate().map(|(x, y)| (x as f64 - mean_x, y - mean_y));
    let (up, across) = steps.fold((0.0, 0.0), |(up, across), (x, y)| (up + x * y, across + x * x));
    up / across
}

/// Population standard deviation over |mean| of the last 100 values; 1 when there are fewer or the
/// mean is 0 (TA-48). Below 0.05 counts as converged, which says nothing about being good (TA-G45).
pub fn convergence(values: &[f64]) -> f64 {
    let Some(last) = values.last_chunk::<CONVERGENCE_WINDOW>() else { return 1.0 };
    let mean = last.iter().sum::<f64>() / CONVERGENCE_WINDOW as f64;
    if mean == 0.0 {
        return 1.0;
    }
    let variance = last.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / CONVERGENCE_WINDOW as f64;
    variance.sqrt() / mean.abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TA-V16, the slope.
    #[test]
    fn ta_v16_slope() {
        assert!((slope(&[1.0, 0.9, 0.85, 0.7, 0.65]) + 0.09).abs() < 1e-12);
        assert_eq!(slope(&[1.0]), 0.0);
    }

    /// TA-V17
    #[test]
    fn ta_v17_convergence() {
        let alternating = |a: f64, b: f64, n: usize| (0..n).map(|i| if i % 2 == 0 { a } else { b }).collect::<Vec<_>>();
        assert!((convergence(&alternating(10.4, 9.6, 100)) - 0.04).abs() < 1e-12);
        assert!((convergence(&alternating(10.6, 9.4, 100)) - 0.06).abs() < 1e-12);
        assert_eq!(convergence(&alternating(10.4, 9.6, 99)), 1.0);
        assert_eq!(convergence(&alternating(1.0, -1.0, 100)), 1.0);
    }
}
