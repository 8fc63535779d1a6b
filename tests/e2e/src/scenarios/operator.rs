//! The operator's process from outside: found, and stopped for a moment so that something can be done in a short phase.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::faults;
use super::phases::Phases;
use crate::environment::Environment;
use crate::kubectl::{SOON, text};

/// Its process on the machine; `None` while its container starts.
///
/// # Errors
/// When the cluster's description cannot be read, or there is more than one.
pub fn process(environment: &Environment) -> Result<Option<Pid>> {
    let mut found = faults::mine(environment)?.into_iter().filter(|process| process.program == "tradewind-operator");
    let one = found.next();
    ensure!(found.next().is_none(), "more than one operator runs");
    Ok(one.and_then(|process| Pid::from_raw(process.id.try_into().ok()?)))
}

/// The operator while it stands still; it goes on when this is dropped.
#[derive(Debug)]
pub struct Frozen(Pid);

impl Frozen {
    /// Does `act`, and stops the operator in the moment in which the policy comes to `phase`, before its next step.
    ///
    /// # Errors
    /// When `act` fails, or the phase does not come in time or was left before the operator stood still.
    pub fn at(
        environment: &Environment,
        namespace: &str,
        policy: &str,
        phase: &str,
        act: impl FnOnce() -> Result<()> + Send,
    ) -> Result<Self> {
        let operator = process(environment)?.context("no operator runs")?;
        let object = format!("tradingpolicy/{policy}");
        let mut phases = Phases::of(environment, namespace, &object, SOON)?;
        let seen = AtomicBool::new(false);
        let frozen = thread::scope(|scope| {
            let frozen = Self(operator);
            let acting = scope.spawn(act);
            let slowed = scope.spawn(|| slow_down(operator, &seen));
            let came = phases.until_next(phase);
            seen.store(true, Ordering::Release);
            slowed.join().map_err(|_| anyhow!("what was to slow the operator down panicked"))??;
            came?;
            acting.join().map_err(|_| anyhow!("what was to bring {object} to {phase} panicked"))??;
            anyhow::Ok(frozen)
        })?;
        frozen.checked(environment, namespace, &object, phase)
    }

    /// Stops the operator while the policy is in `phase`.
    ///
    /// # Errors
    /// When the policy is not.
    pub fn now(environment: &Environment, namespace: &str, policy: &str, phase: &str) -> Result<Self> {
        let operator = process(environment)?.context("no operator runs")?;
        kill_process(operator, Signal::STOP)?;
        Self(operator).checked(environment, namespace, &format!("tradingpolicy/{policy}"), phase)
    }

    fn checked(self, environment: &Environment, namespace: &str, object: &str, phase: &str) -> Result<Self> {
        let now = environment.kubectl.get(namespace, &[object])?.context("the policy does not exist")?;
        let seen = text(&now, "/status/phase");
        ensure!(seen == phase, "{object} was {phase} and is {seen} already: the operator was not stopped in time");
        Ok(self)
    }
}

/// Lets the operator run for a small part of the time, so that whoever watches hears of a phase before the operator leaves it,
/// and leaves it standing once the phase was seen.
fn slow_down(operator: Pid, seen: &AtomicBool) -> Result<()> {
    loop {
        kill_process(operator, Signal::STOP)?;
        thread::park_timeout(Duration::from_millis(16));
        if seen.load(Ordering::Acquire) {
            return Ok(());
        }
        kill_process(operator, Signal::CONT)?;
        thread::park_timeout(Duration::from_millis(4));
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // An operator that is gone needs no signal.
        let _ = kill_process(self.0, Signal::CONT);
    }
}
