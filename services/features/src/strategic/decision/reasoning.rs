//! Why the ensemble came out as it did, for people.

use serde::{Deserialize, Serialize};

use crate::strategic::synergy::SynergyType;

use super::agent::{Action, Agent};
use super::agent_action::AgentAction;
use super::config::DecisionConfig;

/// What one agent predicts (ST-74).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Its action.
    pub prediction: Action,
    /// Probability of that action.
    pub confidence: f64,
}

/// What the three agents predict, by name (SU-55).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agreements {
    /// Momentum index.
    pub mlmi: Agreement,
    /// Kernel regression.
    pub nwrqk: Agreement,
    /// Regime.
    pub regime: Agreement,
}

/// Who decided (ST-75).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DominantSignal {
    /// All three predict the same.
    Consensus,
    /// `mlmi` is the most confident.
    Mlmi,
    /// `nwrqk` is.
    Nwrqk,
    /// `regime` is.
    Regime,
}

/// Where the uncertainty comes from (ST-76); it measures confidences only, see [`Reasoning::direction_conflict`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UncertaintySource {
    /// An agent is unsure by itself.
    LowIndividualConfidence,
    /// The agents' confidences lie far apart.
    AgentDisagreement,
    /// Neither.
    StableUncertainty,
}

/// The reasoning of a decision (ST-74, SU-55).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reasoning {
    /// Type of the synergy that asked.
    pub synergy_type: SynergyType,
    /// Its confidence, 0 to 1.
    pub synergy_confidence: f64,
    /// What each agent predicts.
    pub agent_agreements: Agreements,
    /// Who decided.
    pub dominant_signal: DominantSignal,
    /// Where the uncertainty comes from.
    pub uncertainty_source: UncertaintySource,
    /// At least one agent is bullish and one bearish (ST-76).
    pub direction_conflict: bool,
}

impl Reasoning {
    /// Reasoning over the agents' actions, by agent id.
    #[must_use]
    pub fn new(synergy_type: SynergyType, synergy_confidence: f64, agents: &[AgentAction; 3], config: &DecisionConfig) -> Self {
        let [mlmi, nwrqk, regime] = agents.map(|agent| Agreement { prediction: agent.action, confidence: agent.confidence });
        let any = |action: Action| agents.iter().any(|agent| agent.action == action);
        Self {
            synergy_type,
            synergy_confidence,
            agent_agreements: Agreements { mlmi, nwrqk, regime },
            dominant_signal: dominant(agents),
            uncertainty_source: source(agents.map(|agent| agent.confidence), config),
            direction_conflict: any(Action::Bullish) && any(Action::Bearish),
        }
    }
}

/// ST-75: ties go to the lower agent id.
fn dominant(agents: &[AgentAction; 3]) -> DominantSignal {
    if agents.iter().all(|agent| agent.action == agents[0].action) {
        return DominantSignal::Consensus;
    }
    let surer = |best: AgentAction, agent: AgentAction| if agent.confidence > best.confidence { agent } else { best };
    match surer(surer(agents[0], agents[1]), agents[2]).agent {
        Agent::Mlmi => DominantSignal::Mlmi,
        Agent::Nwrqk => DominantSignal::Nwrqk,
        Agent::Regime => DominantSignal::Regime,
    }
}

/// ST-76
fn source(confidences: [f64; 3], config: &DecisionConfig) -> UncertaintySource {
    let least = confidences.into_iter().fold(f64::INFINITY, f64::min);
    let most = confidences.into_iter().fold(f64::NEG_INFINITY, f64::max);
    if least < config.low_agent_confidence {
        UncertaintySource::LowIndividualConfidence
    } else if most - least > config.agent_spread {
        UncertaintySource::AgentDisagreement
    } else {
        UncertaintySource::StableUncertainty
    }
}
