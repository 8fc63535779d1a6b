//! What the machine can do at best: a stage cannot be faster than its weights can be read, nor than its operations.

use std::hint::black_box;
use std::time::Instant;

use serde::Serialize;
use tradewind_nets::forward::simd::{Isa, Line, peak, read};

use crate::engine::Stage;

/// Repetitions of each measurement; the fastest counts.
const REPETITIONS: usize = 400;
/// Rounds of the measurement of operations; 192 multiplications with addition each.
const ROUNDS: usize = 20_000;

/// The floor of a stage and what it is made of.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Floor {
    /// Bytes of weights.
    pub bytes: usize,
    /// Bytes per nanosecond when as many bytes are read again and again.
    pub bandwidth: f64,
    /// Multiplications with addition of one pass.
    pub operations: usize,
    /// Multiplications with addition per nanosecond.
    pub peak: f64,
    /// The larger of the two times, in microseconds.
    pub us: f64,
}

/// Measures the floor of a stage whose weights take so many bytes.
pub fn measure(stage: Stage, bytes: usize) -> Floor {
    let isa = Isa::detect();
    let lines = vec![Line([1.0; 16]); bytes / size_of::<Line>()];
    let bandwidth = bytes as f64 / fastest(|| read(isa, black_box(&lines)));
    let peak = (ROUNDS * 192) as f64 / fastest(|| peak(isa, black_box(ROUNDS)));
    let operations = operations(stage, bytes);
    let us = (bytes as f64 / bandwidth).max(operations as f64 / peak) / 1e3;
    Floor { bytes, bandwidth, operations, peak, us }
}

/// Nanoseconds of the fastest call.
fn fastest(mut call: impl FnMut() -> f32) -> f64 {
    let times = (0..REPETITIONS).map(|_| {
        let start = Instant::now();
        black_box(call());
        start.elapsed().as_secs_f64() * 1e9
    });
    times.fold(f64::INFINITY, f64::min)
}

/// A dense layer uses each weight once, a convolution for each of its 60 times.
fn operations(stage: Stage, bytes: usize) -> usize {
    const CONVOLUTIONS: usize = 3 * (32 * 7 * 3 + 64 * 32 * 3);
    match stage {
        Stage::Tactical => bytes / 4 + 59 * CONVOLUTIONS,
        Stage::Strategic | Stage::Execution => bytes / 4,
    }
}
