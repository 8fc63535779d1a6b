//! Vectors of the specification, and what all stages promise: the same bits in all instructions and in batches, errors instead of guesses.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::simd::Isa;
use super::*;
use crate::architecture::{COLUMNS, Matrix, ROWS};
use crate::golden;
use crate::weights::{Layer, TacticalWeights};

/// SplitMix64 of the vectors EX-V14 and RK-V5, as a number in [0, 1).
fn uniform(x: u64) -> f64 {
    let mut z = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 * (-53f64).exp2()
}

fn dense(inputs: usize, outputs: usize, weight: impl Fn(usize, usize) -> f64, bias: impl Fn(usize) -> f64) -> Layer {
    Layer {
        weight: (0..inputs * outputs).map(|k| weight(k / inputs, k % inputs) as f32).collect(),
        bias: (0..outputs).map(|i| bias(i) as f32).collect(),
    }
}

/// The policy of ST-V21 to V24: agent number `a`.
fn strategic_policy(a: usize, inputs: usize) -> Vec<Layer> {
    let widths = [inputs, 256, 128, 64, 3];
    let mut layers = Vec::new();
    for l in 0..4 {
        let phase = 1.0 + 0.5 * l as f64 + 0.7 * a as f64;
        layers.push(dense(
            widths[l],
            widths[l + 1],
            |i, j| 0.1 * (phase + 0.37 * i as f64 + 0.11 * j as f64).sin(),
            |i| 0.01 * ((i + l + a) as f64).cos(),
        ));
        if l < 3 {
            let gain = |i: usize, _: usize| 1.0 + 0.05 * ((i + l) as f64).sin();
            layers.push(dense(1, widths[l + 1], gain, |i| 0.02 * (i as f64 - l as f64).cos()));
        }
    }
    layers
}

/// The policy of SU-V12.
fn mirrored_policy(inputs: usize) -> Vec<Layer> {
    let widths = [inputs, 256, 128, 64, 3];
    let mut layers = Vec::new();
    for l in 0..4 {
        let fan_in = (widths[l] as f64).sqrt();
        layers.push(dense(
            widths[l],
            widths[l + 1],
            |i, j| (0.37 * l as f64 + 0.11 * i as f64 + 0.053 * j as f64).sin() / fan_in,
            |i| 0.01 * (0.2 * i as f64 + l as f64).cos(),
        ));
        if l < 3 {
            layers.push(dense(1, widths[l + 1], |_, _| 1.0, |_| 0.0));
        }
    }
    layers
}

/// A layer of EX-V14: tensor ids `t` and `t + 1`.
fn execution_layer(inputs: usize, outputs: usize, t: u64) -> Layer {
    let u = |t: u64, k: usize| 2.0 * uniform((t << 32) + k as u64) - 1.0;
    dense(inputs, outputs, |i, j| u(t, i * inputs + j) * 2.0 / (inputs as f64).sqrt(), |i| u(t + 1, i) * 0.1)
}

fn execution_layers(base: u64, heads: &[(u64, usize)]) -> Vec<Layer> {
    let mut layers =
        vec![execution_layer(15, 128, base + 1), dense(1, 128, |_, _| 1.0, |_| 0.0), execution_layer(128, 64, base + 5)];
    for (t, outputs) in heads {
        layers.push(execution_layer(64, 32, base + t));
        layers.push(execution_layer(32, *outputs, base + t + 2));
    }
    layers
}

/// EX-20: sizing, timing, risk.
const ATTENTION: [[f32; 15]; 3] = [
    [0.1, 0.2, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.15, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05],
    [0.1, 0.1, 0.05, 0.2, 0.2, 0.15, 0.1, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.1, 0.1],
    [0.1, 0.15, 0.1, 0.05, 0.05, 0.05, 0.05, 0.2, 0.1, 0.05, 0.15, 0.15, 0.15, 0.05, 0.05],
];

fn execution(isa: Isa) -> ExecutionForward {
    let layers = [execution_layers(0, &[(7, 5)]), execution_layers(100, &[(7, 4)]), execution_layers(200, &[(7, 1), (11, 1)])];
    let [sizing, timing, risk] = [0, 1, 2].map(|a| ExecutionActor { attention: &ATTENTION[a], layers: &layers[a] });
    ExecutionForward::with_isa([sizing, timing, risk], isa).unwrap()
}

/// The actor of RK-V5 with so many outputs.
fn risk_actor(outputs: usize) -> Vec<Layer> {
    let layer = |l: u64, n: usize, m: usize| {
        let u = |k: usize| 2.0 * uniform((l << 32) | k as u64) - 1.0;
        dense(n, m, |r, c| u(r * n + c) * (6.0 / n as f64).sqrt(), |r| u(m * n + r) * 0.1)
    };
    vec![layer(0, 26, 128), dense(1, 128, |_, _| 1.0, |_| 0.0), layer(1, 128, 64), layer(2, 64, 32), layer(3, 32, outputs)]
}

fn close(seen: &[f32], expected: &[f64]) {
    assert_eq!(seen.len(), expected.len());
    for (seen, expected) in seen.iter().zip(expected) {
        assert!((f64::from(*seen) - expected).abs() < 1e-5, "{seen} instead of {expected}");
    }
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let total: f64 = logits.iter().map(|l| f64::from(*l).exp()).sum();
    logits.iter().map(|l| (f64::from(*l).exp() / total) as f32).collect()
}

fn strategic(policy: impl Fn(usize, usize) -> Vec<Layer>, isa: Isa) -> StrategicForward {
    let layers = [policy(0, 10), policy(1, 10), policy(2, 9)];
    StrategicForward::with_isa(layers.each_ref().map(Vec::as_slice), isa).unwrap()
}

/// ST-V21 and ST-V22: policies 0 and 2 on the serving path, in all instructions.
#[test]
fn st_v21_st_v22_forward() {
    let mlmi = [0.5, 1.0, -0.25, 0.75, 0.8, 1.0, 0.182_321_56, 0.5, -0.866_025_4, 0.166_666_67];
    let regime = [1.0, -0.25, 0.75, 0.8, 1.0, 0.182_321_56, 0.5, -0.866_025_4, 0.166_666_67];
    for isa in Isa::available() {
        let logits = strategic(strategic_policy, isa).logits(&StrategicInputs { mlmi, nwrqk: mlmi, regime }).unwrap();
        close(&logits[0], &[-0.24784592, -0.01273542, 0.22922366]);
        close(&softmax(&logits[0]), &[0.25797171, 0.32634673, 0.41568156]);
        close(&logits[2], &[-0.35393989, -0.27260687, -0.16190600]);
    }
}

/// SU-V12 a and b, in the order of outputs that the vector has.
#[test]
fn su_v12_forward() {
    let mlmi = [0.5, -1.0, 0.25, 1.5, 0.8, 1.0, 0.182_321_56, -0.5, -0.866_025_4, 0.333_333_34];
    let regime = [0.3, -0.7, 1.1, 0.8, 1.0, 0.182_321_56, -0.5, -0.866_025_4, 0.333_333_34];
    let mut forward = strategic(|_, inputs| mirrored_policy(inputs), Isa::detect());
    let logits = forward.logits(&StrategicInputs { mlmi, nwrqk: mlmi, regime }).unwrap();
    close(&logits[0], &[0.0982239130, 0.4062425286, 0.7096278808]);
    close(&logits[1], &[0.0982239130, 0.4062425286, 0.7096278808]);
    close(&logits[2], &[0.1559123609, 0.4647974694, 0.7683415138]);
}

/// EX-V14: inputs A and B.
#[test]
fn ex_v14_forward() {
    let a = [1.0, 0.85, 0.5, 0.7, 0.602_373_35, 0.5, 1.2, 0.018, 0.0, 0.8, 0.0, 0.5, 0.0, 0.0, 0.25];
    let b = [-1.0, 0.78, 0.4, 0.9, 1.2, 0.3, 0.7, 0.03, -2.0, 0.35, -0.01, 0.75, 0.2, 0.35, 0.9];
    for isa in Isa::available() {
        let mut forward = execution(isa);
        let seen = forward.logits(&a).unwrap();
        close(&seen.sizing, &[-0.5339783, -0.2375109, -0.7365465, 0.0495694, -0.1617310]);
        close(&softmax(&seen.sizing), &[0.1561254, 0.2100041, 0.1274968, 0.2798370, 0.2265367]);
        close(&softmax(&seen.timing), &[0.1261865, 0.4030137, 0.3244060, 0.1463938]);
        let sigmoid = |x: f32| 1.0 / (1.0 + (-f64::from(x)).exp());
        let bounds = |risk: [f32; 2]| [(0.5 + 2.5 * sigmoid(risk[0])) as f32, (1.0 + 4.0 * sigmoid(risk[1])) as f32];
        close(&bounds(seen.risk), &[1.4811202, 3.2962519]);
        let seen = forward.logits(&b).unwrap();
        close(&softmax(&seen.sizing), &[0.1452254, 0.0937462, 0.1532629, 0.4594594, 0.1483062]);
        close(&softmax(&seen.timing), &[0.0850797, 0.3547507, 0.3067223, 0.2534473]);
        close(&bounds(seen.risk), &[0.9114155, 2.5510208]);
    }
}

fn risk(isa: Isa) -> RiskForward {
    let layers = [5, 2, 4, 5].map(risk_actor);
    RiskForward::with_isa(layers.each_ref().map(Vec::as_slice), isa).unwrap()
}

/// RK-V5: the four actors.
#[test]
fn rk_v5_forward() {
    let input: [f32; 26] = std::array::from_fn(|k| (0.1 * k as f64).cos() as f32);
    let first = [-0.3106428564, 0.4204305970, -0.1826806725, -1.0128465369, 0.2192992118];
    for isa in Isa::available() {
        let seen = risk(isa).logits(&[input; 4]).unwrap();
        close(&seen.sizing, &first);
        close(&seen.stops, &[-0.1805175895, 0.3693009429]);
        close(&seen.monitor, &[-0.3218104725, 0.4011404937, -0.1715728831, -0.9131131005]);
        close(&seen.allocation, &first);
    }
}

/// ST-55, EX-16 to EX-18, TA-17: nothing is left out of a block, and little is added.
#[test]
fn blocks_hold_all_weights() {
    let holds = |bytes: usize, parameters: usize| {
        let least = 4 * parameters;
        assert!((least..least + least / 20).contains(&bytes), "{bytes} bytes for {parameters} parameters");
    };
    holds(strategic(strategic_policy, Isa::detect()).bytes(), 2 * 45_059 + 44_803);
    holds(execution(Isa::detect()).bytes(), 12_805 + 12_772 + 14_786);
    holds(TacticalForward::new(&TacticalWeights::zeros()).bytes(), 3 * 302_595);
}

/// A layer that is missing and a tensor of another length are named.
#[test]
fn wrong_layers_are_named() {
    let right = [strategic_policy(0, 10), strategic_policy(1, 10), strategic_policy(2, 9)];
    let slices = right.each_ref().map(Vec::as_slice);
    let error = StrategicForward::new([slices[0], &slices[1][..6], slices[2]]).err().unwrap();
    assert!(matches!(error, LayoutError::Count { agent: "nwrqk", expected: 7, seen: 6, .. }), "{error}");
    let error = StrategicForward::new([slices[0], slices[1], slices[0]]).err().unwrap().to_string();
    assert_eq!(error, "weight of network.0 of agent regime has 2560 numbers, 2304 are needed");
    let mut wrong = right[2].clone();
    wrong[5].bias.pop();
    let error = StrategicForward::new([slices[0], slices[1], &wrong]).err().unwrap().to_string();
    assert_eq!(error, "bias of network.11 of agent regime has 63 numbers, 64 are needed");
}

/// EX-10: not finite means no answer, and the next call is not affected.
#[test]
fn inputs_that_are_not_finite_fail_closed() {
    let mut forward = execution(Isa::detect());
    let before = forward.logits(&[0.5; 15]).unwrap();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut context = [0.5; 15];
        context[7] = bad;
        let error = forward.logits(&context).unwrap_err();
        assert_eq!(error, ForwardError::Feature { agent: "position_sizing", index: 7, value: bad.to_string() });
        let mut logits = [ExecutionLogits::default(); 2];
        assert!(forward.logits_batch(&[[0.5; 15], context], &mut logits).is_err());
    }
    assert_eq!(forward.logits(&[0.5; 15]).unwrap(), before);
}

/// Numbers of a seed: of both signs and many magnitudes, zeros of both signs and numbers below the normal range among them.
fn numbers(seed: u64, scale: f32) -> impl Iterator<Item = f32> {
    (0..).map(move |k| {
        let u = uniform(seed.wrapping_mul(0x2545_F491_4F6C_DD1D).wrapping_add(k));
        let value = (2.0 * uniform(k ^ seed.rotate_left(17)) - 1.0) as f32 * scale;
        match u {
            u if u < 0.01 => 0.0,
            u if u < 0.02 => -0.0,
            u if u < 0.03 => value * 1e-42,
            u if u < 0.05 => value * 30.0,
            _ => value,
        }
    })
}

fn fill(layer: &Layer, numbers: &mut impl Iterator<Item = f32>) -> Layer {
    let mut take = |count: usize| numbers.take(count).collect();
    Layer { weight: take(layer.weight.len()), bias: take(layer.bias.len()) }
}

fn take<const N: usize>(numbers: &mut impl Iterator<Item = f32>) -> [f32; N] {
    std::array::from_fn(|_| numbers.next().unwrap_or_default())
}

/// Bits, or the error: what must be the same.
fn bits<const N: usize>(result: Result<[f32; N], ForwardError>) -> Result<[u32; N], ForwardError> {
    result.map(|values| values.map(f32::to_bits))
}

fn flat<const N: usize>(rows: &[&[f32]]) -> [f32; N] {
    let mut values = rows.iter().flat_map(|row| row.iter().copied());
    std::array::from_fn(|_| values.next().unwrap())
}

fn of_execution(logits: ExecutionLogits) -> [f32; 11] {
    flat(&[&logits.sizing, &logits.timing, &logits.risk])
}

/// Bits of outputs whose weights and inputs are made without a function of the C library: equal on every kind of machine that
/// runs this test, not only in every instruction set of one.
#[test]
fn bits_are_those_of_every_machine() {
    let mut source = numbers(7, 0.3);
    let policies =
        [10, 10, 9].map(|inputs| strategic_policy(0, inputs).iter().map(|layer| fill(layer, &mut source)).collect::<Vec<_>>());
    let inputs = StrategicInputs { mlmi: take(&mut source), nwrqk: take(&mut source), regime: take(&mut source) };
    let vectors: [[f32; 26]; 4] = std::array::from_fn(|_| take(&mut source));
    for isa in Isa::available() {
        let strategic = StrategicForward::with_isa(policies.each_ref().map(Vec::as_slice), isa).unwrap().logits(&inputs).unwrap();
        let tactical = TacticalForward::with_isa(&golden::stage(), isa).logits(&golden::self_test_input(0)).unwrap();
        let execution = of_execution(execution(isa).logits(&vectors[0].first_chunk().copied().unwrap()).unwrap());
        let risk = risk(isa).logits(&vectors).unwrap();
        let all = [
            strategic.as_flattened(),
            tactical.as_flattened(),
            &execution,
            &risk.sizing,
            &risk.stops,
            &risk.monitor,
            &risk.allocation,
        ];
        let bytes: Vec<u8> = all.concat().iter().flat_map(|value| value.to_bits().to_le_bytes()).collect();
        assert_eq!(
            hex::encode(Sha256::digest(bytes)),
            "b98a0b3d3367f1a0405ea8af46edefded2591502eca5fdfe3a08ff880c55e73d",
            "{}",
            isa.name()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// All instructions give the bits of the portable path; so do batches of one to eight. A scale of 1e30 overflows.
    #[test]
    fn strategic_bits_are_the_same_everywhere(seed: u64, scale in prop_oneof![8 => 0.05f32..2.0, 1 => Just(1e30f32)]) {
        let mut source = numbers(seed, scale);
        let layers = [10, 10, 9].map(|inputs| strategic_policy(0, inputs).iter().map(|layer| fill(layer, &mut source)).collect::<Vec<_>>());
        let mut source = numbers(seed ^ 1, 1.0);
        let inputs: Vec<_> = (0..8)
            .map(|_| StrategicInputs { mlmi: take(&mut source), nwrqk: take(&mut source), regime: take(&mut source) })
            .collect();
        let make = |isa| StrategicForward::with_isa(layers.each_ref().map(Vec::as_slice), isa).unwrap();
        let run = |isa: Isa| inputs.iter().map(|input| bits(make(isa).logits(input).map(|rows| flat::<9>(&rows.each_ref().map(|row| row.as_slice()))))).collect::<Vec<_>>();
        let portable = run(*Isa::available().last().unwrap());
        for isa in Isa::available() {
            prop_assert_eq!(&run(isa), &portable, "{}", isa.name());
            for count in 1..=8 {
                let mut logits = vec![[[0.0; 3]; 3]; count];
                let answer = make(isa).logits_batch(&inputs[..count], &mut logits);
                prop_assert_eq!(answer.is_ok(), portable[..count].iter().all(Result::is_ok));
                if answer.is_ok() {
                    for (seen, expected) in logits.iter().zip(&portable) {
                        prop_assert_eq!(&bits(Ok(flat::<9>(&seen.each_ref().map(|row| row.as_slice())))), expected);
                    }
                }
            }
        }
    }

    /// The same for the execution actors.
    #[test]
    fn execution_bits_are_the_same_everywhere(seed: u64, scale in prop_oneof![8 => 0.05f32..2.0, 1 => Just(1e30f32)]) {
        let mut source = numbers(seed, scale);
        let layers = [execution_layers(0, &[(7, 5)]), execution_layers(0, &[(7, 4)]), execution_layers(0, &[(7, 1), (11, 1)])]
            .map(|layers| layers.iter().map(|layer| fill(layer, &mut source)).collect::<Vec<_>>());
        let attention = take::<15>(&mut source);
        let contexts: Vec<[f32; 15]> = (0..8).map(|_| take(&mut source)).collect();
        let make = |isa| {
            ExecutionForward::with_isa(layers.each_ref().map(|layers| ExecutionActor { attention: &attention, layers }), isa).unwrap()
        };
        let run = |isa: Isa| contexts.iter().map(|context| bits(make(isa).logits(context).map(of_execution))).collect::<Vec<_>>();
        let portable = run(*Isa::available().last().unwrap());
        for isa in Isa::available() {
            prop_assert_eq!(&run(isa), &portable, "{}", isa.name());
            let mut logits = [ExecutionLogits::default(); 8];
            let answer = make(isa).logits_batch(&contexts, &mut logits);
            prop_assert_eq!(answer.is_ok(), portable.iter().all(Result::is_ok));
            if answer.is_ok() {
                for (seen, expected) in logits.into_iter().zip(&portable) {
                    prop_assert_eq!(&bits(Ok(of_execution(seen))), expected);
                }
            }
        }
    }

    /// The same for the tactical actors.
    #[test]
    fn tactical_bits_are_the_same_everywhere(seed: u64, scale in prop_oneof![8 => 0.05f32..0.5, 1 => Just(1e15f32)]) {
        let mut source = numbers(seed, scale);
        let mut weights = TacticalWeights::zeros();
        for tensor in weights.agents.iter_mut().flat_map(|agent| agent.tensors_mut()) {
            tensor.iter_mut().for_each(|value| *value = source.next().unwrap_or_default());
        }
        let mut matrix: Matrix = [[0.0; COLUMNS]; ROWS];
        matrix.iter_mut().for_each(|row| *row = take(&mut source));
        let run = |isa| bits(TacticalForward::with_isa(&weights, isa).logits(&matrix).map(|rows| flat::<9>(&rows.each_ref().map(|row| row.as_slice()))));
        let portable = run(*Isa::available().last().unwrap());
        for isa in Isa::available() {
            prop_assert_eq!(&run(isa), &portable, "{}", isa.name());
        }
    }
}
