//! EX-V14 and EX-V15: golden execution networks.

use tradewind_nets::architecture::execution::STAGE;
use tradewind_nets::architecture::{Network, Step};
use tradewind_nets::weights::{Layer, NetworkWeights};

use crate::{near, outputs, sigmoid, softmax, splitmix, weights};

const A: [f32; 15] = [1.0, 0.85, 0.5, 0.7, 0.602_373_35, 0.5, 1.2, 0.018, 0.0, 0.8, 0.0, 0.5, 0.0, 0.0, 0.25];
const B: [f32; 15] = [-1.0, 0.78, 0.4, 0.9, 1.2, 0.3, 0.7, 0.03, -2.0, 0.35, -0.01, 0.75, 0.2, 0.35, 0.9];

fn u(tensor: u64, k: usize) -> f64 {
    splitmix((tensor << 32) + k as u64)
}

/// Number of a layer's weight tensor in the formula.
fn number(name: &str) -> u64 {
    match name {
        "feature_extractor.0" => 1,
        "feature_extractor.3" => 5,
        "policy_head.0" | "stop_loss_head.0" => 7,
        "policy_head.2" | "stop_loss_head.2" => 9,
        "take_profit_head.0" => 11,
        "take_profit_head.2" => 13,
        "network.0" => 0,
        "network.3" => 4,
        "network.6" => 8,
        "network.8" => 10,
        "market_features.0" => 12,
        "market_features.2" => 14,
        _ => unreachable!("{name} has no number"),
    }
}

fn golden(network: &Network, base: u64) -> NetworkWeights {
    weights(network, |_, step, shape| match *step {
        Step::Dense(name, inputs, outputs) => {
            let tensor = base + number(name);
            let limit = 2.0 / (inputs as f64).sqrt();
            Layer {
                weight: (0..inputs * outputs).map(|k| ((2.0 * u(tensor, k) - 1.0) * limit) as f32).collect(),
                bias: (0..outputs).map(|k| ((2.0 * u(tensor + 1, k) - 1.0) * 0.1) as f32).collect(),
            }
        }
        _ => Layer { weight: vec![1.0; shape[0]], bias: vec![0.0; shape[0]] },
    })
}

/// EX-V14: the generator.
#[test]
fn ex_v14_generator() {
    assert!((u(0, 0) - 0.883_310_808_2).abs() < 1e-10 && (u(1, 0) - 0.766_301_757_3).abs() < 1e-10);
    near(&golden(&STAGE.networks[0], 0).layers[0].weight[..3], &[0.27503526, -0.38623351, 0.20752089]);
}

/// EX-V14, EX-15..EX-18: sizing, timing and risk on A and B.
#[test]
fn ex_v14_actors() {
    let run = |at: usize, base: u64, input: &[f32]| outputs(&STAGE.networks[at], &golden(&STAGE.networks[at], base), input);
    near(&run(0, 0, &A), &[-0.5339783, -0.2375109, -0.7365465, 0.0495694, -0.1617310]);
    near(&softmax(&run(0, 0, &A), 1.0), &[0.1561254, 0.2100041, 0.1274968, 0.2798370, 0.2265367]);
    near(&softmax(&run(0, 0, &B), 1.0), &[0.1452254, 0.0937462, 0.1532629, 0.4594594, 0.1483062]);
    near(&softmax(&run(1, 100, &A), 1.0), &[0.1261865, 0.4030137, 0.3244060, 0.1463938]);
    near(&softmax(&run(1, 100, &B), 1.0), &[0.0850797, 0.3547507, 0.3067223, 0.2534473]);
    let multipliers = |seen: Vec<f32>| [(0.5 + 2.5 * sigmoid(seen[0])) as f32, (1.0 + 4.0 * sigmoid(seen[1])) as f32];
    near(&multipliers(run(2, 200, &A)), &[1.4811202, 3.2962519]);
    near(&multipliers(run(2, 200, &B)), &[0.9114155, 2.5510208]);
}

/// EX-V14, EX-13, EX-19: the critic, whose market features are values 4 to 7.
#[test]
fn ex_v14_critic() {
    let critic = golden(&STAGE.networks[3], 300);
    near(&outputs(&STAGE.networks[3], &critic, &A), &[0.7650379]);
    near(&outputs(&STAGE.networks[3], &critic, &B), &[-0.2009727]);
}

/// EX-V15: linear layers of zeros give uniform distributions, the middle of the boxes, and no value.
#[test]
fn ex_v15_zero_weights() {
    for (network, expected) in STAGE.networks.iter().zip([5, 4, 2, 1]) {
        let mut zero = golden(network, 0);
        for (layer, step) in zero.layers.iter_mut().zip(network.layers()) {
            if matches!(step, Step::Dense(..)) {
                *layer = Layer::zeros(&step.layer().unwrap().1);
            }
        }
        assert_eq!(outputs(network, &zero, &A), vec![0.0; expected], "{}", network.id);
    }
    near(&softmax(&[0.0; 5], 1.0), &[0.2; 5]);
    assert_eq!((0.5 + 2.5 * sigmoid(0.0), 1.0 + 4.0 * sigmoid(0.0)), (1.75, 3.0));
}
