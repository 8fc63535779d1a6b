//! The brake on rejected pods: counts pods that a kubelet refused to start, per workload.
//!
//! A set answers a rejected pod with another one within milliseconds, several more before a write of the operator takes
//! effect on a busy machine. So the first one trips the brake, seen by the watch even when it is gone before a reconcile runs.
//! A node that had not let go of a CPU yet costs a short pause only: pauses begin at ten seconds and double.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

/// Reasons with which a kubelet refuses a pod that the scheduler has placed.
pub const REJECTIONS: [&str; 5] =
    ["UnexpectedAdmissionError", "SMTAlignmentError", "TopologyAffinityError", "OutOfcpu", "OutOfmemory"];

/// First pause before one more pod is tried; doubles up to an hour.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Why a pod was refused, as its kubelet says it.
#[must_use]
pub fn rejection(pod: &Pod) -> Option<(String, String)> {
    let status = pod.status.as_ref()?;
    let reason = status.reason.as_deref().filter(|reason| REJECTIONS.contains(reason))?;
    (status.phase.as_deref() == Some("Failed")).then(|| (reason.to_owned(), status.message.clone().unwrap_or_default()))
}

/// State of one workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tripped {
    /// Rejected pods so far.
    pub pods: usize,
    /// Newest reason and message.
    pub reason: String,
    /// Time until one more pod is tried; zero: now.
    pub pause: Duration,
}

#[derive(Debug, Default)]
struct Count {
    pods: BTreeSet<String>,
    newest: (String, String),
    trips: u32,
    hold_until: Option<Instant>,
}

type Workloads = BTreeMap<(String, String), Count>;

/// Counts per workload. Clones share.
#[derive(Clone, Debug, Default)]
pub struct Brake {
    counts: Arc<Mutex<Workloads>>,
}

impl Brake {
    /// Notes the pod if it was rejected. Answers with namespace and name of its set when that has to be scaled to zero at
    /// once: a reconcile under way may take seconds, and a set makes several pods in each.
    pub fn look_at(&self, pod: &Pod) -> Option<(String, String)> {
        let reason = rejection(pod)?;
        let workload = workload_of(pod)?;
        let mut counts = self.lock();
        let count = counts.entry(workload.clone()).or_default();
        let new = count.pods.insert(pod.uid().unwrap_or_default());
        if new {
            count.newest = reason;
            // one trip per hold: pods that were already on their way do not double the pause
            if count.hold_until.is_none_or(|until| until <= Instant::now()) {
                let pause = FIRST_PAUSE.saturating_mul(1 << count.trips.min(10)).min(LONGEST_PAUSE);
                count.trips += 1;
                count.hold_until = Some(Instant::now() + pause);
            }
        }
        (new && count.hold_until.is_some_and(|until| until > Instant::now())).then_some(workload)
    }

    /// The state of a workload, when its brake has tripped.
    #[must_use]
    pub fn tripped(&self, namespace: &str, workload: &str) -> Option<Tripped> {
        let counts = self.lock();
        let count = counts.get(&(namespace.to_owned(), workload.to_owned()))?;
        let until = count.hold_until?;
        let (reason, message) = &count.newest;
        Some(Tripped {
            pods: count.pods.len(),
            reason: if message.is_empty() { reason.clone() } else { format!("{reason}: {message}") },
            pause: until.saturating_duration_since(Instant::now()),
        })
    }

    /// After a restart of the operator: takes over a brake that the status says has tripped.
    pub fn restore(&self, namespace: &str, workload: &str, reason: &str) {
        let mut counts = self.lock();
        let count = counts.entry((namespace.to_owned(), workload.to_owned())).or_default();
        if count.trips == 0 {
            count.trips = 1;
            count.newest = (reason.to_owned(), String::new());
            count.hold_until = Some(Instant::now() + FIRST_PAUSE);
        }
    }

    /// Rejected pods of a workload so far.
    #[must_use]
    pub fn rejected(&self, namespace: &str, workload: &str) -> usize {
        self.lock().get(&(namespace.to_owned(), workload.to_owned())).map_or(0, |count| count.pods.len())
    }

    /// Forgets a workload: its pod runs, or it is gone.
    pub fn release(&self, namespace: &str, workload: &str) {
        self.lock().remove(&(namespace.to_owned(), workload.to_owned()));
    }

    fn lock(&self) -> MutexGuard<'_, Workloads> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Namespace and name of the set that made the pod.
fn workload_of(pod: &Pod) -> Option<(String, String)> {
    let owner = pod.owner_references().iter().find(|owner| owner.kind == "StatefulSet")?;
    Some((pod.namespace()?, owner.name.clone()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use serde_json::json;

    fn pod(uid: &str, reason: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"namespace": "trading", "name": "a-0", "uid": uid,
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "a", "uid": "s"}]},
            "status": {"phase": "Failed", "reason": reason, "message": "not enough cpus"},
        }))
        .unwrap()
    }

    #[test]
    fn the_first_rejected_pod_trips_it_and_a_repeated_event_does_not_count() {
        let brake = Brake::default();
        assert_eq!(brake.tripped("trading", "a"), None);
        let at_once = brake.look_at(&pod("1", "UnexpectedAdmissionError"));
        assert_eq!(at_once, Some(("trading".to_owned(), "a".to_owned())));
        assert_eq!(brake.look_at(&pod("1", "UnexpectedAdmissionError")), None);
        assert!(brake.look_at(&pod("2", "SMTAlignmentError")).is_some(), "the set is emptied again for each new one");
        let state = brake.tripped("trading", "a").unwrap();
        assert_eq!(state.pods, 2);
        assert_eq!(state.reason, "SMTAlignmentError: not enough cpus");
        assert!(state.pause > FIRST_PAUSE / 2 && state.pause <= FIRST_PAUSE, "the second one on its way doubled nothing");
        brake.release("trading", "a");
        assert_eq!(brake.tripped("trading", "a"), None);
    }

    #[test]
    fn other_failures_are_no_rejections() {
        let brake = Brake::default();
        for uid in ["1", "2", "3", "4"] {
            assert_eq!(brake.look_at(&pod(uid, "Evicted")), None);
        }
        assert_eq!(brake.rejected("trading", "a"), 0);
    }
}
