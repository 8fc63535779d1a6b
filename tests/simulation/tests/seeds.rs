//! Stories of fixed seeds, and that a story can end badly.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use tradewind_simulation::seeds;
use tradewind_simulation::story::{Ending, FAULTS};

#[test]
fn nothing_is_lost_doubled_or_beyond_a_limit() {
    let mut sum = Ending::default();
    for seed in 0..400 {
        match seeds::run(seed, 200) {
            Ok(ending) => sum.add(&ending),
            Err(failure) => panic!("{failure}"),
        }
    }
    // What it came to: a simulation in which nothing happens shows nothing.
    let tally = sum.tally;
    assert!(tally.allowed > 2_000 && tally.fills > 1_000 && tally.halts > 50, "{sum}");
    let (met, all) = sum.pairs();
    // Within a bar nothing stays for long.
    assert!(met + FAULTS.len() >= all, "only {met} of {all} pairs of state and fault: {:?}", sum.met);
    assert!(sum.gate_restarts > 400 && sum.trader_restarts > 400, "{sum}");
}

#[test]
fn the_same_seed_tells_the_same_story() {
    assert_eq!(seeds::run(7, 200).unwrap(), seeds::run(7, 200).unwrap());
}
