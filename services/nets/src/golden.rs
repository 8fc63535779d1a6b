//! Golden networks and inputs made by a formula instead of a file (TA-V9), for self-tests that
//! need neither data nor a random source.

use crate::architecture::{ACTOR_LAYERS, AGENTS, COLUMNS, CRITIC_WIDTHS, Matrix, ROWS};
use crate::weights::{ActorWeights, CriticWeights, Layer, TacticalWeights};

/// Number of the critic's first tensor in the formula; the actor's are 1..=5.
const CRITIC_TENSOR: u32 = 11;
/// A bias uses the number of its weight plus this.
const BIAS_OFFSET: u32 = 100;

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

fn layer(shape: &[usize], t: u32) -> Layer {
    let fan_in: usize = shape[1..].iter().product();
    Layer {
        weight: values(shape.iter().product(), t, (6.0 / fan_in as f64).sqrt()),
        bias: values(shape[0], t + BIAS_OFFSET, 0.05),
    }
}

/// The golden actor with the given attention (TA-V9, tensors 1..=5).
pub fn actor(attention: [f32; COLUMNS]) -> ActorWeights {
    let mut t = 0;
    let layers = ACTOR_LAYERS.map(|(_, shape)| {
        t += 1;
        layer(shape, t)
    });
    ActorWeights { attention, layers }
}

/// The golden critic (TA-V9, tensors 11..=14).
pub fn critic() -> CriticWeights {
    let at = |i: usize, t: u32| layer(&[CRITIC_WIDTHS[i + 1], CRITIC_WIDTHS[i]], t);
    CriticWeights { layers: [at(0, CRITIC_TENSOR), at(1, CRITIC_TENSOR + 1), at(2, CRITIC_TENSOR + 2), at(3, CRITIC_TENSOR + 3)] }
}

/// The golden stage: three actors that differ in attention only, and the critic.
pub fn stage() -> TacticalWeights {
    TacticalWeights { agents: AGENTS.map(|agent| actor(agent.initial_attention)), critic: Some(critic()) }
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

/// Input number `index` of a checkpoint's self-test: values that a model matrix of TA-8 can hold
/// (zeros and ones in columns 0, 1 and 4, ranges elsewhere), made by u(k, 1000 + index).
pub fn self_test_input(index: u32) -> Matrix {
    let mut matrix = [[0.0; COLUMNS]; ROWS];
    let mut k = 0;
    for row in &mut matrix {
        for (column, value) in row.iter_mut().enumerate() {
            let u = uniform(k, 1000 + index);
            *value = match column {
                0 | 1 | 4 => f32::from(u8::from(u < 0.4)),
                2 => (2.0 * u - 1.0) as f32,
                3 => ((u * 61.0).floor() / 60.0) as f32,
                5 => ((2.0 * u - 1.0) * 0.964) as f32,
                _ => (u * 0.98) as f32,
            };
            k += 1;
        }
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
