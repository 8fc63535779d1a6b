//! The serving path: forward passes of the stages, without candle.
//!
//! It allocates nothing per call, takes no lock and starts no thread. All weights of a stage lie in one block aligned to
//! cache lines, in the order in which they are read, and every one of them is read on every call. The kernels
//! ([`simd`]) use the widest instructions of the processor, found once when a stage is made; every sum has a fixed order, so
//! all instruction sets give the same bits.

mod execution;
mod layout;
mod perceptron;
mod risk;
pub mod simd;
mod strategic;
mod tactical;
#[cfg(test)]
mod tests;

pub use execution::{ExecutionActor, ExecutionForward, ExecutionLogits};
pub use layout::LayoutError;
pub use risk::{RiskForward, RiskLogits};
pub use strategic::{StrategicForward, StrategicInputs, StrategicLogits};
pub use tactical::TacticalForward;

/// Why an input gets no answer. Nothing is guessed: the caller holds (TA-6, EX-10, RK-36).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// TA-6: a cell of the matrix is NaN or infinite.
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
    /// An input of a network that reads a vector is NaN or infinite.
    #[error("invalid_input: value {index} of agent {agent} is {value}; every value must be finite: hold, and look at its source")]
    Feature {
        /// Agent that reads it.
        agent: &'static str,
        /// Its index.
        index: usize,
        /// The value as text.
        value: String,
    },
    /// The network overflowed; a verified checkpoint does not on any input in range.
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

impl ForwardError {
    /// All logits of an agent must be finite.
    fn check_output(agent: &'static str, logits: &[f32]) -> Result<(), Self> {
        match logits.iter().position(|value| !value.is_finite()) {
            Some(output) => Err(Self::Output { agent, output, value: logits[output].to_string() }),
            None => Ok(()),
        }
    }
}
