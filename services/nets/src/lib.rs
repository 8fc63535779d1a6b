//! Networks of the tactical stage, the checkpoint file and its verification.
//!
//! [`actor`] and [`critic`] are the networks in candle, for training and as the reference.
//! [`forward`] is the serving path. [`checkpoint`] is the file between the two: [`checkpoint::verify`]
//! judges one, [`TacticalNetwork`] serves one.

pub mod actor;
pub mod architecture;
pub mod checkpoint;
pub mod critic;
pub mod forward;
pub mod golden;
mod network;
pub mod schema;
pub mod spoil;
pub mod weights;

pub use network::{LoadError, TacticalNetwork};
