//! A person steers a rollout: pause, resume, abort, promote, and a newer bundle that supersedes, in every phase.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::determinism::until_decided;
use super::manifests::{self, Pace, PolicySpec};
use super::operator::Frozen;
use super::{feed, ledger, setup};
use crate::environment::Environment;
use crate::kubectl::{LATER, Poll, SOON, text};

/// Name of namespace, policy, profile and feed.
const NAME: &str = "verbs";
const SPEC: PolicySpec<'static> =
    PolicySpec { name: NAME, risk_profile: NAME, feed: NAME, placement: "Shared", pace: Pace::SHORT, ..PolicySpec::SAMPLE };

/// Pace of the feed: a faster one makes more of a past, which every candidate reads before it answers, and phases that are
/// over before anyone could act in them on a busy machine.
const BARS_PER_SECOND: u32 = 12;
/// Bars after which a step of [`Pace::SHORT`] would end.
const MORE_THAN_A_STEP: usize = 80;

/// Declares the policy, if it is not there yet; its feed does not exist.
///
/// # Errors
/// When the API server refuses something.
pub fn begin(environment: &Environment) -> Result<()> {
    setup::namespace(environment, NAME)?;
    if environment.kubectl.get(NAME, &["tradingpolicy/verbs"])?.is_some() {
        return Ok(());
    }
    setup::declare(environment, NAME, &SPEC)
}

/// The policy says that it waits for bars; then they come.
///
/// # Errors
/// When it does not become Ready, or claims to trade.
pub fn without_bars(environment: &Environment) -> Result<String> {
    begin(environment)?;
    environment.until_condition(NAME, "tradingpolicy/verbs", "Ready", "True", SOON)?;
    let waits = setup::until_trading(environment, NAME, NAME, "WaitingForBars")?;
    ensure!(waits.contains("feed 'verbs'"), "the message does not name the feed: {waits}");
    feed::start(environment, NAME, BARS_PER_SECOND)?;
    Ok(waits)
}

/// Two rollouts: one is paused and resumed in each phase until it is promoted; of the other every candidate is aborted or
/// superseded in another phase. Phases that last for less than a second are met with the operator stopped in them.
///
/// # Errors
/// When a verb does not do what its help says.
pub fn run(environment: &Environment) -> Result<String> {
    begin(environment)?;
    feed::start(environment, NAME, BARS_PER_SECOND)?;
    until_decided(environment, NAME, NAME, feed::HEAD_START + 20)?;

    let mut lines = verifying(environment)?;
    for phase in ["Shadowing", "Canary"] {
        until(environment, phase)?;
        lines.push(paused(environment, phase)?);
    }
    lines.push(paused_while_promoting(environment)?);
    lines.extend(superseded_and_aborted(environment)?);

    let decisions = ledger::lines(environment, NAME, NAME, ledger::Kind::Decisions)?;
    let drivers = ledger::each_bar_once(&decisions)?;
    lines.push(format!("{} bars, each decided once: {drivers:?}", decisions.len()));
    feed::stop(environment, NAME)?;
    setup::leave_namespace(environment, NAME)?;
    Ok(lines.join("\n"))
}

/// While the checkpoint asked for does not exist: superseded by one that exists as little, paused, not abortable, resumed.
fn verifying(environment: &Environment) -> Result<Vec<String>> {
    let first = stable(environment)?;
    setup::use_checkpoint(environment, NAME, NAME, "tactical-never")?;
    let waiting = |name: &str| {
        environment.kubectl.until(&format!("the policy to wait for {name}"), SOON, || {
            let now = get(environment)?;
            let (phase, summary) = (text(&now, "/status/phase"), text(&now, "/status/summary"));
            let right = phase == "Verifying" && summary.contains(name);
            Ok(if right { Poll::Ready(()) } else { Poll::NotYet(format!("{phase}: {summary}")) })
        })
    };
    waiting("tactical-never")?;
    setup::use_checkpoint(environment, NAME, NAME, "tactical-b")?;
    waiting("tactical-b")?;
    let refused = environment.plugin(&["abort", NAME, "-n", NAME]).finish()?;
    ensure!(!refused.status.success(), "abort found a candidate where there is none: {}", refused.stdout);
    ensure!(refused.stderr.contains("no candidate to abort; its phase is Verifying"), "abort says: {}", refused.stderr);
    verb(environment, &["pause", NAME])?;
    setup::checkpoint(environment, NAME, "tactical-b")?;
    let paused = until(environment, "Paused")?;
    ensure!(text(&paused, "/status/rollout/pausedFrom") == "Verifying", "paused from {}", paused["status"]["rollout"]);
    ensure!(text(&paused, "/status/candidate/bundle").is_empty(), "a candidate began though the policy is paused");
    ensure!(text(&paused, "/status/stable/bundle") == first, "pause changed the stable bundle");
    verb(environment, &["resume", NAME])?;
    Ok(vec![
        "Verifying: superseded by another checkpoint; abort refused, there is no candidate".to_owned(),
        "pause and resume in Verifying: verified meanwhile, nothing began before".to_owned(),
    ])
}

/// Pauses, sees that nothing moves for more bars than the step needs, resumes.
fn paused(environment: &Environment, phase: &str) -> Result<String> {
    verb(environment, &["pause", NAME])?;
    let at = until(environment, "Paused")?;
    let step = at.pointer("/status/rollout/step").cloned().unwrap_or(Value::Null);
    let decided = ledger::lines(environment, NAME, NAME, ledger::Kind::Decisions)?.len();
    until_decided(environment, NAME, NAME, decided + MORE_THAN_A_STEP)?;
    let still = get(environment)?;
    ensure!(text(&still, "/status/phase") == "Paused", "it left Paused by itself: {}", text(&still, "/status/phase"));
    ensure!(still.pointer("/status/rollout/step").cloned().unwrap_or(Value::Null) == step, "the step moved while paused");
    verb(environment, &["resume", NAME])?;
    environment.kubectl.until("the rollout to go on", SOON, || {
        let seen = text(&get(environment)?, "/status/phase").to_owned();
        Ok(if seen == "Paused" { Poll::NotYet(seen) } else { Poll::Ready(()) })
    })?;
    Ok(format!("pause and resume in {phase}: step {step} kept its place for {MORE_THAN_A_STEP} bars"))
}

/// Every gate has passed, and the candidate is held back all the same until the person lets it go.
fn paused_while_promoting(environment: &Environment) -> Result<String> {
    let first = stable(environment)?;
    let promoting = frozen(environment, "Promoting", || Ok(()))?;
    let candidate = candidate(environment)?;
    verb(environment, &["pause", NAME])?;
    drop(promoting);
    let at = until(environment, "Paused")?;
    ensure!(text(&at, "/status/rollout/pausedFrom") == "Promoting", "paused from {}", at["status"]["rollout"]);
    ensure!(text(&at, "/status/stable/bundle") == first, "{candidate} was promoted while paused");
    verb(environment, &["resume", NAME])?;
    let healthy = until(environment, "Healthy")?;
    ensure!(text(&healthy, "/status/stable/bundle") == candidate, "{candidate} was not promoted after the pause");
    Ok(format!("pause and resume in Promoting: {first} serves until then, {candidate} from then on"))
}

/// Seven candidates; all but the last are aborted or superseded, each in another phase.
fn superseded_and_aborted(environment: &Environment) -> Result<Vec<String>> {
    let first = stable(environment)?;
    let mut lines = Vec::new();

    let one = another(environment, "tactical-b", 6600)?;
    within(environment, "Shadowing", || verb(environment, &["abort", NAME]))?;
    until(environment, "RolledBack")?;
    lines.push(ended(environment, &one, "Aborted", "Shadowing")?);

    let two = another(environment, "tactical-a", 6600)?;
    within(environment, "Shadowing", || apply(environment, "tactical-a", 6700))?;
    let three = begun(environment, &[&two])?;
    lines.push(ended(environment, &two, "Superseded", "Shadowing")?);

    until(environment, "Canary")?;
    within(environment, "Canary", || apply(environment, "tactical-b", 6700))?;
    let four = begun(environment, &[&three])?;
    lines.push(ended(environment, &three, "Superseded", "Canary")?);

    until(environment, "Canary")?;
    let rolling_back = frozen(environment, "RollingBack", || verb(environment, &["abort", NAME]))?;
    let step = get(environment)?.pointer("/status/rollout/step").cloned();
    ensure!(step == Some(Value::from(1)), "it was aborted in step {step:?}, not in the first of the canary");
    verb(environment, &["pause", NAME])?;
    apply(environment, "tactical-a", 6800)?;
    drop(rolling_back);
    let at = until(environment, "Paused")?;
    ensure!(text(&at, "/status/rollout/pausedFrom") == "Verifying", "paused from {}", at["status"]["rollout"]);
    ensure!(text(&at, "/status/stable/bundle") == first, "abort changed the stable bundle");
    lines.push(ended(environment, &four, "Aborted", "Canary")?);
    verb(environment, &["resume", NAME])?;
    let five = begun(environment, &[&four])?;
    lines.push(format!("superseded and paused in RollingBack: it ended first, then {five} waited, and began with resume"));

    let promoting = frozen(environment, "Promoting", || verb(environment, &["promote", NAME]))?;
    verb(environment, &["abort", NAME])?;
    drop(promoting);
    until(environment, "RolledBack")?;
    lines.push(ended(environment, &five, "Aborted", "Promoting")?);

    let six = another(environment, "tactical-b", 6800)?;
    let promoting = frozen(environment, "Promoting", || verb(environment, &["promote", NAME]))?;
    apply(environment, "tactical-a", 6900)?;
    drop(promoting);
    let seven = begun(environment, &[&six])?;
    lines.push(ended(environment, &six, "Superseded", "Promoting")?);
    ensure!(stable(environment)? == first, "{six} was promoted though it was superseded");

    verb(environment, &["promote", NAME])?;
    let healthy = until(environment, "Healthy")?;
    ensure!(text(&healthy, "/status/stable/bundle") == seven, "{seven} was not promoted");
    lines.push(format!("promote in Shadowing: Healthy on {seven}"));
    Ok(lines)
}

fn apply(environment: &Environment, tactical: &str, execution_threshold_bps: u32) -> Result<()> {
    environment.kubectl.apply(NAME, &manifests::trading_policy(&PolicySpec { tactical, execution_threshold_bps, ..SPEC }))?;
    Ok(())
}

/// Asks for a bundle of its own and waits until it is the candidate.
fn another(environment: &Environment, tactical: &str, execution_threshold_bps: u32) -> Result<String> {
    let before = candidate(environment)?;
    apply(environment, tactical, execution_threshold_bps)?;
    begun(environment, &[&before])
}

/// Waits for a candidate that is none of `others` and that the decider asks.
fn begun(environment: &Environment, others: &[&str]) -> Result<String> {
    environment.kubectl.until("a candidate of its own", SOON, || {
        let now = get(environment)?;
        let bundle = text(&now, "/status/rollout/candidateBundle").to_owned();
        let right = !bundle.is_empty() && !others.contains(&bundle.as_str()) && text(&now, "/status/phase") == "Shadowing";
        Ok(if right { Poll::Ready(bundle) } else { Poll::NotYet(format!("{} {bundle}", text(&now, "/status/phase"))) })
    })
}

/// The history says how a candidate ended.
fn ended(environment: &Environment, bundle: &str, outcome: &str, phase: &str) -> Result<String> {
    let now = get(environment)?;
    let history = now.pointer("/status/history").and_then(Value::as_array).cloned().unwrap_or_default();
    let entry = history.iter().find(|entry| entry["bundle"] == bundle);
    ensure!(entry.is_some_and(|entry| entry["outcome"] == outcome), "{bundle} is not {outcome} in the history: {history:?}");
    Ok(format!("{outcome} in {phase}: {bundle}"))
}

/// Does something while the policy is in a phase.
fn within(environment: &Environment, phase: &str, act: impl FnOnce() -> Result<()>) -> Result<()> {
    let _frozen = Frozen::now(environment, NAME, NAME, phase)?;
    act()
}

fn frozen(environment: &Environment, phase: &str, act: impl FnOnce() -> Result<()> + Send) -> Result<Frozen> {
    Frozen::at(environment, NAME, NAME, phase, act)
}

fn verb(environment: &Environment, words: &[&str]) -> Result<()> {
    environment.console.typed(&format!("kubectl tradewind {} -n {NAME}", words.join(" ")));
    environment.plugin(&[words, &["-n", NAME]].concat()).output()?;
    Ok(())
}

fn until(environment: &Environment, phase: &str) -> Result<Value> {
    setup::until_phase(environment, NAME, NAME, phase, LATER)
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
