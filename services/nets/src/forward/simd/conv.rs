//! The tactical actors: convolutions over time, pooling, dense layers (TA-17).
//!
//! Convolutions wait for operations and the first dense layer for its weights, so each half of one overlaps a half of the
//! other: while the second convolution makes half of its channels, the dense layer takes the half made before.

use super::dense::head;
use super::stage::hidden;
use super::{Job, LANES, Lanes, Line, Stream, floats};
use crate::architecture::{
    ACTIONS, AGENT_COUNT, BINS, CHANNELS_1, CHANNELS_2, COLUMNS, HIDDEN_1, HIDDEN_2, KERNEL, Logits, ROWS, pool_bin,
};

/// Rows with the padding before the first and after the last.
pub(in crate::forward) const PADDED: usize = ROWS + KERNEL - 1;
/// Parts of the second convolution's channels.
pub(in crate::forward) const HALVES: usize = 2;
/// Channels of a half.
pub(in crate::forward) const HALF: usize = CHANNELS_2 / HALVES;
/// Lines of a half's channels.
const HALF_LINES: usize = HALF / LANES;
/// Inputs of the first dense layer that a half makes.
pub(in crate::forward) const HALF_FLAT: usize = HALF * BINS;
/// Lines of the first dense layer's outputs.
const LINES_1: usize = HIDDEN_1 / LANES;
/// Lines of the bias and the weights of the first convolution.
const CONV1_LINES: usize = (1 + COLUMNS * KERNEL) * CHANNELS_1 / LANES;
/// Lines of the bias and the weights of half of the second convolution.
const CONV2_LINES: usize = (1 + CHANNELS_1 * KERNEL) * HALF_LINES;
/// Lines of the weights of half of the first dense layer.
const FC1_LINES: usize = HALF_FLAT * LINES_1;

/// Channels of each time after the second convolution, or of each bin after pooling: one half of them.
type Times = [[Line; HALF_LINES]; ROWS];
type Pooled = [[Line; HALF_LINES]; BINS];

/// Activations of one pass, reused by every actor.
#[derive(Clone)]
pub(in crate::forward) struct TacticalScratch {
    /// The matrix between two rows of zeros.
    pub(in crate::forward) input: [[f32; COLUMNS]; PADDED],
    /// After the first convolution; the first and the last row stay zero.
    hidden: [[Line; CHANNELS_1 / LANES]; PADDED],
    times: Times,
    /// First and second half.
    pooled: [Pooled; HALVES],
    fc1: [Line; LINES_1],
    fc2: [Line; HIDDEN_2 / LANES],
}

impl TacticalScratch {
    /// All zero.
    pub(in crate::forward) const ZERO: Self = Self {
        input: [[0.0; COLUMNS]; PADDED],
        hidden: [[Line::ZERO; CHANNELS_1 / LANES]; PADDED],
        times: [[Line::ZERO; HALF_LINES]; ROWS],
        pooled: [[[Line::ZERO; HALF_LINES]; BINS]; HALVES],
        fc1: [Line::ZERO; LINES_1],
        fc2: [Line::ZERO; HIDDEN_2 / LANES],
    };
}

/// One pass of the three actors.
pub(in crate::forward) struct Tactical<'a> {
    /// For each actor: first convolution, halves of the second; bias and halves of the first dense layer, the other two.
    pub(in crate::forward) weights: &'a [Line],
    /// Scratch space with the input in it.
    pub(in crate::forward) scratch: &'a mut TacticalScratch,
    /// The result.
    pub(in crate::forward) logits: &'a mut Logits,
}

impl Job for Tactical<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let TacticalScratch { input, hidden: rows, times, pooled: [front, back], fc1, fc2 } = self.scratch;
        let actors = self.weights.chunks_exact(self.weights.len() / AGENT_COUNT);
        // What is still to do for the actor before: the dense layers from the second half of the first one on.
        let mut before: Option<(Stream<'_>, &mut [f32; ACTIONS])> = None;
        for (actor, logits) in actors.zip(self.logits.iter_mut()) {
            let mut convolutions = Stream(actor);
            first::<V>(convolutions.take(CONV1_LINES), input, rows);
            let channels: &[[f32; CHANNELS_1]] = floats(rows.as_flattened()).as_chunks().0;
            let front_weights = convolutions.take(CONV2_LINES);
            if let Some((mut dense, logits)) = before.take() {
                overlap::<V>(front_weights, channels, times, dense.take(FC1_LINES), back, fc1);
                last::<V>(&mut dense, fc1, fc2, logits);
            } else {
                second::<V>(front_weights, channels, times);
            }
            pool::<V>(times, front);
            let back_weights = convolutions.take(CONV2_LINES);
            let mut dense = convolutions;
            fc1.copy_from_slice(dense.take(LINES_1));
            overlap::<V>(back_weights, channels, times, dense.take(FC1_LINES), front, fc1);
            pool::<V>(times, back);
            before = Some((dense, logits));
        }
        if let Some((mut dense, logits)) = before {
            accumulate::<V>(dense.take(FC1_LINES), back, fc1);
            last::<V>(&mut dense, fc1, fc2, logits);
        }
    }
}

/// The first convolution.
#[inline(always)]
fn first<V: Lanes>(weights: &[Line], input: &[[f32; COLUMNS]; PADDED], rows: &mut [[Line; CHANNELS_1 / LANES]; PADDED]) {
    let rows = &mut rows[1..=ROWS];
    if V::WIDE {
        convolution::<V, COLUMNS, 2, 2, 12>(weights, input, rows);
    } else {
        convolution::<V, COLUMNS, 2, 1, 6>(weights, input, rows);
    }
}

/// Half of the second convolution.
#[inline(always)]
fn second<V: Lanes>(weights: &[Line], channels: &[[f32; CHANNELS_1]], times: &mut Times) {
    if V::WIDE {
        convolution::<V, CHANNELS_1, HALF_LINES, 2, 12>(weights, channels, times);
    } else {
        convolution::<V, CHANNELS_1, HALF_LINES, 1, 6>(weights, channels, times);
    }
}

/// What follows the first dense layer: its ReLU, the other two.
#[inline(always)]
fn last<V: Lanes>(weights: &mut Stream<'_>, fc1: &mut [Line; LINES_1], fc2: &mut [Line; HIDDEN_2 / LANES], logits: &mut [f32]) {
    for line in fc1.iter_mut() {
        V::load(line).relu().store(line);
    }
    hidden::<V, 1>(weights, &mut [(floats(fc1), fc2)]);
    head::<V>(weights, fc2, logits);
}

/// A convolution with three taps, padding 1 and ReLU in tiles of `B` lines of channels and `T` times.
///
/// `input` has [`PADDED`] rows of `IN` channels, `output` [`ROWS`] rows of `OUT` lines. A lane is an output channel, so no sum
/// crosses lanes: bias, then for each tap for each input channel one product. For each tile of channels there is its bias,
/// then its weights in that order.
#[inline(always)]
fn convolution<V: Lanes, const IN: usize, const OUT: usize, const B: usize, const T: usize>(
    weights: &[Line],
    input: &[[f32; IN]],
    output: &mut [[Line; OUT]],
) {
    let mut weights = Stream(weights);
    for tile in 0..OUT / B {
        let bias = weights.take(B);
        let taps = weights.take(KERNEL * IN * B).as_chunks::<B>().0.as_chunks::<IN>().0;
        for (block, times) in output.as_chunks_mut::<T>().0.iter_mut().enumerate() {
            let mut sums = [[V::splat(0.0); B]; T];
            for sum in &mut sums {
                for b in 0..B {
                    sum[b] = V::load(&bias[b]);
                }
            }
            for (tap, channels) in taps.iter().enumerate() {
                let rows = &input[block * T + tap..].as_chunks::<T>().0[0];
                for c in 0..IN {
                    products::<V, IN, B, T>(&channels[c], rows, c, &mut sums);
                }
            }
            for (time, sum) in times.iter_mut().zip(sums) {
                for b in 0..B {
                    sum[b].relu().store(&mut time[tile * B + b]);
                }
            }
        }
    }
}

/// Adds the products of input channel `c` to the sums of a tile.
#[inline(always)]
fn products<V: Lanes, const IN: usize, const B: usize, const T: usize>(
    weights: &[Line; B],
    rows: &[[f32; IN]; T],
    c: usize,
    sums: &mut [[V; B]; T],
) {
    let mut factors = [V::splat(0.0); B];
    for b in 0..B {
        factors[b] = V::load(&weights[b]);
    }
    for t in 0..T {
        let value = V::splat(rows[t][c]);
        for b in 0..B {
            sums[t][b] = factors[b].fused(value, sums[t][b]);
        }
    }
}

/// Adds half of the inputs of the first dense layer to its sums, in order; its bias was their beginning. For each tile of
/// outputs there are, for each input, its weights.
#[inline(always)]
fn accumulate<V: Lanes>(weights: &[Line], inputs: &Pooled, sums: &mut [Line; LINES_1]) {
    if V::WIDE {
        accumulate_tiles::<V, 8>(weights, floats(inputs.as_flattened()), sums);
    } else {
        accumulate_tiles::<V, 4>(weights, floats(inputs.as_flattened()), sums);
    }
}

#[inline(always)]
fn accumulate_tiles<V: Lanes, const B: usize>(weights: &[Line], inputs: &[f32], sums: &mut [Line; LINES_1]) {
    let tiles = weights.as_chunks::<B>().0.chunks_exact(HALF_FLAT);
    for (rows, lines) in tiles.zip(sums.as_chunks_mut::<B>().0) {
        let mut tile = loaded::<V, B>(lines);
        for (row, value) in rows.iter().zip(inputs) {
            add_row(row, *value, &mut tile);
        }
        stored(tile, lines);
    }
}

#[inline(always)]
fn loaded<V: Lanes, const B: usize>(lines: &[Line; B]) -> [V; B] {
    let mut tile = [V::splat(0.0); B];
    for b in 0..B {
        tile[b] = V::load(&lines[b]);
    }
    tile
}

#[inline(always)]
fn stored<V: Lanes, const B: usize>(tile: [V; B], lines: &mut [Line; B]) {
    for b in 0..B {
        tile[b].store(&mut lines[b]);
    }
}

/// One input of a dense layer.
#[inline(always)]
fn add_row<V: Lanes, const B: usize>(row: &[Line; B], value: f32, tile: &mut [V; B]) {
    let value = V::splat(value);
    for b in 0..B {
        tile[b] = V::load(&row[b]).fused(value, tile[b]);
    }
}

/// Half of the second convolution and half of the first dense layer: the same as [`second`] and [`accumulate`], to the bit.
#[inline(always)]
fn overlap<V: Lanes>(
    conv2: &[Line],
    channels: &[[f32; CHANNELS_1]],
    times: &mut Times,
    fc1: &[Line],
    inputs: &Pooled,
    sums: &mut [Line; LINES_1],
) {
    if V::WIDE {
        interleave::<V>(conv2, channels, times, fc1, floats(inputs.as_flattened()), sums);
    } else {
        second::<V>(conv2, channels, times);
        accumulate::<V>(fc1, inputs, sums);
    }
}

/// For each input channel of the convolution one input of the dense layer: 20 registers of sums. The times of a tile of the
/// dense layer have fewer steps than it; the remaining ones follow.
#[inline(always)]
fn interleave<V: Lanes>(
    conv2: &[Line],
    channels: &[[f32; CHANNELS_1]],
    times: &mut Times,
    fc1: &[Line],
    inputs: &[f32],
    sums: &mut [Line; LINES_1],
) {
    const B: usize = 8;
    const T: usize = 6;
    const BLOCKS: usize = ROWS / T / (LINES_1 / B);
    let (bias, weights) = conv2.split_at(HALF_LINES);
    let taps = weights.as_chunks::<HALF_LINES>().0.as_chunks::<CHANNELS_1>().0;
    let inputs = inputs.as_chunks::<CHANNELS_1>().0;
    let tiles = fc1.as_chunks::<B>().0.chunks_exact(HALF_FLAT).zip(sums.as_chunks_mut::<B>().0);
    for (part, (rows, lines)) in tiles.enumerate() {
        let mut tile = loaded::<V, B>(lines);
        let mut dense = rows.as_chunks::<CHANNELS_1>().0.iter().zip(inputs);
        for block in part * BLOCKS..(part + 1) * BLOCKS {
            let mut tile_sums = [[V::splat(0.0); HALF_LINES]; T];
            for sum in &mut tile_sums {
                for b in 0..HALF_LINES {
                    sum[b] = V::load(&bias[b]);
                }
            }
            for ((tap, weights), (rows, values)) in taps.iter().enumerate().zip(&mut dense) {
                let times = &channels[block * T + tap..].as_chunks::<T>().0[0];
                for c in 0..CHANNELS_1 {
                    add_row(&rows[c], values[c], &mut tile);
                    products::<V, CHANNELS_1, HALF_LINES, T>(&weights[c], times, c, &mut tile_sums);
                }
            }
            for (time, sum) in times[block * T..(block + 1) * T].iter_mut().zip(tile_sums) {
                for b in 0..HALF_LINES {
                    sum[b].relu().store(&mut time[b]);
                }
            }
        }
        for (rows, values) in dense {
            for (row, value) in rows.iter().zip(values) {
                add_row(row, *value, &mut tile);
            }
        }
        stored(tile, lines);
    }
}

/// Averages the times of each bin in order (TA-18).
#[inline(always)]
fn pool<V: Lanes>(times: &Times, pooled: &mut Pooled) {
    for (bin, means) in pooled.iter_mut().enumerate() {
        let (start, end) = pool_bin(bin);
        let share = V::splat(1.0 / (end - start) as f32);
        for (block, mean) in means.iter_mut().enumerate() {
            let mut sum = V::load(&times[start][block]);
            for time in &times[start + 1..end] {
                sum = sum.add(V::load(&time[block]));
            }
            sum.mul(share).store(mean);
        }
    }
}

const _: () = assert!(ROWS.is_multiple_of(12), "tiles of 12 and of 6 times cover all rows");
