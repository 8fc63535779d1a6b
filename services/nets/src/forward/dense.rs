//! A dense layer: matrix times vector.

use super::relu;
use crate::weights::Layer;

/// Partial sums of one output: enough independent additions to hide their latency.
const LANES: usize = 32;

/// A dense layer with `IN` inputs (a multiple of 32) and `OUT` outputs.
#[derive(Clone)]
pub(super) struct Dense<const IN: usize, const OUT: usize> {
    /// Row-major `[output][input]`.
    rows: Vec<[f32; IN]>,
    bias: [f32; OUT],
}

impl<const IN: usize, const OUT: usize> Dense<IN, OUT> {
    /// Lays out a weight of shape `[OUT, IN]`.
    pub(super) fn new(layer: &Layer) -> Self {
        const { assert!(IN.is_multiple_of(LANES)) };
        let rows = layer.weight.as_chunks::<IN>().0.to_vec();
        let mut bias = [0.0; OUT];
        bias.copy_from_slice(&layer.bias);
        Self { rows, bias }
    }

    /// Outputs before any activation.
    pub(super) fn run(&self, input: &[f32; IN], output: &mut [f32; OUT]) {
        for ((slot, row), bias) in output.iter_mut().zip(&self.rows).zip(&self.bias) {
            *slot = product(row.as_chunks().0, input.as_chunks().0) + bias;
        }
    }

    /// Outputs after a ReLU.
    pub(super) fn run_relu(&self, input: &[f32; IN], output: &mut [f32; OUT]) {
        self.run(input, output);
        for value in output {
            *value = relu(*value);
        }
    }
}

/// Scalar product of one row with a vector, in 32 partial sums.
///
/// One row at a time, the length not in the type, the end of the sum elsewhere: otherwise the compiler turns
/// rows into lanes, or unrolls everything, or keeps the sums in memory.
#[inline(never)]
fn product(row: &[[f32; LANES]], input: &[[f32; LANES]]) -> f32 {
    let mut sums = [0f32; LANES];
    for (weights, values) in row.iter().zip(input) {
        for lane in 0..LANES {
            sums[lane] += weights[lane] * values[lane];
        }
    }
    fold(&sums)
}

/// Adds the partial sums, halves onto halves.
#[inline(never)]
fn fold(sums: &[f32; LANES]) -> f32 {
    let mut sums = *sums;
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}
