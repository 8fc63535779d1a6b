//! The checkpoint file: written, read, judged, refused.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use tradewind_core::calendar::CalendarName;
use tradewind_features::tactical::Network;
use tradewind_nets::architecture::{Role, STAGES, TensorSpec, Use, tactical};
use tradewind_nets::checkpoint::{
    Checkpoint, Manifest, Reason, SelfTest, SelfTestSource, Verdict, VerificationReport, claimed_role, convert, sha256, verify,
    write,
};
use tradewind_nets::forward::TacticalForward;
use tradewind_nets::spoil::{SPOILS, Spoil, spoil};
use tradewind_nets::{LoadError, TacticalNetwork, golden};

fn checkpoint(with_critic: bool) -> Checkpoint {
    let mut weights = golden::stage();
    if !with_critic {
        weights.critic = None;
    }
    let inputs = golden::self_test_inputs(&tactical::STAGE, 32);
    let golden = SelfTest::record(inputs, &mut TacticalForward::new(&weights)).unwrap();
    let mut manifest = Manifest::tactical();
    manifest.metrics = BTreeMap::from([("sharpe".to_owned(), 0.25), ("turnover".to_owned(), 12.5)]);
    manifest.seeds = vec![7];
    Checkpoint { manifest, weights: weights.to_stage(), golden }
}

fn file() -> Vec<u8> {
    write(&checkpoint(false)).unwrap()
}

/// A clock that moves 1,500 ns at each look: every pass takes that long.
fn clock() -> impl FnMut() -> u64 {
    let mut now = 0;
    move || {
        now += 1_500;
        now
    }
}

fn judge(bytes: &[u8]) -> VerificationReport {
    verify(bytes, &sha256(bytes), "Tactical", &mut clock())
}

#[test]
fn what_is_written_is_read() {
    for with_critic in [false, true] {
        let written = checkpoint(with_critic);
        let bytes = write(&written).unwrap();
        assert_eq!(bytes, write(&written).unwrap(), "the same checkpoint gives the same bytes");
        assert_eq!(Checkpoint::read(&bytes, "Tactical").unwrap(), written);
        let public = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(public.tensor("agents.entry.conv2.weight").unwrap().shape(), [64, 32, 3]);
    }
}

#[test]
fn a_good_file_is_verified_with_figures() {
    let bytes = write(&checkpoint(true)).unwrap();
    let report = judge(&bytes);
    assert_eq!((report.verdict, report.reason), (Verdict::Verified, None), "{}", report.message);
    let figures = &report.figures;
    assert_eq!(figures.size_bytes, bytes.len() as u64);
    assert_eq!(figures.parameters, Some(3 * 302_602 + 809_985));
    assert_eq!(figures.architecture.as_deref(), Some("tactical-conv-60x7-v1"));
    assert_eq!(figures.feature_schema.as_deref(), Some("tactical-60x7-v1"));
    assert_eq!(figures.golden_max_error, Some(0.0));
    assert_eq!((figures.latency_p50_us, figures.latency_p99_us), (Some(1.5), Some(1.5)));
    assert_eq!(figures.metrics["sharpe"], 0.25);
}

/// Each fault of issue 3 with its reason, and a message that names the place.
#[test]
fn each_spoiled_file_has_its_reason() {
    let good = file();
    let named = [
        (Spoil::WrongShape, "agents.entry.fc3.weight: is F32 [128, 3], must be F32 [3, 128]"),
        (Spoil::MissingTensor, "agents.momentum.fc2.bias: not in the file"),
        (Spoil::Nan, "agents.fvg.fc1.weight: element 12345 is NaN (1 of 262144"),
        (Spoil::WrongRole, "manifest.role: is Execution, Tactical was asked for"),
        (Spoil::Golden, "golden.momentum.logits: logit 0 of input 3"),
        (Spoil::Schema, "manifest.featureSchema: is tactical-60x9-v7, this release implements tactical-60x7-v1"),
        (Spoil::Truncated, "its data ends at byte"),
    ];
    for kind in SPOILS {
        let bad = spoil(&good, kind).unwrap();
        let expected = if kind == Spoil::FlippedByte { sha256(&good) } else { sha256(&bad) };
        let report = verify(&bad, &expected, "Tactical", &mut clock());
        assert_eq!(report.reason, kind.reason(), "{}: {}", kind.name(), report.message);
        let verdict = if kind.reason().is_some() { Verdict::Rejected } else { Verdict::Verified };
        assert_eq!(report.verdict, verdict, "{}", kind.name());
        if let Some((_, text)) = named.iter().find(|(named, _)| *named == kind) {
            assert!(report.message.contains(text), "{}: {}", kind.name(), report.message);
        }
        let loaded = TacticalNetwork::from_bytes(&bad, &expected);
        assert_eq!(loaded.is_err(), kind.reason().is_some(), "{}: serving and verification must agree", kind.name());
    }
}

/// A file that was cut on the way is called cut, although its digest is wrong as well.
#[test]
fn a_cut_file_is_truncated_and_has_the_wrong_digest() {
    let good = file();
    let cut = spoil(&good, Spoil::Truncated).unwrap();
    let report = verify(&cut, &sha256(&good), "Tactical", &mut clock());
    assert_eq!(report.reason, Some(Reason::Truncated), "{}", report.message);
    assert_eq!(report.faults.iter().map(|fault| fault.reason).collect::<Vec<_>>(), [Reason::DigestMismatch]);
}

#[test]
fn every_violation_is_reported_at_once() {
    let mut wrong = checkpoint(false);
    wrong.manifest.agents.reverse();
    wrong.manifest.actions.get_mut("fvg").unwrap().reverse();
    wrong.manifest.feature_schema_digest = "00".repeat(32);
    wrong.manifest.training_data_digest = "unknown".to_owned();
    wrong.manifest.temperatures.insert("entry".to_owned(), -1.0);
    wrong.weights.networks[2].as_mut().unwrap().layers[0].bias[5] = f32::INFINITY;
    wrong.weights.networks[1].as_mut().unwrap().attention[0] = f32::NAN;
    let faults = Checkpoint::read(&write(&wrong).unwrap(), "Tactical").unwrap_err();
    let found: Vec<_> = faults.list().iter().map(|fault| (fault.reason, fault.subject.as_str())).collect();
    let expected = [
        (Reason::UnknownFeatureSchema, "manifest.featureSchemaDigest"),
        (Reason::BadActionOrder, "manifest.agents"),
        (Reason::BadActionOrder, "manifest.actions"),
        (Reason::BadFormat, "manifest.temperatures"),
        (Reason::BadFormat, "manifest.trainingDataDigest"),
        (Reason::NotFinite, "agents.momentum.attention_weights"),
        (Reason::NotFinite, "agents.entry.conv1.bias"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn another_role_is_refused_whoever_is_wrong() {
    let good = file();
    let report = verify(&good, &sha256(&good), "Strategic", &mut clock());
    assert_eq!(report.reason, Some(Reason::WrongRole), "{}", report.message);
}

/// The report fits into a termination message whatever the file holds.
#[test]
fn a_report_is_small() {
    let mut wrong = checkpoint(false);
    for (i, actor) in wrong.weights.networks.iter_mut().flatten().enumerate() {
        for values in actor.values_mut() {
            values[i] = f32::NAN;
        }
    }
    wrong.manifest.metrics = (0..64).map(|i| (format!("{i:0>64}"), f64::from(i))).collect();
    wrong.manifest.feature_schema = "\u{0}".repeat(250);
    for report in [judge(&write(&wrong).unwrap()), judge(&file()), VerificationReport::unreachable(&"\u{1}".repeat(9_000))] {
        let text = report.to_json().unwrap();
        assert!(text.len() <= 4096, "{} bytes", text.len());
        let back: VerificationReport = serde_json::from_str(&text).unwrap();
        assert_eq!((back.verdict, back.reason), (report.verdict, report.reason));
    }
    let mut good = checkpoint(false);
    good.manifest.metrics = (0..64).map(|i| (format!("{i:0>64}"), f64::from(i))).collect();
    let text = judge(&write(&good).unwrap()).to_json().unwrap();
    assert!(text.len() <= 4096 && text.contains(r#""verdict":"Verified""#), "{text}");
}

#[test]
fn a_file_is_loaded_and_served() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.safetensors");
    let bytes = file();
    std::fs::write(&path, &bytes).unwrap();
    let mut network = TacticalNetwork::load(&path, &sha256(&bytes)).unwrap();
    assert_eq!(network.sha256(), sha256(&bytes));
    assert_eq!(network.manifest(), &checkpoint(false).manifest);
    let expected = TacticalForward::new(&golden::stage()).logits(&golden::matrix()).unwrap();
    assert_eq!(network.logits(&golden::matrix()).unwrap(), expected);
    assert!(matches!(TacticalNetwork::load(&path, &sha256(b"other")), Err(LoadError::Refused { .. })));
    assert!(matches!(TacticalNetwork::load(&directory.path().join("b"), ""), Err(LoadError::Io { .. })));
}

#[test]
fn a_huge_file_is_refused_by_size() {
    let huge = vec![0u8; (16 << 20) + 1];
    let report = verify(&huge, "", "Tactical", &mut clock());
    assert_eq!(report.reason, Some(Reason::TooLarge), "{}", report.message);
    assert!(TacticalNetwork::from_bytes(&huge, "").is_err());
}

/// ST-56, ST-58, SU-39, EX-25, EX-26, RK-34: a checkpoint of every architecture is written, read, verified, and refused for another
/// role; one missing any of its tensors is refused with that tensor's name.
#[test]
fn every_architecture_has_checkpoints() {
    for stage in STAGES {
        let written = golden::checkpoint(stage).unwrap();
        let bytes = write(&written).unwrap();
        assert_eq!(claimed_role(&bytes), Some(stage.role));
        assert_eq!(Checkpoint::read(&bytes, stage.role.name()).unwrap(), written, "{}", stage.architecture);
        let report = verify(&bytes, &sha256(&bytes), stage.role.name(), &mut clock());
        assert_eq!(report.verdict, Verdict::Verified, "{}", report.message);
        assert_eq!(report.figures.parameters, Some(written.weights.parameters() as u64));
        for other in Role::ALL.into_iter().filter(|role| *role != stage.role) {
            assert!(Checkpoint::read(&bytes, other.name()).unwrap_err().has(Reason::WrongRole));
        }
        for at in 0..stage.networks.len() {
            let mut without = written.clone();
            if without.weights.networks[at].take().is_none() || stage.networks[at].used == Use::Optional {
                continue;
            }
            let faults = Checkpoint::read(&write(&without).unwrap(), stage.role.name()).unwrap_err();
            let missing = stage.networks[at].tensors();
            assert!(faults.list().iter().all(|fault| fault.reason == Reason::MissingTensor), "{faults}");
            assert_eq!(faults.list().iter().map(|fault| fault.subject.clone()).collect::<Vec<_>>(), names(&missing));
        }
    }
}

fn names(specs: &[TensorSpec]) -> Vec<String> {
    specs.iter().map(|spec| spec.name.clone()).collect()
}

/// ST-47, ST-57, X-2: what only one role has is refused for the others, and every violation has its key.
#[test]
fn manifests_of_other_roles_are_checked() {
    let stage = Role::Strategic.stage();
    let mut wrong = golden::checkpoint(stage).unwrap();
    wrong.manifest.features.insert("mlmi".to_owned(), vec!["momentum_30".to_owned(); 4]);
    wrong.manifest.regime_volatility_adjust = None;
    wrong.manifest.temperatures.insert("mlmi".to_owned(), 1.0);
    wrong.manifest.normaliser = "minmax".to_owned();
    wrong.manifest.architecture = "strategic-mlp-48x13-v9".to_owned();
    let faults = Checkpoint::read(&write(&wrong).unwrap(), "Strategic").unwrap_err();
    let expected = [
        (Reason::UnknownArchitecture, "manifest.architecture"),
        (Reason::BadFormat, "manifest.temperatures"),
        (Reason::BadFormat, "manifest.normaliser"),
        (Reason::UnknownFeatureSchema, "manifest.features"),
        (Reason::BadFormat, "manifest.regimeVolatilityAdjust"),
    ];
    assert_eq!(
        faults.list().iter().map(|fault| (fault.reason, fault.subject.as_str())).collect::<Vec<_>>(),
        expected,
        "{faults}"
    );
    let mut wrong = golden::checkpoint(Role::Risk.stage()).unwrap();
    wrong.manifest.features = Manifest::of(stage).features;
    wrong.manifest.regime_volatility_adjust = Some(true);
    wrong.manifest.calendar = Some(CalendarName::Xnys);
    let faults = Checkpoint::read(&write(&wrong).unwrap(), "Risk").unwrap_err();
    assert_eq!(faults.count(), 3, "{faults}");
}

/// ST-18: the calendar of half hours is read back by its name; a name that is none is refused with what is allowed.
#[test]
fn the_calendar_is_read_by_name() {
    let stage = Role::Strategic.stage();
    let mut named = golden::checkpoint(stage).unwrap();
    named.manifest.calendar = Some(CalendarName::Xnys);
    let bytes = write(&named).unwrap();
    assert_eq!(Checkpoint::read(&bytes, "Strategic").unwrap().manifest.calendar, Some(CalendarName::Xnys));
    let at = bytes.windows(4).position(|four| four == b"XNYS").unwrap();
    let mut wrong = bytes;
    wrong[at..at + 4].copy_from_slice(b"NYSE");
    let faults = Checkpoint::read(&wrong, "Strategic").unwrap_err();
    assert_eq!((faults.count(), faults.list()[0].subject.as_str()), (1, "manifest.calendar"), "{faults}");
    assert!(faults.to_string().contains("NYSE") && faults.to_string().contains("such as XNYS"), "{faults}");
}

/// ST-51, ST-58, SU-45, C-26 of part 2: temperatures and deviations outside their ranges are refused, not cut.
#[test]
fn vectors_have_ranges() {
    let stage = Role::Strategic.stage();
    let place = |name: &str| stage.vectors.iter().position(|vector| vector.name == name).unwrap();
    for (bad, said) in [(0.0, "0"), (-1.0, "-1"), (0.05, "0.05"), (10.5, "10.5")] {
        let mut wrong = golden::checkpoint(stage).unwrap();
        wrong.weights.vectors[place("agents.regime.temperature")] = Some(vec![bad]);
        let faults = Checkpoint::read(&write(&wrong).unwrap(), "Strategic").unwrap_err().to_string();
        let expected =
            format!("BadFormat: agents.regime.temperature: element 0 is {said}, it must be at least 0.1 and at most 10");
        assert_eq!(faults, expected);
    }
    let mut wrong = golden::checkpoint(stage).unwrap();
    wrong.manifest.normaliser = "statistics".to_owned();
    for (vector, values) in stage.vectors.iter().zip(&mut wrong.weights.vectors).filter(|(vector, _)| vector.statistic) {
        *values = Some(vec![0.5; vector.width]);
    }
    let good = write(&wrong).unwrap();
    assert!(Checkpoint::read(&good, "Strategic").is_ok());
    wrong.manifest.normaliser = "identity".to_owned();
    let faults = Checkpoint::read(&write(&wrong).unwrap(), "Strategic").unwrap_err();
    assert!(faults.count() == 6 && faults.has(Reason::UnknownTensor), "{faults}");
    wrong.manifest.normaliser = "statistics".to_owned();
    wrong.weights.vectors[place("norm.nwrqk.std")] = Some(vec![1.0, 1.0, 1e-7, 1.0]);
    wrong.weights.vectors[place("norm.mlmi.std")] = None;
    let faults = Checkpoint::read(&write(&wrong).unwrap(), "Strategic").unwrap_err().to_string();
    assert!(faults.contains("norm.nwrqk.std: element 2 is 0.0000001, it must be at least 0.000001"), "{faults}");
    assert!(faults.contains("MissingTensor: norm.mlmi.std"), "{faults}");
}

/// EX-14: statistics stand before the attention, in the reference and so in the self-test.
#[test]
fn execution_statistics_are_applied() {
    let stage = Role::Execution.stage();
    let mut checkpoint = golden::checkpoint(stage).unwrap();
    checkpoint.manifest.normaliser = "statistics".to_owned();
    checkpoint.weights.vectors = vec![Some(vec![0.5; 15]), Some(vec![2.0; 15])];
    let shifted: Vec<Vec<f32>> = checkpoint.golden.inputs.iter().map(|row| row.iter().map(|x| x * 2.0 + 0.5).collect()).collect();
    checkpoint.golden.inputs = shifted;
    let bytes = write(&checkpoint).unwrap();
    let report = verify(&bytes, &sha256(&bytes), "Execution", &mut clock());
    assert_eq!(report.verdict, Verdict::Verified, "{}", report.message);
    checkpoint.weights.vectors[1] = Some(vec![2.1; 15]);
    let bytes = write(&checkpoint).unwrap();
    let report = verify(&bytes, &sha256(&bytes), "Execution", &mut clock());
    assert_eq!(report.reason, Some(Reason::GoldenMismatch), "{}", report.message);
}

/// What the author alone knows must be said; what follows from the role need not; a self-test is kept or asked for.
#[test]
fn conversion_asks_for_what_it_cannot_know() {
    let stage = Role::Risk.stage();
    let checkpoint = golden::checkpoint(stage).unwrap();
    let bytes = write(&checkpoint).unwrap();
    let faults = convert(&bytes, "{}", SelfTestSource::File).unwrap_err();
    let asked: Vec<&str> = faults.list().iter().map(|fault| fault.subject.as_str()).collect();
    let keys = ["role", "featureSchema", "actions", "trainingDataDigest", "codeRevision"];
    assert_eq!(asked, keys.map(|key| format!("manifest.{key}")));
    let full: serde_json::Value = serde_json::to_value(&checkpoint.manifest).unwrap();
    let short: serde_json::Map<_, _> = keys.iter().map(|key| ((*key).to_owned(), full[*key].clone())).collect();
    let short = serde_json::Value::Object(short).to_string();
    assert_eq!(convert(&bytes, &short, SelfTestSource::File).unwrap(), bytes);
    assert!(convert(&bytes, &short, SelfTestSource::Recorded).is_err(), "the author's self-test is worth more than ours");
    for text in ["[]", "", "{\"role\":", "\"x\""] {
        assert!(convert(&bytes, text, SelfTestSource::File).unwrap_err().has(Reason::BadFormat), "{text}");
    }
    let unknown = short.replace("\"Risk\"", "\"Weather\"");
    assert!(convert(&bytes, &unknown, SelfTestSource::File).unwrap_err().has(Reason::WrongRole));
    let other = short.replace("close_all", "open_all");
    assert!(convert(&bytes, &other, SelfTestSource::File).unwrap_err().has(Reason::BadActionOrder));
}
