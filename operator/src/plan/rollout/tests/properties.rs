//! Properties over random lives of a policy, and kill-and-replay after each write.

use proptest::prelude::*;
use tradewind_crds::conditions::PolicyReason as Reason;
use tradewind_crds::policy_status::{Phase, Verdict};

use super::*;
use crate::plan::gates::{StepGoal, judge, overall};

/// What can happen between two reconciles of the controller.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Tick,
    KilledBeforeTheWrite,
    KilledBeforeTheSweep,
    Want(char),
    CheckpointVanishes,
    CheckpointReturns,
    Quality(Quality),
    Bars(u64),
    Pause(bool),
    PromoteCandidate,
    AbortCandidate,
    ClearVerbs,
    EditGates,
    Time(i64),
    StablePods(bool),
    CandidatePods(bool),
    Capacity(bool),
    Blocked(bool),
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening as H;
    let quality = prop::sample::select(vec![
        Quality::Good,
        Quality::Losing,
        Quality::Overtrading,
        Quality::Late,
        Quality::Unclear,
        Quality::NotANumber,
        Quality::Silent,
    ]);
    prop_oneof![
        12 => Just(H::Tick),
        2 => Just(H::KilledBeforeTheWrite),
        2 => Just(H::KilledBeforeTheSweep),
        3 => prop::sample::select(vec!['a', 'b', 'c']).prop_map(H::Want),
        1 => Just(H::CheckpointVanishes),
        1 => Just(H::CheckpointReturns),
        3 => quality.prop_map(H::Quality),
        2 => prop::sample::select(vec![0_u64, 5, 1_000_000]).prop_map(H::Bars),
        1 => any::<bool>().prop_map(H::Pause),
        1 => Just(H::PromoteCandidate),
        1 => Just(H::AbortCandidate),
        1 => Just(H::ClearVerbs),
        1 => Just(H::EditGates),
        2 => (0_i64..1_200).prop_map(H::Time),
        1 => any::<bool>().prop_map(H::StablePods),
        1 => any::<bool>().prop_map(H::CandidatePods),
        1 => any::<bool>().prop_map(H::Capacity),
        1 => any::<bool>().prop_map(H::Blocked),
    ]
}

impl World {
    fn happen(&mut self, what: Happening) {
        use Happening as H;
        match what {
            H::Tick | H::KilledBeforeTheWrite | H::KilledBeforeTheSweep => self.checked_tick(what),
            H::Want(digit) => self.want(digit),
            H::CheckpointVanishes => {
                self.desired = Some(Desired::Waiting("gone".into()));
            }
            H::CheckpointReturns => self.desired = None,
            H::Quality(quality) => self.quality = quality,
            H::Bars(bars) => self.bars_in_step = bars,
            H::Pause(paused) => self.spec.rollout.paused = paused,
            H::PromoteCandidate => {
                self.spec.rollout.promote = self.candidate();
                self.spec.rollout.abort.clear();
            }
            H::AbortCandidate => {
                self.spec.rollout.abort = self.candidate();
                self.spec.rollout.promote.clear();
            }
            H::ClearVerbs => {
                self.spec.rollout.promote.clear();
                self.spec.rollout.abort.clear();
            }
            H::EditGates => self.spec.rollout.gates.max_turnover_ratio_bps += 1,
            H::Time(seconds) => self.now += seconds,
            H::StablePods(ready) => self.set_pods(&self.stable(), ready),
            H::CandidatePods(ready) => self.set_pods(&self.candidate(), ready),
            H::Capacity(fits) => {
                self.capacity = if fits { Ok(()) } else { Err(InsufficientPinnedCpu { message: "full".into() }) };
            }
            H::Blocked(blocked) => {
                self.blocked = blocked.then(|| (Reason::WaitingForRiskProfile, "RiskProfile main does not exist".into()));
            }
        }
    }

    fn set_pods(&mut self, bundle: &str, ready: bool) {
        if let Some(pods) = self.pods.get_mut(bundle) {
            *pods = if ready { Pods::Ready } else { Pods::Starting("0 of 1 ready".into()) };
        }
    }

    /// One reconcile, cut short when the operator is killed, with everything that must hold checked.
    fn checked_tick(&mut self, what: Happening) {
        let before = self.state();
        let evidence = self.evidence();
        let plan = self.plan();
        self.apply(&plan);
        self.now += 1;
        if matches!(what, Happening::KilledBeforeTheWrite) {
            return;
        }
        self.write(&plan);
        self.check_weight(&before, evidence);
        if !matches!(what, Happening::KilledBeforeTheSweep) {
            self.sweep(&plan);
        }
        self.check_state();
    }

    /// The weight rises only on evidence that passes, or because the spec promotes this very bundle.
    fn check_weight(&self, before: &State, evidence: Option<Evidence>) {
        let after = self.state().rollout;
        if after.weight_bps <= before.rollout.weight_bps {
            return;
        }
        let forced = self.spec.rollout.promote == self.candidate();
        let passed = evidence.is_some_and(|evidence| {
            let goal = StepGoal { name: "any", min_bars: 1 };
            overall(&judge(&self.spec.rollout.gates, goal, &evidence)) == Verdict::Pass
        });
        // A forced promotion raises the weight when the pods are ready, which may be after the verb was cleared again.
        let was_forced = before.rollout.phase == Phase::Promoting;
        assert!(forced || passed || was_forced, "weight rose without a reconcile: {before:?} -> {after:?}");
        assert!(self.pods_of(&self.candidate()) == Pods::Ready || passed, "weight rose onto pods that do not answer");
    }

    /// What must hold in every state.
    fn check_state(&self) {
        let state = self.state();
        let rollout = &state.rollout;
        let (stable, candidate) = (self.stable(), self.candidate());
        assert!(stable.is_empty() || stable != candidate, "two drivers are one bundle");
        assert_eq!(rollout.stable_bundle, stable);
        assert!(rollout.candidate_bundle.is_empty() || rollout.candidate_bundle == candidate);
        if rollout.weight_bps > 0 {
            assert!(!rollout.candidate_bundle.is_empty(), "weight without a candidate: {rollout:?}");
            let active = state.active_phase();
            assert!(matches!(active, Phase::Canary | Phase::Promoting | Phase::RollingBack), "weight in {active}");
        }
        if matches!(rollout.phase, Phase::Healthy | Phase::RolledBack | Phase::Pending | Phase::Verifying) {
            assert!(state.candidate.is_none(), "{:?} with a candidate", rollout.phase);
        }
        for serving in [&stable, &candidate].into_iter().filter(|bundle| !bundle.is_empty()) {
            assert!(self.pods.contains_key(serving.as_str()), "children of {serving} were deleted or never made");
        }
        assert_eq!(state.revert_patch.is_some(), state.rolled_back.is_some() && state.revert_patch.is_some());
        assert!(state.history.len() <= 10);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Never two drivers, weight only on a reconcile, no child of a serving bundle deleted: over any life.
    #[test]
    fn nothing_that_happens_breaks_a_policy(life in prop::collection::vec(happening(), 1..120)) {
        let mut world = World::new();
        for what in life {
            world.happen(what);
        }
    }

    /// Whatever happened before, a failing gate ends in RolledBack and the stable bundle serves alone.
    #[test]
    fn a_failing_gate_always_ends_in_rolled_back(life in prop::collection::vec(happening(), 0..60)) {
        let mut world = World::healthy();
        for what in life {
            world.happen(what);
        }
        world.happen(Happening::ClearVerbs);
        world.desired = None;
        world.capacity = Ok(());
        world.blocked = None;
        world.new_pods = Pods::Ready;
        world.spec.rollout.paused = false;
        for pods in world.pods.values_mut() {
            *pods = Pods::Ready;
        }
        // A bundle that nobody has seen, so that it cannot be the one that was rolled back before.
        world.want('f');
        world.quality = Quality::Losing;
        for _ in 0..80 {
            world.checked_tick(Happening::Tick);
        }
        prop_assert_eq!(world.phase(), Phase::RolledBack);
        prop_assert!(world.stable() != world.revision().bundle);
        prop_assert_eq!(world.pods.len(), 1);
    }

    /// The operator may die before or after any write: the end is the same.
    #[test]
    fn killed_after_any_write_the_end_is_the_same(
        kills in prop::collection::vec(prop::sample::select(vec![0_u8, 1, 2]), 40),
        quality in prop::sample::select(vec![Quality::Good, Quality::Losing, Quality::Overtrading, Quality::Unclear]),
    ) {
        let run = |kills: &[u8]| {
            let mut world = World::healthy();
            world.want('b');
            world.quality = quality;
            for kill in kills {
                world.checked_tick(match kill {
                    1 => Happening::KilledBeforeTheWrite,
                    2 => Happening::KilledBeforeTheSweep,
                    _ => Happening::Tick,
                });
            }
            world.now += 2_000; // past every deadline
            world.settle();
            (world.phase(), world.stable(), world.candidate(), world.outcomes(), world.pods)
        };
        prop_assert_eq!(run(&kills), run(&[0; 40]));
    }
}
