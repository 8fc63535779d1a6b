//! A dense layer: matrix times vector.

use super::relu;
use crate::weights::Layer;

/// Partial sums of one output.
const LANES: usize = 8;
/// Outputs computed together, so that each loaded input is used four times.
const GROUP: usize = 4;

/// A dense layer with `IN` inputs (a multiple of eight) and `OUT` outputs.
#[derive(Clone)]
pub(super) struct Dense<const IN: usize, const OUT: usize> {
    /// Row-major `[output][input]`, rows rounded up to a multiple of [`GROUP`] with zeros.
    rows: Vec<[f32; IN]>,
    bias: [f32; OUT],
}

impl<const IN: usize, const OUT: usize> Dense<IN, OUT> {
    /// Lays out a weight of shape `[OUT, IN]`.
    pub(super) fn new(layer: &Layer) -> Self {
        const { assert!(IN.is_multiple_of(LANES)) };
        let mut rows = layer.weight.as_chunks::<IN>().0.to_vec();
        rows.resize(OUT.next_multiple_of(GROUP), [0.0; IN]);
        let mut bias = [0.0; OUT];
        bias.copy_from_slice(&layer.bias);
        Self { rows, bias }
    }

    /// Outputs before any activation.
    pub(super) fn run(&self, input: &[f32; IN], output: &mut [f32; OUT]) {
        let (groups, _) = self.rows.as_chunks::<GROUP>();
        for ((rows, out), bias) in groups.iter().zip(output.chunks_mut(GROUP)).zip(self.bias.chunks(GROUP)) {
            let sums = products(rows, input);
            for ((slot, sum), b) in out.iter_mut().zip(sums).zip(bias) {
                *slot = sum + b;
            }
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

/// Scalar products of four rows with one vector: eight partial sums each, added in a fixed tree.
#[inline]
fn products<const IN: usize>(rows: &[[f32; IN]; GROUP], input: &[f32; IN]) -> [f32; GROUP] {
    let [a, b, c, d] = rows;
    let mut sums = [[0f32; LANES]; GROUP];
    let pieces = input.as_chunks::<LANES>().0.iter();
    let rows = a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0);
    let rows = rows.zip(c.as_chunks::<LANES>().0.iter().zip(d.as_chunks::<LANES>().0));
    for (x, ((a, b), (c, d))) in pieces.zip(rows) {
        for lane in 0..LANES {
            sums[0][lane] += a[lane] * x[lane];
            sums[1][lane] += b[lane] * x[lane];
            sums[2][lane] += c[lane] * x[lane];
            sums[3][lane] += d[lane] * x[lane];
        }
    }
    sums.map(|s| ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7])))
}
