//! The judgement of `wait`: reached, ended otherwise, or not yet.

use tradewind_crds::TradingPolicy;
use tradewind_crds::conditions::{ConditionStatus, ConditionType, find_condition};
use tradewind_crds::policy_status::Phase;

/// Where a policy is on its way to a phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is there; the summary.
    Reached(String),
    /// It will not get there by itself; why.
    Ended(String),
    /// Not yet; what it does now.
    Waiting(String),
}

/// Judges one state of a policy; `None`: it does not exist.
#[must_use]
pub fn judge(policy: Option<&TradingPolicy>, wanted: Phase) -> Progress {
    let Some(policy) = policy else { return Progress::Ended("it does not exist".into()) };
    let Some(status) = policy.status.as_ref() else { return Progress::Waiting("the operator has not seen it yet".into()) };
    if status.observed_generation != policy.metadata.generation {
        return Progress::Waiting("the operator has not seen the newest spec yet".into());
    }
    let holds = |kind: ConditionType| {
        find_condition(&status.conditions, kind).filter(|c| c.status == ConditionStatus::True).map(|c| c.message.clone())
    };
    let phase = status.phase.unwrap_or(Phase::Pending);
    let line = find_condition(&status.conditions, ConditionType::Ready).map_or_else(String::new, |c| format!(": {}", c.message));
    let text = format!("{phase}{line}");
    if phase == wanted && (wanted != Phase::Healthy || holds(ConditionType::Ready).is_some()) {
        return Progress::Reached(text);
    }
    match holds(ConditionType::Stalled) {
        Some(why) => Progress::Ended(format!("{phase}: {why}")),
        None if phase == Phase::Healthy && holds(ConditionType::Ready).is_some() => {
            Progress::Ended(format!("{text}; nothing is on its way to {wanted}"))
        }
        None => Progress::Waiting(text),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use k8s_openapi::jiff::Timestamp;
    use tradewind_crds::conditions::PolicyReason;
    use tradewind_crds::policy_status::TradingPolicyStatus;
    use tradewind_crds::samples;

    fn policy(phase: Phase, ready: bool, stalled: bool, seen: i64) -> TradingPolicy {
        let mut policy = samples::policy("indices", "main", "tactical-a");
        policy.metadata.generation = Some(2);
        let condition = |kind, holds: bool| {
            crate::plan::conditions::condition(kind, holds, PolicyReason::Healthy, "why", Some(seen), Timestamp::UNIX_EPOCH)
        };
        policy.status = Some(TradingPolicyStatus {
            observed_generation: Some(seen),
            phase: Some(phase),
            conditions: vec![condition(ConditionType::Ready, ready), condition(ConditionType::Stalled, stalled)],
            ..TradingPolicyStatus::default()
        });
        policy
    }

    #[test]
    fn healthy_counts_only_for_the_newest_spec_and_when_ready() {
        assert!(matches!(judge(Some(&policy(Phase::Healthy, true, false, 2)), Phase::Healthy), Progress::Reached(_)));
        assert!(matches!(judge(Some(&policy(Phase::Healthy, true, false, 1)), Phase::Healthy), Progress::Waiting(_)));
        assert!(matches!(judge(Some(&policy(Phase::Healthy, false, false, 2)), Phase::Healthy), Progress::Waiting(_)));
    }

    #[test]
    fn what_cannot_get_there_any_more_ends_the_wait() {
        assert!(matches!(judge(Some(&policy(Phase::RolledBack, false, true, 2)), Phase::Healthy), Progress::Ended(_)));
        assert!(matches!(judge(Some(&policy(Phase::RolledBack, false, true, 2)), Phase::RolledBack), Progress::Reached(_)));
        assert!(matches!(judge(Some(&policy(Phase::Healthy, true, false, 2)), Phase::Canary), Progress::Ended(_)));
        assert!(matches!(judge(None, Phase::Healthy), Progress::Ended(_)));
    }
}
