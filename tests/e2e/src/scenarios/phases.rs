//! The phases of a policy as they come: watched, because asking again and again costs the CPUs that the product needs.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::environment::Environment;

/// A watch of one policy.
pub struct Phases {
    watch: Child,
    lines: Lines<BufReader<ChildStdout>>,
    last: String,
}

impl Phases {
    /// Watches for at most `deadline`, rounded up to seconds. Returns once the API server has shown the present phase: none is
    /// missed from then on.
    ///
    /// # Errors
    /// When kubectl cannot be started, or the policy does not exist.
    pub fn of(environment: &Environment, namespace: &str, object: &str, deadline: Duration) -> Result<Self> {
        let form = r#"jsonpath={.status.phase}{"\n"}"#;
        let timeout = format!("--request-timeout={}s", deadline.as_secs() + 1);
        let arguments = ["get", "-n", namespace, object, "--watch", "-o", form, &timeout];
        let mut watch = environment.kubectl.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut lines = BufReader::new(watch.stdout.take().context("the output of kubectl")?).lines();
        let last = lines.next().with_context(|| format!("kubectl shows no phase of {object}"))??;
        Ok(Self { watch, lines, last })
    }

    /// Waits until the policy is in `phase`; it may be there already.
    ///
    /// # Errors
    /// When the watch ends before, with the phase last seen.
    pub fn until(&mut self, phase: &str) -> Result<()> {
        if self.last == phase { Ok(()) } else { self.until_next(phase) }
    }

    /// Waits until the policy comes to `phase`.
    ///
    /// # Errors
    /// When the watch ends before, with the phase last seen.
    pub fn until_next(&mut self, phase: &str) -> Result<()> {
        for line in &mut self.lines {
            self.last = line?;
            if self.last == phase {
                return Ok(());
            }
        }
        bail!("the watch ended before {phase} came; last seen: {}", self.last)
    }
}

impl Drop for Phases {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.watch.kill();
        let _ = self.watch.wait();
    }
}
