//! Conditions of the three resources and the closed lists of their reasons.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::closed_list::closed_list;
use crate::schema;

closed_list! {
    /// Condition types. `Ready`, `Reconciling` and `Stalled` follow kstatus, so that `kubectl wait`,
    /// Flux and Argo CD understand every resource without a script.
    pub enum ConditionType {
        /// True when the object does what its spec says.
        Ready,
        /// True while the operator is working towards the spec.
        Reconciling,
        /// True when no progress is possible until someone acts; the message says what to do.
        Stalled,
        /// True when every process of a role that asks for pinning runs on its own dedicated CPUs.
        CpuPinned,
        /// True while a candidate is on its way; False with the outcome afterwards.
        RolloutProgressing,
        /// True when new orders may be sent.
        TradingAllowed,
        /// True when the checkpoint file passed every check.
        Verified,
        /// True when the running risk service has acknowledged this generation of the limits.
        LimitsInForce,
        /// True when the risk service sees the market of every policy of its account by itself.
        FeedsFollowed,
    }
}

closed_list! {
    /// Status of a condition.
    pub enum ConditionStatus {
        /// It holds.
        True,
        /// It does not hold.
        False,
        /// It cannot be told at present.
        Unknown,
    }
}

closed_list! {
    /// Reasons of the conditions of a `TradingPolicy`.
    pub enum PolicyReason {
        /// The stable bundle serves and nothing else is on its way.
        Healthy,
        /// The policy was just created.
        Pending,
        /// A referenced checkpoint is being verified, or does not exist yet.
        WaitingForCheckpoint,
        /// A referenced checkpoint was rejected; the bundle that served keeps serving.
        CheckpointRejected,
        /// The referenced risk profile does not exist or is not ready.
        WaitingForRiskProfile,
        /// Children are not ready yet.
        WaitingForPods,
        /// Both bundles see every bar; the candidate drives nothing.
        Shadowing,
        /// The candidate drives a part of the sessions.
        Canary,
        /// The candidate takes over.
        Promoting,
        /// The candidate was promoted.
        Promoted,
        /// The stable bundle takes everything back.
        RollingBack,
        /// The candidate was rolled back; status.revertPatch makes Git agree.
        RolledBack,
        /// The rollout waits because the spec says so.
        Paused,
        /// A newer bundle took the place of this candidate.
        Superseded,
        /// The spec went back to the stable bundle.
        Reverted,
        /// The deadline passed without enough evidence.
        NotProven,
        /// A gate failed.
        GateFailed,
        /// The candidate's evidence could not be measured until the deadline.
        GateError,
        /// The user aborted the rollout.
        Aborted,
        /// The pool of dedicated CPUs cannot hold what is asked for.
        InsufficientPinnedCPU,
        /// The kubelet kept rejecting pinned pods; the revision was scaled to zero.
        PinnedPodsRejected,
        /// An instrument of this policy is held by another policy of the account.
        InstrumentConflict,
        /// The spec asks for something that cannot work.
        InvalidSpec,
        /// All pinned roles have their dedicated CPUs.
        Pinned,
        /// At least one role runs on shared CPUs, as the spec asks.
        Shared,
        /// A role that asks for pinning runs on CPUs that are not exclusive.
        NotPinned,
        /// No process has reported its CPUs yet.
        NotReported,
        /// New orders may be sent.
        Trading,
        /// `spec.trading` is Off or Shadow.
        TradingOff,
        /// `spec.halt` of the policy is set, or its account is halted.
        Halted,
        /// The risk service allows only orders that reduce positions.
        ReduceOnly,
        /// The feed has brought no bar to decide yet.
        WaitingForBars,
        /// Bars are due and do not come.
        FeedStale,
        /// The feed's stream was removed and made again.
        StreamReplaced,
        /// The feed's stream lost its newest messages: it ends before what was read, or holds others there.
        StreamRolledBack,
        /// The decider does not answer.
        Unreachable,
    }
}

closed_list! {
    /// Reasons of the conditions of a `RiskProfile`.
    pub enum RiskReason {
        /// The limits of the newest generation are in force.
        InForce,
        /// The risk service has not acknowledged the newest generation yet.
        WaitingForAcknowledgement,
        /// Children are not ready yet.
        WaitingForPods,
        /// A looser limit waits for `spec.approvedLoosening`.
        LooseningPending,
        /// A looser limit is approved and waits for the end of its soak.
        Soaking,
        /// The newest generation is wrong; the limits before it stay in force.
        InvalidSpec,
        /// New orders may be sent.
        Normal,
        /// Only orders that reduce positions are allowed.
        ReduceOnly,
        /// No orders are allowed.
        Halted,
        /// A halt holds until its id is acknowledged.
        HaltLatched,
        /// A breaker has fired and waits for its acknowledgement.
        BreakerLatched,
        /// The risk service does not answer; its clients fail closed.
        Unreachable,
        /// The account belongs to another profile, maybe of another namespace.
        AccountTaken,
        /// The risk service reads the feeds of the account.
        Following,
        /// No policy trades the account.
        NoPolicy,
        /// No bar has come to the risk service yet; it refuses orders until one does.
        WaitingForBars,
        /// Bars of a live feed are due at the risk service and do not come; it refuses orders meanwhile.
        FeedStale,
        /// The risk service cannot read a feed; it refuses orders meanwhile.
        FeedUnavailable,
        /// The stream of a feed was removed and made again; none of its bars is taken.
        StreamReplaced,
        /// The pool of dedicated CPUs cannot hold what is asked for.
        InsufficientPinnedCPU,
        /// The kubelet kept rejecting pinned pods; the set was scaled to zero.
        PinnedPodsRejected,
        /// The risk process has its dedicated CPUs.
        Pinned,
        /// The risk process runs on shared CPUs, as the spec asks.
        Shared,
        /// The risk process asked for pinning and runs on CPUs that are not exclusive.
        NotPinned,
        /// The risk process has not reported its CPUs yet.
        NotReported,
    }
}

closed_list! {
    /// Reasons of the conditions of a `ModelCheckpoint`.
    pub enum CheckpointReason {
        /// The file passed every check.
        Verified,
        /// The verification has not started.
        Pending,
        /// The verification runs.
        Verifying,
        /// The SHA-256 of the file is not the one in the spec.
        DigestMismatch,
        /// The file ends before its own header says it does.
        Truncated,
        /// A tensor has another shape than the architecture asks for.
        BadShape,
        /// A tensor of the architecture is absent.
        MissingTensor,
        /// The file has a tensor that the architecture does not know.
        UnknownTensor,
        /// A weight is NaN or infinite.
        NotFinite,
        /// The manifest in the file names another role than the spec.
        WrongRole,
        /// The network does not reproduce the golden outputs stored in the file.
        GoldenMismatch,
        /// The file could not be fetched.
        SourceUnreachable,
        /// The manifest names a feature schema that this version cannot compute.
        UnknownFeatureSchema,
        /// The manifest names an architecture that this version does not have.
        UnknownArchitecture,
        /// The manifest orders the actions otherwise than long, neutral, short.
        BadActionOrder,
        /// The file is no safetensors file, or its manifest cannot be read.
        BadFormat,
        /// The file is larger than this version accepts.
        TooLarge,
        /// The verification job could not run.
        JobFailed,
    }
}

/// One condition, in the form that Kubernetes tools expect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Type of the condition.
    pub r#type: ConditionType,
    /// True, False or Unknown.
    pub status: ConditionStatus,
    /// Generation of the spec that this was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// When the status last changed.
    #[schemars(schema_with = "schema::time")]
    pub last_transition_time: Time,
    /// One word from the closed list of this resource.
    #[schemars(length(min = 1, max = 64))]
    pub reason: String,
    /// What happened and, when something is wrong, what to do.
    #[schemars(length(max = 4096))]
    pub message: String,
}

/// Puts `new` into `conditions`, sorted by type. The transition time of the old one is kept while the
/// status stays the same, so that an unchanged condition causes no write.
pub fn set_condition(conditions: &mut Vec<Condition>, mut new: Condition) {
    match conditions.iter_mut().find(|c| c.r#type == new.r#type) {
        Some(old) => {
            if old.status == new.status {
                new.last_transition_time = old.last_transition_time.clone();
            }
            *old = new;
        }
        None => conditions.push(new),
    }
    conditions.sort_by_key(|c| c.r#type);
}

/// The condition of a type.
#[must_use]
pub fn find_condition(conditions: &[Condition], r#type: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|c| c.r#type == r#type)
}

/// Schema of a list of conditions: one of each type.
pub(crate) fn list(generator: &mut SchemaGenerator) -> Schema {
    schema::list_map::<Condition>(generator, "type", 0, 16)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn at(seconds: i64) -> Time {
        Time(k8s_openapi::jiff::Timestamp::from_second(seconds).unwrap())
    }

    fn ready(status: ConditionStatus, message: &str, seconds: i64) -> Condition {
        Condition {
            r#type: ConditionType::Ready,
            status,
            observed_generation: Some(1),
            last_transition_time: at(seconds),
            reason: PolicyReason::Healthy.to_string(),
            message: message.into(),
        }
    }

    #[test]
    fn transition_time_moves_only_with_the_status() {
        let mut all = vec![ready(ConditionStatus::True, "a", 1)];
        set_condition(&mut all, ready(ConditionStatus::True, "b", 2));
        assert_eq!((all[0].last_transition_time.clone(), all[0].message.as_str()), (at(1), "b"));
        set_condition(&mut all, ready(ConditionStatus::False, "b", 3));
        assert_eq!(all[0].last_transition_time, at(3));
        assert_eq!(all.len(), 1);
    }

    #[test]
    fn reasons_are_words_that_kubernetes_accepts_and_have_a_meaning() {
        let texts = PolicyReason::ALL.iter().map(|r| (r.as_str(), r.meaning()));
        let texts = texts.chain(RiskReason::ALL.iter().map(|r| (r.as_str(), r.meaning())));
        for (text, meaning) in texts.chain(CheckpointReason::ALL.iter().map(|r| (r.as_str(), r.meaning()))) {
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric()) && text.len() <= 64, "{text}");
            assert!(meaning.trim().ends_with('.'), "{text} has no meaning");
        }
    }
}
