//! The connection of a risk process to the API server is cut without a word, inside the network namespace of its pod: a halt
//! stops trading all the same, by either of its two ways alone.

use std::fs;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::manifests::PolicySpec;
use super::shared_account::{self, ONE, OTHER, SHARED};
use super::{faults, halt, ledger};
use crate::command::Run;
use crate::environment::Environment;
use crate::kubectl::{Poll, SOON, text};

/// Longest time from the halt to the last order: a dead connection is noticed within 2 s, and a halt acts within 1 s of its
/// arrival.
const ALLOWED: Duration = Duration::from_secs(3);
/// For how long no order may follow before the last one counts as the last.
const SILENCE: Duration = Duration::from_secs(8);

/// Rules that drop packets of one pod; dropping this takes them back.
struct Dropped {
    process: u32,
    rules: Vec<Vec<String>>,
}

impl Dropped {
    /// Every packet to and from `address`.
    ///
    /// # Errors
    /// As [`Self::with`].
    fn all(process: u32, address: Ipv4Addr) -> Result<Self> {
        let address = address.to_string();
        Self::with(process, vec![vec!["OUTPUT", "-d", &address], vec!["INPUT", "-s", &address]])
    }

    /// Only the connections that are there now: who begins anew gets through.
    fn present(process: u32, address: Ipv4Addr) -> Result<Self> {
        let ports = connections(process, address)?;
        ensure!(!ports.is_empty(), "process {process} has no connection to the API server at {address}");
        let (address, ports) = (address.to_string(), ports.iter().map(ToString::to_string).collect::<Vec<_>>());
        let rules = ports.iter().flat_map(|port| {
            [
                vec!["OUTPUT", "-p", "tcp", "-d", address.as_str(), "--sport", port.as_str()],
                vec!["INPUT", "-p", "tcp", "-s", address.as_str(), "--dport", port.as_str()],
            ]
        });
        Self::with(process, rules.collect())
    }

    /// # Errors
    /// When the process is in the machine's own network, where a rule would cut others off, or a rule is refused.
    fn with(process: u32, rules: Vec<Vec<&str>>) -> Result<Self> {
        let network = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).context("the network of a process");
        ensure!(network(&process.to_string())? != network("self")?, "process {process} has no network namespace of its own");
        let mut dropped = Self { process, rules: Vec::new() };
        for rule in rules {
            let rule: Vec<String> = rule.into_iter().map(str::to_owned).collect();
            dropped.change("-A", &rule)?;
            dropped.rules.push(rule);
        }
        Ok(dropped)
    }

    fn change(&self, verb: &str, rule: &[String]) -> Result<()> {
        let process = self.process.to_string();
        let mut words = vec!["-t", &process, "-n", "iptables", "-w", "5", verb];
        words.extend(rule.iter().map(String::as_str));
        words.extend(["-j", "DROP"]);
        Run::new("nsenter", &words).output().map(drop)
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        for rule in &self.rules {
            // A pod that is gone has no rules any more.
            let _ = self.change("-D", rule);
        }
    }
}

/// Local ports of a process's pod with an established connection to port 443 of `address`.
fn connections(process: u32, address: Ipv4Addr) -> Result<Vec<u16>> {
    let table = fs::read_to_string(format!("/proc/{process}/net/tcp"))?;
    // The kernel writes addresses as they lie in memory.
    let remote = format!("{:08X}:{:04X}", u32::from_le_bytes(address.octets()), 443);
    let port = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (local, seen, state) = (columns.get(1)?, columns.get(2)?, columns.get(3)?);
        (*seen == remote && *state == "01").then(|| u16::from_str_radix(local.rsplit(':').next()?, 16).ok()).flatten()
    };
    Ok(table.lines().filter_map(port).collect())
}

/// Both ways, one after the other.
///
/// # Errors
/// Says what did not hold.
pub fn run(environment: &Environment) -> Result<String> {
    let outcome = shown(environment);
    let left = shared_account::leave(environment);
    // What did not hold says more than what could not be tidied up.
    outcome.and_then(|shown| left.map(|()| shown))
}

fn shown(environment: &Environment) -> Result<String> {
    shared_account::trading(environment)?;
    let risk = faults::mine(environment)?.into_iter().find(|process| {
        let words = &process.arguments;
        process.program == "tradewind-risk" && words.windows(2).any(|pair| pair == ["--profile", SHARED])
    });
    let risk = risk.context("the risk process of the account is not there")?.id;
    let service = environment.kubectl.get("default", &["service/kubernetes"])?.context("the API server's service")?;
    let address: Ipv4Addr = text(&service, "/spec/clusterIP").parse().context("its address")?;

    // All is dropped: only the operator's direct call can arrive.
    let dropped = Dropped::all(risk, address)?;
    until_entering(environment)?;
    let called = last_order(environment).context("risk cut off from the API server, the operator calls it")?;
    drop(dropped);
    halt::lift(environment, SHARED, SHARED)?;

    // There is no operator: only what the process reads itself can arrive, and the connection that it has is dead. The halt
    // follows the cut at once: a little later the process has noticed and reads over another connection.
    let read = halt::without_operator(environment, || {
        until_entering(environment)?;
        let _dropped = Dropped::present(risk, address)?;
        last_order(environment).context("no operator, and the connections of risk to the API server dead")
    })?;
    halt::lift(environment, SHARED, SHARED)?;
    Ok(format!(
        "from the halt to the last order: {} by the operator's call with every packet between risk and the API server dropped, {} by risk's \
         own read with the packets of its connections dropped and no operator; allowed are {ALLOWED:?}",
        between(called),
        between(read)
    ))
}

/// In words.
fn between((after, before): (Duration, Duration)) -> String {
    format!("{} to {} ms", after.as_millis(), before.as_millis())
}

/// Entries of both policies of the account.
fn entries(environment: &Environment) -> Result<usize> {
    let of = |spec: &PolicySpec<'_>| ledger::entries(environment, SHARED, spec.name);
    Ok(of(&ONE)? + of(&OTHER)?)
}

/// Halts the account, to which entries come, and waits until no order follows; gives the time from the API server's answer to the last one:
/// after the begin of the look before the first that shows all of them, and before the end of that one. Only what is later
/// for certain is too late: how long a look takes is the machine's speed.
fn last_order(environment: &Environment) -> Result<(Duration, Duration)> {
    environment.kubectl.patch(SHARED, &format!("riskprofile/{SHARED}"), r#"{"spec":{"halt":true}}"#)?;
    let begun = Instant::now();
    let mut look = begun.elapsed();
    let (mut seen, mut last) = (entries(environment)?, (Duration::ZERO, begun.elapsed()));
    while begun.elapsed() < last.1 + SILENCE {
        let began = begun.elapsed();
        let now = entries(environment)?;
        if now > seen {
            (seen, last) = (now, (look, begun.elapsed()));
        }
        look = began;
        ensure!(last.0 <= ALLOWED, "an order came later than {:?} after the halt, allowed are {ALLOWED:?}", last.0);
    }
    Ok(last)
}

/// Waits until entries come in a row: a silence that follows is the halt's.
fn until_entering(environment: &Environment) -> Result<()> {
    let before = entries(environment)?;
    environment.kubectl.until("entries to come", SOON, || {
        let now = entries(environment)?;
        Ok(if now >= before + 3 { Poll::Ready(()) } else { Poll::NotYet(format!("{} more entries", now - before)) })
    })
}
