//! A stage whose networks are multilayer perceptrons of the same depth.

use super::ForwardError;
use super::layout::{Block, fits};
use super::simd::{Activations, Isa, LANES, Line, MAX_HEAD, MAX_WIDTH, Mlp, Sample, Shape};
use crate::weights::Layer;

/// Samples that share each weight that is read.
const TOGETHER: usize = 2;

/// The logits of one network; what is behind its last output is zero.
pub(super) type Row = [f32; MAX_HEAD];

/// The first outputs of a row.
pub(super) fn outputs<const N: usize>(row: &Row) -> [f32; N] {
    std::array::from_fn(|output| row[output])
}

/// One layer of one network with its weights.
pub(super) enum Source<'a> {
    /// A dense layer with ReLU.
    Dense(&'a Layer),
    /// The same with layer normalisation after it.
    Normalised(&'a Layer, &'a Layer),
    /// The last layer.
    Head(&'a Layer),
}

impl Source<'_> {
    fn shape(&self) -> Shape {
        let widths = |layer: &Layer| (layer.weight.len() / layer.bias.len(), layer.bias.len());
        match self {
            Self::Dense(layer) | Self::Normalised(layer, _) => {
                let (inputs, outputs) = widths(layer);
                Shape::Hidden { inputs, outputs, normalised: matches!(self, Self::Normalised(..)) }
            }
            Self::Head(layer) => {
                let (inputs, outputs) = widths(layer);
                Shape::Head { inputs, outputs }
            }
        }
    }

    fn write(&self, block: &mut Block) {
        match (self, self.shape()) {
            (Self::Dense(layer), Shape::Hidden { inputs, outputs, .. }) => block.hidden(layer, inputs, outputs),
            (Self::Normalised(layer, norm), Shape::Hidden { inputs, outputs, .. }) => {
                block.hidden(layer, inputs, outputs);
                block.vector(&norm.weight);
                block.vector(&norm.bias);
            }
            (Self::Head(layer), _) | (Self::Dense(layer) | Self::Normalised(layer, _), Shape::Head { .. }) => block.head(layer),
        }
    }
}

/// The networks of a stage: their weights in one block and space for their activations.
#[derive(Clone)]
pub(super) struct Perceptrons<const A: usize> {
    isa: Isa,
    agents: [&'static str; A],
    layers: Vec<[Shape; A]>,
    weights: Vec<Line>,
    hidden: Box<[[Activations; A]; TOGETHER]>,
}

impl<const A: usize> Perceptrons<A> {
    /// Lays the networks out; `networks` holds for each layer that of each network. All lengths have been checked.
    pub(super) fn new(isa: Isa, agents: [&'static str; A], networks: &[[Source<'_>; A]]) -> Self {
        let mut block = Block::new(isa);
        let mut layers = Vec::with_capacity(networks.len());
        for depth in networks {
            let shapes = depth.each_ref().map(Source::shape);
            debug_assert!(shapes.iter().all(|shape| fits(*shape)), "{shapes:?}");
            depth.iter().for_each(|source| source.write(&mut block));
            layers.push(shapes);
        }
        let hidden = Box::new([[[[Line::ZERO; MAX_WIDTH / LANES]; 2]; A]; TOGETHER]);
        Self { isa, agents, layers, weights: block.finish(), hidden }
    }

    /// Bytes of all weights, with what fills up the last line of a row.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.weights.as_slice())
    }

    /// Logits of one sample.
    pub(super) fn run(&mut self, inputs: [&[f32]; A]) -> Result<[Row; A], ForwardError> {
        self.check_inputs(&inputs)?;
        let mut logits = [[0.0; MAX_HEAD]; A];
        let sample = Sample { inputs, hidden: &mut self.hidden[0], logits: &mut logits };
        self.isa.mlp(Mlp { layers: &self.layers, weights: &self.weights, samples: [sample] });
        self.check_outputs(&logits)?;
        Ok(logits)
    }

    /// Logits of several samples, two of them at a time for each weight that is read. The bits are those of [`Self::run`].
    /// Ends with the shorter of the slices, or at the first pair with a value that is not finite.
    pub(super) fn run_batch<X, Y>(
        &mut self,
        inputs: &[X],
        outputs: &mut [Y],
        split: impl Fn(&X) -> [&[f32]; A],
        join: impl Fn([Row; A]) -> Y,
    ) -> Result<(), ForwardError> {
        for (inputs, outputs) in inputs.chunks(TOGETHER).zip(outputs.chunks_mut(TOGETHER)) {
            if let ([first, second], [to_first, to_second]) = (inputs, &mut *outputs) {
                let [a, b] = self.run_pair([split(first), split(second)])?;
                (*to_first, *to_second) = (join(a), join(b));
            } else {
                for (input, output) in inputs.iter().zip(outputs) {
                    *output = join(self.run(split(input))?);
                }
            }
        }
        Ok(())
    }

    fn run_pair(&mut self, inputs: [[&[f32]; A]; TOGETHER]) -> Result<[[Row; A]; TOGETHER], ForwardError> {
        for sample in &inputs {
            self.check_inputs(sample)?;
        }
        let mut logits = [[[0.0; MAX_HEAD]; A]; TOGETHER];
        let ([a, b], [to_a, to_b], [hidden_a, hidden_b]) = (inputs, logits.each_mut(), self.hidden.each_mut());
        let samples =
            [Sample { inputs: a, hidden: hidden_a, logits: to_a }, Sample { inputs: b, hidden: hidden_b, logits: to_b }];
        self.isa.mlp(Mlp { layers: &self.layers, weights: &self.weights, samples });
        for sample in &logits {
            self.check_outputs(sample)?;
        }
        Ok(logits)
    }

    fn check_inputs(&self, inputs: &[&[f32]; A]) -> Result<(), ForwardError> {
        for (agent, values) in self.agents.iter().zip(inputs) {
            if let Some(index) = values.iter().position(|value| !value.is_finite()) {
                return Err(ForwardError::Feature { agent, index, value: values[index].to_string() });
            }
        }
        Ok(())
    }

    fn check_outputs(&self, logits: &[Row; A]) -> Result<(), ForwardError> {
        for (agent, values) in self.agents.iter().zip(logits) {
            ForwardError::check_output(agent, values)?;
        }
        Ok(())
    }
}
