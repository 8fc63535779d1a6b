//! One process of a policy: its pods, and what it says.

use std::time::Duration;

use tradewind_crds::TradingPolicy;
use tradewind_crds::conditions::{ConditionType, PolicyReason};

use super::reconcile::Reconcile;
use crate::controllers::outcome::ReconcileError;
use crate::controllers::pods;
use crate::plan::rollout::Pods;
use crate::runtime::brake::Tripped;
use crate::runtime::polls::{Answer, Heard};

/// What a process says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Voice<T> {
    /// Its newest answer.
    Answers(T),
    /// It runs and was not asked often enough to call it silent: what status says of it stays.
    Undecided,
    /// It does not run, or has not answered for long enough.
    Silent,
}

/// What is known of one process.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ProcessState<T> {
    /// Name of its set.
    pub(super) set: String,
    /// Its pods.
    pub(super) pods: Pods,
    /// What it says.
    pub(super) voice: Voice<T>,
    /// Its brake, once a kubelet rejected its pods.
    tripped: Option<Tripped>,
}

impl<T> ProcessState<T> {
    /// Looks at the set and removes pods that a kubelet rejected; `read` takes what it looks for out of the newest answer.
    ///
    /// # Errors
    /// [`ReconcileError::Write`] when a dead pod cannot be removed.
    pub(super) async fn observe(
        reconcile: &Reconcile<'_>,
        set: String,
        heard: &Heard,
        read: impl FnOnce(&Answer) -> Option<T>,
    ) -> Result<Self, ReconcileError> {
        // on the heap: a reconcile looks at four processes, and its future lives on the stack of a worker
        let (pods, tripped) = Box::pin(observe_pods(reconcile, &set)).await?;
        let voice = match heard.current().and_then(read) {
            Some(answer) => Voice::Answers(answer),
            None if pods != Pods::Absent && heard.undecided() => Voice::Undecided,
            None => Voice::Silent,
        };
        Ok(Self { set, pods, voice, tripped })
    }

    /// Its newest answer, unless it is silent.
    pub(super) const fn answer(&self) -> Option<&T> {
        match &self.voice {
            Voice::Answers(answer) => Some(answer),
            Voice::Undecided | Voice::Silent => None,
        }
    }

    /// Whether it is too early to call it silent.
    pub(super) const fn undecided(&self) -> bool {
        matches!(self.voice, Voice::Undecided)
    }

    /// Its one pod.
    pub(super) fn pod(&self) -> String {
        pod_name(&self.set)
    }

    /// Time until one more pod is tried; `None` while its brake does not hold.
    pub(super) fn pause(&self) -> Option<Duration> {
        self.tripped.as_ref().map(|tripped| tripped.pause)
    }
}

async fn observe_pods(reconcile: &Reconcile<'_>, name: &str) -> Result<(Pods, Option<Tripped>), ReconcileError> {
    let (context, namespace) = (reconcile.context, reconcile.owner.namespace.as_str());
    let Some(set) = context.caches.stateful_sets.get(namespace, name) else { return Ok((Pods::Absent, None)) };
    let emptied = set.spec.as_ref().and_then(|spec| spec.replicas) == Some(0);
    let tripped = pods::brake(context, namespace, name, emptied && has_said_rejected(reconcile.policy)).await?;
    if let Some(tripped) = tripped.as_ref().filter(|tripped| !tripped.pause.is_zero()) {
        return Ok((Pods::Rejected(rejected(name, tripped)), Some(tripped.clone())));
    }
    if pods::ready(&set) {
        return Ok((Pods::Ready, tripped));
    }
    let why = pods::trouble(context, namespace, name).unwrap_or_else(|| format!("{name} is starting"));
    Ok((Pods::Starting(why), tripped))
}

fn has_said_rejected(policy: &TradingPolicy) -> bool {
    let conditions = policy.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions.iter().any(|c| c.r#type == ConditionType::Stalled && c.reason == PolicyReason::PinnedPodsRejected.as_str())
}

fn rejected(set: &str, tripped: &Tripped) -> String {
    format!(
        "the kubelet rejected {} pods of {set} ({}); the set is scaled to zero and its dead pods are removed; what serves is tried \
         again with one pod after a pause",
        tripped.pods, tripped.reason
    )
}

/// The one pod of a set.
pub(super) fn pod_name(set: &str) -> String {
    format!("{set}-0")
}
