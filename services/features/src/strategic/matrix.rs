//! The 48x13 matrix: checked, mended, averaged.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::degraded::Degraded;
use super::schema::{COLUMNS, ROWS};

/// What the networks see: row 0 oldest, row 47 the newest closed bar, columns of ST-8 (ST-6).
pub type Matrix = [[f32; COLUMNS]; ROWS];

/// Fewest rows of a short window (ST-15).
pub const LEAST_ROWS: usize = 24;
/// More bad cells than this, 5 % of 624, leave nothing to decide on (ST-15).
pub const MAX_BAD_CELLS: u32 = 31;

/// What replaces a cell that is not finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fill {
    /// The nearest earlier finite cell of its column, 0 if there is none (ST-15).
    #[default]
    Earlier,
    /// The mean of the finite cells of its column, 0 if there is none (SU-57).
    ColumnMean,
}

/// How matrices from outside are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MatrixPolicy {
    /// Accept 24 to 47 rows, degraded (ST-15).
    pub allow_short_window: bool,
    /// What replaces a cell that is not finite.
    pub fill: Fill,
}

/// Why there is no matrix to decide on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatrixError {
    /// Another number of columns or rows (ST-15, SU-56, SU-121).
    #[error(
        "INVALID_SHAPE: {rows}x{columns} ({values} values), a strategic matrix is 48x13 ({LEAST_ROWS} to 48 rows where short windows are allowed)"
    )]
    Shape {
        /// Rows that the values make.
        rows: usize,
        /// Columns claimed.
        columns: usize,
        /// Number of values.
        values: usize,
    },
}

/// A matrix without infinities, and what had to be mended.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedMatrix {
    cells: Matrix,
    rows: usize,
    degraded: Degraded,
    bad_by_column: [u32; COLUMNS],
}

impl CheckedMatrix {
    /// Judges a matrix given as values, row-major, oldest row first (ST-15).
    ///
    /// # Errors
    /// [`MatrixError::Shape`], nothing is guessed.
    pub fn new(values: &[f32], columns: usize, policy: MatrixPolicy) -> Result<Self, MatrixError> {
        let rows = values.len().checked_div(columns).unwrap_or(0);
        let least = if policy.allow_short_window { LEAST_ROWS } else { ROWS };
        let whole = columns == COLUMNS && rows * columns == values.len();
        if !whole || !(least..=ROWS).contains(&rows) {
            return Err(MatrixError::Shape { rows, columns, values: values.len() });
        }
        let mut cells = [[0.0; COLUMNS]; ROWS];
        for (row, from) in cells.iter_mut().zip(values.chunks_exact(COLUMNS)) {
            row.copy_from_slice(from);
        }
        let mut bad_by_column = [0; COLUMNS];
        for (column, bad) in bad_by_column.iter_mut().enumerate() {
            *bad = mend(&mut cells[..rows], column, policy.fill);
        }
        let degraded = Degraded { short_window: rows < ROWS, bad_cells: bad_by_column.iter().sum(), bad_volatility: false };
        Ok(Self { cells, rows, degraded, bad_by_column })
    }

    /// What had to be mended.
    #[must_use]
    pub const fn degraded(&self) -> Degraded {
        self.degraded
    }

    /// Cells that were not finite, by column: `strategic_bad_cells_total{feature}`.
    #[must_use]
    pub const fn bad_by_column(&self) -> &[u32; COLUMNS] {
        &self.bad_by_column
    }

    /// False when more than 5 % of the cells were bad: the decision is neutral then (ST-15, SU-57). A whole
    /// column that is bad always reaches that, unless fewer than 32 rows came: then it counts too.
    #[must_use]
    pub fn usable(&self) -> bool {
        let whole_column = self.bad_by_column.iter().any(|&bad| bad as usize == self.rows);
        self.degraded.bad_cells <= MAX_BAD_CELLS && !whole_column
    }

    /// Rows, oldest first.
    #[must_use]
    pub fn rows(&self) -> &[[f32; COLUMNS]] {
        &self.cells[..self.rows]
    }

    /// Mean of each column over the rows (ST-9): what the agents see.
    #[must_use]
    pub fn pooled(&self) -> [f64; COLUMNS] {
        pooled(self.rows())
    }
}

/// Mean of each column over the rows (ST-9, SU-49), summed in f64; 0 without rows.
///
/// It reads the f32 cells, the ones that are hashed and recorded, so that a record repeats the decision.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn pooled(rows: &[[f32; COLUMNS]]) -> [f64; COLUMNS] {
    let mut sums = [0.0; COLUMNS];
    for row in rows {
        for (sum, cell) in sums.iter_mut().zip(row) {
            *sum += f64::from(*cell);
        }
    }
    sums.map(|sum| sum / rows.len().max(1) as f64)
}

/// SHA-256 of the f32 cells, little endian, row-major: `feature_hash` (ST-129).
#[must_use]
pub fn feature_hash(rows: &[[f32; COLUMNS]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for cell in rows.iter().flatten() {
        hash.update(cell.to_le_bytes());
    }
    hash.finalize().into()
}

/// Replaces what is not finite in one column; returns how many cells that were.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn mend(rows: &mut [[f32; COLUMNS]], column: usize, fill: Fill) -> u32 {
    let mut replacement = match fill {
        Fill::Earlier => 0.0,
        Fill::ColumnMean => {
            let finite = || rows.iter().map(|row| row[column]).filter(|cell| cell.is_finite());
            (finite().map(f64::from).sum::<f64>() / finite().count().max(1) as f64) as f32
        }
    };
    let mut bad = 0;
    for row in rows {
        if row[column].is_finite() {
            if fill == Fill::Earlier {
                replacement = row[column];
            }
        } else {
            row[column] = replacement;
            bad += 1;
        }
    }
    bad
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]
    use super::*;
    use crate::strategic::schema::Gathers;

    /// Cells of SU-V10: `0.01 (b + 1) (f + 1)`.
    fn cells(rows: usize) -> Vec<f32> {
        (0..rows * COLUMNS).map(|i| 0.01 * ((i / COLUMNS + 1) * (i % COLUMNS + 1)) as f32).collect()
    }

    fn short() -> MatrixPolicy {
        MatrixPolicy { allow_short_window: true, ..MatrixPolicy::default() }
    }

    fn near(seen: f64, wanted: f64) {
        assert!((seen - wanted).abs() < 1e-6, "{seen} instead of {wanted}");
    }

    /// SU-V10, SU-118: means over the rows, not over the features, with the literal columns.
    #[test]
    fn pooling_of_48_and_of_30_rows() {
        let literal = Gathers::from_indices([vec![0, 1, 9, 10], vec![2, 3, 4, 5], vec![10, 11, 12]]).unwrap();
        let gathered = |rows: usize, agent: usize| {
            let pooled = CheckedMatrix::new(&cells(rows), COLUMNS, short()).unwrap().pooled();
            literal.agent(agent).iter().map(|column| pooled[*column]).collect::<Vec<_>>()
        };
        let wanted: [&[f64]; 3] = [&[0.245, 0.49, 2.45, 2.695], &[0.735, 0.98, 1.225, 1.47], &[2.695, 2.94, 3.185]];
        for (agent, wanted) in wanted.into_iter().enumerate() {
            gathered(48, agent).iter().zip(wanted).for_each(|(seen, wanted)| near(*seen, *wanted));
        }
        gathered(30, 0).iter().zip([0.155, 0.31, 1.55, 1.705]).for_each(|(seen, wanted)| near(*seen, wanted));
    }

    /// The bad cells of SU-123.
    fn with_bad_cells() -> Vec<f32> {
        let mut values = cells(48);
        values[0] = f32::NAN;
        values[10 * COLUMNS + 5] = f32::INFINITY;
        values[20 * COLUMNS + 8] = f32::NEG_INFINITY;
        values
    }

    /// SU-V11: three bad cells replaced by the means of their columns.
    #[test]
    fn bad_cells_become_the_mean_of_their_column() {
        let policy = MatrixPolicy { fill: Fill::ColumnMean, ..MatrixPolicy::default() };
        let clean = CheckedMatrix::new(&cells(48), COLUMNS, policy).unwrap();
        let checked = CheckedMatrix::new(&with_bad_cells(), COLUMNS, policy).unwrap();
        let (seen, mut wanted) = (checked.pooled(), clean.pooled());
        (wanted[0], wanted[5], wanted[8]) = (0.25, 1.487_234_042_6, 2.211_702_127_7);
        seen.into_iter().zip(wanted).for_each(|(seen, wanted)| near(seen, wanted));
        assert_eq!((checked.degraded().bad_cells, checked.usable()), (3, true));
        assert_eq!(clean.degraded(), Degraded::default());
    }

    /// ST-15, SU-123: three bad cells replaced by the value before them.
    #[test]
    fn bad_cells_become_the_earlier_value() {
        let checked = CheckedMatrix::new(&with_bad_cells(), COLUMNS, MatrixPolicy::default()).unwrap();
        assert_eq!(checked.rows()[0][0], 0.0, "none before");
        assert_eq!(checked.rows()[10][5], cells(48)[9 * COLUMNS + 5]);
        assert_eq!(checked.rows()[20][8], cells(48)[19 * COLUMNS + 8]);
        assert_eq!(checked.degraded().reasons().collect::<Vec<_>>(), ["non_finite_input"]);
        let by_column = checked.bad_by_column();
        assert_eq!((by_column[0], by_column[5], by_column[8], by_column.iter().sum::<u32>()), (1, 1, 1, 3));
    }

    /// ST-15: 31 bad cells are mended, 32 are too many; so is a whole column of a short window.
    #[test]
    fn too_many_bad_cells() {
        let usable = |rows: usize, bad: &[usize]| {
            let mut values = cells(rows);
            bad.iter().for_each(|at| values[*at] = f32::NAN);
            CheckedMatrix::new(&values, COLUMNS, short()).unwrap().usable()
        };
        assert!(usable(48, &(0..31).collect::<Vec<_>>()));
        assert!(!usable(48, &(0..32).collect::<Vec<_>>()));
        assert!(!usable(24, &(0..24).map(|row| row * COLUMNS + 7).collect::<Vec<_>>()));
    }

    /// ST-15, SU-121, SU-56: a wrong shape is refused, a short window only by permission.
    #[test]
    fn shapes() {
        let judge = |values: usize, columns: usize, policy| CheckedMatrix::new(&vec![0.0; values], columns, policy);
        let refused = judge(480, 10, short()).unwrap_err();
        assert_eq!(refused, MatrixError::Shape { rows: 48, columns: 10, values: 480 });
        assert!(refused.to_string().starts_with("INVALID_SHAPE: 48x10"), "{refused}");
        for rows in [0, 23, 24, 30, 47, 49] {
            assert!(judge(rows * 13, 13, MatrixPolicy::default()).is_err(), "{rows}");
            let allowed = judge(rows * 13, 13, short());
            assert_eq!(allowed.is_ok(), (24..=47).contains(&rows), "{rows}");
            assert!(allowed.is_ok_and(|matrix| matrix.degraded().any()) == (24..=47).contains(&rows));
        }
        assert!(judge(48 * 13 - 1, 13, short()).is_err());
        assert!(judge(0, 0, short()).is_err());
        assert!(!judge(48 * 13, 13, short()).unwrap().degraded().any());
    }

    /// ST-129
    #[test]
    fn the_hash_is_that_of_the_bytes() {
        let rows = [[1.5_f32; COLUMNS]];
        let bytes: Vec<u8> = rows.iter().flatten().flat_map(|cell| cell.to_le_bytes()).collect();
        assert_eq!(feature_hash(&rows)[..], Sha256::digest(bytes)[..]);
        assert_ne!(feature_hash(&rows), feature_hash(&[[-1.5; COLUMNS]]));
    }
}
