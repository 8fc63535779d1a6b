//! From the logits of the three agents to one gated decision.
//!
//! [`decide`] is the whole way: [`AgentAction`] per agent, [`Ensemble`] over them, [`gate`] over the ensemble,
//! [`Reasoning`] beside it. What cannot be decided becomes a fallback that never proceeds.

mod agent;
mod agent_action;
mod config;
mod ensemble;
mod fault;
mod gate;
mod outcome;
mod parameters;
mod reasoning;
mod simple;
mod statistics;

pub use agent::{Action, Agent, Probabilities};
pub use agent_action::{AgentAction, agent_actions, volatility_adjustment};
pub use config::DecisionConfig;
pub use ensemble::{Ensemble, EnsembleWeights, combine};
pub use fault::DecisionConfigError;
pub use gate::{GateReason, Standing, gate};
pub use outcome::{FallbackCause, Request, StrategicDecision, decide, fall_back};
pub use parameters::ModelParameters;
pub use reasoning::{Agreement, Agreements, DominantSignal, Reasoning, UncertaintySource};
pub use simple::simple_policy;
pub use statistics::{AgentStatistics, Statistics};

use crate::tactical::NetworkError;

use super::context::CONTEXT;
use super::schema::COLUMNS;

/// Logits per agent, then per action: index 0 bullish, 1 neutral, 2 bearish.
pub type Logits = [[f32; 3]; 3];

/// Three policies that turn one matrix and its context into logits (ST-2); no softmax, no temperature.
///
/// An implementation averages the rows, gathers and normalises each agent's columns as its checkpoint says
/// ([`PolicyInput`](super::PolicyInput)), and is deterministic: the same inputs give the same bits (ST-66).
pub trait StrategicNetwork {
    /// Logits of `mlmi`, `nwrqk` and `regime`. The rows (24 to 48, oldest first) and the context are finite.
    ///
    /// # Errors
    /// [`NetworkError`] when the networks could not be evaluated: the decision becomes a fallback.
    fn logits(&mut self, rows: &[[f32; COLUMNS]], context: &[f64; CONTEXT]) -> Result<Logits, NetworkError>;
}

impl<N: StrategicNetwork + ?Sized> StrategicNetwork for Box<N> {
    fn logits(&mut self, rows: &[[f32; COLUMNS]], context: &[f64; CONTEXT]) -> Result<Logits, NetworkError> {
        (**self).logits(rows, context)
    }
}
