//! What a policy refers to: its profile, its checkpoints, and who else trades the account.

use std::sync::Arc;

use kube::ResourceExt;
use kube::core::DeserializeGuard;
use tradewind_crds::conditions::{PolicyReason, find_condition};
use tradewind_crds::model_checkpoint::{CheckpointPhase, CheckpointSource};
use tradewind_crds::validation::{
    Violation, join, validate_policy, validate_policy_with_checkpoint, validate_policy_with_profile,
};
use tradewind_crds::{ConditionStatus, ConditionType, ModelCheckpoint, RiskProfile, TradingPolicy};

use crate::controllers::accounts;
use crate::controllers::context::Context;
use crate::plan::bundle::{Sources, revision};
use crate::plan::conflict::{Claim, conflicts, message};
use crate::plan::rollout::{Desired, Pods, State};

/// Everything that a policy refers to.
#[derive(Debug)]
pub(super) struct World {
    pub(super) profile: Option<Arc<DeserializeGuard<RiskProfile>>>,
    pub(super) desired: Desired,
    /// Checkpoints that are named for another role than theirs.
    misplaced: Vec<Violation>,
    /// Instruments that other policies of the account hold.
    conflict: Option<String>,
    /// Who has the account of the profile, when that is another profile.
    taken: Option<String>,
}

impl World {
    /// Reads it from the caches.
    pub(super) fn read(policy: &TradingPolicy, context: &Context) -> Self {
        let namespace = policy.namespace().unwrap_or_default();
        let spec = &policy.spec;
        let models = spec.models.by_role().map(|(role, name)| (role, name, context.caches.checkpoints.get(&namespace, name)));
        let found = models
            .each_ref()
            .map(|(role, name, guarded)| (*role, *name, guarded.as_ref().and_then(|guarded| guarded.0.as_ref().ok())));
        let misplaced = found.iter().filter_map(|(role, name, checkpoint)| {
            checkpoint.map(|checkpoint| validate_policy_with_checkpoint(*role, name, &checkpoint.spec))
        });
        let profile = context.caches.profiles.get(&namespace, &spec.risk_profile_ref.name);
        let known = profile.as_ref().and_then(|guarded| guarded.0.as_ref().ok());
        Self {
            conflict: conflict(policy, known, context),
            taken: known.and_then(|profile| accounts::held_by_another(profile, context)),
            desired: desired(policy, found.map(|(_, name, checkpoint)| verified(name, checkpoint)), &context.settings.image),
            misplaced: misplaced.flatten().collect(),
            profile,
        }
    }

    /// The profile, when it exists and can be read.
    pub(super) fn profile(&self) -> Option<&RiskProfile> {
        self.profile.as_ref().and_then(|guarded| guarded.0.as_ref().ok())
    }

    /// Why nothing new may begin.
    pub(super) fn blocked(&self, policy: &TradingPolicy, state: &State, stable_pods: &Pods) -> Option<(PolicyReason, String)> {
        if let Some(message) = &self.conflict {
            return Some((PolicyReason::InstrumentConflict, message.clone()));
        }
        let name = &policy.spec.risk_profile_ref.name;
        let Some(profile) = self.profile() else {
            let message = format!("RiskProfile {name} does not exist; create it, the policy starts by itself");
            return Some((PolicyReason::WaitingForRiskProfile, message));
        };
        let mut faults = validate_policy(&policy.spec);
        faults.extend(validate_policy_with_profile(&policy.spec, &profile.spec));
        faults.extend(self.misplaced.iter().cloned());
        if !faults.is_empty() {
            return Some((PolicyReason::InvalidSpec, join(&faults)));
        }
        if let Some(holder) = &self.taken {
            let account = &profile.spec.account;
            let message = format!("RiskProfile {name} does not have account {account}: it is held by {holder}");
            return Some((PolicyReason::WaitingForRiskProfile, message));
        }
        // the first start does not wait for it: both start side by side, and execution fails closed without it; pods that
        // the kubelet rejects are the worse news
        let conditions = profile.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let ready = find_condition(conditions, ConditionType::Ready);
        let worse = matches!(stable_pods, Pods::Rejected(_));
        if state.stable.is_some() && !worse && ready.is_none_or(|ready| ready.status != ConditionStatus::True) {
            let why = ready.map_or("it has no status yet", |ready| ready.message.as_str());
            return Some((PolicyReason::WaitingForRiskProfile, format!("RiskProfile {name} is not ready: {why}")));
        }
        None
    }

    /// Whether the processes that trade may be created or changed.
    pub(super) fn may_run(&self, blocked: Option<&(PolicyReason, String)>) -> bool {
        let forbidden = matches!(blocked, Some((PolicyReason::InstrumentConflict | PolicyReason::InvalidSpec, _)));
        self.profile().is_some() && self.taken.is_none() && !forbidden
    }
}

/// Why a checkpoint cannot be served, in a sentence that names it.
enum Unfit {
    /// It does not exist or is not verified yet.
    Awaited(String),
    /// It was rejected.
    Rejected(String),
}

/// The bundle, once both its checkpoints are verified. A rejection needs someone's help, so it is said before what only needs time.
fn desired(policy: &TradingPolicy, found: [Result<&CheckpointSource, Unfit>; 2], image: &str) -> Desired {
    match found {
        [Ok(strategic), Ok(tactical)] => {
            Desired::Verified(Box::new(revision(&policy.spec, Sources { strategic, tactical }, image)))
        }
        [Err(Unfit::Rejected(why)), _] | [_, Err(Unfit::Rejected(why))] => Desired::Rejected(why),
        [Err(Unfit::Awaited(why)), _] | [_, Err(Unfit::Awaited(why))] => Desired::Waiting(why),
    }
}

fn verified<'a>(name: &str, checkpoint: Option<&'a ModelCheckpoint>) -> Result<&'a CheckpointSource, Unfit> {
    let Some(checkpoint) = checkpoint else {
        return Err(Unfit::Awaited(format!("ModelCheckpoint {name} does not exist")));
    };
    let status = checkpoint.status.as_ref();
    let reason = status.and_then(|status| status.reason).map_or("Pending", |reason| reason.as_str());
    let message =
        status.and_then(|status| status.message.clone()).unwrap_or_else(|| "its verification has not started".to_owned());
    match status.and_then(|status| status.phase) {
        Some(CheckpointPhase::Verified) => Ok(&checkpoint.spec.source),
        Some(CheckpointPhase::Rejected) => {
            Err(Unfit::Rejected(format!("ModelCheckpoint {name} was rejected, {reason}: {message}")))
        }
        Some(CheckpointPhase::Pending | CheckpointPhase::Verifying) | None => {
            Err(Unfit::Awaited(format!("ModelCheckpoint {name} is not verified yet, {reason}: {message}")))
        }
    }
}

fn conflict(policy: &TradingPolicy, profile: Option<&RiskProfile>, context: &Context) -> Option<String> {
    let name = &policy.spec.risk_profile_ref.name;
    let members = accounts::members(context, &policy.namespace().unwrap_or_default(), name);
    let claims: Vec<Claim> = members.iter().filter_map(|other| other.0.as_ref().ok()).map(accounts::claim).collect();
    let mine = accounts::claim(policy);
    let lost = conflicts(&mine, &claims);
    // without its profile the account is not known: policies of one profile still exclude each other
    let account = profile.map_or_else(|| format!("of RiskProfile {name}"), |profile| profile.spec.account.clone());
    (!lost.is_empty()).then(|| message(&account, &mine, &lost))
}
