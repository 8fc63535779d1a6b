//! The rollout of a bundle as a state machine.
//!
//! ```text
//! Pending -> Verifying -> Shadowing -> Canary(1..n) -> Promoting -> Healthy
//!                             |            |               |
//!                             +------------+---------------+--> RollingBack -> RolledBack
//! Paused keeps a place; a newer bundle supersedes; going back to the stable bundle reverts.
//! ```
//!
//! The first bundle of a policy has nothing to be compared with and goes Verifying -> Promoting -> Healthy.
//! A bundle that was rolled back is not tried again until the spec has named another one, or names it in
//! `spec.rollout.promote`. Everything that the machine remembers is in [`State`], which lives in status.

mod advance;
mod outlook;
mod rollback;
mod state;
mod target;
#[cfg(test)]
mod tests;

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tradewind_crds::conditions::PolicyReason;
use tradewind_crds::policy_status::{Phase, Revision};
use tradewind_crds::trading_policy::TradingPolicySpec;

use super::evidence::Evidence;
use super::placement::InsufficientPinnedCpu;

pub use outlook::Outlook;
pub use state::{State, step_hash};

/// What the spec asks for, resolved against the cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum Desired {
    /// Its checkpoints are verified: this is the bundle.
    Verified(Box<Revision>),
    /// A checkpoint does not exist yet or is being verified: which, and what it waits for.
    Waiting(String),
    /// A checkpoint was rejected: which, reason and figures.
    Rejected(String),
}

/// Pods of one bundle's inference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Pods {
    /// There are none.
    #[default]
    Absent,
    /// Not all are ready; why.
    Starting(String),
    /// All replicas are ready.
    Ready,
    /// The kubelet kept rejecting them and the brake holds; its message.
    Rejected(String),
}

/// Everything that one decision rests on.
#[derive(Clone, Debug)]
pub struct Inputs<'a> {
    /// The spec.
    pub spec: &'a TradingPolicySpec,
    /// What it asks for.
    pub desired: Desired,
    /// Why nothing new may begin (conflict, missing risk profile, invalid spec). What serves keeps serving, and a gate that
    /// fails still rolls back.
    pub blocked: Option<(PolicyReason, String)>,
    /// Pods of [`State::stable`].
    pub stable_pods: Pods,
    /// Pods of [`State::candidate`].
    pub candidate_pods: Pods,
    /// Whether the pool can hold the desired bundle beside what runs. Requests of this policy's pods that belong to neither
    /// stable nor candidate are on their way out and must not be counted. Read only before a candidate exists.
    pub capacity: Result<(), InsufficientPinnedCpu>,
    /// Newest answer of the decider; `None` when it did not answer.
    pub evidence: Option<Evidence>,
    /// The time, from outside. Whole seconds are kept.
    pub now: Timestamp,
}

/// Something that happened, told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanEvent {
    /// Whether someone should look at it.
    pub warning: bool,
    /// Reason from the closed list.
    pub reason: PolicyReason,
    /// One sentence with the figures.
    pub message: String,
}

/// What should happen now.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// State to write to status.
    pub next: State,
    /// Bundles whose children must exist now: those of the state before and after, without doubles.
    pub keep: Vec<Revision>,
    /// Whether children of bundles that are not in `keep` may be deleted: the state is written and the decider has
    /// acknowledged it (or had 30 s to).
    pub sweep: bool,
    /// What happened; empty when the state did not change.
    pub events: Vec<PlanEvent>,
    /// Whether `next` differs from the state before; call again at once after it was written.
    pub changed: bool,
    /// When to look again though nothing changed; `None`: only on a change.
    pub requeue_after: Option<Duration>,
    /// What to say in Ready, Reconciling, Stalled and RolloutProgressing.
    pub outlook: Outlook,
}

/// The next step. Pure; at most one transition per call.
#[must_use]
pub fn step(state: &State, inputs: &Inputs<'_>) -> Plan {
    let mut machine =
        Machine { inputs, state: state.clone(), events: Vec::new(), hold: None, now: state::whole_seconds(inputs.now) };
    machine.turn();
    machine.finish(state)
}

/// Why a state is kept, when the phase alone does not say it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hold {
    reason: PolicyReason,
    message: String,
    /// No progress without someone's help.
    stalled: bool,
}

struct Machine<'a> {
    inputs: &'a Inputs<'a>,
    state: State,
    events: Vec<PlanEvent>,
    hold: Option<Hold>,
    now: Timestamp,
}

/// How long the routing may stay unacknowledged before it is taken as known.
const ACKNOWLEDGE_WITHIN: i64 = 10;
/// How long a rollback waits for the pods of the stable bundle before it moves everything back anyway.
const RESTORE_WITHIN: i64 = 15;
/// How long children of an abandoned bundle stay when the decider does not answer.
const SWEEP_AFTER: i64 = 30;

impl Machine<'_> {
    fn turn(&mut self) {
        if self.state.rollout.phase == Phase::RollingBack {
            return self.roll_back_further();
        }
        match self.inputs.desired.clone() {
            Desired::Verified(desired) => self.towards(&desired),
            Desired::Waiting(message) => self.wait(PolicyReason::WaitingForCheckpoint, &message),
            Desired::Rejected(message) => self.wait(PolicyReason::CheckpointRejected, &message),
        }
    }

    fn event(&mut self, warning: bool, reason: PolicyReason, message: impl Into<String>) {
        self.events.push(PlanEvent { warning, reason, message: message.into() });
    }

    fn hold(&mut self, stalled: bool, reason: PolicyReason, message: impl Into<String>) {
        self.hold = Some(Hold { reason, message: message.into(), stalled });
    }

    /// Seconds since this step began.
    fn in_step(&self) -> i64 {
        self.state.rollout.step_started_at.as_ref().map_or(0, |began| self.now.as_second() - began.0.as_second())
    }

    fn paused(&self) -> bool {
        self.inputs.spec.rollout.paused
    }

    fn finish(self, before: &State) -> Plan {
        let changed = self.state != *before;
        let mut keep: Vec<Revision> = Vec::new();
        for revision in [&before.stable, &before.candidate, &self.state.stable, &self.state.candidate].into_iter().flatten() {
            if keep.iter().all(|kept| kept.bundle != revision.bundle) {
                keep.push(revision.clone());
            }
        }
        let rollout = &self.state.rollout;
        let acknowledged = self.inputs.evidence.as_ref().is_some_and(|evidence| {
            evidence.stable_bundle == rollout.stable_bundle && evidence.candidate_bundle == rollout.candidate_bundle
        });
        let sweep = !changed && (acknowledged || rollout.stable_bundle.is_empty() || self.in_step() >= SWEEP_AFTER);
        let outlook = self.outlook();
        let requeue_after = match rollout.phase {
            Phase::Shadowing | Phase::Canary | Phase::Promoting | Phase::RollingBack => Some(Duration::from_secs(1)),
            Phase::Paused => Some(Duration::from_secs(5)),
            _ if !sweep => Some(Duration::from_secs(2)),
            _ if outlook.stalled && outlook.reason == PolicyReason::InsufficientPinnedCPU => Some(Duration::from_secs(15)),
            _ => None,
        };
        Plan { keep, sweep, events: self.events, changed, requeue_after, outlook, next: self.state }
    }
}
