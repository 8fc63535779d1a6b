//! What a finished rollout leaves in its namespace, without what differs from one rollout to the next.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::environment::Environment;
use crate::kubectl::text;

/// Kinds of the objects compared: everything that the operator makes, and what it reports on.
const KINDS: &str = "tradingpolicies,riskprofiles,modelcheckpoints,jobs,statefulsets,services,configmaps,secrets,\
                     serviceaccounts,networkpolicies,poddisruptionbudgets,roles,rolebindings";

/// Fields that hold times, versions, or figures of the file or of the bars that happened to be looked at.
const FLEETING: [&str; 30] = [
    "acknowledgedGeneration",
    "at",
    "bars",
    "baseline",
    "batch.kubernetes.io/controller-uid",
    "clusterIP",
    "clusterIPs",
    "controller-uid",
    "creationTimestamp",
    "deadlineAt",
    "figures",
    "generation",
    "history",
    "kubectl.kubernetes.io/last-applied-configuration",
    "lastTransition",
    "lastTransitionTime",
    "lower",
    "managedFields",
    "message",
    "observedGeneration",
    "promotedAt",
    "resourceVersion",
    "startedAt",
    "stepStartedAt",
    "tradewind.dev/not-after",
    "tradewind.dev/not-before",
    "uid",
    "upper",
    "value",
    "verifiedAt",
];

/// The objects of the operator in `namespace` after `tactical` was promoted: names, owners, content and status. Hashes and
/// ids are blanked, the promoted checkpoint is called by its role in the story, and other checkpoints are left out.
///
/// # Errors
/// When kubectl fails.
pub fn of(environment: &Environment, namespace: &str, tactical: &str) -> Result<Vec<String>> {
    let list = environment.kubectl.get(namespace, &[KINDS])?.context("the objects")?;
    let objects = list["items"].as_array().cloned().unwrap_or_default();
    let told = objects.into_iter().filter(|object| is_told(object, tactical)).map(|mut object| {
        strip(&mut object);
        let line = json!({"kind": object["kind"], "name": object["metadata"]["name"], "object": object}).to_string();
        blank_hashes(&line.replace(tactical, "PROMOTED"))
    });
    let mut told: Vec<String> = told.collect();
    told.sort();
    Ok(told)
}

/// Whether the operator made it or reports on it, and it is not about a checkpoint of another rollout.
fn is_told(object: &Value, tactical: &str) -> bool {
    let name = text(object, "/metadata/name");
    let owner = object.pointer("/metadata/ownerReferences/0").cloned().unwrap_or_default();
    match text(object, "/kind") {
        "TradingPolicy" | "RiskProfile" => true,
        "ModelCheckpoint" => name == tactical,
        _ if text(&owner, "/kind") == "ModelCheckpoint" => text(&owner, "/name") == tactical,
        _ => text(&owner, "/apiVersion").starts_with("tradewind.dev/"),
    }
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(map) => {
            // of a secret, only which keys it has: certificates are new each time
            if map.get("kind").is_some_and(|kind| kind == "Secret")
                && let Some(Value::Object(data)) = map.get_mut("data")
            {
                data.values_mut().for_each(|value| *value = Value::Null);
            }
            // what other controllers report of pods and Jobs is theirs
            if map.get("apiVersion").is_some_and(|version| version != "tradewind.dev/v1alpha1") && map.contains_key("kind") {
                map.remove("status");
            }
            map.retain(|key, _| !FLEETING.contains(&key.as_str()));
            map.values_mut().for_each(strip);
        }
        Value::Array(list) => list.iter_mut().for_each(strip),
        _ => {}
    }
}

/// Replaces every run of eight and more hexadecimal digits by `#`.
fn blank_hashes(text: &str) -> String {
    let mut blanked = String::new();
    let mut run = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_digit() || ('a'..='f').contains(&c) {
            run.push(c);
            continue;
        }
        blanked.push_str(if run.len() >= 8 { "#" } else { &run });
        run.clear();
        blanked.push(c);
    }
    blanked.pop();
    blanked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hashes_are_blanked() {
        let text = r#"{"name":"faults-inference-6fb5bd4a4293","cpu":"100m","facade":1,"sha":"a639777cd3ddb53c"}"#;
        assert_eq!(blank_hashes(text), r##"{"name":"faults-inference-#","cpu":"100m","facade":1,"sha":"#"}"##);
    }

    #[test]
    fn certificates_times_and_figures_are_left_out() {
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "data": {"tls.key": "x"}, "metadata": {"generation": 3}});
        strip(&mut secret);
        assert_eq!(secret, json!({"apiVersion": "v1", "kind": "Secret", "data": {"tls.key": null}, "metadata": {}}));
        let mut owned = json!({"apiVersion": "tradewind.dev/v1alpha1", "kind": "X", "status": {"phase": "Healthy", "at": "now"}});
        strip(&mut owned);
        assert_eq!(owned["status"], json!({"phase": "Healthy"}));
    }
}
