//! The 60x7 matrix.

mod causality;
mod properties;
