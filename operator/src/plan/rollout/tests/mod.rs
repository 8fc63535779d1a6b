//! Tests of the rollout: a small world around the planner, tables for each phase, properties over random lives.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod phases;
mod properties;
mod verbs;

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use tradewind_crds::conditions::PolicyReason;
use tradewind_crds::policy_status::{Phase, Revision};
use tradewind_crds::trading_policy::{CanaryStep, TradingPolicySpec};
use tradewind_crds::{TradingPolicyStatus, samples};

use super::{Desired, Inputs, Plan, PlanEvent, Pods, State, step};
use crate::plan::bundle::{Sources, revision};
use crate::plan::evidence::{Evidence, Figures, Paired};
use crate::plan::placement::InsufficientPinnedCpu;

/// How a candidate behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quality {
    /// Every gate passes once there are enough bars.
    Good,
    /// Its paired profit is clearly worse.
    Losing,
    /// It trades far too often.
    Overtrading,
    /// It answers too late.
    Late,
    /// The interval never leaves the margin.
    Unclear,
    /// Paired profit is NaN.
    NotANumber,
    /// The policy process does not answer.
    Silent,
}

/// A cluster in a few lines: status, pods by bundle, a decider that acknowledges what status says.
#[derive(Clone, Debug)]
struct World {
    spec: TradingPolicySpec,
    /// Digit of the desired tactical checkpoint's digest; each digit is another bundle.
    digit: char,
    desired: Option<Desired>,
    blocked: Option<(PolicyReason, String)>,
    capacity: Result<(), InsufficientPinnedCpu>,
    /// As the API server holds it.
    status: TradingPolicyStatus,
    /// Bundles with children, and the state of their pods.
    pods: BTreeMap<String, Pods>,
    /// What new pods become.
    new_pods: Pods,
    quality: Quality,
    bars_in_step: u64,
    now: i64,
    events: Vec<PlanEvent>,
    writes: usize,
}

impl World {
    fn new() -> Self {
        Self {
            spec: samples::policy("indices", "main", "tactical-a").spec,
            digit: 'a',
            desired: None,
            blocked: None,
            capacity: Ok(()),
            status: TradingPolicyStatus::default(),
            pods: BTreeMap::new(),
            new_pods: Pods::Ready,
            quality: Quality::Good,
            bars_in_step: 1_000_000,
            now: 1_000_000,
            events: Vec::new(),
            writes: 0,
        }
    }

    /// A world in which the first bundle is stable.
    fn healthy() -> Self {
        let mut world = Self::new();
        world.settle();
        assert_eq!(world.phase(), Phase::Healthy);
        world.events.clear();
        world.writes = 0;
        world
    }

    /// A world with the candidate `b` in the given phase.
    fn at(phase: Phase) -> Self {
        let mut world = Self::healthy();
        world.spec.rollout.steps =
            vec![CanaryStep { weight_bps: 1_000, min_bars: 10 }, CanaryStep { weight_bps: 5_000, min_bars: 10 }];
        world.want('b');
        match phase {
            Phase::Shadowing => world.bars_in_step = 0,
            Phase::Canary => {}
            Phase::Promoting => world.quality = Quality::Good,
            Phase::RollingBack => world.quality = Quality::Losing,
            other => panic!("no world at {other}"),
        }
        for _ in 0..20 {
            if world.phase() == phase && (phase != Phase::Shadowing || !world.state().rollout.candidate_bundle.is_empty()) {
                world.events.clear();
                return world;
            }
            world.tick();
        }
        panic!("never at {phase}: {:?}", world.status.rollout);
    }

    fn want(&mut self, digit: char) {
        self.digit = digit;
        self.spec.models.tactical.checkpoint_ref.name = format!("tactical-{digit}");
    }

    fn revision(&self) -> Revision {
        let strategic = samples::strategic_checkpoint("any", 'd').spec.source;
        let tactical = samples::checkpoint("any", self.digit).spec.source;
        revision(&self.spec, Sources { strategic: &strategic, tactical: &tactical }, "tradewind:1")
    }

    fn state(&self) -> State {
        State::from_status(Some(&self.status))
    }

    fn phase(&self) -> Phase {
        self.status.phase.unwrap_or(Phase::Pending)
    }

    fn candidate(&self) -> String {
        self.status.candidate.as_ref().map(|c| c.bundle.clone()).unwrap_or_default()
    }

    fn stable(&self) -> String {
        self.status.stable.as_ref().map(|c| c.bundle.clone()).unwrap_or_default()
    }

    /// What the decider says: it has read status.
    fn evidence(&self) -> Option<Evidence> {
        let rollout = self.state().rollout;
        let figures = Figures { bars: 1_000, turnover_bps: 50_000.0, ..Figures::default() };
        let mut evidence = Evidence {
            stable_bundle: rollout.stable_bundle,
            candidate_bundle: rollout.candidate_bundle,
            step: u32::try_from(rollout.step).unwrap(),
            weight_bps: u32::try_from(rollout.weight_bps).unwrap(),
            bars_in_step: self.bars_in_step,
            stable: figures,
            candidate: figures,
            paired: Some(Paired { n: 1_000, mean_bps: 0.1, lower_bps: -1.0, upper_bps: 1.2 }),
            bars_decided: 0,
            waiting_for: String::new(),
            feed_fault: String::new(),
            silent: Vec::new(),
            silent_since_ns: 0,
        };
        match self.quality {
            Quality::Good => {}
            Quality::Losing => evidence.paired = Some(Paired { n: 1_000, mean_bps: -30.0, lower_bps: -40.0, upper_bps: -20.0 }),
            Quality::Overtrading => evidence.candidate.turnover_bps = 5_000_000.0,
            Quality::Late => evidence.candidate.deadline_misses = 500,
            Quality::Unclear => evidence.paired = Some(Paired { n: 1_000, mean_bps: 0.0, lower_bps: -99.0, upper_bps: 99.0 }),
            Quality::NotANumber => {
                evidence.paired = Some(Paired { n: 9, mean_bps: f64::NAN, lower_bps: f64::NAN, upper_bps: f64::NAN });
            }
            Quality::Silent => return None,
        }
        Some(evidence)
    }

    fn pods_of(&self, bundle: &str) -> Pods {
        self.pods.get(bundle).cloned().unwrap_or_default()
    }

    fn plan(&self) -> Plan {
        let inputs = Inputs {
            spec: &self.spec,
            desired: self.desired.clone().unwrap_or_else(|| Desired::Verified(Box::new(self.revision()))),
            blocked: self.blocked.clone(),
            stable_pods: self.pods_of(&self.stable()),
            candidate_pods: self.pods_of(&self.candidate()),
            capacity: self.capacity.clone(),
            evidence: self.evidence(),
            now: Timestamp::from_second(self.now).unwrap(),
        };
        step(&self.state(), &inputs)
    }

    /// Children first, then status, then what is left over: the order of the controller.
    fn apply(&mut self, plan: &Plan) {
        for revision in &plan.keep {
            self.pods.entry(revision.bundle.clone()).or_insert(self.new_pods.clone());
        }
    }

    fn write(&mut self, plan: &Plan) {
        if plan.changed {
            plan.next.write_into(&mut self.status);
            // What status holds survives the trip through JSON, as it does through the API server.
            self.status = serde_json::from_str(&serde_json::to_string(&self.status).unwrap()).unwrap();
            self.writes += 1;
            self.events.extend(plan.events.clone());
        }
    }

    fn sweep(&mut self, plan: &Plan) {
        if plan.sweep {
            self.pods.retain(|bundle, _| plan.keep.iter().any(|kept| kept.bundle == *bundle));
        }
    }

    fn tick(&mut self) -> Plan {
        let plan = self.plan();
        self.apply(&plan);
        self.write(&plan);
        self.sweep(&plan);
        self.now += 1;
        plan
    }

    /// Until nothing changes any more.
    fn settle(&mut self) -> Plan {
        for _ in 0..60 {
            let plan = self.tick();
            if !plan.changed && plan.sweep {
                return plan;
            }
        }
        panic!("never settled: {:?}", self.status.rollout);
    }

    fn outcomes(&self) -> Vec<PolicyReason> {
        self.status.history.iter().map(|entry| entry.outcome).collect()
    }
}
