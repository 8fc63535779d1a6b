//! A stage of multilayer perceptrons: the same sequence of layers for several networks, advanced together.

use super::dense::{dense, head, normalise};
use super::{Job, LANES, Lanes, Line, Stream, floats};

/// Widest hidden layer of a stage.
pub(in crate::forward) const MAX_WIDTH: usize = 256;
/// Most outputs of a network.
pub(in crate::forward) const MAX_HEAD: usize = LANES;

/// One layer of one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::forward) enum Shape {
    /// Dense layer, ReLU and, where `normalised`, layer normalisation. `outputs` is 32, 64 or a multiple of 128 up to
    /// [`MAX_WIDTH`].
    Hidden {
        /// Inputs.
        inputs: usize,
        /// Outputs.
        outputs: usize,
        /// With layer normalisation after the ReLU.
        normalised: bool,
    },
    /// The last layer: logits. `inputs` is a multiple of 16, `outputs` at most [`MAX_HEAD`].
    Head {
        /// Inputs.
        inputs: usize,
        /// Outputs.
        outputs: usize,
    },
}

/// What a hidden layer reads and what it writes, in turns.
pub(in crate::forward) type Activations = [[Line; MAX_WIDTH / LANES]; 2];

/// What one sample needs in a pass of `A` networks.
pub(in crate::forward) struct Sample<'a, const A: usize> {
    /// The input of each network.
    pub(in crate::forward) inputs: [&'a [f32]; A],
    /// Scratch space.
    pub(in crate::forward) hidden: &'a mut [Activations; A],
    /// The logits of each network.
    pub(in crate::forward) logits: &'a mut [[f32; MAX_HEAD]; A],
}

/// One pass of `A` networks on `S` samples. For each layer the networks take turns, so that one's normalisation
/// overlaps the next one's weights.
pub(in crate::forward) struct Mlp<'a, const A: usize, const S: usize> {
    /// For each layer its shape in each network.
    pub(in crate::forward) layers: &'a [[Shape; A]],
    /// All weights in the order of use: for each layer, for each network.
    pub(in crate::forward) weights: &'a [Line],
    /// The samples, which share each weight that is read.
    pub(in crate::forward) samples: [Sample<'a, A>; S],
}

impl<const A: usize, const S: usize> Job for Mlp<'_, A, S> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(mut self) {
        let mut weights = Stream(self.weights);
        for (depth, shapes) in self.layers.iter().enumerate() {
            for (a, shape) in shapes.iter().enumerate() {
                match *shape {
                    Shape::Hidden { inputs, outputs, normalised } => {
                        let lines = outputs / LANES;
                        let mut samples = self.samples.each_mut().map(|sample| {
                            let [even, odd] = &mut sample.hidden[a];
                            let (read, write) = if depth % 2 == 0 { (&*odd, even) } else { (&*even, odd) };
                            let from = if depth == 0 { sample.inputs[a] } else { &floats(read)[..inputs] };
                            (from, &mut write[..lines])
                        });
                        hidden::<V, S>(&mut weights, &mut samples);
                        if normalised {
                            let (gain, shift) = (weights.take(lines), weights.take(lines));
                            for (_, values) in samples {
                                normalise::<V>(values, gain, shift);
                            }
                        }
                    }
                    Shape::Head { inputs, outputs } => {
                        let all = weights.take(1 + outputs * inputs / LANES);
                        for sample in &mut self.samples {
                            let read = &sample.hidden[a][(depth + 1) % 2][..inputs / LANES];
                            head::<V>(&mut Stream(all), read, &mut sample.logits[a][..outputs]);
                        }
                    }
                }
            }
        }
    }
}

/// A dense layer in the tile and the number of partial sums that belong to its width: [`crate::forward::layout`] lays the
/// weights out for them.
#[inline(always)]
pub(super) fn hidden<V: Lanes, const S: usize>(weights: &mut Stream<'_>, samples: &mut [(&[f32], &mut [Line]); S]) {
    match (samples[0].1.len(), V::WIDE) {
        (2, true) => dense::<V, 2, 4, S>(weights, samples),
        (2, false) => dense::<V, 1, 4, S>(weights, samples),
        (4, true) => dense::<V, 4, 2, S>(weights, samples),
        (4, false) => dense::<V, 2, 2, S>(weights, samples),
        (_, true) => dense::<V, 8, 1, S>(weights, samples),
        (_, false) => dense::<V, 4, 1, S>(weights, samples),
    }
}
