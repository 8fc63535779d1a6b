//! The manifests that a newcomer applies first: whole, valid together, and silent about stopping.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tradewind_crds::validation::{validate_policy, validate_policy_with_profile, validate_risk_profile};
use tradewind_crds::{ModelCheckpoint, RiskProfile, TradingPolicy};

/// Every document of a kind under `manifests/samples` and `manifests/gitops/checkpoints`.
fn of_kind(kind: &str) -> Vec<(String, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests");
    let mut found = Vec::new();
    for folder in ["samples", "gitops/checkpoints"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for document in serde_yaml_ng::Deserializer::from_str(&text) {
                let document = Value::deserialize(document).unwrap();
                if document["kind"] == kind {
                    found.push((path.display().to_string(), document));
                }
            }
        }
    }
    assert!(!found.is_empty(), "no sample of {kind}");
    found
}

/// Fields that were written and that the type does not know: the API server refuses those.
fn unknown(written: &Value, read: &Value, path: &str, found: &mut Vec<String>) {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
            for (key, value) in written {
                match read.get(key) {
                    Some(known) => unknown(value, known, &format!("{path}.{key}"), found),
                    None => found.push(format!("{path}.{key}")),
                }
            }
        }
        (Value::Array(written), Value::Array(read)) => {
            for (at, (value, known)) in written.iter().zip(read).enumerate() {
                unknown(value, known, &format!("{path}[{at}]"), found);
            }
        }
        _ => {}
    }
}

fn read<T: DeserializeOwned + serde::Serialize>(kind: &str) -> Vec<T> {
    let read = |(path, document): (String, Value)| {
        let object: T = serde_json::from_value(document.clone()).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut found = Vec::new();
        unknown(&document["spec"], &serde_json::to_value(&object).unwrap()["spec"], "spec", &mut found);
        assert!(found.is_empty(), "{path}: unknown fields {found:?}");
        assert!(document["spec"].get("halt").is_none(), "{path} speaks about stopping: applied again it would lift a halt");
        object
    };
    of_kind(kind).into_iter().map(read).collect()
}

#[test]
fn the_samples_are_valid_together_and_say_nothing_of_a_halt() {
    let (policies, profiles) = (read::<TradingPolicy>("TradingPolicy"), read::<RiskProfile>("RiskProfile"));
    let checkpoints = read::<ModelCheckpoint>("ModelCheckpoint");
    for profile in &profiles {
        assert_eq!(validate_risk_profile(&profile.spec), vec![]);
    }
    for policy in &policies {
        assert_eq!(validate_policy(&policy.spec), vec![]);
        let wanted = &policy.spec.risk_profile_ref.name;
        let profile = profiles.iter().find(|profile| profile.metadata.name.as_ref() == Some(wanted)).expect("its profile");
        assert_eq!(validate_policy_with_profile(&policy.spec, &profile.spec), vec![]);
    }
    let names: Vec<_> = checkpoints.iter().filter_map(|checkpoint| checkpoint.metadata.name.as_deref()).collect();
    assert!(names.contains(&"strategic-a") && names.contains(&"tactical-a"), "{names:?}");
}
