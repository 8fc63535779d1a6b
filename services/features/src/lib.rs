//! What a network sees, and what its answer means: indicators, matrices, synergies, feature schemas, votes.
//!
//! Pure: the same bars give the same bytes, in the cluster, in a replay and in a test.

pub mod categorical;
pub mod execution_context;
pub mod microstructure;
pub mod risk_state;
pub mod schema;
pub mod strategic;
pub mod tactical;
pub mod warm_up;
