//! The words in which a network is written down: layers in order, heads, and what it looks at.

use tradewind_features::tactical::ROWS;

/// Taps of a convolution; padding 1, stride 1.
pub const KERNEL: usize = 3;
/// Time bins after pooling (TA-18).
pub const BINS: usize = 16;

/// One network: an optional attention vector, a trunk, and heads whose outputs stand side by side.
///
/// Outputs are the last linear layer's: what softmax or sigmoid make of them is the decision layer's business, which knows
/// temperatures and boxes.
#[derive(Debug, PartialEq)]
pub struct Network {
    /// Identifier in manifests, votes and `golden.<id>.logits`.
    pub id: &'static str,
    /// What the names of its tensors begin with.
    pub prefix: &'static str,
    /// Names of the outputs by index; empty for a critic.
    pub actions: &'static [&'static str],
    /// Which values of a stage's input it looks at.
    pub view: View,
    /// Number of values it looks at.
    pub inputs: usize,
    /// Attention before training, repeated over the rows of an input; empty for a network without.
    pub attention: &'static [f32],
    /// Layers that all heads share.
    pub trunk: &'static [Step],
    /// Heads; each begins at the end of the trunk.
    pub heads: &'static [&'static [Step]],
    /// What it is for.
    pub used: Use,
}

/// One step of a pass. Widths count values of one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// Linear layer: tensor name after the prefix, inputs, outputs.
    Dense(&'static str, usize, usize),
    /// Convolution over time: name, input channels, output channels; three taps, padding 1, stride 1.
    Convolution(&'static str, usize, usize),
    /// Layer normalisation: name, width. Epsilon 1e-5, biased variance, gain and shift.
    Norm(&'static str, usize),
    /// max(0, x).
    Relu,
    /// From rows side by side to columns over time: (rows x columns) to (columns, rows); the number of columns.
    Columns(usize),
    /// Average of the times of each channel in 16 bins, channel-major (TA-18).
    Pool,
    /// Runs steps on some of the values (first, number) and puts the result behind all of them.
    Append(usize, usize, &'static [Step]),
}

/// Which values of a stage's input a network looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// All, as they are.
    All,
    /// Ranges (first, end), side by side.
    Ranges(&'static [(usize, usize)]),
    /// The strategic policy of this number: gathered and normalised features, then the shared context (ST-13, ST-14).
    Policy(usize),
    /// Nothing of it: its inputs are made by whoever trains it.
    Own,
}

/// What a network is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Answers when the stage serves.
    Served,
    /// Training and diagnostics; every checkpoint holds it.
    Kept,
    /// Training; a checkpoint that is only to be served may lack it.
    Optional,
}

/// A tensor that a checkpoint may hold: its name and shape, as PyTorch stores it (ruling 13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Full name, such as `agents.fvg.conv1.weight`.
    pub name: String,
    /// Dimensions: Linear `[out, in]`, Conv1d `[out, in, kernel]`, LayerNorm `[width]`.
    pub shape: Vec<usize>,
}

impl Step {
    /// Name after the prefix and shape of the weight, of steps that have one. The bias has the length of its first dimension.
    pub fn layer(&self) -> Option<(&'static str, Vec<usize>)> {
        match *self {
            Self::Dense(name, inputs, outputs) => Some((name, vec![outputs, inputs])),
            Self::Convolution(name, inputs, outputs) => Some((name, vec![outputs, inputs, KERNEL])),
            Self::Norm(name, width) => Some((name, vec![width])),
            Self::Relu | Self::Columns(_) | Self::Pool | Self::Append(..) => None,
        }
    }

    fn collect(steps: &'static [Self], into: &mut Vec<&'static Self>) {
        for step in steps {
            match step {
                Self::Append(_, _, inner) => Self::collect(inner, into),
                _ if step.layer().is_some() => into.push(step),
                _ => {}
            }
        }
    }

    /// Width after the step, given the width before it.
    fn width(&self, before: usize) -> Result<usize, String> {
        let fits = |wanted: usize, after: usize| match before == wanted {
            true => Ok(after),
            false => Err(format!("{self:?} takes {wanted} values and is given {before}")),
        };
        match *self {
            Self::Dense(_, inputs, outputs) => fits(inputs, outputs),
            Self::Convolution(_, inputs, outputs) => fits(inputs * ROWS, outputs * ROWS),
            Self::Norm(_, width) => fits(width, width),
            Self::Relu => Ok(before),
            Self::Columns(columns) => fits(columns * ROWS, before),
            Self::Pool => fits(before / ROWS * ROWS, before / ROWS * BINS),
            Self::Append(first, count, steps) if first + count <= before => {
                Ok(before + steps.iter().try_fold(count, |width, step| step.width(width))?)
            }
            Self::Append(..) => Err(format!("{self:?} looks beyond {before} values")),
        }
    }
}

impl Network {
    /// Steps with weights, in the order in which weights are kept: trunk, then heads.
    pub fn layers(&self) -> Vec<&'static Step> {
        let mut layers = Vec::new();
        Step::collect(self.trunk, &mut layers);
        for head in self.heads {
            Step::collect(head, &mut layers);
        }
        layers
    }

    /// Number of outputs, all heads together.
    pub fn outputs(&self) -> usize {
        let ends = self.heads.iter().filter_map(|head| head.iter().rev().find_map(Step::layer));
        ends.map(|(_, shape)| shape[0]).sum()
    }

    /// Tensors in the order in which [`crate::weights::NetworkWeights`] keeps them: attention, then weight and bias of each
    /// layer.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        let mut specs = Vec::new();
        if !self.attention.is_empty() {
            specs.push(TensorSpec { name: format!("{}.attention_weights", self.prefix), shape: vec![self.attention.len()] });
        }
        for (name, shape) in self.layers().into_iter().filter_map(Step::layer) {
            let bias = TensorSpec { name: format!("{}.{name}.bias", self.prefix), shape: vec![shape[0]] };
            specs.push(TensorSpec { name: format!("{}.{name}.weight", self.prefix), shape });
            specs.push(bias);
        }
        specs
    }

    /// Whether the widths fit together.
    ///
    /// # Errors
    /// The first step that does not.
    pub fn check(&self) -> Result<(), String> {
        let run = |steps: &[Step], width: usize| steps.iter().try_fold(width, |width, step| step.width(width));
        if !self.attention.is_empty() && !self.inputs.is_multiple_of(self.attention.len()) {
            return Err(format!("{} factors do not fit {} inputs", self.attention.len(), self.inputs));
        }
        if let View::Ranges(ranges) = self.view
            && ranges.iter().map(|(first, end)| end - first).sum::<usize>() != self.inputs
        {
            return Err(format!("{ranges:?} are not {} values", self.inputs));
        }
        let end = run(self.trunk, self.inputs)?;
        let mut outputs = 0;
        for head in self.heads {
            outputs += run(head, end)?;
        }
        if outputs != self.outputs() || !(self.actions.is_empty() || self.actions.len() == outputs) {
            return Err(format!("{outputs} outputs, {} named", self.actions.len()));
        }
        Ok(())
    }
}
