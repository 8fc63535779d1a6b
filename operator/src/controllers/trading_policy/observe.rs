//! What is observed: sets and pods of this policy, and what its processes say.

use std::time::Duration;

use tradewind_crds::names;
use tradewind_crds::placement::RolePlacement;
use tradewind_crds::policy_status::{Phase, PinningReport, Revision};
use tradewind_wire::v1::{PolicyStatus, RevisionFigures};

use super::endpoint;
use super::process_state::{ProcessState, Voice, pod_name};
use super::reconcile::Reconcile;
use crate::build::owner::Owner;
use crate::controllers::outcome::ReconcileError;
use crate::controllers::pods;
use crate::plan::bundle::Content;
use crate::plan::conditions::Decider;
use crate::plan::evidence::{Evidence, Figures, Paired};
use crate::plan::rollout::{Plan, Pods, State};
use crate::runtime::polls::{Answer, Asked, Heard, OwnerKey, Question};

/// Time between two questions during a rollout, while something starts, and when nothing happens.
const ROLLOUT: Duration = Duration::from_secs(1);
const STARTING: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_secs(10);

/// What runs at present, process by process.
#[derive(Debug)]
pub(super) struct Observed {
    /// Inference of the stable bundle.
    stable: Option<ProcessState<PinningReport>>,
    /// Inference of the bundle on its way.
    candidate: Option<ProcessState<PinningReport>>,
    decider: ProcessState<Evidence>,
    execution: ProcessState<PinningReport>,
}

impl Observed {
    /// Looks at caches and answers; removes pods that a kubelet rejected.
    pub(super) async fn look(reconcile: &Reconcile<'_>, state: &State) -> Result<Self, ReconcileError> {
        let owner = reconcile.owner;
        let decider = names::policy_engine(&owner.name);
        let heard = heard(reconcile, Asked::Policy, &decider);
        let decider = ProcessState::observe(reconcile, decider, &heard, read_evidence).await?;
        let placement = &reconcile.policy.spec.placement.execution;
        let execution = described(reconcile, "execution", names::execution(&owner.name), Some(placement)).await?;
        let stable = inference(reconcile, state.stable.as_ref()).await?;
        let candidate = inference(reconcile, state.candidate.as_ref()).await?;
        Ok(Self { stable, candidate, decider, execution })
    }

    /// Processes that report their CPUs.
    fn described(&self) -> impl Iterator<Item = &ProcessState<PinningReport>> {
        [Some(&self.execution), self.stable.as_ref(), self.candidate.as_ref()].into_iter().flatten()
    }

    /// Pods of the stable bundle. When nothing is on its way, the whole policy is meant: its decider and execution belong to
    /// what serves. During a rollout only inference is, so that a decider that restarts delays no rollback.
    pub(super) fn stable_pods(&self, state: &State) -> Pods {
        let stable = pods_of(self.stable.as_ref());
        if state.candidate.is_some()
            || stable != Pods::Ready
            || !matches!(state.rollout.phase, Phase::Healthy | Phase::RolledBack)
        {
            return stable;
        }
        for (what, pods) in [("execution", &self.execution.pods), ("the decider", &self.decider.pods)] {
            match pods {
                Pods::Ready => {}
                Pods::Absent => return Pods::Starting(format!("{what} is being created")),
                other => return other.clone(),
            }
        }
        if self.evidence().is_none() {
            return Pods::Starting("the decider does not answer yet".to_owned());
        }
        Pods::Ready
    }

    /// Pods of the bundle on its way.
    pub(super) fn candidate_pods(&self) -> Pods {
        pods_of(self.candidate.as_ref())
    }

    /// Whether execution has a node, or does not need one of the pool.
    pub(super) fn execution_placed(&self) -> bool {
        self.execution.pods == Pods::Ready
    }

    /// What the decider reports of the rollout.
    pub(super) const fn evidence(&self) -> Option<&Evidence> {
        self.decider.answer()
    }

    /// CPUs as the processes report them.
    pub(super) fn pinning(&self) -> impl Iterator<Item = &PinningReport> {
        self.described().filter_map(ProcessState::answer)
    }

    /// Whether it is too early to call the process of this pod silent.
    pub(super) fn is_undecided(&self, pod: &str) -> bool {
        self.described().any(|process| process.undecided() && process.pod() == pod)
    }

    /// Whether that holds of any process.
    pub(super) fn undecided(&self) -> bool {
        self.decider.undecided() || self.described().any(ProcessState::undecided)
    }

    /// What is known of the decider; one that was heard before and misses an answer still decides.
    pub(super) fn decider(&self, decided: bool) -> Decider<'_> {
        match &self.decider.voice {
            Voice::Answers(evidence) if !evidence.feed_fault.is_empty() => Decider::Cut(&evidence.feed_fault),
            Voice::Answers(evidence) if !evidence.silent.is_empty() => {
                Decider::Silenced { symbols: &evidence.silent, since_ns: evidence.silent_since_ns }
            }
            Voice::Answers(evidence) if evidence.bars_decided == 0 => Decider::WithoutBars(&evidence.waiting_for),
            Voice::Answers(_) => Decider::Decides,
            _ if self.undecided() && decided => Decider::Decides,
            _ if self.undecided() || self.decider.pods != Pods::Ready => Decider::Starting,
            _ => Decider::Silent,
        }
    }

    /// Sets whose brakes hold, each with the time until one more pod is tried.
    fn pauses(&self) -> impl Iterator<Item = (&str, Duration)> {
        let described = self.described().map(|process| (process.set.as_str(), process.pause()));
        let all = described.chain([(self.decider.set.as_str(), self.decider.pause())]);
        all.filter_map(|(set, pause)| Some((set, pause?)))
    }

    /// Replicas of a set: none while its brake holds.
    pub(super) fn replicas(&self, set: &str) -> i32 {
        i32::from(self.pauses().all(|(braked, pause)| braked != set || pause.is_zero()))
    }

    /// Time until the first brake is tried.
    pub(super) fn brake_pause(&self) -> Option<Duration> {
        self.pauses().map(|(_, pause)| pause).min()
    }

    /// Says what to ask from now on.
    pub(super) fn ask(&self, reconcile: &Reconcile<'_>, plan: &Plan, runs: bool) {
        let owner = reconcile.owner;
        let rollout = plan.next.candidate.is_some() || plan.changed || !plan.sweep;
        let complete = self.described().all(|process| process.answer().is_some());
        let describe = if complete && !rollout { IDLE } else { STARTING };
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
        reconcile.context.polls.ask(&key(owner), questions);
    }
}

fn pods_of<T>(process: Option<&ProcessState<T>>) -> Pods {
    process.map_or(Pods::Absent, |process| process.pods.clone())
}

async fn inference(
    reconcile: &Reconcile<'_>,
    revision: Option<&Revision>,
) -> Result<Option<ProcessState<PinningReport>>, ReconcileError> {
    let Some(revision) = revision else { return Ok(None) };
    let set = names::inference(&reconcile.owner.name, &revision.bundle);
    let content = Content::of_revision(revision).ok();
    let placement = content.as_ref().map(|content| &content.placement.inference);
    described(reconcile, "inference", set, placement).await.map(Some)
}

/// A process that reports its CPUs, held against what was asked for.
async fn described(
    reconcile: &Reconcile<'_>,
    role: &str,
    set: String,
    asked: Option<&RolePlacement>,
) -> Result<ProcessState<PinningReport>, ReconcileError> {
    let heard = heard(reconcile, Asked::Describe, &set);
    let pod = pod_name(&set);
    let read = |answer: &Answer| match answer {
        Answer::Describe(info) => pods::pinning(role, pod, asked?, info),
        Answer::Policy(_) | Answer::Risk(_) => None,
    };
    ProcessState::observe(reconcile, set, &heard, read).await
}

fn heard(reconcile: &Reconcile<'_>, asked: Asked, set: &str) -> Heard {
    reconcile.context.polls.heard(&key(reconcile.owner), asked, &endpoint(reconcile.owner, set))
}

fn key(owner: &Owner) -> OwnerKey {
    ("TradingPolicy", owner.namespace.clone(), owner.name.clone())
}

fn read_evidence(answer: &Answer) -> Option<Evidence> {
    match answer {
        Answer::Policy(status) => Some(evidence(status)),
        Answer::Describe(_) | Answer::Risk(_) => None,
    }
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
