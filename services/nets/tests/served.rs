//! The serving path beside the reference, for every architecture.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use tradewind_nets::answer::Served;
use tradewind_nets::architecture::{STAGES, Stage};
use tradewind_nets::checkpoint::{Checkpoint, GOLDEN_TOLERANCE};
use tradewind_nets::golden::{self, uniform};
use tradewind_nets::reference::Reference;
use tradewind_nets::served::served;

/// A checkpoint with statistics, where the architecture has some.
fn with_statistics(stage: &'static Stage) -> Checkpoint {
    let mut checkpoint = golden::checkpoint(stage).unwrap();
    for (t, (vector, into)) in (0u32..).zip(stage.vectors.iter().zip(&mut checkpoint.weights.vectors)) {
        if vector.statistic {
            checkpoint.manifest.normaliser = "statistics".to_owned();
            *into = Some((0u32..).take(vector.width).map(|k| 0.5 + uniform(k, 3000 + t) as f32).collect());
        }
    }
    checkpoint
}

/// SU-45, EX-14, RK-23: both give the same answer, to the tolerance of the self-test, with statistics and without.
#[test]
fn served_networks_answer_as_the_reference() {
    for stage in STAGES {
        for checkpoint in [golden::checkpoint(stage).unwrap(), with_statistics(stage)] {
            let mut reference = Reference::new(&checkpoint.manifest, &checkpoint.weights).unwrap();
            let mut networks = served(&checkpoint).unwrap();
            assert_eq!(networks.stage(), stage);
            let width = stage.output_width();
            for input in golden::self_test_inputs(stage, 64) {
                let (mut seen, mut expected) = (vec![f32::NAN; width], vec![0.0; width]);
                networks.outputs(&input, &mut seen).unwrap();
                reference.outputs(&input, &mut expected).unwrap();
                for (output, (seen, expected)) in seen.into_iter().zip(expected).enumerate() {
                    let (seen, expected) = (f64::from(seen), f64::from(expected));
                    let error = (seen - expected).abs() / expected.abs().max(1.0);
                    // Written so that NaN fails.
                    assert!(error <= GOLDEN_TOLERANCE, "{}: output {output} is {seen}, not {expected}", stage.architecture);
                }
            }
        }
    }
}

/// TA-6, EX-10, RK-36: a value that is not finite gets no answer, wherever it stands; another width neither.
#[test]
fn served_networks_refuse_what_the_reference_refuses() {
    for stage in STAGES {
        let mut networks = served(&with_statistics(stage)).unwrap();
        let mut outputs = vec![0.0; stage.output_width()];
        let good = golden::self_test_inputs(stage, 1).remove(0);
        for place in 0..good.len() {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut input = good.clone();
                input[place] = bad;
                assert!(networks.outputs(&input, &mut outputs).is_err(), "{}: {bad} at {place}", stage.architecture);
            }
        }
        assert!(networks.outputs(&good, &mut outputs).is_ok());
        assert!(networks.outputs(&good[1..], &mut outputs).is_err(), "{}", stage.architecture);
    }
}
