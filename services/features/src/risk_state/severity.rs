//! How bad a figure above its threshold is.

use serde::{Deserialize, Serialize};

/// Absorbs binary rounding: 1.65 over 1.5 is a little below 1.1 in floats (RK-V20).
const DUST: f64 = 1e-9;

/// Grades of an alert (RK-133).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// Above the threshold.
    Low,
    /// At least a tenth above.
    Medium,
    /// At least a quarter above.
    High,
    /// At least half above.
    Critical,
}

/// Grade of a figure by its ratio to a threshold above 0 (RK-133); `None` at or below it (RK-131). What cannot be compared
/// is critical.
#[must_use]
pub fn severity(value: f64, threshold: f64) -> Option<Severity> {
    if !(value.is_finite() && threshold.is_finite() && threshold > 0.0) {
        return Some(Severity::Critical);
    }
    let ratio = value / threshold + DUST;
    let grades = [(1.5, Severity::Critical), (1.25, Severity::High), (1.1, Severity::Medium)];
    let grade = grades.into_iter().find(|(least, _)| ratio >= *least).map_or(Severity::Low, |(_, grade)| grade);
    (value > threshold).then_some(grade)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RK-V20, and the bound that floats miss.
    #[test]
    fn grades_follow_the_ratio() {
        use Severity::{Critical, High, Low, Medium};
        for (threshold, rows) in [
            (1.0, &[(1.0, None), (1.05, Some(Low)), (1.1, Some(Medium)), (1.2, Some(Medium)), (1.25, Some(High))][..]),
            (1.0, &[(1.3, Some(High)), (1.5, Some(Critical))]),
            (0.3, &[(0.33, Some(Medium)), (0.375, Some(High)), (0.45, Some(Critical))]),
            (1.5, &[(1.6, Some(Low)), (1.65, Some(Medium)), (1.875, Some(High)), (2.25, Some(Critical))]),
            (80.0, &[(88.0, Some(Medium)), (100.0, Some(High)), (120.0, Some(Critical))]),
            (0.7, &[(0.77, Some(Medium)), (0.875, Some(High)), (1.0, Some(High))]),
        ] {
            rows.iter().for_each(|(value, wanted)| assert_eq!(severity(*value, threshold), *wanted, "{value} {threshold}"));
        }
        for (value, threshold) in [(f64::NAN, 1.0), (f64::INFINITY, 1.0), (0.1, 0.0), (0.1, f64::NAN)] {
            assert_eq!(severity(value, threshold), Some(Critical), "{value} {threshold}");
        }
    }
}
