//! Wrong manifests, one fault each, against the real API server.

use std::borrow::Cow;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::manifests::{PolicySpec, trading_policy};
use super::setup;
use crate::environment::Environment;
use crate::kubectl::{Poll, SOON, text};

/// Namespace of what only the operator can refuse.
const NAMESPACE: &str = "wrong";

/// The account there: that of the fixtures belongs to the profile of another namespace.
const ACCOUNT: &str = "paper-wrong";
const ACCOUNT_OF_THE_FIXTURES: &str = "paper-1";

/// Fewest wrong manifests that must be there, so that an empty folder cannot pass.
const AT_LEAST: usize = 40;

/// A wrong manifest and what must be said of it.
struct Wrong {
    path: PathBuf,
    manifest: String,
    expected: Vec<String>,
}

impl Wrong {
    fn name(&self) -> Cow<'_, str> {
        self.path.file_name().unwrap_or_default().to_string_lossy()
    }
}

/// The files of `tests/fixtures/wrong` that only the operator can refuse, or all others.
fn manifests(environment: &Environment, by_operator: bool) -> Result<Vec<Wrong>> {
    let folder = environment.tree.root().join("tests/fixtures/wrong");
    let entries = fs::read_dir(&folder).with_context(|| format!("no folder {}", folder.display()))?;
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "yaml")) {
        let manifest = fs::read_to_string(&path)?;
        let expected: Vec<String> =
            manifest.lines().filter_map(|line| line.strip_prefix("# expect: ")).map(str::to_owned).collect();
        ensure!(!expected.is_empty(), "{} has no '# expect: ' line", path.display());
        if manifest.lines().any(|line| line == "# refused-by: operator") == by_operator {
            found.push(Wrong { path, manifest, expected });
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

/// Applies what the API server must refuse, with the texts of its `# expect:` lines.
///
/// # Errors
/// Lists the manifests that were accepted or refused with other words.
pub fn refused(environment: &Environment, namespace: &str) -> Result<String> {
    let all = manifests(environment, false)?;
    let mut wrong = Vec::new();
    for one in &all {
        let (name, path) = (one.name(), one.path.to_string_lossy());
        let seen = environment.kubectl.call(&["apply", "-n", namespace, "--dry-run=server", "-f", &path])?;
        if seen.status.success() {
            wrong.push(format!("{name}: accepted"));
        } else if let Some(missing) = one.expected.iter().find(|part| !seen.stderr.contains(*part)) {
            wrong.push(format!("{name}: refused without '{missing}': {}", seen.stderr.trim()));
        }
    }
    ensure!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), all.len(), wrong.join("\n"));
    ensure!(all.len() >= AT_LEAST, "only {} wrong manifests, at least {AT_LEAST} are wanted", all.len());
    Ok(format!("{} wrong manifests refused by the API server, each with the words expected", all.len()))
}

/// Applies what only the operator can refuse, each shown as a condition with the texts of its `# expect:` lines.
///
/// # Errors
/// Names the first one that is not.
pub fn shown(environment: &Environment) -> Result<String> {
    let all = manifests(environment, true)?;
    ensure!(!all.is_empty(), "no manifest is left to the operator");
    setup::namespace(environment, NAMESPACE)?;
    setup::checkpoint(environment, NAMESPACE, "strategic-a")?;
    setup::checkpoint(environment, NAMESPACE, "tactical-a")?;
    for one in &all {
        as_a_condition(environment, one).with_context(|| one.name().into_owned())?;
    }
    once_and_no_more(environment)?;
    setup::leave_namespace(environment, NAMESPACE)?;
    Ok(format!(
        "{} wrong manifests shown as a condition, each with the words expected; calendars set once, an instrument added and not \
         taken back",
        all.len()
    ))
}

/// What only the operator can see, because it takes two objects or exact arithmetic: shown as a condition of one of them.
fn as_a_condition(environment: &Environment, wrong: &Wrong) -> Result<()> {
    let here = |text: &str| text.replace(ACCOUNT_OF_THE_FIXTURES, ACCOUNT);
    environment.kubectl.apply(NAMESPACE, &here(&super::manifests::risk_profile("main")))?;
    for document in wrong.manifest.split("\n---\n") {
        environment.kubectl.apply(NAMESPACE, &here(document))?;
        next_second(environment)?;
    }
    environment.kubectl.until("a condition with the words expected", SOON, || {
        let list = environment.kubectl.get(NAMESPACE, &["tradingpolicies,riskprofiles"])?.context("the objects applied")?;
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let said: Vec<String> = items
            .iter()
            .flat_map(|item| item.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default())
            .map(|condition| text(&condition, "/message").to_owned())
            .collect();
        let all = wrong.expected.iter().all(|part| said.iter().any(|message| message.contains(&here(part))));
        Ok(if all { Poll::Ready(()) } else { Poll::NotYet(said.join("; ")) })
    })?;
    environment.kubectl.output(&["delete", "-n", NAMESPACE, "tradingpolicies,riskprofiles", "--all", "--timeout=180s"])?;
    Ok(())
}

/// What may be set once or may only grow, against the rules of the real API server: the first change is taken, the next refused.
fn once_and_no_more(environment: &Environment) -> Result<()> {
    let here = super::manifests::risk_profile("main").replace(ACCOUNT_OF_THE_FIXTURES, ACCOUNT);
    environment.kubectl.apply(NAMESPACE, &here)?;
    environment.kubectl.apply(NAMESPACE, &trading_policy(&PolicySpec::SAMPLE))?;
    let instrument = |symbol: &str, calendar: &str| serde_json::json!({"symbol": symbol, "pointValue": "1", "tick": "0.01", "lot": "1", "calendar": calendar});
    let instruments = |spx: &str, more: &[&str]| {
        let more = more.iter().map(|symbol| instrument(symbol, "24x7"));
        let all: Vec<_> = [instrument("SPX", spx), instrument("IXIC", "24x7")].into_iter().chain(more).collect();
        serde_json::json!({"spec": {"instruments": all}})
    };
    let calendar = |name: &str| serde_json::json!({"spec": {"calendar": name}});
    for (object, change, refusal) in [
        ("riskprofile/main", calendar("XNYS"), None),
        ("riskprofile/main", calendar("XLON"), Some("spec.calendar is XNYS and cannot become XLON")),
        ("tradingpolicy/indices", instruments("XNYS", &["DJI"]), None),
        ("tradingpolicy/indices", instruments("XLON", &["DJI"]), Some("calendar of SPX is XNYS and cannot become XLON")),
        ("tradingpolicy/indices", instruments("XNYS", &[]), Some("spec.instruments lacks [\"DJI\"]")),
    ] {
        let seen = environment.kubectl.call(&["patch", object, "-n", NAMESPACE, "--type=merge", "-p", &change.to_string()])?;
        match refusal {
            None => ensure!(seen.status.success(), "{object}: {change} was refused: {}", seen.stderr.trim()),
            Some(text) => {
                ensure!(!seen.status.success(), "{object}: {change} was accepted");
                ensure!(seen.stderr.contains(text), "{object}: refused without '{text}': {}", seen.stderr.trim());
            }
        }
    }
    environment.kubectl.output(&["delete", "-n", NAMESPACE, "tradingpolicies,riskprofiles", "--all", "--timeout=180s"])?;
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
