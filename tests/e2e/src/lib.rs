//! What a user does with Tradewind, scripted and asserted: the demo and the cluster tests.
//!
//! Everything goes through the same programs that a user has (`kubectl`, `helm`, `kubectl-tradewind`),
//! so that what passes here is what people see.

pub mod artifacts;
pub mod command;
pub mod console;
pub mod environment;
pub mod failures;
pub mod kubectl;
pub mod parts;
pub mod proofs;
pub mod runner;
pub mod scenarios;
