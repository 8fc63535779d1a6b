//! What every formula asks of a column of figures, and why one is refused.

/// Why a batch is refused; nothing was computed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ColumnError {
    /// Columns of one batch differ in length.
    #[error("{name}: {seen} figures where the batch has {wanted}")]
    Length {
        /// The column.
        name: &'static str,
        /// Its length.
        seen: usize,
        /// Length of the batch.
        wanted: usize,
    },
    /// Fewer figures than the formula is defined for.
    #[error("{name}: {seen} figures, at least {least} are needed")]
    TooFew {
        /// The column.
        name: &'static str,
        /// Its length.
        seen: usize,
        /// Least length.
        least: usize,
    },
    /// A figure is NaN, infinite, or outside of its range.
    #[error("{name}[{row}] is {value}, it must be {allowed}")]
    Value {
        /// The column.
        name: &'static str,
        /// Row of the figure; 0 for a single one.
        row: usize,
        /// The value seen.
        value: f64,
        /// What is allowed.
        allowed: &'static str,
    },
}

/// Checks that a column has `rows` finite figures.
///
/// # Errors
/// [`ColumnError::Length`], [`ColumnError::Value`]
pub fn finite(name: &'static str, column: &[f64], rows: usize) -> Result<(), ColumnError> {
    if column.len() != rows {
        return Err(ColumnError::Length { name, seen: column.len(), wanted: rows });
    }
    every(name, column, "finite", f64::is_finite)
}

/// Checks that every figure is `allowed`, as `accepts` decides; `accepts` must refuse NaN.
///
/// # Errors
/// [`ColumnError::Value`] names the first that is not.
pub fn every(
    name: &'static str,
    column: &[f64],
    allowed: &'static str,
    accepts: impl Fn(f64) -> bool,
) -> Result<(), ColumnError> {
    match column.iter().position(|value| !accepts(*value)) {
        Some(row) => Err(ColumnError::Value { name, row, value: column[row], allowed }),
        None => Ok(()),
    }
}

/// Checks that there are at least `least` rows.
///
/// # Errors
/// [`ColumnError::TooFew`]
pub const fn at_least(name: &'static str, rows: usize, least: usize) -> Result<(), ColumnError> {
    if rows < least { Err(ColumnError::TooFew { name, seen: rows, least }) } else { Ok(()) }
}

/// Mean and sample deviation (n - 1) of at least two finite figures.
pub(crate) fn moments(name: &'static str, column: &[f64]) -> Result<(f64, f64), ColumnError> {
    at_least(name, column.len(), 2)?;
    finite(name, column, column.len())?;
    let rows = column.len() as f64;
    let mean = column.iter().sum::<f64>() / rows;
    let squares: f64 = column.iter().map(|value| (value - mean).powi(2)).sum();
    Ok((mean, (squares / (rows - 1.0)).sqrt()))
}
