//! Networks of the tactical stage, the checkpoint file and its verification.
//!
//! [`actor`] and [`critic`] are the networks in candle, for training and as the reference.
//! [`forward`] is the serving path.

pub mod actor;
pub mod architecture;
pub mod critic;
pub mod forward;
pub mod golden;
pub mod weights;
