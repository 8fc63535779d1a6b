//! The tactical networks: three actors that convolve over time, and a critic (TA-16..TA-20).

pub use tradewind_features::tactical::{COLUMNS, FEATURE_SCHEMA, Logits, Matrix, ROWS};

use super::network::BINS;
use super::{Network, Role, Sample, Stage, Step, Use, View};
use crate::schema::TACTICAL;

/// Agents of the stage, in the order of [`AGENTS`].
pub const AGENT_COUNT: usize = 3;
/// Outputs of each agent (TA-16).
pub const ACTIONS: usize = 3;
/// Channels after the first convolution.
pub const CHANNELS_1: usize = 32;
/// Channels after the second convolution.
pub const CHANNELS_2: usize = 64;
/// Width of the flattened pooled activations: channel-major, 64 x 16.
pub const FLAT: usize = CHANNELS_2 * BINS;
/// Width of the first dense layer.
pub const HIDDEN_1: usize = 256;
/// Width of the second dense layer.
pub const HIDDEN_2: usize = 128;
/// Inputs of the critic: three flattened observations (TA-20).
pub const CRITIC_INPUTS: usize = AGENT_COUNT * ROWS * COLUMNS;

/// What is fixed about one agent (TA-16, TA-19, TA-21).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agent {
    /// Identifier in tensor names, manifests and votes.
    pub id: &'static str,
    /// Meaning of the three outputs by index; index 0 is long where a direction is meant.
    pub actions: [&'static str; ACTIONS],
    /// Softmax temperature of the specification.
    pub temperature: f32,
    /// Attention of the specification before training, already spread over seven columns; sums to 1.
    pub initial_attention: [f32; COLUMNS],
}

const THIRD: f32 = 1.0 / 3.0;

/// The three agents in the order of every array in this crate: fvg, momentum, entry (TA-16).
pub static AGENTS: [Agent; AGENT_COUNT] = [
    Agent {
        id: "fvg",
        actions: ["long", "hold", "short"],
        temperature: 1.0,
        initial_attention: [0.4, 0.4, 0.1 * THIRD, 0.1 * THIRD, 0.1 * THIRD, 0.05, 0.05],
    },
    Agent {
        id: "momentum",
        actions: ["up", "neutral", "down"],
        temperature: 1.2,
        initial_attention: [0.05, 0.05, 0.1 * THIRD, 0.1 * THIRD, 0.1 * THIRD, 0.3, 0.5],
    },
    Agent {
        id: "entry",
        actions: ["wait", "execute", "aggressive"],
        temperature: 0.8,
        initial_attention: [0.2, 0.2, 0.2 * THIRD, 0.2 * THIRD, 0.2 * THIRD, 0.2, 0.2],
    },
];

/// Layers of an actor between its attention and its logits, in the order of TA-17.
const TRUNK: [Step; 10] = [
    Step::Columns(COLUMNS),
    Step::Convolution("conv1", COLUMNS, CHANNELS_1),
    Step::Relu,
    Step::Convolution("conv2", CHANNELS_1, CHANNELS_2),
    Step::Relu,
    Step::Pool,
    Step::Dense("fc1", FLAT, HIDDEN_1),
    Step::Relu,
    Step::Dense("fc2", HIDDEN_1, HIDDEN_2),
    Step::Relu,
];

const fn actor(agent: &'static Agent, prefix: &'static str) -> Network {
    Network {
        id: agent.id,
        prefix,
        actions: &agent.actions,
        view: View::All,
        inputs: ROWS * COLUMNS,
        attention: &agent.initial_attention,
        trunk: &TRUNK,
        heads: &[&[Step::Dense("fc3", HIDDEN_2, ACTIONS)]],
        used: Use::Served,
    }
}

/// The tactical stage: input is the model matrix of TA-8, row 0 oldest.
pub static STAGE: Stage = Stage {
    role: Role::Tactical,
    architecture: "tactical-conv-60x7-v1",
    schema: &TACTICAL,
    input_shape: &[ROWS, COLUMNS],
    samples: &[
        Sample::Flag,
        Sample::Flag,
        Sample::Range(-1.0, 1.0),
        Sample::Sixtieth,
        Sample::Flag,
        Sample::Range(-0.964, 0.964),
        Sample::Range(0.0, 0.98),
    ],
    networks: &[
        actor(&AGENTS[0], "agents.fvg"),
        actor(&AGENTS[1], "agents.momentum"),
        actor(&AGENTS[2], "agents.entry"),
        // TA-20: PyTorch's positions in a Sequential with a ReLU after each hidden layer.
        Network {
            id: "critic",
            prefix: "critic",
            actions: &[],
            view: View::Own,
            inputs: CRITIC_INPUTS,
            attention: &[],
            trunk: &[
                Step::Dense("network.0", CRITIC_INPUTS, 512),
                Step::Relu,
                Step::Dense("network.2", 512, 256),
                Step::Relu,
                Step::Dense("network.4", 256, 128),
                Step::Relu,
            ],
            heads: &[&[Step::Dense("network.6", 128, 1)]],
            used: Use::Optional,
        },
    ],
    vectors: &[],
};

/// First row and row after the last of a pooling bin (TA-18).
///
/// `bin` is 0..16.
pub const fn pool_bin(bin: usize) -> (usize, usize) {
    (bin * ROWS / BINS, ((bin + 1) * ROWS).div_ceil(BINS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ta18_bins_are_those_of_the_specification() {
        let expected = [
            (0, 4),
            (3, 8),
            (7, 12),
            (11, 15),
            (15, 19),
            (18, 23),
            (22, 27),
            (26, 30),
            (30, 34),
            (33, 38),
            (37, 42),
            (41, 45),
            (45, 49),
            (48, 53),
            (52, 57),
            (56, 60),
        ];
        for (bin, range) in expected.into_iter().enumerate() {
            assert_eq!(pool_bin(bin), range, "bin {bin}");
        }
    }

    #[test]
    fn ta19_attention_sums_to_one() {
        for agent in AGENTS {
            assert!((agent.initial_attention.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{}", agent.id);
        }
    }
}
