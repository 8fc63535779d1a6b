//! Which stream a feed is, and whether its bars are overdue.

use tradewind_core::calendar::CalendarName;
use tradewind_core::time::Nanos;
use tradewind_journal::MemoryLog;
use tradewind_risk::{Engine, RiskError};
use tradewind_wire::account::AccountConfig;
use tradewind_wire::bus::{FeedKind, FeedName, StreamIdentity};

use crate::desk::{Desk, OTHER, account, bar, policy, spec};

fn feed() -> FeedName {
    "default".parse().unwrap()
}

/// Ruling 19: a stream that was made again is another history, for this process and for the one after it.
#[test]
fn another_stream_is_followed_only_when_nobody_has_met_the_old_one() {
    let mut desk = Desk::new();
    let (old, new) = (StreamIdentity(7), StreamIdentity(8));
    desk.engine.follows(&feed(), old).unwrap();
    let written = desk.log.records().len();
    desk.engine.follows(&feed(), old).unwrap();
    assert_eq!(desk.log.records().len(), written, "the same stream is written once");
    let mut engine = Engine::reopen(Box::new(desk.log.clone())).unwrap();
    assert!(
        matches!(engine.follows(&feed(), new), Err(RiskError::Replaced { expected, found, .. }) if (expected, found) == (old, new))
    );
    // The policy that met the old one is gone and flat; the other one never met a bar of it.
    let rest = vec![policy(OTHER, FeedKind::Replay, &["DAX"])];
    engine.apply_account(&AccountConfig { policies: rest, ..account(FeedKind::Replay) }).unwrap();
    engine.follows(&feed(), new).unwrap();
    assert!(matches!(engine.follows(&feed(), old), Ok(())), "nor has anybody met the new one yet");
}

/// A market that is closed owes no bar; one that is open and silent does, by its own calendar.
#[test]
fn bars_are_overdue_by_the_calendar_of_their_instrument() {
    let mut config = account(FeedKind::Live);
    config.policies.truncate(1);
    config.policies[0].instruments[0].calendar = CalendarName::Xnys;
    let mut engine = Engine::open("paper-1", Box::new(MemoryLog::new())).unwrap();
    engine.apply_profile(1, &spec()).unwrap();
    engine.apply_account(&config).unwrap();
    let second = |text: &str| {
        let time: jiff::Timestamp = text.parse().unwrap();
        i64::try_from(time.as_nanosecond()).unwrap()
    };
    // The last half hour of Wednesday, 3 July 2024, which closed early; then a holiday.
    let closed = second("2024-07-03T17:00:00Z");
    for symbol in ["SPX", "NDX"] {
        let mut own = bar(symbol, 1, 1_000);
        (own.bar.open_time_ns, own.bar.close_time_ns) = (closed - 1_800_000_000_000, closed);
        own.arrived = Nanos(closed);
        engine.arrive(&feed(), &own, Nanos(closed)).unwrap();
    }
    let late = |engine: &Engine, text: &str| {
        let late = engine.overdue(&feed(), Nanos(second(text)));
        late.into_iter().map(|(symbol, _)| symbol.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(late(&engine, "2024-07-03T17:30:00Z"), [""; 0]);
    assert_eq!(late(&engine, "2024-07-04T15:00:00Z"), ["NDX"], "that one trades around the clock");
    assert_eq!(late(&engine, "2024-07-05T14:00:04Z"), ["NDX"], "the first bar after the holiday closes at 10:00 in New York");
    assert_eq!(late(&engine, "2024-07-05T14:00:06Z"), ["NDX", "SPX"]);
}
