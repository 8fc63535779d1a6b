//! Trading sessions of an instrument, in the time zone of its exchange.
//!
//! Everything is a function of an instant: no clock is read, and the time zones come from the database inside the
//! binary, so that every machine knows the same ones.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

use crate::time::Nanos;

/// Seconds in a day of 24 hours.
const SECONDS_PER_DAY: u32 = 86_400;
/// Days that are searched for the next session: no exchange rests for longer.
const SEARCHED_DAYS: u32 = 400;
const NANOS_PER_MINUTE: f64 = 6e10;
const NANOS_PER_HOUR: f64 = 3.6e12;
/// Minutes in which the risk of the open and of the close falls to 1/e (RK-12).
const RISK_MINUTES: f64 = 15.0;

/// A time of day as the exchange's wall clock shows it, `HH:MM` or `HH:MM:SS`, from `00:00` to `24:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DayTime(u32);

/// Why a text is no time of day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no time of day: write HH:MM or HH:MM:SS, from 00:00 to 24:00")]
pub struct DayTimeError(String);

impl TryFrom<String> for DayTime {
    type Error = DayTimeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let part = |part: &str, most: u32| {
            let fine = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse::<u32>().ok().filter(|value| fine && *value <= most)
        };
        let read = || {
            let mut parts = text.split(':');
            let (hours, minutes) = (part(parts.next()?, 24)?, part(parts.next()?, 59)?);
            let seconds = parts.next().map_or(Some(0), |seconds| part(seconds, 59))?;
            let total = hours * 3600 + minutes * 60 + seconds;
            (parts.next().is_none() && total <= SECONDS_PER_DAY).then_some(Self(total))
        };
        read().ok_or_else(|| DayTimeError(text.clone()))
    }
}

impl From<DayTime> for String {
    fn from(time: DayTime) -> Self {
        let (hours, minutes, seconds) = (time.0 / 3600, time.0 / 60 % 60, time.0 % 60);
        if seconds == 0 { format!("{hours:02}:{minutes:02}") } else { format!("{hours:02}:{minutes:02}:{seconds:02}") }
    }
}

/// Days of the week, as configurations name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Day {
    const fn index(self) -> usize {
        self as usize
    }
}

/// Hours of the sessions of some days of the week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WeeklyHours {
    /// Days on which the sessions close; no day may be in two lists.
    pub days: Vec<Day>,
    /// When they open. At or after `close`: on the day before.
    pub open: DayTime,
    /// When they close, `24:00` for the end of the day.
    pub close: DayTime,
}

/// One day with other hours than its weekday.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SpecialDay {
    /// The day on which the session closes, `YYYY-MM-DD`.
    pub date: Date,
    /// When it opens; as usual if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<DayTime>,
    /// When it closes; as usual if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close: Option<DayTime>,
}

/// A time of raised risk (RK-12), for example a central bank's announcement: `[from, to)`, RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventWindow {
    /// First instant.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
}

/// Sessions of an instrument (EX-8, RK-18). The default is the one of EX-8.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SessionConfig {
    /// IANA name of the exchange's time zone.
    pub time_zone: String,
    /// Hours by day of the week; a day that is not listed has no session.
    pub hours: Vec<WeeklyHours>,
    /// Days without a session, `YYYY-MM-DD`.
    pub holidays: Vec<Date>,
    /// Half days and other exceptions.
    pub special_days: Vec<SpecialDay>,
    /// Times of raised risk.
    pub events: Vec<EventWindow>,
}

impl Default for SessionConfig {
    fn default() -> Self {
        use Day::{Friday, Monday, Thursday, Tuesday, Wednesday};
        let days = vec![Monday, Tuesday, Wednesday, Thursday, Friday];
        let hours = WeeklyHours { days, open: DayTime(34_200), close: DayTime(57_600) };
        Self {
            time_zone: "America/New_York".to_owned(),
            hours: vec![hours],
            holidays: Vec::new(),
            special_days: Vec::new(),
            events: Vec::new(),
        }
    }
}

/// What is wrong with a configuration, all of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sessions: {}", .0.join("; "))]
pub struct SessionConfigError(pub Vec<String>);

/// One session: open at `open`, closed at `close`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The trading day: the exchange's date at the close.
    pub date: Date,
    /// First instant.
    pub open: Nanos,
    /// First instant after it.
    pub close: Nanos,
}

impl Session {
    /// The session is open at this instant.
    #[must_use]
    pub fn contains(&self, now: Nanos) -> bool {
        (self.open..self.close).contains(&now)
    }
}

/// Opening and closing time of a day.
type Hours = (DayTime, DayTime);

/// The sessions of one instrument; asking allocates nothing.
#[derive(Clone, Debug)]
pub struct SessionCalendar {
    zone: TimeZone,
    week: [Option<Hours>; 7],
    /// Ascending.
    holidays: Vec<Date>,
    /// Ascending by date.
    special_days: Vec<(Date, Hours)>,
    /// Ascending by begin.
    events: Vec<(Nanos, Nanos)>,
}

impl SessionCalendar {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`SessionConfigError`] with every violation.
    pub fn new(config: &SessionConfig) -> Result<Self, SessionConfigError> {
        let mut found = Vec::new();
        let zone = TimeZoneDatabase::bundled().get(&config.time_zone).unwrap_or_else(|_| {
            found.push(format!("timeZone is '{}', use an IANA name such as America/New_York", config.time_zone));
            TimeZone::UTC
        });
        let week = week(&config.hours, &mut found);
        let mut holidays = config.holidays.clone();
        holidays.sort_unstable();
        let mut special_days = Vec::new();
        let mut dates: BTreeSet<Date> = holidays.iter().copied().collect();
        for day in &config.special_days {
            if !dates.insert(day.date) {
                found.push(format!("specialDays: {} is listed twice or is a holiday", day.date));
            }
            let usual = week[weekday(day.date)];
            match (day.open.or(usual.map(|hours| hours.0)), day.close.or(usual.map(|hours| hours.1))) {
                (Some(open), Some(close)) => special_days.push((day.date, (open, close))),
                _ => found.push(format!("specialDays: {} has no usual hours, give it open and close", day.date)),
            }
        }
        special_days.sort_unstable_by_key(|(date, _)| *date);
        let mut events = Vec::new();
        for event in &config.events {
            match (instant(event.from), instant(event.to)) {
                (Some(from), Some(to)) if from < to => events.push((from, to)),
                _ => {
                    found.push(format!("events: {} to {} is no time between 1678 and 2261 that ends later", event.from, event.to))
                }
            }
        }
        events.sort_unstable();
        if found.is_empty() { Ok(Self { zone, week, holidays, special_days, events }) } else { Err(SessionConfigError(found)) }
    }

    /// The session that is open at this instant.
    #[must_use]
    pub fn session_at(&self, now: Nanos) -> Option<Session> {
        let today = self.local(now)?.date();
        // A session that opens in the evening belongs to the day after.
        [Some(today), today.tomorrow().ok()]
            .into_iter()
            .flatten()
            .find_map(|date| self.session_on(date).filter(|s| s.contains(now)))
    }

    /// The session of a trading day.
    #[must_use]
    pub fn session_on(&self, date: Date) -> Option<Session> {
        let (open, close) = self.hours(date)?;
        let opened_on = if open < close { date } else { date.yesterday().ok()? };
        let session = Session { date, open: self.instant(opened_on, open)?, close: self.instant(date, close)? };
        // A change of the clocks may swallow a session that is shorter than the change.
        (session.open < session.close).then_some(session)
    }

    /// The session that is open, or the next one that opens.
    #[must_use]
    pub fn current_or_next(&self, now: Nanos) -> Option<Session> {
        let mut date = self.local(now)?.date();
        for _ in 0..SEARCHED_DAYS {
            if let Some(session) = self.session_on(date).filter(|session| session.close > now) {
                return Some(session);
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    /// EX-8: how much of the session has passed, 0 to 1. Between sessions it is that of the exchange's calendar day:
    /// 0 before the open and on days without a session, 1 after the close.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn progress(&self, now: Nanos) -> f64 {
        let today = || self.session_on(self.local(now)?.date());
        let Some(session) = self.session_at(now).or_else(today) else { return 0.0 };
        (now.since(session.open) as f64 / session.close.since(session.open) as f64).clamp(0.0, 1.0)
    }

    /// RK-12: risk of the time of day, 0 to 1: highest at the open, at the close, outside of sessions and in event windows.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn time_of_day_risk(&self, now: Nanos) -> f64 {
        let Some(session) = self.session_at(now) else { return 1.0 };
        if self.events.iter().any(|(from, to)| (*from..*to).contains(&now)) {
            return 1.0;
        }
        let risk = |nanos: i64| libm::exp(-(nanos as f64 / NANOS_PER_MINUTE) / RISK_MINUTES);
        risk(now.since(session.open)).max(risk(session.close.since(now)))
    }

    /// Hours until the open session closes; 0 between sessions (RK-25).
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn hours_to_close(&self, now: Nanos) -> f64 {
        self.session_at(now).map_or(0.0, |session| session.close.since(now) as f64 / NANOS_PER_HOUR)
    }

    fn hours(&self, date: Date) -> Option<Hours> {
        if self.holidays.binary_search(&date).is_ok() {
            return None;
        }
        match self.special_days.binary_search_by_key(&date, |(special, _)| *special) {
            Ok(at) => Some(self.special_days[at].1),
            Err(_) => self.week[weekday(date)],
        }
    }

    fn local(&self, now: Nanos) -> Option<DateTime> {
        let timestamp = Timestamp::from_nanosecond(i128::from(now.0)).ok()?;
        Some(self.zone.to_datetime(timestamp))
    }

    /// The instant at which the exchange's clock shows this time. A time that is skipped in spring counts as an hour
    /// later, of a time that comes twice in autumn the first one counts.
    fn instant(&self, date: Date, time: DayTime) -> Option<Nanos> {
        let date = if time.0 == SECONDS_PER_DAY { date.tomorrow().ok()? } else { date };
        let seconds = time.0 % SECONDS_PER_DAY;
        let part = |value: u32| i8::try_from(value).ok();
        let at = date.at(part(seconds / 3600)?, part(seconds / 60 % 60)?, part(seconds % 60)?, 0);
        instant(self.zone.to_ambiguous_timestamp(at).compatible().ok()?)
    }
}

fn week(hours: &[WeeklyHours], found: &mut Vec<String>) -> [Option<Hours>; 7] {
    let mut week = [None; 7];
    for entry in hours {
        for day in &entry.days {
            if week[day.index()].replace((entry.open, entry.close)).is_some() {
                found.push(format!("hours: {day:?} is listed twice"));
            }
        }
    }
    if week.iter().all(Option::is_none) {
        found.push("hours: no day has a session, list at least one".to_owned());
    }
    week
}

/// Monday 0 to Sunday 6.
fn weekday(date: Date) -> usize {
    usize::from(date.weekday().to_monday_zero_offset().unsigned_abs())
}

fn instant(timestamp: Timestamp) -> Option<Nanos> {
    i64::try_from(timestamp.as_nanosecond()).ok().map(Nanos)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]
    use super::*;

    fn calendar(json: &str) -> SessionCalendar {
        SessionCalendar::new(&serde_json::from_str(json).unwrap()).unwrap()
    }

    fn at(text: &str) -> Nanos {
        instant(text.parse().unwrap()).unwrap()
    }

    fn text(nanos: Nanos) -> String {
        Timestamp::from_nanosecond(i128::from(nanos.0)).unwrap().to_string()
    }

    /// Opening and closing instant of the session that is open or comes next.
    fn session(calendar: &SessionCalendar, now: &str) -> [String; 2] {
        let session = calendar.current_or_next(at(now)).unwrap();
        [text(session.open), text(session.close)]
    }

    const NEW_YORK: &str = r#"{
        "holidays": ["2025-07-04"],
        "specialDays": [{"date": "2025-07-03", "close": "13:00"}, {"date": "2025-11-28", "close": "13:00"}]
    }"#;

    /// EX-8: 23,400 seconds, from the open to the close, in the exchange's time all year round.
    #[test]
    fn progress_of_the_default_session() {
        let calendar = SessionCalendar::new(&SessionConfig::default()).unwrap();
        for (now, wanted) in [
            ("2025-01-08T14:29:59Z", 0.0),
            ("2025-01-08T14:30:00Z", 0.0),
            ("2025-01-08T16:07:30Z", 0.25),
            ("2025-01-08T20:59:59.999Z", 1.0 - 0.001 / 23_400.0),
            ("2025-01-08T23:00:00Z", 1.0),
            ("2025-07-09T13:30:00Z", 0.0),
            ("2025-07-09T16:45:00Z", 0.5),
            ("2025-07-12T16:45:00Z", 0.0),
        ] {
            assert!((calendar.progress(at(now)) - wanted).abs() < 1e-12, "{now}: {}", calendar.progress(at(now)));
        }
        assert_eq!(calendar.hours_to_close(at("2025-07-09T16:45:00Z")), 3.25);
        assert_eq!(calendar.hours_to_close(at("2025-07-12T16:45:00Z")), 0.0);
    }

    /// EX-8, C-6: the wall clock rules, so an open moves by an hour in UTC when the clocks change.
    #[test]
    fn sessions_follow_the_clocks_of_the_exchange() {
        let calendar = calendar(NEW_YORK);
        for (now, open, close) in [
            ("2025-03-07T12:00:00Z", "2025-03-07T14:30:00Z", "2025-03-07T21:00:00Z"),
            ("2025-03-07T21:00:00Z", "2025-03-10T13:30:00Z", "2025-03-10T20:00:00Z"),
            ("2025-10-31T19:59:59Z", "2025-10-31T13:30:00Z", "2025-10-31T20:00:00Z"),
            ("2025-11-01T12:00:00Z", "2025-11-03T14:30:00Z", "2025-11-03T21:00:00Z"),
        ] {
            assert_eq!(session(&calendar, now), [open, close], "{now}");
        }
    }

    /// Holidays have no session, half days a short one.
    #[test]
    fn holidays_and_half_days() {
        let calendar = calendar(NEW_YORK);
        assert_eq!(session(&calendar, "2025-07-03T16:00:00Z"), ["2025-07-03T13:30:00Z", "2025-07-03T17:00:00Z"]);
        assert_eq!(calendar.session_at(at("2025-07-03T17:00:00Z")), None, "closed at 13:00");
        assert_eq!(calendar.progress(at("2025-07-03T17:00:00Z")), 1.0);
        assert_eq!(calendar.session_at(at("2025-07-04T15:00:00Z")), None, "a holiday");
        assert_eq!(
            (calendar.progress(at("2025-07-04T15:00:00Z")), calendar.time_of_day_risk(at("2025-07-04T15:00:00Z"))),
            (0.0, 1.0)
        );
        assert_eq!(session(&calendar, "2025-07-03T17:00:00Z"), ["2025-07-07T13:30:00Z", "2025-07-07T20:00:00Z"]);
    }

    /// A session that opens in the evening belongs to the day on which it closes; Sunday evening is Monday's.
    #[test]
    fn overnight_sessions() {
        let futures = calendar(
            r#"{"timeZone": "America/Chicago",
                "hours": [{"days": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"], "open": "17:00", "close": "16:00"}]}"#,
        );
        assert_eq!(futures.session_at(at("2025-01-05T22:59:59Z")), None);
        let monday = futures.session_at(at("2025-01-05T23:00:00Z")).unwrap();
        assert_eq!((monday.date.to_string(), text(monday.close)), ("2025-01-06".to_owned(), "2025-01-06T22:00:00Z".to_owned()));
        assert_eq!(futures.session_at(at("2025-01-06T22:30:00Z")), None, "the daily break");
        assert_eq!(futures.progress(at("2025-01-06T22:30:00Z")), 1.0);
        assert_eq!(futures.session_at(at("2025-01-10T23:30:00Z")), None, "the weekend");
        // The night of the change is an hour short in spring and an hour long in autumn.
        let hours = |date: Date| {
            let session = futures.session_on(date).unwrap();
            session.close.since(session.open) / 3_600_000_000_000
        };
        assert_eq!([hours("2025-03-07".parse().unwrap()), hours("2025-03-10".parse().unwrap())], [23, 23]);
        let sunday =
            calendar(r#"{"timeZone": "America/Chicago", "hours": [{"days": ["Sunday"], "open": "00:00", "close": "24:00"}]}"#);
        let length = |date: &str| {
            let session = sunday.session_on(date.parse().unwrap()).unwrap();
            session.close.since(session.open) / 3_600_000_000_000
        };
        assert_eq!([length("2025-03-02"), length("2025-03-09"), length("2025-11-02")], [24, 23, 25]);
    }

    /// Around the clock there is always a session, and it is the UTC day.
    #[test]
    fn around_the_clock() {
        let days = r#"["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]"#;
        let always =
            calendar(&format!(r#"{{"timeZone": "UTC", "hours": [{{"days": {days}, "open": "00:00", "close": "24:00"}}]}}"#));
        for now in [0, 1, 86_399_999_999_999, 86_400_000_000_000, -1, i64::MAX - 86_400_000_000_000] {
            let session = always.session_at(Nanos(now)).unwrap();
            assert_eq!(session.close.since(session.open), 86_400_000_000_000);
            assert!(session.contains(Nanos(now)));
        }
        assert_eq!(always.progress(Nanos(21_600_000_000_000)), 0.25);
        for instant in [i64::MIN, i64::MAX] {
            assert!((0.0..=1.0).contains(&always.progress(Nanos(instant))), "the end of time is no panic");
        }
    }

    /// RK-12: 1 at the borders and outside, 1/e a quarter of an hour from them, 1 in event windows.
    #[test]
    fn risk_of_the_time_of_day() {
        let calendar = calendar(r#"{"events": [{"from": "2025-01-08T18:45:00Z", "to": "2025-01-08T19:15:00Z"}]}"#);
        let e = std::f64::consts::E;
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
            assert!((calendar.time_of_day_risk(at(now)) - wanted).abs() < 1e-12, "{now}");
        }
    }

    /// A time that the clocks skip counts an hour later; one that comes twice counts the first time.
    #[test]
    fn times_that_do_not_exist_or_exist_twice() {
        let night = calendar(r#"{"hours": [{"days": ["Sunday"], "open": "01:30", "close": "02:30"}]}"#);
        let on = |date: &str| {
            let session = night.session_on(date.parse().unwrap()).unwrap();
            [text(session.open), text(session.close)]
        };
        assert_eq!(on("2025-03-02"), ["2025-03-02T06:30:00Z", "2025-03-02T07:30:00Z"]);
        assert_eq!(on("2025-03-09"), ["2025-03-09T06:30:00Z", "2025-03-09T07:30:00Z"], "02:30 is 03:30");
        assert_eq!(on("2025-11-02"), ["2025-11-02T05:30:00Z", "2025-11-02T07:30:00Z"], "the first 01:30");
    }

    /// Every fault is named, and unknown keys are refused.
    #[test]
    fn every_violation_is_listed() {
        let config: SessionConfig = serde_json::from_str(
            r#"{"timeZone": "Mars/Olympus",
                "hours": [{"days": ["Monday", "Monday"], "open": "09:30", "close": "16:00"}],
                "holidays": ["2025-12-25"],
                "specialDays": [{"date": "2025-12-25", "close": "13:00"}, {"date": "2025-12-27", "close": "13:00"}],
                "events": [{"from": "2025-01-08T19:15:00Z", "to": "2025-01-08T18:45:00Z"}]}"#,
        )
        .unwrap();
        let SessionConfigError(found) = SessionCalendar::new(&config).unwrap_err();
        let wanted = [
            "timeZone is 'Mars/Olympus'",
            "hours: Monday",
            "2025-12-25 is listed twice",
            "2025-12-25 has no",
            "2025-12-27 has no",
            "events: ",
        ];
        assert_eq!(found.len(), wanted.len(), "{found:?}");
        found.iter().zip(wanted).for_each(|(line, wanted)| assert!(line.contains(wanted), "{line}"));
        for wrong in ["9:30", "24:01", "12:60", "12:30:", "12:30:00:00", "noon", "+1:30"] {
            assert_eq!(DayTime::try_from(wrong.to_owned()).unwrap_err(), DayTimeError(wrong.to_owned()));
        }
        assert!(serde_json::from_str::<SessionConfig>(r#"{"zone": "UTC"}"#).is_err());
        let empty: SessionConfig = serde_json::from_str(r#"{"hours": []}"#).unwrap();
        assert!(SessionCalendar::new(&empty).unwrap_err().to_string().contains("no day has a session"));
    }

    proptest::proptest! {
        /// Whatever the instant: the parts agree with each other, and sessions never overlap.
        #[test]
        fn parts_agree(seconds in -9_000_000_000_i64..9_000_000_000) {
            let calendar = calendar(NEW_YORK);
            let now = Nanos(seconds * 1_000_000_000);
            let (open, next) = (calendar.session_at(now), calendar.current_or_next(now).unwrap());
            proptest::prop_assert_eq!(open, Some(next).filter(|session| session.contains(now)));
            proptest::prop_assert!(next.close > now && next.open < next.close);
            proptest::prop_assert!((0.0..=1.0).contains(&calendar.progress(now)));
            proptest::prop_assert!((0.0..=1.0).contains(&calendar.time_of_day_risk(now)));
            proptest::prop_assert_eq!(calendar.hours_to_close(now) > 0.0, open.is_some());
            let after = calendar.current_or_next(next.close).unwrap();
            proptest::prop_assert!(after.open >= next.close);
        }
    }
}
