//! The same bars through the cluster and through one process give the same bytes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::ledger::{self, Kind};
use super::manifests::{self, PolicySpec};
use super::{feed, setup};
use crate::command::Run;
use crate::environment::Environment;
use crate::kubectl::{LATER, Poll, text};

/// Bars of each recorded symbol.
pub const BARS: usize = 5_031;

/// Name of namespace, policy, profile and feed of the replay.
const FIXED: &str = "fixed";
const FIXED_POLICY: PolicySpec<'static> =
    PolicySpec { name: FIXED, risk_profile: FIXED, feed: FIXED, placement: "Shared", ..PolicySpec::SAMPLE };

/// Declares the fixed bundle and lets it decide a bar a second, so that the operator has nothing to do with it later on.
///
/// # Errors
/// When the API server refuses something.
pub fn prepare(environment: &Environment) -> Result<()> {
    setup::namespace(environment, FIXED)?;
    feed::start(environment, FIXED, 1)?;
    setup::declare(environment, FIXED, &FIXED_POLICY)
}

/// Starts the replay of all bars through pods of the fixed bundle, if it does not run yet: other things can be shown meanwhile.
///
/// # Errors
/// When the API server refuses something.
pub fn begin(environment: &Environment) -> Result<()> {
    setup::namespace(environment, FIXED)?;
    feed::start(environment, FIXED, 0)?;
    setup::declare(environment, FIXED, &FIXED_POLICY)
}

/// Replays all bars through pods of a fixed bundle, then in one process, and compares the three ledgers.
///
/// # Errors
/// When a digest differs.
pub fn run(environment: &Environment) -> Result<String> {
    let (namespace, spec) = (FIXED, FIXED_POLICY);
    begin(environment)?;
    until_decided(environment, namespace, spec.name, 2 * BARS)?;
    let bundle = setup::stable_bundle(environment, namespace, spec.name)?;
    let mut cluster = Vec::new();
    for (_, kind) in LEDGERS {
        cluster.push(ledger::read(environment, namespace, spec.name, kind, true)?.trim().to_owned());
    }
    let by_driver = ledger::each_bar_once(&ledger::lines(environment, namespace, spec.name, Kind::Decisions)?)?;
    feed::stop(environment, FIXED)?;
    let summary = in_one_process(environment, &manifests::risk_profile(spec.risk_profile), &[(&spec, &bundle)])?;
    let local: Vec<String> = LEDGERS.iter().map(|(name, _)| text(&summary, &format!("/digests/{name}")).to_owned()).collect();
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
/// When the time for it passes.
pub fn until_decided(environment: &Environment, namespace: &str, policy: &str, bars: usize) -> Result<()> {
    environment.kubectl.until(&format!("{bars} bars to be decided"), LATER, || {
        let seen =
            ledger::read(environment, namespace, policy, Kind::Decisions, false).map(|text| text.lines().count()).unwrap_or(0);
        Ok(if seen >= bars { Poll::Ready(()) } else { Poll::NotYet(format!("{seen} decided")) })
    })
}

/// Names of the ledgers' files.
pub const LEDGERS: [(&str, Kind); 3] = [("decisions", Kind::Decisions), ("orders", Kind::Orders), ("fills", Kind::Fills)];

/// Keeps the ledgers of a policy and the name of its bundle as they are now, for [`as_undisturbed`].
///
/// # Errors
/// When a ledger cannot be read.
pub fn keep(environment: &Environment, namespace: &str, spec: &PolicySpec<'_>) -> Result<()> {
    let folder = environment.scratch("kept");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("bundle"), setup::stable_bundle(environment, namespace, spec.name)?)?;
    for (name, kind) in LEDGERS {
        fs::write(folder.join(name), ledger::read(environment, namespace, spec.name, kind, false)?)?;
    }
    Ok(())
}

/// Compares the ledgers of a policy whose processes were killed with a run in one process that nothing disturbed: what the
/// cluster had written when they were kept must be the beginning of it.
///
/// # Errors
/// When a line differs, is missing or doubled.
pub fn as_undisturbed(environment: &Environment, namespace: &str, spec: &PolicySpec<'_>) -> Result<String> {
    let folder = environment.scratch("kept");
    if !folder.exists() {
        keep(environment, namespace, spec)?;
    }
    let bundle = fs::read_to_string(folder.join("bundle"))?;
    in_one_process(environment, &manifests::risk_profile(spec.risk_profile), &[(spec, &bundle)])?;
    let read = |name: &str| Ok(fs::read_to_string(folder.join(name))?);
    let counts = is_beginning(&out(environment), read)?;
    fs::remove_dir_all(folder)?;
    Ok(format!("bundle {bundle}: {counts} are those of a run without a fault, byte for byte"))
}

/// Where a replay in one process leaves its ledgers.
#[must_use]
pub fn out(environment: &Environment) -> PathBuf {
    environment.scratch("replay").join("out")
}

/// Whether the ledgers that `cluster` gives by name are the beginning of those in `alone`; gives their lengths.
///
/// # Errors
/// When a line differs, is missing or doubled.
pub fn is_beginning(alone: &Path, cluster: impl Fn(&str) -> Result<String>) -> Result<String> {
    let mut counts = Vec::new();
    for (name, _) in LEDGERS {
        let (cluster, alone) = (cluster(name)?, fs::read_to_string(alone.join(format!("{name}.jsonl")))?);
        let mut both = cluster.lines().zip(alone.lines()).zip(1..);
        if let Some(((cluster, alone), line)) = both.find(|((cluster, alone), _)| cluster != alone) {
            bail!("{name}, line {line}\ncluster:     {cluster}\none process: {alone}");
        }
        let lines = cluster.lines().count();
        ensure!(lines > 0 && lines <= alone.lines().count(), "{lines} {name}, more than the run in one process has");
        counts.push(format!("{lines} {name}"));
    }
    Ok(counts.join(", "))
}

/// Runs `tradewind-replay` on policies of one account, each with its bundle, under this profile; gives its summary.
///
/// # Errors
/// When it ends with an error.
pub fn in_one_process(environment: &Environment, profile_text: &str, policies: &[(&PolicySpec<'_>, &str)]) -> Result<Value> {
    let folder = environment.scratch("replay");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let (profile, tree) = (folder.join("profile.yaml"), &environment.tree);
    fs::write(&profile, profile_text)?;
    let mut paths = vec![("--profile", profile), ("--bars", tree.bars()), ("--out", out(environment))];
    let mut arguments = vec!["--json".to_owned()];
    for (spec, bundle) in policies {
        let policy = folder.join(format!("{}.yaml", spec.name));
        fs::write(&policy, manifests::trading_policy(spec))?;
        let (strategic, tactical) = (tree.checkpoint(spec.strategic), tree.checkpoint(spec.tactical));
        paths.extend([("--policy", policy), ("--strategic", strategic), ("--tactical", tactical)]);
        arguments.extend(["--bundle".to_owned(), (*bundle).to_owned()]);
    }
    arguments.extend(paths.into_iter().flat_map(|(flag, path)| [flag.to_owned(), path.to_string_lossy().into_owned()]));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = Run::new(tree.program("tradewind-replay"), &arguments).deadline(Duration::from_secs(300)).output()?;
    let json = output.find('{').map(|at| &output[at..]).context("the replay printed no JSON")?;
    serde_json::from_str(json).with_context(|| format!("the replay's summary is no JSON: {json}"))
}
