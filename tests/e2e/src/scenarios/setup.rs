//! The objects that most scenarios start from.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::manifests::{self, PolicySpec};
use super::phases::Phases;
use crate::artifacts;
use crate::environment::{Environment, TRADING};
use crate::kubectl::{Poll, SOON, condition, text};

/// Where the file server of the samples serves a checkpoint.
#[must_use]
pub fn uri(file: &str) -> String {
    format!("http://checkpoints.{TRADING}.svc/{file}.safetensors")
}

/// Applies a ModelCheckpoint for a file of the file server, under the file's name; the name says the role.
///
/// # Errors
/// When the file is missing or the API server refuses.
pub fn checkpoint(environment: &Environment, namespace: &str, file: &str) -> Result<()> {
    let path: PathBuf = environment.tree.checkpoint(file);
    let digest = artifacts::sha256(&path)?;
    environment.kubectl.apply(namespace, &manifests::checkpoint(file, role_of(file), &uri(file), &digest))?;
    Ok(())
}

/// Role of a checkpoint of the demonstration.
#[must_use]
pub fn role_of(file: &str) -> &'static str {
    if file.starts_with("strategic-") { "Strategic" } else { "Tactical" }
}

/// Applies a RiskProfile, both checkpoints and a TradingPolicy.
///
/// # Errors
/// When something is refused.
pub fn declare(environment: &Environment, namespace: &str, spec: &PolicySpec<'_>) -> Result<()> {
    environment.kubectl.apply(namespace, &manifests::risk_profile(spec.risk_profile))?;
    checkpoint(environment, namespace, spec.strategic)?;
    checkpoint(environment, namespace, spec.tactical)?;
    environment.kubectl.apply(namespace, &manifests::trading_policy(spec))?;
    Ok(())
}

/// The same, and waits until it is Ready.
///
/// # Errors
/// When something is refused or not Ready within two minutes.
pub fn policy(environment: &Environment, namespace: &str, spec: &PolicySpec<'_>) -> Result<Value> {
    declare(environment, namespace, spec)?;
    environment.until_condition(namespace, &format!("tradingpolicy/{}", spec.name), "Ready", "True", SOON)
}

/// The bundle that serves; empty before the first.
///
/// # Errors
/// When the policy does not exist.
pub fn stable_bundle(environment: &Environment, namespace: &str, policy: &str) -> Result<String> {
    let value =
        environment.kubectl.get(namespace, &[&format!("tradingpolicy/{policy}")])?.context("the policy does not exist")?;
    Ok(text(&value, "/status/stable/bundle").to_owned())
}

/// A namespace for one scenario, with the restricted level enforced.
///
/// # Errors
/// When the API server refuses.
pub fn namespace(environment: &Environment, name: &str) -> Result<()> {
    let manifest = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n  labels: {{pod-security.kubernetes.io/enforce: restricted}}\n"
    );
    environment.kubectl.apply("default", &manifest)?;
    Ok(())
}

/// Begins to remove a scenario's namespace: what follows does not need it, and its processes should not go on.
///
/// # Errors
/// When the API server refuses.
pub fn leave_namespace(environment: &Environment, name: &str) -> Result<()> {
    environment.kubectl.output(&["delete", "namespace", name, "--wait=false"])?;
    Ok(())
}

/// Waits until a policy's rollout is in `phase`.
///
/// # Errors
/// When the deadline passes.
pub fn until_phase(environment: &Environment, namespace: &str, policy: &str, phase: &str, deadline: Duration) -> Result<Value> {
    let object = format!("tradingpolicy/{policy}");
    let begun = Instant::now();
    loop {
        let left = deadline.saturating_sub(begun.elapsed());
        let watched = Phases::of(environment, namespace, &object, left).and_then(|mut phases| phases.until(phase));
        // A watch also ends with the API server that a scenario has killed: what is there then is asked for.
        let value = environment.kubectl.get(namespace, &[&object])?.context("the policy does not exist")?;
        let seen = text(&value, "/status/phase");
        if seen == phase {
            return Ok(value);
        }
        if begun.elapsed() >= deadline {
            let (waited, summary) = (deadline.as_secs(), text(&value, "/status/summary"));
            bail!("waited {waited} s for {policy} to be {phase}; last seen: {seen}: {summary}");
        }
        // Left again before it was asked for, or the API server is away for a moment.
        if watched.is_err() {
            thread::park_timeout(Duration::from_millis(200));
        }
    }
}

/// Waits until the policy's condition TradingAllowed has `reason`; gives its message.
///
/// # Errors
/// When the time for it passes.
pub fn until_trading(environment: &Environment, namespace: &str, policy: &str, reason: &str) -> Result<String> {
    let object = format!("tradingpolicy/{policy}");
    environment.kubectl.until(&format!("TradingAllowed to say {reason}"), SOON, || {
        let value = environment.kubectl.get(namespace, &[&object])?.context("the policy does not exist")?;
        Ok(match condition(&value, "TradingAllowed") {
            Some((_, seen, message)) if seen == reason => Poll::Ready(message.to_owned()),
            Some((_, seen, message)) => Poll::NotYet(format!("{seen}: {message}")),
            None => Poll::NotYet("no condition yet".to_owned()),
        })
    })
}

/// Patches the policy to another checkpoint, in the role that its name says.
///
/// # Errors
/// When the API server refuses.
pub fn use_checkpoint(environment: &Environment, namespace: &str, policy: &str, name: &str) -> Result<()> {
    let role = role_of(name).to_lowercase();
    let patch = format!(r#"{{"spec":{{"models":{{"{role}":{{"checkpointRef":{{"name":"{name}"}}}}}}}}}}"#);
    environment.kubectl.patch(namespace, &format!("tradingpolicy/{policy}"), &patch)?;
    Ok(())
}

/// Names, identities and restart counts of a revision's pods.
///
/// # Errors
/// When kubectl fails.
pub fn pods_of(environment: &Environment, namespace: &str, bundle: &str) -> Result<Vec<(String, String, i64)>> {
    let selector = format!("tradewind.dev/bundle={bundle},app.kubernetes.io/component=inference");
    let list = environment.kubectl.get(namespace, &["pods", "-l", &selector])?.context("a list of pods")?;
    let items = list["items"].as_array().cloned().unwrap_or_default();
    Ok(items
        .iter()
        .map(|pod| {
            let restarts = pod.pointer("/status/containerStatuses/0/restartCount").and_then(Value::as_i64).unwrap_or(0);
            (text(pod, "/metadata/name").to_owned(), text(pod, "/metadata/uid").to_owned(), restarts)
        })
        .collect())
}
