//! Reference vectors of the networks of every role.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod execution;
mod gradients;
mod risk;
mod strategic;
mod tactical;

use tradewind_nets::architecture::{Network, Step};
use tradewind_nets::reference::{CandleNetwork, batch};
use tradewind_nets::weights::{Layer, NetworkWeights};

/// A network by a formula: `values(layer, step, shape)` gives weight and bias; layers are counted from 0.
fn weights(network: &Network, mut values: impl FnMut(usize, &Step, &[usize]) -> Layer) -> NetworkWeights {
    let steps = network.layers().into_iter().enumerate();
    let layers = steps.map(|(at, step)| values(at, step, &step.layer().unwrap().1)).collect();
    NetworkWeights { attention: network.attention.to_vec(), layers }
}

/// Outputs for one input.
fn outputs(network: &'static Network, weights: &NetworkWeights, input: &[f32]) -> Vec<f32> {
    let candle = CandleNetwork::new(network, weights).unwrap();
    candle.outputs(&batch(&[input]).unwrap()).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Activations after each step of the trunk for one input, flat.
fn activations(network: &'static Network, weights: &NetworkWeights, input: &[f32]) -> Vec<Vec<f32>> {
    let candle = CandleNetwork::new(network, weights).unwrap();
    let all = candle.activations(&batch(&[input]).unwrap()).unwrap();
    all.iter().map(|one| one.flatten_all().unwrap().to_vec1().unwrap()).collect()
}

/// All outputs within the tolerance of networks in f32.
fn near(seen: &[f32], expected: &[f64]) {
    assert_eq!(seen.len(), expected.len());
    for (s, e) in seen.iter().zip(expected) {
        assert!((f64::from(*s) - e).abs() < 1e-5, "{seen:?} instead of {expected:?}");
    }
}

fn softmax(logits: &[f32], temperature: f64) -> Vec<f32> {
    let scaled: Vec<f64> = logits.iter().map(|logit| f64::from(*logit) / temperature).collect();
    let total: f64 = scaled.iter().map(|logit| logit.exp()).sum();
    scaled.iter().map(|logit| (logit.exp() / total) as f32).collect()
}

fn sigmoid(logit: f32) -> f64 {
    1.0 / (1.0 + (-f64::from(logit)).exp())
}

/// The generator of the execution and risk vectors: u(s) in [0, 1).
fn splitmix(s: u64) -> f64 {
    let mut z = s.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / 9_007_199_254_740_992.0
}
