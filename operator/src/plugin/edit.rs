//! The verbs as edits of a spec.

use serde_json::{Value, json};
use tradewind_crds::{RiskProfile, TradingPolicy};

/// One edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// `tradingpolicy` or `riskprofile`.
    pub kind: &'static str,
    /// Name of the object.
    pub name: String,
    /// JSON merge patch.
    pub patch: Value,
    /// What it does, said after it was made.
    pub says: String,
}

impl Edit {
    /// The same edit as a kubectl command.
    #[must_use]
    pub fn as_command(&self) -> String {
        format!("kubectl patch {} {} --type=merge -p '{}'", self.kind, self.name, self.patch)
    }
}

/// Why there is no edit to make.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NothingToDo {
    /// The field has the value already.
    #[error("{field} of {name} is {value} already")]
    Already {
        /// Name of the object.
        name: String,
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
    },
    /// There is no bundle that the verb could mean.
    #[error(
        "TradingPolicy {name} has no candidate to {verb}; its phase is {phase}. `kubectl tradewind status {name}` shows what goes on"
    )]
    NoCandidate {
        /// Name of the policy.
        name: String,
        /// The verb.
        verb: &'static str,
        /// Phase of the policy.
        phase: String,
    },
}

fn name_of(policy: &TradingPolicy) -> String {
    policy.metadata.name.clone().unwrap_or_default()
}

fn on_policy(policy: &TradingPolicy, patch: Value, says: String) -> Edit {
    Edit { kind: "tradingpolicy", name: name_of(policy), patch, says }
}

/// Pause or resume.
///
/// # Errors
/// [`NothingToDo::Already`].
pub fn pause(policy: &TradingPolicy, paused: bool) -> Result<Edit, NothingToDo> {
    if policy.spec.rollout.paused == paused {
        return Err(NothingToDo::Already { name: name_of(policy), field: "spec.rollout.paused", value: paused.to_string() });
    }
    let says = if paused {
        "the rollout keeps its place; a gate that fails still rolls back. Resume with `kubectl tradewind resume`"
    } else {
        "the rollout goes on; time spent paused does not count against its deadline"
    };
    Ok(on_policy(policy, json!({ "spec": { "rollout": { "paused": paused } } }), says.to_owned()))
}

/// The bundle that a verb means: the one named, else the candidate, else (to promote) the one that was rolled back.
fn meant(policy: &TradingPolicy, bundle: Option<&str>, verb: &'static str) -> Result<String, NothingToDo> {
    let status = policy.status.as_ref();
    let candidate = status.and_then(|s| s.candidate.as_ref()).map(|c| c.bundle.clone());
    let rolled_back = status.and_then(|s| s.rolled_back.as_ref()).map(|gone| gone.bundle.clone());
    let found = bundle.map(str::to_owned).or(candidate).or_else(|| rolled_back.filter(|_| verb == "promote"));
    found.ok_or_else(|| NothingToDo::NoCandidate {
        name: name_of(policy),
        verb,
        phase: status.and_then(|s| s.phase).map_or_else(|| "Pending".into(), |phase| phase.to_string()),
    })
}

/// Promote without waiting for gates.
///
/// # Errors
/// [`NothingToDo`] without a bundle, or when it is named already.
pub fn promote(policy: &TradingPolicy, bundle: Option<&str>) -> Result<Edit, NothingToDo> {
    let bundle = meant(policy, bundle, "promote")?;
    if policy.spec.rollout.promote == bundle {
        return Err(NothingToDo::Already { name: name_of(policy), field: "spec.rollout.promote", value: bundle });
    }
    let mut rollout = json!({ "promote": bundle });
    if policy.spec.rollout.abort == bundle {
        rollout["abort"] = json!("");
    }
    let says = format!("bundle {bundle} is promoted without waiting for its gates; later bundles are judged as ever");
    Ok(on_policy(policy, json!({ "spec": { "rollout": rollout } }), says))
}

/// Roll the candidate back.
///
/// # Errors
/// [`NothingToDo`] without a bundle, or when it is named already.
pub fn abort(policy: &TradingPolicy, bundle: Option<&str>) -> Result<Edit, NothingToDo> {
    let bundle = meant(policy, bundle, "abort")?;
    if policy.spec.rollout.abort == bundle {
        return Err(NothingToDo::Already { name: name_of(policy), field: "spec.rollout.abort", value: bundle });
    }
    let mut rollout = json!({ "abort": bundle });
    if policy.spec.rollout.promote == bundle {
        rollout["promote"] = json!("");
    }
    let says = format!("bundle {bundle} is rolled back; status.revertPatch will hold the edit that takes the spec back too");
    Ok(on_policy(policy, json!({ "spec": { "rollout": rollout } }), says))
}

/// Halt one policy, or lift it.
///
/// # Errors
/// [`NothingToDo::Already`].
pub fn halt_policy(policy: &TradingPolicy, halt: bool) -> Result<Edit, NothingToDo> {
    if policy.spec.halt == halt {
        return Err(NothingToDo::Already { name: name_of(policy), field: "spec.halt", value: halt.to_string() });
    }
    let says = if halt {
        "no new orders of this policy; working entries are cancelled, protective orders stay"
    } else {
        "this policy may send orders again, within the limits of its account"
    };
    Ok(on_policy(policy, json!({ "spec": { "halt": halt } }), says.to_owned()))
}

/// Halt an account, or lift the halt in force by its id: without the id it stays.
///
/// # Errors
/// [`NothingToDo::Already`].
pub fn halt_profile(profile: &RiskProfile, halt: bool) -> Result<Edit, NothingToDo> {
    let name = profile.metadata.name.clone().unwrap_or_default();
    let latched = profile.status.as_ref().and_then(|status| status.halt.as_ref()).map(|halt| halt.id.clone());
    if profile.spec.halt == halt && (halt || latched.is_none()) {
        return Err(NothingToDo::Already { name, field: "spec.halt", value: halt.to_string() });
    }
    if halt {
        let says = format!(
            "account {} is halted, haltMode {}; the risk service acts on it by itself, and it stays so until its id is acknowledged",
            profile.spec.account, profile.spec.halt_mode
        );
        return Ok(Edit { kind: "riskprofile", name, patch: json!({ "spec": { "halt": true } }), says });
    }
    let Some(id) = latched else {
        let says = format!(
            "account {}: the risk service had not reported a halt; if it did meanwhile, use --off again",
            profile.spec.account
        );
        return Ok(Edit { kind: "riskprofile", name, patch: json!({ "spec": { "halt": false } }), says });
    };
    let says =
        format!("halt {id} is lifted; account {} may trade again, unless a breaker or a loss holds it", profile.spec.account);
    Ok(Edit { kind: "riskprofile", name, patch: json!({ "spec": { "halt": false, "acknowledgeHalt": id } }), says })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::plan::bundle::{Sources, revision};
    use tradewind_crds::policy_status::TradingPolicyStatus;
    use tradewind_crds::risk_profile::HaltStatus;
    use tradewind_crds::{RiskProfileStatus, samples};

    fn with_candidate() -> TradingPolicy {
        let mut policy = samples::policy("indices", "main", "tactical-b");
        let strategic = samples::strategic_checkpoint("strategic-a", 'd').spec.source;
        let tactical = samples::checkpoint("tactical-b", 'b').spec.source;
        let candidate = revision(&policy.spec, Sources { strategic: &strategic, tactical: &tactical }, "i");
        policy.status = Some(TradingPolicyStatus { candidate: Some(candidate), ..TradingPolicyStatus::default() });
        policy
    }

    #[test]
    fn every_verb_edits_only_the_spec() {
        let (policy, profile) = (with_candidate(), samples::profile("main", "paper-1"));
        let edits = [
            pause(&policy, true).unwrap(),
            promote(&policy, None).unwrap(),
            abort(&policy, None).unwrap(),
            halt_policy(&policy, true).unwrap(),
            halt_profile(&profile, true).unwrap(),
        ];
        for edit in edits {
            let keys: Vec<_> = edit.patch.as_object().unwrap().keys().collect();
            assert_eq!(keys, ["spec"], "{}", edit.as_command());
        }
    }

    #[test]
    fn promote_and_abort_name_one_bundle_and_never_the_same() {
        let mut policy = with_candidate();
        let bundle = policy.status.as_ref().unwrap().candidate.as_ref().unwrap().bundle.clone();
        policy.spec.rollout.abort.clone_from(&bundle);
        assert_eq!(promote(&policy, None).unwrap().patch, json!({"spec": {"rollout": {"promote": bundle, "abort": ""}}}));
        policy.spec.rollout.abort.clear();
        policy.spec.rollout.promote.clone_from(&bundle);
        assert_eq!(abort(&policy, None).unwrap().patch, json!({"spec": {"rollout": {"abort": bundle, "promote": ""}}}));
        assert!(matches!(promote(&policy, None), Err(NothingToDo::Already { .. })));
    }

    #[test]
    fn without_a_candidate_there_is_nothing_to_promote() {
        let policy = samples::policy("indices", "main", "tactical-a");
        let error = promote(&policy, None).unwrap_err().to_string();
        assert!(error.contains("no candidate to promote") && error.contains("status indices"), "{error}");
        assert!(promote(&policy, Some("0a1b2c3d4e5f")).is_ok());
    }

    #[test]
    fn a_halt_is_lifted_by_its_id() {
        let mut profile = samples::profile("main", "paper-1");
        assert!(matches!(halt_profile(&profile, false), Err(NothingToDo::Already { .. })));
        let halt = HaltStatus { id: "halt-2-0a1b2c3d4e5f".into(), actor: "anna".into(), reason: "test".into(), since: None };
        profile.status = Some(RiskProfileStatus { halt: Some(halt), ..RiskProfileStatus::default() });
        let edit = halt_profile(&profile, false).unwrap();
        assert_eq!(
            edit.patch,
            json!({"spec": {"halt": false, "acknowledgeHalt": "halt-2-0a1b2c3d4e5f"}}),
            "though spec.halt is false"
        );
        assert_eq!(halt_profile(&profile, true).unwrap().patch, json!({"spec": {"halt": true}}));
    }

    #[test]
    fn an_edit_can_be_made_by_hand() {
        let policy = samples::policy("indices", "main", "tactical-a");
        let edit = pause(&policy, true).unwrap();
        assert_eq!(
            edit.as_command(),
            r#"kubectl patch tradingpolicy indices --type=merge -p '{"spec":{"rollout":{"paused":true}}}'"#
        );
        assert!(matches!(pause(&policy, false), Err(NothingToDo::Already { .. })));
    }
}
