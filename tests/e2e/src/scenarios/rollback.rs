//! A checkpoint that trades far too often is rolled back on evidence, and Git is told how to agree.

use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{promotion, setup};
use crate::environment::Environment;
use crate::kubectl::{LATER, SOON, condition, text};

/// Rolls the overtrader out, waits for the rollback, applies the revert patch from status.
///
/// # Errors
/// When it is promoted, the rollback is slow, or the revert patch does not settle the policy.
pub fn run(environment: &Environment, namespace: &str, policy: &str) -> Result<String> {
    let object = format!("tradingpolicy/{policy}");
    let before = environment.kubectl.get(namespace, &[&object])?.unwrap_or(Value::Null);
    let stable = text(&before, "/status/stable/bundle").to_owned();
    setup::checkpoint(environment, namespace, "spoiled-overtrader")?;
    setup::use_checkpoint(environment, namespace, policy, "spoiled-overtrader")?;
    let begun = Instant::now();
    let rolled = setup::until_phase(environment, namespace, policy, "RolledBack", LATER)?;
    let verdicts = promotion::verdicts(&rolled);
    let reason = condition(&rolled, "Ready").map(|(s, r, m)| format!("Ready={s} {r}: {m}")).unwrap_or_default();
    ensure!(text(&rolled, "/status/stable/bundle") == stable, "the stable bundle changed");
    let patch = text(&rolled, "/status/revertPatch").to_owned();
    ensure!(patch.starts_with('{'), "status.revertPatch is '{patch}', expected a JSON merge patch");
    environment.console.typed(&format!("kubectl patch tradingpolicy {policy} --type=merge -p '{patch}'"));
    environment.kubectl.patch(namespace, &object, &patch)?;
    let healthy = setup::until_phase(environment, namespace, policy, "Healthy", SOON)?;
    ensure!(text(&healthy, "/status/stable/bundle") == stable, "reverting started another rollout");
    ensure!(text(&healthy, "/status/rollout/candidateBundle").is_empty(), "reverting left a candidate");
    Ok(format!(
        "{:.0} s from patch to rolled back; {reason}\n{verdicts}\nrevert patch {patch} -> Healthy on {stable}",
        begun.elapsed().as_secs_f64()
    ))
}
