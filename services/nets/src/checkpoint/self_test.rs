//! The self-test that a checkpoint carries: inputs, and the outputs its author saw.

use super::fault::{Faults, Reason};
use super::reader::golden_logits;
use crate::architecture::{ACTIONS, AGENT_COUNT, AGENTS, Matrix};
use crate::forward::{ForwardError, TacticalForward};

/// Largest allowed error of a logit: absolute up to 1, relative above.
pub const GOLDEN_TOLERANCE: f64 = 1e-5;

/// Inputs and expected logits.
#[derive(Debug, Clone, PartialEq)]
pub struct SelfTest {
    /// The matrices.
    pub inputs: Vec<Matrix>,
    /// Per agent, one row of logits for each input.
    pub logits: [Vec<[f32; ACTIONS]>; AGENT_COUNT],
}

impl SelfTest {
    /// Outputs of these networks for these inputs.
    ///
    /// # Errors
    /// When an input or an output is not finite.
    pub fn record(inputs: Vec<Matrix>, networks: &mut TacticalForward) -> Result<Self, ForwardError> {
        let mut logits: [Vec<[f32; ACTIONS]>; AGENT_COUNT] = Default::default();
        for input in &inputs {
            for (all, row) in logits.iter_mut().zip(networks.logits(input)?) {
                all.push(row);
            }
        }
        Ok(Self { inputs, logits })
    }

    /// Runs the test; the result is the largest error seen.
    ///
    /// # Errors
    /// One `GoldenMismatch` for each agent that fails, with its worst output, or one for a pass
    /// that gave no answer.
    pub fn run(&self, networks: &mut TacticalForward) -> Result<f64, Faults> {
        let mut worst = [(0f64, 0, 0); AGENT_COUNT];
        for (n, input) in self.inputs.iter().enumerate() {
            let seen = networks.logits(input).map_err(|error| {
                Faults::one(Reason::GoldenMismatch, "golden.inputs", format!("input {n} gets no answer: {error}"))
            })?;
            for (agent, row) in seen.iter().enumerate() {
                for (i, logit) in row.iter().enumerate() {
                    let error = error(*logit, self.logits[agent][n][i]);
                    if error > worst[agent].0 {
                        worst[agent] = (error, n, i);
                    }
                }
            }
        }
        let mut faults = Faults::default();
        for (agent, (error, n, i)) in worst.into_iter().enumerate().filter(|(_, (error, ..))| *error > GOLDEN_TOLERANCE) {
            let expected = self.logits[agent][n][i];
            let message = format!(
                "logit {i} of input {n} should be {expected} and is off by {error:.3e}, at most {GOLDEN_TOLERANCE:.0e} is allowed: \
                 the weights are not those that the author tested, or the layers mean something else"
            );
            faults.add(Reason::GoldenMismatch, &golden_logits(AGENTS[agent].id), message);
        }
        faults.into_result()?;
        Ok(worst.iter().map(|(error, ..)| *error).fold(0.0, f64::max))
    }
}

fn error(seen: f32, expected: f32) -> f64 {
    let expected = f64::from(expected);
    (f64::from(seen) - expected).abs() / expected.abs().max(1.0)
}
