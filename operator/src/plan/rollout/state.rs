//! What the machine remembers, and its place in status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sha2::{Digest, Sha256};
use tradewind_crds::TradingPolicyStatus;
use tradewind_crds::conditions::PolicyReason;
use tradewind_crds::policy_status::{HistoryEntry, Phase, Revision, RolledBack, RolloutStatus};
use tradewind_crds::trading_policy::RolloutSpec;

/// Longest history in status.
pub(super) const HISTORY: usize = 10;

/// The part of status that the machine owns.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Phase, step, weight, times, verdicts.
    pub rollout: RolloutStatus,
    /// The bundle that serves.
    pub stable: Option<Revision>,
    /// The bundle on its way.
    pub candidate: Option<Revision>,
    /// The bundle that the spec still names and that was rolled back.
    pub rolled_back: Option<RolledBack>,
    /// The patch that takes the spec back.
    pub revert_patch: Option<String>,
    /// Finished rollouts, newest first.
    pub history: Vec<HistoryEntry>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            rollout: idle(Phase::Pending),
            stable: None,
            candidate: None,
            rolled_back: None,
            revert_patch: None,
            history: Vec::new(),
        }
    }
}

/// A rollout status with nothing on its way.
fn idle(phase: Phase) -> RolloutStatus {
    RolloutStatus {
        phase,
        paused_from: None,
        stable_bundle: String::new(),
        candidate_bundle: String::new(),
        step: 0,
        steps: 0,
        weight_bps: 0,
        step_hash: String::new(),
        started_at: None,
        step_started_at: None,
        deadline_at: None,
        paused_at: None,
        paused_seconds: 0,
        rollback_reason: None,
        rollback_message: None,
        verdicts: Vec::new(),
    }
}

impl State {
    /// The state held in status; a policy without status is Pending.
    #[must_use]
    pub fn from_status(status: Option<&TradingPolicyStatus>) -> Self {
        let Some(status) = status else { return Self::default() };
        let mut state = Self {
            rollout: status.rollout.clone().unwrap_or_else(|| idle(Phase::Pending)),
            stable: status.stable.clone(),
            candidate: status.candidate.clone(),
            rolled_back: status.rolled_back.clone(),
            revert_patch: status.revert_patch.clone(),
            history: status.history.clone(),
        };
        // The two names of each bundle are one fact written twice; the revision is the one that children are made from.
        state.rollout.stable_bundle = state.stable.as_ref().map(|r| r.bundle.clone()).unwrap_or_default();
        if state.candidate.is_none() {
            state.rollout.candidate_bundle.clear();
            state.rollout.weight_bps = 0;
        }
        state
    }

    /// Puts the state into status and leaves the rest of it alone.
    pub fn write_into(&self, status: &mut TradingPolicyStatus) {
        status.phase = Some(self.rollout.phase);
        status.rollout = Some(self.rollout.clone());
        status.stable.clone_from(&self.stable);
        status.candidate.clone_from(&self.candidate);
        status.rolled_back.clone_from(&self.rolled_back);
        status.revert_patch.clone_from(&self.revert_patch);
        status.history.clone_from(&self.history);
    }

    /// The phase to go on from: that of a paused rollout is the one before the pause.
    #[must_use]
    pub fn active_phase(&self) -> Phase {
        match self.rollout.phase {
            Phase::Paused => self.rollout.paused_from.unwrap_or(Phase::Shadowing),
            phase => phase,
        }
    }

    /// Takes the candidate and its routing out. The verdicts stay: they are what the outcome rests on.
    pub(super) fn clear_candidate(&mut self, phase: Phase, now: Timestamp) -> Option<Revision> {
        let verdicts = std::mem::take(&mut self.rollout.verdicts);
        let stable_bundle = self.stable.as_ref().map(|r| r.bundle.clone()).unwrap_or_default();
        self.rollout = RolloutStatus { stable_bundle, verdicts, step_started_at: Some(Time(now)), ..idle(phase) };
        self.candidate.take()
    }

    pub(super) fn remember(&mut self, revision: &Revision, outcome: PolicyReason, message: &str, now: Timestamp) {
        let entry = HistoryEntry {
            bundle: revision.bundle.clone(),
            checkpoints: revision.checkpoints.clone(),
            outcome,
            message: cut(message, 512),
            at: Time(now),
        };
        self.history.insert(0, entry);
        self.history.truncate(HISTORY);
    }
}

/// Hash over the bundles, the step and the part of the spec that a step was entered under. When it is not the one that is
/// computed now, the rollout was edited under way, and starts again in the shadow.
#[must_use]
pub fn step_hash(stable: &str, candidate: &str, step: i32, rollout: &RolloutSpec) -> String {
    let text = json!([stable, candidate, step, rollout.shadow, rollout.steps, rollout.gates]).to_string();
    hex::encode(Sha256::digest(text.as_bytes())).chars().take(16).collect()
}

/// Cuts a text at a character boundary.
pub(super) fn cut(text: &str, longest: usize) -> String {
    let end = (0..=longest.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text[..end].to_owned()
}

/// Status keeps whole seconds; deciding on more would make a replay differ.
pub(super) fn whole_seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// `from` plus seconds; stays where it is at the end of time.
pub(super) fn after(from: Timestamp, seconds: i64) -> Timestamp {
    from.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(from)
}
