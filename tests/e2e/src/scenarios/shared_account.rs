//! Two policies on one account: the limits of the account hold across both, byte for byte as in one process, and what is done
//! to one of them does not touch the other.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::determinism::{self, LEDGERS};
use super::ledger::{self, Kind};
use super::manifests::{self, PolicySpec};
use super::{feed, setup};
use crate::environment::Environment;
use crate::kubectl::{LATER, Poll, SOON, text};

/// Name of namespace, profile and feed.
pub(super) const SHARED: &str = "shared";
/// Stays undisturbed.
pub(super) const ONE: PolicySpec<'static> = PolicySpec {
    name: "shared-spx",
    risk_profile: SHARED,
    feed: SHARED,
    symbols: &["SPX"],
    placement: "Shared",
    // Both want a position most of the time.
    tactical: "spoiled-overtrader",
    ..PolicySpec::SAMPLE
};
/// Is killed and halted.
pub(super) const OTHER: PolicySpec<'static> = PolicySpec { name: "shared-ixic", symbols: &["IXIC"], ..ONE };

/// Room for one full position and a part of another, basis points of equity; each wants up to 1,000.
const GROSS_BPS: u32 = 1_300;
/// Bars of each policy that are compared: both are warm after 594.
const BARS: usize = 1_400;
/// Before both are there, too few bars come for either to trade.
const FIRST_BARS: usize = 10;
const BARS_PER_SECOND: u32 = 80;
/// Once both are warm: enough that orders are always on their way, few enough that bars are left.
const LATER_PER_SECOND: u32 = 20;

/// Declares both on a feed that waits for them.
///
/// # Errors
/// When the API server refuses something.
pub fn prepare(environment: &Environment) -> Result<()> {
    setup::namespace(environment, SHARED)?;
    feed::start_after(environment, SHARED, FIRST_BARS, 1)?;
    setup::declare(environment, SHARED, &ONE)?;
    setup::declare(environment, SHARED, &OTHER)?;
    environment.kubectl.apply(SHARED, &profile())?;
    Ok(())
}

fn profile() -> String {
    manifests::risk_profile_of(SHARED, 9_000, GROSS_BPS)
}

/// Both trade under one limit; then one is killed, then halted.
///
/// # Errors
/// Says what did not hold.
pub fn run(environment: &Environment) -> Result<String> {
    let bundles = trading(environment)?;
    let same = as_in_one_process(environment, &bundles)?;
    let killed = one_killed(environment, &bundles[1])?;
    let halted = one_halted(environment)?;
    Ok(format!("{same}; {killed}; {halted}"))
}

/// Waits until both are warm and trade, and lets the bars come more slowly from there on; gives their bundles.
///
/// # Errors
/// When they do not.
pub(super) fn trading(environment: &Environment) -> Result<Vec<String>> {
    prepare(environment)?;
    let mut bundles = Vec::new();
    for spec in [&ONE, &OTHER] {
        let object = format!("tradingpolicy/{}", spec.name);
        environment.until_condition(SHARED, &object, "Ready", "True", LATER)?;
        bundles.push(setup::stable_bundle(environment, SHARED, spec.name)?);
    }
    feed::start_after(environment, SHARED, FIRST_BARS, BARS_PER_SECOND)?;
    for spec in [&ONE, &OTHER] {
        determinism::until_decided(environment, SHARED, spec.name, BARS)?;
    }
    feed::start_after(environment, SHARED, FIRST_BARS, LATER_PER_SECOND)?;
    Ok(bundles)
}

/// Ends both, and their feed.
///
/// # Errors
/// When the API server refuses.
pub(super) fn leave(environment: &Environment) -> Result<()> {
    feed::stop(environment, SHARED)?;
    setup::leave_namespace(environment, SHARED)
}

/// Ledgers of the cluster against those of both policies in one process, and what the limit of the account did.
fn as_in_one_process(environment: &Environment, bundles: &[String]) -> Result<String> {
    let specs: Vec<(&PolicySpec<'_>, &str)> = [&ONE, &OTHER].into_iter().zip(bundles.iter().map(String::as_str)).collect();
    determinism::in_one_process(environment, &profile(), &specs)?;
    let (mut counts, mut denied, mut highest) = (Vec::new(), 0, 0);
    for (spec, _) in &specs {
        let read = |name: &str| {
            let kind = LEDGERS.iter().find(|(known, _)| *known == name).context("an unknown ledger")?.1;
            ledger::read(environment, SHARED, spec.name, kind, false)
        };
        let same = determinism::is_beginning(&determinism::out(environment).join(spec.name), read)?;
        counts.push(format!("{}: {same}", spec.name));
        let orders = ledger::lines(environment, SHARED, spec.name, Kind::Orders)?;
        denied += orders.iter().filter(|line| line.to_string().contains("gross_exposure")).count();
        let decisions = ledger::lines(environment, SHARED, spec.name, Kind::Decisions)?;
        let gross = decisions.iter().filter_map(|line| line.pointer("/account/grossExposureBps").and_then(Value::as_u64));
        highest = highest.max(gross.max().unwrap_or(0));
    }
    ensure!(denied > 0, "the limit of the account never came between the two, so that it shows nothing");
    // Prices move a little between a fill and the end of its bar; two full positions would be 2,000.
    let allowed = u64::from(GROSS_BPS) + 50;
    ensure!(highest <= allowed, "gross exposure of the account was {highest} bps, the limit for orders is {GROSS_BPS}");
    Ok(format!(
        "{} as in one process, byte for byte; {denied} orders refused for the account's limit of {GROSS_BPS} bps, at most {highest} bps held",
        counts.join(", ")
    ))
}

/// What a policy's resource and pods say, without what moves by itself.
fn looks(environment: &Environment, spec: &PolicySpec<'_>, bundle: &str) -> Result<String> {
    let value = environment.kubectl.get(SHARED, &[&format!("tradingpolicy/{}", spec.name)])?.context("the policy is gone")?;
    let conditions = value.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    let told = conditions.iter().map(|one| ["type", "status", "reason"].map(|key| one[key].to_string()).join(" "));
    let pods = setup::pods_of(environment, SHARED, bundle)?;
    Ok(format!("{} | {pods:?}", told.collect::<Vec<_>>().join(", ")))
}

fn decided(environment: &Environment, spec: &PolicySpec<'_>) -> Result<usize> {
    Ok(ledger::read(environment, SHARED, spec.name, Kind::Decisions, false)?.lines().count())
}

/// Waits until a policy has decided `more` bars than `before`.
fn until_more(environment: &Environment, spec: &PolicySpec<'_>, before: usize, more: usize) -> Result<usize> {
    environment.kubectl.until(&format!("{} to decide {more} more bars", spec.name), SOON, || {
        Ok(match decided(environment, spec) {
            Ok(now) if now >= before + more => Poll::Ready(now),
            Ok(now) => Poll::NotYet(format!("{now} decided, {before} before")),
            Err(error) => Poll::NotYet(format!("{error:#}")),
        })
    })
}

/// All processes of one policy are killed; the other goes on, and the first one comes back to where it was.
fn one_killed(environment: &Environment, bundle: &str) -> Result<String> {
    let stable = setup::stable_bundle(environment, SHARED, ONE.name)?;
    let (before, lost) = (looks(environment, &ONE, &stable)?, decided(environment, &OTHER)?);
    let mut pods = vec![format!("{}-policy-0", OTHER.name), format!("{}-execution-0", OTHER.name)];
    pods.extend(setup::pods_of(environment, SHARED, bundle)?.into_iter().map(|(name, ..)| name));
    let began = decided(environment, &ONE)?;
    let mut arguments = vec!["delete", "pod", "-n", SHARED, "--grace-period=0", "--force", "--wait=false"];
    arguments.extend(pods.iter().map(String::as_str));
    environment.kubectl.output(&arguments)?;
    let now = until_more(environment, &ONE, began, 60)?;
    let after = looks(environment, &ONE, &stable)?;
    ensure!(before == after, "{} noticed it\nbefore: {before}\nafter:  {after}", ONE.name);
    let back = until_more(environment, &OTHER, lost, 60)?;
    for spec in [&ONE, &OTHER] {
        ledger::each_bar_once(&ledger::lines(environment, SHARED, spec.name, Kind::Decisions)?)?;
    }
    Ok(format!(
        "{} processes of {} killed: {} decided {} bars on and looks the same, {} came back and went on from {lost} to {back}",
        pods.len(),
        OTHER.name,
        ONE.name,
        now - began,
        OTHER.name
    ))
}

/// One is halted: it sends no entry any more, the other one does.
fn one_halted(environment: &Environment) -> Result<String> {
    let object = format!("tradingpolicy/{}", OTHER.name);
    environment.kubectl.patch(SHARED, &object, r#"{"spec":{"halt":true}}"#)?;
    environment.kubectl.until("the halt to be acted on", SOON, || {
        let value = environment.kubectl.get(SHARED, &[&object])?.context("the policy is gone")?;
        let (_, reason, message) = crate::kubectl::condition(&value, "TradingAllowed").unwrap_or_default();
        Ok(if reason == "Halted" { Poll::Ready(()) } else { Poll::NotYet(format!("{reason}: {message}")) })
    })?;
    let entries = |spec: &PolicySpec<'_>| ledger::entries(environment, SHARED, spec.name);
    let (halted, began) = (entries(&OTHER)?, decided(environment, &OTHER)?);
    let free = entries(&ONE)?;
    until_more(environment, &OTHER, began, 60)?;
    let on = environment.kubectl.until("the other policy to enter again", SOON, || {
        let now = entries(&ONE)?;
        Ok(if now > free { Poll::Ready(now) } else { Poll::NotYet(format!("{now} entries")) })
    })?;
    let later = entries(&OTHER)?;
    ensure!(later == halted, "{} entries of {} after its halt", later - halted, OTHER.name);
    let value = environment.kubectl.get(SHARED, &[&format!("tradingpolicy/{}", ONE.name)])?.context("the policy is gone")?;
    let (_, reason, _) = crate::kubectl::condition(&value, "TradingAllowed").unwrap_or_default();
    ensure!(reason == "Trading", "{} says {reason}: {}", ONE.name, text(&value, "/status/summary"));
    Ok(format!("{} halted: none of its entries follow, {} of {}", OTHER.name, on - free, ONE.name))
}
