//! One table for each phase: what leads out of it, and where to.

use tradewind_crds::conditions::PolicyReason as Reason;
use tradewind_crds::policy_status::{Gate, Phase, Verdict};
use tradewind_crds::trading_policy::CanaryStep;

use super::*;

#[test]
fn the_first_bundle_is_verified_then_promoted_without_a_rollout() {
    let mut world = World::new();
    world.desired = Some(Desired::Waiting("ModelCheckpoint tactical-a is Verifying".into()));
    let plan = world.tick();
    assert_eq!((world.phase(), plan.outlook.reason), (Phase::Verifying, Reason::WaitingForCheckpoint));
    assert!(world.pods.is_empty(), "pods saw an unverified checkpoint");
    world.desired = None;
    world.tick();
    assert_eq!(world.phase(), Phase::Promoting);
    world.settle();
    assert_eq!((world.phase(), world.stable()), (Phase::Healthy, world.revision().bundle));
    assert_eq!(world.outcomes(), [Reason::Promoted]);
    assert!(world.status.stable.as_ref().unwrap().promoted_at.is_some());
}

#[test]
fn a_good_candidate_goes_through_every_step_and_keeps_its_evidence() {
    let mut world = World::healthy();
    world.spec.rollout.steps =
        vec![CanaryStep { weight_bps: 1_000, min_bars: 10 }, CanaryStep { weight_bps: 5_000, min_bars: 10 }];
    world.want('b');
    let mut seen = Vec::new();
    for _ in 0..30 {
        world.tick();
        let rollout = world.state().rollout;
        let place = (rollout.phase, rollout.step, rollout.weight_bps);
        if seen.last() != Some(&place) {
            seen.push(place);
        }
    }
    let expected = [
        (Phase::Shadowing, 0, 0),
        (Phase::Canary, 1, 1_000),
        (Phase::Canary, 2, 5_000),
        (Phase::Promoting, 2, 10_000),
        (Phase::Healthy, 0, 0),
    ];
    assert_eq!(seen, expected);
    let verdicts = world.state().rollout.verdicts;
    assert_eq!(verdicts.iter().map(|v| v.gate).collect::<Vec<_>>(), Gate::ALL);
    assert!(verdicts.iter().all(|v| v.verdict == Verdict::Pass), "{verdicts:?}");
    assert_eq!(world.pods.keys().cloned().collect::<Vec<_>>(), [world.stable()], "the old bundle's children are still there");
}

#[test]
fn promotion_needs_no_new_pods() {
    let mut world = World::at(Phase::Promoting);
    let pods = world.pods.clone();
    let candidate = world.candidate();
    let names = |plan: &Plan| plan.keep.iter().map(|kept| kept.bundle.clone()).collect::<Vec<_>>();
    let plan = world.tick();
    assert!(plan.changed && names(&plan).len() == 2 && !plan.sweep, "the old stable went before the write");
    assert_eq!((world.phase(), world.stable()), (Phase::Healthy, candidate));
    assert_eq!(world.pods, pods);
}

#[test]
fn every_failing_gate_rolls_back_from_every_phase() {
    for phase in [Phase::Shadowing, Phase::Canary, Phase::Promoting] {
        for quality in [Quality::Losing, Quality::Overtrading, Quality::Late] {
            let mut world = World::at(phase);
            let (stable, candidate) = (world.stable(), world.candidate());
            world.quality = quality;
            world.bars_in_step = 1_000_000;
            world.settle();
            let gone = world.status.rolled_back.clone().unwrap();
            assert_eq!((world.phase(), gone.bundle, gone.reason), (Phase::RolledBack, candidate, Reason::GateFailed));
            assert_eq!(world.stable(), stable);
            assert_eq!(world.pods.keys().cloned().collect::<Vec<_>>(), [stable], "{phase} {quality:?}");
            assert_eq!(
                world.status.revert_patch.as_deref(),
                Some(r#"{"spec":{"models":{"tactical":{"checkpointRef":{"name":"tactical-a"}}}}}"#)
            );
            assert!(gone.message.contains("bps"), "no figures: {}", gone.message);
        }
    }
}

#[test]
fn a_losing_candidate_rolls_back_before_it_has_enough_bars() {
    let mut world = World::at(Phase::Shadowing);
    world.quality = Quality::Losing;
    world.bars_in_step = 1;
    world.settle();
    assert_eq!(world.phase(), Phase::RolledBack);
}

#[test]
fn unclear_evidence_keeps_the_step_until_the_deadline_and_is_then_not_proven() {
    for (quality, reason) in
        [(Quality::Unclear, Reason::NotProven), (Quality::NotANumber, Reason::GateError), (Quality::Silent, Reason::GateError)]
    {
        let mut world = World::at(Phase::Canary);
        world.quality = quality;
        let deadline = world.state().rollout.deadline_at.unwrap().0.as_second();
        let weight = world.state().rollout.weight_bps;
        while world.now < deadline {
            world.tick();
            assert_eq!((world.phase(), world.state().rollout.weight_bps), (Phase::Canary, weight), "{quality:?}");
        }
        world.tick();
        assert_eq!(world.phase(), Phase::RollingBack);
        if quality == Quality::Silent {
            world.now += 60; // nobody acknowledges
        }
        world.settle();
        assert_eq!(
            (world.phase(), world.status.rolled_back.as_ref().unwrap().reason),
            (Phase::RolledBack, reason),
            "{quality:?}"
        );
    }
}

#[test]
fn missing_evidence_never_passes() {
    let mut world = World::at(Phase::Shadowing);
    world.bars_in_step = 1_000_000;
    world.quality = Quality::Silent;
    for _ in 0..50 {
        world.tick();
    }
    assert_eq!((world.phase(), world.state().rollout.weight_bps), (Phase::Shadowing, 0));
}

#[test]
fn evidence_of_another_step_does_not_count() {
    let world = World::at(Phase::Canary);
    let mut inputs_evidence = world.evidence().unwrap();
    inputs_evidence.step = 0;
    let inputs = Inputs {
        spec: &world.spec,
        desired: Desired::Verified(Box::new(world.revision())),
        blocked: None,
        stable_pods: Pods::Ready,
        candidate_pods: Pods::Ready,
        capacity: Ok(()),
        evidence: Some(inputs_evidence),
        now: Timestamp::from_second(world.now).unwrap(),
    };
    assert!(!step(&world.state(), &inputs).changed);
}

#[test]
fn the_candidate_is_shown_to_the_policy_process_only_when_its_pods_answer() {
    let mut world = World::healthy();
    world.new_pods = Pods::Starting("0 of 1 ready".into());
    world.want('b');
    for _ in 0..5 {
        let plan = world.tick();
        assert!(world.state().rollout.candidate_bundle.is_empty());
        assert_eq!(world.phase(), Phase::Shadowing);
        assert!(plan.keep.len() == 2 || plan.keep.len() == 1);
    }
    world.pods.insert(world.candidate(), Pods::Ready);
    world.tick();
    assert_eq!(world.state().rollout.candidate_bundle, world.candidate());
}

#[test]
fn pods_that_never_start_are_rolled_back_at_the_deadline() {
    let mut world = World::healthy();
    world.new_pods = Pods::Starting("0 of 1 ready".into());
    world.want('b');
    world.tick();
    world.now += 900;
    world.settle();
    let gone = world.status.rolled_back.clone().unwrap();
    assert_eq!((gone.reason, gone.message.as_str()), (Reason::NotProven, "its pods were not ready before the deadline"));
}

#[test]
fn rejected_pods_roll_back_and_without_a_stable_bundle_they_stall() {
    let mut world = World::at(Phase::Shadowing);
    world.pods.insert(world.candidate(), Pods::Rejected("UnexpectedAdmissionError: requested=1, available=0".into()));
    world.settle();
    let gone = world.status.rolled_back.clone().unwrap();
    assert_eq!(gone.reason, Reason::PinnedPodsRejected);
    assert!(gone.message.contains("available=0"));

    let mut first = World::new();
    first.new_pods = Pods::Rejected("UnexpectedAdmissionError".into());
    first.tick();
    let plan = first.tick();
    assert!(plan.outlook.stalled && plan.outlook.reason == Reason::PinnedPodsRejected);
    assert_eq!(first.phase(), Phase::Promoting);
}

#[test]
fn too_few_free_cpus_stall_before_anything_is_created_and_the_stable_serves() {
    let mut world = World::healthy();
    world.capacity = Err(InsufficientPinnedCpu { message: "asks for 4".into() });
    world.want('b');
    let plan = world.settle();
    assert_eq!(
        (world.phase(), plan.outlook.reason, plan.outlook.stalled),
        (Phase::Verifying, Reason::InsufficientPinnedCPU, true)
    );
    assert!(plan.outlook.message.contains("asks for 4") && plan.outlook.message.contains("keeps serving"));
    assert!(plan.requeue_after.is_some(), "nobody would notice that CPUs became free");
    assert_eq!(world.pods.len(), 1);
    world.capacity = Ok(());
    world.settle();
    assert_eq!((world.phase(), world.stable()), (Phase::Healthy, world.revision().bundle));
}

#[test]
fn a_rejected_checkpoint_stalls_and_the_bundle_that_served_keeps_serving() {
    let mut world = World::healthy();
    world.want('b');
    world.desired = Some(Desired::Waiting("Verifying".into()));
    world.tick();
    world.desired = Some(Desired::Rejected("DigestMismatch: seen 00, expected bb".into()));
    let plan = world.settle();
    assert_eq!((world.phase(), plan.outlook.reason), (Phase::Healthy, Reason::CheckpointRejected));
    assert!(plan.outlook.stalled && !plan.outlook.ready && plan.outlook.message.contains("DigestMismatch"));
    assert!(world.events.iter().any(|e| e.warning && e.reason == Reason::CheckpointRejected));
    assert_eq!(world.pods.len(), 1);
}

#[test]
fn rollback_waits_for_the_stable_pods_before_it_moves_sessions_but_not_for_ever() {
    let mut world = World::at(Phase::Canary);
    let (stable, weight) = (world.stable(), world.state().rollout.weight_bps);
    world.pods.insert(stable.clone(), Pods::Starting("0 of 1 ready".into()));
    world.quality = Quality::Losing;
    world.tick();
    let began = world.now;
    assert_eq!((world.phase(), world.state().rollout.weight_bps), (Phase::RollingBack, weight));
    world.tick();
    assert_eq!(world.state().rollout.weight_bps, weight, "moved before it restored");
    let mut patient = world.clone();
    world.pods.insert(stable, Pods::Ready);
    world.tick();
    assert_eq!(world.state().rollout.weight_bps, 0);
    while patient.phase() != Phase::RolledBack {
        patient.tick();
        assert!(patient.now - began <= 30, "not back within 30 s");
    }
}

#[test]
fn rolled_back_within_thirty_seconds_even_when_the_policy_process_is_gone() {
    let mut world = World::at(Phase::Canary);
    world.quality = Quality::Losing;
    world.tick();
    let began = world.now;
    world.quality = Quality::Silent;
    while world.phase() != Phase::RolledBack {
        world.tick();
        assert!(world.now - began <= 30, "not back within 30 s");
    }
}

#[test]
fn a_rolled_back_bundle_is_not_tried_again_until_the_spec_has_named_another() {
    let mut world = World::at(Phase::Shadowing);
    world.quality = Quality::Losing;
    world.settle();
    world.quality = Quality::Good;
    world.bars_in_step = 1_000_000;
    let plan = world.settle();
    assert_eq!((world.phase(), plan.outlook.stalled, plan.changed), (Phase::RolledBack, true, false));
    // The revert patch names the stable: Healthy without a rollout.
    world.want('a');
    world.settle();
    assert_eq!((world.phase(), world.outcomes().len()), (Phase::Healthy, 2));
    assert_eq!((world.status.rolled_back.clone(), world.status.revert_patch.clone()), (None, None));
    // Named again on purpose: tried again.
    world.want('b');
    world.settle();
    assert_eq!((world.phase(), world.stable()), (Phase::Healthy, world.revision().bundle));
}

#[test]
fn a_five_step_rollout_needs_at_most_twelve_writes_and_healthy_needs_none() {
    let mut world = World::healthy();
    world.spec.rollout.steps = (1..=5).map(|i| CanaryStep { weight_bps: i * 1_000, min_bars: 10 }).collect();
    world.want('b');
    world.bars_in_step = 0;
    for _ in 0..200 {
        // Bars come in slowly, each look sees more of them.
        let in_step = world.state().rollout.step_started_at.map_or(0, |at| world.now - at.0.as_second());
        world.bars_in_step = if in_step > 8 { 1_000_000 } else { 1 };
        world.tick();
    }
    assert_eq!((world.phase(), world.stable()), (Phase::Healthy, world.revision().bundle));
    assert!(world.writes <= 12, "{} writes", world.writes);
    let before = world.writes;
    for _ in 0..600 {
        let plan = world.tick();
        assert!(!plan.changed && plan.requeue_after.is_none());
    }
    assert_eq!(world.writes, before);
}

#[test]
fn an_edited_rollout_starts_again_in_the_shadow() {
    let mut world = World::at(Phase::Canary);
    world.spec.rollout.gates.max_turnover_ratio_bps += 1;
    world.tick();
    let rollout = world.state().rollout;
    assert_eq!((rollout.phase, rollout.step, rollout.weight_bps), (Phase::Shadowing, 0, 0));
    // A longer deadline is no other test.
    let mut world = World::at(Phase::Canary);
    let before = world.state().rollout.deadline_at.unwrap().0.as_second();
    world.spec.rollout.deadline = tradewind_crds::DurationText::from_secs(1_800);
    world.quality = Quality::Unclear;
    world.tick();
    let rollout = world.state().rollout;
    assert_eq!((rollout.phase, rollout.deadline_at.unwrap().0.as_second()), (Phase::Canary, before + 900));
}

#[test]
fn a_policy_that_is_blocked_starts_nothing_and_serves_what_it_served() {
    let mut world = World::healthy();
    world.blocked = Some((Reason::InstrumentConflict, "instrument SPX of account paper-1 is held by TradingPolicy a".into()));
    world.want('b');
    let plan = world.settle();
    assert_eq!((world.phase(), plan.outlook.reason, plan.outlook.stalled), (Phase::Healthy, Reason::InstrumentConflict, true));
    let mut new = World::new();
    new.blocked = world.blocked.clone();
    let plan = new.settle();
    assert!(new.pods.is_empty() && plan.keep.is_empty());
    assert_eq!(new.phase(), Phase::Pending);
}

#[test]
fn what_needs_help_is_said_before_what_only_needs_time() {
    let mut world = World::new();
    world.desired = Some(Desired::Waiting("ModelCheckpoint tactical-a does not exist".into()));
    world.blocked = Some((Reason::InvalidSpec, "spec.sizing.baseNotional is 250001".into()));
    let plan = world.settle();
    assert!(plan.outlook.stalled && plan.outlook.reason == Reason::InvalidSpec && plan.outlook.message.contains("250001"));
    world.blocked = Some((Reason::WaitingForRiskProfile, "RiskProfile main does not exist".into()));
    let plan = world.settle();
    assert!(!plan.outlook.stalled && plan.outlook.reason == Reason::WaitingForRiskProfile);
    assert!(plan.outlook.message.contains("RiskProfile main") && plan.outlook.message.contains("tactical-a does not exist"));
    world.desired = Some(Desired::Rejected("DigestMismatch".into()));
    let plan = world.settle();
    assert!(plan.outlook.stalled && plan.outlook.reason == Reason::CheckpointRejected);
}

#[test]
fn no_steps_go_from_the_shadow_straight_to_promotion() {
    let mut world = World::healthy();
    world.spec.rollout.steps.clear();
    world.want('b');
    for _ in 0..10 {
        world.tick();
        assert_ne!(world.phase(), Phase::Canary);
    }
    assert_eq!((world.phase(), world.stable()), (Phase::Healthy, world.revision().bundle));
}

#[test]
fn history_is_capped() {
    let mut world = World::healthy();
    for i in 0..30 {
        world.want(if i % 2 == 0 { 'b' } else { 'a' });
        world.settle();
    }
    assert_eq!(world.status.history.len(), 10);
}
