//! The gate of one account: the only process with a venue. Orders are checked from memory, journaled and handed over in one
//! step; account state follows the venue's own events; breakers and halts hold.
//!
//! It believes nobody whom it guards against: instruments and venues come from the resources ([`Engine::apply_account`]), prices
//! and times from its own feed ([`Engine::meet`], [`Engine::arrive`]), fills from the venue. What a sender says of them is
//! compared, never used.
//!
//! [`Engine`] is synchronous and deterministic: what it answers is a function of its journal and of the question.
//! Everything that changes it is journaled before it is answered, so a restart is the same engine. `serve` puts
//! it behind gRPC, feeds it, and lets it watch its own RiskProfile.
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
mod bars;
mod engine;
mod error;
pub mod limits;
mod listing;
mod messages;
mod orders;
mod record;
pub mod serve;
mod state;
pub mod stops;
mod venues;

pub use bars::Awaited;
pub use engine::Engine;
pub use error::RiskError;
pub use orders::{Arrival, CHECK_DEADLINE_NS};
pub use record::{CancelRecord, CheckRecord, MetRecord, Record};
pub use venues::paper_config;
