//! The tactical actor in candle: for training, and the reference that the serving path is compared with.

use candle_core::{Device, Error, Result, Tensor, Var};

use crate::architecture::{COLUMNS, Matrix, ROWS, tactical};
use crate::reference::CandleNetwork;
use crate::weights::ActorWeights;

/// One actor (TA-17). Its variables are trainable; the output is logits, never probabilities (TA-G2).
pub struct Actor(CandleNetwork);

impl Actor {
    /// An actor with the given weights.
    ///
    /// # Errors
    /// When candle cannot make a tensor of them, which means that a length is wrong.
    pub fn new(weights: &ActorWeights) -> Result<Self> {
        CandleNetwork::new(&tactical::STAGE.networks[0], &weights.to_network()).map(Self)
    }

    /// All trainable variables: attention, then weight and bias of each layer.
    pub fn variables(&self) -> Vec<Var> {
        self.0.variables()
    }

    /// The weights as they are now.
    ///
    /// # Errors
    /// When candle cannot read a variable.
    pub fn weights(&self) -> Result<ActorWeights> {
        ActorWeights::from_network(&self.0.weights()?).ok_or_else(|| Error::Msg("an actor has other layers".to_owned()))
    }

    /// Logits (batch, 3) of a batch of matrices (batch, 60, 7).
    ///
    /// # Errors
    /// When the input has another shape.
    pub fn logits(&self, matrices: &Tensor) -> Result<Tensor> {
        let (batch, rows, columns) = matrices.dims3()?;
        self.0.outputs(&matrices.reshape((batch, rows * columns))?)
    }
}

/// A batch (n, 60, 7) of matrices.
///
/// # Errors
/// When candle cannot allocate it.
pub fn batch(matrices: &[Matrix]) -> Result<Tensor> {
    let flat: Vec<f32> = matrices.as_flattened().as_flattened().to_vec();
    Tensor::from_vec(flat, (matrices.len(), ROWS, COLUMNS), &Device::Cpu)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::golden;

    #[test]
    fn weights_survive_the_round_trip() {
        let weights = golden::actor([0.05, 0.05, 0.1, 0.1, 0.1, 0.3, 0.3]);
        assert_eq!(Actor::new(&weights).unwrap().weights().unwrap(), weights);
    }

    #[test]
    fn another_shape_is_an_error() {
        let actor = Actor::new(&golden::actor([1.0; COLUMNS])).unwrap();
        let wrong = Tensor::zeros((1, ROWS, COLUMNS + 1), candle_core::DType::F32, &Device::Cpu).unwrap();
        assert!(actor.logits(&wrong).is_err());
    }
}
