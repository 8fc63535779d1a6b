//! Prints every session of every exchange from 1999 to 2030, for the comparison with an independent library
//! (`tests/oracles/test_calendars.py`).
//!
//! One session a line: name, date, then in seconds since 1970 open, begin and end of the pause (0 without one) and close,
//! then how many bars of 5, 30 and 60 minutes it promises.

use std::io::{BufWriter, Write, stdout};

use tradewind_core::calendar::{CalendarName, SessionId};
use tradewind_core::time::Nanos;

const SECOND: i64 = 1_000_000_000;
const INTERVALS: [i64; 3] = [300 * SECOND, 1_800 * SECOND, 3_600 * SECOND];
/// 1999-01-01 and 2030-12-31.
const DAYS: std::ops::RangeInclusive<i64> = 10_592..=22_279;

fn main() -> std::io::Result<()> {
    let mut out = BufWriter::new(stdout().lock());
    for name in CalendarName::EXCHANGES {
        let calendar = name.calendar();
        let mut newest = INTERVALS.map(|_| None);
        for session in DAYS.filter_map(|day| calendar.session_on(SessionId(day))) {
            let pause = session.pause.unwrap_or((Nanos(0), Nanos(0)));
            let [open, from, to, close] = [session.open, pause.0, pause.1, session.close].map(|at| at.0 / SECOND);
            write!(out, "{name} {} {open} {from} {to} {close}", session.id)?;
            for (interval, newest) in INTERVALS.into_iter().zip(&mut newest) {
                // The last bar of the session, and all that are promised between it and the one of the session before.
                let last = Nanos((session.close.0 - 1).div_euclid(interval) * interval + interval);
                let before = newest.replace(last).unwrap_or(Nanos(session.open.0.div_euclid(interval) * interval));
                write!(out, " {}", calendar.bars_between(before, last, interval) + 1)?;
            }
            writeln!(out)?;
        }
    }
    out.flush()
}
