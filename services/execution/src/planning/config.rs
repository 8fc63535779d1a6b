//! Constants of execution plans and their validation.

use serde::{Deserialize, Serialize};

/// Constants of plans (EX-30 to EX-46, EX-208).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PlanConfig {
    /// Contracts of one trade, at most, 0 to 1000 (EX-37).
    pub max_contracts: i64,
    /// Kelly limits the size (EX-37).
    pub kelly_cap: bool,
    /// Share of Kelly, above 0 and at most 1 (EX-42).
    pub kelly_multiplier: f64,
    /// Penalty on variance, 1 to 5 (EX-38).
    pub risk_aversion: f64,
    /// Share of the equity that one trade may risk, above 0 and at most 0.02 (EX-40, C-56).
    pub max_risk_fraction: f64,
    /// Least distance of the stop that risk is computed with, in price points, above 0 and finite (C-17).
    pub least_stop_points: f64,
    /// Expected market impact.
    pub impact: ImpactConfig,
}

/// How impact changes with the time that an order takes (EX-45, C-20).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImpactMode {
    /// Mean of a decaying kernel: most at once, less when spread out.
    #[default]
    Decaying,
    /// Rises from 0 with the duration.
    Rising,
}

/// Expected market impact (EX-46).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ImpactConfig {
    /// Factor, above 0 and at most 10; 1 is conservative, 0.08 calibrated (C-21).
    pub alpha: f64,
    /// Exponent of the share of the daily volume, above 0 and at most 1.
    pub beta: f64,
    /// Time scale, seconds, above 0 and finite.
    pub tau0_seconds: f64,
    /// How it changes with the duration.
    pub mode: ImpactMode,
}

impl Default for PlanConfig {
    fn default() -> Self {
        Self {
            max_contracts: 5,
            kelly_cap: true,
            kelly_multiplier: 0.25,
            risk_aversion: 2.0,
            max_risk_fraction: 0.02,
            least_stop_points: 2.0,
            impact: ImpactConfig::default(),
        }
    }
}

impl Default for ImpactConfig {
    fn default() -> Self {
        Self { alpha: 1.0, beta: 0.5, tau0_seconds: 600.0, mode: ImpactMode::Decaying }
    }
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("execution plan: {}", .0.join("; "))]
pub struct PlanConfigError(pub Vec<String>);

impl PlanConfig {
    /// Collects every violation; NaN is one (EX-212).
    ///
    /// # Errors
    /// [`PlanConfigError`] lists field, value seen and value allowed of each.
    pub fn validate(&self) -> Result<(), PlanConfigError> {
        let mut found = Vec::new();
        if !(0..=1000).contains(&self.max_contracts) {
            found.push(format!("maxContracts is {}, it must be 0 to 1000", self.max_contracts));
        }
        for (field, value, most) in [
            ("kellyMultiplier", self.kelly_multiplier, 1.0),
            ("maxRiskFraction", self.max_risk_fraction, 0.02),
            ("leastStopPoints", self.least_stop_points, f64::MAX),
            ("impact.alpha", self.impact.alpha, 10.0),
            ("impact.beta", self.impact.beta, 1.0),
            ("impact.tau0Seconds", self.impact.tau0_seconds, f64::MAX),
        ] {
            if !(value > 0.0 && value <= most) {
                let allowed = if most == f64::MAX { "finite".to_owned() } else { format!("at most {most}") };
                found.push(format!("{field} is {value}, it must be above 0 and {allowed}"));
            }
        }
        if !(1.0..=5.0).contains(&self.risk_aversion) {
            found.push(format!("riskAversion is {}, it must be 1 to 5", self.risk_aversion));
        }
        if found.is_empty() { Ok(()) } else { Err(PlanConfigError(found)) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// EX-208, EX-212: defaults are valid, unknown keys refused, all faults reported at once.
    #[test]
    fn configurations_are_validated() {
        let read: PlanConfig = serde_json::from_str("{}").unwrap();
        assert_eq!((&read, read.validate()), (&PlanConfig::default(), Ok(())));
        assert!(serde_json::from_str::<PlanConfig>(r#"{"impact": {"gamma": 1}}"#).is_err());
        let impact = ImpactConfig { tau0_seconds: f64::INFINITY, alpha: 0.0, ..ImpactConfig::default() };
        let wrong = PlanConfig { max_contracts: -1, max_risk_fraction: 0.021, risk_aversion: f64::NAN, impact, ..read };
        let PlanConfigError(found) = wrong.validate().unwrap_err();
        let wanted = [
            "maxContracts is -1, it must be 0 to 1000",
            "maxRiskFraction is 0.021, it must be above 0 and at most 0.02",
            "impact.alpha is 0, it must be above 0 and at most 10",
            "impact.tau0Seconds is inf, it must be above 0 and finite",
            "riskAversion is NaN, it must be 1 to 5",
        ];
        assert_eq!(found, wanted);
    }
}
