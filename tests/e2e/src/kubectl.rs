//! `kubectl` as a user has it, plus waiting for conditions with a deadline.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command::{Finished, Run};

/// One cluster as seen through `kubectl`.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// Uses `program` with the cluster of `kubeconfig`.
    #[must_use]
    pub fn new(program: PathBuf, kubeconfig: PathBuf) -> Self {
        Self { program, kubeconfig }
    }

    /// Any call; the exit code is the caller's to judge.
    ///
    /// # Errors
    /// When kubectl cannot be started or hangs.
    pub fn call(&self, arguments: &[&str]) -> Result<Finished> {
        self.prepare(arguments).finish()
    }

    /// Any call that must succeed; returns what it printed.
    ///
    /// # Errors
    /// When kubectl fails.
    pub fn output(&self, arguments: &[&str]) -> Result<String> {
        self.prepare(arguments).output()
    }

    /// Applies a manifest text.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub fn apply(&self, namespace: &str, manifest: &str) -> Result<String> {
        self.prepare(&["apply", "-n", namespace, "-f", "-"]).input(manifest).output()
    }

    /// Applies a manifest text that may be refused.
    ///
    /// # Errors
    /// When kubectl cannot be started or hangs.
    pub fn try_apply(&self, namespace: &str, manifest: &str) -> Result<Finished> {
        self.prepare(&["apply", "-n", namespace, "-f", "-"]).input(manifest).finish()
    }

    /// Merge-patches an object's spec, as `kubectl patch --type=merge`.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub fn patch(&self, namespace: &str, object: &str, patch: &str) -> Result<String> {
        self.output(&["patch", "-n", namespace, object, "--type=merge", "-p", patch])
    }

    /// An object or list as JSON; `None` when it does not exist.
    ///
    /// # Errors
    /// When kubectl fails for another reason.
    pub fn get(&self, namespace: &str, what: &[&str]) -> Result<Option<Value>> {
        let mut arguments = vec!["get", "-n", namespace, "-o", "json", "--ignore-not-found"];
        arguments.extend_from_slice(what);
        let text = self.output(&arguments)?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        serde_json::from_str(&text).map(Some).with_context(|| format!("kubectl get {} gave no JSON", what.join(" ")))
    }

    /// Asks until `probe` has an answer.
    ///
    /// # Errors
    /// When the deadline passes (with what was last missing), or `probe` fails for good.
    pub fn until<T>(&self, what: &str, deadline: Duration, mut probe: impl FnMut() -> Result<Poll<T>>) -> Result<T> {
        let begun = Instant::now();
        loop {
            let asked = Instant::now();
            let missing = match probe()? {
                Poll::Ready(value) => return Ok(value),
                Poll::NotYet(missing) => missing,
            };
            if begun.elapsed() > deadline {
                bail!("waited {} s for {what}; last seen: {missing}", deadline.as_secs());
            }
            // Asking costs CPU time that the product on the same machine needs: no more than a third of the time goes into it.
            thread::park_timeout((asked.elapsed() * 2).clamp(Duration::from_millis(200), Duration::from_secs(2)));
        }
    }

    /// kubectl as a program still to be started, for output that comes bit by bit.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env("KUBECONFIG", &self.kubeconfig).stdin(Stdio::null());
        command
    }

    fn prepare(&self, arguments: &[&str]) -> Run {
        Run::new(&self.program, arguments).env("KUBECONFIG", &self.kubeconfig).deadline(Duration::from_secs(120))
    }
}

/// How long to wait for what takes seconds. Nothing is claimed by it: it only ends a wait that would never end, and is long
/// because something else may have half of the machine.
pub const SOON: Duration = Duration::from_secs(240);

/// The same for what takes hundreds of bars: a rollout, a replay.
pub const LATER: Duration = Duration::from_secs(900);

/// What a probe found.
pub enum Poll<T> {
    /// The answer.
    Ready(T),
    /// What is still missing, for the message when time runs out.
    NotYet(String),
}

/// The status of a condition of `object`, with reason and message.
#[must_use]
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let found = object.pointer("/status/conditions")?.as_array()?.iter().find(|c| c["type"] == kind)?;
    Some((found["status"].as_str()?, found["reason"].as_str().unwrap_or_default(), found["message"].as_str().unwrap_or_default()))
}

/// A text inside an object by JSON pointer; empty when absent.
#[must_use]
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
