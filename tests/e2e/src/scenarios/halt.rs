//! The halt reaches the order path in under a second, with nobody but the services alive.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::ledger::{self, Kind};
use crate::environment::{Environment, SYSTEM};
use crate::kubectl::{Poll, SOON, text};

/// Scales the operator to zero, halts through the RiskProfile, and looks for orders after it.
///
/// # Errors
/// When an order is accepted more than a second after the API server took the patch, or nothing was traded before.
pub fn run(environment: &Environment, namespace: &str, policy: &str, profile: &str) -> Result<String> {
    let result = without_operator(environment, || halted(environment, namespace, policy, profile))?;
    lift(environment, namespace, profile)?;
    Ok(result)
}

/// Does something while there is no operator.
///
/// # Errors
/// What was done, or when the operator does not go or come.
pub(super) fn without_operator<T>(environment: &Environment, act: impl FnOnce() -> Result<T>) -> Result<T> {
    environment.console.typed(&format!("kubectl -n {SYSTEM} scale deployment/tradewind-operator --replicas=0"));
    environment.kubectl.output(&["scale", "-n", SYSTEM, "deployment/tradewind-operator", "--replicas=0"])?;
    environment.kubectl.output(&[
        "wait",
        "-n",
        SYSTEM,
        "--for=delete",
        "pod",
        "-l",
        "app.kubernetes.io/component=operator",
        "--timeout=180s",
    ])?;
    let done = act();
    environment.kubectl.output(&["scale", "-n", SYSTEM, "deployment/tradewind-operator", "--replicas=1"])?;
    environment.until_operator_controls()?;
    done
}

/// Names the halt in force beside `halt: false`, once the operator is back and shows its id. Without the id it stays.
pub(super) fn lift(environment: &Environment, namespace: &str, profile: &str) -> Result<()> {
    let object = format!("riskprofile/{profile}");
    let read = || environment.kubectl.get(namespace, &[&object]).map(|seen| seen.unwrap_or_default());
    let id = environment.kubectl.until("the id of the halt", SOON, || {
        let seen = read()?;
        let id = text(&seen, "/status/halt/id");
        Ok(if id.is_empty() { Poll::NotYet(seen["status"].to_string()) } else { Poll::Ready(id.to_owned()) })
    })?;
    let patch = format!(r#"{{"spec":{{"halt":false,"acknowledgeHalt":"{id}"}}}}"#);
    environment.kubectl.patch(namespace, &object, &patch)?;
    environment.kubectl.until("the halt to be lifted", SOON, || {
        let seen = read()?;
        let lifted = text(&seen, "/status/halt/id").is_empty() && text(&seen, "/status/state") == "Normal";
        Ok(if lifted { Poll::Ready(()) } else { Poll::NotYet(seen["status"].to_string()) })
    })
}

fn halted(environment: &Environment, namespace: &str, policy: &str, profile: &str) -> Result<String> {
    let count = || ledger::lines(environment, namespace, policy, Kind::Orders).map(|lines| lines.len());
    let before = count()?;
    environment.console.typed(&format!("kubectl patch riskprofile {profile} --type=merge -p '{{\"spec\":{{\"halt\":true}}}}'"));
    let begun = Instant::now();
    environment.kubectl.patch(namespace, &format!("riskprofile/{profile}"), r#"{"spec":{"halt":true}}"#)?;
    let (patched, answered) = (begun.elapsed(), Instant::now());
    // Whatever is accepted within one second of the API server's answer is in this count; nothing may follow it. How long
    // kubectl takes to start is the machine's speed.
    while let Some(left) = Duration::from_secs(1).checked_sub(answered.elapsed()) {
        std::thread::park_timeout(left);
    }
    let decided = || ledger::lines(environment, namespace, policy, Kind::Decisions).map(|lines| lines.len());
    let (at_halt, decisions) = (ledger::entries(environment, namespace, policy)?, decided()?);
    let later = environment.kubectl.until("fifty more bars to be decided", SOON, || {
        let now = decided()?;
        Ok(if now >= decisions + 50 { Poll::Ready(now) } else { Poll::NotYet(format!("{} more", now - decisions)) })
    })?;
    let after = ledger::entries(environment, namespace, policy)?;
    ensure!(before > 0, "nothing was traded before the halt, so that it shows nothing");
    ensure!(
        after == at_halt,
        "{} orders were accepted later than one second after the API server's answer",
        after.saturating_sub(at_halt)
    );
    Ok(format!(
        "operator at zero; kubectl answered after {} ms; no entry accepted later than 1 s after it, while {} more bars were decided",
        patched.as_millis(),
        later - decisions
    ))
}
