//! `TradingPolicy`: dereference and observe, validate, plan, build and apply, status.

mod children;
mod dereference;
mod found;
mod observe;
mod process_state;
mod reconcile;
mod status;

use std::sync::Arc;
use std::time::Duration;

use tradewind_crds::TradingPolicy;
use tradewind_crds::conditions::PolicyReason;
use tradewind_crds::names::{self, LABEL_POLICY};
use tradewind_crds::placement::{CpuMode, RolePlacement};

use super::context::Context;
use super::outcome::{Next, ReconcileError};
use super::pool::{self, Leaving};
use crate::build::owner::Owner;
use crate::plan::bundle::Content;
use crate::plan::placement::{Ask, InsufficientPinnedCpu, fit};
use crate::plan::rollout::{Desired, Inputs, Plan, State, step};
use dereference::World;
use found::Found;
use observe::Observed;
use reconcile::Reconcile;

/// Reconciles one policy.
///
/// # Errors
/// [`ReconcileError`]; it is tried again after a pause.
pub async fn reconcile(policy: Arc<TradingPolicy>, context: Arc<Context>) -> Result<Next, ReconcileError> {
    let owner = Owner::of(policy.as_ref(), LABEL_POLICY)?;
    let reconcile = Reconcile { policy: &policy, owner: &owner, context: &context, now: context.now() };
    let state = State::from_status(policy.status.as_ref());
    // dereference
    let world = World::read(&policy, &context);
    let observed = Box::pin(Observed::look(&reconcile, &state)).await?;
    // validate
    let blocked = world.blocked(&policy, &state, &observed.stable_pods(&state));
    let found = Found { world: &world, observed: &observed, state: &state, blocked: blocked.as_ref() };
    // plan
    let plan = plan(&reconcile, &found).await?;
    // build, apply
    let applied = Box::pin(children::apply(&reconcile, &found, &plan)).await?;
    // status
    observed.ask(&reconcile, &plan, applied.runs);
    if observed.undecided() && !plan.changed && policy.status.is_some() && observed.brake_pause().is_none() {
        return Ok(next(&plan, &found)); // an answer, or certain silence, brings the next one
    }
    let before = serde_json::to_value(policy.status.clone().unwrap_or_default())?;
    let (status, notices) = status::status(&reconcile, &found, &plan, &applied);
    if state.rollout.phase != plan.next.rollout.phase {
        context.metrics.transition(plan.next.rollout.phase.as_str());
    }
    context.status.write(policy.as_ref(), &before, serde_json::to_value(status)?, notices).await?;
    Ok(next(&plan, &found))
}

fn next(plan: &Plan, found: &Found<'_>) -> Next {
    let planned = plan.requeue_after.map_or(Next::AwaitChange, Next::Requeue);
    let braked = found.observed.brake_pause().map_or(Next::AwaitChange, |pause| Next::Requeue(pause.max(Duration::from_secs(1))));
    let conflict = match found.blocked {
        Some((PolicyReason::InstrumentConflict, _)) => Next::Requeue(Duration::from_secs(15)),
        _ => Next::AwaitChange,
    };
    planned.sooner(braked).sooner(conflict)
}

/// The planner's step. The pool is read only when a new bundle is about to begin.
async fn plan(reconcile: &Reconcile<'_>, found: &Found<'_>) -> Result<Plan, ReconcileError> {
    let (observed, state) = (found.observed, found.state);
    let inputs = |capacity| Inputs {
        spec: &reconcile.policy.spec,
        desired: found.world.desired.clone(),
        blocked: found.blocked.cloned(),
        stable_pods: observed.stable_pods(state),
        candidate_pods: observed.candidate_pods(),
        capacity,
        evidence: observed.evidence().cloned(),
        now: reconcile.now,
    };
    let plan = step(state, &inputs(Ok(())));
    let begins = state.candidate.is_none() && plan.next.candidate.is_some();
    if !begins {
        return Ok(plan);
    }
    Ok(match capacity(reconcile, found).await? {
        Ok(()) => plan,
        Err(short) => step(state, &inputs(Err(short))),
    })
}

/// Whether everything pinned that does not run yet fits into the pool beside what runs.
async fn capacity(reconcile: &Reconcile<'_>, found: &Found<'_>) -> Result<Result<(), InsufficientPinnedCpu>, ReconcileError> {
    let Reconcile { policy, owner, context, .. } = *reconcile;
    let Found { world, observed, state, .. } = *found;
    let Desired::Verified(desired) = &world.desired else { return Ok(Ok(())) };
    let mut asks = Vec::new();
    let mut ask = |role: &str, what: String, placement: &RolePlacement| {
        if placement.mode == CpuMode::Pinned {
            asks.push(Ask { what, field: format!("spec.placement.{role}.cpus"), cpus: placement.cpus });
        }
    };
    if let Ok(content) = Content::of_revision(desired) {
        ask("inference", format!("inference of bundle {}", desired.bundle), &content.placement.inference);
    }
    if !observed.execution_placed() {
        ask("execution", "execution".to_owned(), &policy.spec.placement.execution);
    }
    if asks.is_empty() {
        return Ok(Ok(()));
    }
    let kept = [state.stable.as_ref(), state.candidate.as_ref()].into_iter().flatten().map(|revision| revision.bundle.clone());
    let leaving = Leaving { namespace: owner.namespace.clone(), policy: owner.name.clone(), kept: kept.collect() };
    let pool = pool::read_pool(context.writes.client(), Some(&leaving)).await?;
    Ok(fit(&asks, &pool).map(|_| ()))
}

/// `host:port` of a Service of this policy.
fn endpoint(owner: &Owner, service: &str) -> String {
    format!("{}:{}", names::service_host(service, &owner.namespace), crate::build::pod::GRPC_PORT)
}
