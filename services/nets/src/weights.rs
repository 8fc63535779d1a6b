//! Weights as plain numbers, in the layout of the checkpoint file: the common ground of the candle
//! networks, the serving path and the file.

use crate::architecture::{ACTOR_LAYERS, AGENT_COUNT, AGENTS, COLUMNS, CRITIC_WIDTHS, TensorSpec, actor_tensors, critic_tensors};

/// One layer: weight flat and row-major (`[out][in][kernel]` or `[out][in]`), one bias per output.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Flat weight in the order of the checkpoint file.
    pub weight: Vec<f32>,
    /// One value per output.
    pub bias: Vec<f32>,
}

impl Layer {
    /// A layer of zeros of the given weight shape (first dimension = outputs).
    pub fn zeros(shape: &[usize]) -> Self {
        Self { weight: vec![0.0; shape.iter().product()], bias: vec![0.0; shape[0]] }
    }
}

/// The weights of one actor (TA-17).
#[derive(Debug, Clone, PartialEq)]
pub struct ActorWeights {
    /// Factor of each input column.
    pub attention: [f32; COLUMNS],
    /// conv1, conv2, fc1, fc2, fc3.
    pub layers: [Layer; 5],
}

impl ActorWeights {
    /// An actor whose layers are all zero.
    pub fn zeros(attention: [f32; COLUMNS]) -> Self {
        Self { attention, layers: ACTOR_LAYERS.map(|(_, shape)| Layer::zeros(shape)) }
    }

    /// Names, shapes and values in the order of [`actor_tensors`].
    pub fn tensors(&self, agent: &str) -> Vec<(TensorSpec, &[f32])> {
        let mut values: Vec<&[f32]> = vec![&self.attention];
        for layer in &self.layers {
            values.push(&layer.weight);
            values.push(&layer.bias);
        }
        actor_tensors(agent).into_iter().zip(values).collect()
    }

    /// The values that [`Self::tensors`] lists, writable and in the same order.
    pub fn tensors_mut(&mut self) -> Vec<&mut [f32]> {
        let mut values: Vec<&mut [f32]> = vec![&mut self.attention];
        for layer in &mut self.layers {
            values.push(&mut layer.weight);
            values.push(&mut layer.bias);
        }
        values
    }
}

/// The weights of the critic (TA-20); used in training only.
#[derive(Debug, Clone, PartialEq)]
pub struct CriticWeights {
    /// The four dense layers, input first.
    pub layers: [Layer; 4],
}

impl CriticWeights {
    /// A critic whose layers are all zero.
    pub fn zeros() -> Self {
        let layer = |i: usize| Layer::zeros(&[CRITIC_WIDTHS[i + 1], CRITIC_WIDTHS[i]]);
        Self { layers: [layer(0), layer(1), layer(2), layer(3)] }
    }

    /// Names, shapes and values in the order of [`critic_tensors`].
    pub fn tensors(&self) -> Vec<(TensorSpec, &[f32])> {
        let values = self.layers.iter().flat_map(|layer| [layer.weight.as_slice(), layer.bias.as_slice()]);
        critic_tensors().into_iter().zip(values).collect()
    }

    /// The values that [`Self::tensors`] lists, writable and in the same order.
    pub fn tensors_mut(&mut self) -> Vec<&mut [f32]> {
        self.layers.iter_mut().flat_map(|layer| [layer.weight.as_mut_slice(), layer.bias.as_mut_slice()]).collect()
    }
}

/// The weights of the whole stage.
#[derive(Debug, Clone, PartialEq)]
pub struct TacticalWeights {
    /// fvg, momentum, entry.
    pub agents: [ActorWeights; AGENT_COUNT],
    /// Absent in a checkpoint that is only to be served.
    pub critic: Option<CriticWeights>,
}

impl TacticalWeights {
    /// Actors of zeros with the attention of the specification, no critic.
    pub fn zeros() -> Self {
        Self { agents: AGENTS.map(|agent| ActorWeights::zeros(agent.initial_attention)), critic: None }
    }

    /// Names, shapes and values of all tensors: agents in order, then the critic.
    pub fn tensors(&self) -> Vec<(TensorSpec, &[f32])> {
        let mut all = Vec::new();
        for (agent, weights) in AGENTS.iter().zip(&self.agents) {
            all.extend(weights.tensors(agent.id));
        }
        if let Some(critic) = &self.critic {
            all.extend(critic.tensors());
        }
        all
    }

    /// Number of trainable parameters.
    pub fn parameters(&self) -> usize {
        self.tensors().iter().map(|(_, values)| values.len()).sum()
    }
}
