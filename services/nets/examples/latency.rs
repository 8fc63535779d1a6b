//! Time of one forward pass of the three actors: serving path and candle, on this machine.

use std::hint::black_box;
use std::time::Instant;

use tradewind_nets::actor::{Actor, batch};
use tradewind_nets::forward::TacticalForward;
use tradewind_nets::golden;

fn percentiles(name: &str, calls: usize, mut call: impl FnMut(usize)) {
    let mut times: Vec<f64> = (0..calls)
        .map(|i| {
            let start = Instant::now();
            call(i);
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("{name:8} p50 {:8.1} us  p99 {:8.1} us  p99.9 {:8.1} us", at(0.5), at(0.99), at(0.999));
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let weights = golden::stage();
    let inputs: Vec<_> = (0..64).map(golden::self_test_input).collect();
    let mut forward = TacticalForward::new(&weights);
    percentiles("serving", 5_000, |i| {
        let _ = black_box(forward.logits(black_box(&inputs[i % 64])));
    });
    let actors = weights.agents.iter().map(Actor::new).collect::<Result<Vec<_>, _>>()?;
    let tensors = inputs.iter().map(|input| batch(&[*input])).collect::<Result<Vec<_>, _>>()?;
    percentiles("candle", 500, |i| {
        for actor in &actors {
            let _ = black_box(actor.logits(&tensors[i % 64]).and_then(|logits| logits.to_vec2::<f32>()));
        }
    });
    Ok(())
}
