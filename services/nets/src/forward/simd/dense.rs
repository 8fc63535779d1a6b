//! Dense layers, layer normalisation and the last layer of a network.

use super::lanes::Lanes;
use super::{LANES, Line, Stream};

/// Epsilon of layer normalisation (ST-50, EX-15, RK-28).
const EPSILON: f32 = 1e-5;
/// Sums that a normalisation keeps apart, so that their additions overlap.
const PARTIAL: usize = 4;

/// A dense layer with ReLU for `S` samples: (inputs, outputs).
///
/// A lane is an output, so no sum crosses lanes. Input `i` is added to partial sum `i % P` in ascending order; partial
/// sum 0 begins with the bias; the `P` sums are added halves onto halves. `B` lines of outputs form a tile: for each tile the
/// stream holds its bias, then for each input its weights.
#[inline(always)]
pub(super) fn dense<V: Lanes, const B: usize, const P: usize, const S: usize>(
    weights: &mut Stream<'_>,
    samples: &mut [(&[f32], &mut [Line]); S],
) {
    let steps = samples[0].0.len() / P;
    for tile in 0..samples[0].1.len() / B {
        let mut sums = [[[V::splat(0.0); B]; P]; S];
        let bias = weights.take(B);
        for sample in &mut sums {
            for b in 0..B {
                sample[0][b] = V::load(&bias[b]);
            }
        }
        let rows = &weights.take(steps * P * B).as_chunks::<B>().0.as_chunks::<P>().0[..steps];
        let mut values: [&[[f32; P]]; S] = [&[]; S];
        for s in 0..S {
            values[s] = &samples[s].0.as_chunks::<P>().0[..steps];
        }
        for step in 0..steps {
            for p in 0..P {
                let row = &rows[step][p];
                for s in 0..S {
                    let value = V::splat(values[s][step][p]);
                    for b in 0..B {
                        sums[s][p][b] = V::load(&row[b]).fused(value, sums[s][p][b]);
                    }
                }
            }
        }
        for s in 0..S {
            let out = &mut samples[s].1[tile * B..(tile + 1) * B];
            for b in 0..B {
                halve::<V, B, P>(&mut sums[s], b).relu().store(&mut out[b]);
            }
        }
    }
}

/// Adds the partial sums of line `b`, halves onto halves.
#[inline(always)]
fn halve<V: Lanes, const B: usize, const P: usize>(sums: &mut [[V; B]; P], b: usize) -> V {
    let mut width = P / 2;
    while width > 0 {
        for p in 0..width {
            sums[p][b] = sums[p][b].add(sums[p + width][b]);
        }
        width /= 2;
    }
    sums[0][b]
}

/// Layer normalisation with biased variance; the number of lines is a multiple of four.
#[inline(always)]
pub(super) fn normalise<V: Lanes>(values: &mut [Line], gain: &[Line], shift: &[Line]) {
    let count = (values.len() * LANES) as f32;
    let mut sums = [V::splat(0.0); PARTIAL];
    for lines in values.as_chunks::<PARTIAL>().0 {
        for p in 0..PARTIAL {
            sums[p] = sums[p].add(V::load(&lines[p]));
        }
    }
    let mean = V::splat(sums[0].add(sums[2]).add(sums[1].add(sums[3])).total() / count);
    let mut squares = [V::splat(0.0); PARTIAL];
    for lines in values.as_chunks::<PARTIAL>().0 {
        for p in 0..PARTIAL {
            let distance = V::load(&lines[p]).sub(mean);
            squares[p] = distance.fused(distance, squares[p]);
        }
    }
    let variance = squares[0].add(squares[2]).add(squares[1].add(squares[3])).total() / count;
    let scale = V::splat(1.0 / (variance + EPSILON).sqrt());
    for ((line, gain), shift) in values.iter_mut().zip(gain).zip(shift) {
        V::load(line).sub(mean).mul(scale).fused(V::load(gain), V::load(shift)).store(line);
    }
}

/// A dense layer with few outputs and no activation: a lane is an input, lines are added in order, then the lanes
/// ([`Lanes::total`]), then the bias. The stream holds one line of biases, then a row for each output.
#[inline(always)]
pub(super) fn head<V: Lanes>(weights: &mut Stream<'_>, inputs: &[Line], outputs: &mut [f32]) {
    let bias = &weights.take(1)[0].0;
    for (output, bias) in outputs.iter_mut().zip(bias) {
        let mut sum = V::splat(0.0);
        for (row, line) in weights.take(inputs.len()).iter().zip(inputs) {
            sum = V::load(row).fused(V::load(line), sum);
        }
        *output = sum.total() + bias;
    }
}
