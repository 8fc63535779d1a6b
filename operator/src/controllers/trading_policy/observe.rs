//! What runs: sets and pods of this policy, and what its processes say.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tradewind_crds::TradingPolicy;
use tradewind_crds::conditions::{ConditionType, PolicyReason};
use tradewind_crds::names;
use tradewind_crds::policy_status::{Phase, PinningReport};
use tradewind_crds::trading_policy::RolePlacement;
use tradewind_wire::v1::{PolicyStatus, ProcessInfo, RevisionFigures};

use super::endpoint;
use crate::build::owner::Owner;
use crate::controllers::context::{Context, PassError};
use crate::controllers::pods;
use crate::plan::bundle::Content;
use crate::plan::conditions::DecisionEngine;
use crate::plan::evidence::{Evidence, Figures, Paired};
use crate::plan::rollout::{Plan, Pods, State};
use crate::runtime::brake::Tripped;
use crate::runtime::polls::{Answer, Asked, OwnerKey, Question};

/// Time between two questions during a rollout, while something starts, and when nothing happens.
const ROLLOUT: Duration = Duration::from_secs(1);
const STARTING: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_secs(10);

/// What runs at present.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) stable: Pods,
    pub(super) candidate: Pods,
    policy: Pods,
    execution: Pods,
    /// Execution has a node, or does not need one of the pool.
    pub(super) execution_placed: bool,
    pub(super) evidence: Option<Evidence>,
    pub(super) pinning: Vec<PinningReport>,
    /// Pods that were not asked often enough: what status says of them stays.
    pub(super) unheard: BTreeSet<String>,
    /// Brakes by name of the set.
    tripped: BTreeMap<String, Tripped>,
    complete: bool,
    /// A process that runs was not asked often enough to call it silent.
    pub(super) undecided: bool,
}

impl Observed {
    /// Looks at caches and answers; removes pods that a kubelet rejected.
    pub(super) async fn look(context: &Context, owner: &Owner, policy: &TradingPolicy, state: &State) -> Result<Self, PassError> {
        let mut observed = Self {
            stable: Pods::Absent,
            candidate: Pods::Absent,
            policy: Pods::Absent,
            execution: Pods::Absent,
            execution_placed: false,
            evidence: None,
            pinning: Vec::new(),
            unheard: BTreeSet::new(),
            tripped: BTreeMap::new(),
            complete: true,
            undecided: false,
        };
        let inference = |bundle: &str| names::inference(&owner.name, bundle);
        if let Some(stable) = &state.stable {
            observed.stable = observed.set(context, owner, policy, &inference(&stable.bundle)).await?;
        }
        if let Some(candidate) = &state.candidate {
            observed.candidate = observed.set(context, owner, policy, &inference(&candidate.bundle)).await?;
        }
        observed.policy = observed.set(context, owner, policy, &names::policy_engine(&owner.name)).await?;
        observed.execution = observed.set(context, owner, policy, &names::execution(&owner.name)).await?;
        observed.execution_placed = observed.execution == Pods::Ready;
        observed.listen(context, owner, policy, state);
        Ok(observed)
    }

    async fn set(&mut self, context: &Context, owner: &Owner, policy: &TradingPolicy, name: &str) -> Result<Pods, PassError> {
        let Some(set) = context.caches.stateful_sets.get(&owner.namespace, name) else { return Ok(Pods::Absent) };
        let emptied = set.spec.as_ref().and_then(|spec| spec.replicas) == Some(0);
        let tripped = pods::brake(context, &owner.namespace, name, emptied && has_said_rejected(policy)).await?;
        if let Some(tripped) = tripped {
            self.tripped.insert(name.to_owned(), tripped.clone());
            if !tripped.pause.is_zero() {
                return Ok(Pods::Rejected(rejected(name, &tripped)));
            }
        }
        if pods::ready(&set) {
            return Ok(Pods::Ready);
        }
        let why = pods::trouble(context, &owner.namespace, name).unwrap_or_else(|| format!("{name} is starting"));
        Ok(Pods::Starting(why))
    }

    fn listen(&mut self, context: &Context, owner: &Owner, policy: &TradingPolicy, state: &State) {
        let key = key(owner);
        let engine = endpoint(owner, &names::policy_engine(&owner.name));
        let heard = context.polls.heard(&key, Asked::Policy, &engine);
        if let Some(Answer::Policy(status)) = heard.current() {
            self.evidence = Some(evidence(status));
        }
        self.undecided |= self.policy != Pods::Absent && heard.undecided();
        let mut hear = |role: &str, set: &str, asked: &RolePlacement| {
            let heard = context.polls.heard(&key, Asked::Describe, &endpoint(owner, set));
            let report = match heard.current() {
                Some(Answer::Describe(info)) => report(role, set, asked, info),
                _ => None,
            };
            let runs = context.caches.stateful_sets.get(&owner.namespace, set).is_some();
            if runs && heard.undecided() {
                self.undecided = true;
                self.unheard.insert(pod_name(set));
            }
            self.complete &= report.is_some();
            self.pinning.extend(report);
        };
        hear("execution", &names::execution(&owner.name), &policy.spec.placement.execution);
        for revision in [&state.stable, &state.candidate].into_iter().flatten() {
            if let Ok(content) = Content::of_revision(revision) {
                hear("inference", &names::inference(&owner.name, &revision.bundle), &content.placement.inference);
            }
        }
        self.pinning.sort_by(|a, b| a.pod_name.cmp(&b.pod_name));
    }

    /// Pods of the stable bundle. When nothing is on its way, the whole policy is meant: its engine and execution belong to
    /// what serves. During a rollout only inference is, so that an engine that restarts delays no rollback.
    pub(super) fn stable_pods(&self, state: &State) -> Pods {
        if state.candidate.is_some()
            || self.stable != Pods::Ready
            || !matches!(state.rollout.phase, Phase::Healthy | Phase::RolledBack)
        {
            return self.stable.clone();
        }
        for (what, pods) in [("execution", &self.execution), ("the decision engine", &self.policy)] {
            match pods {
                Pods::Ready => {}
                Pods::Absent => return Pods::Starting(format!("{what} is being created")),
                other => return other.clone(),
            }
        }
        if self.evidence.is_none() {
            return Pods::Starting("the decision engine does not answer yet".to_owned());
        }
        Pods::Ready
    }

    /// What is known of the decision engine; one that was heard before and misses an answer still decides.
    pub(super) fn engine(&self, decided: bool) -> DecisionEngine<'_> {
        match &self.evidence {
            Some(evidence) if !evidence.feed_fault.is_empty() => DecisionEngine::Cut(&evidence.feed_fault),
            Some(evidence) if !evidence.silent.is_empty() => {
                DecisionEngine::Silenced { symbols: &evidence.silent, since_ns: evidence.silent_since_ns }
            }
            Some(evidence) if evidence.bars_decided == 0 => DecisionEngine::WithoutBars(&evidence.waiting_for),
            Some(_) => DecisionEngine::Decides,
            None if self.undecided && decided => DecisionEngine::Decides,
            None if self.undecided || self.policy != Pods::Ready => DecisionEngine::Starting,
            None => DecisionEngine::Silent,
        }
    }

    /// Replicas of a set: none while its brake holds.
    pub(super) fn replicas(&self, set: &str) -> i32 {
        i32::from(self.tripped.get(set).is_none_or(|tripped| tripped.pause.is_zero()))
    }

    /// Time until the first brake is tried.
    pub(super) fn brake_pause(&self) -> Option<Duration> {
        self.tripped.values().map(|tripped| tripped.pause).min()
    }

    /// Says what to ask from now on.
    pub(super) fn ask(&self, context: &Context, owner: &Owner, plan: &Plan, runs: bool) {
        let rollout = plan.next.candidate.is_some() || plan.changed || !plan.sweep;
        let describe = if self.complete && !rollout { IDLE } else { STARTING };
        let mut questions = Vec::new();
        if runs {
            questions.push(Question {
                asked: Asked::Policy,
                endpoint: endpoint(owner, &names::policy_engine(&owner.name)),
                every: if rollout { ROLLOUT } else { IDLE / 2 },
                eager: rollout,
            });
        }
        let inference = plan.keep.iter().map(|revision| names::inference(&owner.name, &revision.bundle));
        let described = runs.then(|| names::execution(&owner.name)).into_iter().chain(inference);
        questions.extend(described.map(|set| Question {
            asked: Asked::Describe,
            endpoint: endpoint(owner, &set),
            every: describe,
            eager: false,
        }));
        context.polls.ask(&key(owner), questions);
    }
}

fn key(owner: &Owner) -> OwnerKey {
    ("TradingPolicy", owner.namespace.clone(), owner.name.clone())
}

fn has_said_rejected(policy: &TradingPolicy) -> bool {
    let conditions = policy.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions.iter().any(|c| c.r#type == ConditionType::Stalled && c.reason == PolicyReason::PinnedPodsRejected.as_str())
}

fn rejected(set: &str, tripped: &Tripped) -> String {
    format!(
        "the kubelet rejected {} pods of {set} ({}); the set is scaled to zero and its dead pods are removed; what serves is tried \
         again with one pod after a pause",
        tripped.pods, tripped.reason
    )
}

fn report(role: &str, set: &str, asked: &RolePlacement, info: &ProcessInfo) -> Option<PinningReport> {
    pods::pinning(role, pod_name(set), asked, info)
}

/// The one pod of a set.
pub(super) fn pod_name(set: &str) -> String {
    format!("{set}-0")
}

fn evidence(status: &PolicyStatus) -> Evidence {
    Evidence {
        stable_bundle: status.stable_bundle.clone(),
        candidate_bundle: status.candidate_bundle.clone(),
        step: status.step,
        weight_bps: status.weight_bps,
        bars_in_step: status.bars_in_step,
        stable: figures(status.stable.as_ref()),
        candidate: figures(status.candidate.as_ref()),
        paired: status.paired.as_ref().map(|paired| Paired {
            n: paired.n,
            mean_bps: paired.mean_bps,
            lower_bps: paired.lower_bps,
            upper_bps: paired.upper_bps,
        }),
        bars_decided: status.bars_decided,
        waiting_for: status.waiting_for.clone(),
        feed_fault: status.feed_fault.clone(),
        silent: status.silent_symbols.split(", ").filter(|symbol| !symbol.is_empty()).map(str::to_owned).collect(),
        silent_since_ns: status.feed_silent_since_ns,
    }
}

fn figures(revision: Option<&RevisionFigures>) -> Figures {
    revision.map_or_else(Figures::default, |revision| Figures {
        bars: revision.bars,
        errors: revision.errors,
        deadline_misses: revision.deadline_misses,
        turnover_bps: revision.turnover_bps,
        net_pnl_bps: revision.net_pnl_bps,
        trades: revision.trades,
    })
}
