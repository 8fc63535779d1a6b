//! Where orders become fills: the model of a fill, and the paper venue built on it.

pub mod fills;
pub mod paper;
