//! A checkpoint that another tool wrote is converted, verified and served, and decides what ONNX Runtime says.

use std::fs;

use anyhow::{Result, ensure};

use super::ledger::{self, Kind};
use super::manifests::PolicySpec;
use super::{determinism, feed, setup};
use crate::command::Run;
use crate::environment::Environment;

/// Name of namespace, policy and profile.
const NAME: &str = "foreign";
/// Bars after which both indices have had strategic decisions.
const BARS: usize = 4_000;

/// Serves the checkpoint on the feed of the replay of all bars, and lets the libraries of `tests/oracles` judge the ledger.
///
/// # Errors
/// When it is not verified, or a decision differs.
pub fn run(environment: &Environment) -> Result<String> {
    let spec = PolicySpec {
        name: NAME,
        risk_profile: NAME,
        strategic: "strategic-foreign",
        feed: determinism::FIXED,
        placement: "Shared",
        ..PolicySpec::SAMPLE
    };
    determinism::begin(environment)?;
    setup::namespace(environment, NAME)?;
    setup::policy(environment, NAME, &spec)?;
    determinism::until_decided(environment, NAME, NAME, BARS)?;
    let folder = environment.scratch("replay");
    fs::create_dir_all(&folder)?;
    let path = folder.join("foreign.jsonl");
    fs::write(&path, ledger::read(environment, NAME, NAME, Kind::Decisions, false)?)?;
    let (python, script) = (environment.tree.oracles().join("python"), environment.tree.oracles().join("foreign.py"));
    let words = [&script, &path, &environment.tree.bars()].map(|path| path.to_string_lossy().into_owned());
    let said = Run::new(&python, &[&words[0], "check", &words[1], &words[2]]).output()?;
    ensure!(said.contains("compared with ONNX Runtime"), "nothing was compared: {said}");
    let checkpoint = environment.kubectl.output(&["get", "modelcheckpoint", "-n", NAME, spec.strategic])?;
    feed::stop(environment, determinism::FIXED)?;
    // Nothing may be left to do when the watch for writes begins.
    setup::remove_namespace(environment, NAME)?;
    Ok(format!("{checkpoint}{}", said.trim()))
}
