//! The self-test that a checkpoint carries: inputs, and the outputs its author saw.

use super::fault::{Faults, Reason};
use crate::answer::{NoAnswer, Served};

/// Largest allowed error of a logit: absolute up to 1, relative above (SU-45, ST-58).
pub const GOLDEN_TOLERANCE: f64 = 1e-5;

/// Self-test inputs `[n, shape of an input]`.
pub(super) const GOLDEN_INPUTS: &str = "golden.inputs";

/// Name of a network's self-test outputs `[n, outputs]`.
pub(super) fn golden_logits(network: &str) -> String {
    format!("golden.{network}.logits")
}

/// Inputs and expected outputs.
#[derive(Debug, Clone, PartialEq)]
pub struct SelfTest {
    /// Inputs of the stage, flat.
    pub inputs: Vec<Vec<f32>>,
    /// For each served network in order, its outputs for each input.
    pub logits: Vec<Vec<Vec<f32>>>,
}

impl SelfTest {
    /// Outputs of these networks for these inputs.
    ///
    /// # Errors
    /// When an input or an output is not finite.
    pub fn record(inputs: Vec<Vec<f32>>, networks: &mut dyn Served) -> Result<Self, NoAnswer> {
        let stage = networks.stage();
        let mut logits = vec![Vec::with_capacity(inputs.len()); stage.served().count()];
        let mut outputs = vec![0.0; stage.output_width()];
        for input in &inputs {
            networks.outputs(input, &mut outputs)?;
            let mut rest = outputs.as_slice();
            for (all, (_, network)) in logits.iter_mut().zip(stage.served()) {
                let (row, later) = rest.split_at(network.outputs());
                all.push(row.to_vec());
                rest = later;
            }
        }
        Ok(Self { inputs, logits })
    }

    /// Runs the test; the result is the largest error seen.
    ///
    /// # Errors
    /// One `GoldenMismatch` for each network that fails, with its worst output, or one for a pass
    /// that gave no answer.
    pub fn run(&self, networks: &mut dyn Served) -> Result<f64, Faults> {
        let stage = networks.stage();
        let seen = Self::record(self.inputs.clone(), networks)
            .map_err(|error| Faults::one(Reason::GoldenMismatch, "golden.inputs", format!("an input gets no answer: {error}")))?;
        let mut faults = Faults::default();
        let mut worst = 0.0f64;
        for ((seen, expected), (_, network)) in seen.logits.iter().zip(&self.logits).zip(stage.served()) {
            let (error, n, i) = worst_of(seen, expected);
            worst = worst.max(error);
            if error > GOLDEN_TOLERANCE {
                let message = format!(
                    "logit {i} of input {n} should be {} and is off by {error:.3e}, at most {GOLDEN_TOLERANCE:.0e} is allowed: \
                     the weights are not those that the author tested, or the layers mean something else",
                    expected[n][i]
                );
                faults.add(Reason::GoldenMismatch, &golden_logits(network.id), message);
            }
        }
        faults.into_result()?;
        Ok(worst)
    }
}

/// Largest error, and the input and output where it is.
fn worst_of(seen: &[Vec<f32>], expected: &[Vec<f32>]) -> (f64, usize, usize) {
    let mut worst = (0.0, 0, 0);
    for (n, (seen, expected)) in seen.iter().zip(expected).enumerate() {
        for (i, (seen, expected)) in seen.iter().zip(expected).enumerate() {
            let expected = f64::from(*expected);
            let error = (f64::from(*seen) - expected).abs() / expected.abs().max(1.0);
            if error > worst.0 {
                worst = (error, n, i);
            }
        }
    }
    worst
}
