//! Constants of the risk agents' composition and their validation.

use serde::{Deserialize, Serialize};

/// Everything that decides how opinions tighten (RK-32, RK-37, RK-60, RK-61, RK-68, RK-71, RK-98).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RiskAgentsConfig {
    /// Contracts of one decision, at most, 0 to 1000 (RK-69, RK-70).
    pub max_contracts: i64,
    /// Share of Kelly, above 0 and at most 1 (RK-60).
    pub kelly_multiplier: f64,
    /// Share of the equity that one trade may risk, above 0 and at most 0.02 (RK-61).
    pub max_risk_fraction: f64,
    /// What stands in for missing opinions.
    pub conservative: Conservative,
    /// When a score of the critic alerts.
    pub alerts: AlertThresholds,
    /// How scores cut sizes.
    pub cuts: SizeCuts,
    /// The deterministic stop.
    pub stop: StopRule,
    /// Share of each position that the monitor's reduction closes, above 0 and at most 1 (RK-98).
    pub reduce_share: f64,
    /// Decisions in a row that must propose to close everything before that happens by itself, 1 to 10 (RK-98).
    pub close_confirmations: u32,
}

/// Stands in for opinions that are missing (RK-37); none of it may be looser than what opinions are held to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Conservative {
    /// Contracts, at most.
    pub contracts: i64,
    /// Share of Kelly.
    pub kelly_multiplier: f64,
    /// Share of the equity that one trade may risk.
    pub max_risk_fraction: f64,
    /// Distance of the stop in ATR, 0.5 to 3.
    pub stop_multiplier: f64,
    /// Distance of the target in ATR, 0.5 to 3.
    pub target_multiplier: f64,
}

/// A score above its threshold alerts (RK-32), each 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AlertThresholds {
    /// Of the portfolio.
    pub portfolio: f64,
    /// Of the position; above it nothing is added to the same symbol (RK-69).
    pub position: f64,
    /// Of correlation.
    pub correlation: f64,
    /// Of liquidity.
    pub liquidity: f64,
    /// Above it every alert is critical.
    pub critical: f64,
}

/// Strictly above a bound (0 to below 1), a size is cut by a share that grows to `depth` (0 to 1) at 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// Where it begins.
    pub above: f64,
    /// The cut at 1.
    pub depth: f64,
}

/// How scores and the volatility regime cut sizes (RK-68).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SizeCuts {
    /// By the portfolio score.
    pub portfolio: Cut,
    /// By the correlation score.
    pub correlation: Cut,
    /// By the liquidity score.
    pub liquidity: Cut,
    /// Percentile of volatility above which `wild_share` of a size remains, 0 to 1.
    pub wild_above: f64,
    /// What remains then, 0 to 1.
    pub wild_share: f64,
}

/// The deterministic stop (RK-71, RK-72).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StopRule {
    /// Distance in ATR in the calmest market, above 0 and at most 10.
    pub atr_multiple: f64,
    /// Added share in the wildest market, 0 to 10.
    pub volatility_share: f64,
    /// Share by which a day brings it nearer, 0 to 1.
    pub daily_decay: f64,
    /// The time never brings it nearer than this share, above 0 and at most 1.
    pub least_time_factor: f64,
    /// Share of the open profit that a trailing stop keeps, 0 to below 1.
    pub trail_share: f64,
}

impl Default for RiskAgentsConfig {
    fn default() -> Self {
        Self {
            max_contracts: 5,
            kelly_multiplier: 0.25,
            max_risk_fraction: 0.02,
            conservative: Conservative::default(),
            alerts: AlertThresholds::default(),
            cuts: SizeCuts::default(),
            stop: StopRule::default(),
            reduce_share: 0.25,
            close_confirmations: 2,
        }
    }
}

impl Default for Conservative {
    fn default() -> Self {
        let (stop_multiplier, target_multiplier) = (1.5, 1.5);
        Self { contracts: 1, kelly_multiplier: 0.10, max_risk_fraction: 0.005, stop_multiplier, target_multiplier }
    }
}

impl Default for AlertThresholds {
    fn default() -> Self {
        Self { portfolio: 0.7, position: 0.8, correlation: 0.6, liquidity: 0.75, critical: 0.9 }
    }
}

impl Default for SizeCuts {
    fn default() -> Self {
        Self {
            portfolio: Cut { above: 0.7, depth: 0.5 },
            correlation: Cut { above: 0.6, depth: 0.3 },
            liquidity: Cut { above: 0.5, depth: 0.4 },
            wild_above: 0.8,
            wild_share: 0.7,
        }
    }
}

impl Default for StopRule {
    fn default() -> Self {
        Self { atr_multiple: 1.5, volatility_share: 0.5, daily_decay: 0.3, least_time_factor: 0.7, trail_share: 0.5 }
    }
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("risk agents: {}", .0.join("; "))]
pub struct RiskAgentsConfigError(pub Vec<String>);

impl RiskAgentsConfig {
    /// Collects every violation; NaN is one.
    ///
    /// # Errors
    /// [`RiskAgentsConfigError`] lists field, value seen and value allowed of each.
    pub fn validate(&self) -> Result<(), RiskAgentsConfigError> {
        let mut found = Vec::new();
        for (field, value, [least, most]) in [
            ("maxContracts", self.max_contracts, [0, 1000]),
            ("conservative.contracts", self.conservative.contracts, [0, self.max_contracts]),
            ("closeConfirmations", i64::from(self.close_confirmations), [1, 10]),
        ] {
            if !(least..=most).contains(&value) {
                found.push(format!("{field} is {value}, it must be {least} to {most}"));
            }
        }
        for (field, value, most) in self.shares_above_0() {
            if !(value > 0.0 && value <= most) {
                found.push(format!("{field} is {value}, it must be above 0 and at most {most}"));
            }
        }
        for (field, value, [least, most]) in self.figures() {
            if !(least..=most).contains(&value) {
                found.push(format!("{field} is {value}, it must be {least} to {most}"));
            }
        }
        if found.is_empty() { Ok(()) } else { Err(RiskAgentsConfigError(found)) }
    }

    const fn shares_above_0(&self) -> [(&'static str, f64, f64); 7] {
        let conservative = &self.conservative;
        [
            ("kellyMultiplier", self.kelly_multiplier, 1.0),
            ("maxRiskFraction", self.max_risk_fraction, 0.02),
            ("conservative.kellyMultiplier", conservative.kelly_multiplier, self.kelly_multiplier),
            ("conservative.maxRiskFraction", conservative.max_risk_fraction, self.max_risk_fraction),
            ("stop.atrMultiple", self.stop.atr_multiple, 10.0),
            ("stop.leastTimeFactor", self.stop.least_time_factor, 1.0),
            ("reduceShare", self.reduce_share, 1.0),
        ]
    }

    const fn figures(&self) -> [(&'static str, f64, [f64; 2]); 18] {
        let (conservative, alerts, cuts, stop) = (&self.conservative, &self.alerts, &self.cuts, &self.stop);
        [
            ("conservative.stopMultiplier", conservative.stop_multiplier, [0.5, 3.0]),
            ("conservative.targetMultiplier", conservative.target_multiplier, [0.5, 3.0]),
            ("alerts.portfolio", alerts.portfolio, [0.0, 1.0]),
            ("alerts.position", alerts.position, [0.0, 1.0]),
            ("alerts.correlation", alerts.correlation, [0.0, 1.0]),
            ("alerts.liquidity", alerts.liquidity, [0.0, 1.0]),
            ("alerts.critical", alerts.critical, [0.0, 1.0]),
            // The cut divides by what is left above the bound.
            ("cuts.portfolio.above", cuts.portfolio.above, [0.0, 0.99]),
            ("cuts.portfolio.depth", cuts.portfolio.depth, [0.0, 1.0]),
            ("cuts.correlation.above", cuts.correlation.above, [0.0, 0.99]),
            ("cuts.correlation.depth", cuts.correlation.depth, [0.0, 1.0]),
            ("cuts.liquidity.above", cuts.liquidity.above, [0.0, 0.99]),
            ("cuts.liquidity.depth", cuts.liquidity.depth, [0.0, 1.0]),
            ("cuts.wildAbove", cuts.wild_above, [0.0, 1.0]),
            ("cuts.wildShare", cuts.wild_share, [0.0, 1.0]),
            ("stop.volatilityShare", stop.volatility_share, [0.0, 10.0]),
            ("stop.dailyDecay", stop.daily_decay, [0.0, 1.0]),
            ("stop.trailShare", stop.trail_share, [0.0, 0.99]),
        ]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// RK-37: defaults are valid; a stand-in that is looser than what it stands in for is not; all faults at once.
    #[test]
    fn configurations_are_validated() {
        let read: RiskAgentsConfig = serde_json::from_str("{}").unwrap();
        assert_eq!((&read, read.validate()), (&RiskAgentsConfig::default(), Ok(())));
        assert!(serde_json::from_str::<RiskAgentsConfig>(r#"{"cuts": {"wild": 1}}"#).is_err());
        let mut wrong = read;
        wrong.max_risk_fraction = 0.03;
        wrong.conservative.contracts = 6;
        wrong.conservative.kelly_multiplier = 0.3;
        wrong.cuts.portfolio.above = 1.0;
        wrong.stop.trail_share = f64::NAN;
        let RiskAgentsConfigError(found) = wrong.validate().unwrap_err();
        let wanted = [
            "conservative.contracts is 6, it must be 0 to 5",
            "maxRiskFraction is 0.03, it must be above 0 and at most 0.02",
            "conservative.kellyMultiplier is 0.3, it must be above 0 and at most 0.25",
            "cuts.portfolio.above is 1, it must be 0 to 0.99",
            "stop.trailShare is NaN, it must be 0 to 0.99",
        ];
        assert_eq!(found, wanted);
    }
}
