//! A checkpoint that another tool wrote is converted, verified and served, and decides what ONNX Runtime says.

use std::fs;

use anyhow::{Result, ensure};

use super::ledger::{self, Kind};
use super::manifests::PolicySpec;
use super::{determinism, feed, setup};
use crate::command::Run;
use crate::environment::Environment;

/// Name of namespace, policy, profile and feed.
const NAME: &str = "foreign";
const POLICY: PolicySpec<'static> = PolicySpec {
    name: NAME,
    risk_profile: NAME,
    strategic: "strategic-foreign",
    feed: NAME,
    placement: "Shared",
    ..PolicySpec::SAMPLE
};
/// Bars after which both indices have had strategic decisions.
const BARS: usize = 4_000;

/// Serves the checkpoint on a feed of so many bars, if it does not run yet: other things can be shown meanwhile.
///
/// # Errors
/// When the API server refuses something.
pub fn begin(environment: &Environment) -> Result<()> {
    setup::namespace(environment, NAME)?;
    feed::start_after(environment, NAME, BARS, 1)?;
    setup::declare(environment, NAME, &POLICY)
}

/// Lets the libraries of `tests/oracles` judge the ledger.
///
/// # Errors
/// When the checkpoint is not verified, or a decision differs.
pub fn run(environment: &Environment) -> Result<String> {
    begin(environment)?;
    determinism::until_decided(environment, NAME, NAME, BARS)?;
    let folder = environment.scratch("replay");
    fs::create_dir_all(&folder)?;
    let path = folder.join("foreign.jsonl");
    fs::write(&path, ledger::read(environment, NAME, NAME, Kind::Decisions, false)?)?;
    let (python, script) = (environment.tree.oracles().join("python"), environment.tree.oracles().join("foreign.py"));
    let words = [&script, &path, &environment.tree.bars()].map(|path| path.to_string_lossy().into_owned());
    let said = Run::new(&python, &[&words[0], "check", &words[1], &words[2]]).output()?;
    ensure!(said.contains("compared with ONNX Runtime"), "nothing was compared: {said}");
    let checkpoint = environment.kubectl.output(&["get", "modelcheckpoint", "-n", NAME, POLICY.strategic])?;
    feed::stop(environment, NAME)?;
    Ok(format!("{checkpoint}{}", said.trim()))
}
