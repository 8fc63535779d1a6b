//! The JSON that a verification leaves in its termination message.

use std::collections::BTreeMap;

use serde::Deserialize;
use tradewind_crds::conditions::CheckpointReason;
use tradewind_crds::model_checkpoint::{Figures, Metric};

/// What a verification found. Fields that this version does not know are ignored.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    verdict: Verdict,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    message: String,
    #[serde(default)]
    figures: Measured,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Verdict {
    Verified,
    Rejected,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Measured {
    size_bytes: Option<i64>,
    parameters: Option<i64>,
    architecture: Option<String>,
    feature_schema: Option<String>,
    golden_max_error: Option<f64>,
    latency_p50_us: Option<f64>,
    latency_p99_us: Option<f64>,
    metrics: BTreeMap<String, f64>,
}

impl Report {
    /// Reads a termination message; `None`: it holds something else, such as the end of a log.
    #[must_use]
    pub fn parse(message: &str) -> Option<Self> {
        serde_json::from_str(message).ok()
    }

    /// Whether every check passed.
    #[must_use]
    pub fn verified(&self) -> bool {
        self.verdict == Verdict::Verified
    }

    /// Reason from the closed list. A reason that this version does not know is a bad format.
    #[must_use]
    pub fn reason(&self) -> CheckpointReason {
        match (self.verdict, self.reason.as_deref()) {
            (Verdict::Verified, _) => CheckpointReason::Verified,
            (Verdict::Rejected, Some("ActionOrder")) => CheckpointReason::BadActionOrder,
            (Verdict::Rejected, Some(text)) => text.parse().unwrap_or(CheckpointReason::BadFormat),
            (Verdict::Rejected, None) => CheckpointReason::BadFormat,
        }
    }

    /// One sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The figures as status carries them: no floats.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let m = &self.figures;
        // a clock that reads less than half a microsecond still took some time
        let micros = |value: Option<f64>| value.filter(|v| v.is_finite()).map(|v| v.round().clamp(1.0, 1e12) as i64);
        Figures {
            size_bytes: m.size_bytes,
            parameters: m.parameters,
            architecture: m.architecture.clone(),
            feature_schema: m.feature_schema.clone(),
            golden_max_error: m.golden_max_error.map(|error| format!("{error:.3e}")),
            latency_p50_us: micros(m.latency_p50_us),
            latency_p99_us: micros(m.latency_p99_us),
            metrics: m
                .metrics
                .iter()
                .take(16)
                .map(|(name, value)| Metric { name: name.clone(), value: value.to_string() })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_verdict_is_read_with_its_figures() {
        let report = Report::parse(
            r#"{"verdict":"Verified","message":"fine","figures":{"sizeBytes":10,"sha256":"x","goldenMaxError":1.25e-7,
                "latencyP50Us":27.6,"latencyP99Us":0.2,"metrics":{"sharpe":0.5}},"new":1}"#,
        )
        .unwrap();
        assert!(report.verified());
        let figures = report.figures();
        assert_eq!(figures.golden_max_error.as_deref(), Some("1.250e-7"));
        assert_eq!((figures.latency_p50_us, figures.latency_p99_us), (Some(28), Some(1)));
        assert_eq!(figures.metrics[0].value, "0.5");
    }

    #[test]
    fn reasons_come_from_the_closed_list() {
        let reason = |text: &str| Report::parse(&format!(r#"{{"verdict":"Rejected","reason":"{text}"}}"#)).unwrap().reason();
        assert_eq!(reason("NotFinite"), CheckpointReason::NotFinite);
        assert_eq!(reason("ActionOrder"), CheckpointReason::BadActionOrder);
        assert_eq!(reason("SomethingNew"), CheckpointReason::BadFormat);
        assert_eq!(Report::parse("thread main panicked"), None);
    }
}
