//! Hours of one exchange, day by day, read from a file of `data/`.
//!
//! A file has one record a line, fields separated by commas, dates and times separated by blanks:
//! `zone,<IANA name>`; `known,<first day>,<last day>`; `hours,<first day>,<days of the week, Monday 1>,<hours>`, from
//! that day on; `special,<hours>,<days>`; `closed,<year>,<days as month-day>`. Hours are `09:30-16:00`, or
//! `09:00-11:30 12:30-15:00` around a pause; what opens at or after the time at which it closes opens on the day
//! before. Lines that begin with `#` say where the file comes from.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

use super::session::{Session, SessionId};
use crate::time::Nanos;

const SECONDS_PER_DAY: i64 = 86_400;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("calendar, line {line}: '{text}' is no {wanted}")]
pub(super) struct TableError {
    /// Line, from 1; 0 when a record is missing.
    line: usize,
    text: String,
    wanted: &'static str,
}

/// Hours of a day in seconds of the exchange's wall clock; an opening on the day before is negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hours {
    open: i64,
    pause: Option<(i64, i64)>,
    close: i64,
}

/// Hours of the days of the week from one day on.
#[derive(Clone, Copy, Debug)]
struct Usual {
    from: i64,
    /// Monday first.
    weekdays: [bool; 7],
    hours: Hours,
}

/// Hours of one exchange. Outside of the days that the file knows the usual hours hold, without holidays.
#[derive(Clone, Debug)]
pub(super) struct Table {
    zone: TimeZone,
    /// Ascending, at least one.
    usual: Vec<Usual>,
    /// Ascending.
    special: Vec<(i64, Hours)>,
    /// Ascending.
    closed: Vec<i64>,
}

impl Table {
    /// An exchange that is never open: what a damaged file stands for, so that it opens nothing.
    pub(super) const fn never() -> Self {
        Self { zone: TimeZone::UTC, usual: Vec::new(), special: Vec::new(), closed: Vec::new() }
    }

    /// Reads a file.
    pub(super) fn read(text: &str) -> Result<Self, TableError> {
        let mut zone = None;
        let mut table = Self::never();
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.starts_with('#')) {
            let wrong = |wanted| move || TableError { line: number, text: line.to_owned(), wanted };
            let (kind, rest) = line.split_once(',').ok_or_else(wrong("record"))?;
            match kind {
                "zone" => zone = Some(TimeZoneDatabase::bundled().get(rest).map_err(|_| wrong("time zone")())?),
                "known" => drop(known(rest).ok_or_else(wrong("range of days"))?),
                "hours" => table.usual.push(usual(rest).ok_or_else(wrong("hours of a week"))?),
                "special" => table.special.extend(special(rest).ok_or_else(wrong("hours of some days"))?),
                "closed" => table.closed.extend(closed(rest).ok_or_else(wrong("days of a year"))?),
                _ => return Err(wrong("kind of record")()),
            }
        }
        let missing = |wanted| move || TableError { line: 0, text: String::new(), wanted };
        table.zone = zone.ok_or_else(missing("time zone"))?;
        table.usual.sort_unstable_by_key(|usual| usual.from);
        table.special.sort_unstable_by_key(|(day, _)| *day);
        table.closed.sort_unstable();
        if table.usual.is_empty() { Err(missing("hours of a week")()) } else { Ok(table) }
    }

    /// The session of a day; `None` on a day without one.
    pub(super) fn session_on(&self, id: SessionId) -> Option<Session> {
        let hours = self.hours(id.0)?;
        let (open, close) = (self.instant(id.0, hours.open)?, self.instant(id.0, hours.close)?);
        let pause = match hours.pause {
            None => None,
            Some((from, to)) => Some((self.instant(id.0, from)?, self.instant(id.0, to)?)),
        };
        let pause = pause.filter(|(from, to)| open < *from && from < to && *to < close);
        // A change of the clocks may swallow a session that is shorter than the change.
        (open < close).then_some(Session { id, open, close, pause })
    }

    /// The exchange's date at an instant, as days since 1970-01-01.
    pub(super) fn day(&self, now: Nanos) -> i64 {
        let second = now.0.div_euclid(NANOS_PER_SECOND);
        let offset = Timestamp::from_second(second).map_or(0, |at| i64::from(self.zone.to_offset(at).seconds()));
        (second + offset).div_euclid(SECONDS_PER_DAY)
    }

    fn hours(&self, day: i64) -> Option<Hours> {
        if self.closed.binary_search(&day).is_ok() {
            return None;
        }
        if let Ok(at) = self.special.binary_search_by_key(&day, |(special, _)| *special) {
            return Some(self.special[at].1);
        }
        let at = self.usual.partition_point(|usual| usual.from <= day).saturating_sub(1);
        let usual = self.usual.get(at)?;
        usual.weekdays[weekday(day)].then_some(usual.hours)
    }

    /// The instant at which the exchange's clock shows this time. A time that is skipped in spring counts as an hour
    /// later, of a time that comes twice in autumn the first one counts.
    fn instant(&self, day: i64, second: i64) -> Option<Nanos> {
        let shown = day.checked_mul(SECONDS_PER_DAY)?.checked_add(second)?;
        let shown = Offset::UTC.to_datetime(Timestamp::from_second(shown).ok()?);
        let instant = self.zone.to_ambiguous_timestamp(shown).compatible().ok()?;
        instant.as_second().checked_mul(NANOS_PER_SECOND).map(Nanos)
    }
}

/// Monday 0 to Sunday 6. Day 0 was a Thursday.
fn weekday(day: i64) -> usize {
    usize::try_from((day + 3).rem_euclid(7)).unwrap_or(0)
}

fn day(text: &str) -> Option<i64> {
    let date: Date = text.parse().ok()?;
    Some(Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?.as_second().div_euclid(SECONDS_PER_DAY))
}

fn known(text: &str) -> Option<[i64; 2]> {
    let (first, last) = text.split_once(',')?;
    let (first, last) = (day(first)?, day(last)?);
    (first <= last).then_some([first, last])
}

fn usual(text: &str) -> Option<Usual> {
    let mut fields = text.splitn(3, ',');
    let from = day(fields.next()?)?;
    let mut weekdays = [false; 7];
    for digit in fields.next()?.chars() {
        let at = usize::try_from(digit.to_digit(10)?).ok()?.checked_sub(1)?;
        *weekdays.get_mut(at)? = true;
    }
    Some(Usual { from, weekdays, hours: hours(fields.next()?)? })
}

fn special(text: &str) -> Option<Vec<(i64, Hours)>> {
    let (own, days) = text.split_once(',')?;
    let own = hours(own)?;
    days.split(' ').map(|text| Some((day(text)?, own))).collect()
}

fn closed(text: &str) -> Option<Vec<i64>> {
    let (year, days) = text.split_once(',')?;
    days.split(' ').map(|text| day(&format!("{year}-{text}"))).collect()
}

fn hours(text: &str) -> Option<Hours> {
    let range = |text: &str| text.split_once('-').and_then(|(from, to)| Some((time(from)?, time(to)?)));
    match text.split_once(' ') {
        None => {
            let (open, close) = range(text)?;
            let open = if open < close { open } else { open - SECONDS_PER_DAY };
            Some(Hours { open, pause: None, close })
        }
        Some((first, second)) => {
            let ((open, from), (to, close)) = (range(first)?, range(second)?);
            (open < from && from < to && to < close).then_some(Hours { open, pause: Some((from, to)), close })
        }
    }
}

/// Seconds of `HH:MM` or `HH:MM:SS`, up to `24:00`.
fn time(text: &str) -> Option<i64> {
    let mut parts = text.split(':').map(|part| (part.len() == 2).then(|| part.parse::<u32>().ok()).flatten());
    let (hours, minutes) = (parts.next()??, parts.next()??);
    let seconds = parts.next().unwrap_or(Some(0))?;
    let total = i64::from(hours) * 3600 + i64::from(minutes) * 60 + i64::from(seconds);
    (parts.next().is_none() && minutes < 60 && seconds < 60 && total <= SECONDS_PER_DAY).then_some(total)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    /// A file that is not one is refused with the line, and a calendar that could not be read is never open.
    #[test]
    fn damaged_files_are_named() {
        let refused = |text: &str| Table::read(text).unwrap_err().to_string();
        for (text, wanted) in [
            ("", "line 0: '' is no time zone"),
            ("zone,Mars/Olympus", "line 1: 'zone,Mars/Olympus' is no time zone"),
            ("zone,UTC", "is no hours of a week"),
            ("zone,UTC\nhours,1999-01-01,128,09:00-10:00", "line 2: 'hours,1999-01-01,128,09:00-10:00' is no hours of a week"),
            ("# x\nhours,1999-01-01,1,9:00-10:00", "line 2"),
            ("hours,1999-01-01,1,09:00-12:00 11:00-13:00", "is no hours of a week"),
            ("hours,1999-01-01,1,09:60-12:00", "is no hours of a week"),
            ("special,09:00-24:01,1999-01-04", "is no hours of some days"),
            ("special,09:00-10:00,1999-02-29", "is no hours of some days"),
            ("closed,1999,02-29", "is no days of a year"),
            ("known,2000-01-01,1999-01-01", "is no range of days"),
            ("holiday,1999-01-01", "is no kind of record"),
            ("nothing", "is no record"),
        ] {
            assert!(refused(text).contains(wanted), "{}", refused(text));
        }
        assert_eq!(Table::never().session_on(SessionId(10_000)), None);
    }

    /// Outside of the days that a file knows the nearest usual hours hold.
    #[test]
    fn usual_hours_hold_before_and_after() {
        let table = Table::read("zone,UTC\nhours,2000-01-03,12345,09:00-10:00\nhours,2000-02-01,12345,09:00-11:00").unwrap();
        let hours = |date: &str| {
            let session = table.session_on(SessionId(day(date).unwrap()))?;
            Some((session.close.0 - session.open.0) / (3600 * NANOS_PER_SECOND))
        };
        assert_eq!(["1970-01-01", "2000-01-31", "2000-02-01", "2199-12-31"].map(hours), [Some(1), Some(1), Some(2), Some(2)]);
        assert_eq!(["2000-02-05", "1969-12-28"].map(hours), [None, None], "weekends");
    }

    /// A time that the clocks skip counts an hour later; one that comes twice counts the first time.
    #[test]
    fn times_that_do_not_exist_or_exist_twice() {
        let table = Table::read("zone,America/New_York\nhours,1999-01-01,7,01:30-02:30").unwrap();
        let on = |date: &str| {
            let session = table.session_on(SessionId(day(date).unwrap())).unwrap();
            [session.open, session.close].map(|at| Timestamp::from_nanosecond(i128::from(at.0)).unwrap().to_string())
        };
        assert_eq!(on("2025-03-02"), ["2025-03-02T06:30:00Z", "2025-03-02T07:30:00Z"]);
        assert_eq!(on("2025-03-09"), ["2025-03-09T06:30:00Z", "2025-03-09T07:30:00Z"], "02:30 is 03:30");
        assert_eq!(on("2025-11-02"), ["2025-11-02T05:30:00Z", "2025-11-02T07:30:00Z"], "the first 01:30");
    }
}
