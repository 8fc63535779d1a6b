//! The serving path of the tactical actors (TA-17).

use tradewind_features::tactical::{Network, NetworkError};

use super::ForwardError;
use super::layout::Block;
use super::simd::{HALF, HALF_FLAT, HALVES, Isa, Line, Tactical, TacticalScratch};
use crate::architecture::{
    ACTIONS, AGENT_COUNT, AGENTS, BINS, CHANNELS_1, CHANNELS_2, FLAT, HIDDEN_1, HIDDEN_2, KERNEL, Logits, Matrix, ROWS,
};
use crate::weights::{Layer, TacticalWeights};

/// The three actors of a checkpoint, ready to serve (TA-17, TA-22).
#[derive(Clone)]
pub struct TacticalForward {
    isa: Isa,
    weights: Vec<Line>,
    scratch: Box<TacticalScratch>,
}

impl TacticalForward {
    /// Lays the weights out. Lengths are those of [`crate::architecture`]; the checkpoint reader
    /// has checked them.
    pub fn new(weights: &TacticalWeights) -> Self {
        Self::with_isa(weights, Isa::detect())
    }

    /// The same in given instructions; the outputs are the same to the bit.
    pub fn with_isa(weights: &TacticalWeights, isa: Isa) -> Self {
        let mut block = Block::new(isa);
        for actor in &weights.agents {
            let [conv1, conv2, fc1, fc2, fc3] = &actor.layers;
            block.convolution(conv1, &actor.attention, CHANNELS_1, KERNEL);
            block.convolution(conv2, &[1.0; CHANNELS_1], CHANNELS_2, KERNEL);
            block.parted(&by_half(fc1), HALVES);
            block.hidden(fc2, HIDDEN_1, HIDDEN_2);
            block.head(fc3);
        }
        Self { isa, weights: block.finish(), scratch: Box::new(TacticalScratch::ZERO) }
    }

    /// Logits of the three agents for one model matrix (TA-8).
    ///
    /// # Errors
    /// When an input or an output is not finite.
    pub fn logits(&mut self, matrix: &Matrix) -> Result<Logits, ForwardError> {
        check_input(matrix)?;
        self.scratch.input[1..=ROWS].copy_from_slice(matrix);
        let mut logits = [[0.0; ACTIONS]; AGENT_COUNT];
        self.isa.tactical(Tactical { weights: &self.weights, scratch: &mut self.scratch, logits: &mut logits });
        for (agent, values) in AGENTS.iter().zip(&logits) {
            ForwardError::check_output(agent.id, values)?;
        }
        Ok(logits)
    }

    /// Bytes of all weights as they lie in memory.
    pub fn bytes(&self) -> usize {
        size_of_val(self.weights.as_slice())
    }
}

impl Network for TacticalForward {
    fn logits(&mut self, matrix: &Matrix) -> Result<Logits, NetworkError> {
        TacticalForward::logits(self, matrix).map_err(|error| NetworkError(error.to_string()))
    }
}

/// fc1 with its inputs in the order in which the halves of the second convolution make them: half, bin, channel instead of
/// channel, bin.
fn by_half(fc1: &Layer) -> Layer {
    let mut sorted = Layer { weight: vec![0.0; fc1.weight.len()], bias: fc1.bias.clone() };
    for (to, from) in sorted.weight.chunks_exact_mut(FLAT).zip(fc1.weight.chunks_exact(FLAT)) {
        for (position, weight) in from.iter().enumerate() {
            let (channel, bin) = (position / BINS, position % BINS);
            to[channel / HALF * HALF_FLAT + bin * HALF + channel % HALF] = *weight;
        }
    }
    sorted
}

fn check_input(matrix: &Matrix) -> Result<(), ForwardError> {
    for (row, values) in matrix.iter().enumerate() {
        if let Some(column) = values.iter().position(|value| !value.is_finite()) {
            return Err(ForwardError::Input { row, column, value: values[column].to_string() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::actor::{Actor, batch};
    use crate::architecture::COLUMNS;
    use crate::golden;

    fn reference(weights: &TacticalWeights, matrices: &[Matrix]) -> [Vec<Vec<f32>>; AGENT_COUNT] {
        let input = batch(matrices).unwrap();
        [0, 1, 2].map(|a| Actor::new(&weights.agents[a]).unwrap().logits(&input).unwrap().to_vec2::<f32>().unwrap())
    }

    /// Three actors that share nothing.
    fn different_actors() -> TacticalWeights {
        let mut weights = golden::stage();
        for (a, actor) in weights.agents.iter_mut().enumerate() {
            for (t, values) in actor.tensors_mut().into_iter().enumerate() {
                for (k, value) in values.iter_mut().enumerate() {
                    *value += 0.02 * (golden::uniform(k as u32, (500 + 20 * a + t) as u32) - 0.5) as f32;
                }
            }
        }
        weights
    }

    /// TA-V9 on the serving path.
    #[test]
    fn ta_v9_forward() {
        let mut forward = TacticalForward::new(&golden::stage());
        let expected = [
            [-0.044766255, 0.223440263, -0.079792831],
            [0.004817370, 0.471968988, -0.258991206],
            [0.000473910, 0.146136112, -0.139516404],
        ];
        let seen = forward.logits(&golden::matrix()).unwrap();
        let zero = forward.logits(&[[0.0; COLUMNS]; ROWS]).unwrap();
        for agent in 0..AGENT_COUNT {
            for (i, at_zero) in [-0.034947879, 0.089893570, -0.037698862].into_iter().enumerate() {
                assert!((seen[agent][i] - expected[agent][i] as f32).abs() < 1e-5, "{seen:?}");
                assert!((zero[agent][i] - at_zero as f32).abs() < 1e-5, "{zero:?}");
            }
        }
    }

    /// The candle reference on 1,200 inputs: matrices in range, and dense ones of both signs.
    #[test]
    fn equals_the_reference_on_random_inputs() {
        let weights = different_actors();
        let mut matrices: Vec<Matrix> = (0..600).map(golden::self_test_input).collect();
        for index in 0..600u32 {
            let mut matrix = [[0.0; COLUMNS]; ROWS];
            for (k, value) in matrix.iter_mut().flatten().enumerate() {
                *value = (2.0 * golden::uniform(k as u32, 5_000 + index) - 1.0) as f32;
            }
            matrices.push(matrix);
        }
        let mut forward = TacticalForward::new(&weights);
        let mut worst = 0f32;
        for (chunk, group) in matrices.chunks(100).enumerate() {
            let expected = reference(&weights, group);
            for (n, matrix) in group.iter().enumerate() {
                let seen = forward.logits(matrix).unwrap();
                for agent in 0..AGENT_COUNT {
                    for i in 0..ACTIONS {
                        let error = (seen[agent][i] - expected[agent][n][i]).abs();
                        worst = worst.max(error);
                        assert!(error < 1e-5, "input {}, agent {agent}, output {i}: {error}", chunk * 100 + n);
                    }
                }
            }
        }
        assert!(worst > 0.0, "two different algorithms cannot agree to the last bit everywhere");
    }

    /// A call leaves nothing behind: interleaved inputs give the bits they gave alone.
    #[test]
    fn calls_do_not_depend_on_each_other() {
        let mut forward = TacticalForward::new(&different_actors());
        let bits = |logits: Logits| logits.map(|row| row.map(f32::to_bits));
        let alone: Vec<_> = (0..20).map(|i| bits(forward.clone().logits(&golden::self_test_input(i)).unwrap())).collect();
        for i in (0..20).rev().chain(0..20) {
            assert_eq!(bits(forward.logits(&golden::self_test_input(i)).unwrap()), alone[i as usize]);
        }
    }

    /// TA-6: not finite means no answer, and the next call is not affected.
    #[test]
    fn not_finite_fails_closed() {
        let mut forward = TacticalForward::new(&golden::stage());
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for (row, column) in [(0, 0), (59, 6), (30, 2)] {
                let mut matrix = golden::matrix();
                matrix[row][column] = bad;
                let error = forward.logits(&matrix).unwrap_err();
                assert_eq!(error, ForwardError::Input { row, column, value: bad.to_string() });
            }
        }
        assert!(forward.logits(&golden::matrix()).is_ok());
    }

    /// An overflow inside the network reaches the caller instead of being cut off by a ReLU.
    #[test]
    fn an_overflow_fails_closed() {
        let mut weights = golden::stage();
        for layer in [2, 3] {
            weights.agents[1].layers[layer].weight.iter_mut().for_each(|w| *w *= 1e30);
        }
        let error = TacticalForward::new(&weights).logits(&golden::matrix()).unwrap_err();
        assert!(matches!(error, ForwardError::Output { agent: "momentum", .. }), "{error}");
    }
}
