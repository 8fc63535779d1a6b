//! What to say about a state: one reason and one sentence, from which the conditions are made.

use tradewind_crds::conditions::PolicyReason;
use tradewind_crds::policy_status::{Phase, Revision};

use super::{Hold, Machine, Pods};

/// Ready, Reconciling and Stalled of a policy, and whether a rollout is under way.
///
/// The sentences hold no figure that changes by itself, so that a rollout that waits causes no write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// The spec is what serves.
    pub ready: bool,
    /// No progress without someone's help.
    pub stalled: bool,
    /// A candidate is on its way.
    pub progressing: bool,
    /// Reason of Ready, and of whichever of Reconciling and Stalled holds.
    pub reason: PolicyReason,
    /// The sentence.
    pub message: String,
}

fn named(revision: Option<&Revision>) -> String {
    revision.map_or_else(|| "no bundle".into(), |r| format!("bundle {} ({})", r.bundle, r.checkpoints))
}

impl Machine<'_> {
    pub(super) fn outlook(&self) -> Outlook {
        let state = &self.state;
        let (stable, candidate) = (named(state.stable.as_ref()), named(state.candidate.as_ref()));
        let progressing = state.candidate.is_some();
        let working = |reason, message| Outlook { ready: false, stalled: false, progressing, reason, message };
        if let Some(Hold { reason, message, stalled }) = &self.hold {
            let serves = if state.stable.is_some() { format!("; {stable} keeps serving") } else { String::new() };
            return Outlook { stalled: *stalled, ..working(*reason, format!("{message}{serves}")) };
        }
        match state.rollout.phase {
            Phase::Pending => working(PolicyReason::Pending, "nothing serves yet".into()),
            Phase::Verifying => working(PolicyReason::WaitingForCheckpoint, "the desired bundle has not started yet".into()),
            Phase::Shadowing if state.rollout.candidate_bundle.is_empty() => {
                working(PolicyReason::WaitingForPods, format!("{candidate} starts beside {stable}"))
            }
            Phase::Shadowing => working(
                PolicyReason::Shadowing,
                format!("{candidate} sees every bar, {stable} drives; {} bars and all gates to pass", self.bars_asked()),
            ),
            Phase::Canary => working(
                PolicyReason::Canary,
                format!(
                    "step {} of {}: {candidate} drives {} bps of the sessions, {stable} the others; {} bars and all gates to pass",
                    state.rollout.step,
                    state.rollout.steps,
                    state.rollout.weight_bps,
                    self.bars_asked()
                ),
            ),
            Phase::Promoting => working(PolicyReason::Promoting, format!("{candidate} takes over")),
            Phase::Paused => {
                Outlook { stalled: false, ..working(PolicyReason::Paused, "waits because spec.rollout.paused is set".into()) }
            }
            Phase::RollingBack => working(PolicyReason::RollingBack, format!("{stable} takes everything back from {candidate}")),
            Phase::RolledBack => self.after_rollback(&stable),
            Phase::Healthy => self.healthy(&stable),
        }
    }

    fn bars_asked(&self) -> i64 {
        let spec = &self.inputs.spec.rollout;
        let index = usize::try_from(self.state.rollout.step - 1).ok();
        index.and_then(|i| spec.steps.get(i)).map_or(spec.shadow.min_bars, |step| step.min_bars)
    }

    fn after_rollback(&self, stable: &str) -> Outlook {
        let why = self.state.rolled_back.as_ref().map_or_else(String::new, |gone| {
            format!("bundle {} ({}) was rolled back, {}: {}", gone.bundle, gone.checkpoints, gone.reason, gone.message)
        });
        let help = if self.state.revert_patch.is_some() {
            "; status.revertPatch makes the spec agree with it, another checkpoint starts a new rollout"
        } else {
            "; another checkpoint or image starts a new rollout"
        };
        Outlook {
            ready: false,
            stalled: true,
            progressing: false,
            reason: PolicyReason::RolledBack,
            message: format!("{why}; {stable} serves{help}"),
        }
    }

    fn healthy(&self, stable: &str) -> Outlook {
        let (ready, stalled, reason, message) = match (&self.inputs.blocked, &self.inputs.stable_pods) {
            (Some((reason, message)), _) => (false, *reason != PolicyReason::WaitingForRiskProfile, *reason, message.clone()),
            (None, Pods::Ready) => (true, false, PolicyReason::Healthy, format!("{stable} serves")),
            (None, Pods::Starting(why)) => (false, false, PolicyReason::WaitingForPods, format!("{stable}: {why}")),
            (None, Pods::Absent) => (false, false, PolicyReason::WaitingForPods, format!("{stable}: pods are being created")),
            (None, Pods::Rejected(why)) => (false, true, PolicyReason::PinnedPodsRejected, why.clone()),
        };
        Outlook { ready, stalled, progressing: false, reason, message }
    }
}
