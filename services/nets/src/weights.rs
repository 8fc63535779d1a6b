//! Weights as plain numbers, in the layout of the checkpoint file: the common ground of the candle networks, the serving path
//! and the file.

use crate::architecture::{
    ACTIONS, AGENT_COUNT, AGENTS, CHANNELS_1, CHANNELS_2, COLUMNS, FLAT, HIDDEN_1, HIDDEN_2, KERNEL, Network, Stage, Step,
    TensorSpec, Use, tactical,
};

/// One layer: weight flat and row-major (`[out][in][kernel]`, `[out][in]` or `[width]`), one bias per output.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Flat weight in the order of the checkpoint file; the gain of a layer norm.
    pub weight: Vec<f32>,
    /// One value per output; the shift of a layer norm.
    pub bias: Vec<f32>,
}

impl Layer {
    /// A layer of zeros of the given weight shape (first dimension = outputs).
    pub fn zeros(shape: &[usize]) -> Self {
        Self { weight: vec![0.0; shape.iter().product()], bias: vec![0.0; shape[0]] }
    }
}

/// The weights of one network.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkWeights {
    /// Factor of each input column; empty for a network without attention.
    pub attention: Vec<f32>,
    /// In the order of [`Network::layers`].
    pub layers: Vec<Layer>,
}

impl NetworkWeights {
    /// A network whose layers are all zero, with the attention of the specification.
    pub fn zeros(network: &Network) -> Self {
        let shapes = network.layers().into_iter().filter_map(Step::layer);
        Self { attention: network.attention.to_vec(), layers: shapes.map(|(_, shape)| Layer::zeros(&shape)).collect() }
    }

    /// Values in the order of [`Network::tensors`].
    pub fn values(&self) -> Vec<&[f32]> {
        let mut values: Vec<&[f32]> = Vec::with_capacity(1 + 2 * self.layers.len());
        values.extend((!self.attention.is_empty()).then_some(self.attention.as_slice()));
        values.extend(self.layers.iter().flat_map(|layer| [layer.weight.as_slice(), layer.bias.as_slice()]));
        values
    }

    /// The same, writable.
    pub fn values_mut(&mut self) -> Vec<&mut [f32]> {
        let mut values: Vec<&mut [f32]> = Vec::with_capacity(1 + 2 * self.layers.len());
        values.extend((!self.attention.is_empty()).then_some(self.attention.as_mut_slice()));
        values.extend(self.layers.iter_mut().flat_map(|layer| [layer.weight.as_mut_slice(), layer.bias.as_mut_slice()]));
        values
    }
}

/// Everything that a checkpoint holds besides its manifest and its self-test.
#[derive(Debug, Clone, PartialEq)]
pub struct StageWeights {
    /// The table that the lists follow.
    pub stage: &'static Stage,
    /// In the order of the stage's networks; an optional one may be absent.
    pub networks: Vec<Option<NetworkWeights>>,
    /// In the order of the stage's vectors; statistics may be absent.
    pub vectors: Vec<Option<Vec<f32>>>,
}

impl StageWeights {
    /// Zeros everywhere (temperatures and ensemble ones, attention as specified), without optional networks and statistics.
    pub fn zeros(stage: &'static Stage) -> Self {
        let network = |network: &Network| (network.used != Use::Optional).then(|| NetworkWeights::zeros(network));
        let vectors = stage.vectors.iter().map(|vector| (!vector.statistic).then(|| vec![1.0; vector.width]));
        Self { stage, networks: stage.networks.iter().map(network).collect(), vectors: vectors.collect() }
    }

    /// The weights of a network by its identifier.
    pub fn network(&self, id: &str) -> Option<&NetworkWeights> {
        let at = self.stage.networks.iter().position(|network| network.id == id)?;
        self.networks.get(at)?.as_ref()
    }

    /// A vector by its full name.
    pub fn vector(&self, name: &str) -> Option<&[f32]> {
        let at = self.stage.vectors.iter().position(|vector| vector.name == name)?;
        self.vectors.get(at)?.as_deref()
    }

    /// Names, shapes and values of all tensors: networks in order, then vectors.
    pub fn tensors(&self) -> Vec<(TensorSpec, &[f32])> {
        let mut all = Vec::new();
        for (network, weights) in self.stage.networks.iter().zip(&self.networks) {
            if let Some(weights) = weights {
                all.extend(network.tensors().into_iter().zip(weights.values()));
            }
        }
        for (vector, values) in self.stage.vectors.iter().zip(&self.vectors) {
            if let Some(values) = values {
                all.push((TensorSpec { name: vector.name.to_owned(), shape: vec![vector.width] }, values));
            }
        }
        all
    }

    /// Number of trainable parameters: statistics are not trained.
    pub fn parameters(&self) -> usize {
        let statistics =
            self.stage.vectors.iter().zip(&self.vectors).filter(|(vector, values)| vector.statistic && values.is_some());
        self.tensors().iter().map(|(_, values)| values.len()).sum::<usize>()
            - statistics.map(|(vector, _)| vector.width).sum::<usize>()
    }
}

/// The weights of one tactical actor (TA-17), each layer in its place.
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
        let layers = [
            Layer::zeros(&[CHANNELS_1, COLUMNS, KERNEL]),
            Layer::zeros(&[CHANNELS_2, CHANNELS_1, KERNEL]),
            Layer::zeros(&[HIDDEN_1, FLAT]),
            Layer::zeros(&[HIDDEN_2, HIDDEN_1]),
            Layer::zeros(&[ACTIONS, HIDDEN_2]),
        ];
        Self { attention, layers }
    }

    /// All values in file order, writable.
    pub fn tensors_mut(&mut self) -> Vec<&mut [f32]> {
        let mut values: Vec<&mut [f32]> = vec![&mut self.attention];
        values.extend(self.layers.iter_mut().flat_map(|layer| [layer.weight.as_mut_slice(), layer.bias.as_mut_slice()]));
        values
    }

    /// The same without fixed lengths.
    pub fn to_network(&self) -> NetworkWeights {
        NetworkWeights { attention: self.attention.to_vec(), layers: self.layers.to_vec() }
    }

    /// From weights of a tactical actor; `None` for those of another network.
    pub fn from_network(weights: &NetworkWeights) -> Option<Self> {
        let attention = *weights.attention.first_chunk().filter(|_| weights.attention.len() == COLUMNS)?;
        Some(Self { attention, layers: weights.layers.clone().try_into().ok()? })
    }
}

/// The weights of the tactical stage.
#[derive(Debug, Clone, PartialEq)]
pub struct TacticalWeights {
    /// fvg, momentum, entry.
    pub agents: [ActorWeights; AGENT_COUNT],
    /// Absent in a checkpoint that is only to be served.
    pub critic: Option<NetworkWeights>,
}

impl TacticalWeights {
    /// Actors of zeros with the attention of the specification, no critic.
    pub fn zeros() -> Self {
        Self { agents: AGENTS.map(|agent| ActorWeights::zeros(agent.initial_attention)), critic: None }
    }

    /// For the checkpoint file.
    pub fn to_stage(&self) -> StageWeights {
        let mut networks: Vec<_> = self.agents.iter().map(|actor| Some(actor.to_network())).collect();
        networks.push(self.critic.clone());
        StageWeights { stage: &tactical::STAGE, networks, vectors: Vec::new() }
    }

    /// From a checkpoint file; `None` when it is not one of the tactical role.
    pub fn from_stage(weights: &StageWeights) -> Option<Self> {
        if weights.stage != &tactical::STAGE {
            return None;
        }
        let actor = |at: usize| ActorWeights::from_network(weights.networks.get(at)?.as_ref()?);
        Some(Self { agents: [actor(0)?, actor(1)?, actor(2)?], critic: weights.networks.get(AGENT_COUNT)?.clone() })
    }
}
