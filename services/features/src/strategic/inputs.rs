//! What each policy network is given: its features, normalised, and the shared context.

use serde::{Deserialize, Serialize};

use super::context::CONTEXT;
use super::schema::{AGENT_WIDTHS, AGENTS, COLUMNS, Gathers};

/// Widest input: four features and six context values (ST-13).
const WIDEST: usize = 4 + CONTEXT;
/// Smallest deviation that is divided by (ST-14).
const LEAST_DEVIATION: f64 = 1e-6;
/// Largest normalised feature (ST-14).
const CLIP: f64 = 5.0;

/// Why a normaliser is unusable.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NormaliserError {
    /// Means or deviations are too few or too many.
    #[error("norm.{agent}: {means} means and {deviations} deviations, the agent has {wanted} features")]
    Width {
        /// The agent.
        agent: &'static str,
        /// Number of means.
        means: usize,
        /// Number of deviations.
        deviations: usize,
        /// Number of features.
        wanted: usize,
    },
    /// A mean that is not finite, or a deviation that is not finite and above 0 (ST-58).
    #[error("norm.{agent}: {field} of feature {index} is {value}, it must be finite{}", if *.field == "deviation" { " and above 0" } else { "" })]
    Value {
        /// The agent.
        agent: &'static str,
        /// `mean` or `deviation`.
        field: &'static str,
        /// Place among the agent's features.
        index: usize,
        /// The value seen.
        value: f64,
    },
}

/// Frozen statistics of one agent's features, estimated in training only (ST-14).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normaliser {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Normaliser {
    /// Statistics of an agent (0 to 2).
    ///
    /// # Errors
    /// [`NormaliserError`] names agent, feature and value.
    pub fn new(agent: usize, mean: Vec<f64>, deviation: Vec<f64>) -> Result<Self, NormaliserError> {
        let (name, wanted) = (AGENTS[agent], AGENT_WIDTHS[agent]);
        if mean.len() != wanted || deviation.len() != wanted {
            return Err(NormaliserError::Width { agent: name, means: mean.len(), deviations: deviation.len(), wanted });
        }
        let fault = |field, values: &[f64], fine: fn(f64) -> bool| {
            let at = values.iter().position(|value| !fine(*value))?;
            Some(NormaliserError::Value { agent: name, field, index: at, value: values[at] })
        };
        let faults = fault("mean", &mean, f64::is_finite)
            .or_else(|| fault("deviation", &deviation, |value| value.is_finite() && value > 0.0));
        faults.map_or(Ok(Self { mean, deviation }), Err)
    }

    /// Changes nothing but the clip: for checkpoints without statistics (ST-14).
    #[must_use]
    pub fn identity(agent: usize) -> Self {
        Self { mean: vec![0.0; AGENT_WIDTHS[agent]], deviation: vec![1.0; AGENT_WIDTHS[agent]] }
    }

    /// One feature in units of its deviation, within +-5.
    #[must_use]
    pub fn apply(&self, index: usize, feature: f64) -> f64 {
        ((feature - self.mean[index]) / self.deviation[index].max(LEAST_DEVIATION)).clamp(-CLIP, CLIP)
    }
}

/// Input of one policy network, 10, 10 or 9 values (ST-13).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolicyInput {
    values: [f32; WIDEST],
    len: usize,
}

impl PolicyInput {
    /// Features of an agent (0 to 2) from the pooled matrix, normalised, then the context as it is (ST-13, ST-14).
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub fn new(
        agent: usize,
        pooled: &[f64; COLUMNS],
        gathers: &Gathers,
        normaliser: &Normaliser,
        context: &[f64; CONTEXT],
    ) -> Self {
        let columns = gathers.agent(agent);
        let mut values = [0.0; WIDEST];
        for (index, (value, column)) in values.iter_mut().zip(columns).enumerate() {
            *value = normaliser.apply(index, pooled[*column]) as f32;
        }
        for (value, shared) in values[columns.len()..].iter_mut().zip(context) {
            *value = *shared as f32;
        }
        Self { values, len: columns.len() + CONTEXT }
    }

    /// The values in the order of the network's inputs.
    #[must_use]
    pub fn as_slice(&self) -> &[f32] {
        &self.values[..self.len]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]
    use super::*;

    /// ST-V14, first part; ST-14: the floor and the clip.
    #[test]
    fn normalisation() {
        let normaliser = Normaliser::new(2, vec![0.1, 0.0, 0.0], vec![0.25, 1e-9, 1.0]).unwrap();
        assert!((normaliser.apply(0, 0.3) - 0.8).abs() < 1e-12);
        assert!((normaliser.apply(1, 2e-6) - 2.0).abs() < 1e-12);
        assert_eq!((normaliser.apply(2, 7.0), normaliser.apply(2, -7.0)), (5.0, -5.0));
        assert_eq!(Normaliser::identity(0).apply(3, -0.25), -0.25);
    }

    /// ST-58: statistics that are no statistics.
    #[test]
    fn bad_statistics_are_refused() {
        let text = |mean: Vec<f64>, deviation: Vec<f64>| Normaliser::new(2, mean, deviation).unwrap_err().to_string();
        assert_eq!(text(vec![0.0; 4], vec![1.0; 3]), "norm.regime: 4 means and 3 deviations, the agent has 3 features");
        assert_eq!(text(vec![0.0, f64::NAN, 0.0], vec![1.0; 3]), "norm.regime: mean of feature 1 is NaN, it must be finite");
        assert_eq!(
            text(vec![0.0; 3], vec![1.0, 1.0, 0.0]),
            "norm.regime: deviation of feature 2 is 0, it must be finite and above 0"
        );
    }

    /// ST-13: features first, then the context; 10, 10 and 9 values.
    #[test]
    fn inputs_of_the_three_agents() {
        let pooled: [f64; COLUMNS] = std::array::from_fn(|column| column as f64 / 8.0);
        let context = [0.5, -1.0, 0.25, 0.0, 1.0, 0.5];
        let input = |agent| PolicyInput::new(agent, &pooled, &Gathers::default(), &Normaliser::identity(agent), &context);
        assert_eq!(input(0).as_slice(), [0.0, 0.125, 1.0, 1.125, 0.5, -1.0, 0.25, 0.0, 1.0, 0.5]);
        assert_eq!(input(1).as_slice(), [0.25, 0.375, 0.5, 0.625, 0.5, -1.0, 0.25, 0.0, 1.0, 0.5]);
        assert_eq!(input(2).as_slice(), [1.25, 1.375, 1.5, 0.5, -1.0, 0.25, 0.0, 1.0, 0.5]);
    }
}
