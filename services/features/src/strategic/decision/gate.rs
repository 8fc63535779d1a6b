//! Whether a decision may be acted on.

use serde::{Deserialize, Serialize};

use super::agent::Action;
use super::config::DecisionConfig;
use super::ensemble::Ensemble;

/// A condition that failed (ST-71); the text is the label of `strategic_gate_total{reason}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateReason {
    /// The confidence does not exceed the threshold (ST-70).
    LowConfidence,
    /// The winner is no direction (ST-71, X-11).
    Neutral,
    /// The inputs had to be mended (ST-16).
    Degraded,
    /// The newest row of the matrix is too old.
    StaleMatrix,
    /// No networks, or none that answered with figures.
    ModelNotReady,
    /// The answer came too late.
    DeadlineExceeded,
    /// Against the synergy, where the configuration forbids that (ST-72, SU-53).
    CounterSynergy,
}

/// What the gate needs to know beside the ensemble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Direction of the synergy: +1, 0 or -1.
    pub synergy_direction: i8,
    /// The inputs had to be mended.
    pub degraded: bool,
    /// The networks answered with figures.
    pub model_ready: bool,
    /// The answer came in time.
    pub in_time: bool,
    /// Nanoseconds of event time from the close of the matrix's newest row to the event.
    pub matrix_age: i64,
}

/// Every condition that fails, in the order of [`GateReason`]; empty means proceed (ST-70 to ST-72).
///
/// Written so that NaN fails, and an age below 0 does: a matrix from the future is no matrix.
#[must_use]
pub fn gate(ensemble: &Ensemble, standing: &Standing, config: &DecisionConfig) -> Vec<GateReason> {
    let exceeds = ensemble.confidence > config.confidence_threshold;
    let action = ensemble.probabilities.action();
    let oldest = i64::from(config.max_matrix_age_seconds) * 1_000_000_000;
    let counter = standing.synergy_direction != 0 && action.direction() != standing.synergy_direction;
    let failed = [
        (!exceeds, GateReason::LowConfidence),
        (action == Action::Neutral, GateReason::Neutral),
        (standing.degraded, GateReason::Degraded),
        (!(0..=oldest).contains(&standing.matrix_age), GateReason::StaleMatrix),
        (!standing.model_ready, GateReason::ModelNotReady),
        (!standing.in_time, GateReason::DeadlineExceeded),
        (config.require_synergy_alignment && counter, GateReason::CounterSynergy),
    ];
    failed.into_iter().filter_map(|(fails, reason)| fails.then_some(reason)).collect()
}
