//! The way back: the stable bundle takes everything, then the candidate goes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tradewind_crds::conditions::PolicyReason;
use tradewind_crds::policy_status::{Phase, RolledBack};

use super::state::cut;
use super::{ACKNOWLEDGE_WITHIN, Machine, Pods, RESTORE_WITHIN};

impl Machine<'_> {
    /// The verdict has fallen. Sessions move back with this write when the stable bundle can take them.
    pub(super) fn roll_back(&mut self, reason: PolicyReason, why: &str) {
        let rollout = &mut self.state.rollout;
        rollout.phase = Phase::RollingBack;
        rollout.paused_from = None;
        rollout.paused_at = None;
        rollout.rollback_reason = Some(reason);
        rollout.rollback_message = Some(cut(why, 1024));
        rollout.step_started_at = Some(Time(self.now));
        if self.inputs.stable_pods == Pods::Ready || self.state.stable.is_none() {
            rollout.weight_bps = 0;
        }
        let bundle = self.state.candidate.as_ref().map(|c| c.bundle.clone()).unwrap_or_default();
        self.event(true, reason, format!("bundle {bundle} is rolled back: {why}"));
    }

    /// Restores before it moves: the weight goes to zero when the stable bundle's pods are ready, or after a while anyway,
    /// because no bar is decided without the stable bundle; the candidate goes when the decider routes nothing to it.
    pub(super) fn roll_back_further(&mut self) {
        if self.state.rollout.weight_bps > 0 {
            if self.inputs.stable_pods == Pods::Ready || self.in_step() >= RESTORE_WITHIN {
                self.state.rollout.weight_bps = 0;
            } else {
                self.hold(false, PolicyReason::RollingBack, "waits for the pods of the stable bundle");
            }
            return;
        }
        let rollout = &self.state.rollout;
        let unseen = rollout.candidate_bundle.is_empty() || self.state.stable.is_none();
        let acknowledged = self
            .inputs
            .evidence
            .as_ref()
            .is_some_and(|evidence| evidence.weight_bps == 0 || evidence.candidate_bundle != rollout.candidate_bundle);
        if unseen || acknowledged || self.in_step() >= RESTORE_WITHIN + ACKNOWLEDGE_WITHIN {
            self.rolled_back();
        }
    }

    fn rolled_back(&mut self) {
        let now = self.now;
        let reason = self.state.rollout.rollback_reason.unwrap_or(PolicyReason::GateFailed);
        let message = self.state.rollout.rollback_message.clone().unwrap_or_default();
        let at = self.state.rollout.step_started_at.clone().unwrap_or(Time(now));
        let Some(gone) = self.state.clear_candidate(Phase::RolledBack, now) else { return };
        self.state.remember(&gone, reason, &message, now);
        let patch = self.state.stable.as_ref().and_then(|stable| crate::plan::bundle::revert_patch(self.inputs.spec, stable));
        let advice = patch.as_ref().map_or_else(String::new, |patch| format!("; to make Git agree: {patch}"));
        self.event(true, PolicyReason::RolledBack, format!("bundle {} ({}) is out{advice}", gone.bundle, gone.checkpoints));
        self.state.rolled_back = Some(RolledBack { bundle: gone.bundle, checkpoints: gone.checkpoints, reason, message, at });
        self.state.revert_patch = patch;
    }
}
