//! Nothing is written when nothing changes.

use std::fs;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::environment::{Environment, SYSTEM};

/// A look at the API server's audit log from its present end on.
pub struct Watch {
    log: fs::File,
    begun: Instant,
    reconciles: u64,
}

/// Passes that the operator may make in an hour for each object without anything to do.
const PASSES_PER_HOUR: f64 = 6.0;

impl Watch {
    /// Begins to watch.
    ///
    /// # Errors
    /// When there is no audit log, or the operator does not tell its passes.
    pub fn begin(environment: &Environment) -> Result<Self> {
        let path = environment.directory().join("audit.log");
        let mut log = fs::File::open(&path).with_context(|| format!("no audit log at {}", path.display()))?;
        log.seek(SeekFrom::End(0))?;
        Ok(Self { log, begun: Instant::now(), reconciles: reconciles(environment)? })
    }

    /// Waits until `period` is over and counts the operator's writes in it; its lease is the only one allowed.
    ///
    /// # Errors
    /// When there is another write, the lease is renewed more than six times a minute, or passes go on without a reason.
    pub fn end(self, environment: &Environment, period: Duration) -> Result<String> {
        while let Some(left) = period.checked_sub(self.begun.elapsed()) {
            std::thread::park_timeout(left);
        }
        let watched = self.begun.elapsed();
        let passes = reconciles(environment)?.checked_sub(self.reconciles).context("the operator was restarted")?;
        let objects = environment.kubectl.get("default", &["tp,rp,mc", "-A"])?.context("the custom resources")?;
        let objects = objects["items"].as_array().map_or(0, Vec::len);
        let (leases, others) = writes(self.log)?;
        let minutes = watched.as_secs_f64() / 60.0;
        ensure!(objects > 0, "no object is there to be quiet about");
        ensure!(others.is_empty(), "{} writes in {minutes:.1} min: {others:?}", others.len());
        ensure!(f64::from(leases) <= 6.0 * minutes + 1.0, "the lease was renewed {leases} times in {minutes:.1} min");
        #[allow(clippy::cast_precision_loss)]
        let allowed = objects as f64 * (1.0 + PASSES_PER_HOUR * minutes / 60.0);
        #[allow(clippy::cast_precision_loss)]
        let most = passes as f64 <= allowed;
        ensure!(most, "{passes} passes over {objects} objects in {minutes:.1} min, at most {allowed:.0} are due");
        Ok(format!(
            "{minutes:.1} min, {objects} objects: 0 writes by the operator but {leases} renewals of its lease; {passes} passes"
        ))
    }
}

/// Renewals of the lease, and every other write by the operator.
fn writes(log: fs::File) -> Result<(u32, Vec<String>)> {
    let (mut leases, mut others) = (0_u32, Vec::new());
    for line in BufReader::new(log).lines() {
        // The last line may still be being written.
        let Ok(event) = serde_json::from_str::<Value>(&line?) else { continue };
        let by_operator = event["user"]["username"] == format!("system:serviceaccount:{SYSTEM}:tradewind-operator");
        let writes = ["create", "update", "patch", "delete", "deletecollection"].iter().any(|verb| event["verb"] == *verb);
        if !by_operator || !writes || event["stage"] != "ResponseComplete" {
            continue;
        }
        if event["objectRef"]["resource"] == "leases" {
            leases += 1;
        } else {
            others.push(format!("{} {} {}", event["requestReceivedTimestamp"], event["verb"], event["requestURI"]));
        }
    }
    Ok((leases, others))
}

/// Passes of the operator that leads, by its own metrics.
fn reconciles(environment: &Environment) -> Result<u64> {
    let pods = environment.kubectl.output(&[
        "get",
        "pods",
        "-n",
        SYSTEM,
        "-l",
        "app.kubernetes.io/component=operator",
        "--field-selector=status.phase=Running",
        "-o",
        "jsonpath={.items[0].metadata.name}",
    ])?;
    let path = format!("/api/v1/namespaces/{SYSTEM}/pods/{}:9100/proxy/metrics", pods.trim());
    let metrics = environment.kubectl.output(&["get", "--raw", &path])?;
    let lines = metrics.lines().filter(|line| line.starts_with("tradewind_operator_reconciles_total"));
    let counts: Vec<f64> = lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
    ensure!(!counts.is_empty(), "the operator shows no tradewind_operator_reconciles_total");
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Ok(counts.iter().sum::<f64>() as u64)
}
