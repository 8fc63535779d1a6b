//! Status, conditions and events of a policy.

use tradewind_crds::conditions::{find_condition, set_condition};
use tradewind_crds::placement::CpuMode;
use tradewind_crds::policy_status::PinningReport;
use tradewind_crds::{ConditionStatus, ConditionType, TradingPolicy, TradingPolicyStatus, names};

use super::children::AppliedChildren;
use super::dereference::World;
use super::found::Found;
use super::observe::Observed;
use super::process_state::pod_name;
use super::reconcile::Reconcile;
use crate::plan::bundle::Content;
use crate::plan::conditions::{Feed, condition, cpu_pinned, of_rollout, trading_allowed};
use crate::plan::rollout::Plan;
use crate::runtime::events::Notice;

/// What the status has to be, and what to say about the change.
pub(super) fn status(
    reconcile: &Reconcile<'_>,
    found: &Found<'_>,
    plan: &Plan,
    applied: &AppliedChildren,
) -> (TradingPolicyStatus, Vec<Notice>) {
    let Reconcile { policy, now, .. } = *reconcile;
    let Found { world, observed, .. } = *found;
    let before = policy.status.clone().unwrap_or_default();
    let mut status = before.clone();
    let generation = policy.metadata.generation;
    plan.next.write_into(&mut status);
    status.observed_generation = generation;
    status.summary = Some(plan.outlook.message.chars().take(1_000).collect());
    let profile = world.profile();
    status.pinning = pinning(policy, &before, observed, plan);
    let risk_pods = profile.and_then(|profile| profile.status.as_ref()).map(|status| status.pinning.clone()).unwrap_or_default();
    status.pinning.extend(risk_pods);
    let mut all = of_rollout(&plan.outlook, &plan.next, generation, now);
    let (value, reason, message) = cpu_pinned(&asked(policy, world, plan), &status.pinning);
    all.push(condition(ConditionType::CpuPinned, value, reason, message, generation, now));
    let state = profile
        .and_then(|profile| profile.status.as_ref())
        .and_then(|status| Some((status.state?, status.reason.as_deref().unwrap_or_default())));
    let serving = plan.next.stable.is_some() && applied.runs && !applied.inference.is_empty();
    let halted =
        profile.is_some_and(|profile| profile.spec.halt || profile.status.as_ref().is_some_and(|status| status.halt.is_some()));
    let traded = find_condition(&before.conditions, ConditionType::TradingAllowed)
        .is_some_and(|condition| condition.status == ConditionStatus::True);
    let feed = Feed { name: policy.spec.feed.name.as_str(), instruments: policy.spec.instruments.len() };
    let decider = (observed.decider(traded), feed);
    let (allowed, reason, message) = trading_allowed(policy.spec.trading, policy.spec.halt, halted, state, serving, decider);
    all.push(condition(ConditionType::TradingAllowed, allowed, reason, message, generation, now));
    for condition in all {
        set_condition(&mut status.conditions, condition);
    }
    let mut notices: Vec<Notice> = plan
        .events
        .iter()
        .map(|event| {
            let reason = event.reason.as_str();
            if event.warning {
                Notice::warning(reason, "Rollout", &event.message)
            } else {
                Notice::normal(reason, "Rollout", &event.message)
            }
        })
        .collect();
    notices.extend(stalls(&before, &status, &notices));
    notices.extend(switches(&before, &status));
    (status, notices)
}

/// CPUs of execution and of the bundles that are kept, as last reported.
fn pinning(policy: &TradingPolicy, before: &TradingPolicyStatus, observed: &Observed, plan: &Plan) -> Vec<PinningReport> {
    let name = policy.metadata.name.as_deref().unwrap_or_default();
    let kept = [&plan.next.stable, &plan.next.candidate].into_iter().flatten();
    let mut pods: Vec<String> = kept.map(|revision| pod_name(&names::inference(name, &revision.bundle))).collect();
    pods.push(pod_name(&names::execution(name)));
    let known = before.pinning.iter().filter(|report| observed.is_undecided(&report.pod_name));
    let mut reports: Vec<PinningReport> =
        observed.pinning().chain(known).filter(|report| pods.contains(&report.pod_name)).cloned().collect();
    reports.sort_by(|a, b| a.pod_name.cmp(&b.pod_name));
    reports
}

/// Roles and modes that should run.
fn asked(policy: &TradingPolicy, world: &World, plan: &Plan) -> Vec<(&'static str, CpuMode)> {
    let revision = plan.next.stable.as_ref().or(plan.next.candidate.as_ref());
    let inference =
        revision.and_then(|revision| Content::of_revision(revision).ok()).map(|content| content.placement.inference.mode);
    let own = world.profile().and_then(|profile| profile.spec.placement.as_ref());
    vec![
        ("inference", inference.unwrap_or(policy.spec.placement.inference.mode)),
        ("execution", policy.spec.placement.execution.mode),
        ("risk", own.unwrap_or(&policy.spec.placement.risk).mode),
    ]
}

/// A stall that no event of the planner tells.
fn stalls(before: &TradingPolicyStatus, after: &TradingPolicyStatus, told: &[Notice]) -> Option<Notice> {
    let new = find_condition(&after.conditions, ConditionType::Stalled)?;
    let old = find_condition(&before.conditions, ConditionType::Stalled);
    let same = old.is_some_and(|old| old.status == new.status && old.reason == new.reason);
    let known = told.iter().any(|notice| notice.reason == new.reason);
    (new.status == ConditionStatus::True && !same && !known).then(|| Notice::warning(&new.reason, "Plan", &new.message))
}

/// Trading was switched on or off, pinning was granted or lost.
fn switches(before: &TradingPolicyStatus, after: &TradingPolicyStatus) -> Vec<Notice> {
    let mut found = Vec::new();
    for r#type in [ConditionType::TradingAllowed, ConditionType::CpuPinned] {
        let Some(new) = find_condition(&after.conditions, r#type) else { continue };
        let old = find_condition(&before.conditions, r#type);
        let same = old.is_some_and(|old| old.status == new.status && old.reason == new.reason);
        let switched = old.is_none_or(|old| old.status != new.status);
        let told = switched || matches!(new.reason.as_str(), "Halted" | "ReduceOnly");
        let first_and_open = old.is_none() && new.status != ConditionStatus::True;
        if same || !told || first_and_open || new.status == ConditionStatus::Unknown {
            continue;
        }
        let note = format!("{}: {}", r#type, new.message);
        let fine = new.status == ConditionStatus::True || new.reason == "Shared" || new.reason == "TradingOff";
        found.push(if fine {
            Notice::normal(&new.reason, "Observe", note)
        } else {
            Notice::warning(&new.reason, "Observe", note)
        });
    }
    found
}
