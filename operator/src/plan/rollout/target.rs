//! Which bundle the rollout works towards: beginning, superseding, reverting, waiting.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tradewind_crds::conditions::PolicyReason;
use tradewind_crds::policy_status::{Phase, Revision, RolloutStatus};

use super::state::{after, step_hash};
use super::{Machine, State};

impl Machine<'_> {
    /// The desired bundle is known and verified.
    pub(super) fn towards(&mut self, desired: &Revision) {
        if self.state.stable.as_ref().is_some_and(|stable| stable.bundle == desired.bundle) {
            return self.settle();
        }
        if self.state.candidate.as_ref().is_some_and(|candidate| candidate.bundle == desired.bundle) {
            return self.advance();
        }
        if self.state.candidate.is_some() {
            return self.abandon(
                PolicyReason::Superseded,
                Phase::Verifying,
                &format!("bundle {} ({}) takes its place", desired.bundle, desired.checkpoints),
            );
        }
        if self.refused(desired) {
            return;
        }
        self.begin(desired);
    }

    /// The spec asks for what serves.
    fn settle(&mut self) {
        if self.state.candidate.is_some() {
            return self.abandon(PolicyReason::Reverted, Phase::Healthy, "the spec names the stable bundle again");
        }
        if self.state.rolled_back.take().is_some() {
            self.event(false, PolicyReason::Reverted, "the spec agrees with the stable bundle again");
        }
        self.state.revert_patch = None;
        self.rest(Phase::Healthy);
    }

    /// A phase without a candidate. Time starts anew only when the phase changes.
    fn rest(&mut self, phase: Phase) {
        if self.state.rollout.phase != phase {
            let now = self.now;
            self.state.clear_candidate(phase, now);
        }
    }

    /// Drops the candidate; the stable bundle drives everything from this write on.
    fn abandon(&mut self, reason: PolicyReason, phase: Phase, why: &str) {
        let now = self.now;
        let phase = if self.state.stable.is_none() && phase == Phase::Healthy { Phase::Pending } else { phase };
        if let Some(gone) = self.state.clear_candidate(phase, now) {
            self.state.remember(&gone, reason, why, now);
            self.event(false, reason, format!("bundle {} ({}): {why}", gone.bundle, gone.checkpoints));
        }
    }

    /// Whether the desired bundle must not be tried: it was rolled back, or the spec aborts it.
    fn refused(&mut self, desired: &Revision) -> bool {
        let rollout = &self.inputs.spec.rollout;
        if rollout.promote == desired.bundle {
            return false;
        }
        let before = self.state.rolled_back.as_ref().is_some_and(|gone| gone.bundle == desired.bundle);
        if !before && rollout.abort != desired.bundle {
            return false;
        }
        if !before {
            let message = format!("spec.rollout.abort names bundle {}", desired.bundle);
            self.state.rolled_back = Some(tradewind_crds::policy_status::RolledBack {
                bundle: desired.bundle.clone(),
                checkpoints: desired.checkpoints.clone(),
                reason: PolicyReason::Aborted,
                message: message.clone(),
                at: Time(self.now),
            });
            self.event(true, PolicyReason::Aborted, message);
        }
        self.state.revert_patch =
            self.state.stable.as_ref().and_then(|stable| crate::plan::bundle::revert_patch(self.inputs.spec, stable));
        self.rest(Phase::RolledBack);
        true
    }

    /// A new candidate. Nothing is created for it before this state is written.
    fn begin(&mut self, desired: &Revision) {
        self.state.rolled_back = None;
        self.state.revert_patch = None;
        let resting = self.resting();
        if let Some((reason, message)) = self.inputs.blocked.clone() {
            self.rest(resting);
            return self.hold(reason != PolicyReason::WaitingForRiskProfile, reason, message);
        }
        if let Err(short) = &self.inputs.capacity {
            self.rest(Phase::Verifying);
            return self.hold(true, PolicyReason::InsufficientPinnedCPU, short.message.clone());
        }
        let forced = self.inputs.spec.rollout.promote == desired.bundle;
        if self.paused() && !forced {
            if self.state.rollout.phase != Phase::Paused {
                self.rest(Phase::Paused);
                self.state.rollout.paused_from = Some(Phase::Verifying);
                self.event(false, PolicyReason::Paused, format!("bundle {} waits: spec.rollout.paused is set", desired.bundle));
            }
            return;
        }
        let first = self.state.stable.is_none();
        let phase = if first || forced { Phase::Promoting } else { Phase::Shadowing };
        self.state.rollout = self.fresh_rollout(phase, desired);
        self.state.candidate = Some(desired.clone());
        let reason = if phase == Phase::Shadowing { PolicyReason::Shadowing } else { PolicyReason::Promoting };
        self.event(false, reason, format!("bundle {} ({}) starts", desired.bundle, desired.checkpoints));
    }

    fn fresh_rollout(&self, phase: Phase, desired: &Revision) -> RolloutStatus {
        let (spec, now) = (&self.inputs.spec.rollout, self.now);
        let stable_bundle = self.state.stable.as_ref().map(|stable| stable.bundle.clone()).unwrap_or_default();
        RolloutStatus {
            step_hash: step_hash(&stable_bundle, &desired.bundle, 0, spec),
            stable_bundle,
            steps: i32::try_from(spec.steps.len()).unwrap_or(i32::MAX),
            started_at: Some(Time(now)),
            step_started_at: Some(Time(now)),
            deadline_at: self.state.stable.is_some().then(|| Time(after(now, spec.deadline.millis() / 1_000))),
            ..State::default().rollout
        }
        .in_phase(phase)
    }

    fn resting(&self) -> Phase {
        if self.state.stable.is_some() { Phase::Healthy } else { Phase::Pending }
    }

    /// A desired checkpoint is not there, not verified yet, or rejected.
    pub(super) fn wait(&mut self, reason: PolicyReason, message: &str) {
        let rejected = reason == PolicyReason::CheckpointRejected;
        let desired = self.inputs.spec.models.names();
        if self.state.candidate.as_ref().is_some_and(|candidate| candidate.checkpoints != desired) {
            return self.abandon(
                PolicyReason::Superseded,
                Phase::Verifying,
                &format!("the spec names checkpoints {desired} now"),
            );
        }
        if self.state.candidate.is_none() {
            if self.state.rolled_back.as_ref().is_some_and(|gone| gone.checkpoints == desired) {
                return;
            }
            self.state.rolled_back = None;
            self.state.revert_patch = None;
            let before = self.state.rollout.phase;
            self.rest(if rejected { self.resting() } else { Phase::Verifying });
            if rejected && before == Phase::Verifying {
                self.event(true, reason, message);
            }
        }
        // What needs someone's help comes first, whatever else the policy waits for.
        match self.inputs.blocked.clone() {
            Some((worse, why)) if worse != PolicyReason::WaitingForRiskProfile => self.hold(true, worse, why),
            Some((other, why)) if !rejected => self.hold(false, other, format!("{why}; {message}")),
            _ => self.hold(rejected, reason, message),
        }
    }
}

trait InPhase {
    fn in_phase(self, phase: Phase) -> Self;
}

impl InPhase for RolloutStatus {
    fn in_phase(mut self, phase: Phase) -> Self {
        self.phase = phase;
        self
    }
}
