//! Nothing is written when nothing changes.

use std::fs;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::environment::{Environment, SYSTEM};

/// Counts the operator's writes in the API server's audit log over `period`; the lease is the only one allowed.
///
/// # Errors
/// When there is another write, or the lease is renewed more than six times a minute.
pub fn run(environment: &Environment, period: Duration) -> Result<String> {
    let path = environment.directory().join("audit.log");
    let mut log = fs::File::open(&path).with_context(|| format!("no audit log at {}", path.display()))?;
    log.seek(SeekFrom::End(0))?;
    let begun = Instant::now();
    while begun.elapsed() < period {
        std::thread::park_timeout(period - begun.elapsed());
    }
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
            others.push(format!("{} {}", event["verb"], event["requestURI"]));
        }
    }
    let minutes = period.as_secs_f64() / 60.0;
    ensure!(others.is_empty(), "{} writes in {minutes:.1} min: {others:?}", others.len());
    ensure!(f64::from(leases) <= 6.0 * minutes + 1.0, "the lease was renewed {leases} times in {minutes:.1} min");
    Ok(format!("{minutes:.1} min: 0 writes by the operator but {leases} renewals of its lease"))
}
