//! The same bars through the cluster and through one process give the same bytes.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::ledger::{self, Kind};
use super::manifests::{self, PolicySpec};
use super::{feed, setup};
use crate::command::Run;
use crate::environment::Environment;
use crate::kubectl::{Poll, text};

/// Bars of each recorded symbol.
pub const BARS: usize = 5_031;

/// Replays all bars through pods of a fixed bundle, then in one process, and compares the three ledgers.
///
/// # Errors
/// When a digest differs.
pub fn run(environment: &Environment, namespace: &str) -> Result<String> {
    let spec = PolicySpec { name: "fixed", risk_profile: "fixed", feed: "fixed", placement: "Shared", ..PolicySpec::default() };
    setup::namespace(environment, namespace)?;
    feed::start(environment, "fixed", 0)?;
    let ready = setup::policy(environment, namespace, &spec)?;
    let bundle = text(&ready, "/status/stable/bundle").to_owned();
    until_decided(environment, namespace, spec.name, 2 * BARS)?;
    let mut cluster = Vec::new();
    for kind in [Kind::Decisions, Kind::Orders, Kind::Fills] {
        cluster.push(ledger::read(environment, namespace, spec.name, kind, true)?.trim().to_owned());
    }
    let by_driver = ledger::each_bar_once(&ledger::lines(environment, namespace, spec.name, Kind::Decisions)?)?;
    feed::stop(environment, "fixed")?;
    let local = in_one_process(environment, &spec, &bundle)?;
    ensure!(cluster == local, "digests differ\ncluster:   {cluster:?}\none process: {local:?}");
    Ok(format!(
        "bundle {bundle}, {} bars, {by_driver:?}\ncluster     {}\none process {}",
        2 * BARS,
        cluster.join(" "),
        local.join(" ")
    ))
}

/// Waits until the decision ledger has `bars` lines.
///
/// # Errors
/// When four minutes pass.
pub fn until_decided(environment: &Environment, namespace: &str, policy: &str, bars: usize) -> Result<()> {
    environment.kubectl.until(&format!("{bars} bars to be decided"), Duration::from_secs(420), || {
        let seen =
            ledger::read(environment, namespace, policy, Kind::Decisions, false).map(|text| text.lines().count()).unwrap_or(0);
        Ok(if seen >= bars { Poll::Ready(()) } else { Poll::NotYet(format!("{seen} decided")) })
    })
}

/// Digests of decisions, orders and fills of `tradewind-replay`.
fn in_one_process(environment: &Environment, spec: &PolicySpec<'_>, bundle: &str) -> Result<Vec<String>> {
    let folder = environment.directory().join("replay");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let (policy, profile) = (folder.join("policy.yaml"), folder.join("profile.yaml"));
    fs::write(&policy, manifests::trading_policy(spec))?;
    fs::write(&profile, manifests::risk_profile(spec.risk_profile))?;
    let paths = [policy, profile, environment.tree.checkpoint(spec.checkpoint), environment.tree.bars(), folder.join("out")];
    let words: Vec<String> = paths.iter().map(|p| p.to_string_lossy().into_owned()).collect();
    let arguments = [
        "--policy",
        &words[0],
        "--profile",
        &words[1],
        "--checkpoint",
        &words[2],
        "--bars",
        &words[3],
        "--out",
        &words[4],
        "--bundle",
        bundle,
        "--json",
    ];
    let output =
        Run::new(environment.tree.program("tradewind-replay"), &arguments).deadline(Duration::from_secs(300)).output()?;
    let json = output.find('{').map(|at| &output[at..]).context("the replay printed no JSON")?;
    let summary: serde_json::Value =
        serde_json::from_str(json).with_context(|| format!("the replay's summary is no JSON: {json}"))?;
    Ok(["decisions", "orders", "fills"].iter().map(|kind| text(&summary, &format!("/digests/{kind}")).to_owned()).collect())
}
