//! RK-V5: golden risk networks.

use tradewind_nets::architecture::risk::{INPUTS, STAGE, STATE_ONLY};
use tradewind_nets::architecture::{Network, Step};
use tradewind_nets::weights::{Layer, NetworkWeights};

use crate::{near, outputs, sigmoid, softmax, splitmix, weights};

/// Linear layers are numbered from 0; the value head, which the vectors do not have, comes last.
fn golden(network: &Network) -> NetworkWeights {
    let mut linear = 0u64;
    weights(network, |_, step, shape| match *step {
        Step::Dense(_, inputs, outputs) => {
            let u = |k: usize| splitmix((linear << 32) | k as u64);
            let limit = (6.0 / inputs as f64).sqrt();
            let layer = Layer {
                weight: (0..inputs * outputs).map(|k| ((2.0 * u(k) - 1.0) * limit) as f32).collect(),
                bias: (0..outputs).map(|r| ((2.0 * u(outputs * inputs + r) - 1.0) * 0.1) as f32).collect(),
            };
            linear += 1;
            layer
        }
        _ => Layer { weight: vec![1.0; shape[0]], bias: vec![0.0; shape[0]] },
    })
}

/// x_k = cos(0.1 k).
fn run(network: &'static Network) -> Vec<f32> {
    let input: Vec<f32> = (0..network.inputs).map(|k| (0.1 * k as f64).cos() as f32).collect();
    outputs(network, &golden(network), &input)
}

/// RK-V5: the generator.
#[test]
fn rk_v5_generator() {
    for (s, expected) in [(0, 0.883_310_808_2), (1, 0.566_561_575_2), (2, 0.591_189_734_2)] {
        assert!((splitmix(s) - expected).abs() < 1e-10);
    }
}

/// RK-V5, RK-30: logits and scores of the critic, on cosines and on zeros.
#[test]
fn rk_v5_critic() {
    let critic = &STAGE.networks[4];
    let seen = run(critic);
    near(&seen[..4], &[-1.7852414576, -0.7170258815, 0.9764409029, -1.3540506644]);
    let scores = |logits: &[f32]| logits[..4].iter().map(|logit| sigmoid(*logit) as f32).collect::<Vec<_>>();
    near(&scores(&seen), &[0.1436571261, 0.3280482400, 0.7264014431, 0.2052089267]);
    let zero = outputs(critic, &golden(critic), &[0.0; INPUTS]);
    near(&scores(&zero), &[0.4863235704, 0.5008171050, 0.5106764022, 0.5069127526]);
}

/// RK-V5, RK-28: the four actors with their context blocks.
#[test]
fn rk_v5_actors() {
    let sizing = run(&STAGE.networks[0]);
    near(&sizing, &[-0.3106428564, 0.4204305970, -0.1826806725, -1.0128465369, 0.2192992118]);
    near(&softmax(&sizing, 1.0), &[0.1560513902, 0.3241670050, 0.1773539691, 0.0773222456, 0.2651053901]);
    let stops = run(&STAGE.networks[1]);
    near(&stops, &[-0.1805175895, 0.3693009429]);
    let boxed: Vec<f32> = stops.iter().map(|u| (0.5 + 2.5 * sigmoid(*u)) as f32).collect();
    near(&boxed, &[1.6374818893, 1.9782251270]);
    let monitor = run(&STAGE.networks[2]);
    near(&monitor, &[-0.3218104725, 0.4011404937, -0.1715728831, -0.9131131005]);
    near(&softmax(&monitor, 1.0), &[0.2093705588, 0.4314090262, 0.2433116860, 0.1159087290]);
    let allocation: Vec<f32> = run(&STAGE.networks[3]).iter().map(|u| sigmoid(*u) as f32).collect();
    near(&allocation, &[0.4229578327, 0.6035862834, 0.4544564190, 0.2664231485, 0.5546061343]);
}

/// RK-V5, RK-23: sizing without a context block.
#[test]
fn rk_v5_state_only() {
    near(&run(&STATE_ONLY.networks[0]), &[-0.6155699776, 2.4232622335, -2.5578869477, -0.9001928512, 0.2168075013]);
}
