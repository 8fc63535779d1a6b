//! Wrong manifests, one fault each, against the real API server.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{manifests, setup};
use crate::environment::Environment;
use crate::kubectl::{Poll, text};

/// Namespace of what only the operator can refuse.
const NAMESPACE: &str = "wrong";

/// Fewest wrong manifests that must be there, so that an empty folder cannot pass.
const AT_LEAST: usize = 40;

/// Applies every file of `tests/fixtures/wrong`; each must be refused with the text of its `# expect:` line.
///
/// # Errors
/// Lists the manifests that were accepted or refused with other words.
pub fn run(environment: &Environment, namespace: &str) -> Result<String> {
    let folder = environment.tree.root().join("tests/fixtures/wrong");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .with_context(|| format!("no folder {}", folder.display()))?
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    files.sort();
    let (mut refused, mut shown, mut wrong) = (0, 0, Vec::new());
    for path in &files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let manifest = fs::read_to_string(path)?;
        let expected: Vec<&str> = manifest.lines().filter_map(|line| line.strip_prefix("# expect: ")).collect();
        ensure!(!expected.is_empty(), "{name} has no '# expect: ' line");
        if manifest.lines().any(|line| line == "# refused-by: operator") {
            match as_a_condition(environment, &manifest, &expected) {
                Ok(()) => shown += 1,
                Err(error) => wrong.push(format!("{name}: {error:#}")),
            }
            continue;
        }
        let seen = environment.kubectl.call(&["apply", "-n", namespace, "--dry-run=server", "-f", &path.to_string_lossy()])?;
        if seen.status.success() {
            wrong.push(format!("{name}: accepted"));
        } else if let Some(missing) = expected.iter().find(|part| !seen.stderr.contains(**part)) {
            wrong.push(format!("{name}: refused without '{missing}': {}", seen.stderr.trim()));
        } else {
            refused += 1;
        }
    }
    ensure!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), files.len(), wrong.join("\n"));
    ensure!(refused >= AT_LEAST, "only {refused} wrong manifests, at least {AT_LEAST} are wanted");
    setup::remove_namespace(environment, NAMESPACE)?;
    Ok(format!(
        "{refused} wrong manifests refused by the API server and {shown} shown as a condition, each with the words expected"
    ))
}

/// What only the operator can see, because it takes two objects or exact arithmetic: shown as a condition of one of them.
fn as_a_condition(environment: &Environment, manifest: &str, expected: &[&str]) -> Result<()> {
    setup::namespace(environment, NAMESPACE)?;
    environment.kubectl.apply(NAMESPACE, &manifests::risk_profile("main"))?;
    setup::checkpoint(environment, NAMESPACE, "strategic-a")?;
    setup::checkpoint(environment, NAMESPACE, "tactical-a")?;
    for document in manifest.split("\n---\n") {
        environment.kubectl.apply(NAMESPACE, document)?;
        next_second(environment)?;
    }
    environment.kubectl.until("a condition with the words expected", Duration::from_secs(30), || {
        let list = environment.kubectl.get(NAMESPACE, &["tradingpolicies,riskprofiles"])?.context("the objects applied")?;
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let said: Vec<String> = items
            .iter()
            .flat_map(|item| item.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default())
            .map(|condition| text(&condition, "/message").to_owned())
            .collect();
        let all = expected.iter().all(|part| said.iter().any(|message| message.contains(part)));
        Ok(if all { Poll::Ready(()) } else { Poll::NotYet(said.join("; ")) })
    })?;
    environment.kubectl.output(&["delete", "-n", NAMESPACE, "tradingpolicies,riskprofiles", "--all", "--timeout=60s"])?;
    Ok(())
}

/// Creation times have whole seconds: what follows is younger only in another one.
fn next_second(environment: &Environment) -> Result<()> {
    let begun = Instant::now();
    environment.kubectl.until("the clock to move on", Duration::from_secs(3), || {
        let passed = begun.elapsed() > Duration::from_millis(1100);
        Ok(if passed { Poll::Ready(()) } else { Poll::NotYet("the same second".to_owned()) })
    })
}
