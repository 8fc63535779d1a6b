//! The bars that a calendar promises.
//!
//! Bars of less than a day end on the grid of UTC: at multiples of their interval since 1970. Such a bar is promised
//! when the market is open in any part of it. Recordings whose bars begin with the session instead (half past, of an
//! hour) are counted the same: a bar that ends up to half an interval beside the grid is the bar of its place.

use super::session::Session;
use super::sessions::{Calendar, Kind};
use crate::time::{NANOS_PER_DAY, Nanos};

impl Calendar {
    /// How many bars are promised between two bars that close at `from` and at `to`, neither of them counted: those
    /// that are missing when nothing came in between (ST-18).
    ///
    /// The close of a session, a night, a weekend, a holiday, a pause at lunch and a change of the clocks are no gaps.
    /// Bars of a day are promised one a session; longer ones, and all of a market that never closes, one an interval
    /// after the bar before. `interval` is in nanoseconds; none are promised when it is not above 0.
    #[must_use]
    pub fn bars_between(&self, from: Nanos, to: Nanos, interval: i64) -> u64 {
        if interval <= 0 || to <= from {
            return 0;
        }
        if matches!(self.0, Kind::AroundTheClock) || interval > NANOS_PER_DAY {
            let places = to.since(from).saturating_add(interval / 2) / interval;
            return u64::try_from(places.saturating_sub(1)).unwrap_or(0);
        }
        if interval == NANOS_PER_DAY {
            return self.sessions_between(from, to);
        }
        let half = interval / 2;
        self.ends_within(Nanos(from.0.saturating_add(half)), Nanos(to.0.saturating_sub(half)), interval)
    }

    /// How many bars of less than a day begin after a bar that closes at `close` and not later than `now`: 0 at the
    /// close, 1 until the end of the next promised bar. A faster signal has that distance from the bar (ST-42).
    #[must_use]
    pub fn bars_begun(&self, close: Nanos, now: Nanos, interval: i64) -> u64 {
        let elapsed = u64::try_from(now.since(close)).unwrap_or(0);
        let Some(length) = u64::try_from(interval).ok().filter(|length| *length > 0 && elapsed > 0) else { return 0 };
        match self.0 {
            Kind::AroundTheClock => elapsed.div_ceil(length),
            Kind::Exchange(_) => 1 + self.ends_within(Nanos(close.0.saturating_add(1)), now, interval),
        }
    }

    /// When the bar after one that closes at `close` is due, at the latest: an interval later while the market is open,
    /// else an interval after it opens again; a bar of a day or more a whole number of intervals later, with the next
    /// session that has closed by then.
    #[must_use]
    pub fn due_after(&self, close: Nanos, interval: i64) -> Nanos {
        let after = |at: Nanos| Nanos(at.0.saturating_add(interval.max(1)));
        if matches!(self.0, Kind::AroundTheClock) {
            return after(close);
        }
        let Some(session) = self.current_or_next(close) else { return after(close) };
        if interval >= NANOS_PER_DAY {
            // A session that closes up to two hours after the bar's hour belongs to it: clocks change, and bars that
            // are known with the close move with them.
            let distance = session.close.since(close);
            let intervals = distance.saturating_sub(NANOS_PER_DAY / 12).saturating_add(interval - 1) / interval;
            return Nanos(close.0.saturating_add(intervals.max(1).saturating_mul(interval))).max(session.close);
        }
        let (open, _) = session.stretches().find(|(_, end)| *end > close).unwrap_or((session.open, session.close));
        after(open.max(close))
    }

    /// How long the market was open between two instants, in nanoseconds; 0 when `to` is not later.
    #[must_use]
    pub fn open_time_between(&self, from: Nanos, to: Nanos) -> i64 {
        if matches!(self.0, Kind::AroundTheClock) {
            return to.since(from).max(0);
        }
        let mut open = 0_i64;
        self.each_session(from, to, |session| {
            let part = |(begin, end): (Nanos, Nanos)| end.min(to).since(begin.max(from)).max(0);
            open = open.saturating_add(session.stretches().map(part).sum());
        });
        open
    }

    /// Sessions strictly between those of two bars of a day.
    fn sessions_between(&self, from: Nanos, to: Nanos) -> u64 {
        let session = |close: Nanos| self.session_of_bar(Nanos(close.0.saturating_sub(NANOS_PER_DAY)), close);
        let (first, last) = (session(from), session(to));
        let mut count = 0;
        self.each_session(Nanos(from.0.saturating_sub(NANOS_PER_DAY)), to, |session| {
            count += u64::from(first < session.id && session.id < last);
        });
        count
    }

    /// Promised bars that end within `[from, to)`.
    fn ends_within(&self, from: Nanos, to: Nanos, interval: i64) -> u64 {
        let mut count = 0;
        // Numbers of the ends, in intervals since 1970: the first and the one after the last that are wanted.
        let (mut first, beyond) = (ceil(from.0, interval), ceil(to.0, interval));
        self.each_session(Nanos(from.0.saturating_sub(interval)), to, |session| {
            for (begin, end) in session.stretches() {
                let opens = begin.0.div_euclid(interval) + 1;
                let (least, most) = (opens.max(first), ceil(end.0, interval).min(beyond - 1));
                if least <= most {
                    count += most.abs_diff(least) + 1;
                    // A bar in which the market closes and opens again is one bar.
                    first = most + 1;
                }
            }
        });
        count
    }

    /// Every session that is open at some instant of `[from, to)`, in order.
    fn each_session(&self, from: Nanos, to: Nanos, mut act: impl FnMut(&Session)) {
        let mut next = self.current_or_next(from);
        while let Some(session) = next.filter(|session| session.open < to) {
            act(&session);
            next = self.current_or_next(session.close);
        }
    }
}

/// How many intervals it takes to reach an instant, rounded up.
const fn ceil(at: i64, interval: i64) -> i64 {
    at.div_euclid(interval) + (at.rem_euclid(interval) > 0) as i64
}
