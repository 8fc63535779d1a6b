//! Puts the weights of a stage into one aligned block, in the order in which the kernels read them.

use super::simd::{Isa, LANES, Line, MAX_HEAD, MAX_WIDTH, Shape};
use crate::weights::Layer;

/// Why the layers that were given do not make a stage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Another number of layers than the network has.
    #[error("agent {agent} has {seen} layers, {expected} are needed: {names}")]
    Count {
        /// The agent.
        agent: &'static str,
        /// Layers that it needs.
        expected: usize,
        /// Layers that were given.
        seen: usize,
        /// The layers by name, in order.
        names: String,
    },
    /// A tensor of another length.
    #[error("{part} of {layer} of agent {agent} has {seen} numbers, {expected} are needed")]
    Length {
        /// The agent.
        agent: &'static str,
        /// The layer.
        layer: &'static str,
        /// `weight` or `bias`.
        part: &'static str,
        /// Numbers that it needs.
        expected: usize,
        /// Numbers that were given.
        seen: usize,
    },
}

/// A layer by name with the shape that it must have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    /// Name in errors, that of the tensors.
    pub(super) name: &'static str,
    /// Numbers of the weight.
    pub(super) weight: usize,
    /// Numbers of the bias.
    pub(super) bias: usize,
}

impl Named {
    /// A dense layer.
    pub(super) const fn dense(name: &'static str, inputs: usize, outputs: usize) -> Self {
        Self { name, weight: inputs * outputs, bias: outputs }
    }

    /// Layer normalisation: gain and shift.
    pub(super) const fn norm(name: &'static str, width: usize) -> Self {
        Self { name, weight: width, bias: width }
    }
}

/// Compares the layers of an agent with those it must have.
pub(super) fn check(agent: &'static str, layers: &[Layer], expected: &[Named]) -> Result<(), LayoutError> {
    if layers.len() != expected.len() {
        let names = expected.iter().map(|named| named.name).collect::<Vec<_>>().join(", ");
        return Err(LayoutError::Count { agent, expected: expected.len(), seen: layers.len(), names });
    }
    for (layer, named) in layers.iter().zip(expected) {
        for (part, expected, seen) in [("weight", named.weight, layer.weight.len()), ("bias", named.bias, layer.bias.len())] {
            if seen != expected {
                return Err(LayoutError::Length { agent, layer: named.name, part, expected, seen });
            }
        }
    }
    Ok(())
}

/// Writes a block. Tiles follow the instruction set (see [`Isa::is_wide`]), so a block belongs to the one that it was
/// written for.
pub(super) struct Block {
    isa: Isa,
    lines: Vec<Line>,
}

impl Block {
    /// An empty block for these instructions.
    pub(super) fn new(isa: Isa) -> Self {
        Self { isa, lines: Vec::new() }
    }

    /// The finished block.
    pub(super) fn finish(mut self) -> Vec<Line> {
        self.lines.shrink_to_fit();
        self.lines
    }

    /// A hidden layer of a perceptron, weight `[outputs][inputs]`. Tiles of eight lines of outputs, or all that there are; half
    /// of that in narrow instructions.
    pub(super) fn hidden(&mut self, layer: &Layer, inputs: usize, outputs: usize) {
        let tile = self.tile(outputs);
        for start in (0..outputs).step_by(tile * LANES) {
            self.vector(&layer.bias[start..start + tile * LANES]);
            for input in 0..inputs {
                self.outputs(start, tile, |output| layer.weight[output * inputs + input]);
            }
        }
    }

    /// A dense layer whose inputs arrive in `parts`: its bias, then for each part its weights in the tiles of [`Self::hidden`].
    pub(super) fn parted(&mut self, layer: &Layer, parts: usize) {
        let (outputs, tile) = (layer.bias.len(), self.tile(layer.bias.len()));
        let inputs = layer.weight.len() / outputs;
        self.vector(&layer.bias);
        for part in 0..parts {
            for start in (0..outputs).step_by(tile * LANES) {
                for input in part * inputs / parts..(part + 1) * inputs / parts {
                    self.outputs(start, tile, |output| layer.weight[output * inputs + input]);
                }
            }
        }
    }

    /// A convolution, weight `[outputs][inputs][taps]`, each input channel times its factor. Tiles of two lines of outputs, one
    /// in narrow instructions; in a tile tap by tap.
    pub(super) fn convolution(&mut self, layer: &Layer, factors: &[f32], outputs: usize, taps: usize) {
        let tile = if self.isa.is_wide() { 2 } else { 1 };
        let inputs = factors.len();
        for start in (0..outputs).step_by(tile * LANES) {
            self.vector(&layer.bias[start..start + tile * LANES]);
            for tap in 0..taps {
                for (input, factor) in factors.iter().enumerate() {
                    self.outputs(start, tile, |output| layer.weight[(output * inputs + input) * taps + tap] * factor);
                }
            }
        }
    }

    /// The last layer of a perceptron: a line of biases, then a row for each output.
    pub(super) fn head(&mut self, layer: &Layer) {
        debug_assert!(layer.bias.len() <= MAX_HEAD);
        self.vector(&layer.bias);
        for row in layer.weight.chunks(layer.weight.len() / layer.bias.len()) {
            self.vector(row);
        }
    }

    /// Numbers in their own order, the last line filled with zeros.
    pub(super) fn vector(&mut self, values: &[f32]) {
        for chunk in values.chunks(LANES) {
            let mut line = Line::ZERO;
            line.0[..chunk.len()].copy_from_slice(chunk);
            self.lines.push(line);
        }
    }

    /// Lines of a tile of a dense layer.
    fn tile(&self, outputs: usize) -> usize {
        (outputs / LANES).min(8) / if self.isa.is_wide() { 1 } else { 2 }
    }

    /// `tile` lines, whose lanes are the outputs from `start` on.
    fn outputs(&mut self, start: usize, tile: usize, value: impl Fn(usize) -> f32) {
        for line in 0..tile {
            self.lines.push(Line(std::array::from_fn(|lane| value(start + line * LANES + lane))));
        }
    }
}

/// Whether the kernels have tiles for this layer.
pub(super) const fn fits(shape: Shape) -> bool {
    match shape {
        Shape::Hidden { inputs, outputs, .. } => match outputs {
            32 => inputs.is_multiple_of(4),
            64 => inputs.is_multiple_of(2),
            128 | MAX_WIDTH => true,
            _ => false,
        },
        Shape::Head { inputs, outputs } => inputs.is_multiple_of(LANES) && outputs <= MAX_HEAD,
    }
}
