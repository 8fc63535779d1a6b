//! What sets and their pods are doing, and what processes say about their CPUs.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tradewind_crds::placement::{CpuMode, RolePlacement};
use tradewind_crds::policy_status::PinningReport;
use tradewind_wire::v1::ProcessInfo;

use super::context::Context;
use super::outcome::ReconcileError;
use crate::runtime::brake::{Tripped, rejection};

/// Whether all pods of the set that is wanted now are ready.
#[must_use]
pub fn ready(set: &StatefulSet) -> bool {
    let wanted = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let Some(status) = set.status.as_ref() else { return false };
    let current = status.observed_generation == set.metadata.generation;
    let updated = status.update_revision == status.current_revision || status.updated_replicas == Some(wanted);
    current && updated && wanted > 0 && status.ready_replicas.unwrap_or(0) >= wanted
}

/// Why the pods of a set are not ready, in one sentence, as far as their status tells.
#[must_use]
pub fn trouble(context: &Context, namespace: &str, set: &str) -> Option<String> {
    pods_of(context, namespace, set).iter().find_map(|pod| trouble_of(pod))
}

fn trouble_of(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let unscheduled = status.conditions.iter().flatten().find(|c| c.type_ == "PodScheduled" && c.status == "False");
    if let Some(condition) = unscheduled {
        return Some(format!("pod {} waits for a node: {}", pod.name_any(), condition.message.clone().unwrap_or_default()));
    }
    let containers = status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
    for container in containers {
        let Some(state) = &container.state else { continue };
        if let Some(waiting) = &state.waiting
            && !matches!(waiting.reason.as_deref(), None | Some("ContainerCreating" | "PodInitializing"))
        {
            let last = container.last_state.as_ref().and_then(|last| last.terminated.as_ref());
            let words = last.and_then(|end| last_words(end.message.as_deref()?));
            let words = words.map(|words| format!(": {words}")).unwrap_or_default();
            let ended = last.map(|end| format!(" (ended with exit code {}{words})", end.exit_code)).unwrap_or_default();
            let message = waiting.message.clone().unwrap_or_default();
            return Some(format!(
                "pod {}, container {}: {}{ended}: {message}",
                pod.name_any(),
                container.name,
                waiting.reason.clone().unwrap_or_default()
            ));
        }
    }
    rejection(pod).map(|(reason, message)| format!("pod {} was rejected: {reason}: {message}", pod.name_any()))
}

/// The error with which a process ended, out of the end of its log: what `main` prints last, in one line.
fn last_words(log: &str) -> Option<String> {
    let error = log.rfind("\nError: ").map(|at| at + 1).or_else(|| log.starts_with("Error: ").then_some(0))?;
    let words: Vec<&str> = log[error..].split_whitespace().collect();
    Some(words.join(" ").chars().take(300).collect())
}

/// The brake of a set: after a restart it is taken over from the status, a ready pod releases it, dead pods are removed.
///
/// # Errors
/// [`ReconcileError::Write`] when a dead pod cannot be removed.
pub async fn brake(
    context: &Context,
    namespace: &str,
    set: &str,
    said_in_status: bool,
) -> Result<Option<Tripped>, ReconcileError> {
    let pods = pods_of(context, namespace, set);
    if pods.iter().any(|pod| pod_ready(pod)) {
        context.brake.release(namespace, set);
        return Ok(None);
    }
    if said_in_status {
        context.brake.restore(namespace, set, "rejected before the operator started");
    }
    let tripped = context.brake.tripped(namespace, set);
    // while the set still makes pods it removes the dead ones itself
    for dead in
        pods.iter().filter(|pod| tripped.is_some() && rejection(pod).is_some() && pod.metadata.deletion_timestamp.is_none())
    {
        context.writes.delete(dead.as_ref()).await?;
    }
    Ok(tripped)
}

/// Scales sets to zero as soon as their brake trips, without waiting for a reconcile.
pub async fn pull(context: std::sync::Arc<Context>, mut tripped: tokio::sync::mpsc::UnboundedReceiver<(String, String)>) {
    while let Some((namespace, name)) = tripped.recv().await {
        match context.writes.scale_to_zero::<StatefulSet>(&namespace, &name).await {
            Ok(stored) => {
                tracing::warn!(%namespace, set = %name, "the kubelet keeps rejecting its pods: scaled to zero");
                context.caches.stateful_sets.wrote(stored);
            }
            Err(error) => {
                tracing::warn!(%error, "a set whose pods are rejected could not be scaled to zero; the next reconcile does it")
            }
        }
    }
}

fn pod_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
}

fn pods_of(context: &Context, namespace: &str, set: &str) -> Vec<std::sync::Arc<Pod>> {
    context.caches.pods.list(|pod| {
        pod.namespace().as_deref() == Some(namespace)
            && pod.owner_references().iter().any(|owner| owner.kind == "StatefulSet" && owner.name == set)
    })
}

/// CPUs asked against CPUs granted, as the process itself reads them.
#[must_use]
pub fn pinning(role: &str, pod_name: String, asked: &RolePlacement, info: &ProcessInfo) -> Option<PinningReport> {
    let cpus = info.pinning.as_ref()?;
    let granted = i64::from(cpus.allowed_cpus);
    let pinned = asked.mode == CpuMode::Pinned && granted == asked.cpus && cpus.hot_thread_pinned;
    Some(PinningReport {
        role: role.to_owned(),
        pod_name,
        mode: asked.mode,
        asked: asked.cpus,
        granted,
        allowed_list: cpus.allowed_list.chars().take(256).collect(),
        pinned,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use serde_json::json;

    use super::*;

    /// A full disk ends a process that keeps a journal; what is said of its pod says so.
    #[test]
    fn why_a_process_ended_is_said_in_its_own_words() {
        let crashed = |message: serde_json::Value| -> Pod {
            let ended = json!({"exitCode": 1, "message": message});
            serde_json::from_value(json!({
                "metadata": {"name": "main-risk-0"},
                "status": {"containerStatuses": [{
                    "name": "risk", "image": "", "imageID": "", "ready": false, "restartCount": 3,
                    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}},
                    "lastState": {"terminated": ended},
                }]},
            }))
            .unwrap()
        };
        let log = "{\"level\":\"INFO\"}\nError: journal /data/orders.journal: cannot write it\n\nCaused by:\n    No space left on device\n";
        assert_eq!(
            trouble_of(&crashed(json!(log))).unwrap(),
            "pod main-risk-0, container risk: CrashLoopBackOff (ended with exit code 1: Error: journal /data/orders.journal: \
             cannot write it Caused by: No space left on device): back-off 10s restarting failed container"
        );
        let silent = "pod main-risk-0, container risk: CrashLoopBackOff (ended with exit code 1): back-off 10s restarting failed container";
        for nothing in [json!(null), json!("{\"level\":\"ERROR\"}\n")] {
            assert_eq!(trouble_of(&crashed(nothing)).unwrap(), silent);
        }
    }
}
