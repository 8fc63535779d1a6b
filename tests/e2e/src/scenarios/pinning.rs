//! Dedicated CPUs: asked, granted, and true from inside; refused with the arithmetic when they do not fit.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::manifests::{self, PolicySpec};
use super::{faults, setup};
use crate::environment::Environment;
use crate::kubectl::{Poll, SOON, condition, text};

/// What the condition says, and what the kernel says of the same processes.
///
/// # Errors
/// When the two disagree or the condition is not True.
pub fn claimed_and_true(environment: &Environment, namespace: &str, policy: &str) -> Result<String> {
    let value = environment.until_condition(namespace, &format!("tradingpolicy/{policy}"), "CpuPinned", "True", SOON)?;
    let (_, reason, message) = condition(&value, "CpuPinned").context("CpuPinned")?;
    let reports = value.pointer("/status/pinning").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut lines = vec![format!("CpuPinned=True {reason}: {message}")];
    for role in ["inference", "risk", "execution"] {
        let report = reports.iter().find(|r| r["role"] == role).with_context(|| format!("no report for {role}"))?;
        ensure!(report["asked"] == report["granted"] && report["pinned"] == true, "{role}: {report}");
        let kernel = allowed_by_the_kernel(environment, &format!("tradewind-{role}"))?;
        ensure!(kernel.iter().all(|list| list == text(report, "/allowedList")), "{role}: kernel {kernel:?}, status {report}");
        lines.push(format!(
            "{role}: asked {} granted {} CPUs {}; the kernel says {kernel:?}",
            report["asked"], report["granted"], kernel[0]
        ));
    }
    Ok(lines.join("\n"))
}

/// `Cpus_allowed_list` of every process of `program`, read from the machine, not from the product.
fn allowed_by_the_kernel(environment: &Environment, program: &str) -> Result<Vec<String>> {
    let serving = faults::mine(environment)?
        .into_iter()
        .filter(|p| p.program == program && p.arguments.first().is_some_and(|verb| verb == "serve"));
    let found: Vec<String> = serving.map(|p| p.allowed).collect();
    ensure!(!found.is_empty(), "no process '{program}' runs in this cluster");
    Ok(found)
}

/// Asks for more CPUs than the pool has: refused with the arithmetic, and the stable keeps serving.
///
/// # Errors
/// When the condition or the arithmetic is missing, or the stable is disturbed.
pub fn insufficient(environment: &Environment, namespace: &str, spec: &PolicySpec<'_>) -> Result<String> {
    let object = format!("tradingpolicy/{}", spec.name);
    let before = environment.kubectl.get(namespace, &[&object])?.context("the policy does not exist")?;
    let stable = text(&before, "/status/stable/bundle").to_owned();
    let pods = setup::pods_of(environment, namespace, &stable)?;
    environment.kubectl.apply(namespace, &manifests::trading_policy(&PolicySpec { inference_cpus: 7, ..spec.clone() }))?;
    let message = environment.kubectl.until("InsufficientPinnedCPU", SOON, || {
        let value = environment.kubectl.get(namespace, &[&object])?.context("the policy does not exist")?;
        let found = ["Stalled", "CpuPinned", "RolloutProgressing", "Ready", "Reconciling"]
            .iter()
            .filter_map(|kind| condition(&value, kind))
            .find(|(_, reason, _)| *reason == "InsufficientPinnedCPU")
            .map(|(_, _, message)| message.to_owned());
        Ok(found.map_or_else(
            || Poll::NotYet(value.pointer("/status/conditions").map(Value::to_string).unwrap_or_default()),
            Poll::Ready,
        ))
    })?;
    ensure!(message.contains('7'), "the message has no arithmetic: {message}");
    ensure!(setup::pods_of(environment, namespace, &stable)? == pods, "the stable's pods changed");
    environment.kubectl.apply(namespace, &manifests::trading_policy(spec))?;
    setup::until_phase(environment, namespace, spec.name, "Healthy", SOON)?;
    Ok(format!("InsufficientPinnedCPU: {message}; {stable} kept serving"))
}

/// A kubelet that rejects pinned pods, on purpose: the node claims CPUs that it does not have.
///
/// # Errors
/// When more than five pods fail, dead pods stay, or the policy does not say why.
pub fn rejected_by_the_kubelet(environment: &Environment, namespace: &str, spec: &PolicySpec<'_>) -> Result<String> {
    let nodes = environment.kubectl.get("default", &["nodes", "-l", "tradewind.dev/dedicated=true"])?.context("nodes")?;
    let names: Vec<String> =
        nodes["items"].as_array().into_iter().flatten().map(|n| text(n, "/metadata/name").to_owned()).collect();
    for name in &names {
        let patch = r#"{"status":{"allocatable":{"cpu":"3"}}}"#;
        environment.kubectl.output(&["patch", "node", name, "--subresource=status", "--type=merge", "-p", patch])?;
    }
    environment.kubectl.apply(namespace, &manifests::trading_policy(&PolicySpec { inference_cpus: 2, ..spec.clone() }))?;
    let object = format!("tradingpolicy/{}", spec.name);
    let message = environment.kubectl.until("PinnedPodsRejected", SOON, || {
        let value = environment.kubectl.get(namespace, &[&object])?.context("the policy does not exist")?;
        let found = ["Stalled", "Ready", "RolloutProgressing", "CpuPinned"]
            .iter()
            .filter_map(|kind| condition(&value, kind))
            .find(|(_, _, message)| message.contains("PinnedPodsRejected") || message.contains("the kubelet rejected"))
            .map(|(_, _, message)| message.to_owned());
        Ok(found.map_or_else(
            || Poll::NotYet(value.pointer("/status/conditions").map(Value::to_string).unwrap_or_default()),
            Poll::Ready,
        ))
    })?;
    environment.kubectl.until("dead pods to be removed", SOON, || {
        let left = failed_pods(environment, namespace)?;
        Ok(if left == 0 { Poll::Ready(()) } else { Poll::NotYet(format!("{left} failed pods")) })
    })?;
    let (rejections, lasted) = rejections(environment, namespace)?;
    ensure!(rejections > 0, "the kubelet rejected no pod");
    // How many pods a set makes until a write takes effect is a question of how fast its controller is on this machine.
    ensure!(
        rejections <= 5 || lasted <= BRAKED_WITHIN,
        "the kubelet rejected {rejections} pods, the last one {lasted:?} after the first; allowed are 5, or {BRAKED_WITHIN:?}"
    );
    environment.kubectl.apply(namespace, &manifests::trading_policy(spec))?;
    setup::until_phase(environment, namespace, spec.name, "Healthy", SOON)?;
    Ok(format!("{rejections} pods rejected within {lasted:?}, all removed; {message}"))
}

/// The brake holds when no pod is rejected later than this after the first one; its events have whole seconds. Without it a set
/// makes a new pod each second for ever; how long the operator's first write takes is the machine's speed.
const BRAKED_WITHIN: Duration = Duration::from_secs(8);

/// Pods that a kubelet rejected, by its own events: one each, and the time from the first to the last.
fn rejections(environment: &Environment, namespace: &str) -> Result<(usize, Duration)> {
    let list = environment.kubectl.get(namespace, &["events", "--field-selector=reason=UnexpectedAdmissionError"])?;
    let items = list.and_then(|list| list["items"].as_array().cloned()).unwrap_or_default();
    let time = |event: &Value| text(event, "/firstTimestamp").parse::<jiff::Timestamp>();
    let times = items.iter().map(time).collect::<Result<Vec<_>, _>>().context("a time of an event")?;
    let (first, last) = (times.iter().min(), times.iter().max());
    let lasted = first.zip(last).map_or(Duration::ZERO, |(first, last)| last.duration_since(*first).unsigned_abs());
    Ok((items.len(), lasted))
}

fn failed_pods(environment: &Environment, namespace: &str) -> Result<usize> {
    let list = environment.kubectl.get(namespace, &["pods", "--field-selector=status.phase=Failed"])?;
    let items = list.and_then(|list| list["items"].as_array().cloned()).unwrap_or_default();
    Ok(items.iter().filter(|pod| text(pod, "/metadata/labels/app.kubernetes.io~1component") == "inference").count())
}
