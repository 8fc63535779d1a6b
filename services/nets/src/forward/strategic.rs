//! The serving path of the strategic policies (ST-50).

use super::ForwardError;
use super::layout::{LayoutError, Named, check};
use super::perceptron::{Perceptrons, Source, outputs};
use super::simd::Isa;
use crate::weights::Layer;

/// Agents in the order of ST-13: mlmi, nwrqk, regime.
const AGENTS: [&str; 3] = ["mlmi", "nwrqk", "regime"];
/// Inputs of each agent: its features and the shared context (ST-13).
const INPUTS: [usize; 3] = [10, 10, 9];

/// Inputs of the three policies, features normalised (ST-14), then the shared context (ST-10).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StrategicInputs {
    /// Four features and six values of context.
    pub mlmi: [f32; INPUTS[0]],
    /// Four features and six values of context.
    pub nwrqk: [f32; INPUTS[1]],
    /// Three features and six values of context.
    pub regime: [f32; INPUTS[2]],
}

impl StrategicInputs {
    fn networks(&self) -> [&[f32]; 3] {
        [&self.mlmi, &self.nwrqk, &self.regime]
    }
}

/// Logits of the three policies, before the temperature (ST-51): mlmi, nwrqk, regime.
pub type StrategicLogits = [[f32; 3]; 3];

/// The three policies of a checkpoint, ready to serve.
#[derive(Clone)]
pub struct StrategicForward(Perceptrons<3>);

impl StrategicForward {
    /// Lays the weights out. Each agent's layers as in its file (ST-56): `network.0`, `network.3` (normalisation), 4, 7, 8, 11, 12.
    ///
    /// # Errors
    /// When a layer is missing, or a tensor has another length: the error names it.
    pub fn new(agents: [&[Layer]; 3]) -> Result<Self, LayoutError> {
        Self::with_isa(agents, Isa::detect())
    }

    /// The same in given instructions; the outputs are the same to the bit.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_isa(agents: [&[Layer]; 3], isa: Isa) -> Result<Self, LayoutError> {
        for ((agent, layers), inputs) in AGENTS.into_iter().zip(agents).zip(INPUTS) {
            let expected = [
                Named::dense("network.0", inputs, 256),
                Named::norm("network.3", 256),
                Named::dense("network.4", 256, 128),
                Named::norm("network.7", 128),
                Named::dense("network.8", 128, 64),
                Named::norm("network.11", 64),
                Named::dense("network.12", 64, 3),
            ];
            check(agent, layers, &expected)?;
        }
        let hidden = |depth: usize| agents.map(|layers| Source::Normalised(&layers[2 * depth], &layers[2 * depth + 1]));
        let networks = [hidden(0), hidden(1), hidden(2), agents.map(|layers| Source::Head(&layers[6]))];
        Ok(Self(Perceptrons::new(isa, AGENTS, &networks)))
    }

    /// Logits of the three policies.
    ///
    /// # Errors
    /// When an input or an output is not finite.
    pub fn logits(&mut self, inputs: &StrategicInputs) -> Result<StrategicLogits, ForwardError> {
        Ok(self.0.run(inputs.networks())?.each_ref().map(outputs))
    }

    /// Logits of several samples, to the bit as one by one; as many as the shorter slice holds.
    ///
    /// # Errors
    /// When an input or an output is not finite.
    pub fn logits_batch(&mut self, inputs: &[StrategicInputs], logits: &mut [StrategicLogits]) -> Result<(), ForwardError> {
        self.0.run_batch(inputs, logits, StrategicInputs::networks, |rows| rows.each_ref().map(outputs))
    }

    /// Bytes of all weights as they lie in memory.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }
}
