//! The tactical actor in candle: for training, and the reference that the serving path is compared with.

use candle_core::{DType, Device, Result, Tensor, Var};

use crate::architecture::{ACTIONS, ACTOR_LAYERS, BINS, CHANNELS_2, COLUMNS, FLAT, Matrix, ROWS, pool_bin};
use crate::weights::ActorWeights;

/// One actor (TA-17). Its variables are trainable; the output is logits, never probabilities (TA-G2).
pub struct Actor {
    attention: Var,
    layers: Vec<(Var, Var)>,
    pool: Tensor,
}

/// The activations of one pass, for tests and for whoever wants to look inside.
pub struct Activations {
    /// (batch, 32, 60) after the first ReLU.
    pub conv1: Tensor,
    /// (batch, 64, 60) after the second ReLU.
    pub conv2: Tensor,
    /// (batch, 1024), channel-major.
    pub pooled: Tensor,
    /// (batch, 256) after its ReLU.
    pub fc1: Tensor,
    /// (batch, 128) after its ReLU.
    pub fc2: Tensor,
    /// (batch, 3).
    pub logits: Tensor,
}

impl Actor {
    /// An actor with the given weights.
    ///
    /// # Errors
    /// When candle cannot make a tensor of them, which means that a length is wrong.
    pub fn new(weights: &ActorWeights) -> Result<Self> {
        let device = Device::Cpu;
        let mut layers = Vec::with_capacity(ACTOR_LAYERS.len());
        for ((_, shape), layer) in ACTOR_LAYERS.iter().zip(&weights.layers) {
            let weight = Tensor::from_slice(&layer.weight, *shape, &device)?;
            let bias = Tensor::from_slice(&layer.bias, shape[0], &device)?;
            layers.push((Var::from_tensor(&weight)?, Var::from_tensor(&bias)?));
        }
        let attention = Var::from_tensor(&Tensor::from_slice(&weights.attention, COLUMNS, &device)?)?;
        Ok(Self { attention, layers, pool: pool_matrix()? })
    }

    /// All trainable variables, in the order of [`crate::architecture::actor_tensors`].
    pub fn variables(&self) -> Vec<Var> {
        let mut all = vec![self.attention.clone()];
        for (weight, bias) in &self.layers {
            all.push(weight.clone());
            all.push(bias.clone());
        }
        all
    }

    /// The weights as they are now.
    ///
    /// # Errors
    /// When candle cannot read a variable.
    pub fn weights(&self) -> Result<ActorWeights> {
        let mut weights = ActorWeights::zeros([0.0; COLUMNS]);
        for (values, variable) in weights.tensors_mut().into_iter().zip(self.variables()) {
            values.copy_from_slice(&variable.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(weights)
    }

    /// Logits (batch, 3) of a batch of matrices (batch, 60, 7).
    ///
    /// # Errors
    /// When the input has another shape.
    pub fn logits(&self, matrices: &Tensor) -> Result<Tensor> {
        Ok(self.activations(matrices)?.logits)
    }

    /// A pass with all activations kept.
    ///
    /// # Errors
    /// When the input has another shape.
    pub fn activations(&self, matrices: &Tensor) -> Result<Activations> {
        let batch = matrices.dim(0)?;
        let input = matrices.broadcast_mul(self.attention.as_tensor())?.transpose(1, 2)?.contiguous()?;
        let conv1 = self.convolve(0, &input)?;
        let conv2 = self.convolve(1, &conv1)?;
        let pooled = conv2.reshape((batch * CHANNELS_2, ROWS))?.matmul(&self.pool)?.reshape((batch, FLAT))?;
        let fc1 = self.dense(2, &pooled)?.relu()?;
        let fc2 = self.dense(3, &fc1)?.relu()?;
        let logits = self.dense(4, &fc2)?;
        debug_assert_eq!(logits.dims(), &[batch, ACTIONS]);
        Ok(Activations { conv1, conv2, pooled, fc1, fc2, logits })
    }

    /// Convolution and ReLU. The padding is written out because candle's gradient of a convolution
    /// without padding is the fast one.
    fn convolve(&self, layer: usize, input: &Tensor) -> Result<Tensor> {
        let (weight, bias) = &self.layers[layer];
        let padded = input.pad_with_zeros(2, 1, 1)?;
        let channels = bias.dim(0)?;
        padded.conv1d(weight.as_tensor(), 0, 1, 1, 1)?.broadcast_add(&bias.reshape((1, channels, 1))?)?.relu()
    }

    fn dense(&self, layer: usize, input: &Tensor) -> Result<Tensor> {
        let (weight, bias) = &self.layers[layer];
        input.matmul(&weight.t()?)?.broadcast_add(bias.as_tensor())
    }
}

/// Average pooling as a constant (60, 16) matrix: overlapping bins of different lengths (TA-18).
fn pool_matrix() -> Result<Tensor> {
    let mut weights = vec![0f32; ROWS * BINS];
    for bin in 0..BINS {
        let (start, end) = pool_bin(bin);
        for row in start..end {
            weights[row * BINS + bin] = 1.0 / (end - start) as f32;
        }
    }
    Tensor::from_vec(weights, (ROWS, BINS), &Device::Cpu)
}

/// A batch (n, 60, 7) of matrices.
///
/// # Errors
/// When candle cannot allocate it.
pub fn batch(matrices: &[Matrix]) -> Result<Tensor> {
    let flat: Vec<f32> = matrices.iter().flatten().flatten().copied().collect();
    Tensor::from_vec(flat, (matrices.len(), ROWS, COLUMNS), &Device::Cpu)?.to_dtype(DType::F32)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::architecture::AGENTS;
    use crate::golden;

    fn close(seen: f32, expected: f64, what: &str) {
        assert!((f64::from(seen) - expected).abs() < 1e-5, "{what}: {seen} instead of {expected}");
    }

    fn run(attention: [f32; COLUMNS], matrix: &Matrix) -> Activations {
        Actor::new(&golden::actor(attention)).unwrap().activations(&batch(&[*matrix]).unwrap()).unwrap()
    }

    fn sum(tensor: &Tensor) -> f64 {
        tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f64::from).sum()
    }

    /// TA-V9: logits and probabilities of the five cases, one softmax at temperature 1.
    #[test]
    fn ta_v9_actors() {
        let m = golden::matrix();
        let zero = [[0.0; COLUMNS]; ROWS];
        let attention = AGENTS.map(|agent| agent.initial_attention);
        let cases = [
            ("fvg", attention[0], m, [-0.044766255, 0.223440263, -0.079792831], [0.305511714, 0.399492360, 0.294995926]),
            ("momentum", attention[1], m, [0.004817370, 0.471968988, -0.258991206], [0.297303707, 0.474331202, 0.228365091]),
            ("entry", attention[2], m, [0.000473910, 0.146136112, -0.139516404], [0.330450482, 0.382266887, 0.287282631]),
            ("zero", attention[0], zero, [-0.034947879, 0.089893570, -0.037698862], [0.319466200, 0.361945239, 0.318588561]),
            ("ones", [1.0; COLUMNS], m, [0.041318182, 0.819507499, -0.448434743], [0.263831104, 0.574499058, 0.161669838]),
        ];
        for (name, attention, matrix, logits, probabilities) in cases {
            let seen = run(attention, &matrix).logits.squeeze(0).unwrap().to_vec1::<f32>().unwrap();
            let total: f64 = seen.iter().map(|l| f64::from(*l).exp()).sum();
            for i in 0..ACTIONS {
                close(seen[i], logits[i], name);
                close((f64::from(seen[i]).exp() / total) as f32, probabilities[i], name);
            }
        }
    }

    /// TA-V9: sums of the intermediate activations of fvg on M, and three values of conv1.
    #[test]
    fn ta_v9_intermediates() {
        let seen = run(AGENTS[0].initial_attention, &golden::matrix());
        let sums = [
            (&seen.conv1, 147.453392917),
            (&seen.conv2, 248.937723064),
            (&seen.pooled, 66.329495891),
            (&seen.fc1, 16.097923871),
            (&seen.fc2, 8.054041462),
        ];
        for (tensor, expected) in sums {
            // A sum of thousands of f32 values carries their rounding: relative, not absolute.
            assert!((sum(tensor) / expected - 1.0).abs() < 1e-6, "{} instead of {expected}", sum(tensor));
        }
        let first = seen.conv1.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (value, expected) in first.iter().zip([0.051160593, 0.076848269, 0.079920801]) {
            close(*value, expected, "conv1 channel 0");
        }
    }

    #[test]
    fn weights_survive_the_round_trip() {
        let weights = golden::actor(AGENTS[1].initial_attention);
        assert_eq!(Actor::new(&weights).unwrap().weights().unwrap(), weights);
    }

    #[test]
    fn another_shape_is_an_error() {
        let actor = Actor::new(&golden::actor([1.0; COLUMNS])).unwrap();
        let wrong = Tensor::zeros((1, ROWS, COLUMNS + 1), DType::F32, &Device::Cpu).unwrap();
        assert!(actor.logits(&wrong).is_err());
    }
}
