//! Thresholds of the tactical stage and their validation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::matrix::AGENTS;

/// Bars before the first matrix: 60 rows and 20 bars that the oldest row looks back on (TA-7).
pub const WARM_UP_BARS: u64 = 80;
/// Longest look-back that the warm-up covers.
const MAX_LOOKBACK: u32 = 20;
/// Longest life of a gap that keeps the work per bar small.
const MAX_GAP_AGE: u32 = 500;

/// Thresholds of one bundle (TA-72, TA-74); decision-relevant, so part of the bundle's hash.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TacticalConfig {
    /// Least score that executes, (0, 1].
    pub execution_threshold: f64,
    /// Factor on the score of a decision against the synergy, (0, 1] (TA-26).
    pub counter_synergy_factor: f64,
    /// Agents that must vote for the winner, 1 to 3 (TA-25).
    pub min_agreeing_agents: u32,
    /// Weights of `fvg`, `momentum`, `entry` per synergy type; each row sums to 1 (TA-24).
    pub synergy_type_weights: BTreeMap<String, [f64; 3]>,
    /// Weights for a type that is not listed.
    pub default_weights: [f64; 3],
    /// Weaker synergies are ignored, [0, 1] (TA-35).
    pub min_synergy_confidence: f64,
    /// Softmax temperature per agent, above 0 (TA-21).
    pub temperatures: Temperatures,
    /// Fair value gaps.
    pub fvg: FvgConfig,
    /// Distance of the stop from the close, in ATR, above 0 (TA-31).
    pub stop_atr_multiple: f64,
    /// Distance of the target from the close, in ATR, above 0 (TA-31).
    pub take_profit_atr_multiple: f64,
    /// Bars of the average true range, 1 to 80 (TA-15).
    pub atr_period: u32,
    /// Confidence at which the base quantity is traded, (0, 1] (TA-30).
    pub confidence_reference: f64,
    /// Largest multiple of the base quantity, at least 1 (TA-30).
    pub max_confidence_multiplier: f64,
    /// Percent of five-bar momentum at which the Momentum rule is 76 % sure, above 0.
    pub momentum_scale_pct: f64,
}

/// Softmax temperatures (TA-21).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Temperatures {
    /// Of the gap agent.
    pub fvg: f64,
    /// Of the momentum agent.
    pub momentum: f64,
    /// Of the entry agent.
    pub entry: f64,
}

/// What counts as a fair value gap (TA-9, TA-11).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FvgConfig {
    /// The middle body must exceed the mean body by this factor, above 0.
    pub body_multiplier: f64,
    /// Bodies in the mean, 1 to 20.
    pub lookback: u32,
    /// Bars after which an unfilled gap is forgotten, 1 to 500.
    pub max_age_bars: u32,
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tactical configuration: {}", .0.join("; "))]
pub struct ConfigError(pub Vec<String>);

impl Default for TacticalConfig {
    fn default() -> Self {
        let rows = [
            ("TYPE_1", [0.5, 0.3, 0.2]),
            ("TYPE_2", [0.4, 0.4, 0.2]),
            ("TYPE_3", [0.3, 0.5, 0.2]),
            ("TYPE_4", [0.35, 0.35, 0.3]),
        ];
        Self {
            execution_threshold: 0.65,
            counter_synergy_factor: 0.7,
            min_agreeing_agents: 2,
            synergy_type_weights: rows.into_iter().map(|(name, row)| (name.to_owned(), row)).collect(),
            default_weights: [0.33, 0.33, 0.34],
            min_synergy_confidence: 0.5,
            temperatures: Temperatures::default(),
            fvg: FvgConfig::default(),
            stop_atr_multiple: 2.0,
            take_profit_atr_multiple: 3.0,
            atr_period: 14,
            confidence_reference: 0.8,
            max_confidence_multiplier: 1.5,
            momentum_scale_pct: 1.0,
        }
    }
}

impl Default for Temperatures {
    fn default() -> Self {
        Self { fvg: 1.0, momentum: 1.2, entry: 0.8 }
    }
}

impl Default for FvgConfig {
    fn default() -> Self {
        Self { body_multiplier: 1.5, lookback: 20, max_age_bars: 60 }
    }
}

impl Temperatures {
    /// In the order of [`AGENTS`].
    #[must_use]
    pub const fn by_agent(&self) -> [f64; 3] {
        [self.fvg, self.momentum, self.entry]
    }
}

impl TacticalConfig {
    /// Weights for a synergy type (TA-24).
    #[must_use]
    pub fn weights(&self, synergy_type: &str) -> [f64; 3] {
        self.synergy_type_weights.get(synergy_type).copied().unwrap_or(self.default_weights)
    }

    /// Collects every violation (TA-73); NaN is one.
    ///
    /// # Errors
    /// [`ConfigError`] lists field, value seen and value allowed of each.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut found = Vec::new();
        let mut check = |fine: bool, field: &str, value: f64, allowed: &str| {
            if !fine {
                found.push(format!("{field} is {value}, it must be {allowed}"));
            }
        };
        let share = |v: f64| v > 0.0 && v <= 1.0;
        let positive = |v: f64| v > 0.0 && v.is_finite();
        for (field, value) in [
            ("executionThreshold", self.execution_threshold),
            ("counterSynergyFactor", self.counter_synergy_factor),
            ("confidenceReference", self.confidence_reference),
        ] {
            check(share(value), field, value, "above 0 and at most 1");
        }
        for (field, value) in [
            ("stopAtrMultiple", self.stop_atr_multiple),
            ("takeProfitAtrMultiple", self.take_profit_atr_multiple),
            ("fvg.bodyMultiplier", self.fvg.body_multiplier),
            ("momentumScalePct", self.momentum_scale_pct),
        ] {
            check(positive(value), field, value, "above 0 and finite");
        }
        for (agent, value) in AGENTS.iter().zip(self.temperatures.by_agent()) {
            check(positive(value), &format!("temperatures.{agent}"), value, "above 0 and finite");
        }
        check((0.0..=1.0).contains(&self.min_synergy_confidence), "minSynergyConfidence", self.min_synergy_confidence, "0 to 1");
        let multiplier = self.max_confidence_multiplier;
        check(multiplier >= 1.0 && multiplier.is_finite(), "maxConfidenceMultiplier", multiplier, "at least 1 and finite");
        for (field, value, most) in [
            ("minAgreeingAgents", self.min_agreeing_agents, 3),
            ("fvg.lookback", self.fvg.lookback, MAX_LOOKBACK),
            ("fvg.maxAgeBars", self.fvg.max_age_bars, MAX_GAP_AGE),
            ("atrPeriod", self.atr_period, 80),
        ] {
            check((1..=most).contains(&value), field, f64::from(value), &format!("1 to {most}"));
        }
        let rows = self.synergy_type_weights.iter().map(|(name, row)| (format!("synergyTypeWeights.{name}"), row));
        for (field, row) in rows.chain([("defaultWeights".to_owned(), &self.default_weights)]) {
            let fine = row.iter().all(|&w| w >= 0.0) && (row.iter().sum::<f64>() - 1.0).abs() <= 1e-9;
            check(fine, &field, row.iter().sum(), "three weights of at least 0 with the sum 1");
        }
        if found.is_empty() { Ok(()) } else { Err(ConfigError(found)) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    /// TA-72, TA-74: an empty object is the specification's default, and it is valid.
    #[test]
    fn defaults_are_valid_and_survive_json() {
        let read: TacticalConfig = serde_json::from_str("{}").unwrap();
        assert_eq!(read, TacticalConfig::default());
        assert_eq!(read.validate(), Ok(()));
        let text = serde_json::to_string(&read).unwrap();
        assert!(text.contains(r#""synergyTypeWeights":{"TYPE_1":[0.5,0.3,0.2]"#), "{text}");
        assert_eq!(serde_json::from_str::<TacticalConfig>(&text).unwrap(), read);
    }

    /// TA-73: unknown keys are refused, not ignored.
    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_str::<TacticalConfig>(r#"{"threshold": 0.5}"#).is_err());
        assert!(serde_json::from_str::<TacticalConfig>(r#"{"fvg": {"age": 5}}"#).is_err());
    }

    /// TA-73: all faults are reported at once, NaN among them.
    #[test]
    fn every_violation_is_reported() {
        let mut wrong =
            TacticalConfig { execution_threshold: 0.0, stop_atr_multiple: f64::NAN, atr_period: 0, ..Default::default() };
        wrong.temperatures.entry = -1.0;
        wrong.fvg.lookback = 21;
        wrong.synergy_type_weights.insert("TYPE_2".into(), [0.5, 0.5, 0.1]);
        wrong.default_weights = [1.5, -0.5, 0.0];
        let ConfigError(found) = wrong.validate().unwrap_err();
        let fields: Vec<&str> = found.iter().map(|line| line.split(' ').next().unwrap()).collect();
        let wanted = [
            "executionThreshold",
            "stopAtrMultiple",
            "temperatures.entry",
            "fvg.lookback",
            "atrPeriod",
            "synergyTypeWeights.TYPE_2",
            "defaultWeights",
        ];
        assert_eq!(fields, wanted);
    }
}
