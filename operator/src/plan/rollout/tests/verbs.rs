//! Pause, resume, promote, abort, supersede, revert and halt, from every phase.

use tradewind_crds::conditions::PolicyReason as Reason;
use tradewind_crds::policy_status::Phase;

use super::*;

const UNDER_WAY: [Phase; 3] = [Phase::Shadowing, Phase::Canary, Phase::Promoting];

#[test]
fn pause_keeps_the_place_and_resume_goes_on_from_it() {
    for phase in UNDER_WAY {
        let mut world = World::at(phase);
        let before = world.state().rollout;
        world.spec.rollout.paused = true;
        world.bars_in_step = 1_000_000;
        for _ in 0..2_000 {
            world.tick();
        }
        let paused = world.state().rollout;
        assert_eq!((paused.phase, paused.paused_from), (Phase::Paused, Some(phase)));
        assert_eq!((paused.step, paused.weight_bps), (before.step, before.weight_bps), "{phase}");
        world.spec.rollout.paused = false;
        world.tick();
        let resumed = world.state().rollout;
        assert_eq!((resumed.phase, resumed.step), (phase, before.step));
        assert_eq!(resumed.paused_seconds, 2_000);
        world.settle();
        assert_eq!((world.phase(), world.stable()), (Phase::Healthy, world.revision().bundle), "time in pause was counted");
    }
}

#[test]
fn a_gate_that_fails_rolls_back_also_while_paused() {
    for phase in UNDER_WAY {
        let mut world = World::at(phase);
        world.spec.rollout.paused = true;
        world.tick();
        world.quality = Quality::Losing;
        world.settle();
        assert_eq!(world.phase(), Phase::RolledBack, "{phase}");
    }
}

#[test]
fn a_paused_policy_starts_no_new_bundle() {
    let mut world = World::healthy();
    world.spec.rollout.paused = true;
    world.want('b');
    world.settle();
    assert_eq!((world.phase(), world.pods.len()), (Phase::Paused, 1));
    world.want('a');
    world.settle();
    assert_eq!(world.phase(), Phase::Healthy);
    world.want('b');
    world.settle();
    world.spec.rollout.paused = false;
    world.settle();
    assert_eq!((world.phase(), world.stable()), (Phase::Healthy, world.revision().bundle));
}

#[test]
fn abort_rolls_back_from_every_phase_and_holds_while_it_is_named() {
    for phase in UNDER_WAY {
        for paused in [false, true] {
            let mut world = World::at(phase);
            world.spec.rollout.paused = paused;
            world.tick();
            if world.phase() == Phase::Healthy {
                continue; // promoted by that very tick
            }
            world.spec.rollout.abort = world.candidate();
            let (stable, candidate) = (world.stable(), world.candidate());
            world.settle();
            let gone = world.status.rolled_back.clone().unwrap();
            assert_eq!((world.phase(), gone.bundle, gone.reason), (Phase::RolledBack, candidate, Reason::Aborted), "{phase}");
            assert_eq!(world.stable(), stable);
        }
    }
}

#[test]
fn a_bundle_that_is_aborted_beforehand_never_starts() {
    let mut world = World::healthy();
    world.want('b');
    world.spec.rollout.abort = world.revision().bundle;
    world.settle();
    assert_eq!((world.phase(), world.pods.len()), (Phase::RolledBack, 1));
    assert!(world.status.revert_patch.is_some());
    world.spec.rollout.abort.clear();
    world.settle();
    assert_eq!(world.phase(), Phase::RolledBack, "clearing abort alone must not start it");
}

#[test]
fn promote_skips_the_gates_of_exactly_one_bundle() {
    for phase in [Phase::Shadowing, Phase::Canary] {
        let mut world = World::at(phase);
        world.quality = Quality::Unclear;
        world.spec.rollout.promote = world.candidate();
        world.settle();
        assert_eq!((world.phase(), world.stable()), (Phase::Healthy, world.revision().bundle));
        // The next bundle is judged as ever.
        world.want('c');
        for _ in 0..10 {
            world.tick();
        }
        assert_eq!(world.phase(), Phase::Shadowing);
    }
}

#[test]
fn promote_also_takes_a_bundle_that_was_rolled_back() {
    let mut world = World::at(Phase::Shadowing);
    world.quality = Quality::Losing;
    world.settle();
    world.spec.rollout.promote = world.revision().bundle;
    world.settle();
    assert_eq!((world.phase(), world.stable()), (Phase::Healthy, world.revision().bundle));
    assert_eq!(world.status.rolled_back, None);
}

#[test]
fn a_newer_bundle_supersedes_from_every_phase() {
    for phase in [Phase::Shadowing, Phase::Canary, Phase::Promoting, Phase::RollingBack] {
        let mut world = World::at(phase);
        let (stable, old) = (world.stable(), world.candidate());
        world.quality = if phase == Phase::RollingBack { Quality::Losing } else { Quality::Good };
        world.bars_in_step = 1_000_000;
        world.want('c');
        let newest = world.revision().bundle;
        for _ in 0..30 {
            world.tick();
            assert!(world.stable() == stable || world.stable() == newest, "{phase}: {old} became stable after all");
            if world.phase() == Phase::Shadowing && world.candidate() == newest {
                world.quality = Quality::Good;
            }
        }
        assert_eq!((world.phase(), world.stable()), (Phase::Healthy, newest), "{phase}");
        let outcome = if phase == Phase::RollingBack { Reason::GateFailed } else { Reason::Superseded };
        assert!(world.status.history.iter().any(|h| h.bundle == old && h.outcome == outcome), "{phase}: {:?}", world.outcomes());
        assert_eq!(world.pods.len(), 1);
    }
}

#[test]
fn a_newer_bundle_that_is_not_verified_yet_supersedes_too() {
    let mut world = World::at(Phase::Canary);
    world.want('c');
    world.desired = Some(Desired::Waiting("Verifying".into()));
    world.settle();
    assert_eq!((world.phase(), world.candidate().as_str(), world.pods.len()), (Phase::Verifying, "", 1));
    world.desired = None;
    world.settle();
    assert_eq!((world.phase(), world.stable()), (Phase::Healthy, world.revision().bundle));
}

#[test]
fn a_checkpoint_that_cannot_be_read_for_a_moment_does_not_end_a_rollout() {
    let mut world = World::at(Phase::Canary);
    let before = world.state();
    world.desired = Some(Desired::Waiting("ModelCheckpoint tactical-b does not exist".into()));
    for _ in 0..5 {
        assert!(!world.tick().changed);
    }
    assert_eq!(world.state(), before);
}

#[test]
fn going_back_to_the_stable_bundle_reverts_from_every_phase() {
    for phase in [Phase::Shadowing, Phase::Canary, Phase::Promoting, Phase::RollingBack] {
        let mut world = World::at(phase);
        let stable = world.stable();
        world.want('a');
        let plan = world.settle();
        assert_eq!((world.phase(), world.stable(), plan.outlook.ready), (Phase::Healthy, stable, true), "{phase}");
        assert_eq!(world.pods.len(), 1);
    }
}

#[test]
fn halt_changes_nothing_in_a_rollout() {
    for phase in UNDER_WAY {
        let (mut halted, mut free) = (World::at(phase), World::at(phase));
        halted.spec.halt = true;
        for _ in 0..20 {
            halted.tick();
            free.tick();
            assert_eq!(halted.state(), free.state());
        }
    }
}
