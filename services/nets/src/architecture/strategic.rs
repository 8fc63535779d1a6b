//! The strategic networks: three policies and a critic, Linear -> ReLU -> LayerNorm (ST-50, ST-53, ST-61).
//!
//! Dropout of the specification is off when serving and in rollouts (ST-94); the numbers in the names are PyTorch's positions
//! in a Sequential that has it (ST-56, SU-39).

use tradewind_features::strategic::{AGENT_WIDTHS, COLUMNS, CONTEXT};

use super::{Network, Role, Sample, Stage, Step, Use, Vector, View};
use crate::schema::STRATEGIC;

/// Outputs of every policy, ruling 1 and X-1: index 0 is long. Files in the order of SU-41 are refused as they are and
/// permuted when they are converted (ST-57).
pub const ACTIONS: [&str; 3] = ["bullish", "neutral", "bearish"];
/// Inputs of the critic: 13 pooled columns, then the nine probabilities in agent and action order (ST-53).
pub const CRITIC_INPUTS: usize = COLUMNS + 9;

const fn policy(id: &'static str, prefix: &'static str, agent: usize, trunk: &'static [Step]) -> Network {
    Network {
        id,
        prefix,
        actions: &ACTIONS,
        view: View::Policy(agent),
        inputs: AGENT_WIDTHS[agent] + CONTEXT,
        attention: &[],
        trunk,
        heads: &[&[Step::Dense("network.12", 64, 3)]],
        used: Use::Served,
    }
}

/// Hidden layers of a policy with four features: hidden widths 256, 128, 64.
const TRUNK_10: [Step; 9] = policy_trunk(10);
/// Hidden layers of the regime policy, which has three features.
const TRUNK_9: [Step; 9] = policy_trunk(9);

const fn policy_trunk(inputs: usize) -> [Step; 9] {
    hidden(inputs, [256, 128, 64])
}

/// Three times Linear -> ReLU -> LayerNorm.
const fn hidden(inputs: usize, widths: [usize; 3]) -> [Step; 9] {
    let [first, second, third] = widths;
    [
        Step::Dense("network.0", inputs, first),
        Step::Relu,
        Step::Norm("network.3", first),
        Step::Dense("network.4", first, second),
        Step::Relu,
        Step::Norm("network.7", second),
        Step::Dense("network.8", second, third),
        Step::Relu,
        Step::Norm("network.11", third),
    ]
}

/// Temperatures are positive and bounded: a file with another is refused, not cut (ST-51, C-26 of part 2).
const fn temperature(name: &'static str) -> Vector {
    Vector { name, width: 1, range: (0.1, 10.0), statistic: false }
}

/// The strategic stage: input is 13 pooled columns, then 6 values of shared context.
pub static STAGE: Stage = Stage {
    role: Role::Strategic,
    architecture: "strategic-mlp-48x13-v1",
    schema: &STRATEGIC,
    input_shape: &[COLUMNS + CONTEXT],
    samples: &[
        Sample::Range(-1.0, 1.0),
        Sample::Direction,
        Sample::Range(-1.0, 1.0),
        Sample::Range(-1.0, 1.0),
        Sample::Range(0.0, 1.0),
        Sample::Range(0.0, 1.0),
        Sample::Range(-1.0, 1.0),
        Sample::Range(-1.0, 1.0),
        Sample::Range(-1.0, 1.0),
        Sample::Range(-1.0, 1.0),
        Sample::Range(0.0, 1.0),
        Sample::Range(-1.0, 1.0),
        Sample::Range(-1.0, 1.0),
        Sample::Range(0.0, 1.0),
        Sample::Direction,
        Sample::Range(-4.6, 4.6),
        Sample::Range(-1.0, 1.0),
        Sample::Range(-1.0, 1.0),
        Sample::Range(0.0, 1.0),
    ],
    networks: &[
        policy("mlmi", "agents.mlmi", 0, &TRUNK_10),
        policy("nwrqk", "agents.nwrqk", 1, &TRUNK_10),
        policy("regime", "agents.regime", 2, &TRUNK_9),
        Network {
            id: "critic",
            prefix: "critic",
            actions: &[],
            view: View::Own,
            inputs: CRITIC_INPUTS,
            attention: &[],
            trunk: &hidden(CRITIC_INPUTS, [512, 256, 128]),
            heads: &[&[Step::Dense("network.12", 128, 1)]],
            // Never on the decision path (ST-79, SU-47).
            used: Use::Kept,
        },
    ],
    vectors: &[
        temperature("agents.mlmi.temperature"),
        temperature("agents.nwrqk.temperature"),
        temperature("agents.regime.temperature"),
        // Logits of the ensemble's weights (ST-54).
        Vector { name: "ensemble_weights", width: 3, range: (f32::MIN, f32::MAX), statistic: false },
        Vector::mean("norm.mlmi.mean", 4),
        Vector::deviation("norm.mlmi.std", 4),
        Vector::mean("norm.nwrqk.mean", 4),
        Vector::deviation("norm.nwrqk.std", 4),
        Vector::mean("norm.regime.mean", 3),
        Vector::deviation("norm.regime.std", 3),
    ],
};
