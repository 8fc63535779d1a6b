//! `simulation`: stories of many seeds, and what they came to.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use tradewind_simulation::oracle::State;
use tradewind_simulation::seeds;
use tradewind_simulation::story::{Ending, FAULTS};

/// Runs the guard of an account and its traders on faulty disks and links: a story for each seed.
///
/// Exit code 0 when nothing was violated, 1 when a story ended badly; it is printed as short as it could be made.
#[derive(Parser)]
struct Arguments {
    /// Number of seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// First seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Most steps of a story.
    #[arg(long, default_value_t = 200)]
    steps: usize,
}

/// How often what happened in which state.
fn print_pairs(sum: &Ending) {
    print!("{:20}", "");
    State::ALL.iter().for_each(|state| print!(" {:>10}", format!("{state:?}")));
    println!();
    for fault in FAULTS {
        print!("{fault:20}");
        State::ALL.iter().for_each(|state| print!(" {:>10}", sum.met.get(&(*state, fault)).unwrap_or(&0)));
        println!();
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (begun, mut told) = (Instant::now(), Instant::now());
    let (mut sum, mut failed) = (Ending::default(), 0_u32);
    for seed in arguments.from..arguments.from.saturating_add(arguments.seeds) {
        match seeds::run(seed, arguments.steps) {
            Ok(ending) => sum.add(&ending),
            Err(failure) => {
                failed += 1;
                println!("{failure}");
            }
        }
        if told.elapsed() > Duration::from_secs(2) {
            told = Instant::now();
            eprintln!("seed {seed}: {} orders, {failed} failures", sum.tally.checked);
        }
    }
    print_pairs(&sum);
    println!("{} seeds in {:.1} s: {sum}; {failed} ended badly", arguments.seeds, begun.elapsed().as_secs_f64());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
