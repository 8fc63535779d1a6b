//! TA-V9: golden networks.

use tradewind_nets::architecture::{ACTIONS, AGENTS, COLUMNS, Matrix, ROWS, tactical};
use tradewind_nets::golden;
use tradewind_nets::weights::NetworkWeights;

use crate::{activations, near, outputs, softmax};

fn actor(attention: [f32; COLUMNS]) -> NetworkWeights {
    golden::actor(attention).to_network()
}

/// TA-V9: logits and probabilities of the five cases, one softmax at temperature 1.
#[test]
fn ta_v9_actors() {
    let (m, zero): (Matrix, Matrix) = (golden::matrix(), [[0.0; COLUMNS]; ROWS]);
    let [fvg, momentum, entry] = AGENTS.map(|agent| agent.initial_attention);
    type Case = ([f32; COLUMNS], Matrix, [f64; ACTIONS], [f64; ACTIONS]);
    let cases: [Case; 5] = [
        (fvg, m, [-0.044766255, 0.223440263, -0.079792831], [0.305511714, 0.399492360, 0.294995926]),
        (momentum, m, [0.004817370, 0.471968988, -0.258991206], [0.297303707, 0.474331202, 0.228365091]),
        (entry, m, [0.000473910, 0.146136112, -0.139516404], [0.330450482, 0.382266887, 0.287282631]),
        (fvg, zero, [-0.034947879, 0.089893570, -0.037698862], [0.319466200, 0.361945239, 0.318588561]),
        ([1.0; COLUMNS], m, [0.041318182, 0.819507499, -0.448434743], [0.263831104, 0.574499058, 0.161669838]),
    ];
    for (attention, matrix, logits, probabilities) in cases {
        let seen = outputs(&tactical::STAGE.networks[0], &actor(attention), matrix.as_flattened());
        near(&seen, &logits);
        near(&softmax(&seen, 1.0), &probabilities);
    }
}

/// A sum of thousands of f32 values carries their rounding: relative, not absolute.
fn near_sum(values: &[f32], expected: f64) {
    let sum: f64 = values.iter().copied().map(f64::from).sum();
    assert!((sum / expected - 1.0).abs() < 1e-6, "{sum} instead of {expected}");
}

/// TA-V9, TA-17, TA-18: sums of the intermediate activations of fvg on M, and three values of conv1.
#[test]
fn ta_v9_intermediates() {
    let seen = activations(&tactical::STAGE.networks[0], &actor(AGENTS[0].initial_attention), golden::matrix().as_flattened());
    let sums = [(2, 147.453392917), (4, 248.937723064), (5, 66.329495891), (7, 16.097923871), (9, 8.054041462)];
    for (step, expected) in sums {
        near_sum(&seen[step], expected);
    }
    near(&seen[2][..3], &[0.051160593, 0.076848269, 0.079920801]);
}

/// TA-V9, TA-20: the critic on M three times, and on zeros.
#[test]
fn ta_v9_critic() {
    let (network, weights) = (&tactical::STAGE.networks[3], golden::stage().critic.unwrap());
    let three = golden::matrix().as_flattened().repeat(3);
    let seen = activations(network, &weights, &three);
    for (step, expected) in [(1, 210.205204444), (3, 80.182821586), (5, 38.308466394)] {
        near_sum(&seen[step], expected);
    }
    near(&outputs(network, &weights, &three), &[0.101799358]);
    near(&outputs(network, &weights, &vec![0.0; 3 * ROWS * COLUMNS]), &[0.017572661]);
}
