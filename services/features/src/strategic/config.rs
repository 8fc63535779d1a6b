//! Constants of the strategic features and their validation.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::momentum::HORIZONS;
use super::schema::{ROWS, SCHEMA};

/// Constants of one bundle's strategic features; decision-relevant, so part of the checkpoint's digest (ST-57).
///
/// The horizons in the names of columns (`momentum_20`, `momentum_50`) belong to the schema and are not
/// configurable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StrategicConfig {
    /// Nearest neighbours on two smoothed indices.
    pub mlmi: MlmiConfig,
    /// Kernel regression.
    pub kernel: KernelConfig,
    /// Average true range.
    pub atr: AtrConfig,
    /// Volume profile.
    pub profile: ProfileConfig,
    /// Deviation of returns.
    pub volatility: VolatilityConfig,
    /// Discrepancy between the newest bars and the past.
    pub mmd: MmdConfig,
    /// Volume skew.
    pub skew: SkewConfig,
    /// Missing bars.
    pub gaps: GapConfig,
    /// Synergy patterns.
    pub synergy: SynergyConfig,
}

/// ST-20, ST-21.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MlmiConfig {
    /// Differences in the fast index.
    pub fast_rsi: u32,
    /// Differences in the slow index.
    pub slow_rsi: u32,
    /// Bars over which both are smoothed.
    pub smoothing: u32,
    /// Bars of the fast average of closes.
    pub fast_average: u32,
    /// Bars of the slow average of closes.
    pub slow_average: u32,
    /// Bars of the average that the value crosses.
    pub signal_average: u32,
    /// Examples that vote.
    pub neighbours: u32,
    /// Examples that are kept.
    pub examples: u32,
}

/// ST-23.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KernelConfig {
    /// `h`, bars.
    pub bandwidth: f64,
    /// Weight of long against short distances.
    pub alpha: f64,
    /// Closes in the regression.
    pub window: u32,
}

/// ST-19.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AtrConfig {
    /// Ranges in the average.
    pub bars: u32,
}

/// ST-27 to ST-29.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProfileConfig {
    /// Bars in the profile.
    pub bars: u32,
    /// Bins between lowest low and highest high.
    pub bins: u32,
    /// A node holds less than this share of the busiest bin.
    pub node_depth: f64,
    /// Slack in the comparison with neighbours, as a share of the busiest bin.
    pub node_tolerance: f64,
    /// Distance at which a node no longer counts, in ATR.
    pub reach_atr: f64,
}

/// ST-32, ST-33.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct VolatilityConfig {
    /// Returns in the deviation.
    pub bars: u32,
    /// Deviations in the median.
    pub median_bars: u32,
}

/// ST-36.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MmdConfig {
    /// Vectors in the recent sample.
    pub recent: u32,
    /// Vectors in the reference sample before it.
    pub reference: u32,
    /// Bars in the mean that a volume is compared with.
    pub volume_bars: u32,
}

/// ST-38.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SkewConfig {
    /// Bars in the skew.
    pub bars: u32,
}

/// ST-18.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GapConfig {
    /// More missing bars than this hide crossings.
    pub forget_crossings_above: u32,
    /// More missing bars than this start the warm-up anew.
    pub restart_above: u32,
}

/// ST-41 to ST-45.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SynergyConfig {
    /// Largest distance of the first from the last signal, bars of the matrix.
    pub window_bars: u32,
    /// Bars after an event in which no other is raised.
    pub cooldown_bars: u32,
    /// The index must lie farther than this from 50.
    pub mlmi_distance: f64,
    /// The slope must be steeper than this, ATR per bar.
    pub slope: f64,
    /// Bars after a change of sign within which the slope must be reached.
    pub slope_wait_bars: u32,
    /// Smallest fair value gap that counts, as a share of the price.
    pub gap_share: f64,
    /// An event that arrives later after its bar's close is refused, seconds.
    pub max_delay_seconds: u32,
}

impl Default for MlmiConfig {
    fn default() -> Self {
        Self {
            fast_rsi: 5,
            slow_rsi: 20,
            smoothing: 20,
            fast_average: 5,
            slow_average: 20,
            signal_average: 20,
            neighbours: 5,
            examples: 10_000,
        }
    }
}

impl Default for KernelConfig {
    fn default() -> Self {
        Self { bandwidth: 8.0, alpha: 8.0, window: 27 }
    }
}

impl Default for AtrConfig {
    fn default() -> Self {
        Self { bars: 14 }
    }
}

impl Default for ProfileConfig {
    fn default() -> Self {
        Self { bars: 20, bins: 50, node_depth: 0.30, node_tolerance: 1e-9, reach_atr: 3.0 }
    }
}

impl Default for VolatilityConfig {
    fn default() -> Self {
        Self { bars: 30, median_bars: 480 }
    }
}

impl Default for MmdConfig {
    fn default() -> Self {
        Self { recent: 48, reference: 480, volume_bars: 20 }
    }
}

impl Default for SkewConfig {
    fn default() -> Self {
        Self { bars: 20 }
    }
}

impl Default for GapConfig {
    fn default() -> Self {
        Self { forget_crossings_above: 1, restart_above: 48 }
    }
}

impl Default for SynergyConfig {
    fn default() -> Self {
        Self {
            window_bars: 10,
            cooldown_bars: 5,
            mlmi_distance: 25.0,
            slope: 0.05,
            slope_wait_bars: 2,
            gap_share: 0.001,
            max_delay_seconds: 120,
        }
    }
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("strategic configuration: {}", .0.join("; "))]
pub struct StrategicConfigError(pub Vec<String>);

impl StrategicConfig {
    /// Collects every violation; NaN is one.
    ///
    /// # Errors
    /// [`StrategicConfigError`] lists field, value seen and value allowed of each.
    pub fn validate(&self) -> Result<(), StrategicConfigError> {
        let mut found = Vec::new();
        for (field, value, [least, most]) in self.counts() {
            if !(least..=most).contains(&value) {
                found.push(format!("{field} is {value}, it must lie within {least} and {most}"));
            }
        }
        let mut check = |fine: bool, field: &str, value: f64, allowed: &str| {
            if !fine {
                found.push(format!("{field} is {value}, it must be {allowed}"));
            }
        };
        for (field, value) in [
            ("kernel.bandwidth", self.kernel.bandwidth),
            ("kernel.alpha", self.kernel.alpha),
            ("profile.reachAtr", self.profile.reach_atr),
        ] {
            check((1e-3..=1e6).contains(&value), field, value, "0.001 to 1000000");
        }
        for (field, value) in [
            ("profile.nodeDepth", self.profile.node_depth),
            ("profile.nodeTolerance", self.profile.node_tolerance),
            ("synergy.slope", self.synergy.slope),
            ("synergy.gapShare", self.synergy.gap_share),
        ] {
            check((0.0..=1.0).contains(&value), field, value, "0 to 1");
        }
        let distance = self.synergy.mlmi_distance;
        check((0.0..=50.0).contains(&distance), "synergy.mlmiDistance", distance, "0 to 50");
        if self.mlmi.fast_average >= self.mlmi.slow_average {
            found.push(format!("mlmi.fastAverage is {}, it must be below slowAverage", self.mlmi.fast_average));
        }
        if found.is_empty() { Ok(()) } else { Err(StrategicConfigError(found)) }
    }

    /// Whole numbers with the range that keeps memory and work per bar small.
    const fn counts(&self) -> [(&'static str, u32, [u32; 2]); 23] {
        let (mlmi, mmd, synergy) = (&self.mlmi, &self.mmd, &self.synergy);
        [
            ("mlmi.fastRsi", mlmi.fast_rsi, [1, 500]),
            ("mlmi.slowRsi", mlmi.slow_rsi, [1, 500]),
            ("mlmi.smoothing", mlmi.smoothing, [1, 500]),
            ("mlmi.fastAverage", mlmi.fast_average, [1, 500]),
            ("mlmi.slowAverage", mlmi.slow_average, [1, 500]),
            ("mlmi.signalAverage", mlmi.signal_average, [1, 500]),
            ("mlmi.neighbours", mlmi.neighbours, [1, 1_000]),
            ("mlmi.examples", mlmi.examples, [1, 100_000]),
            ("kernel.window", self.kernel.window, [1, 500]),
            ("atr.bars", self.atr.bars, [1, 500]),
            ("profile.bars", self.profile.bars, [1, 500]),
            ("profile.bins", self.profile.bins, [3, 1_000]),
            ("volatility.bars", self.volatility.bars, [2, 500]),
            ("volatility.medianBars", self.volatility.median_bars, [1, 2_000]),
            ("mmd.recent", mmd.recent, [2, 500]),
            ("mmd.reference", mmd.reference, [2, 1_000]),
            ("mmd.volumeBars", mmd.volume_bars, [1, 500]),
            ("skew.bars", self.skew.bars, [1, 500]),
            ("gaps.restartAbove", self.gaps.restart_above, [1, 10_000]),
            ("synergy.windowBars", synergy.window_bars, [1, 1_000]),
            ("synergy.cooldownBars", synergy.cooldown_bars, [0, 1_000]),
            ("synergy.slopeWaitBars", synergy.slope_wait_bars, [0, 100]),
            ("synergy.maxDelaySeconds", synergy.max_delay_seconds, [1, 86_400]),
        ]
    }

    /// Closed bars before the first row, this one included (ST-18): 547 with the defaults.
    #[must_use]
    pub fn first_row_bars(&self) -> u64 {
        let mlmi = &self.mlmi;
        let chains = [
            u64::from(mlmi.fast_rsi.max(mlmi.slow_rsi)) + u64::from(mlmi.smoothing) + u64::from(mlmi.signal_average) - 1,
            u64::from(mlmi.slow_average),
            u64::from(self.kernel.window.max(self.atr.bars)) + 1,
            u64::from(self.profile.bars.max(self.skew.bars)),
            u64::from(HORIZONS[1]) + 1,
            u64::from(self.volatility.bars) + 1,
            u64::from(self.mmd.volume_bars.max(2)) + u64::from(self.mmd.recent) + u64::from(self.mmd.reference) - 1,
        ];
        chains.into_iter().max().unwrap_or(0)
    }

    /// Closed bars before the first matrix (ST-18): 594 with the defaults.
    #[must_use]
    pub fn warm_up_bars(&self) -> u64 {
        self.first_row_bars() + ROWS as u64 - 1
    }

    /// Hex SHA-256 over schema and constants (ST-57, ST-58): checkpoints carry it, another one is refused.
    #[must_use]
    pub fn digest(&self) -> String {
        let text = serde_json::json!({ "schema": SCHEMA.name, "columns": SCHEMA.columns, "config": self }).to_string();
        hex::encode(Sha256::digest(text))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// ST-18
    #[test]
    fn the_longest_chain_decides() {
        let config = StrategicConfig::default();
        assert_eq!((config.first_row_bars(), config.warm_up_bars()), (547, 594));
        config.validate().unwrap();
    }

    /// SU-1: all violations at once, unknown keys refused.
    #[test]
    fn every_violation_is_listed() {
        let mut config = StrategicConfig::default();
        config.kernel.alpha = f64::NAN;
        config.profile.bins = 2;
        config.mlmi.fast_average = 20;
        let text = config.validate().unwrap_err().to_string();
        for wanted in ["kernel.alpha is NaN", "profile.bins is 2, it must lie within 3 and 1000", "mlmi.fastAverage is 20"] {
            assert!(text.contains(wanted), "{text}");
        }
        let unknown = serde_json::from_str::<StrategicConfig>(r#"{"mmd":{"recnt":4}}"#).unwrap_err().to_string();
        assert!(unknown.contains("recnt"), "{unknown}");
    }

    /// ST-57: the digest moves with a constant and survives writing and reading.
    #[test]
    fn the_digest_covers_the_constants() {
        let config = StrategicConfig::default();
        let copy: StrategicConfig = serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
        assert_eq!(copy.digest(), config.digest());
        let other = StrategicConfig { skew: SkewConfig { bars: 21 }, ..config.clone() };
        assert_ne!(other.digest(), config.digest());
        assert_eq!(config.digest().len(), 64);
    }
}
