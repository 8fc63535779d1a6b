//! What the risk networks see: the state of 10 values, its z-scores, and a context block of 16 for each agent.
//!
//! Raw and scored states are two types (RK-9): limits, breakers and thresholds read [`RawRiskState`], networks only
//! [`ScoredRiskState`] and the blocks.

pub mod blocks;
pub mod correlation;
pub mod drawdown;
pub mod excursion;
pub mod liquidity;
pub mod percentile;
pub mod scores;
pub mod severity;
mod state;
pub mod strategies;
pub mod stress;

pub use scores::{Moments, RiskScaler, ScoredRiskState};
pub use state::{AccountReading, COLUMNS, PriceReading, RawRiskState, RiskAges, RiskInputs, RiskStateError, SCHEMA, column};
