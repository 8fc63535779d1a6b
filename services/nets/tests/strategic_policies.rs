//! A strategic checkpoint as it is served.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use tradewind_features::strategic::decision::{Action, Agent, EnsembleWeights, ModelParameters, StrategicNetwork};
use tradewind_features::strategic::{AGENTS, COLUMNS, ROWS, pooled};
use tradewind_nets::answer::Served;
use tradewind_nets::architecture::{Role, strategic};
use tradewind_nets::checkpoint::{Checkpoint, Reason, SelfTest, sha256, write};
use tradewind_nets::golden::{self, uniform};
use tradewind_nets::reference::Reference;
use tradewind_nets::{LoadError, StrategicPolicies};

const CONTEXT: [f64; 6] = [0.8, 1.0, 0.182_321_56, -0.5, -0.866_025_4, 0.333_333_34];

/// A checkpoint in which nothing has its default: columns, statistics, temperatures, ensemble, the switch of ST-47.
fn checkpoint() -> Checkpoint {
    let mut checkpoint = golden::checkpoint(&strategic::STAGE).unwrap();
    let (manifest, weights) = (&mut checkpoint.manifest, &mut checkpoint.weights);
    manifest.normaliser = "statistics".to_owned();
    manifest.regime_volatility_adjust = Some(false);
    let literal = ["mlmi_value", "mlmi_signal", "momentum_50", "mmd_score"].map(str::to_owned).to_vec();
    manifest.features.insert("mlmi".to_owned(), literal);
    for (t, (vector, into)) in (0u32..).zip(strategic::STAGE.vectors.iter().zip(&mut weights.vectors)) {
        *into = Some((0u32..).take(vector.width).map(|k| 0.25 + uniform(k, 2000 + t) as f32).collect());
    }
    checkpoint.golden =
        SelfTest::record(golden::self_test_inputs(&strategic::STAGE, 32), &mut Reference::new(manifest, weights).unwrap())
            .unwrap();
    checkpoint
}

fn matrix(seed: u32) -> [[f32; COLUMNS]; ROWS] {
    let mut rows = [[0.0; COLUMNS]; ROWS];
    for (k, cell) in (0u32..).zip(rows.as_flattened_mut()) {
        *cell = uniform(k, seed) as f32;
    }
    rows
}

/// ST-2, ST-9, ST-13, ST-14: from the rows of a matrix to the logits of candle's networks on the same checkpoint; ST-66: twice the
/// same bits.
#[test]
fn policies_answer_as_the_reference() {
    let checkpoint = checkpoint();
    let bytes = write(&checkpoint).unwrap();
    let mut policies = StrategicPolicies::from_bytes(&bytes, &sha256(&bytes)).unwrap();
    let mut reference = Reference::new(&checkpoint.manifest, &checkpoint.weights).unwrap();
    for (seed, rows) in (0..32).zip((24..=ROWS).cycle()) {
        let matrix = matrix(seed);
        let seen = policies.logits(&matrix[..rows], &CONTEXT).unwrap();
        let mean = pooled(&matrix[..rows]).map(|value| value as f32);
        let mut expected = [0.0; 9];
        reference.outputs(&[&mean[..], &CONTEXT.map(|value| value as f32)].concat(), &mut expected).unwrap();
        for (seen, expected) in seen.as_flattened().iter().zip(expected) {
            assert!((seen - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{seen} instead of {expected}");
        }
        assert_eq!(
            policies.logits(&matrix[..rows], &CONTEXT).unwrap().map(|row| row.map(f32::to_bits)),
            seen.map(|row| row.map(f32::to_bits))
        );
    }
}

/// ST-47, ST-51, ST-54, ST-130, SU-46: what decisions take from the file beside the weights, each from its own place.
#[test]
fn parameters_are_those_of_the_file() {
    let mut checkpoint = checkpoint();
    for (vector, values) in strategic::STAGE.vectors.iter().zip(&mut checkpoint.weights.vectors) {
        match vector.name {
            "agents.mlmi.temperature" => *values = Some(vec![0.1]),
            "agents.nwrqk.temperature" => *values = Some(vec![1.5]),
            "agents.regime.temperature" => *values = Some(vec![10.0]),
            "ensemble_weights" => *values = Some(vec![0.5, -0.25, 2.0]),
            _ => {}
        }
    }
    let bytes = write(&checkpoint).unwrap();
    let policies = StrategicPolicies::from_bytes(&bytes, &sha256(&bytes)).unwrap();
    let ensemble = EnsembleWeights::from_logits([0.5, -0.25, 2.0]).unwrap();
    let expected = ModelParameters::new(sha256(&bytes), [f64::from(0.1f32), 1.5, 10.0], ensemble, false).unwrap();
    assert_eq!((policies.parameters(), policies.sha256()), (&expected, sha256(&bytes).as_str()));
    assert_eq!(policies.manifest(), &checkpoint.manifest);
}

/// Domain, manifest and networks count agents and actions in one order (ruling 1, X-1).
#[test]
fn orders_are_those_of_the_domain() {
    let agents: Vec<_> = strategic::STAGE.agents().map(|agent| agent.id).collect();
    assert_eq!(agents, AGENTS);
    assert_eq!(agents, Agent::ALL.map(Agent::name));
    let names = Action::ALL.map(|action| format!("{action:?}").to_lowercase());
    assert!(strategic::STAGE.agents().all(|agent| agent.actions.iter().eq(&names)));
}

/// ST-58, SU-45: another digest, another role, other statistics than those the self-test was made with.
#[test]
fn what_is_not_as_it_should_be_is_refused() {
    let refused = |bytes: &[u8], sha256: &str| StrategicPolicies::from_bytes(bytes, sha256).map(|_| ()).unwrap_err();
    let good = write(&checkpoint()).unwrap();
    assert!(refused(&good, &sha256(b"other")).has(Reason::DigestMismatch));
    let tactical = write(&golden::checkpoint(Role::Tactical.stage()).unwrap()).unwrap();
    assert!(refused(&tactical, &sha256(&tactical)).has(Reason::WrongRole));
    let place = |name: &str| strategic::STAGE.vectors.iter().position(|vector| vector.name == name).unwrap();
    for (agent, id) in AGENTS.into_iter().enumerate() {
        let mut wrong = checkpoint();
        wrong.weights.vectors[place(&format!("norm.{id}.mean"))].as_mut().unwrap()[0] += 0.01;
        let bytes = write(&wrong).unwrap();
        let faults = refused(&bytes, &sha256(&bytes));
        assert!(faults.has(Reason::GoldenMismatch) && faults.count() == 1, "{faults}");
        assert_eq!(faults.list()[0].subject, format!("golden.{}.logits", AGENTS[agent]));
    }
    let huge = vec![0u8; (16 << 20) + 1];
    assert!(refused(&huge, "").has(Reason::TooLarge));
}

#[test]
fn a_file_is_loaded() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.safetensors");
    let bytes = write(&checkpoint()).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    assert!(StrategicPolicies::load(&path, &sha256(&bytes)).is_ok());
    assert!(matches!(StrategicPolicies::load(&path, &sha256(b"other")), Err(LoadError::Refused { .. })));
    assert!(matches!(StrategicPolicies::load(&directory.path().join("b"), ""), Err(LoadError::Io { .. })));
}

/// ST-58: no clip makes a number of what is none; columns that no agent gathers count too.
#[test]
fn what_is_not_finite_gets_no_answer() {
    let bytes = write(&checkpoint()).unwrap();
    let mut policies = StrategicPolicies::from_bytes(&bytes, &sha256(&bytes)).unwrap();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for (column, name) in tradewind_features::strategic::SCHEMA.columns.into_iter().enumerate() {
            let mut rows = matrix(1);
            rows[7][column] = bad;
            let error = policies.logits(&rows, &CONTEXT).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        for place in 0..CONTEXT.len() {
            let mut context = CONTEXT;
            context[place] = f64::from(bad);
            assert!(policies.logits(&matrix(1), &context).is_err());
        }
    }
    assert!(policies.logits(&matrix(1), &CONTEXT).is_ok());
}
