//! Golden networks and inputs made by a formula instead of a file (TA-V9), for self-tests that
//! need neither data nor a random source.

use crate::answer::NoAnswer;
use crate::architecture::{AGENTS, COLUMNS, Matrix, Network, ROWS, Sample, Stage, Step, Use, tactical};
use crate::checkpoint::{Checkpoint, Manifest, SelfTest};
use crate::reference::Reference;
use crate::weights::{ActorWeights, Layer, NetworkWeights, StageWeights, TacticalWeights};

/// Number of a tactical actor's first tensor in the formula.
const ACTOR_TENSOR: u32 = 1;
/// Number of the tactical critic's first tensor in the formula.
const CRITIC_TENSOR: u32 = 11;
/// A bias uses the number of its weight plus this.
const BIAS_OFFSET: u32 = 100;
/// Inputs of a golden checkpoint's self-test.
const INPUTS: usize = 32;

/// The uniform number u(k, t) in [0, 1) of TA-V9: element `k` of tensor `t`.
pub fn uniform(k: u32, t: u32) -> f64 {
    f64::from(hash(k, t)) / 4_294_967_296.0
}

fn hash(k: u32, t: u32) -> u32 {
    let mut h = k.wrapping_add(t.wrapping_mul(1_000_003)).wrapping_add(1).wrapping_mul(2_654_435_761);
    h ^= h >> 16;
    h = h.wrapping_mul(2_246_822_519);
    h ^ (h >> 13)
}

/// Values k = 0.. of tensor `t`, scaled to [-limit, limit).
fn values(count: usize, t: u32, limit: f64) -> Vec<f32> {
    (0u32..).take(count).map(|k| (limit * (2.0 * uniform(k, t) - 1.0)) as f32).collect()
}

/// A network by the formula, its layers numbered from `first`; the gain of a layer norm is near 1.
fn network(network: &Network, first: u32) -> NetworkWeights {
    let layer = |(t, step): (u32, &'static Step)| {
        let (_, shape) = step.layer()?;
        let fan_in: usize = shape[1..].iter().product();
        let limit = if matches!(step, Step::Norm(..)) { 0.1 } else { (6.0 / fan_in as f64).sqrt() };
        let mut weight = values(shape.iter().product(), t, limit);
        if matches!(step, Step::Norm(..)) {
            weight.iter_mut().for_each(|gain| *gain += 1.0);
        }
        Some(Layer { weight, bias: values(shape[0], t + BIAS_OFFSET, 0.05) })
    };
    NetworkWeights { attention: network.attention.to_vec(), layers: (first..).zip(network.layers()).filter_map(layer).collect() }
}

/// The golden tactical actor with the given attention (TA-V9, tensors 1..=5).
pub fn actor(attention: [f32; COLUMNS]) -> ActorWeights {
    let mut actor = ActorWeights::zeros(attention);
    for (into, layer) in actor.layers.iter_mut().zip(network(&tactical::STAGE.networks[0], ACTOR_TENSOR).layers) {
        *into = layer;
    }
    actor
}

/// The golden tactical stage: three actors that differ in attention only, and the critic (TA-V9, tensors 11..=14).
pub fn stage() -> TacticalWeights {
    let critic = network(&tactical::STAGE.networks[AGENTS.len()], CRITIC_TENSOR);
    TacticalWeights { agents: AGENTS.map(|agent| actor(agent.initial_attention)), critic: Some(critic) }
}

/// Weights of any stage by the formula, each network with numbers of its own; no optional networks, no statistics.
pub fn weights(stage: &'static Stage) -> StageWeights {
    let mut weights = StageWeights::zeros(stage);
    for (first, (table, into)) in (0u32..).step_by(20).zip(stage.networks.iter().zip(&mut weights.networks)) {
        if table.used != Use::Optional {
            *into = Some(network(table, 1 + first));
        }
    }
    weights
}

/// A checkpoint of any stage whose self-test is candle's.
///
/// # Errors
/// Never for a stage of this crate.
pub fn checkpoint(stage: &'static Stage) -> Result<Checkpoint, NoAnswer> {
    let (manifest, weights) = (Manifest::of(stage), weights(stage));
    let golden = SelfTest::record(self_test_inputs(stage, INPUTS), &mut Reference::new(&manifest, &weights)?)?;
    Ok(Checkpoint { manifest, weights, golden })
}

/// The golden matrix M of TA-V9: sin(0.1 row + 0.5 column).
pub fn matrix() -> Matrix {
    let mut matrix = [[0.0; COLUMNS]; ROWS];
    for (b, row) in matrix.iter_mut().enumerate() {
        for (f, value) in row.iter_mut().enumerate() {
            *value = (0.1 * b as f64 + 0.5 * f as f64).sin() as f32;
        }
    }
    matrix
}

/// Inputs of a stage's self-test: values that its features can have, number `index` made by u(k, 1000 + index).
pub fn self_test_inputs(stage: &Stage, count: usize) -> Vec<Vec<f32>> {
    (0u32..).take(count).map(|index| self_test_values(stage, index)).collect()
}

fn self_test_values(stage: &Stage, index: u32) -> Vec<f32> {
    let samples = stage.samples.iter().cycle().take(stage.input_width());
    let value = |(k, sample): (u32, &Sample)| {
        let u = uniform(k, 1000 + index);
        match *sample {
            Sample::Flag => f32::from(u8::from(u < 0.4)),
            Sample::Direction => ((u * 3.0).floor() - 1.0) as f32,
            Sample::Sixtieth => ((u * 61.0).floor() / 60.0) as f32,
            Sample::Range(low, high) => low + (high - low) * u as f32,
        }
    };
    (0u32..).zip(samples).map(value).collect()
}

/// Input number `index` of the tactical self-test: a matrix that TA-8 allows.
pub fn self_test_input(index: u32) -> Matrix {
    let mut matrix = [[0.0; COLUMNS]; ROWS];
    matrix.as_flattened_mut().copy_from_slice(&self_test_values(&tactical::STAGE, index));
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::STAGES;

    /// TA-V9: the generator.
    #[test]
    fn ta_v9_hash() {
        assert_eq!([hash(0, 1), hash(1, 1), hash(2, 1)], [2_935_640_427, 1_729_076_260, 1_433_066_554]);
        assert!((uniform(0, 1) - 2_935_640_427.0 / 4_294_967_296.0).abs() < 1e-15);
    }

    #[test]
    fn self_test_inputs_are_model_matrices() {
        for index in 0..32 {
            for row in self_test_input(index) {
                for column in [0, 1, 4] {
                    assert!(row[column] == 0.0 || row[column] == 1.0);
                }
                assert!(
                    row[2].abs() <= 1.0 && (0.0..=1.0).contains(&row[3]) && row[5].abs() < 0.9641 && (0.0..1.0).contains(&row[6])
                );
            }
        }
    }

    #[test]
    fn golden_networks_of_a_stage_differ() {
        for stage in STAGES {
            let weights = weights(stage);
            let present: Vec<_> = weights.networks.iter().flatten().collect();
            for (i, one) in present.iter().enumerate() {
                assert!(present[i + 1..].iter().all(|other| other.layers[0] != one.layers[0]), "{}", stage.architecture);
            }
        }
    }
}
