//! Nothing is written when nothing changes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::audit::{Audit, Write};
use crate::environment::{Environment, SYSTEM};
use crate::kubectl::{Poll, SOON};

/// A look at the API server's audit log from its present end on.
pub struct Watch {
    audit: Audit,
    begun: Instant,
    reconciles: u64,
}

/// No pass for so long: what was begun before is done. A pass that waits for something comes back within 2 s.
const STILL: Duration = Duration::from_secs(5);

/// Passes that the operator may make in an hour for each object without anything to do.
const PASSES_PER_HOUR: f64 = 6.0;

impl Watch {
    /// Begins to watch, once the operator has done what there was to do.
    ///
    /// # Errors
    /// When there is no audit log, or the operator does not tell its passes or goes on making them.
    pub fn begin(environment: &Environment) -> Result<Self> {
        let (mut since, mut before) = (Instant::now(), 0);
        let reconciles = environment.kubectl.until("the operator to have nothing to do", SOON, || {
            // What a namespace takes with it is still the operator's business until it is gone.
            let phases = environment.kubectl.output(&["get", "namespaces", "-o", "jsonpath={.items[*].status.phase}"])?;
            let now = reconciles(environment)?;
            if now != before || phases.contains("Terminating") {
                (since, before) = (Instant::now(), now);
            }
            Ok(if since.elapsed() > STILL { Poll::Ready(now) } else { Poll::NotYet(format!("{now} passes")) })
        })?;
        Ok(Self { audit: Audit::from_now(environment)?, begun: Instant::now(), reconciles })
    }

    /// Waits until `period` is over and counts the operator's writes in it; its lease is the only one allowed.
    ///
    /// # Errors
    /// When there is another write, the lease is renewed more than six times a minute, or passes go on without a reason.
    pub fn end(mut self, environment: &Environment, period: Duration) -> Result<String> {
        while let Some(left) = period.checked_sub(self.begun.elapsed()) {
            std::thread::park_timeout(left);
        }
        let watched = self.begun.elapsed();
        let passes = reconciles(environment)?.checked_sub(self.reconciles).context("the operator was restarted")?;
        let objects = environment.kubectl.get("default", &["tp,rp,mc", "-A"])?.context("the custom resources")?;
        let objects = objects["items"].as_array().map_or(0, Vec::len);
        let (leases, others): (Vec<_>, Vec<_>) = self.audit.answered()?.into_iter().partition(Write::is_renewal);
        let leases = leases.len();
        let minutes = watched.as_secs_f64() / 60.0;
        ensure!(objects > 0, "no object is there to be quiet about");
        ensure!(others.is_empty(), "{} writes in {minutes:.1} min: {others:?}", others.len());
        ensure!(real(leases)? <= 6.0 * minutes + 1.0, "the lease was renewed {leases} times in {minutes:.1} min");
        let allowed = real(objects)? * (1.0 + PASSES_PER_HOUR * minutes / 60.0);
        ensure!(
            real(passes)? <= allowed,
            "{passes} passes over {objects} objects in {minutes:.1} min, at most {allowed:.0} are due"
        );
        Ok(format!(
            "{minutes:.1} min, {objects} objects: 0 writes by the operator but {leases} renewals of its lease; {passes} passes"
        ))
    }
}

fn real(count: impl TryInto<u32>) -> Result<f64> {
    count.try_into().map(f64::from).ok().context("a count above four thousand million")
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
