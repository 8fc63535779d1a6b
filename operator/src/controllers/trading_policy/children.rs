//! Children of a policy: built from what the planner keeps, applied in order, the rest swept when the planner says so.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use tradewind_crds::names;
use tradewind_crds::policy_status::Revision;
use tradewind_crds::{TradingPolicy, TradingPolicySpec};

use super::found::Found;
use super::observe::Observed;
use super::reconcile::Reconcile;
use crate::build::certificates::secret_name;
use crate::build::config::{BundleContent, UnusableSpec, bundle_json, trading_json};
use crate::build::disruption::budget;
use crate::build::inference::{Bundle, InferenceChildren, SharedChildren, inference, shared, shared_name};
use crate::build::owner::Owner;
use crate::build::trading::{ProcessChildren, Trading, TradingChildren, trading};
use crate::controllers::apply::{Applied, Apply, ApplyError};
use crate::controllers::outcome::ReconcileError;
use crate::plan::bundle::spec_of;
use crate::plan::rollout::Plan;

/// What is stored after this reconcile.
#[derive(Debug)]
pub(super) struct AppliedChildren {
    /// The decider and execution exist.
    pub(super) runs: bool,
    /// Inference by bundle.
    pub(super) inference: Vec<(String, Applied<StatefulSet>)>,
}

/// Applies everything that the plan keeps; sweeps when it says so.
pub(super) async fn apply(reconcile: &Reconcile<'_>, found: &Found<'_>, plan: &Plan) -> Result<AppliedChildren, ReconcileError> {
    let Reconcile { policy, owner, context, now } = *reconcile;
    let Found { world, observed, blocked, .. } = *found;
    let may_run = world.may_run(blocked);
    let apply = Apply::new(context, owner, now);
    let mut done = AppliedChildren { runs: false, inference: Vec::new() };
    if !plan.keep.is_empty() {
        let uris: Vec<String> = plan.keep.iter().flat_map(uris).collect();
        let SharedChildren { service_account, network_policy } = shared(owner, &context.settings, &uris);
        apply.ensure(service_account).await?;
        apply.ensure(network_policy).await?;
    }
    for revision in &plan.keep {
        let bundle = bundle(policy, owner, observed, revision)?;
        let set = apply_inference(&apply, inference(owner, &context.settings, &bundle)).await?;
        done.inference.push((revision.bundle.clone(), set));
    }
    let engine = names::policy_engine(&owner.name);
    let desired = may_run && !plan.keep.is_empty();
    if let (true, Some(profile)) = (desired, world.profile()) {
        let config = trading_json(owner, &served(policy, plan)?, &profile.spec)?;
        let execution = names::execution(&owner.name);
        let inputs = Trading {
            config: &config,
            execution: &policy.spec.placement.execution,
            storage: &policy.spec.storage,
            execution_replicas: observed.replicas(&execution),
        };
        apply_trading(&apply, trading(owner, &context.settings, &inputs)).await?;
        apply.ensure(budget(owner, owner.name.clone())).await?;
    }
    done.runs = desired || context.caches.stateful_sets.get(&owner.namespace, &engine).is_some();
    if plan.sweep {
        sweep(&apply, owner, plan).await?;
    }
    Ok(done)
}

/// The spec as the processes that trade have to see it: with the instruments that the bundle which serves can decide. Those
/// that came later begin with the promotion of the bundle that knows them.
fn served(policy: &TradingPolicy, plan: &Plan) -> Result<TradingPolicySpec, ReconcileError> {
    match plan.next.stable.as_ref().or(plan.next.candidate.as_ref()) {
        Some(revision) => Ok(spec_of(&policy.spec, revision)?),
        None => Ok(policy.spec.clone()),
    }
}

/// Where the checkpoints of a bundle come from.
fn uris(revision: &Revision) -> [String; 2] {
    [revision.strategic.uri.clone(), revision.tactical.uri.clone()]
}

/// The bundle of a revision, from the content that the revision was made of.
fn bundle(policy: &TradingPolicy, owner: &Owner, observed: &Observed, revision: &Revision) -> Result<Bundle, ReconcileError> {
    let spec = spec_of(&policy.spec, revision)?;
    let name = names::inference(&owner.name, &revision.bundle);
    let content = BundleContent {
        bundle: &revision.bundle,
        policy: &owner.name,
        feed: &spec.feed,
        image: &revision.image,
        instruments: &spec.instruments,
        strategic: &spec.strategic,
        tactical: &spec.tactical,
        strategic_checkpoint: &revision.strategic,
        tactical_checkpoint: &revision.tactical,
    };
    let config = bundle_json(&content).map_err(|error: UnusableSpec| ReconcileError::from(error))?;
    Ok(Bundle {
        id: revision.bundle.clone(),
        image: revision.image.clone(),
        placement: spec.placement.inference,
        config,
        uris: uris(revision).to_vec(),
        replicas: observed.replicas(&name),
    })
}

async fn apply_inference(apply: &Apply<'_>, children: InferenceChildren) -> Result<Applied<StatefulSet>, ApplyError> {
    let InferenceChildren { config_map, certificate, service, stateful_set } = children;
    apply.ensure_immutable(config_map).await?;
    apply.ensure_certificate(certificate).await?;
    apply.ensure(service).await?;
    apply.ensure_set(stateful_set).await
}

async fn apply_trading(apply: &Apply<'_>, children: TradingChildren) -> Result<(), ApplyError> {
    let TradingChildren { config_map, role, role_binding, policy, execution } = children;
    apply.ensure(config_map).await?;
    apply.ensure(role).await?;
    apply.ensure(role_binding).await?;
    for process in [execution, policy] {
        let ProcessChildren { service_account, certificate, service, stateful_set, network_policy } = process;
        apply.ensure(service_account).await?;
        apply.ensure_certificate(certificate).await?;
        apply.ensure(service).await?;
        apply.ensure(network_policy).await?;
        apply.ensure_set(stateful_set).await?;
    }
    Ok(())
}

/// Deletes what belongs to no kept bundle. Names are unique across kinds, so one list serves all; volumes are not touched.
async fn sweep(apply: &Apply<'_>, owner: &Owner, plan: &Plan) -> Result<(), ApplyError> {
    let (engine, execution) = (names::policy_engine(&owner.name), names::execution(&owner.name));
    let mut keep = BTreeSet::from([names::trading_config(&owner.name), shared_name(&owner.name), owner.name.clone()]);
    keep.extend([secret_name(&engine), secret_name(&execution), engine, execution]);
    for revision in &plan.keep {
        let name = names::inference(&owner.name, &revision.bundle);
        keep.extend([names::bundle_config(&owner.name, &revision.bundle), secret_name(&name), name]);
    }
    apply.sweep::<StatefulSet>(&keep).await?;
    apply.sweep::<Service>(&keep).await?;
    apply.sweep::<NetworkPolicy>(&keep).await?;
    apply.sweep::<ConfigMap>(&keep).await?;
    apply.sweep_secrets(&keep).await?;
    apply.sweep::<ServiceAccount>(&keep).await
}
