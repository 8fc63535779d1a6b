//! A better checkpoint is verified, shadowed, canaried and promoted.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::setup;
use crate::environment::Environment;
use crate::kubectl::{LATER, SOON, text};

/// Changes the policy to `checkpoint` and follows the rollout to Healthy.
///
/// # Errors
/// When a phase is missing, a pod restarts, or evidence is absent.
pub fn run(environment: &Environment, namespace: &str, policy: &str, checkpoint: &str) -> Result<String> {
    let object = format!("tradingpolicy/{policy}");
    let before = environment.kubectl.get(namespace, &[&object])?.unwrap_or(Value::Null);
    let stable = text(&before, "/status/stable/bundle").to_owned();
    let stable_pods = setup::pods_of(environment, namespace, &stable)?;
    setup::checkpoint(environment, namespace, checkpoint)?;
    setup::use_checkpoint(environment, namespace, policy, checkpoint)?;

    let shadowing = setup::until_phase(environment, namespace, policy, "Shadowing", SOON)?;
    let candidate = text(&shadowing, "/status/candidate/bundle").to_owned();
    ensure!(!candidate.is_empty() && candidate != stable, "the candidate is '{candidate}', the stable '{stable}'");
    let canary = setup::until_phase(environment, namespace, policy, "Canary", LATER)?;
    let candidate_pods = setup::pods_of(environment, namespace, &candidate)?;
    ensure!(candidate_pods.len() == 1, "pods of the candidate: {candidate_pods:?}");
    ensure!(setup::pods_of(environment, namespace, &stable)? == stable_pods, "the stable's pods changed during the rollout");
    let evidence = verdicts(&canary);
    ensure!(!evidence.is_empty(), "no verdict in status while in the canary");

    let healthy = setup::until_phase(environment, namespace, policy, "Healthy", LATER)?;
    let promoted = text(&healthy, "/status/stable/bundle");
    ensure!(promoted == candidate, "stable is {promoted}, expected {candidate}");
    let after = setup::pods_of(environment, namespace, &candidate)?;
    ensure!(after == candidate_pods, "the candidate's pods were {candidate_pods:?} before promotion and {after:?} after");
    Ok(format!(
        "{stable} -> {candidate}; stable pods {stable_pods:?} and candidate pods {candidate_pods:?} never restarted\n{evidence}"
    ))
}

/// The verdicts of the current step as one line each.
#[must_use]
pub fn verdicts(policy: &Value) -> String {
    let list = policy.pointer("/status/rollout/verdicts").and_then(Value::as_array).cloned().unwrap_or_default();
    list.iter()
        .map(|v| {
            let field = |name: &str| v[name].as_str().unwrap_or_default().to_owned();
            format!(
                "{} {} n={} value={} interval=[{}, {}] margin={}",
                field("gate"),
                field("verdict"),
                v["bars"],
                field("value"),
                field("lower"),
                field("upper"),
                field("margin")
            )
        })
        .collect::<Vec<_>>()
        .join("\n")
}
