//! Turns qualified trades into orders: sizing, pre-trade check, order states, journal, venue, protection.
//!
//! [`Engine`] is synchronous and deterministic. It owns two parties: a [`RiskGate`] that answers pre-trade checks, and
//! a [`Venue`] with a memory of its own. Every step is journaled before it acts, every call can be repeated, and a
//! restart continues where the journal ends:
//!
//! 1. `Engine::open` replays the journal;
//! 2. `Engine::recover` acquires the account (fencing token), takes in what the venue did meanwhile, sends again what
//!    may not have arrived, and compares both books. Until it succeeds, nothing else is answered;
//! 3. `Engine::advance` lets working orders meet a bar; `Engine::submit` turns a trade into orders that meet the next.
//!
//! In the cluster the gate is a gRPC client and both journals are files; `tradewind-replay` and the tests use
//! [`tradewind_journal::MemoryLog`] and the risk engine itself.

mod book;
mod engine;
mod error;
mod gate;
pub mod ledger;
mod plan;
pub mod planning;
mod record;
mod recovery;
pub mod serve;
mod venue;

pub use book::{Book, LiveOrder};
pub use engine::{Engine, ExecutionConfig};
pub use error::ExecutionError;
pub use gate::{GateError, RiskGate};
pub use record::{BarRecord, OrderRecord, Outcome, Record, TradeRecord};
pub use venue::{PaperAdapter, Venue, VenueError};
