//! Which session is open, was or comes.

use super::session::{Session, SessionId};
use super::table::Table;
use crate::time::{NANOS_PER_DAY, Nanos};

/// Days that are searched for a session: no exchange rests for longer.
const SEARCHED_DAYS: i64 = 400;

/// The sessions of one calendar; asking allocates nothing.
#[derive(Clone, Debug)]
pub struct Calendar(pub(super) Kind);

/// Where the sessions come from.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// One session a UTC day, without an end.
    AroundTheClock,
    /// Those of an exchange.
    Exchange(Table),
}

impl Calendar {
    pub(super) const AROUND_THE_CLOCK: Self = Self(Kind::AroundTheClock);

    /// The calendar of a file of `data/`. One that cannot be read is never open; tests read all of them.
    pub(super) fn of_file(text: &str) -> Self {
        Self(Kind::Exchange(Table::read(text).unwrap_or_else(|_| Table::never())))
    }

    /// The session of this name; `None` on a day without one.
    #[must_use]
    pub fn session_on(&self, id: SessionId) -> Option<Session> {
        match &self.0 {
            Kind::Exchange(table) => table.session_on(id),
            Kind::AroundTheClock => {
                let open = id.0.checked_mul(NANOS_PER_DAY)?;
                let close = Nanos(open.checked_add(NANOS_PER_DAY)?);
                Some(Session { id, open: Nanos(open), close, pause: None })
            }
        }
    }

    /// The session in which the instant lies, a pause at lunch included.
    #[must_use]
    pub fn session_at(&self, now: Nanos) -> Option<Session> {
        // A session that opens in the evening belongs to the day after.
        let today = self.day(now);
        (today..=today + 1).find_map(|day| self.session_on(SessionId(day)).filter(|session| session.contains(now)))
    }

    /// The market is open at this instant; at lunch it is not.
    #[must_use]
    pub fn is_open(&self, now: Nanos) -> bool {
        self.session_at(now).is_some_and(|session| session.is_open(now))
    }

    /// The session in which the instant lies, or the next one that opens.
    #[must_use]
    pub fn current_or_next(&self, now: Nanos) -> Option<Session> {
        let today = self.day(now);
        (today..today + SEARCHED_DAYS).find_map(|day| self.session_on(SessionId(day)).filter(|session| session.close > now))
    }

    /// The first session that opens after the instant.
    #[must_use]
    pub fn next_session(&self, now: Nanos) -> Option<Session> {
        let session = self.current_or_next(now)?;
        if session.open > now { Some(session) } else { self.current_or_next(session.close) }
    }

    /// The newest session that has opened: the one that is current for an account, also after its close.
    #[must_use]
    pub fn last_opened(&self, now: Nanos) -> Option<Session> {
        let last = self.day(now) + 1;
        (0..SEARCHED_DAYS).find_map(|back| self.session_on(SessionId(last - back)).filter(|session| session.open <= now))
    }

    /// The session to which a bar belongs: the last one that closes within `(open, close]` of the bar, as one of an
    /// exchange does in a bar of a day; else the newest that has opened before the bar closes, whether it is still open
    /// or not.
    ///
    /// So a bar belongs to the session that it is a part of, one that ends with the session too, one of after the close
    /// to the session that has closed, and a daily bar to the session of its day, whatever hour of UTC or of the
    /// exchange begins its day. Around the clock the close of the bar decides.
    #[must_use]
    pub fn session_of_bar(&self, open: Nanos, close: Nanos) -> SessionId {
        if matches!(self.0, Kind::AroundTheClock) {
            return SessionId::around_the_clock(close);
        }
        let end = Nanos(close.0.saturating_sub(1));
        let opened = self.last_opened(end);
        // When the newest opened in the bar and is still open at its end, the one before it may have closed in the bar.
        let within = opened.filter(|session| session.close > close && session.open > open);
        let ended = within.and_then(|session| self.before(session));
        let closed = ended.filter(|session| session.close > open);
        closed.or(opened).map_or(SessionId::around_the_clock(close), |session| session.id)
    }

    /// The session of the calendar's date at an instant.
    pub(super) fn session_today(&self, now: Nanos) -> Option<Session> {
        self.session_on(SessionId(self.day(now)))
    }

    /// The session before another one.
    fn before(&self, session: Session) -> Option<Session> {
        (1..SEARCHED_DAYS).find_map(|back| self.session_on(SessionId(session.id.0 - back)))
    }

    /// The calendar's date at an instant.
    fn day(&self, now: Nanos) -> i64 {
        match &self.0 {
            Kind::AroundTheClock => now.utc_day(),
            Kind::Exchange(table) => table.day(now),
        }
    }
}
