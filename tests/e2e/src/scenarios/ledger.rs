//! Ledgers as the processes themselves print them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::environment::Environment;

/// Directory of the journals inside the pods.
pub const DATA: &str = "/var/lib/tradewind";

/// Which ledger.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Decisions of the decider.
    Decisions,
    /// Orders of the execution process.
    Orders,
    /// Fills of the execution process.
    Fills,
}

/// Prints one ledger, or its digest only.
///
/// # Errors
/// When the pod is not there or the journal is unreadable.
pub fn read(environment: &Environment, namespace: &str, policy: &str, kind: Kind, digest: bool) -> Result<String> {
    let (pod, program) = match kind {
        Kind::Decisions => (format!("{policy}-policy-0"), "tradewind-policy"),
        Kind::Orders | Kind::Fills => (format!("{policy}-execution-0"), "tradewind-execution"),
    };
    let mut command = vec!["exec", "-n", namespace, &pod, "--", program, "ledger", "--data", DATA];
    match kind {
        Kind::Decisions => {}
        Kind::Orders => command.extend_from_slice(&["--kind", "orders"]),
        Kind::Fills => command.extend_from_slice(&["--kind", "fills"]),
    }
    if digest {
        command.push("--digest");
    }
    environment.kubectl.output(&command)
}

/// The lines of a ledger as JSON.
///
/// # Errors
/// When it cannot be read or a line is no JSON.
pub fn lines(environment: &Environment, namespace: &str, policy: &str, kind: Kind) -> Result<Vec<Value>> {
    let text = read(environment, namespace, policy, kind, false)?;
    text.lines().map(|line| serde_json::from_str(line).with_context(|| format!("a ledger line is no JSON: {line}"))).collect()
}

/// Checks that every bar of every symbol was decided exactly once, in order, by a named driver; returns bars per symbol and driver.
///
/// # Errors
/// Names the first bar that is missing, doubled or without a driver.
pub fn each_bar_once(decisions: &[Value]) -> Result<BTreeMap<String, u64>> {
    let mut next: BTreeMap<String, u64> = BTreeMap::new();
    let mut by_driver: BTreeMap<String, u64> = BTreeMap::new();
    for line in decisions {
        let symbol = line["symbol"].as_str().context("a decision without symbol")?.to_owned();
        let index = line["index"].as_u64().context("a decision without index")?;
        let expected = next.entry(symbol.clone()).or_insert(0);
        if index != *expected {
            bail!("{symbol}: bar {index} was decided where bar {expected} was due");
        }
        *expected += 1;
        let (driver, bundle) = (line["driver"].as_str().unwrap_or_default(), line["bundle"].as_str().unwrap_or_default());
        ensure!(!driver.is_empty() && bundle.len() == 12, "{symbol} bar {index}: driver '{driver}', bundle '{bundle}'");
        *by_driver.entry(format!("{bundle} as {driver}")).or_insert(0) += 1;
    }
    Ok(by_driver)
}

/// Entry orders that went to the venue; protective orders of positions held are not counted.
///
/// # Errors
/// When there is no order at all.
pub fn entries(environment: &Environment, namespace: &str, policy: &str) -> Result<usize> {
    let orders = lines(environment, namespace, policy, Kind::Orders)?;
    let entry = |line: &&Value| {
        let text = line.to_string().to_lowercase();
        text.contains("\"entry\"") && text.contains("submitted")
    };
    let entries = orders.iter().filter(entry).count();
    (!orders.is_empty()).then_some(entries).context("the order ledger is empty")
}
