//! ST-V21..ST-V25 (the part that is networks), SU-V12 and SU-V13.

use tradewind_features::strategic::{CheckedMatrix, MatrixPolicy};
use tradewind_nets::answer::Served;
use tradewind_nets::architecture::strategic::STAGE;
use tradewind_nets::architecture::{Network, Role, Step, Use, View};
use tradewind_nets::checkpoint::{Checkpoint, Manifest, SelfTest, SelfTestSource, convert, write};
use tradewind_nets::golden;
use tradewind_nets::reference::Reference;
use tradewind_nets::served::served;
use tradewind_nets::weights::{Layer, NetworkWeights, StageWeights};

use crate::{activations, near, outputs, softmax, weights};

/// Number of a linear layer, or of the linear layer before a norm.
fn linear(at: usize) -> f64 {
    (at / 2) as f64
}

/// Weights of strategic-1 section 21.3 for agent number `a` (3 is the critic).
fn part_1(network: &Network, a: f64) -> NetworkWeights {
    weights(network, |at, step, shape| {
        let (l, rows) = (linear(at), shape[0]);
        let over = |value: &dyn Fn(f64) -> f64| (0..rows).map(|i| value(i as f64) as f32).collect::<Vec<_>>();
        match *step {
            Step::Dense(_, inputs, _) => {
                let weight =
                    |k: usize| 0.1 * (1.0 + 0.37 * (k / inputs) as f64 + 0.11 * (k % inputs) as f64 + 0.5 * l + 0.7 * a).sin();
                Layer {
                    weight: (0..rows * inputs).map(|k| weight(k) as f32).collect(),
                    bias: over(&|i| 0.01 * (i + l + a).cos()),
                }
            }
            _ => Layer { weight: over(&|i| 1.0 + 0.05 * (i + l).sin()), bias: over(&|i| 0.02 * (i - l).cos()) },
        }
    })
}

/// Weights of SU-V12.
fn part_2(network: &Network) -> NetworkWeights {
    weights(network, |at, step, shape| {
        let (l, rows) = (linear(at), shape[0]);
        match *step {
            Step::Dense(_, inputs, _) => {
                let weight = |k: usize| {
                    (0.37 * l + 0.11 * (k / inputs) as f64 + 0.053 * (k % inputs) as f64).sin() / (inputs as f64).sqrt()
                };
                Layer {
                    weight: (0..rows * inputs).map(|k| weight(k) as f32).collect(),
                    bias: (0..rows).map(|i| (0.01 * (0.2 * i as f64 + l).cos()) as f32).collect(),
                }
            }
            _ => Layer { weight: vec![1.0; rows], bias: vec![0.0; rows] },
        }
    })
}

const X: [f32; 10] = [0.5, 1.0, -0.25, 0.75, 0.8, 1.0, 0.18232156, 0.5, -0.8660254, 0.16666667];

/// ST-V21, ST-50: first layer, statistics and layer norm, logits, probabilities.
#[test]
fn st_v21_policy() {
    let (network, weights) = (&STAGE.networks[0], part_1(&STAGE.networks[0], 0.0));
    let seen = activations(network, &weights, &X);
    near(&seen[0][..4], &[0.37019603, 0.37786968, 0.33016420, 0.24103534]);
    let after_relu: Vec<f64> = seen[1].iter().copied().map(f64::from).collect();
    let mean = after_relu.iter().sum::<f64>() / 256.0;
    let variance = after_relu.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 256.0;
    near(&[mean as f32, variance as f32], &[0.12025845, 0.02104523]);
    near(&seen[2][..4], &[1.74246952, 1.86085467, 1.50403209, 0.81841903]);
    let logits = outputs(network, &weights, &X);
    near(&logits, &[-0.24784592, -0.01273542, 0.22922366]);
    near(&softmax(&logits, 1.0), &[0.25797171, 0.32634673, 0.41568156]);
}

/// ST-V22: the regime policy, nine inputs.
#[test]
fn st_v22_regime() {
    near(&outputs(&STAGE.networks[2], &part_1(&STAGE.networks[2], 2.0), &X[1..]), &[-0.35393989, -0.27260687, -0.16190600]);
}

/// ST-V23, ST-53: the critic.
#[test]
fn st_v23_critic() {
    let mut input: Vec<f32> = (0..13).map(|k| (0.1 * (f64::from(k) - 6.0)) as f32).collect();
    input.extend([0.6, 0.3, 0.1, 0.2, 0.5, 0.3, 0.1, 0.2, 0.7]);
    near(&outputs(&STAGE.networks[3], &part_1(&STAGE.networks[3], 3.0), &input), &[0.28707556]);
}

/// The mean row of ST-V20, then the context of ST-V13.
const MEAN_AND_CONTEXT: [f32; 19] = [
    0.01666667,
    0.0,
    -0.02618489,
    0.01045116,
    0.21886024,
    0.75766016,
    0.0,
    0.0,
    0.08673773,
    0.14208382,
    0.08641899,
    -0.04947694,
    0.05995462,
    0.8,
    1.0,
    0.18232156,
    -0.5,
    -0.8660254,
    0.33333333,
];

fn stage_1() -> StageWeights {
    let mut stage = StageWeights::zeros(&STAGE);
    for (a, (network, into)) in STAGE.networks.iter().zip(&mut stage.networks).enumerate() {
        *into = Some(part_1(network, a as f64));
    }
    stage
}

fn stage_outputs(manifest: &Manifest, weights: &StageWeights, input: &[f32]) -> Vec<f32> {
    let mut all = vec![0.0; 9];
    Reference::new(manifest, weights).unwrap().outputs(input, &mut all).unwrap();
    all
}

/// ST-V24, ST-8, ST-13: the three policies on what they gather; regime with its logits scaled by 1/1.2 (ST-47); the literal
/// columns of an old checkpoint.
#[test]
fn st_v24_end_to_end() {
    let mut manifest = Manifest::of(&STAGE);
    let seen = stage_outputs(&manifest, &stage_1(), &MEAN_AND_CONTEXT);
    near(&seen[..3], &[-0.28108306, -0.05618936, 0.18143420]);
    near(&seen[3..6], &[-0.34962945, -0.30126234, -0.21434484]);
    near(&seen[6..], &[-0.36628312, -0.29090880, -0.18368955]);
    near(&softmax(&seen[..3], 1.0), &[0.26039930, 0.32606929, 0.41353141]);
    near(&softmax(&seen[3..6], 1.0), &[0.31304602, 0.32855930, 0.35839468]);
    near(&softmax(&seen[6..], 1.0), &[0.30500692, 0.32888521, 0.36610787]);
    near(&softmax(&seen[6..], 1.2), &[0.30967666, 0.32975193, 0.36057141]);
    let literal = ["mlmi_value", "mlmi_signal", "momentum_50", "mmd_score"].map(str::to_owned).to_vec();
    manifest.features.insert("mlmi".to_owned(), literal);
    near(&stage_outputs(&manifest, &stage_1(), &MEAN_AND_CONTEXT)[..3], &[-0.27549167, -0.04957463, 0.18817700]);
}

/// ST-V25, last figure: the critic on the mean row and the probabilities of ST-V24.
#[test]
fn st_v25_critic() {
    let seen = stage_outputs(&Manifest::of(&STAGE), &stage_1(), &MEAN_AND_CONTEXT);
    let mut input = MEAN_AND_CONTEXT[..13].to_vec();
    for (logits, divisor) in seen.chunks(3).zip([1.0, 1.0, 1.2]) {
        input.extend(softmax(logits, divisor));
    }
    near(&outputs(&STAGE.networks[3], &part_1(&STAGE.networks[3], 3.0), &input), &[0.37428743]);
}

const OLD: [&str; 3] = ["bearish", "neutral", "bullish"];
/// Context of SU-V9.
const CONTEXT: [f32; 6] = [0.8, 1.0, 0.182_321_56, -0.5, -0.866_025_4, 0.333_333_34];

fn x() -> Vec<f32> {
    [&[0.5, -1.0, 0.25, 1.5], &CONTEXT[..]].concat()
}

/// SU-V12 a, b, d: policies and critic at production widths, in the order of part 2 (bearish first), and the norm after the ReLU.
#[test]
fn su_v12_networks() {
    let [mlmi, _, regime, critic] = STAGE.networks else { unreachable!("three policies and a critic") };
    let seen = outputs(mlmi, &part_2(mlmi), &x());
    near(&seen, &[0.0982239130, 0.4062425286, 0.7096278808]);
    near(&softmax(&seen, 1.0), &[0.2378832140, 0.3236939502, 0.4384228359]);
    near(&softmax(&seen, 2.0), &[0.2837620506, 0.3310089270, 0.3852290224]);
    assert!((seen[0] - 0.8109712).abs() > 0.5, "the norm comes after the ReLU");
    let seen = outputs(regime, &part_2(regime), &[&[0.3, -0.7, 1.1], &CONTEXT[..]].concat());
    near(&seen, &[0.1559123609, 0.4647974694, 0.7683415138]);
    let mut input: Vec<f32> = (0..13).map(|k| (0.1 * (f64::from(k) - 6.0)) as f32).collect();
    input.extend([0.05, 0.10, 0.85, 0.10, 0.15, 0.75, 0.20, 0.25, 0.55]);
    near(&outputs(critic, &part_2(critic), &input), &[0.3961783463]);
}

const fn small(inputs: usize, trunk: &'static [Step], heads: &'static [&'static [Step]]) -> Network {
    Network {
        id: "small",
        prefix: "small",
        actions: &[],
        view: View::Own,
        inputs,
        attention: &[],
        trunk,
        heads,
        used: Use::Served,
    }
}

/// 4-5-3-3.
static TINY: Network = small(
    4,
    &[Step::Dense("0", 4, 5), Step::Relu, Step::Norm("3", 5), Step::Dense("4", 5, 3), Step::Relu, Step::Norm("7", 3)],
    &[&[Step::Dense("8", 3, 3)]],
);
/// 10-64-32-3.
static LITERAL: Network = small(
    10,
    &[Step::Dense("0", 10, 64), Step::Relu, Step::Norm("3", 64), Step::Dense("4", 64, 32), Step::Relu, Step::Norm("7", 32)],
    &[&[Step::Dense("8", 32, 3)]],
);

/// SU-V12 c, e: other widths; the tiny one tells epsilon 1e-5 from 1e-6.
#[test]
fn su_v12_other_widths() {
    near(&outputs(&TINY, &part_2(&TINY), &[1.0, -0.5, 0.25, 2.0]), &[-0.0541110650, -0.0499578175, -0.0450372098]);
    let seen = outputs(&LITERAL, &part_2(&LITERAL), &x());
    near(&seen, &[0.4376360104, 0.5864877490, 0.7284136185]);
    near(&softmax(&seen, 1.0), &[0.2858802573, 0.3317643013, 0.3823554413]);
}

/// What part 2 would say of them: bearish first, the columns of SU-49.
fn old_manifest() -> Manifest {
    let mut manifest = Manifest::of(&STAGE);
    manifest.actions.values_mut().for_each(|actions| *actions = OLD.map(str::to_owned).to_vec());
    let literal = ["mlmi_value", "mlmi_signal", "momentum_50", "mmd_score"].map(str::to_owned).to_vec();
    manifest.features.insert("mlmi".to_owned(), literal);
    manifest
}

/// The networks of SU-V12 in a file.
fn old_file() -> Vec<u8> {
    let (manifest, mut weights) = (old_manifest(), golden::weights(&STAGE));
    for (network, into) in STAGE.networks.iter().zip(&mut weights.networks) {
        *into = Some(part_2(network));
    }
    let inputs = golden::self_test_inputs(&STAGE, 8);
    let golden = SelfTest::record(inputs, &mut Reference::new(&manifest, &weights).unwrap()).unwrap();
    write(&Checkpoint { manifest, weights, golden }).unwrap()
}

fn converted() -> Checkpoint {
    let manifest = serde_json::to_string(&old_manifest()).unwrap();
    let bytes = convert(&old_file(), &manifest, SelfTestSource::File).unwrap();
    Checkpoint::read(&bytes, Role::Strategic.name()).unwrap()
}

/// SU-V12 a mirrored (ruling 1), ST-57: a file with the old order is refused by name; converted it is permuted, self-test and all.
#[test]
fn su_v12_mirrored_by_conversion() {
    let faults = Checkpoint::read(&old_file(), Role::Strategic.name()).unwrap_err();
    assert_eq!((faults.count(), faults.list()[0].subject.as_str()), (1, "manifest.actions"), "{faults}");
    assert!(faults.to_string().contains("bearish"), "{faults}");
    let checkpoint = converted();
    let mlmi = checkpoint.weights.network("mlmi").unwrap();
    near(&outputs(&STAGE.networks[0], mlmi, &x()), &[0.7096278808, 0.4062425286, 0.0982239130]);
    assert_eq!(checkpoint.manifest.actions["mlmi"], ["bullish", "neutral", "bearish"]);
    let mut reference = Reference::new(&checkpoint.manifest, &checkpoint.weights).unwrap();
    let error = checkpoint.golden.run(&mut reference).unwrap();
    assert!(error < 1e-6, "{error}");
    checkpoint.golden.run(served(&checkpoint).unwrap().as_mut()).unwrap();
}

/// SU-V13 mirrored, SU-49: matrix, pooling, gathering, policies, critic. The ensemble is the domain's.
#[test]
fn su_v13_end_to_end() {
    let checkpoint = converted();
    let cells: Vec<f32> = (0..48 * 13).map(|k| (0.05 * f64::from(k / 13) + 0.3 * f64::from(k % 13)).sin() as f32).collect();
    let pooled = CheckedMatrix::new(&cells, 13, MatrixPolicy::default()).unwrap().pooled().map(|mean| mean as f32);
    let seen = stage_outputs(&checkpoint.manifest, &checkpoint.weights, &[&pooled[..], &CONTEXT[..]].concat());
    let expected = [
        [0.4386938861, 0.3238118878, 0.2374942261],
        [0.4385501353, 0.3237372616, 0.2377126031],
        [0.2551331468, 0.3263301977, 0.4185366555],
    ];
    let mut state = pooled.to_vec();
    for (logits, expected) in seen.chunks(3).zip(expected) {
        let probabilities = softmax(logits, 1.0);
        near(&probabilities, &expected);
        // The critic of part 2 was made for its own order.
        state.extend(probabilities.iter().rev());
    }
    near(&outputs(&STAGE.networks[3], checkpoint.weights.network("critic").unwrap(), &state), &[1.1838534422]);
}
