//! Status, conditions and events of a profile.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use tradewind_crds::conditions::{RiskReason, find_condition, set_condition};
use tradewind_crds::placement::CpuMode;
use tradewind_crds::risk_profile::{
    AccountPolicy, BreakerStatus, EffectiveLimits, HaltStatus, MOST_POLICIES, SoakStatus, TradingState,
};
use tradewind_crds::{Condition, ConditionStatus, ConditionType, DurationText, RiskProfileStatus, names};
use tradewind_wire::v1::RiskStatus;

use super::{Line, Seen};
use crate::controllers::pods;
use crate::runtime::events::Notice;

use ConditionStatus::{False, True, Unknown};

/// What the status has to be, and what to say about the change.
pub(super) fn status(seen: &Seen<'_>, now: Timestamp) -> (RiskProfileStatus, Vec<Notice>) {
    let before = seen.profile.status.clone().unwrap_or_default();
    let mut status = before.clone();
    status.observed_generation = seen.profile.metadata.generation;
    match &seen.risk {
        Some(risk) => copy(risk, &mut status),
        // What it said last is no state of now: whoever reads this, policies of the account among them, must not take it for one.
        None => (status.state, status.reason) = (None, None),
    }
    status.pinning = seen
        .info
        .iter()
        .filter_map(|info| {
            let pod = format!("{}-0", names::risk(&seen.profile.metadata.name.clone().unwrap_or_default()));
            pods::pinning("risk", pod, &seen.placement, info)
        })
        .collect();
    status.policies = policies(seen);
    status.policies_total = i64::try_from(seen.shares.len()).ok();
    let lines = [limits(seen), trading(seen), pinned(seen, &status), ready(seen), super::feeds::followed(seen)];
    let reconciling = reconciling(seen, &lines[3]);
    let stalled = match &seen.stall {
        Some(stall) => (ConditionType::Stalled, True, stall.reason, stall.message.clone()),
        None => (ConditionType::Stalled, False, lines[3].2, "nothing is in the way".to_owned()),
    };
    for (r#type, value, reason, message) in lines.into_iter().chain([reconciling, stalled]) {
        let condition = Condition {
            r#type,
            status: value,
            observed_generation: status.observed_generation,
            last_transition_time: Time(now),
            reason: reason.to_string(),
            message: message.chars().take(2000).collect(),
        };
        set_condition(&mut status.conditions, condition);
    }
    let notices = notices(&before, &status);
    (status, notices)
}

/// What the leader says; a text that is not in the closed list leaves the field as it was.
fn copy(risk: &RiskStatus, status: &mut RiskProfileStatus) {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    status.state = risk.state.parse::<TradingState>().ok().or(status.state);
    status.reason = some(&risk.reason).map(|text| text.chars().take(1000).collect());
    if let Ok(limits) = serde_json::from_str::<EffectiveLimits>(&risk.effective_limits_json) {
        status.effective_limits = Some(limits);
    }
    status.acknowledged_generation = (risk.observed_generation > 0).then_some(risk.observed_generation);
    status.pending_loosening = some(&risk.pending_loosening);
    status.soak = (risk.soak_open_market_ns > 0).then(|| SoakStatus {
        open_market: DurationText::from_millis(risk.soak_open_market_ns / 1_000_000),
        not_before: second(risk.soak_not_before_ns),
    });
    let short = |text: &str| text.chars().take(500).collect();
    status.halt = some(&risk.halt_id).map(|id| HaltStatus {
        id,
        actor: short(&risk.halt_actor),
        reason: short(&risk.halt_reason),
        since: second(risk.halted_since_ns),
    });
    status.breaker =
        some(&risk.breaker_id).map(|id| BreakerStatus { id, reason: risk.breaker_reason.chars().take(1000).collect() });
    status.recent_denials = risk.recent_denials.iter().take(10).map(|text| text.chars().take(500).collect()).collect();
    status.denials_total = i64::try_from(risk.denials_total).ok();
    status.last_transition = (risk.last_transition_ns > 0).then(|| second(risk.last_transition_ns)).flatten();
}

/// Status knows whole seconds.
fn second(nanos: i64) -> Option<Time> {
    Timestamp::from_second(nanos / 1_000_000_000).ok().map(Time)
}

/// Who trades the account, and with what: the first by name, as many as status may list.
fn policies(seen: &Seen<'_>) -> Vec<AccountPolicy> {
    let listed = seen.shares.iter().take(MOST_POLICIES);
    let listed = listed.map(|share| AccountPolicy {
        name: share.policy.to_owned(),
        instruments: share.instruments.iter().map(|one| one.symbol.clone()).collect(),
    });
    listed.collect()
}

fn limits(seen: &Seen<'_>) -> Line {
    let line = |value, reason, message: String| (ConditionType::LimitsInForce, value, reason, message);
    let generation = seen.profile.metadata.generation.unwrap_or_default();
    let Some(risk) = &seen.risk else {
        return line(Unknown, RiskReason::Unreachable, "the risk service does not answer; its clients fail closed".to_owned());
    };
    if !risk.invalid_profile.is_empty() {
        let message = format!("generation {generation} is not in force: {}", risk.invalid_profile);
        return line(False, RiskReason::InvalidSpec, message);
    }
    if !risk.invalid_account.is_empty() {
        let message = format!("the newest policies and instruments of the account are not in force: {}", risk.invalid_account);
        return line(False, RiskReason::InvalidSpec, message);
    }
    if risk.observed_generation < generation {
        let message =
            format!("generation {generation} is not acknowledged yet; generation {} is in force", risk.observed_generation);
        return line(False, RiskReason::WaitingForAcknowledgement, message);
    }
    if risk.soak_open_market_ns > 0 {
        let length = DurationText::from_millis(risk.soak_open_market_ns / 1_000_000);
        let earliest = second(risk.soak_not_before_ns).map_or_else(String::new, |time| format!(", not before {}", time.0));
        let message = format!("a looser limit is approved and comes into force after {length} of open market{earliest}");
        return line(False, RiskReason::Soaking, message);
    }
    if !risk.pending_loosening.is_empty() {
        let message = format!(
            "a looser limit waits: set spec.approvedLoosening to {} to bring it into force; tighter ones are in force",
            risk.pending_loosening
        );
        return line(False, RiskReason::LooseningPending, message);
    }
    line(True, RiskReason::InForce, format!("the limits of generation {generation} are in force"))
}

fn trading(seen: &Seen<'_>) -> Line {
    let line = |value, reason, message: String| (ConditionType::TradingAllowed, value, reason, message);
    let Some(risk) = &seen.risk else {
        return line(Unknown, RiskReason::Unreachable, "the risk service does not answer".to_owned());
    };
    let why = if risk.reason.is_empty() { risk.state.clone() } else { format!("{}: {}", risk.state, risk.reason) };
    if !risk.halt_id.is_empty() {
        let message = format!(
            "{} ({}): look into it, then set spec.acknowledgeHalt to {} beside spec.halt: false",
            risk.halt_reason, risk.halt_actor, risk.halt_id
        );
        return line(False, RiskReason::HaltLatched, message);
    }
    if !risk.breaker_id.is_empty() {
        let message = format!(
            "{}: look into it, then set spec.acknowledgeBreaker to {}",
            if risk.breaker_reason.is_empty() { &why } else { &risk.breaker_reason },
            risk.breaker_id
        );
        return line(False, RiskReason::BreakerLatched, message);
    }
    match risk.state.parse::<TradingState>() {
        Ok(TradingState::Normal) => line(True, RiskReason::Normal, "orders within the limits are allowed".to_owned()),
        Ok(TradingState::ReduceOnly) => line(False, RiskReason::ReduceOnly, why),
        Ok(TradingState::Halted) => line(False, RiskReason::Halted, why),
        Err(_) => line(Unknown, RiskReason::Unreachable, format!("the risk service reports the unknown state '{}'", risk.state)),
    }
}

fn pinned(seen: &Seen<'_>, status: &RiskProfileStatus) -> Line {
    let line = |value, reason, message: String| (ConditionType::CpuPinned, value, reason, message);
    if seen.placement.mode == CpuMode::Shared {
        return line(False, RiskReason::Shared, "risk runs on shared CPUs, as asked".to_owned());
    }
    match status.pinning.first() {
        None => {
            line(Unknown, RiskReason::NotReported, format!("risk asks for {} CPUs and has not reported yet", seen.placement.cpus))
        }
        Some(report) if report.pinned => line(
            True,
            RiskReason::Pinned,
            format!("risk: asked {}, granted {} (CPU {})", report.asked, report.granted, report.allowed_list),
        ),
        Some(report) => line(
            False,
            RiskReason::NotPinned,
            format!(
                "risk: asked {}, may use {} ({}): no exclusive CPU; is the node's CPU manager static?",
                report.asked, report.granted, report.allowed_list
            ),
        ),
    }
}

fn ready(seen: &Seen<'_>) -> Line {
    let line = |value, reason, message: String| (ConditionType::Ready, value, reason, message);
    if let Some(stall) = &seen.stall {
        return line(False, stall.reason, stall.message.clone());
    }
    if !seen.set.as_ref().is_some_and(|set| pods::ready(set.stored())) {
        let why = seen.trouble.clone().unwrap_or_else(|| "the risk pod is starting".to_owned());
        return line(False, RiskReason::WaitingForPods, why);
    }
    let (_, value, reason, message) = limits(seen);
    match reason {
        // what is asked for works; the approval is the user's
        RiskReason::LooseningPending | RiskReason::Soaking => line(True, reason, message),
        _ => line(if value == True { True } else { False }, reason, message),
    }
}

fn reconciling(seen: &Seen<'_>, ready: &Line) -> Line {
    let (_, ready, reason, message) = ready;
    let busy = *ready != True && seen.stall.is_none();
    let message = if busy { message.clone() } else { "nothing to do".to_owned() };
    (ConditionType::Reconciling, if busy { True } else { False }, *reason, message)
}

/// One event for each condition whose status or reason changed in a way that people want to know.
fn notices(before: &RiskProfileStatus, after: &RiskProfileStatus) -> Vec<Notice> {
    let mut found = Vec::new();
    for r#type in
        [ConditionType::TradingAllowed, ConditionType::LimitsInForce, ConditionType::FeedsFollowed, ConditionType::Stalled]
    {
        let Some(new) = find_condition(&after.conditions, r#type) else { continue };
        let old = find_condition(&before.conditions, r#type);
        let same = old.is_some_and(|old| old.status == new.status && old.reason == new.reason);
        let quiet = match r#type {
            ConditionType::Stalled => new.status == False,
            // Nobody has to hear that what was just made has not begun.
            ConditionType::FeedsFollowed => {
                let begins = [RiskReason::NoPolicy, RiskReason::WaitingForBars, RiskReason::Following, RiskReason::Unreachable];
                old.is_none() && begins.iter().any(|reason| new.reason == reason.as_str())
            }
            _ => new.status == Unknown && old.is_none(),
        };
        if same || quiet {
            continue;
        }
        let fine = (new.status == True) != (r#type == ConditionType::Stalled);
        let note = format!("{}: {}", r#type, new.message);
        found.push(if fine {
            Notice::normal(&new.reason, "Observe", note)
        } else {
            Notice::warning(&new.reason, "Observe", note)
        });
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::build::config::Share;
    use tradewind_crds::{RiskProfile, samples};

    fn profile(generation: i64) -> RiskProfile {
        let mut profile = samples::profile("main", "paper-1");
        profile.metadata.generation = Some(generation);
        profile
    }

    fn answer(profile: &RiskProfile) -> RiskStatus {
        RiskStatus {
            account: "paper-1".into(),
            state: "Normal".into(),
            observed_generation: profile.metadata.generation.unwrap(),
            effective_limits_json: serde_json::to_string(&EffectiveLimits::from(&profile.spec.limits)).unwrap(),
            ..RiskStatus::default()
        }
    }

    fn seen(profile: &RiskProfile, risk: Option<RiskStatus>) -> Seen<'_> {
        Seen {
            profile,
            placement: Default::default(),
            shares: Vec::new(),
            stall: None,
            set: None,
            trouble: None,
            risk,
            info: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_the_leader_acknowledges_is_written_down() {
        let profile = profile(3);
        let (status, _) = status(&seen(&profile, Some(answer(&profile))), at(1));
        assert_eq!(status.acknowledged_generation, Some(3));
        assert_eq!(status.state, Some(TradingState::Normal));
        assert_eq!(status.effective_limits, Some(EffectiveLimits::from(&profile.spec.limits)));
        let limits = find_condition(&status.conditions, ConditionType::LimitsInForce).unwrap();
        assert_eq!((limits.status, limits.reason.as_str()), (True, "InForce"));
    }

    #[test]
    fn a_gate_that_does_not_answer_has_no_state_and_keeps_what_latched() {
        let mut profile = profile(3);
        let halted =
            RiskStatus { state: "ReduceOnly".into(), reason: "halt".into(), halt_id: "halt-1".into(), ..answer(&profile) };
        let (before, _) = status(&seen(&profile, Some(halted)), at(1));
        assert_eq!(before.state, Some(TradingState::ReduceOnly));
        profile.status = Some(before.clone());
        let (after, notices) = status(&seen(&profile, None), at(2));
        assert_eq!((after.state, after.reason), (None, None));
        assert_eq!((after.halt, after.effective_limits), (before.halt, before.effective_limits));
        let trading = find_condition(&after.conditions, ConditionType::TradingAllowed).unwrap();
        assert_eq!((trading.status, trading.reason.as_str()), (Unknown, "Unreachable"));
        assert!(notices.iter().any(|notice| notice.reason == "Unreachable"), "{notices:?}");
    }

    #[test]
    fn a_breaker_names_what_to_write_into_the_spec_and_is_said_once() {
        let mut profile = profile(1);
        let fired = RiskStatus {
            state: "ReduceOnly".into(),
            breaker_id: "drawdown-1".into(),
            breaker_reason: "drawdown 2013 bps of 2000".into(),
            ..answer(&profile)
        };
        let (after, notices) = status(&seen(&profile, Some(fired.clone())), at(1));
        let trading = find_condition(&after.conditions, ConditionType::TradingAllowed).unwrap();
        assert!(trading.message.contains("spec.acknowledgeBreaker to drawdown-1"), "{}", trading.message);
        assert!(notices.iter().any(|notice| notice.reason == "BreakerLatched"));
        profile.status = Some(after.clone());
        let (same, again) = status(&seen(&profile, Some(fired)), at(9));
        assert_eq!((same, again), (after, vec![]));
    }

    #[test]
    fn a_halt_stays_in_status_though_the_spec_has_none_and_names_what_lifts_it() {
        let mut profile = profile(4);
        let halted = RiskStatus {
            state: "ReduceOnly".into(),
            halt_id: "halt-2-0a1b2c3d4e5f".into(),
            halt_actor: "anna".into(),
            halt_reason: "fat finger".into(),
            halted_since_ns: 7_000_000_000,
            ..answer(&profile)
        };
        let (after, notices) = status(&seen(&profile, Some(halted)), at(9));
        let shown = after.halt.clone().unwrap();
        assert_eq!((shown.id.as_str(), shown.actor.as_str(), shown.since), ("halt-2-0a1b2c3d4e5f", "anna", Some(Time(at(7)))));
        let trading = find_condition(&after.conditions, ConditionType::TradingAllowed).unwrap();
        assert_eq!((trading.status, trading.reason.as_str()), (False, "HaltLatched"));
        assert!(trading.message.contains("spec.acknowledgeHalt to halt-2-0a1b2c3d4e5f"), "{}", trading.message);
        assert!(notices.iter().any(|notice| notice.reason == "HaltLatched"));
        profile.status = Some(after);
        let (lifted, _) = status(&seen(&profile, Some(answer(&profile))), at(10));
        assert_eq!(lifted.halt, None);
    }

    #[test]
    fn a_soak_says_from_when_its_limits_are_in_force() {
        let profile = profile(2);
        let soaking = RiskStatus {
            pending_loosening: "0123456789abcdef".into(),
            soak_open_market_ns: 600_000_000_000,
            soak_not_before_ns: 1_000_000_000_000,
            ..answer(&profile)
        };
        let (after, _) = status(&seen(&profile, Some(soaking)), at(1));
        let soak = after.soak.unwrap();
        assert_eq!((soak.open_market, soak.not_before), (DurationText::from_secs(600), Some(Time(at(1_000)))));
        let limits = find_condition(&after.conditions, ConditionType::LimitsInForce).unwrap();
        assert_eq!(limits.reason, "Soaking");
        assert!(limits.message.contains("10m of open market, not before 1970-01-01T00:16:40Z"), "{}", limits.message);
    }

    #[test]
    fn a_silent_service_is_unreachable_and_keeps_what_was_known() {
        let mut profile = profile(1);
        profile.status = Some(status(&seen(&profile, Some(answer(&profile))), at(1)).0);
        let (after, notices) = status(&seen(&profile, None), at(2));
        assert_eq!(after.effective_limits, profile.status.as_ref().unwrap().effective_limits);
        let trading = find_condition(&after.conditions, ConditionType::TradingAllowed).unwrap();
        assert_eq!((trading.status, trading.reason.as_str()), (Unknown, "Unreachable"));
        assert!(!notices.is_empty());
    }

    #[test]
    fn an_unacknowledged_generation_and_a_pending_loosening_are_told_apart() {
        let profile = profile(2);
        let old = RiskStatus { observed_generation: 1, ..answer(&profile) };
        let reason = |risk: RiskStatus| limits(&seen(&profile, Some(risk))).2;
        assert_eq!(reason(old), RiskReason::WaitingForAcknowledgement);
        assert_eq!(reason(RiskStatus { pending_loosening: "abcd".into(), ..answer(&profile) }), RiskReason::LooseningPending);
        assert_eq!(reason(RiskStatus { invalid_profile: "x".into(), ..answer(&profile) }), RiskReason::InvalidSpec);
        assert_eq!(reason(RiskStatus { invalid_account: "x".into(), ..answer(&profile) }), RiskReason::InvalidSpec);
    }

    #[test]
    fn the_policies_of_the_account_are_listed_up_to_a_bound_and_counted_beyond() {
        let (profile, policy) = (profile(1), samples::policy("indices", "main", "tactical-a").spec);
        let names: Vec<String> = (0..40).map(|number| format!("p{number:02}")).collect();
        let mut seen = seen(&profile, Some(answer(&profile)));
        seen.shares = names
            .iter()
            .map(|name| Share { policy: name, spec: &policy, instruments: policy.instruments.iter().collect() })
            .collect();
        let (status, _) = status(&seen, at(1));
        assert_eq!((status.policies.len(), status.policies_total), (32, Some(40)));
        assert_eq!(status.policies[31], AccountPolicy { name: "p31".into(), instruments: vec!["SPX".into(), "IXIC".into()] });
    }
}
