//! The operator killed after each of its writes in a rollout: the rollout ends as one that nothing disturbed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process, setpriority_process, test_kill_process};

use super::audit::{Audit, Write};
use super::ledger::{self, Kind};
use super::{essence, operator, setup};
use crate::environment::Environment;
use crate::kubectl::{LATER, Poll, text};

/// Rollouts in which every kind of write must have been the last of a life.
const MOST_ROLLOUTS: usize = 3;
/// Fewest deaths in a rollout.
const AT_LEAST: usize = 12;

/// Rolls one checkpoint out undisturbed, then another with the operator killed after each of its writes, and compares what
/// both leave behind.
///
/// # Errors
/// When the ends differ, a kind of write was not followed by a death, or a process of the data plane was restarted.
pub fn run(environment: &Environment, namespace: &str, policy: &str) -> Result<String> {
    let mut audit = Audit::from_now(environment)?;
    roll_out(environment, namespace, policy, "tactical-a")?;
    let calm = done(audit.answered()?);
    let wanted = essence::of(environment, namespace, "tactical-a")?;

    let processes = || environment.kubectl.output(&["get", "pods", "-n", namespace, "-l", DATA_PLANE, "-o", RESTARTS]);
    let before = processes()?;
    let begun = Instant::now();
    let kinds = |writes: &[Write]| writes.iter().map(Write::kind).collect::<BTreeSet<_>>();
    let (mut deaths, mut rollouts) = (Vec::new(), 0);
    // A killer that does not get its CPU in time misses a write. Each rollout must end alike; a few together must see all.
    let missed = loop {
        let tactical = if rollouts % 2 == 0 { "tactical-b" } else { "tactical-a" };
        let more = killed_rollout(environment, namespace, policy, tactical)?;
        ensure!(more.len() >= AT_LEAST, "only {} deaths in a rollout: {}", more.len(), counted(&more));
        compare(&wanted, &essence::of(environment, namespace, tactical)?)?;
        deaths.extend(more);
        rollouts += 1;
        let missed: Vec<String> = kinds(&calm).difference(&kinds(&deaths)).cloned().collect();
        if missed.is_empty() || rollouts == MOST_ROLLOUTS {
            break missed;
        }
    };
    let took = begun.elapsed();
    ensure!(processes()? == before, "a process of the data plane was restarted: {before} before, {} after", processes()?);
    let decisions = ledger::lines(environment, namespace, policy, Kind::Decisions)?;
    ledger::each_bar_once(&decisions)?;
    ensure!(missed.is_empty(), "in {rollouts} rollouts no death followed {missed:?}, only {}", counted(&deaths));
    Ok(format!(
        "{} deaths in {rollouts} rollouts in {:.0} s, one after each write: {}; the rollout undisturbed makes {} writes; {} objects are \
         the same in the end, no process of the data plane was restarted, {} bars decided once each",
        deaths.len(),
        took.as_secs_f64(),
        counted(&deaths),
        calm.len(),
        wanted.len(),
        decisions.len()
    ))
}

/// One rollout, in which the operator dies after each of its writes; tells the last write of each life.
fn killed_rollout(environment: &Environment, namespace: &str, policy: &str, tactical: &str) -> Result<Vec<Write>> {
    let over = AtomicBool::new(false);
    let (ended, deaths) = thread::scope(|scope| {
        let killer = scope.spawn(|| kill_after_each_write(environment, &over));
        let ended = roll_out(environment, namespace, policy, tactical);
        over.store(true, Ordering::Release);
        (ended, killer.join())
    });
    let deaths = deaths.ok().context("the killer panicked")??;
    ended.with_context(|| format!("the operator was killed {} times", deaths.len()))?;
    environment.until_operator_controls()?;
    Ok(deaths)
}

/// Pods that a rollout of inference must not touch.
const DATA_PLANE: &str = "app.kubernetes.io/component in (policy,execution,risk)";
const RESTARTS: &str =
    r#"jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {.status.containerStatuses[0].restartCount}{"\n"}{end}"#;

/// Verifies and rolls out a checkpoint that the operator has not seen, until nothing of the bundle before is left.
fn roll_out(environment: &Environment, namespace: &str, policy: &str, tactical: &str) -> Result<()> {
    let object = format!("tradingpolicy/{policy}");
    let before = environment.kubectl.get(namespace, &[&object])?.context("the policy does not exist")?;
    let stable = text(&before, "/status/stable/bundle").to_owned();
    environment.kubectl.output(&["delete", "modelcheckpoint", "-n", namespace, "--ignore-not-found", tactical])?;
    setup::checkpoint(environment, namespace, tactical)?;
    setup::use_checkpoint(environment, namespace, policy, tactical)?;
    let children = ["get", "statefulsets,services,configmaps,secrets", "-n", namespace, "-o", "name"];
    environment.kubectl.until(&format!("{tactical} to serve alone"), LATER, || {
        let now = environment.kubectl.get(namespace, &[&object])?.context("the policy does not exist")?;
        let (phase, serving) = (text(&now, "/status/phase"), text(&now, "/status/stable/tactical/checkpoint"));
        ensure!(phase != "RolledBack", "{}", text(&now, "/status/summary"));
        if phase != "Healthy" || serving != tactical {
            return Ok(Poll::NotYet(format!("{phase}: {}", text(&now, "/status/summary"))));
        }
        let left = environment.kubectl.output(&children)?;
        Ok(if left.contains(&stable) { Poll::NotYet(format!("children of {stable}:\n{left}")) } else { Poll::Ready(()) })
    })
}

/// Kills the operator after each write, one life for each, until told that the rollout is over; tells the last write of each
/// life. The process is stopped when a write arrives at the API server, so that it sends no other one, and dies once that is
/// answered: it never hears the answer.
fn kill_after_each_write(environment: &Environment, over: &AtomicBool) -> Result<Vec<Write>> {
    let mut sight = Sight { audit: Audit::from_now(environment)?, unanswered: BTreeSet::new() };
    let mut deaths = Vec::new();
    // Best effort: who may not raise its priority looks a little later.
    let _ = setpriority_process(None, -10);
    while !over.load(Ordering::Acquire) {
        let Some(process) = operator::process(environment)? else {
            thread::park_timeout(Duration::from_millis(20));
            continue;
        };
        let last = sight.first_write(process, over);
        // It must not stay stopped, whatever happened; a dead one needs no signal.
        let _ = kill_process(process, if matches!(last, Ok(Some(_))) { Signal::KILL } else { Signal::CONT });
        let Some(mut last) = last? else { break };
        let begun = Instant::now();
        // What it had sent beside that write may still be done.
        while test_kill_process(process).is_ok() || !sight.unanswered.is_empty() {
            ensure!(begun.elapsed() < PATIENCE, "the operator does not die, or {:?} are not answered", sight.unanswered);
            thread::park_timeout(Duration::from_millis(2));
            last = sight.done()?.pop().unwrap_or(last);
        }
        deaths.push(last);
    }
    Ok(deaths)
}

/// How long the operator runs between two looks at the audit log.
const SLICE: Duration = Duration::from_millis(1);

/// How long the API server may take to answer a write, and a killed process to be gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the audit log has shown of the operator's writes.
struct Sight {
    audit: Audit,
    /// Requests that have arrived only.
    unanswered: BTreeSet<String>,
}

impl Sight {
    /// Writes done since the last look.
    fn done(&mut self) -> Result<Vec<Write>> {
        let stages = self.audit.stages()?;
        for write in stages.iter().filter(|write| !write.is_renewal()) {
            match write.answer {
                None => self.unanswered.insert(write.id.clone()),
                Some(_) => self.unanswered.remove(&write.id),
            };
        }
        Ok(done(stages))
    }

    /// Waits for the process to write something and leaves it stopped; `None` when the rollout is over first.
    fn first_write(&mut self, process: Pid, over: &AtomicBool) -> Result<Option<Write>> {
        let mut stopped = None;
        while !over.load(Ordering::Acquire) {
            if stopped.is_none() {
                // It runs between two looks only: between them it cannot hear an answer and write again.
                kill_process(process, Signal::CONT)?;
                thread::park_timeout(SLICE);
                kill_process(process, Signal::STOP)?;
            }
            let mut done = self.done()?;
            if stopped.is_none() && !(self.unanswered.is_empty() && done.is_empty()) {
                stopped = Some(Instant::now());
            }
            if let Some(last) = done.pop() {
                return Ok(Some(last));
            }
            match stopped {
                // It was refused, as an event that the life before has told already: nothing was written.
                Some(_) if self.unanswered.is_empty() => stopped = None,
                Some(since) => {
                    ensure!(since.elapsed() < PATIENCE, "the API server does not answer {:?}", self.unanswered);
                    thread::park_timeout(Duration::from_micros(200));
                }
                None => {}
            }
        }
        Ok(None)
    }
}

/// Writes that the API server did, without those that keep the lease.
fn done(writes: Vec<Write>) -> Vec<Write> {
    writes.into_iter().filter(|write| write.is_done() && !write.is_renewal()).collect()
}

fn counted(deaths: &[Write]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for death in deaths {
        *counts.entry(death.kind()).or_default() += 1;
    }
    counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect::<Vec<_>>().join(", ")
}

/// Shows the first place in which an object differs.
fn compare(wanted: &[String], ended: &[String]) -> Result<()> {
    if let Some((wanted, ended)) = wanted.iter().zip(ended).find(|(wanted, ended)| wanted != ended) {
        let same = wanted.chars().zip(ended.chars()).take_while(|(one, other)| one == other).count();
        let around = |text: &str| text.chars().skip(same.saturating_sub(120)).take(240).collect::<String>();
        let which: String = wanted.chars().take(80).collect();
        bail!("the end differs, {which}...\nundisturbed: ...{}...\nkilled:      ...{}...", around(wanted), around(ended));
    }
    ensure!(wanted.len() == ended.len(), "{} objects undisturbed, {} after the kills", wanted.len(), ended.len());
    Ok(())
}
