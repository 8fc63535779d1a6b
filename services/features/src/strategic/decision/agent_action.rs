//! What one agent says: its distribution over the three actions and the most probable one.

use serde::{Deserialize, Serialize};

use crate::categorical::{log_softmax, softmax};

use super::Logits;
use super::agent::{Action, Agent, Probabilities};
use super::parameters::ModelParameters;

/// The volatility adjustment stays within these factors (ST-47).
const ADJUSTMENT_RANGE: [f64; 2] = [0.5, 2.0];
/// Smallest volatility that is divided by (ST-47).
const LEAST_VOLATILITY: f64 = 1e-6;

/// What one agent does (ST-67).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentAction {
    /// The agent.
    pub agent: Agent,
    /// Its distribution; sums to 1.
    pub probabilities: Probabilities,
    /// The most probable action: serving never draws lots (ST-66, SU-54).
    pub action: Action,
    /// Probability of that action (ST-67, SU-51).
    pub confidence: f64,
    /// Its logarithm.
    pub log_probability: f64,
    /// Entropy in nats.
    pub entropy: f64,
}

/// Factor on the regime agent's logits (ST-47): calm markets sharpen, wild ones flatten; 0.5 to 2. `volatility` is
/// the ratio itself, not the column of the matrix.
#[must_use]
pub fn volatility_adjustment(volatility: f64) -> f64 {
    (1.0 / volatility.max(LEAST_VOLATILITY)).clamp(ADJUSTMENT_RANGE[0], ADJUSTMENT_RANGE[1])
}

/// Distributions and actions of the three agents by id (ST-47, ST-51, ST-66, ST-67); `None` when a logit is not
/// finite.
#[must_use]
pub fn agent_actions(logits: &Logits, volatility: f64, model: &ModelParameters) -> Option<[AgentAction; 3]> {
    let adjustment = if model.regime_volatility_adjust { volatility_adjustment(volatility) } else { 1.0 };
    let act = |agent: Agent| {
        let id = agent as usize;
        let factor = if agent == Agent::Regime { adjustment } else { 1.0 };
        let scaled = logits[id].map(|logit| f64::from(logit) / model.temperatures[id] * factor);
        let probabilities = Probabilities::from(softmax(scaled)?);
        let action = probabilities.action();
        let log_probability = log_softmax(scaled)?[action as usize];
        let (confidence, entropy) = (probabilities.confidence(), probabilities.entropy());
        Some(AgentAction { agent, probabilities, action, confidence, log_probability, entropy })
    };
    Some([act(Agent::Mlmi)?, act(Agent::Nwrqk)?, act(Agent::Regime)?])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]
    use super::*;
    use crate::strategic::schema::AGENTS;

    /// ST-V30
    #[test]
    fn calm_markets_sharpen_and_wild_ones_flatten() {
        for (volatility, wanted) in [(0.4, 2.0), (1.25, 0.8), (4.0, 0.5), (0.0, 2.0), (1.0, 1.0), (f64::NAN, 2.0)] {
            assert_eq!(volatility_adjustment(volatility), wanted, "{volatility}");
        }
        let model = ModelParameters::default();
        for (volatility, wanted) in [
            (0.4, [0.665_240_96, 0.244_728_47, 0.090_030_57]),
            (1.25, [0.471_776_22, 0.316_241_06, 0.211_982_72]),
            (4.0, [0.419_228_95, 0.326_495_84, 0.254_275_21]),
        ] {
            let [mlmi, _, regime] = agent_actions(&[[0.5, 0.0, -0.5]; 3], volatility, &model).unwrap();
            let seen = regime.probabilities.to_array();
            assert!(seen.iter().zip(wanted).all(|(s, w)| (s - w).abs() < 1e-8), "{seen:?}");
            assert!((mlmi.probabilities.bullish - 0.506_480_39).abs() < 1e-8, "only the regime agent is adjusted");
        }
    }

    /// ST-67, X-1: named fields, direction by index, log-probability of the action.
    #[test]
    fn actions_carry_their_log_probability() {
        let actions = agent_actions(&[[2.0, 0.0, -1.0], [-1.0, 2.0, 0.0], [-1.0, 0.0, 2.0]], 1.0, &ModelParameters::default());
        let actions = actions.unwrap();
        assert_eq!(actions.map(|agent| agent.action), Action::ALL);
        assert_eq!(actions.map(|agent| agent.action.direction()), [1, 0, -1]);
        for agent in actions {
            assert!((libm::exp(agent.log_probability) - agent.confidence).abs() < 1e-12);
        }
        let json = serde_json::to_value(actions[2]).unwrap();
        assert_eq!((json["agent"].as_str(), json["action"].as_str()), (Some("regime"), Some("bearish")));
        assert_eq!(json["probabilities"]["bearish"].as_f64(), Some(actions[2].confidence));
        assert_eq!(Agent::ALL.map(Agent::name), AGENTS);
    }

    /// A logit that is not finite gives no actions at all.
    #[test]
    fn one_bad_logit_spoils_all() {
        for (agent, bad) in [(0, f32::NAN), (1, f32::INFINITY), (2, f32::NEG_INFINITY)] {
            let mut logits = [[0.0_f32; 3]; 3];
            logits[agent][agent] = bad;
            assert_eq!(agent_actions(&logits, 1.0, &ModelParameters::default()), None);
        }
    }
}
