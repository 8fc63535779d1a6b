//! Configuration of the whole strategic stage.

use serde::{Deserialize, Serialize};

use tradewind_core::calendar::CalendarName;

use crate::tactical::{FvgConfig, TacticalConfig};

use super::clock::BarClock;
use super::config::StrategicConfig;
use super::decision::DecisionConfig;

/// Longest time that a decision may stay the context of tactical ones.
pub const MAX_CONTEXT_BARS: u32 = 64;

/// Which bars the features see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BarPlan {
    /// Half hours, joined from the faster bars of the feed (ST-6).
    #[default]
    HalfHours,
    /// The bars of the feed as they are, whatever their length: for daily recordings, where half hours do not exist.
    AsFed,
}

impl BarPlan {
    /// When bars of this plan are due in a market of this calendar (ST-18).
    #[must_use]
    pub const fn clock(self, calendar: CalendarName) -> BarClock {
        match self {
            Self::HalfHours => BarClock::half_hours(calendar),
            Self::AsFed => BarClock::Numbered,
        }
    }
}

/// Everything that decides what the strategic stage of one bundle does with its bars.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StrategicStageConfig {
    /// Which bars the features see.
    pub bars: BarPlan,
    /// Features and synergy patterns.
    pub features: StrategicConfig,
    /// Fair value gaps of the feed's bars, whose filling is one of the three signals (ST-41).
    pub gaps: FvgConfig,
    /// Ensemble and gates.
    pub decision: DecisionConfig,
    /// Further bars of the feed for which a decision stays the context of tactical ones, 0 to 64 (TA-35).
    pub context_bars: u32,
}

impl Default for StrategicStageConfig {
    fn default() -> Self {
        Self {
            bars: BarPlan::default(),
            features: StrategicConfig::default(),
            gaps: FvgConfig::default(),
            decision: DecisionConfig::default(),
            context_bars: 1,
        }
    }
}

/// Everything that is wrong with a stage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("strategic stage: {}", .0.join("; "))]
pub struct StageConfigError(pub Vec<String>);

impl StrategicStageConfig {
    /// Collects every violation of all parts (SU-1, SU-15).
    ///
    /// # Errors
    /// [`StageConfigError`] lists field, value seen and value allowed of each.
    pub fn validate(&self) -> Result<(), StageConfigError> {
        let mut found = Vec::new();
        found.extend(self.features.validate().err().into_iter().flat_map(|error| error.0));
        let gaps = TacticalConfig { fvg: self.gaps, ..TacticalConfig::default() };
        found.extend(gaps.validate().err().into_iter().flat_map(|error| error.0));
        found.extend(self.decision.validate().err().into_iter().flat_map(|error| error.0));
        if self.context_bars > MAX_CONTEXT_BARS {
            found.push(format!("contextBars is {}, it must be 0 to {MAX_CONTEXT_BARS}", self.context_bars));
        }
        if found.is_empty() { Ok(()) } else { Err(StageConfigError(found)) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// SU-1, SU-15: an empty object is the default; faults of all parts are reported at once.
    #[test]
    fn every_part_is_validated() {
        let read: StrategicStageConfig = serde_json::from_str("{}").unwrap();
        assert_eq!((&read, read.validate()), (&StrategicStageConfig::default(), Ok(())));
        assert!(serde_json::from_str::<StrategicStageConfig>(r#"{"bars": "Hourly"}"#).is_err());
        let mut wrong = StrategicStageConfig { context_bars: 65, ..StrategicStageConfig::default() };
        wrong.features.kernel.alpha = f64::NAN;
        wrong.gaps.lookback = 21;
        wrong.decision.weight_floor = 0.4;
        let StageConfigError(found) = wrong.validate().unwrap_err();
        let fields: Vec<&str> = found.iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(fields, ["kernel.alpha", "fvg.lookback", "weightFloor", "contextBars"]);
    }
}
