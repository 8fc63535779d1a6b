//! The serving path of the risk actors (RK-28, RK-35).

use super::ForwardError;
use super::layout::{LayoutError, Named, check};
use super::perceptron::{Perceptrons, Source, outputs};
use super::simd::Isa;
use crate::weights::Layer;

/// Agents in the order of RK-19 to RK-22.
const AGENTS: [&str; 4] = ["position_sizing", "stop_target", "risk_monitor", "portfolio"];
/// Risk state and context of each agent (RK-23).
const INPUTS: usize = 26;
/// Outputs of each agent (RK-28).
const OUTPUTS: [usize; 4] = [5, 2, 4, 5];

/// Outputs of the last layers: before softmax or sigmoid (RK-29).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RiskLogits {
    /// Sizes (RK-19).
    pub sizing: [f32; OUTPUTS[0]],
    /// Stop, target (RK-20).
    pub stops: [f32; OUTPUTS[1]],
    /// Actions of the monitor (RK-21).
    pub monitor: [f32; OUTPUTS[2]],
    /// Shares of the strategies (RK-22).
    pub allocation: [f32; OUTPUTS[3]],
}

/// The four actors of a checkpoint, ready to serve.
#[derive(Clone)]
pub struct RiskForward(Perceptrons<4>);

impl RiskForward {
    /// Lays the weights out. Each agent's layers: `trunk.0`, `norm`, `trunk.1`, `trunk.2`, `head` (RK-34).
    ///
    /// # Errors
    /// When a layer is missing, or a tensor has another length: the error names it.
    pub fn new(agents: [&[Layer]; 4]) -> Result<Self, LayoutError> {
        Self::with_isa(agents, Isa::detect())
    }

    /// The same in given instructions; the outputs are the same to the bit.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_isa(agents: [&[Layer]; 4], isa: Isa) -> Result<Self, LayoutError> {
        for ((agent, layers), outputs) in AGENTS.into_iter().zip(agents).zip(OUTPUTS) {
            let expected = [
                Named::dense("trunk.0", INPUTS, 128),
                Named::norm("norm", 128),
                Named::dense("trunk.1", 128, 64),
                Named::dense("trunk.2", 64, 32),
                Named::dense("head", 32, outputs),
            ];
            check(agent, layers, &expected)?;
        }
        let networks = [
            agents.map(|layers| Source::Normalised(&layers[0], &layers[1])),
            agents.map(|layers| Source::Dense(&layers[2])),
            agents.map(|layers| Source::Dense(&layers[3])),
            agents.map(|layers| Source::Head(&layers[4])),
        ];
        Ok(Self(Perceptrons::new(isa, AGENTS, &networks)))
    }

    /// Outputs of the four actors, each for its own input.
    ///
    /// # Errors
    /// When an input or an output is not finite (RK-36: the caller uses the deterministic rules).
    pub fn logits(&mut self, inputs: &[[f32; INPUTS]; 4]) -> Result<RiskLogits, ForwardError> {
        let [sizing, stops, monitor, allocation] = self.0.run(inputs.each_ref().map(<[f32; INPUTS]>::as_slice))?;
        Ok(RiskLogits {
            sizing: outputs(&sizing),
            stops: outputs(&stops),
            monitor: outputs(&monitor),
            allocation: outputs(&allocation),
        })
    }

    /// Bytes of all weights as they lie in memory.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }
}
