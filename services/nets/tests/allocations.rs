//! A decision allocates nothing, once its networks are there.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use allocation_counter::measure;
use tradewind_features::strategic::decision::StrategicNetwork;
use tradewind_nets::architecture::strategic;
use tradewind_nets::checkpoint::{sha256, write};
use tradewind_nets::forward::{
    ExecutionActor, ExecutionForward, ExecutionLogits, RiskForward, StrategicForward, StrategicInputs, TacticalForward,
};
use tradewind_nets::weights::Layer;
use tradewind_nets::{StrategicPolicies, golden};

fn allocations(mut call: impl FnMut()) -> u64 {
    measure(|| (0..100).for_each(|_| call())).count_total
}

fn layers(widths: &[&[usize]]) -> Vec<Layer> {
    widths.iter().map(|shape| Layer::zeros(shape)).collect()
}

/// From the rows of a matrix to logits, gathering and normaliser with it.
#[test]
fn strategic_policies_do_not_allocate() {
    let bytes = write(&golden::checkpoint(&strategic::STAGE).unwrap()).unwrap();
    let mut policies = StrategicPolicies::from_bytes(&bytes, &sha256(&bytes)).unwrap();
    assert_eq!(allocations(|| assert!(policies.logits(&[[0.1; 13]; 48], &[0.2; 6]).is_ok())), 0);
}

/// The counter counts: an error carries its text.
#[test]
fn the_counter_counts() {
    let mut forward = TacticalForward::new(&golden::stage());
    let mut matrix = golden::matrix();
    matrix[3][2] = f32::NAN;
    assert!(allocations(|| assert!(forward.logits(&matrix).is_err())) >= 100);
}

#[test]
fn no_stage_allocates() {
    let mut tactical = TacticalForward::new(&golden::stage());
    let matrix = golden::matrix();
    assert_eq!(allocations(|| assert!(tactical.logits(&matrix).is_ok())), 0);

    let policy = |inputs| layers(&[&[256, inputs], &[256], &[128, 256], &[128], &[64, 128], &[64], &[3, 64]]);
    let policies = [policy(10), policy(10), policy(9)];
    let mut strategic = StrategicForward::new(policies.each_ref().map(Vec::as_slice)).unwrap();
    let inputs = [StrategicInputs { mlmi: [0.1; 10], nwrqk: [0.2; 10], regime: [0.3; 9] }; 8];
    let mut logits = [[[0.0; 3]; 3]; 8];
    assert_eq!(allocations(|| assert!(strategic.logits(&inputs[0]).is_ok())), 0);
    assert_eq!(allocations(|| assert!(strategic.logits_batch(&inputs, &mut logits).is_ok())), 0);

    let trunk: [&[usize]; 3] = [&[128, 15], &[128], &[64, 128]];
    let head = |outputs: &'static [usize]| layers(&[trunk[0], trunk[1], trunk[2], &[32, 64], outputs]);
    let risk = layers(&[trunk[0], trunk[1], trunk[2], &[32, 64], &[1, 32], &[32, 64], &[1, 32]]);
    let actors = [head(&[5, 32]), head(&[4, 32]), risk];
    let actors = actors.each_ref().map(|layers| ExecutionActor { attention: &[0.1; 15], layers });
    let mut execution = ExecutionForward::new(actors).unwrap();
    let mut logits = [ExecutionLogits::default(); 8];
    assert_eq!(allocations(|| assert!(execution.logits(&[0.5; 15]).is_ok())), 0);
    assert_eq!(allocations(|| assert!(execution.logits_batch(&[[0.5; 15]; 8], &mut logits).is_ok())), 0);

    let actor = |outputs| layers(&[&[128, 26], &[128], &[64, 128], &[32, 64], &[outputs, 32]]);
    let actors = [5, 2, 4, 5].map(actor);
    let mut risk = RiskForward::new(actors.each_ref().map(Vec::as_slice)).unwrap();
    assert_eq!(allocations(|| assert!(risk.logits(&[[0.5; 26]; 4]).is_ok())), 0);
}
