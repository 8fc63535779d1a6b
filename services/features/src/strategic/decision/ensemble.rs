//! Three distributions become one.

use crate::categorical::softmax;

use super::agent::{Agent, Probabilities};
use super::fault::DecisionConfigError;

/// `ln 3`, the entropy of three equal actions (ST-64, X-10).
const LARGEST_ENTROPY: f64 = 1.098_612_288_668_109_8;

/// Learned weights of the agents, as logits (ST-54).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EnsembleWeights {
    logits: [f64; 3],
    shares: [f64; 3],
}

impl Default for EnsembleWeights {
    /// Equal weights: the start of training (ST-54).
    fn default() -> Self {
        Self { logits: [1.0; 3], shares: [1.0 / 3.0; 3] }
    }
}

impl EnsembleWeights {
    /// From the `ensemble_weights` of a checkpoint, by agent id (ST-54, ST-62).
    ///
    /// # Errors
    /// [`DecisionConfigError`]: a logit that is not finite.
    pub fn from_logits(logits: [f64; 3]) -> Result<Self, DecisionConfigError> {
        let named = || Agent::ALL.into_iter().zip(logits).filter(|(_, logit)| !logit.is_finite());
        let faults = || named().map(|(agent, logit)| format!("ensemble logit of {} is {logit}, it must be finite", agent.name()));
        softmax(logits).map(|shares| Self { logits, shares }).ok_or_else(|| DecisionConfigError(faults().collect()))
    }

    /// From configured probabilities, which are stored as their logarithms (ST-119, X-20, SU-8, SU C-9).
    ///
    /// # Errors
    /// [`DecisionConfigError`]: a weight that is not above 0, or a sum that is not 1 within 1e-6 (SU-15).
    pub fn from_probabilities(weights: [f64; 3]) -> Result<Self, DecisionConfigError> {
        let mut faults: Vec<String> = Agent::ALL
            .into_iter()
            .zip(weights)
            .filter(|(_, weight)| !(weight.is_finite() && *weight > 0.0))
            .map(|(agent, weight)| format!("initial weight of {} is {weight}, it must be above 0", agent.name()))
            .collect();
        let sum: f64 = weights.iter().sum();
        if faults.is_empty() && (sum - 1.0).abs() > 1e-6 {
            faults.push(format!("initial weights sum to {sum}, they must sum to 1"));
        }
        if faults.is_empty() { Self::from_logits(weights.map(libm::log)) } else { Err(DecisionConfigError(faults)) }
    }

    /// As learned, by agent id.
    #[must_use]
    pub const fn logits(&self) -> [f64; 3] {
        self.logits
    }

    /// Weights that serve: each at least `floor` (0 to 1/3), the rest as learned; they sum to 1 (ST-62).
    #[must_use]
    pub fn floored(&self, floor: f64) -> [f64; 3] {
        self.shares.map(|share| floor + (1.0 - 3.0 * floor) * share)
    }
}

/// The three distributions as one (ST-62 to ST-64).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ensemble {
    /// Weighted mean of the distributions.
    pub probabilities: Probabilities,
    /// Largest probability, 1/3 to 1 (ST-63, X-9).
    pub confidence: f64,
    /// Entropy over its largest value, 0 to 1 (ST-64).
    pub uncertainty: f64,
}

impl Ensemble {
    /// A distribution with its confidence and uncertainty.
    #[must_use]
    pub fn of(probabilities: Probabilities) -> Self {
        let uncertainty = (probabilities.entropy() / LARGEST_ENTROPY).clamp(0.0, 1.0);
        Self { probabilities, confidence: probabilities.confidence(), uncertainty }
    }

    /// Confidence less entropy in nats, -0.766 to 1: a metric, it never gates (ST-63, X-9).
    #[must_use]
    pub fn confidence_minus_entropy(&self) -> f64 {
        self.confidence - self.probabilities.entropy()
    }
}

/// Weighted mean of the agents' distributions, by agent id (ST-62, SU-52). The weights sum to 1.
#[must_use]
pub fn combine(agents: &[Probabilities; 3], weights: &[f64; 3]) -> Ensemble {
    let mut mixed = [0.0; 3];
    for (agent, weight) in agents.iter().zip(weights) {
        for (sum, p) in mixed.iter_mut().zip(agent.to_array()) {
            *sum += weight * p;
        }
    }
    Ensemble::of(mixed.into())
}
