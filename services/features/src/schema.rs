//! Named, versioned sets of feature columns.

use sha2::{Digest, Sha256};

/// The columns of one matrix or vector, by name. Whoever needs a column asks for its name; places are nobody's
/// business but the schema's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FeatureSchema<const N: usize> {
    /// Name with version; a checkpoint that names another is refused.
    pub name: &'static str,
    /// Names in the order of the values.
    pub columns: [&'static str; N],
    /// Least and largest value of each column; within the range of f32, which networks are given.
    pub ranges: [Range; N],
}

/// Least and largest value of a column.
pub type Range = [f64; 2];
/// Any finite value.
pub const ANY: Range = [f32::MIN as f64, f32::MAX as f64];
/// At least 0.
pub const NOT_NEGATIVE: Range = [0.0, f32::MAX as f64];
/// 0 to 1.
pub const SHARE: Range = [0.0, 1.0];
/// -1 to 1.
pub const SIGNED: Range = [-1.0, 1.0];

/// Values of a schema's columns, each finite and within its range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FeatureVector<const N: usize> {
    schema: &'static FeatureSchema<N>,
    values: [f64; N],
}

/// Why values are no features (EX-10, RK-16).
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum FeatureValueError {
    /// A value is infinite or not a number.
    #[error("{schema}: {column} is {value}, it must be finite")]
    NotFinite {
        /// The schema.
        schema: &'static str,
        /// The column.
        column: &'static str,
        /// The value seen.
        value: f64,
    },
    /// A value is outside of its range.
    #[error("{schema}: {column} is {value}, it must lie within {} and {}", .range[0], .range[1])]
    Range {
        /// The schema.
        schema: &'static str,
        /// The column.
        column: &'static str,
        /// The value seen.
        value: f64,
        /// Least and largest value allowed.
        range: Range,
    },
}

impl<const N: usize> FeatureVector<N> {
    /// All values, in the order of the columns.
    #[must_use]
    pub const fn values(&self) -> &[f64; N] {
        &self.values
    }

    /// The schema that names them.
    #[must_use]
    pub const fn schema(&self) -> &'static FeatureSchema<N> {
        self.schema
    }

    /// The value of a column.
    ///
    /// # Errors
    /// [`SchemaError::UnknownColumn`]
    pub fn get(&self, column: &str) -> Result<f64, SchemaError> {
        self.schema.column(column).map(|at| self.values[at])
    }

    /// As networks take it; finite, because the ranges are.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub fn to_f32(&self) -> [f32; N] {
        self.values.map(|value| value as f32)
    }
}

/// Why columns do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// No column has this name.
    #[error("feature '{name}' is not a column of {schema}: use the names of the schema")]
    UnknownColumn {
        /// The schema.
        schema: &'static str,
        /// Name asked for.
        name: String,
    },
    /// Another set or order of columns.
    #[error("feature {index} of the checkpoint is '{found}', the schema {schema} has '{wanted}' there")]
    OtherColumns {
        /// The schema.
        schema: &'static str,
        /// First place that differs.
        index: usize,
        /// Name in the checkpoint.
        found: String,
        /// Name in the schema.
        wanted: String,
    },
}

impl<const N: usize> FeatureSchema<N> {
    /// Takes values that are finite and within their ranges.
    ///
    /// # Errors
    /// [`FeatureValueError`] names the first column that is not.
    pub fn vector(&'static self, values: [f64; N]) -> Result<FeatureVector<N>, FeatureValueError> {
        for ((&value, &column), &range) in values.iter().zip(&self.columns).zip(&self.ranges) {
            if !value.is_finite() {
                return Err(FeatureValueError::NotFinite { schema: self.name, column, value });
            }
            if !(range[0]..=range[1]).contains(&value) {
                return Err(FeatureValueError::Range { schema: self.name, column, value, range });
            }
        }
        Ok(FeatureVector { schema: self, values })
    }

    /// Place of a column.
    ///
    /// # Errors
    /// [`SchemaError::UnknownColumn`]
    pub fn column(&self, name: &str) -> Result<usize, SchemaError> {
        let unknown = || SchemaError::UnknownColumn { schema: self.name, name: name.to_owned() };
        self.columns.iter().position(|column| *column == name).ok_or_else(unknown)
    }

    /// Accepts exactly these names in this order: what a manifest must say (ST-57, SU-45, RK-34).
    ///
    /// # Errors
    /// [`SchemaError::OtherColumns`] names the first place that differs.
    pub fn check<S: AsRef<str>>(&self, names: &[S]) -> Result<(), SchemaError> {
        for index in 0..N.max(names.len()) {
            let (found, wanted) = (names.get(index).map_or("", S::as_ref), self.columns.get(index).copied().unwrap_or(""));
            if found != wanted {
                let (found, wanted) = (found.to_owned(), wanted.to_owned());
                return Err(SchemaError::OtherColumns { schema: self.name, index, found, wanted });
            }
        }
        Ok(())
    }

    /// Hex SHA-256 of the name and the columns, a line each (RK-34): moves when a column does.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for line in [self.name].iter().chain(&self.columns) {
            hash.update(line);
            hash.update("\n");
        }
        hex::encode(hash.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static SCHEMA: FeatureSchema<2> = FeatureSchema { name: "test-2-v1", columns: ["a", "b"], ranges: [SHARE, ANY] };

    /// EX-10, RK-16: what is not finite or out of range is refused by name.
    #[test]
    fn values_are_checked() {
        let text = |values| SCHEMA.vector(values).map(|vector| vector.to_f32()).map_err(|error| error.to_string());
        assert_eq!(text([1.0, -7.5]), Ok([1.0, -7.5]));
        assert_eq!(text([0.5, f64::NAN]), Err("test-2-v1: b is NaN, it must be finite".to_owned()));
        assert_eq!(text([f64::INFINITY, 0.0]), Err("test-2-v1: a is inf, it must be finite".to_owned()));
        assert_eq!(text([1.5, 0.0]), Err("test-2-v1: a is 1.5, it must lie within 0 and 1".to_owned()));
        assert!(text([0.0, 1e39]).is_err(), "infinite as f32");
        let vector = SCHEMA.vector([0.25, 3.0]).map(|vector| (vector.get("b"), vector.get("c").is_err()));
        assert_eq!(vector, Ok((Ok(3.0), true)));
    }

    #[test]
    fn columns_are_found_by_name() {
        assert_eq!(SCHEMA.column("b"), Ok(1));
        let unknown = SCHEMA.column("c").map_err(|error| error.to_string());
        assert_eq!(unknown, Err("feature 'c' is not a column of test-2-v1: use the names of the schema".to_owned()));
    }

    /// ST-57, SU-45: other names, another order, too few and too many columns.
    #[test]
    fn another_schema_is_refused() {
        assert_eq!(SCHEMA.check(&["a", "b"]), Ok(()));
        let place = |names: &[&str]| match SCHEMA.check(names) {
            Err(SchemaError::OtherColumns { index, .. }) => Some(index),
            _ => None,
        };
        assert_eq!([&["b", "a"][..], &["a"], &["a", "b", "c"]].map(place), [Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn the_digest_moves_with_name_and_columns() {
        let renamed = FeatureSchema { name: "test-2-v2", ..SCHEMA };
        let swapped = FeatureSchema { columns: ["b", "a"], ..SCHEMA };
        assert_ne!(renamed.digest(), SCHEMA.digest());
        assert_ne!(swapped.digest(), SCHEMA.digest());
        assert_eq!(SCHEMA.digest(), hex::encode(Sha256::digest("test-2-v1\na\nb\n")));
    }
}
