//! `TradingPolicy`: dereference, validate, plan, build and apply, status.

mod children;
mod dereference;
mod observe;
mod status;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tradewind_crds::TradingPolicy;
use tradewind_crds::conditions::PolicyReason;
use tradewind_crds::names::{self, LABEL_POLICY};
use tradewind_crds::trading_policy::CpuMode;

use super::context::{Context, Next, PassError};
use super::pool::{self, Leaving};
use crate::build::owner::Owner;
use crate::plan::bundle::Content;
use crate::plan::placement::{Ask, InsufficientPinnedCpu, fit};
use crate::plan::rollout::{Inputs, Plan, State, Wanted, step};
use dereference::World;
use observe::Observed;

/// One pass over one policy.
///
/// # Errors
/// [`PassError`]; the pass is repeated after a pause.
pub async fn pass(policy: Arc<TradingPolicy>, context: Arc<Context>) -> Result<Next, PassError> {
    let owner = Owner::of(policy.as_ref(), LABEL_POLICY)?;
    let now = context.now();
    let state = State::from_status(policy.status.as_ref());
    // dereference
    let world = World::read(&policy, &context);
    let observed = Observed::look(&context, &owner, &policy, &state).await?;
    // validate
    let blocked = world.blocked(&policy, &state, &observed.stable_pods(&state));
    // plan
    let plan = plan(&policy, &context, &owner, &world, &observed, &state, blocked.as_ref(), now).await?;
    // build, apply
    let runs = world.may_run(blocked.as_ref());
    let applied = children::apply(&policy, &owner, &context, &world, &observed, &plan, runs, now).await?;
    // status
    observed.ask(&context, &owner, &plan, applied.runs);
    if observed.undecided && !plan.changed && policy.status.is_some() && observed.brake_pause().is_none() {
        return Ok(next(&plan, &observed, blocked.as_ref())); // an answer, or certain silence, brings the next pass
    }
    let before = serde_json::to_value(policy.status.clone().unwrap_or_default())?;
    let (status, notices) = status::status(&policy, &world, &observed, &plan, &applied, now);
    if state.rollout.phase != plan.next.rollout.phase {
        context.metrics.transition(plan.next.rollout.phase.as_str());
    }
    context.status.write(policy.as_ref(), &before, serde_json::to_value(status)?, notices).await?;
    Ok(next(&plan, &observed, blocked.as_ref()))
}

fn next(plan: &Plan, observed: &Observed, blocked: Option<&(PolicyReason, String)>) -> Next {
    let planned = plan.look_again.map_or(Next::Done, Next::LookAgain);
    let braked = observed.brake_pause().map_or(Next::Done, |pause| Next::LookAgain(pause.max(Duration::from_secs(1))));
    let conflict = match blocked {
        Some((PolicyReason::InstrumentConflict, _)) => Next::LookAgain(Duration::from_secs(15)),
        _ => Next::Done,
    };
    planned.sooner(braked).sooner(conflict)
}

/// The planner's step. The pool is read only when a new bundle is about to begin.
#[allow(clippy::too_many_arguments)] // the stages of one pass, each a value of its own
async fn plan(
    policy: &TradingPolicy,
    context: &Context,
    owner: &Owner,
    world: &World,
    observed: &Observed,
    state: &State,
    blocked: Option<&(PolicyReason, String)>,
    now: Timestamp,
) -> Result<Plan, PassError> {
    let inputs = |capacity| Inputs {
        spec: &policy.spec,
        wanted: world.wanted.clone(),
        blocked: blocked.cloned(),
        stable_pods: observed.stable_pods(state),
        candidate_pods: observed.candidate.clone(),
        capacity,
        evidence: observed.evidence.clone(),
        now,
    };
    let plan = step(state, &inputs(Ok(())));
    let begins = state.candidate.is_none() && plan.next.candidate.is_some();
    if !begins {
        return Ok(plan);
    }
    Ok(match capacity(policy, context, owner, world, observed, state).await? {
        Ok(()) => plan,
        Err(short) => step(state, &inputs(Err(short))),
    })
}

/// Whether everything pinned that does not run yet fits into the pool beside what runs.
async fn capacity(
    policy: &TradingPolicy,
    context: &Context,
    owner: &Owner,
    world: &World,
    observed: &Observed,
    state: &State,
) -> Result<Result<(), InsufficientPinnedCpu>, PassError> {
    let Wanted::Verified(wanted) = &world.wanted else { return Ok(Ok(())) };
    let mut asks = Vec::new();
    let mut ask = |role: &str, what: String, placement: &tradewind_crds::trading_policy::RolePlacement| {
        if placement.mode == CpuMode::Pinned {
            asks.push(Ask { what, field: format!("spec.placement.{role}.cpus"), cpus: placement.cpus });
        }
    };
    if let Ok(content) = Content::of_revision(wanted) {
        ask("inference", format!("inference of bundle {}", wanted.bundle), &content.placement.inference);
    }
    if !observed.execution_placed {
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
