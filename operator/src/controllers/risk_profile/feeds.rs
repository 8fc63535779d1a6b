//! What the gate sees of the market by itself, as a condition: without it orders are refused, and somebody has to know why.

use tradewind_crds::conditions::RiskReason;
use tradewind_crds::{ConditionStatus, ConditionType};
use tradewind_wire::v1::GateFeed;

use super::{Line, Seen};
use crate::runtime::polls::magnitude;

use ConditionStatus::{False, True, Unknown};

/// The condition FeedsFollowed. The worst feed is told first; what a person has to do is in the words of the gate.
pub(super) fn followed(seen: &Seen<'_>) -> Line {
    let line = |value, reason, message: String| (ConditionType::FeedsFollowed, value, reason, message);
    let Some(risk) = &seen.risk else {
        return line(Unknown, RiskReason::Unreachable, "the risk service does not answer".to_owned());
    };
    if risk.feeds.is_empty() {
        return line(True, RiskReason::NoPolicy, "no policy trades the account, so there is no feed to read".to_owned());
    }
    let named = |feed: &GateFeed, text: &str| format!("feed {}: {text}", feed.name);
    let first = |is: &dyn Fn(&&GateFeed) -> bool| risk.feeds.iter().find(|feed| is(feed));
    if let Some(feed) = first(&|feed| feed.replaced) {
        return line(False, RiskReason::StreamReplaced, named(feed, &feed.fault));
    }
    if let Some(feed) = first(&|feed| !feed.fault.is_empty()) {
        let message =
            format!("{}; orders are refused while prices are unknown or old, see to the event bus", named(feed, &feed.fault));
        return line(False, RiskReason::FeedUnavailable, message);
    }
    if let Some(feed) = first(&|feed| !feed.overdue.is_empty()) {
        let message = format!(
            "{}; their orders are refused, see to the publisher",
            named(feed, &format!("bars are overdue: {}", feed.overdue))
        );
        return line(False, RiskReason::FeedStale, message);
    }
    if let Some(feed) = first(&|feed| feed.newest_sequence == 0) {
        let message = named(feed, "no bar has come to the gate yet; orders are refused until one does");
        return line(False, RiskReason::WaitingForBars, message);
    }
    let told = risk.feeds.iter().map(|feed| match (feed.refused_total, magnitude(feed.refused_total)) {
        (0, _) => feed.name.clone(),
        (_, Some(magnitude)) => format!("{} (over {magnitude} messages left out)", feed.name),
        // Which one was the newest is told while that cannot go on for long.
        (count, None) => format!("{} ({count} messages left out, the newest: {})", feed.name, feed.last_refused),
    });
    line(True, RiskReason::Following, format!("the gate reads {}", told.collect::<Vec<_>>().join(", ")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use tradewind_crds::samples;
    use tradewind_wire::v1::RiskStatus;

    fn told(feeds: Vec<GateFeed>) -> (ConditionStatus, RiskReason, String) {
        let profile = samples::profile("main", "paper-1");
        let seen = Seen {
            profile: &profile,
            placement: Default::default(),
            shares: Vec::new(),
            stall: None,
            set: None,
            trouble: None,
            risk: Some(RiskStatus { feeds, ..RiskStatus::default() }),
            info: None,
        };
        let (_, status, reason, message) = followed(&seen);
        (status, reason, message)
    }

    #[test]
    fn the_worst_feed_is_told_with_what_to_do() {
        let fine = GateFeed { name: "fine".into(), newest_sequence: 7, ..GateFeed::default() };
        let empty = GateFeed { name: "empty".into(), ..GateFeed::default() };
        let late = GateFeed { name: "late".into(), live: true, overdue: "SPX since noon".into(), ..fine.clone() };
        let down = GateFeed { name: "down".into(), fault: "connection refused".into(), ..fine.clone() };
        let other = GateFeed { name: "other".into(), fault: "another stream".into(), replaced: true, ..fine.clone() };
        for (feeds, status, reason, word) in [
            (vec![], True, RiskReason::NoPolicy, "no policy"),
            (vec![fine.clone()], True, RiskReason::Following, "fine"),
            (vec![fine.clone(), empty.clone()], False, RiskReason::WaitingForBars, "empty"),
            (vec![empty.clone(), late.clone()], False, RiskReason::FeedStale, "SPX since noon"),
            (vec![late.clone(), down.clone()], False, RiskReason::FeedUnavailable, "connection refused"),
            (vec![down, other], False, RiskReason::StreamReplaced, "another stream"),
        ] {
            let (seen, because, message) = told(feeds);
            assert_eq!((seen, because), (status, reason), "{message}");
            assert!(message.contains(word), "{message}");
        }
    }

    #[test]
    fn what_was_left_out_is_told_by_its_magnitude() {
        let with = |refused_total| {
            let (name, last_refused) = ("default".into(), "SPX/7: volume".into());
            told(vec![GateFeed { name, newest_sequence: 9, refused_total, last_refused, ..GateFeed::default() }]).2
        };
        assert!(with(3).contains("3 messages left out, the newest: SPX/7: volume"), "{}", with(3));
        assert_eq!(with(1_234), with(1_999));
        assert!(with(1_234).contains("over 1000 messages"), "{}", with(1_234));
    }
}
