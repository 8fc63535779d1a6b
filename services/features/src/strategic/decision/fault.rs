//! What is wrong with thresholds or with the parameters of a model.

/// Everything that is wrong with a configuration or with the parameters of a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("strategic decisions: {}", .0.join("; "))]
pub struct DecisionConfigError(pub Vec<String>);
