//! `RiskProfile`: the risk service of one account. The service acts on the profile by itself; this controller keeps it
//! running and writes down what it acknowledges.

mod status;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::jiff::Timestamp;
use kube::{Resource, ResourceExt};
use tradewind_crds::conditions::RiskReason;
use tradewind_crds::names::{self, LABEL_PROFILE};
use tradewind_crds::trading_policy::{CpuMode, RolePlacement};
use tradewind_crds::validation::{join, validate_risk_profile};
use tradewind_crds::{ConditionType, RiskProfile};
use tradewind_wire::v1::{HaltNowRequest, ProcessInfo, RiskStatus};

use super::apply::{Applied, Apply, certificate_stamp};
use super::context::{Context, Next, PassError};
use super::{pods, pool};
use crate::build::certificates::{leaf, secret_name};
use crate::build::owner::Owner;
use crate::build::risk::{RiskChildren, risk};
use crate::build::trading::ProcessChildren;
use crate::plan::conflict::{Claim, holder, message};
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

/// Everything that the status is computed from.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    profile: &'a RiskProfile,
    placement: RolePlacement,
    stall: Option<Stall>,
    set: Option<Applied<StatefulSet>>,
    trouble: Option<String>,
    risk: Option<RiskStatus>,
    info: Option<ProcessInfo>,
}

/// One pass over one profile.
///
/// # Errors
/// [`PassError`]; the pass is repeated after a pause.
pub async fn pass(profile: Arc<RiskProfile>, context: Arc<Context>) -> Result<Next, PassError> {
    let owner = Owner::of(profile.as_ref(), LABEL_PROFILE)?;
    let now = context.now();
    let name = names::risk(&owner.name);
    // dereference
    let placed = placement(&profile, &context);
    let placement = placed.clone().unwrap_or_default();
    let existing = context.caches.stateful_sets.get(&owner.namespace, &name);
    // Stopping comes before everything else; the risk process reads spec.halt by itself too.
    let unheard = existing.is_some() && profile.spec.halt && hand_on_halt(&profile, &owner, &name, &context).await.is_err();
    // validate
    let faults = validate_risk_profile(&profile.spec);
    // plan
    let braked = has_said(&profile, RiskReason::PinnedPodsRejected);
    let tripped = pods::brake(&context, &owner.namespace, &name, braked).await?;
    let mut stall = conflict(&profile, &context);
    let held = stall.is_some();
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
    let set = if start { Some(apply(&profile, &owner, &placement, tripped.as_ref(), &context, now).await?) } else { None };
    // status
    let Heard { risk, info, undecided } = ask(&context, &owner, &profile, &name, set.is_some());
    let soon = if unheard { Next::LookAgain(HALT_PAUSE) } else { Next::Done };
    if undecided && stall.is_none() && profile.status.is_some() {
        return Ok(next(None, tripped.as_ref()).sooner(soon)); // the answer, or certain silence, brings the next pass
    }
    let waiting = stall.as_ref().map(|stall| stall.reason);
    let trouble = if unplaced { Some(UNPLACED.to_owned()) } else { pods::trouble(&context, &owner.namespace, &name) };
    let seen = Seen { profile: &profile, placement, stall, set, trouble, risk, info };
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
        (_, Some(tripped)) => Next::LookAgain(tripped.pause.max(Duration::from_secs(1))),
        (Some(RiskReason::InsufficientPinnedCPU | RiskReason::AccountConflict), None) => Next::LookAgain(Duration::from_secs(15)),
        _ => Next::Done,
    }
}

async fn apply(
    profile: &RiskProfile,
    owner: &Owner,
    placement: &RolePlacement,
    tripped: Option<&Tripped>,
    context: &Context,
    now: Timestamp,
) -> Result<Applied<StatefulSet>, PassError> {
    let name = names::risk(&owner.name);
    let stamp = certificate_stamp(context, &owner.namespace, &secret_name(&name), &leaf(&name, &owner.namespace), now);
    let replicas = i32::from(tripped.is_none_or(|tripped| tripped.pause.is_zero()));
    let children = risk(owner, &context.settings, placement, &profile.spec.storage, replicas, &stamp);
    let RiskChildren { role, role_binding, process, disruption_budget } = children;
    let ProcessChildren { service_account, certificate, service, stateful_set, network_policy } = process;
    let apply = Apply::new(context, owner, now);
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

/// Why no risk process runs yet.
const UNPLACED: &str =
    "no TradingPolicy refers to this profile yet: its placement.risk, or this profile's spec.placement, says where to run";

/// The profile's own placement, else that of the oldest policy that trades the account; `None` while neither is there.
fn placement(profile: &RiskProfile, context: &Context) -> Option<RolePlacement> {
    if let Some(own) = &profile.spec.placement {
        return Some(own.clone());
    }
    let readers = context.caches.policies.list(|policy| {
        policy.namespace() == profile.namespace()
            && policy.0.as_ref().is_ok_and(|policy| policy.spec.risk_profile_ref.name == profile.name_any())
    });
    let oldest = readers
        .iter()
        .filter_map(|policy| policy.0.as_ref().ok())
        .min_by_key(|policy| (policy.creation_timestamp().map(|time| time.0), policy.uid()));
    oldest.map(|policy| policy.spec.placement.risk.clone())
}

fn claim(profile: &RiskProfile) -> Claim {
    Claim {
        name: profile.name_any(),
        account: profile.spec.account.clone(),
        created: profile.meta().creation_timestamp.as_ref().map(|time| time.0),
        uid: profile.uid().unwrap_or_default(),
    }
}

fn conflict(profile: &RiskProfile, context: &Context) -> Option<Stall> {
    let others = context.caches.profiles.list(|other| other.namespace() == profile.namespace());
    let claims: Vec<Claim> = others.iter().filter_map(|other| other.0.as_ref().ok()).map(claim).collect();
    let mine = claim(profile);
    let holder = holder(&mine, &claims)?;
    Some(Stall { reason: RiskReason::AccountConflict, message: message("RiskProfile", &mine, holder) })
}

async fn insufficient(placement: &RolePlacement, context: &Context) -> Result<Option<Stall>, PassError> {
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
