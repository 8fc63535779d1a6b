//! The one network architecture of the tactical stage: its agents, layers, tensor names and shapes.

pub use tradewind_domain::tactical::{COLUMNS, FEATURE_SCHEMA, Logits, Matrix, ROWS};

/// Agents of the stage, in the order of [`AGENTS`].
pub const AGENT_COUNT: usize = 3;
/// Outputs of each agent (TA-16).
pub const ACTIONS: usize = 3;
/// Channels after the first convolution.
pub const CHANNELS_1: usize = 32;
/// Channels after the second convolution.
pub const CHANNELS_2: usize = 64;
/// Taps of both convolutions; padding 1, stride 1.
pub const KERNEL: usize = 3;
/// Time bins after pooling (TA-18).
pub const BINS: usize = 16;
/// Width of the flattened pooled activations: channel-major, 64 x 16.
pub const FLAT: usize = CHANNELS_2 * BINS;
/// Width of the first dense layer.
pub const HIDDEN_1: usize = 256;
/// Width of the second dense layer.
pub const HIDDEN_2: usize = 128;
/// Inputs of the critic: three flattened observations (TA-20).
pub const CRITIC_INPUTS: usize = AGENT_COUNT * ROWS * COLUMNS;
/// Widths of the critic's layers, input first, output last (TA-20).
pub const CRITIC_WIDTHS: [usize; 5] = [CRITIC_INPUTS, 512, 256, 128, 1];

/// Name of this architecture in a checkpoint's manifest.
pub const ARCHITECTURE: &str = "tactical-conv-60x7-v1";

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
pub const AGENTS: [Agent; AGENT_COUNT] = [
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

/// Layers of an actor that have weights, in the order of TA-17: name, weight shape. The bias has
/// the length of the first dimension.
pub const ACTOR_LAYERS: [(&str, &[usize]); 5] = [
    ("conv1", &[CHANNELS_1, COLUMNS, KERNEL]),
    ("conv2", &[CHANNELS_2, CHANNELS_1, KERNEL]),
    ("fc1", &[HIDDEN_1, FLAT]),
    ("fc2", &[HIDDEN_2, HIDDEN_1]),
    ("fc3", &[ACTIONS, HIDDEN_2]),
];

/// Trainable parameters of one actor (TA-17).
pub const ACTOR_PARAMETERS: usize = 302_602;
/// Trainable parameters of the critic (TA-20).
pub const CRITIC_PARAMETERS: usize = 809_985;

/// A tensor that a checkpoint may hold: its name and shape, as PyTorch stores it (ruling 13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Full name, such as `agents.fvg.conv1.weight`.
    pub name: String,
    /// Dimensions: Linear `[out, in]`, Conv1d `[out, in, kernel]`.
    pub shape: Vec<usize>,
}

/// Tensors of one agent in the order in which [`crate::weights::ActorWeights`] keeps them.
pub fn actor_tensors(agent: &str) -> Vec<TensorSpec> {
    let mut specs = vec![TensorSpec { name: format!("agents.{agent}.attention_weights"), shape: vec![COLUMNS] }];
    for (layer, shape) in ACTOR_LAYERS {
        specs.push(TensorSpec { name: format!("agents.{agent}.{layer}.weight"), shape: shape.to_vec() });
        specs.push(TensorSpec { name: format!("agents.{agent}.{layer}.bias"), shape: vec![shape[0]] });
    }
    specs
}

/// Tensors of the critic, in layer order. The numbers are PyTorch's positions in a Sequential with
/// a ReLU after each hidden layer.
pub fn critic_tensors() -> Vec<TensorSpec> {
    let mut specs = Vec::new();
    for (layer, pair) in CRITIC_WIDTHS.windows(2).enumerate() {
        let position = 2 * layer;
        specs.push(TensorSpec { name: format!("critic.network.{position}.weight"), shape: vec![pair[1], pair[0]] });
        specs.push(TensorSpec { name: format!("critic.network.{position}.bias"), shape: vec![pair[1]] });
    }
    specs
}

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
    fn ta17_and_ta20_parameter_counts() {
        let count = |specs: Vec<TensorSpec>| specs.iter().map(|spec| spec.shape.iter().product::<usize>()).sum::<usize>();
        for agent in AGENTS {
            assert_eq!(count(actor_tensors(agent.id)), ACTOR_PARAMETERS);
        }
        assert_eq!(count(critic_tensors()), CRITIC_PARAMETERS);
    }

    #[test]
    fn ta19_attention_sums_to_one() {
        for agent in AGENTS {
            assert!((agent.initial_attention.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{}", agent.id);
        }
    }
}
