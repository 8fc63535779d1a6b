//! The 13 columns, by name.

use serde::{Deserialize, Serialize};

use crate::schema::{self, SHARE, SIGNED};

/// Rows of a matrix: closed bars, oldest first (ST-6).
pub const ROWS: usize = 48;
/// Columns of a matrix (ST-8).
pub const COLUMNS: usize = 13;
/// Agents in the order of every list; the place is the agent's id.
pub const AGENTS: [&str; 3] = ["mlmi", "nwrqk", "regime"];
/// Columns that each agent sees (ST-7): its own features before the shared context.
pub const AGENT_WIDTHS: [usize; 3] = [4, 4, 3];

/// A schema of 13 columns.
pub type FeatureSchema = schema::FeatureSchema<COLUMNS>;

/// The schema implemented here: the layout of ST-8.
pub const SCHEMA: FeatureSchema = FeatureSchema {
    name: "strategic-48x13-v1",
    columns: [
        "mlmi_value",
        "mlmi_signal",
        "nwrqk_value",
        "nwrqk_slope",
        "lvn_distance",
        "lvn_strength",
        "time_hour_sin",
        "time_hour_cos",
        "momentum_20",
        "momentum_50",
        "mmd_score",
        "volatility_30",
        "volume_profile_skew",
    ],
    ranges: [SIGNED, SIGNED, SIGNED, SIGNED, SHARE, SHARE, SIGNED, SIGNED, SIGNED, SIGNED, SHARE, SIGNED, SIGNED],
};

/// What each agent sees by default, in its order (ST-7, ST-8).
const DEFAULT_FEATURES: [&[&str]; 3] = [
    &["mlmi_value", "mlmi_signal", "momentum_20", "momentum_50"],
    &["nwrqk_value", "nwrqk_slope", "lvn_distance", "lvn_strength"],
    &["mmd_score", "volatility_30", "volume_profile_skew"],
];

/// Why columns and agents do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// No column has this name, or another set of columns was given.
    #[error(transparent)]
    Columns(#[from] schema::SchemaError),
    /// No column has this number.
    #[error("feature index {0} is outside the matrix: use 0 to 12")]
    UnknownIndex(usize),
    /// Too few or too many columns for an agent.
    #[error("agent {agent} is given {found} features, its network takes {wanted}")]
    Width {
        /// The agent.
        agent: &'static str,
        /// Number of columns given.
        found: usize,
        /// Number of columns needed.
        wanted: usize,
    },
}

/// Columns that each agent gathers, in its order (ST-8): configuration, stored in the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "[Vec<usize>; 3]", into = "[Vec<usize>; 3]")]
pub struct Gathers([Vec<usize>; 3]);

impl Gathers {
    /// Columns by their numbers; old checkpoints give them so.
    ///
    /// # Errors
    /// [`SchemaError`]: a number outside the matrix or a width that no network takes.
    pub fn from_indices(indices: [Vec<usize>; 3]) -> Result<Self, SchemaError> {
        for ((agent, wanted), given) in AGENTS.into_iter().zip(AGENT_WIDTHS).zip(&indices) {
            if given.len() != wanted {
                return Err(SchemaError::Width { agent, found: given.len(), wanted });
            }
            if let Some(&outside) = given.iter().find(|index| **index >= COLUMNS) {
                return Err(SchemaError::UnknownIndex(outside));
            }
        }
        Ok(Self(indices))
    }

    /// Columns by their names.
    ///
    /// # Errors
    /// [`SchemaError`]: a name that the schema does not have or a width that no network takes.
    pub fn from_names<S: AsRef<str>>(names: [&[S]; 3]) -> Result<Self, SchemaError> {
        let columns =
            |names: &[S]| names.iter().map(|name| SCHEMA.column(name.as_ref())).collect::<Result<Vec<_>, schema::SchemaError>>();
        let [mlmi, nwrqk, regime] = names.map(columns);
        Self::from_indices([mlmi?, nwrqk?, regime?])
    }

    /// Columns of one agent (0 to 2).
    #[must_use]
    pub fn agent(&self, agent: usize) -> &[usize] {
        &self.0[agent]
    }
}

impl Default for Gathers {
    fn default() -> Self {
        Self(DEFAULT_FEATURES.map(|names| names.iter().filter_map(|name| SCHEMA.column(name).ok()).collect()))
    }
}

impl TryFrom<[Vec<usize>; 3]> for Gathers {
    type Error = SchemaError;

    fn try_from(indices: [Vec<usize>; 3]) -> Result<Self, SchemaError> {
        Self::from_indices(indices)
    }
}

impl From<Gathers> for [Vec<usize>; 3] {
    fn from(gathers: Gathers) -> Self {
        gathers.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// ST-8
    #[test]
    fn default_columns_of_the_agents() {
        let gathers = Gathers::default();
        assert_eq!(gathers.agent(0), [0, 1, 8, 9]);
        assert_eq!(gathers.agent(1), [2, 3, 4, 5]);
        assert_eq!(gathers.agent(2), [10, 11, 12]);
        assert_eq!(Gathers::from_names(DEFAULT_FEATURES).unwrap(), gathers);
    }

    /// ST-155, X-2: widths, numbers and names that the schema does not have.
    #[test]
    fn unfit_columns_are_refused() {
        let width = Gathers::from_indices([vec![0, 1, 9], vec![2, 3, 4, 5], vec![10, 11, 12]]);
        assert_eq!(width, Err(SchemaError::Width { agent: "mlmi", found: 3, wanted: 4 }));
        let outside = serde_json::from_str::<Gathers>("[[0,1,9,13],[2,3,4,5],[10,11,12]]").unwrap_err().to_string();
        assert!(outside.contains("feature index 13 is outside"), "{outside}");
        let names = Gathers::from_names([&["momentum_30"], &[], &[]]).unwrap_err().to_string();
        assert_eq!(names, "feature 'momentum_30' is not a column of strategic-48x13-v1: use the names of the schema");
    }
}
