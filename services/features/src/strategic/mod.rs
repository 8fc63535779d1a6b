//! The strategic stage: 30-minute bars to the 48x13 matrix, indicator signals to synergy events.
//!
//! [`StrategicFeatures`] turns closed bars into rows, [`CheckedMatrix`] judges a matrix, [`SharedContext`] and
//! [`PolicyInput`] make of it what each network sees, [`synergy`] finds the patterns that ask for a decision,
//! [`decision`] makes it, and [`StrategicEngine`] wires the parts.

pub mod atr;
mod candle;
mod clock;
mod config;
mod context;
pub mod decision;
mod degraded;
mod engine;
mod engine_snapshot;
mod event_stream;
mod features;
mod half_hours;
mod inputs;
mod kernel_sum;
pub mod lvn;
mod matrix;
pub mod mlmi;
pub mod mmd;
pub mod momentum;
pub mod nwrqk;
pub mod regime_label;
pub mod rsi;
mod schema;
pub mod skew;
mod stage;
pub mod synergy;
pub mod volatility;
pub mod window;
pub mod wma;

pub use candle::{Candle, CandleError, MAX_VOLUME, PRICE_RANGE};
pub use clock::BarClock;
pub use config::{
    AtrConfig, GapConfig, KernelConfig, MlmiConfig, MmdConfig, ProfileConfig, SkewConfig, StrategicConfig, StrategicConfigError,
    SynergyConfig, VolatilityConfig,
};
pub use context::{CONTEXT, SharedContext, day_circle, fractional_hour};
pub use degraded::Degraded;
pub use engine::{Decided, StrategicEngine, StrategicEngineError, SynergyDetected};
pub use engine_snapshot::SnapshotError;
pub use event_stream::EventStream;
pub use features::{RETAINED, Readings, Snapshot, StrategicFeatureError, StrategicFeatures};
pub use half_hours::HalfHours;
pub use inputs::{Normaliser, NormaliserError, PolicyInput};
pub use kernel_sum::gaussian_sum;
pub use matrix::{CheckedMatrix, Fill, LEAST_ROWS, MAX_BAD_CELLS, Matrix, MatrixError, MatrixPolicy, feature_hash, pooled};
pub use schema::{AGENT_WIDTHS, AGENTS, COLUMNS, FeatureSchema, Gathers, ROWS, SCHEMA, SchemaError};
pub use stage::{BarPlan, MAX_CONTEXT_BARS, StageConfigError, StrategicStageConfig};
