//! Processes killed in the middle: trading fails closed and goes on, and no bar is lost or decided twice.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::ledger::{self, Kind};
use crate::command::Run;
use crate::environment::Environment;
use crate::kubectl::{Poll, SOON};

/// What is killed.
#[derive(Clone, Copy, Debug)]
pub enum Victim {
    /// A process of the product, by program name; only those of this cluster are touched.
    Process(&'static str),
    /// The API server.
    ApiServer,
}

/// Kills `victim` and waits until the policy decides on.
///
/// # Errors
/// When deciding does not go on, or a bar is missing or doubled afterwards.
pub fn kill(environment: &Environment, namespace: &str, policy: &str, victim: Victim) -> Result<String> {
    let decided = || ledger::lines(environment, namespace, policy, Kind::Decisions);
    let before = decided()?.len();
    match victim {
        Victim::Process(program) => kill_process(environment, program)?,
        Victim::ApiServer => {
            environment.cluster(&["kill", "apiserver"])?;
        }
    }
    let after = environment.kubectl.until("deciding to go on", SOON, || match decided() {
        Ok(lines) if lines.len() > before + 20 => Ok(Poll::Ready(lines)),
        Ok(lines) => Ok(Poll::NotYet(format!("{} decided, {before} before", lines.len()))),
        Err(error) => Ok(Poll::NotYet(format!("{error:#}"))),
    })?;
    ledger::each_bar_once(&after)?;
    Ok(format!("{victim:?}: {before} bars decided before, {} after, each once", after.len()))
}

/// Sends SIGKILL to the processes of one program inside this cluster.
fn kill_process(environment: &Environment, program: &str) -> Result<()> {
    let mut killed = 0;
    for process in mine(environment)? {
        if process.program == program {
            Run::new("kill", &["-9", &process.id.to_string()]).output()?;
            killed += 1;
        }
    }
    ensure!(killed > 0, "no process '{program}' in the cluster");
    Ok(())
}

/// A process of a pod of this cluster.
#[derive(Clone, Debug)]
pub struct PodProcess {
    /// Process id on the machine.
    pub id: u32,
    /// File name of its program.
    pub program: String,
    /// Its arguments; the first is `serve` for a process that stays.
    pub arguments: Vec<String>,
    /// CPUs that the kernel lets it use.
    pub allowed: String,
}

/// Processes in this cluster's cgroups: nothing else on the machine may be touched.
///
/// # Errors
/// When the cluster's description cannot be read.
pub fn mine(environment: &Environment) -> Result<Vec<PodProcess>> {
    let path = environment.directory().join("cluster.json");
    let text = fs::read_to_string(&path).with_context(|| format!("no description of the cluster at {}", path.display()))?;
    let spec: serde_json::Value = serde_json::from_str(&text)?;
    let id = spec["id"].as_str().context("the cluster has no id")?;
    let group = format!("/tradewind-{id}/");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Ok(id) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let file = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
        if !String::from_utf8_lossy(&file("cgroup")).contains(&group) {
            continue;
        }
        let command = file("cmdline");
        let mut words = command.split(|b| *b == 0).map(|word| String::from_utf8_lossy(word).into_owned());
        let (first, arguments) = (words.next().unwrap_or_default(), words.collect());
        let status = String::from_utf8_lossy(&file("status")).into_owned();
        let allowed = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:")).unwrap_or_default().trim().to_owned();
        found.push(PodProcess { id, program: first.rsplit('/').next().unwrap_or_default().to_owned(), arguments, allowed });
    }
    Ok(found)
}
