//! A small honest trainer of the strategic policies and the tactical actors.
//!
//! It trains on the early part of recorded daily bars, reports on the later part with costs, against simple rules
//! on the same bars, and writes a checkpoint that carries those figures.
//! The figures are poor, as those of such a small model on two indices must be. They are true.

pub mod bars;
pub mod contexts;
pub mod dice;
pub mod holding;
pub mod mappo;
pub mod objective;
pub mod run;
pub mod strategic;
pub mod tactical;
pub mod trades;
pub mod trend;
