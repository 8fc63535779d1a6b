//! A candidate on its way: shadow, canary steps, promotion, pause and deadline.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tradewind_crds::conditions::PolicyReason;
use tradewind_crds::policy_status::{Gate, GateVerdict, Phase, Verdict};

use super::state::{after, step_hash};
use super::{ACKNOWLEDGE_WITHIN, Machine, Pods};
use crate::plan::evidence::Evidence;
use crate::plan::gates::{self, StepGoal};

/// Weight of a candidate that takes over.
const ALL: i32 = 10_000;

impl Machine<'_> {
    /// The spec still asks for the candidate.
    pub(super) fn advance(&mut self) {
        let bundle = self.state.candidate.as_ref().map(|c| c.bundle.clone()).unwrap_or_default();
        let rollout = &self.inputs.spec.rollout;
        if rollout.abort == bundle {
            return self.roll_back(PolicyReason::Aborted, "spec.rollout.abort names it");
        }
        if let Pods::Rejected(message) = &self.inputs.candidate_pods {
            if self.state.stable.is_some() {
                return self.roll_back(PolicyReason::PinnedPodsRejected, message);
            }
            return self.hold(true, PolicyReason::PinnedPodsRejected, message.clone());
        }
        let forced = rollout.promote == bundle;
        if forced && self.state.active_phase() != Phase::Promoting {
            return self.promote("spec.rollout.promote names it");
        }
        if !forced && self.pause_or_resume() {
            return;
        }
        if let Some((reason, message)) = self.inputs.blocked.clone() {
            self.hold(reason != PolicyReason::WaitingForRiskProfile, reason, message);
        }
        match self.state.active_phase() {
            Phase::Promoting => self.promoting(forced),
            _ => self.proving(&bundle),
        }
    }

    /// Whether the state was changed by a pause or its end.
    fn pause_or_resume(&mut self) -> bool {
        let now = self.now;
        let rollout = &mut self.state.rollout;
        match (self.inputs.spec.rollout.paused, rollout.phase) {
            (true, Phase::Paused) | (false, Phase::Shadowing | Phase::Canary | Phase::Promoting) => false,
            (true, phase) => {
                rollout.paused_from = Some(phase);
                rollout.paused_at = Some(Time(now));
                rollout.phase = Phase::Paused;
                self.event(false, PolicyReason::Paused, format!("paused in {phase}"));
                true
            }
            (false, _) => {
                let since = rollout.paused_at.take().map_or(0, |at| (now.as_second() - at.0.as_second()).max(0));
                rollout.paused_seconds += since;
                rollout.phase = rollout.paused_from.take().unwrap_or(Phase::Shadowing);
                let phase = rollout.phase;
                self.move_deadline();
                self.event(false, self.reason_of(phase), format!("goes on in {phase} after {since} s"));
                true
            }
        }
    }

    fn reason_of(&self, phase: Phase) -> PolicyReason {
        match phase {
            Phase::Canary => PolicyReason::Canary,
            Phase::Promoting => PolicyReason::Promoting,
            _ => PolicyReason::Shadowing,
        }
    }

    /// The deadline follows the spec and the time spent in Paused.
    fn move_deadline(&mut self) {
        let rollout = &mut self.state.rollout;
        let seconds = self.inputs.spec.rollout.deadline.millis() / 1_000 + rollout.paused_seconds;
        if let (Some(started), true) = (&rollout.started_at, self.state.stable.is_some()) {
            rollout.deadline_at = Some(Time(after(started.0, seconds)));
        }
    }

    /// Shadowing or a canary step.
    fn proving(&mut self, bundle: &str) {
        let (stable, rollout) = (self.state.rollout.stable_bundle.clone(), &self.state.rollout);
        if rollout.step_hash != step_hash(&stable, bundle, rollout.step, &self.inputs.spec.rollout) {
            return self.start_again(&stable, bundle);
        }
        self.move_deadline();
        if self.state.rollout.candidate_bundle.is_empty() {
            return self.introduce(bundle);
        }
        let Some(evidence) = self.matching_evidence() else { return self.check_deadline() };
        let name = self.step_name();
        let goal = StepGoal { name: &name, min_bars: self.min_bars() };
        let verdicts = gates::judge(&self.inputs.spec.rollout.gates, goal, &evidence);
        match gates::overall(&verdicts) {
            Verdict::Fail => {
                let why = gates::sentences(&verdicts, Verdict::Fail);
                self.state.rollout.verdicts = verdicts;
                self.roll_back(PolicyReason::GateFailed, &format!("{name}: {why}"));
            }
            Verdict::Pass if self.inputs.blocked.is_none() && self.state.rollout.phase != Phase::Paused => {
                self.state.rollout.verdicts = verdicts;
                self.next_step();
            }
            _ => {
                self.refresh_verdicts(verdicts);
                self.check_deadline();
            }
        }
    }

    /// The rollout part of the spec was edited under way: what was shown was shown under other rules.
    fn start_again(&mut self, stable: &str, bundle: &str) {
        let (now, spec) = (self.now, &self.inputs.spec.rollout);
        let rollout = &mut self.state.rollout;
        if rollout.phase == Phase::Paused {
            rollout.paused_from = Some(Phase::Shadowing);
        } else {
            rollout.phase = Phase::Shadowing;
        }
        rollout.step = 0;
        rollout.steps = i32::try_from(spec.steps.len()).unwrap_or(i32::MAX);
        rollout.weight_bps = 0;
        rollout.step_hash = step_hash(stable, bundle, 0, spec);
        rollout.step_started_at = Some(Time(now));
        self.event(false, PolicyReason::Shadowing, "spec.rollout was changed: the candidate starts again in the shadow");
    }

    /// Shows the candidate to the decider once its pods answer, so that its start is not counted as missed bars.
    fn introduce(&mut self, bundle: &str) {
        match &self.inputs.candidate_pods {
            Pods::Ready => {
                bundle.clone_into(&mut self.state.rollout.candidate_bundle);
                self.state.rollout.step_started_at = Some(Time(self.now));
            }
            Pods::Starting(why) => {
                self.hold(false, PolicyReason::WaitingForPods, format!("pods of bundle {bundle}: {why}"));
                self.check_deadline();
            }
            Pods::Absent | Pods::Rejected(_) => {
                self.hold(false, PolicyReason::WaitingForPods, format!("pods of bundle {bundle} are being created"));
                self.check_deadline();
            }
        }
    }

    /// Evidence counts only when it is about these bundles, this step and this weight.
    fn matching_evidence(&self) -> Option<Evidence> {
        let rollout = &self.state.rollout;
        self.inputs.evidence.clone().filter(|evidence| {
            evidence.stable_bundle == rollout.stable_bundle
                && evidence.candidate_bundle == rollout.candidate_bundle
                && i64::from(evidence.step) == i64::from(rollout.step)
                && i64::from(evidence.weight_bps) == i64::from(rollout.weight_bps)
        })
    }

    fn step_name(&self) -> String {
        match self.state.rollout.step {
            0 => "shadow".into(),
            step => format!("step {step} of {}", self.state.rollout.steps),
        }
    }

    fn min_bars(&self) -> u64 {
        let spec = &self.inputs.spec.rollout;
        let index = usize::try_from(self.state.rollout.step - 1).ok();
        let bars = index.and_then(|i| spec.steps.get(i)).map_or(spec.shadow.min_bars, |step| step.min_bars);
        u64::try_from(bars).unwrap_or(u64::MAX)
    }

    fn next_step(&mut self) {
        let next = self.state.rollout.step + 1;
        let spec = &self.inputs.spec.rollout;
        let Some(step) = usize::try_from(next - 1).ok().and_then(|i| spec.steps.get(i)) else {
            return self.promote("every gate passed in every step");
        };
        let rollout = &mut self.state.rollout;
        rollout.phase = Phase::Canary;
        rollout.step = next;
        rollout.weight_bps = i32::try_from(step.weight_bps).unwrap_or(ALL);
        rollout.step_hash = step_hash(&rollout.stable_bundle, &rollout.candidate_bundle, next, spec);
        rollout.step_started_at = Some(Time(self.now));
        let message = format!("step {next} of {}: {} bps of the sessions", rollout.steps, rollout.weight_bps);
        self.event(false, PolicyReason::Canary, message);
    }

    fn promote(&mut self, why: &str) {
        let bundle = self.state.candidate.as_ref().map(|c| c.bundle.clone()).unwrap_or_default();
        let rollout = &mut self.state.rollout;
        rollout.phase = Phase::Promoting;
        rollout.paused_from = None;
        rollout.paused_at = None;
        if !rollout.candidate_bundle.is_empty() && self.inputs.candidate_pods == Pods::Ready {
            rollout.weight_bps = ALL;
        }
        rollout.step_started_at = Some(Time(self.now));
        self.event(false, PolicyReason::Promoting, format!("bundle {bundle} takes over: {why}"));
    }

    /// Takes over all sessions, then becomes the stable bundle, with its pods as they are.
    fn promoting(&mut self, forced: bool) {
        let Some(candidate) = self.state.candidate.clone() else { return };
        if self.state.stable.is_some() && !forced && self.failed_while_promoting() {
            return;
        }
        if self.inputs.candidate_pods != Pods::Ready {
            let why = match &self.inputs.candidate_pods {
                Pods::Starting(why) => why.clone(),
                _ => "they are being created".into(),
            };
            self.hold(false, PolicyReason::WaitingForPods, format!("pods of bundle {}: {why}", candidate.bundle));
            return;
        }
        if self.state.rollout.phase == Phase::Paused || self.inputs.blocked.is_some() {
            return;
        }
        if self.state.stable.is_some() {
            if self.state.rollout.weight_bps != ALL {
                self.state.rollout.candidate_bundle.clone_from(&candidate.bundle);
                self.state.rollout.weight_bps = ALL;
                self.state.rollout.step_started_at = Some(Time(self.now));
                return;
            }
            let acknowledged = self.inputs.evidence.as_ref().is_some_and(|evidence| {
                evidence.candidate_bundle == candidate.bundle && i64::from(evidence.weight_bps) == i64::from(ALL)
            });
            if !acknowledged && self.in_step() < ACKNOWLEDGE_WITHIN {
                return;
            }
        }
        self.complete();
    }

    fn failed_while_promoting(&mut self) -> bool {
        let Some(evidence) = self.inputs.evidence.clone() else { return false };
        if evidence.candidate_bundle != self.state.rollout.candidate_bundle || evidence.candidate_bundle.is_empty() {
            return false;
        }
        let goal = StepGoal { name: "promotion", min_bars: 0 };
        let verdicts = gates::judge(&self.inputs.spec.rollout.gates, goal, &evidence);
        if gates::overall(&verdicts) != Verdict::Fail {
            return false;
        }
        let why = gates::sentences(&verdicts, Verdict::Fail);
        self.state.rollout.verdicts = verdicts;
        self.roll_back(PolicyReason::GateFailed, &format!("while promoting: {why}"));
        true
    }

    fn complete(&mut self) {
        let now = self.now;
        let Some(mut candidate) = self.state.candidate.take() else { return };
        candidate.promoted_at = Some(Time(now));
        let before = self.state.stable.replace(candidate.clone());
        self.state.clear_candidate(Phase::Healthy, now);
        let message = before.map_or_else(
            || "the first bundle of this policy".to_owned(),
            |before| format!("takes the place of {} ({})", before.bundle, before.checkpoints),
        );
        self.state.remember(&candidate, PolicyReason::Promoted, &message, now);
        self.event(false, PolicyReason::Promoted, format!("bundle {} ({}): {message}", candidate.bundle, candidate.checkpoints));
    }

    /// Verdicts go to status when one of them changes its kind; their figures alone cause no write. Until there are enough
    /// bars in a step every gate is Inconclusive, which is no news; an error is.
    fn refresh_verdicts(&mut self, verdicts: Vec<GateVerdict>) {
        let kinds = |all: &[GateVerdict]| -> Vec<(Gate, Verdict)> { all.iter().map(|v| (v.gate, v.verdict)).collect() };
        let enough = verdicts.iter().any(|v| v.gate == Gate::MinBars && v.verdict == Verdict::Pass);
        let error = |all: &[GateVerdict]| all.iter().any(|v| v.verdict == Verdict::Error);
        let news = enough || error(&verdicts) || error(&self.state.rollout.verdicts);
        if news && kinds(&self.state.rollout.verdicts) != kinds(&verdicts) {
            self.state.rollout.verdicts = verdicts;
        }
    }

    /// Not proven in time is not proven.
    fn check_deadline(&mut self) {
        let rollout = &self.state.rollout;
        let over = rollout.deadline_at.as_ref().is_some_and(|deadline| self.now >= deadline.0);
        if !over || rollout.phase == Phase::Paused {
            return;
        }
        if rollout.candidate_bundle.is_empty() {
            return self.roll_back(PolicyReason::NotProven, "its pods were not ready before the deadline");
        }
        let name = self.step_name();
        let Some(evidence) = self.matching_evidence() else {
            return self.roll_back(
                PolicyReason::GateError,
                &format!("{name}: the decider gave no evidence about it before the deadline"),
            );
        };
        let goal = StepGoal { name: &name, min_bars: self.min_bars() };
        let verdicts = gates::judge(&self.inputs.spec.rollout.gates, goal, &evidence);
        let (reason, kind) = match gates::overall(&verdicts) {
            Verdict::Error => (PolicyReason::GateError, Verdict::Error),
            _ => (PolicyReason::NotProven, Verdict::Inconclusive),
        };
        let why = gates::sentences(&verdicts, kind);
        self.state.rollout.verdicts = verdicts;
        self.roll_back(reason, &format!("{name}, deadline over: {why}"));
    }
}
