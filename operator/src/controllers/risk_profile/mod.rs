//! `RiskProfile`: the risk service of one account. The service acts on the profile by itself; this controller keeps it
//! running and writes down what it acknowledges.

mod feeds;
mod status;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt;
use tradewind_crds::conditions::RiskReason;
use tradewind_crds::names::{self, LABEL_PROFILE};
use tradewind_crds::placement::{CpuMode, RolePlacement};
use tradewind_crds::validation::{join, validate_risk_profile};
use tradewind_crds::{ConditionStatus, ConditionType, RiskProfile};
use tradewind_wire::v1::{HaltNowRequest, ProcessInfo, RiskStatus};

use super::accounts;
use super::apply::{Applied, Apply};
use super::context::Context;
use super::outcome::{Next, ReconcileError};
use super::{pods, pool};
use crate::build::config::{Share, account_json};
use crate::build::owner::Owner;
use crate::build::risk::{Gate, RiskChildren, risk};
use crate::build::trading::ProcessChildren;
use crate::plan::placement::{Ask, fit};
use crate::runtime::brake::Tripped;
use crate::runtime::halts::{HaltOrder, risk_endpoint};
use crate::runtime::polls::{self, Answer, Asked, Question};

/// Time between two questions while something changes, and when nothing does.
const BUSY: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_secs(5);
/// Pause before a halt that was not understood is handed on again.
const HALT_PAUSE: Duration = Duration::from_millis(500);

/// What stops a profile, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stall {
    reason: RiskReason,
    message: String,
}

/// A condition: its type, status and reason, and what it says.
type Line = (ConditionType, ConditionStatus, RiskReason, String);

/// Everything that the status is computed from.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    profile: &'a RiskProfile,
    placement: RolePlacement,
    /// What each policy has in the account; nothing while the account belongs to another profile.
    shares: Vec<Share<'a>>,
    stall: Option<Stall>,
    set: Option<Applied<StatefulSet>>,
    trouble: Option<String>,
    risk: Option<RiskStatus>,
    info: Option<ProcessInfo>,
}

/// One reconcile over one profile.
///
/// # Errors
/// [`ReconcileError`]; the reconcile is repeated after a pause.
pub async fn reconcile(profile: Arc<RiskProfile>, context: Arc<Context>) -> Result<Next, ReconcileError> {
    let owner = Owner::of(profile.as_ref(), LABEL_PROFILE)?;
    let now = context.now();
    let name = names::risk(&owner.name);
    // dereference
    let placed = placement(&profile, &context);
    let placement = placed.clone().unwrap_or_default();
    let existing = context.caches.stateful_sets.get(&owner.namespace, &name);
    let members = accounts::members(&context, &owner.namespace, &owner.name);
    let mut shares = accounts::shares(&members);
    // Stopping comes before everything else; the risk process reads spec.halt by itself too.
    let unheard = existing.is_some() && profile.spec.halt && hand_on_halt(&profile, &owner, &name, &context).await.is_err();
    // validate
    let faults = validate_risk_profile(&profile.spec);
    // plan
    let braked = has_said(&profile, RiskReason::PinnedPodsRejected);
    let tripped = pods::brake(&context, &owner.namespace, &name, braked).await?;
    let taken = accounts::take(&profile, &context).await?;
    let held = taken.is_some();
    if held {
        shares.clear();
        stop(&context, &owner, existing.as_deref()).await?;
    }
    let mut stall = taken.map(|message| Stall { reason: RiskReason::AccountTaken, message });
    if stall.is_none() && existing.is_none() {
        stall = insufficient(&placement, &context).await?;
    }
    // A process started before anybody says where would bind its volume to a node that the policy then forbids.
    let unplaced = placed.is_none() && existing.is_none();
    let start = !unplaced && (stall.is_none() || (existing.is_some() && !held));
    if stall.is_none()
        && let Some(tripped) = &tripped
    {
        stall = Some(rejected(tripped));
    }
    if stall.is_none() && !faults.is_empty() {
        stall = Some(Stall { reason: RiskReason::InvalidSpec, message: join(&faults) });
    }
    // build, apply
    let set = if start {
        let gate = Gate {
            account: &account_json(&profile.spec, &shares),
            placement: &placement,
            storage: &profile.spec.storage,
            replicas: i32::from(tripped.as_ref().is_none_or(|tripped| tripped.pause.is_zero())),
        };
        Some(apply(risk(&owner, &context.settings, &gate), Apply::new(&context, &owner, now), name.clone()).await?)
    } else {
        None
    };
    // status
    let Heard { risk, info, undecided } = ask(&context, &owner, &profile, &name, set.is_some());
    let soon = if unheard { Next::Requeue(HALT_PAUSE) } else { Next::AwaitChange };
    if undecided && stall.is_none() && profile.status.is_some() {
        return Ok(next(None, tripped.as_ref()).sooner(soon)); // the answer, or certain silence, brings the next reconcile
    }
    let waiting = stall.as_ref().map(|stall| stall.reason);
    let trouble = if unplaced { Some(UNPLACED.to_owned()) } else { pods::trouble(&context, &owner.namespace, &name) };
    let seen = Seen { profile: &profile, placement, shares, stall, set, trouble, risk, info };
    let (status, notices) = status::status(&seen, now);
    let before = serde_json::to_value(profile.status.clone().unwrap_or_default())?;
    context.status.write(profile.as_ref(), &before, serde_json::to_value(status)?, notices).await?;
    Ok(next(waiting, tripped.as_ref()).sooner(soon))
}

/// Calls the risk process directly, once for each generation that halts.
async fn hand_on_halt(profile: &RiskProfile, owner: &Owner, name: &str, context: &Context) -> Result<(), String> {
    let request = HaltNowRequest {
        account: profile.spec.account.clone(),
        actor: "the operator".to_owned(),
        reason: "spec.halt of the RiskProfile".to_owned(),
        generation: profile.metadata.generation.unwrap_or_default(),
    };
    let order = HaltOrder { endpoint: risk_endpoint(name, &owner.namespace), request };
    let handed = context.halts.hand_on((&owner.namespace, &owner.name), &profile.uid().unwrap_or_default(), order).await;
    handed.inspect_err(|error| tracing::warn!(profile = owner.name, error, "the halt could not be handed on; it is tried again"))
}

fn next(stall: Option<RiskReason>, tripped: Option<&Tripped>) -> Next {
    match (stall, tripped) {
        (_, Some(tripped)) => Next::Requeue(tripped.pause.max(Duration::from_secs(1))),
        (Some(RiskReason::InsufficientPinnedCPU), None) => Next::Requeue(Duration::from_secs(15)),
        // no watch says when the holder's last pod is gone
        (Some(RiskReason::AccountTaken), None) => Next::Requeue(Duration::from_secs(5)),
        _ => Next::AwaitChange,
    }
}

async fn apply(children: RiskChildren, apply: Apply<'_>, name: String) -> Result<Applied<StatefulSet>, ReconcileError> {
    let RiskChildren { config_map, role, role_binding, process, disruption_budget } = children;
    let ProcessChildren { service_account, certificate, service, stateful_set, network_policy } = process;
    apply.ensure(config_map).await?;
    apply.ensure(service_account).await?;
    apply.ensure(role).await?;
    apply.ensure(role_binding).await?;
    apply.ensure_certificate(certificate).await?;
    apply.ensure(service).await?;
    apply.ensure(network_policy).await?;
    apply.ensure(disruption_budget).await?;
    let set = apply.ensure_set(stateful_set).await?;
    apply.sweep::<StatefulSet>(&BTreeSet::from([name])).await?;
    Ok(set)
}

/// Stops the risk process of a profile whose account is another's: two guards would each allow what the limits allow once. Its
/// clients fail closed.
async fn stop(context: &Context, owner: &Owner, set: Option<&StatefulSet>) -> Result<(), ReconcileError> {
    let runs = |set: &&StatefulSet| set.spec.as_ref().and_then(|spec| spec.replicas) != Some(0);
    if let Some(set) = set.filter(runs).filter(|set| owner.owns(set.owner_references())) {
        let stopped = context.writes.scale_to_zero::<StatefulSet>(&owner.namespace, &set.name_any()).await?;
        context.caches.stateful_sets.wrote(stopped);
    }
    Ok(())
}

/// Why no risk process runs yet.
const UNPLACED: &str =
    "no TradingPolicy refers to this profile yet: its placement.risk, or this profile's spec.placement, says where to run";

/// The profile's own placement, else that of the oldest policy that trades the account; `None` while neither is there.
fn placement(profile: &RiskProfile, context: &Context) -> Option<RolePlacement> {
    if let Some(own) = &profile.spec.placement {
        return Some(own.clone());
    }
    let readers = accounts::members(context, &profile.namespace()?, &profile.name_any());
    let oldest = readers
        .iter()
        .filter_map(|policy| policy.0.as_ref().ok())
        .min_by_key(|policy| (policy.creation_timestamp().map(|time| time.0), policy.uid()));
    oldest.map(|policy| policy.spec.placement.risk.clone())
}

async fn insufficient(placement: &RolePlacement, context: &Context) -> Result<Option<Stall>, ReconcileError> {
    if placement.mode != CpuMode::Pinned {
        return Ok(None);
    }
    let ask = Ask { what: "the risk service".to_owned(), field: "spec.placement.cpus".to_owned(), cpus: placement.cpus };
    let pool = pool::read_pool(context.writes.client(), None).await?;
    Ok(fit(&[ask], &pool).err().map(|error| Stall { reason: RiskReason::InsufficientPinnedCPU, message: error.message }))
}

fn rejected(tripped: &Tripped) -> Stall {
    Stall {
        reason: RiskReason::PinnedPodsRejected,
        message: format!(
            "the kubelet rejected {} pinned pods ({}); the set is scaled to zero and tried again with one pod after a pause; \
             look at the CPU manager of the dedicated nodes",
            tripped.pods, tripped.reason
        ),
    }
}

fn has_said(profile: &RiskProfile, reason: RiskReason) -> bool {
    let conditions = profile.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions.iter().any(|c| c.r#type == ConditionType::Stalled && c.reason == reason.as_str())
}

/// What the risk service has said.
struct Heard {
    risk: Option<RiskStatus>,
    info: Option<ProcessInfo>,
    /// It runs and was not asked often enough to call it silent.
    undecided: bool,
}

/// Says what to ask from now on and answers with what was heard so far.
fn ask(context: &Context, owner: &Owner, profile: &RiskProfile, name: &str, runs: bool) -> Heard {
    let key = ("RiskProfile", owner.namespace.clone(), owner.name.clone());
    let endpoint = risk_endpoint(name, &owner.namespace);
    let heard = |asked| context.polls.heard(&key, asked, &endpoint);
    let risk = match heard(Asked::Risk).current() {
        Some(Answer::Risk(status)) => Some(status.as_ref().clone()),
        _ => None,
    };
    let info = match heard(Asked::Describe).current() {
        Some(Answer::Describe(info)) => Some(info.clone()),
        _ => None,
    };
    let settled = risk.as_ref().is_some_and(|risk| Some(risk.observed_generation) == profile.metadata.generation)
        && info.is_some()
        && !matches!(heard(Asked::Risk), polls::Heard::Silent { .. });
    let every = if settled { IDLE } else { BUSY };
    let question = |asked| Question { asked, endpoint: endpoint.clone(), every, eager: false };
    let questions = if runs { vec![question(Asked::Risk), question(Asked::Describe)] } else { Vec::new() };
    let undecided = runs && (heard(Asked::Risk).undecided() || heard(Asked::Describe).undecided());
    context.polls.ask(&key, questions);
    Heard { risk, info, undecided }
}
