//! Spoiled checkpoints are rejected before any pod sees them.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{manifests, setup};
use crate::artifacts::{self, SPOILED};
use crate::environment::Environment;
use crate::kubectl::{Poll, SOON, condition, text};

/// The reason that each fault must be given.
#[must_use]
pub fn expected(how: &str) -> &'static str {
    match how {
        "flipped-byte" => "DigestMismatch",
        "truncated" => "Truncated",
        "wrong-shape" => "BadShape",
        "missing-tensor" => "MissingTensor",
        "nan" => "NotFinite",
        "wrong-role" => "WrongRole",
        "golden" => "GoldenMismatch",
        "schema" => "UnknownFeatureSchema",
        _ => "SourceUnreachable",
    }
}

/// Applies one spoiled checkpoint.
fn declare(environment: &Environment, namespace: &str, how: &str) -> Result<()> {
    let name = format!("spoiled-{how}");
    // A flipped byte is a file that differs from the digest that its author published: the digest of the sound file.
    let digest_of = if how == "flipped-byte" || how == "unreachable" { "tactical-a" } else { name.as_str() };
    let digest = artifacts::sha256(&environment.tree.checkpoint(digest_of))?;
    environment.kubectl.apply(namespace, &manifests::checkpoint(&name, "Tactical", &setup::uri(&name), &digest))?;
    Ok(())
}

/// Waits for the verdict on a spoiled checkpoint; returns reason and message.
fn verdict(environment: &Environment, namespace: &str, how: &str) -> Result<String> {
    let name = format!("spoiled-{how}");
    let object = format!("modelcheckpoint/{name}");
    let value = environment.kubectl.until(&format!("a verdict on {name}"), SOON, || {
        let value = environment.kubectl.get(namespace, &[&object])?.context("the checkpoint does not exist")?;
        let reason = text(&value, "/status/reason").to_owned();
        Ok(if reason == expected(how) {
            Poll::Ready(value)
        } else {
            Poll::NotYet(format!("{reason} {}", text(&value, "/status/message")))
        })
    })?;
    let message = text(&value, "/status/message");
    ensure!(!message.is_empty(), "{name}: rejected without a message");
    Ok(format!("{how}: {} - {message}", expected(how)))
}

/// Every fault, then a policy that asks for a rejected one: it says why it waits, and the serving bundle keeps serving.
///
/// # Errors
/// When one fault passes or the policy leaves its bundle.
pub fn run(environment: &Environment, namespace: &str, policy: &str, faults: &[&str]) -> Result<String> {
    let object = format!("tradingpolicy/{policy}");
    let before = environment.kubectl.get(namespace, &[&object])?.unwrap_or(Value::Null);
    let stable = text(&before, "/status/stable/bundle").to_owned();
    let back_to = text(&before, "/spec/models/tactical/checkpointRef/name").to_owned();
    let mut lines = Vec::new();
    for how in faults {
        declare(environment, namespace, how)?;
    }
    for how in faults {
        lines.push(verdict(environment, namespace, how)?);
    }
    let asked = format!("spoiled-{}", faults.first().context("at least one fault")?);
    setup::use_checkpoint(environment, namespace, policy, &asked)?;
    let waiting = environment.kubectl.until("the policy to say why it waits", SOON, || {
        let value = environment.kubectl.get(namespace, &[&object])?.context("the policy does not exist")?;
        let all = value.pointer("/status/conditions").map(Value::to_string).unwrap_or_default();
        Ok(if all.contains("CheckpointRejected") { Poll::Ready(value) } else { Poll::NotYet(all) })
    })?;
    let message = ["Ready", "Reconciling", "Stalled", "RolloutProgressing"]
        .iter()
        .filter_map(|kind| condition(&waiting, kind))
        .find(|(_, reason, _)| *reason == "CheckpointRejected")
        .map(|(_, _, message)| message.to_owned())
        .unwrap_or_default();
    ensure!(text(&waiting, "/status/stable/bundle") == stable, "the serving bundle changed");
    let pods = setup::pods_of(environment, namespace, &stable)?;
    ensure!(pods.len() == 1, "pods of the serving bundle: {pods:?}");
    setup::use_checkpoint(environment, namespace, policy, &back_to)?;
    setup::until_phase(environment, namespace, policy, "Healthy", SOON)?;
    // it would be tried again for ever
    environment.kubectl.output(&["delete", "modelcheckpoint", "-n", namespace, "--ignore-not-found", "spoiled-unreachable"])?;
    lines.push(format!("policy: {message}; {stable} kept serving"));
    Ok(lines.join("\n"))
}

/// Every way of spoiling, and a source that nobody serves.
#[must_use]
pub fn all_faults() -> Vec<&'static str> {
    let mut all = SPOILED.to_vec();
    all.push("unreachable");
    all
}
