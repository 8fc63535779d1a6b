//! The strategic context of tactical decisions, and the baseline that strategic networks are compared with.

use serde::{Deserialize, Serialize};

use super::config::TacticalConfig;
use super::features::RawRow;
use crate::warm_up::WarmUp;

/// The strategic context of a decision (TA-34).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Synergy {
    /// `TYPE_1` to `TYPE_4`: which weights the agents get.
    #[serde(rename = "type")]
    pub synergy_type: String,
    /// +1 or -1.
    pub direction: i8,
    /// [0, 1].
    pub confidence: f64,
    /// Who says so.
    pub source: String,
}

/// What the strategic stage says about a bar of the tactical one.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Context {
    /// It has seen too few of its bars to say anything (ST-18).
    WarmingUp(WarmUp),
    /// Nothing that proceeds (TA-29).
    #[default]
    Quiet,
    /// A decision that proceeds (TA-34).
    Synergy(Synergy),
}

impl From<Option<Synergy>> for Context {
    fn from(synergy: Option<Synergy>) -> Self {
        synergy.map_or(Self::Quiet, Self::Synergy)
    }
}

/// The baseline named `Momentum`: follow the last five bars when volume supports them.
///
/// - direction: sign of the five-bar momentum `m`; none when it is exactly 0;
/// - confidence: `min(1, tanh(|m| / scale) * v)` with the volume ratio `v` held within 0.8 to 1.2;
/// - type: volume ratio at least 1.5: `TYPE_3` (momentum heavy), at least 1: `TYPE_2` (balanced),
///   below: `TYPE_1` (gap heavy).
///
/// It has no memory and no claim to an edge: training reports compare the strategic stage with it.
#[must_use]
pub fn momentum_rule(row: &RawRow, config: &TacticalConfig) -> Option<Synergy> {
    let (momentum, ratio) = (row.price_momentum_5, row.volume_ratio);
    if momentum == 0.0 || !momentum.is_finite() || !ratio.is_finite() {
        return None;
    }
    let synergy_type = match ratio {
        r if r >= 1.5 => "TYPE_3",
        r if r >= 1.0 => "TYPE_2",
        _ => "TYPE_1",
    };
    let strength = libm::tanh(momentum.abs() / config.momentum_scale_pct);
    Some(Synergy {
        synergy_type: synergy_type.to_owned(),
        direction: if momentum > 0.0 { 1 } else { -1 },
        confidence: (strength * ratio.clamp(0.8, 1.2)).min(1.0),
        source: "Momentum".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn rule(momentum: f64, ratio: f64) -> Option<(String, i8, f64)> {
        let row = RawRow { price_momentum_5: momentum, volume_ratio: ratio, ..RawRow::default() };
        momentum_rule(&row, &TacticalConfig::default()).map(|s| (s.synergy_type, s.direction, s.confidence))
    }

    #[test]
    fn direction_type_and_confidence_of_the_momentum_rule() {
        assert_eq!(rule(0.0, 3.0), None);
        assert_eq!(rule(f64::NAN, 1.0), None);
        assert_eq!(rule(1.0, f64::NAN), None);
        let near = |seen: Option<(String, i8, f64)>, kind: &str, direction: i8, confidence: f64| {
            let (seen_kind, seen_direction, seen_confidence) = seen.unwrap();
            assert_eq!((seen_kind.as_str(), seen_direction), (kind, direction));
            assert!((seen_confidence - confidence).abs() < 1e-9, "{seen_confidence}");
        };
        near(rule(1.0, 1.0), "TYPE_2", 1, 0.761_594_155_956);
        near(rule(-1.0, 0.5), "TYPE_1", -1, 0.8 * 0.761_594_155_956);
        near(rule(10.0, 1.5), "TYPE_3", 1, 1.0);
        near(rule(0.3, 1.0), "TYPE_2", 1, 0.291_312_612);
    }
}
