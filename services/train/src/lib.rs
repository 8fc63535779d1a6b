//! A small honest trainer of the tactical actors.
//!
//! It trains on the early part of recorded daily bars, reports on the later part with costs, against doing
//! nothing and against following the momentum, and writes a checkpoint that carries those figures.
//! The figures are poor, as those of such a small model on two indices must be. They are true.

pub mod bars;
pub mod dice;
pub mod fit;
pub mod objective;
pub mod report;
pub mod reward;
pub mod samples;
pub mod trend;
