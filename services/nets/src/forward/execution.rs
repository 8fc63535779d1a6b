//! The serving path of the execution actors (EX-15 to EX-18).

use super::ForwardError;
use super::layout::{LayoutError, Named, check};
use super::perceptron::{Perceptrons, Source, outputs};
use super::simd::Isa;
use crate::weights::Layer;

/// Agents in order.
const AGENTS: [&str; 3] = ["position_sizing", "execution_timing", "risk_management"];
/// Values of the context (EX-6).
const CONTEXT: usize = 15;
/// Width of the two heads of the risk actor, and of the head of the others.
const HEAD: usize = 32;
/// Width of the trunk's last layer.
const TRUNK: usize = 64;

/// One actor: its attention and its layers in the order of its tensors (EX-25).
#[derive(Debug, Clone, Copy)]
pub struct ExecutionActor<'a> {
    /// Factor of each value of the context.
    pub attention: &'a [f32; CONTEXT],
    /// `feature_extractor.0`, `.2` (normalisation), `.3`; then `policy_head.0`, `.2`, or for the risk actor `stop_loss_head.0`, `.2`,
    /// `take_profit_head.0`, `.2`.
    pub layers: &'a [Layer],
}

/// Outputs of the last layers: before softmax, and before the sigmoid of EX-18.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ExecutionLogits {
    /// Sizes (EX-16).
    pub sizing: [f32; 5],
    /// Strategies (EX-17).
    pub timing: [f32; 4],
    /// Stop, take-profit (EX-18).
    pub risk: [f32; 2],
}

/// The three actors of a checkpoint, ready to serve.
#[derive(Clone)]
pub struct ExecutionForward(Perceptrons<3>);

impl ExecutionForward {
    /// Lays the weights out: sizing, timing, risk.
    ///
    /// # Errors
    /// When a layer is missing, or a tensor has another length: the error names it.
    pub fn new(actors: [ExecutionActor<'_>; 3]) -> Result<Self, LayoutError> {
        Self::with_isa(actors, Isa::detect())
    }

    /// The same in given instructions; the outputs are the same to the bit.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_isa(actors: [ExecutionActor<'_>; 3], isa: Isa) -> Result<Self, LayoutError> {
        let trunk = [
            Named::dense("feature_extractor.0", CONTEXT, 128),
            Named::norm("feature_extractor.2", 128),
            Named::dense("feature_extractor.3", 128, TRUNK),
        ];
        let policy = |outputs| [Named::dense("policy_head.0", TRUNK, HEAD), Named::dense("policy_head.2", HEAD, outputs)];
        let bounds = [
            Named::dense("stop_loss_head.0", TRUNK, HEAD),
            Named::dense("stop_loss_head.2", HEAD, 1),
            Named::dense("take_profit_head.0", TRUNK, HEAD),
            Named::dense("take_profit_head.2", HEAD, 1),
        ];
        let [sizing, timing, risk] = actors.map(|actor| actor.layers);
        check(AGENTS[0], sizing, &[trunk.as_slice(), &policy(5)].concat())?;
        check(AGENTS[1], timing, &[trunk.as_slice(), &policy(4)].concat())?;
        check(AGENTS[2], risk, &[trunk.as_slice(), &bounds].concat())?;
        let first = actors.map(|actor| attended(&actor.layers[0], actor.attention));
        let both = beside(&risk[3], &risk[5]);
        let ends = diagonal(&risk[4], &risk[6]);
        let [first_sizing, first_timing, first_risk] = &first;
        let networks = [
            [
                Source::Normalised(first_sizing, &sizing[1]),
                Source::Normalised(first_timing, &timing[1]),
                Source::Normalised(first_risk, &risk[1]),
            ],
            [Source::Dense(&sizing[2]), Source::Dense(&timing[2]), Source::Dense(&risk[2])],
            [Source::Dense(&sizing[3]), Source::Dense(&timing[3]), Source::Dense(&both)],
            [Source::Head(&sizing[4]), Source::Head(&timing[4]), Source::Head(&ends)],
        ];
        Ok(Self(Perceptrons::new(isa, AGENTS, &networks)))
    }

    /// Outputs for one context (EX-7).
    ///
    /// # Errors
    /// When an input or an output is not finite (EX-10).
    pub fn logits(&mut self, context: &[f32; CONTEXT]) -> Result<ExecutionLogits, ForwardError> {
        let [sizing, timing, risk] = self.0.run([context; 3].map(<[f32; CONTEXT]>::as_slice))?;
        Ok(ExecutionLogits { sizing: outputs(&sizing), timing: outputs(&timing), risk: outputs(&risk) })
    }

    /// Outputs of several contexts, to the bit as one by one; as many as the shorter slice holds.
    ///
    /// # Errors
    /// When an input or an output is not finite.
    pub fn logits_batch(&mut self, contexts: &[[f32; CONTEXT]], logits: &mut [ExecutionLogits]) -> Result<(), ForwardError> {
        let join = |[sizing, timing, risk]: [_; 3]| ExecutionLogits {
            sizing: outputs(&sizing),
            timing: outputs(&timing),
            risk: outputs(&risk),
        };
        self.0.run_batch(contexts, logits, |context| [context.as_slice(); 3], join)
    }

    /// Bytes of all weights as they lie in memory.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

/// The first layer with the attention in its weights: the context is multiplied by it and by nothing else (EX-15).
fn attended(layer: &Layer, attention: &[f32; CONTEXT]) -> Layer {
    let mut layer = layer.clone();
    for row in layer.weight.chunks_mut(CONTEXT) {
        for (weight, factor) in row.iter_mut().zip(attention) {
            *weight *= factor;
        }
    }
    layer
}

/// Two layers with the same input as one.
fn beside(first: &Layer, second: &Layer) -> Layer {
    Layer { weight: [first.weight.as_slice(), &second.weight].concat(), bias: [first.bias.as_slice(), &second.bias].concat() }
}

/// Two layers of one output each, on two halves of one input.
fn diagonal(first: &Layer, second: &Layer) -> Layer {
    let zeros = [0.0; HEAD];
    Layer {
        weight: [first.weight.as_slice(), &zeros, &zeros, &second.weight].concat(),
        bias: [first.bias.as_slice(), &second.bias].concat(),
    }
}
