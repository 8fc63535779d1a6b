//! The 60x7 matrices: what a decision is made from, in the form for people and in the form for networks.

use crate::schema::{FeatureSchema, SHARE, SIGNED};

use super::NetworkError;

/// Rows of a matrix: completed bars, oldest first (TA-4).
pub const ROWS: usize = 60;
/// Columns of a matrix: features in the order of TA-5.
pub const COLUMNS: usize = 7;
/// Agents in the order of every list: `fvg`, `momentum`, `entry` (TA-16).
pub const AGENTS: [&str; 3] = ["fvg", "momentum", "entry"];
/// The schema implemented here; a checkpoint that names another is refused (TA-5, TA-8).
pub const SCHEMA: FeatureSchema<COLUMNS> = FeatureSchema {
    name: "tactical-60x7-v1",
    columns: [
        "fvg_bullish_active",
        "fvg_bearish_active",
        "fvg_nearest_level",
        "fvg_age",
        "fvg_mitigation_signal",
        "price_momentum_5",
        "volume_ratio",
    ],
    ranges: [SHARE, SHARE, SIGNED, SHARE, SHARE, SIGNED, SHARE],
};
/// Name of [`SCHEMA`].
pub const FEATURE_SCHEMA: &str = SCHEMA.name;

/// What the networks see: row 0 = oldest, row 59 = newest, normalised columns of TA-8.
pub type Matrix = [[f32; COLUMNS]; ROWS];
/// Logits per agent, then per action (index 0 = long, up, wait).
pub type Logits = [[f32; 3]; 3];

/// Why a matrix cannot be decided on (TA-6).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MatrixError {
    /// A value that is infinite or not a number.
    #[error("invalid_matrix: row {row}, column {column} is {value}, it must be finite")]
    NotFinite {
        /// Row, 0 = oldest.
        row: usize,
        /// Column of TA-5.
        column: usize,
        /// The value seen.
        value: f32,
    },
    /// A flag column that holds something else than 0 or 1.
    #[error("invalid_matrix: row {row}, column {column} is {value}, a flag is 0 or 1")]
    Flag {
        /// Row, 0 = oldest.
        row: usize,
        /// Column of TA-5.
        column: usize,
        /// The value seen.
        value: f32,
    },
}

/// Three actors that turn one matrix into logits (TA-17); no softmax, no temperature (TA-G2).
///
/// Implementations are deterministic: the same matrix gives the same bits.
pub trait Network {
    /// Logits of `fvg`, `momentum` and `entry` for one model matrix.
    ///
    /// # Errors
    /// [`NetworkError`] when the networks could not be evaluated; the bar may be asked again.
    fn logits(&mut self, matrix: &Matrix) -> Result<Logits, NetworkError>;
}

impl<N: Network + ?Sized> Network for Box<N> {
    fn logits(&mut self, matrix: &Matrix) -> Result<Logits, NetworkError> {
        (**self).logits(matrix)
    }
}

/// Refuses what is not finite and flags other than 0 and 1 (TA-6).
///
/// # Errors
/// [`MatrixError`] names the first fault.
pub fn check_matrix(matrix: &Matrix) -> Result<(), MatrixError> {
    for (row, values) in matrix.iter().enumerate() {
        for (column, &value) in values.iter().enumerate() {
            if !value.is_finite() {
                return Err(MatrixError::NotFinite { row, column, value });
            }
            if matches!(column, 0 | 1 | 4) && value != 0.0 && value != 1.0 {
                return Err(MatrixError::Flag { row, column, value });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TA-6: each fault is named with its place.
    #[test]
    fn a_faulty_matrix_is_refused() {
        let mut matrix: Matrix = [[0.0; COLUMNS]; ROWS];
        assert!(check_matrix(&matrix).is_ok());
        matrix[3][5] = f32::INFINITY;
        assert_eq!(check_matrix(&matrix), Err(MatrixError::NotFinite { row: 3, column: 5, value: f32::INFINITY }));
        matrix[3][5] = 0.5;
        assert!(check_matrix(&matrix).is_ok());
        matrix[59][4] = 0.5;
        assert_eq!(check_matrix(&matrix), Err(MatrixError::Flag { row: 59, column: 4, value: 0.5 }));
    }
}
