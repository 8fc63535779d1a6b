//! The tactical stage: bars to features, features to votes, votes to one decision.
//!
//! [`Engine`] wires the parts: [`FeatureState`] turns bars into the 60x7 matrix, a [`Network`] gives
//! logits, the strategic stage a [`Synergy`] as context, [`aggregate`] one decision, [`levels`] its stop and
//! target.

mod aggregate;
mod config;
mod engine;
mod features;
mod gaps;
mod indicators;
mod intent;
mod matrix;
mod synergy;

pub use aggregate::{AgentVote, Aggregate, HoldReason, Urgency, aggregate, distributions, softmax};
pub use config::{ConfigError, FvgConfig, TacticalConfig, Temperatures, WARM_UP_BARS};
pub use engine::{Decision, Engine, EngineError};
pub use features::{FeatureError, FeatureState, HISTORY, RawRow, Snapshot};
pub use gaps::{Gap, GapFeatures, GapSide, GapTracker};
pub use indicators::{Atr, Momentum, VolumeRatio, momentum_feature, volume_feature};
pub use intent::{Levels, confidence_multiplier, levels, on_tick};
pub use matrix::{AGENTS, COLUMNS, FEATURE_SCHEMA, Logits, Matrix, MatrixError, Network, ROWS, SCHEMA, check_matrix};
pub use synergy::{Context, Synergy, momentum_rule};

/// Why networks gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("networks gave no answer: {0}")]
pub struct NetworkError(pub String);
