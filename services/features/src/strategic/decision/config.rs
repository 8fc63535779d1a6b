//! Thresholds of strategic decisions.

use serde::{Deserialize, Serialize};

use crate::strategic::matrix::MatrixPolicy;

use super::fault::DecisionConfigError;

/// Confidence of every fallback (ST-73): the threshold must lie above it, so that no fallback can proceed (SU-15).
pub(super) const FALLBACK_CONFIDENCE: f64 = 0.5;

/// Thresholds of one bundle's strategic decisions (ST-70 to ST-76, SU-2, SU-12, SU-14).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DecisionConfig {
    /// Confidence that must be exceeded, above 0.5 and below 1 (ST-70).
    pub confidence_threshold: f64,
    /// Weaker synergies are not decided on, 0 to 1 (SU-14, SU-48).
    pub min_synergy_confidence: f64,
    /// Least weight of an agent, 0 to 0.3 (ST-62); 0 takes the weights as learned.
    pub weight_floor: f64,
    /// A decision against its synergy does not proceed (ST-72, SU-53).
    pub require_synergy_alignment: bool,
    /// Oldest matrix that may be acted on, seconds from its newest close, 1 to 604800 (ST-71).
    pub max_matrix_age_seconds: u32,
    /// An agent below it makes the uncertainty one of individuals, 0 to 1 (ST-76).
    pub low_agent_confidence: f64,
    /// A wider spread of the agents' confidences is a disagreement, 0 to 1 (ST-76).
    pub agent_spread: f64,
    /// How matrices are judged.
    pub matrix: MatrixPolicy,
}

impl Default for DecisionConfig {
    fn default() -> Self {
        Self {
            confidence_threshold: 0.65,
            min_synergy_confidence: 0.5,
            weight_floor: 0.05,
            require_synergy_alignment: false,
            max_matrix_age_seconds: 35 * 60,
            low_agent_confidence: 0.6,
            agent_spread: 0.3,
            matrix: MatrixPolicy::default(),
        }
    }
}

impl DecisionConfig {
    /// Collects every violation; NaN is one (SU-15).
    ///
    /// # Errors
    /// [`DecisionConfigError`] lists field, value seen and value allowed of each.
    pub fn validate(&self) -> Result<(), DecisionConfigError> {
        let mut found = Vec::new();
        let mut check = |fine: bool, field: &str, value: f64, allowed: &str| {
            if !fine {
                found.push(format!("{field} is {value}, it must be {allowed}"));
            }
        };
        let threshold = self.confidence_threshold;
        check(threshold > FALLBACK_CONFIDENCE && threshold < 1.0, "confidenceThreshold", threshold, "above 0.5 and below 1");
        for (field, value) in [
            ("minSynergyConfidence", self.min_synergy_confidence),
            ("lowAgentConfidence", self.low_agent_confidence),
            ("agentSpread", self.agent_spread),
        ] {
            check((0.0..=1.0).contains(&value), field, value, "0 to 1");
        }
        check((0.0..=0.3).contains(&self.weight_floor), "weightFloor", self.weight_floor, "0 to 0.3");
        let age = self.max_matrix_age_seconds;
        check((1..=604_800).contains(&age), "maxMatrixAgeSeconds", f64::from(age), "1 to 604800");
        if found.is_empty() { Ok(()) } else { Err(DecisionConfigError(found)) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// SU-1, SU-15: an empty object is the specification's default, and it is valid; unknown keys are refused.
    #[test]
    fn defaults_are_valid_and_survive_json() {
        let read: DecisionConfig = serde_json::from_str("{}").unwrap();
        assert_eq!(read, DecisionConfig::default());
        assert_eq!(read.validate(), Ok(()));
        assert_eq!(serde_json::from_str::<DecisionConfig>(&serde_json::to_string(&read).unwrap()).unwrap(), read);
        assert!(serde_json::from_str::<DecisionConfig>(r#"{"threshold": 0.5}"#).is_err());
    }

    /// SU-15: all faults at once; a threshold that a fallback would exceed is one.
    #[test]
    fn every_violation_is_reported() {
        let wrong = DecisionConfig {
            confidence_threshold: 0.5,
            min_synergy_confidence: f64::NAN,
            weight_floor: 0.34,
            max_matrix_age_seconds: 0,
            low_agent_confidence: -0.1,
            agent_spread: 1.1,
            ..DecisionConfig::default()
        };
        let DecisionConfigError(found) = wrong.validate().unwrap_err();
        let fields: Vec<&str> = found.iter().map(|line| line.split(' ').next().unwrap()).collect();
        let wanted = [
            "confidenceThreshold",
            "minSynergyConfidence",
            "lowAgentConfidence",
            "agentSpread",
            "weightFloor",
            "maxMatrixAgeSeconds",
        ];
        assert_eq!(fields, wanted);
        assert_eq!(found[0], "confidenceThreshold is 0.5, it must be above 0.5 and below 1");
    }
}
