//! Conditions of a policy, from the planner's outlook and from what the processes report.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use tradewind_crds::conditions::{Condition, ConditionStatus, ConditionType, PolicyReason};
use tradewind_crds::placement::CpuMode;
use tradewind_crds::policy_status::PinningReport;
use tradewind_crds::risk_profile::TradingState;
use tradewind_crds::trading_policy::TradingMode;

use super::rollout::{Outlook, State};

/// A condition of this generation; the transition time is put right by `set_condition`.
#[must_use]
pub fn condition(
    r#type: ConditionType,
    holds: impl Into<Holds>,
    reason: impl ToString,
    message: impl Into<String>,
    generation: Option<i64>,
    now: Timestamp,
) -> Condition {
    Condition {
        r#type,
        status: holds.into().0,
        observed_generation: generation,
        last_transition_time: Time(Timestamp::from_second(now.as_second()).unwrap_or(now)),
        reason: reason.to_string(),
        message: message.into().chars().take(2_048).collect(),
    }
}

/// Status of a condition, also from a `bool`.
#[derive(Clone, Copy, Debug)]
pub struct Holds(pub ConditionStatus);

impl From<bool> for Holds {
    fn from(holds: bool) -> Self {
        Self(if holds { ConditionStatus::True } else { ConditionStatus::False })
    }
}

impl From<ConditionStatus> for Holds {
    fn from(status: ConditionStatus) -> Self {
        Self(status)
    }
}

/// Ready, Reconciling, Stalled and RolloutProgressing.
#[must_use]
pub fn of_rollout(outlook: &Outlook, state: &State, generation: Option<i64>, now: Timestamp) -> Vec<Condition> {
    let Outlook { ready, stalled, progressing, reason, message } = outlook;
    let last = state.history.first();
    let (rollout_reason, rollout_message) = match last {
        _ if *progressing => (*reason, message.clone()),
        Some(last) => (last.outcome, format!("bundle {} ({}): {}", last.bundle, last.checkpoints, last.message)),
        None => (*reason, message.clone()),
    };
    vec![
        condition(ConditionType::Ready, *ready, reason, message, generation, now),
        condition(ConditionType::Reconciling, !*ready && !*stalled, reason, message, generation, now),
        condition(ConditionType::Stalled, *stalled, reason, message, generation, now),
        condition(ConditionType::RolloutProgressing, *progressing, rollout_reason, rollout_message, generation, now),
    ]
}

/// CpuPinned of the roles given: True when every pod of a role that asks for pinning has exactly the CPUs it asked for and
/// its deciding thread bound to one of them. `asked` is role and mode of what should run.
#[must_use]
pub fn cpu_pinned(asked: &[(&str, CpuMode)], reports: &[PinningReport]) -> (ConditionStatus, PolicyReason, String) {
    let of = |role: &str| reports.iter().filter(|r| r.role == role).collect::<Vec<_>>();
    let mut words = Vec::new();
    let (mut silent, mut wrong) = (false, false);
    for (role, mode) in asked {
        let pods = of(role);
        if *mode == CpuMode::Shared {
            words.push(format!("{role}: shared CPUs, as asked"));
            continue;
        }
        if pods.is_empty() {
            silent = true;
            words.push(format!("{role}: has not reported its CPUs"));
        }
        for pod in pods {
            let fine = pod.granted == pod.asked && pod.pinned;
            wrong |= !fine;
            let bound = if pod.pinned { "" } else { ", deciding thread not bound" };
            words.push(format!("{role}: asked {}, granted {} (CPU {}){bound}", pod.asked, pod.granted, pod.allowed_list));
        }
    }
    let message = words.join("; ");
    if asked.iter().all(|(_, mode)| *mode == CpuMode::Shared) {
        (ConditionStatus::False, PolicyReason::Shared, message)
    } else if wrong {
        (ConditionStatus::False, PolicyReason::NotPinned, message)
    } else if silent {
        (ConditionStatus::Unknown, PolicyReason::NotReported, message)
    } else {
        (ConditionStatus::True, PolicyReason::Pinned, message)
    }
}

/// What is known of the decider of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decider<'a> {
    /// It has not been heard for long enough to tell.
    Starting,
    /// It does not answer.
    Silent,
    /// It answers and has decided nothing yet; what it waits for, empty: a bar.
    WithoutBars(&'a str),
    /// It decides bars.
    Decides,
    /// It does not follow its feed any more, for this reason.
    Cut(&'a str),
    /// It waits for bars of these symbols, which have been due since then (UTC nanoseconds).
    Silenced {
        /// Symbols, ascending.
        symbols: &'a [String],
        /// When the first bar was due.
        since_ns: i64,
    },
}

/// The feed of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feed<'a> {
    /// Its name.
    pub name: &'a str,
    /// Symbols that the policy trades on it.
    pub instruments: usize,
}

/// TradingAllowed: whether a qualified trade would become an order at present.
#[must_use]
pub fn trading_allowed(
    trading: TradingMode,
    policy_halt: bool,
    profile_halt: bool,
    risk: Option<(TradingState, &str)>,
    serving: bool,
    (decider, feed): (Decider<'_>, Feed<'_>),
) -> (bool, PolicyReason, String) {
    if policy_halt {
        return (false, PolicyReason::Halted, "spec.halt of this policy is set".into());
    }
    if profile_halt {
        return (false, PolicyReason::Halted, "the account is halted: see status.halt of the risk profile".into());
    }
    if trading != TradingMode::Paper {
        return (false, PolicyReason::TradingOff, format!("spec.trading is {trading}: decisions are recorded only"));
    }
    match risk {
        None => {
            (false, PolicyReason::Unreachable, "the risk service of the account does not answer; its clients fail closed".into())
        }
        Some((TradingState::Halted, why)) => (false, PolicyReason::Halted, why.to_owned()),
        Some((TradingState::ReduceOnly, why)) => (false, PolicyReason::ReduceOnly, why.to_owned()),
        Some((TradingState::Normal, _)) if !serving => (false, PolicyReason::Pending, "no bundle serves yet".into()),
        Some((TradingState::Normal, _)) => decides(decider, feed),
    }
}

fn decides(decider: Decider<'_>, feed: Feed<'_>) -> (bool, PolicyReason, String) {
    let Feed { name: feed, instruments } = feed;
    match decider {
        Decider::Cut(fault) if fault.starts_with("StreamRolledBack") => {
            (false, PolicyReason::StreamRolledBack, format!("feed '{feed}' does not hold what was read of it: {fault}"))
        }
        Decider::Cut(fault) => (false, PolicyReason::StreamReplaced, format!("feed '{feed}' is not followed any more: {fault}")),
        Decider::Silenced { symbols, since_ns } => {
            let since = Timestamp::from_nanosecond(since_ns.into()).map_or_else(|_| since_ns.to_string(), |at| at.to_string());
            let silent = format!("no bar of {} on feed '{feed}' since the one that was due at {since}", symbols.join(", "));
            if symbols.len() < instruments {
                (true, PolicyReason::Trading, format!("the other instruments are traded; {silent}"))
            } else {
                (false, PolicyReason::FeedStale, silent)
            }
        }
        Decider::Starting => (false, PolicyReason::Pending, "the decider is starting".into()),
        Decider::Silent => (false, PolicyReason::Unreachable, "the decider does not answer; without it no bar is decided".into()),
        Decider::WithoutBars(waiting_for) => {
            let waits = if waiting_for.is_empty() { "none of spec.instruments has come" } else { waiting_for };
            let message = format!(
                "no bar of feed '{feed}' has been decided yet ({waits}); a publisher has to write to its stream: the chart's \
                 market.enabled replays recorded bars"
            );
            (false, PolicyReason::WaitingForBars, message)
        }
        Decider::Decides => (true, PolicyReason::Trading, "orders within the limits are sent to the paper venue".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trading_is_allowed_only_when_everything_that_it_takes_is_there() {
        use Decider::{Cut, Decides, Silent, Starting, WithoutBars};
        let normal = Some((TradingState::Normal, ""));
        let paper = TradingMode::Paper;
        let feed = Feed { name: "f", instruments: 2 };
        let silent = ["IXIC".to_owned(), "SPX".to_owned()];
        let silenced = |symbols| Decider::Silenced { symbols, since_ns: 1_000_000_000 };
        let cases = [
            (trading_allowed(paper, false, false, normal, true, (Decides, feed)), PolicyReason::Trading),
            (trading_allowed(paper, true, false, normal, true, (Decides, feed)), PolicyReason::Halted),
            (trading_allowed(paper, false, true, normal, true, (Decides, feed)), PolicyReason::Halted),
            (trading_allowed(TradingMode::Shadow, false, false, normal, true, (Decides, feed)), PolicyReason::TradingOff),
            (trading_allowed(paper, false, false, None, true, (Decides, feed)), PolicyReason::Unreachable),
            (
                trading_allowed(paper, false, false, Some((TradingState::ReduceOnly, "")), true, (Decides, feed)),
                PolicyReason::ReduceOnly,
            ),
            (trading_allowed(paper, false, false, normal, false, (Decides, feed)), PolicyReason::Pending),
            (trading_allowed(paper, false, false, normal, true, (Cut("gone"), feed)), PolicyReason::StreamReplaced),
            (
                trading_allowed(paper, false, false, normal, true, (Cut("StreamRolledBack: it ends at 7"), feed)),
                PolicyReason::StreamRolledBack,
            ),
            (trading_allowed(paper, false, false, normal, true, (silenced(&silent), feed)), PolicyReason::FeedStale),
            (trading_allowed(paper, false, false, normal, true, (silenced(&silent[..1]), feed)), PolicyReason::Trading),
            (trading_allowed(paper, false, false, normal, true, (Starting, feed)), PolicyReason::Pending),
            (trading_allowed(paper, false, false, normal, true, (Silent, feed)), PolicyReason::Unreachable),
            (trading_allowed(paper, false, false, normal, true, (WithoutBars(""), feed)), PolicyReason::WaitingForBars),
        ];
        for ((allowed, reason, message), expected) in cases {
            assert_eq!((allowed, reason), (expected == PolicyReason::Trading, expected), "{message}");
        }
    }
}
