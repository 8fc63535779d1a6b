//! The serving path: the forward pass of the three actors in plain Rust.
//!
//! It allocates nothing per call, takes no lock and starts no thread. Every sum has a fixed order,
//! so the same binary gives the same bits on any number of CPUs; multiplication and addition stay
//! separate roundings because the compiler may not fuse them. Every weight is read on every call.

mod conv;
mod dense;

use crate::architecture::{
    ACTIONS, AGENT_COUNT, AGENTS, CHANNELS_1, CHANNELS_2, COLUMNS, FLAT, HIDDEN_1, HIDDEN_2, Logits, Matrix, ROWS,
};
use crate::weights::{ActorWeights, TacticalWeights};
use conv::{Convolution, Plane};
use dense::Dense;
use tradewind_domain::tactical::{Network, NetworkError};

/// Why a matrix gets no answer. Nothing is guessed: the caller holds (TA-6).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// TA-6: an input is NaN or infinite.
    #[error(
        "invalid_matrix: row {row}, column {column} is {value}; every value must be finite: hold, and look at the bars of that row"
    )]
    Input {
        /// Row of the first such value, 0 = oldest.
        row: usize,
        /// Column of the value.
        column: usize,
        /// The value as text.
        value: String,
    },
    /// The network overflowed; a verified checkpoint does not on any matrix in range.
    #[error("output {output} of agent {agent} is {value}; logits must be finite: hold, and verify the checkpoint again")]
    Output {
        /// Agent whose logits are not finite.
        agent: &'static str,
        /// Index of the output.
        output: usize,
        /// The value as text.
        value: String,
    },
}

/// One actor with its weights laid out for the serving path.
#[derive(Clone)]
struct ActorForward {
    attention: [f32; COLUMNS],
    conv1: Convolution<COLUMNS, CHANNELS_1>,
    conv2: Convolution<CHANNELS_1, CHANNELS_2>,
    fc1: Dense<FLAT, HIDDEN_1>,
    fc2: Dense<HIDDEN_1, HIDDEN_2>,
    fc3: Dense<HIDDEN_2, ACTIONS>,
}

/// Activations of one pass, reused by every call and every actor.
#[derive(Clone)]
struct Scratch {
    input: Box<[Plane; COLUMNS]>,
    hidden: Box<[Plane; CHANNELS_1]>,
    pooled: Box<[f32; FLAT]>,
    fc1: [f32; HIDDEN_1],
    fc2: [f32; HIDDEN_2],
}

/// The three actors of a checkpoint, ready to serve (TA-17, TA-22).
#[derive(Clone)]
pub struct TacticalForward {
    actors: [ActorForward; AGENT_COUNT],
    scratch: Scratch,
}

impl TacticalForward {
    /// Lays the weights out. Lengths are those of [`crate::architecture`]; the checkpoint reader
    /// has checked them.
    pub fn new(weights: &TacticalWeights) -> Self {
        let [fvg, momentum, entry] = &weights.agents;
        Self {
            actors: [ActorForward::new(fvg), ActorForward::new(momentum), ActorForward::new(entry)],
            scratch: Scratch {
                input: Box::new([Plane::ZERO; COLUMNS]),
                hidden: Box::new([Plane::ZERO; CHANNELS_1]),
                pooled: Box::new([0.0; FLAT]),
                fc1: [0.0; HIDDEN_1],
                fc2: [0.0; HIDDEN_2],
            },
        }
    }

    /// Logits of the three agents for one model matrix (TA-8).
    ///
    /// # Errors
    /// When an input or an output is not finite.
    pub fn logits(&mut self, matrix: &Matrix) -> Result<Logits, ForwardError> {
        check_input(matrix)?;
        let mut logits = [[0.0; ACTIONS]; AGENT_COUNT];
        for (actor, out) in self.actors.iter().zip(&mut logits) {
            actor.run(matrix, &mut self.scratch, out);
        }
        check_output(&logits)?;
        Ok(logits)
    }
}

impl Network for TacticalForward {
    fn logits(&mut self, matrix: &Matrix) -> Result<Logits, NetworkError> {
        TacticalForward::logits(self, matrix).map_err(|error| NetworkError(error.to_string()))
    }
}

impl ActorForward {
    fn new(weights: &ActorWeights) -> Self {
        let [conv1, conv2, fc1, fc2, fc3] = &weights.layers;
        Self {
            attention: weights.attention,
            conv1: Convolution::new(conv1),
            conv2: Convolution::new(conv2),
            fc1: Dense::new(fc1),
            fc2: Dense::new(fc2),
            fc3: Dense::new(fc3),
        }
    }

    fn run(&self, matrix: &Matrix, scratch: &mut Scratch, logits: &mut [f32; ACTIONS]) {
        for (column, plane) in scratch.input.iter_mut().enumerate() {
            let factor = self.attention[column];
            for (slot, row) in plane.times_mut().iter_mut().zip(matrix) {
                *slot = row[column] * factor;
            }
        }
        self.conv1.run(&scratch.input, |channel, block| scratch.hidden[channel].set(block));
        self.conv2.run(&scratch.hidden, |channel, times| conv::pool(times, &mut scratch.pooled, channel));
        self.fc1.run_relu(&scratch.pooled, &mut scratch.fc1);
        self.fc2.run_relu(&scratch.fc1, &mut scratch.fc2);
        self.fc3.run(&scratch.fc2, logits);
    }
}

/// NaN stays NaN: an overflow must reach the check of the outputs.
fn relu(value: f32) -> f32 {
    if value < 0.0 { 0.0 } else { value }
}

fn check_input(matrix: &Matrix) -> Result<(), ForwardError> {
    for (row, values) in matrix.iter().enumerate() {
        if let Some(column) = values.iter().position(|value| !value.is_finite()) {
            return Err(ForwardError::Input { row, column, value: values[column].to_string() });
        }
    }
    Ok(())
}

fn check_output(logits: &Logits) -> Result<(), ForwardError> {
    for (agent, values) in AGENTS.iter().zip(logits) {
        if let Some(output) = values.iter().position(|value| !value.is_finite()) {
            return Err(ForwardError::Output { agent: agent.id, output, value: values[output].to_string() });
        }
    }
    Ok(())
}

const _: () = assert!(ROWS < conv::WIDTH, "a plane holds all rows and the padding on both sides");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::actor::{Actor, batch};
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
