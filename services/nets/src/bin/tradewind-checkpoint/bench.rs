//! `bench`: how long one decision of a checkpoint takes on this machine.

use std::hint::black_box;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use tradewind_nets::architecture::Use;
use tradewind_nets::checkpoint::Checkpoint;
use tradewind_nets::forward::simd::{Isa, Line, read};
use tradewind_nets::served::served;

/// Calls before the clock is read.
const WARM_UP: usize = 1_000;
/// Readings of the weights; the fastest is the floor.
const READINGS: usize = 1_000;

/// Arguments of `bench`.
#[derive(Args)]
pub(super) struct Bench {
    /// The checkpoint.
    file: PathBuf,
    /// Calls that are timed.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    calls: u32,
}

impl Bench {
    /// Times the stage on the inputs of its self-test and prints p50, p99 and p99.9 in microseconds, beside the time that reading
    /// as many bytes as it has weights takes.
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let bytes = super::read(&self.file)?;
        let checkpoint = match Checkpoint::read(&bytes, super::role_of(&bytes).name()) {
            Ok(checkpoint) => checkpoint,
            Err(faults) => return Ok(super::refused(&faults)),
        };
        let mut networks = served(&checkpoint)?;
        let mut outputs = vec![0.0; networks.stage().output_width()];
        let inputs = &checkpoint.golden.inputs;
        for input in inputs.iter().cycle().take(WARM_UP) {
            networks.outputs(input, &mut outputs)?;
        }
        let mut times = Vec::with_capacity(self.calls as usize);
        for input in inputs.iter().cycle().take(self.calls as usize) {
            times.push(micros(|| black_box(networks.outputs(black_box(input), &mut outputs)).is_ok()));
        }
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        let every = checkpoint.weights.stage.networks.iter().zip(&checkpoint.weights.networks);
        let answering = every.filter(|(network, _)| network.used == Use::Served).filter_map(|(_, weights)| weights.as_ref());
        let weights: usize = answering.flat_map(tradewind_nets::weights::NetworkWeights::values).map(size_of_val).sum();
        let lines = vec![Line::ZERO; weights.div_ceil(size_of::<Line>())];
        let floor = (0..READINGS).map(|_| micros(|| read(Isa::detect(), black_box(&lines)))).fold(f64::INFINITY, f64::min);
        println!("{}: {}, {} calls, {}", self.file.display(), checkpoint.manifest.architecture, self.calls, Isa::detect().name());
        println!("one decision: p50 {:.2} us, p99 {:.2} us, p99.9 {:.2} us", at(0.5), at(0.99), at(0.999));
        println!("reading {weights} bytes of weights alone: {floor:.2} us");
        Ok(ExitCode::SUCCESS)
    }
}

fn micros<T>(call: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    black_box(call());
    start.elapsed().as_secs_f64() * 1e6
}
