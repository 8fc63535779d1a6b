//! Turns qualified trades into orders: sizing, order states, journal, protection.
//!
//! [`Engine`] is synchronous and deterministic. It has no venue: it hands orders to the [`RiskGate`] of the account, which
//! checks and sends them in one step, and hears from it what became of them. It keeps a book of its own and stops when the
//! gate's differs. Every step is journaled before it acts, every call can be repeated, and a restart continues where the
//! journal ends:
//!
//! 1. `Engine::open` replays the journal;
//! 2. `Engine::recover` acquires the policy's orders (an epoch), takes in what the venue did meanwhile, hands over again what
//!    may not have arrived, and compares both books. Until it succeeds, nothing else is answered;
//! 3. `Engine::advance` lets working orders meet a bar; `Engine::submit` turns a trade into orders that meet the next.
//!
//! In the cluster the gate is a gRPC client and the journal a file; `tradewind-replay` and the tests use
//! [`tradewind_journal::MemoryLog`] and the gate's engine itself.

mod book;
mod engine;
mod error;
mod gate;
pub mod ledger;
mod messages;
mod plan;
pub mod planning;
mod protection;
mod record;
mod recovery;
pub mod serve;
mod trades;

pub use book::{Book, LiveOrder};
pub use engine::{Engine, ExecutionConfig};
pub use error::ExecutionError;
pub use gate::{GateError, RiskGate};
pub use record::{AccountFigures, BarRecord, OrderRecord, Outcome, Record, TradeRecord};
