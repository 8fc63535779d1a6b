//! The centralised critic in candle (TA-20): a value of the state, used in training only.

use candle_core::{Device, Result, Tensor, Var};

use crate::architecture::CRITIC_WIDTHS;
use crate::weights::CriticWeights;

/// Four dense layers with ReLU between them; input is the three agents' observations side by side.
pub struct Critic {
    layers: Vec<(Var, Var)>,
}

impl Critic {
    /// A critic with the given weights.
    ///
    /// # Errors
    /// When candle cannot make a tensor of them, which means that a length is wrong.
    pub fn new(weights: &CriticWeights) -> Result<Self> {
        let mut layers = Vec::with_capacity(weights.layers.len());
        for (pair, layer) in CRITIC_WIDTHS.windows(2).zip(&weights.layers) {
            let weight = Tensor::from_slice(&layer.weight, (pair[1], pair[0]), &Device::Cpu)?;
            let bias = Tensor::from_slice(&layer.bias, pair[1], &Device::Cpu)?;
            layers.push((Var::from_tensor(&weight)?, Var::from_tensor(&bias)?));
        }
        Ok(Self { layers })
    }

    /// All trainable variables, in the order of [`crate::architecture::critic_tensors`].
    pub fn variables(&self) -> Vec<Var> {
        self.layers.iter().flat_map(|(weight, bias)| [weight.clone(), bias.clone()]).collect()
    }

    /// Values (batch, 1) of observations (batch, 1260).
    ///
    /// # Errors
    /// When the input has another shape.
    pub fn value(&self, observations: &Tensor) -> Result<Tensor> {
        self.trace(observations).map(|(_, value)| value)
    }

    /// The hidden activations and the value.
    fn trace(&self, observations: &Tensor) -> Result<(Vec<Tensor>, Tensor)> {
        let mut hidden = Vec::new();
        let mut current = observations.clone();
        for (position, (weight, bias)) in self.layers.iter().enumerate() {
            current = current.matmul(&weight.t()?)?.broadcast_add(bias.as_tensor())?;
            if position + 1 < self.layers.len() {
                current = current.relu()?;
                hidden.push(current.clone());
            }
        }
        Ok((hidden, current))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::architecture::{CRITIC_INPUTS, Matrix};
    use crate::golden;

    fn run(matrix: &Matrix) -> (Vec<f64>, f32) {
        let flat: Vec<f32> = matrix.iter().flatten().copied().collect();
        let input = Tensor::from_vec(flat.repeat(3), (1, CRITIC_INPUTS), &Device::Cpu).unwrap();
        let (hidden, value) = Critic::new(&golden::critic()).unwrap().trace(&input).unwrap();
        let sums =
            hidden.iter().map(|layer| layer.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f64::from).sum());
        (sums.collect(), value.flatten_all().unwrap().to_vec1::<f32>().unwrap()[0])
    }

    /// TA-V9: the critic on M three times, and on zeros.
    #[test]
    fn ta_v9_critic() {
        let (sums, value) = run(&golden::matrix());
        for (seen, expected) in sums.iter().zip([210.205204444, 80.182821586, 38.308466394]) {
            assert!((seen / expected - 1.0).abs() < 1e-6, "{seen} instead of {expected}");
        }
        assert!((f64::from(value) - 0.101799358).abs() < 1e-5, "{value}");
        let (_, zero) = run(&[[0.0; 7]; 60]);
        assert!((f64::from(zero) - 0.017572661).abs() < 1e-5, "{zero}");
    }
}
