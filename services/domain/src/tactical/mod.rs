//! The tactical stage: bars to features, features to votes, votes to one decision.

mod matrix;

pub use matrix::{AGENTS, COLUMNS, FEATURE_SCHEMA, Logits, Matrix, MatrixError, Network, ROWS, check_matrix, matrix_from_flat};

/// Why networks gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("networks gave no answer: {0}")]
pub struct NetworkError(pub String);
