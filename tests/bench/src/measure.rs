//! Latency: warm in interleaved blocks, and with cold caches.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use crate::engine::Engine;

/// Calls of a block that are not timed: the first ones pay for the engine before.
const WARM_UP: usize = 20;
/// Timed calls of a block.
const CALLS: usize = 400;
/// A block ends after this long.
const BLOCK: Duration = Duration::from_millis(120);
/// Blocks of an engine in a repetition.
const BLOCKS: usize = 10;
/// What is touched between calls to make caches cold, in bytes: three times the last cache of most cores' share.
const COLD_BYTES: usize = 96 << 20;
/// Calls with cold caches.
const COLD_CALLS: usize = 150;

/// Percentiles in microseconds, after what reading the clock takes.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
}

impl Latency {
    /// Percentiles of microseconds.
    pub fn of(times: &mut [f64]) -> Self {
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
        Self { p50: at(0.5), p99: at(0.99), p999: at(0.999) }
    }

    /// For each percentile the smaller one.
    pub fn min(self, other: Self) -> Self {
        Self { p50: self.p50.min(other.p50), p99: self.p99.min(other.p99), p999: self.p999.min(other.p999) }
    }
}

/// What two readings of the clock take, in microseconds.
pub fn clock() -> f64 {
    let mut times: Vec<f64> = (0..10_000).map(|_| Instant::now().elapsed().as_secs_f64() * 1e6).collect();
    Latency::of(&mut times).p50
}

fn time(engine: &mut dyn Engine, clock: f64) -> Result<f64> {
    let start = Instant::now();
    engine.run()?;
    Ok((start.elapsed().as_secs_f64() * 1e6 - clock).max(0.0))
}

/// Warm latency of each engine: for each percentile the smallest of the repetitions, because other work on the machine only
/// adds. In a repetition the engines take turns in blocks.
pub fn warm(engines: &mut [Box<dyn Engine>], repetitions: usize) -> Result<Vec<Latency>> {
    let clock = clock();
    let mut best: Vec<Option<Latency>> = vec![None; engines.len()];
    for _ in 0..repetitions {
        let mut times: Vec<Vec<f64>> = vec![Vec::with_capacity(BLOCKS * CALLS); engines.len()];
        for block in 0..BLOCKS {
            for (engine, times) in engines.iter_mut().zip(&mut times) {
                engine.load(block)?;
                for _ in 0..WARM_UP {
                    engine.run()?;
                }
                let start = Instant::now();
                for _ in 0..CALLS {
                    times.push(time(engine.as_mut(), clock)?);
                    if start.elapsed() > BLOCK {
                        break;
                    }
                }
            }
        }
        for (best, times) in best.iter_mut().zip(&mut times) {
            let seen = Latency::of(times);
            *best = Some(best.map_or(seen, |best| best.min(seen)));
        }
    }
    Ok(best.into_iter().flatten().collect())
}

/// Latency when everything that the engine reads has left the caches.
pub fn cold(engines: &mut [Box<dyn Engine>]) -> Result<Vec<Latency>> {
    let clock = clock();
    let mut memory = vec![0u64; COLD_BYTES / 8];
    let mut times: Vec<Vec<f64>> = vec![Vec::with_capacity(COLD_CALLS); engines.len()];
    for _ in 0..COLD_CALLS {
        for (engine, times) in engines.iter_mut().zip(&mut times) {
            for line in memory.chunks_mut(8) {
                line[0] += 1;
            }
            black_box(&mut memory);
            times.push(time(engine.as_mut(), clock)?);
        }
    }
    Ok(times.iter_mut().map(|times| Latency::of(times)).collect())
}
