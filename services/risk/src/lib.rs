//! The risk service of one account: pre-trade checks from memory, account state from fills, breakers, halt.
//!
//! [`Engine`] is synchronous and deterministic: what it answers is a function of its journal and of the question.
//! Everything that changes it is journaled before it is answered, so a restart is the same engine. `serve` puts
//! it behind gRPC and lets it watch its own RiskProfile.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tradewind_journal::MemoryLog;
//! use tradewind_risk::Engine;
//! let mut engine = Engine::open("paper-1", Box::new(MemoryLog::new()))?;
//! // Without a profile nothing is allowed.
//! assert_eq!(engine.state().state, "Halted");
//! engine.apply_profile(1, &tradewind_crds::samples::profile("main", "paper-1").spec)?;
//! assert_eq!(engine.state().state, "Normal");
//! # Ok(())
//! # }
//! ```

pub mod agents;
mod engine;
mod error;
pub mod limits;
mod messages;
mod record;
pub mod serve;
mod state;
pub mod stops;

pub use engine::Engine;
pub use error::RiskError;
pub use record::{CheckRecord, FillRecord, MarkRecord, Record, ReportRecord};
