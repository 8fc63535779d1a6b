//! A person steers a rollout: pause, resume, abort, promote, and a newer bundle that supersedes.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::determinism::until_decided;
use super::manifests::{self, Pace, PolicySpec};
use super::{feed, ledger, setup};
use crate::environment::Environment;
use crate::kubectl::{Poll, text};

/// Name of namespace, policy, profile and feed.
const NAME: &str = "verbs";

/// Pauses and resumes in the shadow and in the canary, aborts, supersedes in both, promotes at once.
///
/// # Errors
/// When a verb does not do what its help says.
pub fn run(environment: &Environment) -> Result<String> {
    let spec =
        PolicySpec { name: NAME, risk_profile: NAME, feed: NAME, placement: "Shared", pace: Pace::SHORT, ..PolicySpec::SAMPLE };
    setup::namespace(environment, NAME)?;
    setup::policy(environment, NAME, &spec)?;
    let waits = setup::until_trading(environment, NAME, NAME, "WaitingForBars")?;
    ensure!(waits.contains("feed 'verbs'"), "the message does not name the feed: {waits}");
    feed::start(environment, NAME, 20)?;
    setup::checkpoint(environment, NAME, "tactical-b")?;
    until_decided(environment, NAME, NAME, feed::HEAD_START + 20)?;
    let first = stable(environment)?;

    setup::use_checkpoint(environment, NAME, NAME, "tactical-b")?;
    let mut lines = vec![format!("before its feed exists: {waits}")];
    for phase in ["Shadowing", "Canary"] {
        until(environment, phase)?;
        lines.push(paused(environment, phase)?);
    }
    until(environment, "Canary")?;
    let candidate = candidate(environment)?;
    verb(environment, &["abort", NAME])?;
    until(environment, "RolledBack")?;
    ensure!(stable(environment)? == first, "abort changed the stable bundle");
    lines.push(format!("abort in Canary: {candidate} rolled back, {first} serves"));

    // back to the first bundle, so that the next edit begins a rollout of its own
    environment.kubectl.apply(NAME, &manifests::trading_policy(&spec))?;
    until(environment, "Healthy")?;
    lines.push(superseded(environment, &spec)?);
    verb(environment, &["promote", NAME])?;
    until(environment, "Healthy")?;
    let decisions = ledger::lines(environment, NAME, NAME, ledger::Kind::Decisions)?;
    let drivers = ledger::each_bar_once(&decisions)?;
    lines.push(format!("promote: Healthy on {}; {} bars, each decided once: {drivers:?}", stable(environment)?, decisions.len()));
    feed::stop(environment, NAME)?;
    setup::leave_namespace(environment, NAME)?;
    Ok(lines.join("\n"))
}

/// Pauses, sees that nothing moves for more bars than the step needs, resumes.
fn paused(environment: &Environment, phase: &str) -> Result<String> {
    verb(environment, &["pause", NAME])?;
    let at = until(environment, "Paused")?;
    let step = at.pointer("/status/rollout/step").cloned().unwrap_or(Value::Null);
    let decided = ledger::lines(environment, NAME, NAME, ledger::Kind::Decisions)?.len();
    until_decided(environment, NAME, NAME, decided + 130)?;
    let still = get(environment)?;
    ensure!(text(&still, "/status/phase") == "Paused", "it left Paused by itself: {}", text(&still, "/status/phase"));
    ensure!(still.pointer("/status/rollout/step").cloned().unwrap_or(Value::Null) == step, "the step moved while paused");
    verb(environment, &["resume", NAME])?;
    environment.kubectl.until("the rollout to go on", Duration::from_secs(30), || {
        let seen = text(&get(environment)?, "/status/phase").to_owned();
        Ok(if seen == "Paused" { Poll::NotYet(seen) } else { Poll::Ready(()) })
    })?;
    Ok(format!("pause and resume in {phase}: step {step} kept its place for 130 bars"))
}

/// A newer bundle takes the place of the candidate, in the shadow and in the canary.
fn superseded(environment: &Environment, spec: &PolicySpec<'_>) -> Result<String> {
    let mut seen = Vec::new();
    for (phase, tactical, execution_threshold_bps) in
        [("Shadowing", "tactical-b", 6600), ("Shadowing", "tactical-a", 6600), ("Canary", "tactical-a", 6700)]
    {
        let newer = PolicySpec { tactical, execution_threshold_bps, ..spec.clone() };
        environment.kubectl.apply(NAME, &manifests::trading_policy(&newer))?;
        let before = seen.last().cloned().unwrap_or_default();
        let bundle = environment.kubectl.until("a candidate of its own", Duration::from_secs(60), || {
            let now = get(environment)?;
            let bundle = text(&now, "/status/candidate/bundle").to_owned();
            let right = !bundle.is_empty() && bundle != before && text(&now, "/status/phase") == "Shadowing";
            Ok(if right { Poll::Ready(bundle) } else { Poll::NotYet(format!("{} {bundle}", text(&now, "/status/phase"))) })
        })?;
        seen.push(bundle);
        if phase == "Canary" {
            until(environment, "Canary")?;
        }
    }
    // the third was in the canary: one more takes its place there
    let newer = PolicySpec { tactical: "tactical-b", execution_threshold_bps: 6700, ..spec.clone() };
    environment.kubectl.apply(NAME, &manifests::trading_policy(&newer))?;
    let last = environment.kubectl.until("the newest candidate", Duration::from_secs(60), || {
        let now = get(environment)?;
        let bundle = text(&now, "/status/candidate/bundle").to_owned();
        let right = !bundle.is_empty() && !seen.contains(&bundle);
        Ok(if right { Poll::Ready(bundle) } else { Poll::NotYet(bundle) })
    })?;
    let now = get(environment)?;
    let history = now.pointer("/status/history").map(Value::to_string).unwrap_or_default();
    for old in &seen {
        ensure!(history.contains(old.as_str()), "{old} is not in the history: {history}");
    }
    ensure!(history.matches("Superseded").count() >= 3, "three bundles were superseded: {history}");
    Ok(format!("superseded in Shadowing and Canary: {} by {last}", seen.join(", ")))
}

fn verb(environment: &Environment, words: &[&str]) -> Result<()> {
    environment.console.typed(&format!("kubectl tradewind {} -n {NAME}", words.join(" ")));
    environment.plugin(&[words, &["-n", NAME]].concat()).output()?;
    Ok(())
}

fn until(environment: &Environment, phase: &str) -> Result<Value> {
    setup::until_phase(environment, NAME, NAME, phase, Duration::from_secs(120))
}

fn get(environment: &Environment) -> Result<Value> {
    environment.kubectl.get(NAME, &["tradingpolicy/verbs"])?.context("the policy does not exist")
}

fn stable(environment: &Environment) -> Result<String> {
    Ok(text(&get(environment)?, "/status/stable/bundle").to_owned())
}

fn candidate(environment: &Environment) -> Result<String> {
    Ok(text(&get(environment)?, "/status/candidate/bundle").to_owned())
}
