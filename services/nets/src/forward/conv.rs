//! Convolution over time and the average pooling after it.

use super::relu;
use crate::architecture::{BINS, FLAT, KERNEL, ROWS, pool_bin};
use crate::weights::Layer;

/// Times computed together: four SSE registers, two AVX registers, one AVX-512 register.
const LANES: usize = 16;
/// Output channels computed together, so that each loaded input is used twice.
const GROUP: usize = 2;
/// Times computed in all: rows rounded up to whole blocks.
const COMPUTED: usize = ROWS.div_ceil(LANES) * LANES;
/// Slots of a plane: one of padding, the times, and what the last block reads beyond them.
pub(super) const WIDTH: usize = COMPUTED + 8;

/// One channel over time. Slot 0 and the slots behind the last row are always zero: the padding.
#[derive(Clone, Copy)]
pub(super) struct Plane([f32; WIDTH]);

impl Plane {
    /// A plane of zeros.
    pub(super) const ZERO: Self = Self([0.0; WIDTH]);

    /// The rows, oldest first.
    pub(super) fn times_mut(&mut self) -> &mut [f32] {
        &mut self.0[1..=ROWS]
    }

    /// Takes over the rows of a computed channel and leaves the padding alone.
    pub(super) fn set(&mut self, times: &[f32; COMPUTED]) {
        self.0[1..=ROWS].copy_from_slice(&times[..ROWS]);
    }

    /// The inputs of one tap for one block of times.
    fn block(&self, start: usize) -> &[f32; LANES] {
        match self.0[start..start + LANES].first_chunk() {
            Some(block) => block,
            None => unreachable!("a slice of {LANES} has that many elements"),
        }
    }
}

/// A convolution with three taps, padding 1 and ReLU, `IN` to `OUT` channels.
#[derive(Clone)]
pub(super) struct Convolution<const IN: usize, const OUT: usize> {
    /// `[group][input][tap][output in group]`: the order in which they are used.
    weights: Vec<[[[f32; GROUP]; KERNEL]; IN]>,
    bias: Vec<[f32; GROUP]>,
}

impl<const IN: usize, const OUT: usize> Convolution<IN, OUT> {
    /// Lays out a weight of shape `[OUT, IN, 3]`.
    pub(super) fn new(layer: &Layer) -> Self {
        let mut weights = vec![[[[0.0; GROUP]; KERNEL]; IN]; OUT / GROUP];
        for (position, weight) in layer.weight.iter().enumerate() {
            let (output, input, tap) = (position / (IN * KERNEL), position / KERNEL % IN, position % KERNEL);
            weights[output / GROUP][input][tap][output % GROUP] = *weight;
        }
        let bias = layer.bias.as_chunks::<GROUP>().0.to_vec();
        Self { weights, bias }
    }

    /// Computes all channels in order and gives each one (after its ReLU) to `take`. Of the
    /// `COMPUTED` times only the first 60 mean something.
    pub(super) fn run(&self, input: &[Plane; IN], mut take: impl FnMut(usize, &[f32; COMPUTED])) {
        for (group, (weights, bias)) in self.weights.iter().zip(&self.bias).enumerate() {
            let mut outputs = [[0.0; COMPUTED]; GROUP];
            for start in (0..COMPUTED).step_by(LANES) {
                let sums = block(weights, bias, input, start);
                for (output, sum) in outputs.iter_mut().zip(&sums) {
                    for (slot, value) in output[start..start + LANES].iter_mut().zip(sum) {
                        *slot = relu(*value);
                    }
                }
            }
            for (member, output) in outputs.iter().enumerate() {
                take(group * GROUP + member, output);
            }
        }
    }
}

/// `GROUP` channels of one block of times: bias first, then inputs in order, taps in order.
#[inline]
fn block<const IN: usize>(
    weights: &[[[f32; GROUP]; KERNEL]; IN],
    bias: &[f32; GROUP],
    input: &[Plane; IN],
    start: usize,
) -> [[f32; LANES]; GROUP] {
    let mut sums = bias.map(|b| [b; LANES]);
    for (taps, plane) in weights.iter().zip(input) {
        for (tap, pair) in taps.iter().enumerate() {
            let values = plane.block(start + tap);
            for (sum, weight) in sums.iter_mut().zip(pair) {
                for lane in 0..LANES {
                    sum[lane] += weight * values[lane];
                }
            }
        }
    }
    sums
}

/// Averages the times of one channel into its 16 bins of the flat, channel-major vector (TA-18).
pub(super) fn pool(times: &[f32; COMPUTED], pooled: &mut [f32; FLAT], channel: usize) {
    let out = &mut pooled[channel * BINS..(channel + 1) * BINS];
    for (bin, slot) in out.iter_mut().enumerate() {
        let (start, end) = pool_bin(bin);
        let sum = times[start..end].iter().fold(0.0, |sum, value| sum + value);
        *slot = sum / (end - start) as f32;
    }
}
