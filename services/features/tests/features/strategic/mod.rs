//! The 48x13 matrix.

mod causality;
mod definition;
mod properties;
mod vectors;
