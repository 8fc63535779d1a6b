//! Networks can be trained: gradients of every variable of every network are those of finite differences.

use candle_core::Tensor;
use tradewind_nets::architecture::{Network, STAGES, Step};
use tradewind_nets::golden::uniform;
use tradewind_nets::reference::{CandleNetwork, batch};
use tradewind_nets::weights::{Layer, NetworkWeights};

use crate::weights;

/// Samples of a batch.
const SAMPLES: usize = 4;

fn start(network: &Network) -> NetworkWeights {
    weights(network, |at, step, shape| {
        let draw =
            |count: usize, tensor: u32, limit: f64| (0..count as u32).map(move |k| limit * (2.0 * uniform(k, tensor) - 1.0));
        let fan_in: usize = shape[1..].iter().product();
        let (base, limit) = if matches!(step, Step::Norm(..)) { (1.0, 0.2) } else { (0.0, (6.0 / fan_in as f64).sqrt()) };
        Layer {
            weight: draw(shape.iter().product(), at as u32, limit).map(|value| (base + value) as f32).collect(),
            bias: draw(shape[0], 100 + at as u32, 0.1).map(|value| value as f32).collect(),
        }
    })
}

/// Half the sum of the squared outputs.
fn loss(network: &CandleNetwork, inputs: &Tensor) -> Tensor {
    (network.outputs(inputs).unwrap().sqr().unwrap().sum_all().unwrap() * 0.5).unwrap()
}

/// A step of length `e` along the gradient changes the loss by `e` times the gradient's length, to first order.
#[test]
fn gradients_are_those_of_finite_differences() {
    for stage in STAGES {
        for network in stage.networks {
            let rows: Vec<Vec<f32>> = (0..SAMPLES as u32)
                .map(|sample| (0..network.inputs as u32).map(|k| (2.0 * uniform(k, 200 + sample) - 1.0) as f32).collect())
                .collect();
            let (inputs, candle) = (batch(&rows).unwrap(), CandleNetwork::new(network, &start(network)).unwrap());
            let gradients = loss(&candle, &inputs).backward().unwrap();
            for (variable, spec) in candle.variables().iter().zip(network.tensors()) {
                let gradient = gradients.get(variable).unwrap_or_else(|| panic!("{} has no gradient", spec.name));
                let length = f64::from(gradient.sqr().unwrap().sum_all().unwrap().sqrt().unwrap().to_scalar::<f32>().unwrap());
                assert!(length > 1e-4, "{}: a gradient of {length} trains nothing", spec.name);
                let (before, step) = (variable.as_tensor().copy().unwrap(), 5e-4);
                let along = |sign: f64| {
                    let moved = (&before + (gradient * (sign * step / length)).unwrap()).unwrap();
                    variable.set(&moved).unwrap();
                    f64::from(loss(&candle, &inputs).to_scalar::<f32>().unwrap())
                };
                let seen = (along(1.0) - along(-1.0)) / (2.0 * step);
                variable.set(&before).unwrap();
                assert!((seen / length - 1.0).abs() < 0.05, "{}: {seen} along a gradient of {length}", spec.name);
            }
        }
    }
}
