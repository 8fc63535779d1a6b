//! Sessions, gaps and due bars of calendars by name. `tests/oracles` compares every session with an independent library.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::float_cmp, missing_docs)]

use jiff::Timestamp;
use proptest::prelude::*;
use tradewind_core::calendar::{Calendar, CalendarName, Session, SessionId};
use tradewind_core::time::{NANOS_PER_DAY, Nanos};

const MINUTE: i64 = 60_000_000_000;
const HALF_HOUR: i64 = 30 * MINUTE;
const HOUR: i64 = 60 * MINUTE;

fn at(text: &str) -> Nanos {
    Nanos(i64::try_from(text.parse::<Timestamp>().unwrap().as_nanosecond()).unwrap())
}

fn text(nanos: Nanos) -> String {
    Timestamp::from_nanosecond(i128::from(nanos.0)).unwrap().to_string()
}

fn calendar(name: &str) -> &'static Calendar {
    name.parse::<CalendarName>().unwrap().calendar()
}

fn shown(session: Option<Session>) -> String {
    session.map_or("none".into(), |session| format!("{} {} {}", session.id, text(session.open), text(session.close)))
}

/// EX-8, C-6: the wall clock of the exchange rules; holidays have no session, half days a short one.
#[test]
fn sessions_of_new_york() {
    let new_york = calendar("XNYS");
    for (now, wanted) in [
        ("2025-03-07T12:00:00Z", "2025-03-07 2025-03-07T14:30:00Z 2025-03-07T21:00:00Z"),
        ("2025-03-07T21:00:00Z", "2025-03-10 2025-03-10T13:30:00Z 2025-03-10T20:00:00Z"),
        ("2025-11-01T12:00:00Z", "2025-11-03 2025-11-03T14:30:00Z 2025-11-03T21:00:00Z"),
        ("2025-07-03T16:00:00Z", "2025-07-03 2025-07-03T13:30:00Z 2025-07-03T17:00:00Z"),
        ("2025-07-03T17:00:00Z", "2025-07-07 2025-07-07T13:30:00Z 2025-07-07T20:00:00Z"),
    ] {
        assert_eq!(shown(new_york.current_or_next(at(now))), wanted, "{now}");
        assert_eq!(calendar("XNAS").current_or_next(at(now)), new_york.current_or_next(at(now)), "Nasdaq keeps the same days");
    }
    assert_eq!(new_york.session_at(at("2025-07-04T15:00:00Z")), None, "a holiday");
    assert_eq!(new_york.session_at(at("2025-07-03T17:00:00Z")), None, "closed at 13:00");
    assert_eq!(shown(new_york.next_session(at("2025-07-03T15:00:00Z"))), "2025-07-07 2025-07-07T13:30:00Z 2025-07-07T20:00:00Z");
    assert_eq!(new_york.last_opened(at("2025-07-04T15:00:00Z")).unwrap().id.to_string(), "2025-07-03");
}

/// A session that opens in the evening belongs to the day on which it closes; nights of a clock change are longer or shorter.
#[test]
fn sessions_that_begin_on_the_day_before() {
    let currencies = calendar("FX24x5");
    assert_eq!(currencies.session_at(at("2025-01-05T21:59:59Z")), None);
    let monday = currencies.session_at(at("2025-01-05T22:00:00Z"));
    assert_eq!(shown(monday), "2025-01-06 2025-01-05T22:00:00Z 2025-01-06T22:00:00Z");
    assert_eq!(shown(currencies.session_at(at("2025-01-06T22:00:00Z"))), "2025-01-07 2025-01-06T22:00:00Z 2025-01-07T22:00:00Z");
    assert_eq!(currencies.session_at(at("2025-01-10T22:00:00Z")), None, "the weekend");
    let hours = |now: &str| {
        let session = currencies.session_at(at(now)).unwrap();
        session.close.since(session.open) / HOUR
    };
    assert_eq!(hours("2025-03-10T12:00:00Z"), 24, "New York changes its clocks on a Sunday morning, before the week begins");
    assert_eq!(
        shown(currencies.current_or_next(at("2025-03-08T12:00:00Z"))),
        "2025-03-10 2025-03-09T21:00:00Z 2025-03-10T21:00:00Z"
    );
}

/// The market is closed at lunch, and the session goes on.
#[test]
fn lunch_is_part_of_the_session() {
    let tokyo = calendar("XTKS");
    let noon = at("2025-06-03T03:00:00Z");
    let session = tokyo.session_at(noon).unwrap();
    assert_eq!(
        (tokyo.is_open(noon), tokyo.is_open(at("2025-06-03T02:29:59Z")), tokyo.is_open(at("2025-06-03T03:30:00Z"))),
        (false, true, true)
    );
    assert_eq!(session.pause, Some((at("2025-06-03T02:30:00Z"), at("2025-06-03T03:30:00Z"))));
    assert_eq!(tokyo.open_time_between(session.open, session.close), 5 * HOUR + HALF_HOUR);
    assert_eq!(tokyo.open_time_between(at("2025-06-03T02:00:00Z"), at("2025-06-03T04:00:00Z")), HOUR);
}

/// Around the clock there is always a session, and it is the UTC day (ruling 21).
#[test]
fn around_the_clock() {
    let always = calendar("24x7");
    for now in [0, 1, 86_399_999_999_999, 86_400_000_000_000, -1, i64::MAX - NANOS_PER_DAY] {
        let session = always.session_at(Nanos(now)).unwrap();
        assert_eq!((session.close.since(session.open), session.id.0), (NANOS_PER_DAY, now.div_euclid(NANOS_PER_DAY)));
        assert!(session.contains(Nanos(now)) && always.is_open(Nanos(now)));
    }
    assert_eq!(always.progress(Nanos(6 * HOUR)), 0.25);
    assert_eq!(always.open_time_between(Nanos(5), Nanos(25)), 20);
    assert_eq!(always.due_after(Nanos(5), HALF_HOUR), Nanos(5 + HALF_HOUR));
}

/// The end of time is no panic, whatever the calendar.
#[test]
fn the_end_of_time() {
    for name in CalendarName::all() {
        let calendar = name.calendar();
        for now in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX].map(Nanos) {
            assert!((0.0..=1.0).contains(&calendar.progress(now)));
            let _ = calendar.session_at(now);
            let _ = calendar.last_opened(now);
            let _ = calendar.next_session(now);
            let _ = calendar.session_of_bar(now, now);
            let _ = calendar.due_after(now, NANOS_PER_DAY);
            let _ = calendar.due_after(now, i64::MAX);
            let _ = calendar.bars_between(now, Nanos(now.0.saturating_add(10)), HALF_HOUR);
            let _ = calendar.bars_begun(now, Nanos(now.0.saturating_add(10)), HALF_HOUR);
        }
        assert_eq!([0, -5].map(|interval| calendar.bars_between(Nanos(0), Nanos(NANOS_PER_DAY), interval)), [0, 0]);
        assert_eq!(calendar.bars_between(Nanos(5), Nanos(5), HALF_HOUR), 0);
        assert_eq!(calendar.bars_between(Nanos(5), Nanos(4), 1), 0);
    }
}

/// Ruling 14: what a calendar promises between two closes. Nights, weekends, holidays, lunch and clock changes are no gaps.
#[test]
fn bars_that_are_promised() {
    for (name, from, to, minutes, wanted) in [
        ("XNYS", "2025-03-07T21:00:00Z", "2025-03-10T14:00:00Z", 30, 0), // over a weekend with a clock change
        ("XNYS", "2025-10-31T20:00:00Z", "2025-11-03T15:00:00Z", 30, 0), // and the other one
        ("XNYS", "2025-07-03T17:00:00Z", "2025-07-07T14:00:00Z", 30, 0), // early close, holiday, weekend
        ("XNYS", "2025-07-03T16:30:00Z", "2025-07-07T14:00:00Z", 30, 1),
        ("XNYS", "2025-06-02T20:00:00Z", "2025-06-04T14:00:00Z", 30, 13), // a whole session
        ("XNYS", "2025-06-02T14:00:00Z", "2025-06-02T14:30:00Z", 30, 0),
        ("XNYS", "2025-06-02T14:00:00Z", "2025-06-02T16:00:00Z", 30, 3),
        ("XNYS", "2025-06-02T20:00:00Z", "2025-06-03T13:35:00Z", 5, 0),
        ("XNYS", "2025-06-02T20:00:00Z", "2025-06-03T14:00:00Z", 5, 5),
        // Hours that begin at half past, as the session does, and the same on the grid of UTC.
        ("XNYS", "2025-06-02T20:30:00Z", "2025-06-03T14:30:00Z", 60, 0),
        ("XNYS", "2025-06-02T20:00:00Z", "2025-06-03T14:30:00Z", 60, 0),
        ("XNYS", "2025-06-02T20:00:00Z", "2025-06-03T14:00:00Z", 60, 0),
        ("XNYS", "2025-06-02T19:30:00Z", "2025-06-03T15:30:00Z", 60, 2),
        ("XNYS", "2025-06-02T14:30:00Z", "2025-06-02T15:30:00Z", 60, 0),
        ("XTKS", "2025-06-03T02:30:00Z", "2025-06-03T04:00:00Z", 30, 0), // lunch
        ("XTKS", "2025-06-03T02:30:00Z", "2025-06-03T04:30:00Z", 30, 1),
        // Two hours in which the market closes for lunch and opens again are one bar.
        ("XTKS", "2025-06-03T00:00:00Z", "2025-06-03T08:00:00Z", 120, 3),
        ("XBOM", "2025-06-03T10:00:00Z", "2025-06-04T04:00:00Z", 30, 0), // 09:15 to 15:30 in Mumbai
        ("XBOM", "2025-06-03T10:00:00Z", "2025-06-05T04:00:00Z", 30, 13),
        ("XPAR", "2024-12-24T13:30:00Z", "2024-12-27T08:30:00Z", 30, 0), // closed at 14:05, a bar of five minutes
        ("XPAR", "2024-12-24T13:00:00Z", "2024-12-27T08:30:00Z", 30, 1),
        ("FX24x5", "2025-03-07T22:00:00Z", "2025-03-09T21:30:00Z", 30, 0),
        ("FX24x5", "2025-03-07T22:00:00Z", "2025-03-10T00:30:00Z", 30, 6),
        ("24x7", "2025-03-07T22:00:00Z", "2025-03-10T00:30:00Z", 30, 100),
        ("24x7", "2025-03-07T22:00:00Z", "2025-03-07T22:44:00Z", 30, 0), // half a bar late is the bar of its place
        ("24x7", "2025-03-07T22:00:00Z", "2025-03-07T22:45:00Z", 30, 1),
        // Bars of a day, known at midnight of UTC or with the close, over clock changes, a holiday and an early close.
        ("XNYS", "2025-03-08T00:00:00Z", "2025-03-11T00:00:00Z", 1440, 0),
        ("XNYS", "2025-03-07T21:00:00Z", "2025-03-10T20:00:00Z", 1440, 0),
        ("XNYS", "2025-10-31T20:00:00Z", "2025-11-03T21:00:00Z", 1440, 0),
        ("XNYS", "2025-10-31T20:00:00Z", "2025-11-04T21:00:00Z", 1440, 1),
        ("XNYS", "2025-07-03T17:00:00Z", "2025-07-08T20:00:00Z", 1440, 1),
        ("XTKS", "2025-06-04T00:00:00Z", "2025-06-05T00:00:00Z", 1440, 0),
        ("XTKS", "2025-06-04T00:00:00Z", "2025-06-07T00:00:00Z", 1440, 2),
        ("24x7", "2025-06-04T00:00:00Z", "2025-06-07T00:00:00Z", 1440, 2),
        ("XNYS", "2025-06-07T00:00:00Z", "2025-06-21T00:00:00Z", 10_080, 1), // weeks
    ] {
        let seen = calendar(name).bars_between(at(from), at(to), minutes * MINUTE);
        assert_eq!(seen, wanted, "{name}: bars of {minutes} minutes between {from} and {to}");
    }
}

/// ST-42: a faster signal lies in the bar that ends next, over night too.
#[test]
fn bars_that_have_begun() {
    for (name, close, now, wanted) in [
        ("XNYS", "2025-06-02T20:00:00Z", "2025-06-02T20:00:00Z", 0),
        ("XNYS", "2025-06-02T20:00:00Z", "2025-06-03T13:35:00Z", 1),
        ("XNYS", "2025-06-02T20:00:00Z", "2025-06-03T14:00:00Z", 1),
        ("XNYS", "2025-06-02T20:00:00Z", "2025-06-03T14:05:00Z", 2),
        ("XBOM", "2025-06-03T04:00:00Z", "2025-06-03T04:20:00Z", 1),
        ("24x7", "2025-06-02T20:00:00Z", "2025-06-02T20:35:00Z", 2),
        ("24x7", "2025-06-02T20:00:00Z", "2025-06-02T19:35:00Z", 0),
    ] {
        assert_eq!(calendar(name).bars_begun(at(close), at(now), HALF_HOUR), wanted, "{name}: {close} to {now}");
    }
}

/// Ruling 23: when the next bar is due at the latest.
#[test]
fn bars_that_are_due() {
    for (name, close, minutes, wanted) in [
        ("XNYS", "2025-06-02T14:00:00Z", 30, "2025-06-02T14:30:00Z"),
        ("XNYS", "2025-06-02T20:00:00Z", 30, "2025-06-03T14:00:00Z"),
        ("XNYS", "2025-06-02T14:30:00Z", 60, "2025-06-02T15:30:00Z"),
        ("XNYS", "2025-07-03T17:00:00Z", 5, "2025-07-07T13:35:00Z"),
        ("XTKS", "2025-06-03T02:30:00Z", 30, "2025-06-03T04:00:00Z"),
        ("XTKS", "2025-06-03T02:00:00Z", 30, "2025-06-03T02:30:00Z"),
        ("24x7", "2025-06-07T02:00:00Z", 30, "2025-06-07T02:30:00Z"),
        ("XNYS", "2025-03-08T00:00:00Z", 1440, "2025-03-11T00:00:00Z"),
        ("XNYS", "2025-03-07T21:00:00Z", 1440, "2025-03-10T21:00:00Z"),
        ("XNYS", "2025-10-31T20:00:00Z", 1440, "2025-11-03T21:00:00Z"),
        ("XNYS", "2025-07-04T00:00:00Z", 1440, "2025-07-08T00:00:00Z"),
        ("XTKS", "2025-06-03T00:00:00Z", 1440, "2025-06-04T00:00:00Z"),
        ("24x7", "2025-06-07T00:00:00Z", 1440, "2025-06-08T00:00:00Z"),
    ] {
        assert_eq!(
            text(calendar(name).due_after(at(close), minutes * MINUTE)),
            wanted,
            "{name}: {minutes} minutes after {close}"
        );
    }
}

/// A bar belongs to one session: the one that closes in it, or the newest that has opened.
#[test]
fn sessions_of_bars() {
    for (name, open, close, wanted) in [
        ("XNYS", "2025-06-02T13:30:00Z", "2025-06-02T14:00:00Z", "2025-06-02"),
        ("XNYS", "2025-06-02T19:30:00Z", "2025-06-02T20:00:00Z", "2025-06-02"), // the last of the session
        ("XNYS", "2025-06-02T20:00:00Z", "2025-06-02T20:30:00Z", "2025-06-02"), // after the close
        ("XNYS", "2025-06-03T12:00:00Z", "2025-06-03T12:30:00Z", "2025-06-02"), // before the open
        ("XNYS", "2025-06-02T00:00:00Z", "2025-06-03T00:00:00Z", "2025-06-02"), // a daily bar of a UTC day
        ("XNYS", "2025-06-02T13:30:00Z", "2025-06-02T20:00:00Z", "2025-06-02"), // and one of the session
        ("XNYS", "2025-06-07T00:00:00Z", "2025-06-08T00:00:00Z", "2025-06-06"), // a day without one
        ("XTKS", "2025-06-03T00:00:00Z", "2025-06-04T00:00:00Z", "2025-06-03"),
        ("XASX", "2025-06-03T00:00:00Z", "2025-06-04T00:00:00Z", "2025-06-03"), // the next one has opened at 23:00Z in summer
        ("XASX", "2025-01-07T00:00:00Z", "2025-01-08T00:00:00Z", "2025-01-07"),
        ("CMES", "2025-06-03T00:00:00Z", "2025-06-04T00:00:00Z", "2025-06-03"), // the next one has opened at 22:00Z
        ("CMES", "2025-06-03T21:30:00Z", "2025-06-03T22:00:00Z", "2025-06-03"),
        ("CMES", "2025-06-03T22:00:00Z", "2025-06-03T22:30:00Z", "2025-06-04"),
        ("FX24x5", "2025-06-02T21:00:00Z", "2025-06-03T21:00:00Z", "2025-06-03"), // a day from 17:00 to 17:00 in New York
        ("24x7", "2025-06-02T23:55:00Z", "2025-06-03T00:00:00Z", "2025-06-02"),   // midnight belongs to the day that ends
        ("24x7", "2025-06-03T00:00:00Z", "2025-06-03T00:05:00Z", "2025-06-03"),
        ("24x7", "2025-06-02T00:00:00Z", "2025-06-03T00:00:00Z", "2025-06-02"),
    ] {
        assert_eq!(calendar(name).session_of_bar(at(open), at(close)).to_string(), wanted, "{name}: {open} to {close}");
    }
    for close in [-NANOS_PER_DAY, -1, 0, 1, NANOS_PER_DAY, NANOS_PER_DAY + 1].map(Nanos) {
        assert_eq!(calendar("24x7").session_of_bar(Nanos(close.0 - 300), close), SessionId::around_the_clock(close));
    }
}

/// EX-8: 23,400 seconds from the open to the close, in the exchange's time all year round; RK-25.
#[test]
fn progress_of_a_session() {
    let new_york = calendar("XNYS");
    for (now, wanted) in [
        ("2025-01-08T14:29:59Z", 0.0),
        ("2025-01-08T14:30:00Z", 0.0),
        ("2025-01-08T16:07:30Z", 0.25),
        ("2025-01-08T20:59:59.999Z", 1.0 - 0.001 / 23_400.0),
        ("2025-01-08T23:00:00Z", 1.0),
        ("2025-07-03T17:00:00Z", 1.0),
        ("2025-07-04T15:00:00Z", 0.0),
        ("2025-07-12T16:45:00Z", 0.0),
    ] {
        assert!((new_york.progress(at(now)) - wanted).abs() < 1e-12, "{now}: {}", new_york.progress(at(now)));
    }
    assert_eq!(new_york.hours_to_close(at("2025-07-09T16:45:00Z")), 3.25);
    assert_eq!(new_york.hours_to_close(at("2025-07-12T16:45:00Z")), 0.0);
}

/// RK-12: 1 at the borders and outside, 1/e a quarter of an hour from them, 1 during events.
#[test]
fn risk_of_the_time_of_day() {
    let (new_york, e) = (calendar("XNYS"), std::f64::consts::E);
    let events = [at("2025-01-08T18:45:00Z")..at("2025-01-08T19:15:00Z")];
    for (now, wanted) in [
        ("2025-01-08T14:29:59Z", 1.0),
        ("2025-01-08T14:30:00Z", 1.0),
        ("2025-01-08T14:45:00Z", 1.0 / e),
        ("2025-01-08T17:45:00Z", (-13.0_f64).exp()),
        ("2025-01-08T20:45:00Z", 1.0 / e),
        ("2025-01-08T21:00:00Z", 1.0),
        ("2025-01-08T18:45:00Z", 1.0),
        ("2025-01-08T19:15:00Z", (-7.0_f64).exp()),
    ] {
        assert!((new_york.time_of_day_risk(at(now), &events) - wanted).abs() < 1e-12, "{now}");
    }
}

proptest! {
    /// Whatever the calendar and the instant: the parts agree with each other, and sessions follow one another.
    #[test]
    fn parts_agree(which in 0..CalendarName::COUNT, seconds in -9_000_000_000_i64..9_000_000_000) {
        let calendar = CalendarName::all().nth(which).unwrap().calendar();
        let now = Nanos(seconds * 1_000_000_000);
        let (open, next) = (calendar.session_at(now), calendar.current_or_next(now).unwrap());
        prop_assert_eq!(open, Some(next).filter(|session| session.contains(now)));
        prop_assert!(next.close > now && next.open < next.close);
        prop_assert!((0.0..=1.0).contains(&calendar.progress(now)));
        prop_assert!((0.0..=1.0).contains(&calendar.time_of_day_risk(now, &[])));
        prop_assert_eq!(calendar.hours_to_close(now) > 0.0, open.is_some());
        prop_assert!(!calendar.is_open(now) || open.is_some());
        let after = calendar.next_session(next.open).unwrap();
        prop_assert!(after.open >= next.close && after.id > next.id);
        prop_assert_eq!(calendar.last_opened(next.open), Some(next));
        prop_assert_eq!(calendar.session_on(next.id), Some(next));
        prop_assert_eq!(calendar.session_of_bar(next.open, next.close), next.id);
        prop_assert!(calendar.open_time_between(next.open, next.close) <= next.close.since(next.open));
        prop_assert!(calendar.due_after(now, HALF_HOUR) > now);
    }

    /// Promised bars add up: those until a bar, that bar, those after it.
    #[test]
    fn promised_bars_add_up(which in 1..CalendarName::COUNT, half_hours in 600_000_i64..1_000_000, first in 1_i64..400, second in 1_i64..400) {
        let calendar = CalendarName::all().nth(which).unwrap().calendar();
        let from = Nanos(half_hours * HALF_HOUR);
        let middle = Nanos(from.0 + first * HALF_HOUR);
        let to = Nanos(middle.0 + second * HALF_HOUR);
        let promised = calendar.bars_between(Nanos(middle.0 - HALF_HOUR), Nanos(middle.0 + HALF_HOUR), HALF_HOUR);
        let [whole, early, late] = [(from, to), (from, middle), (middle, to)].map(|(from, to)| calendar.bars_between(from, to, HALF_HOUR));
        prop_assert_eq!(whole, early + promised + late);
        prop_assert!(promised <= 1);
        prop_assert_eq!(calendar.bars_begun(from, to, HALF_HOUR), whole + 1);
    }
}
