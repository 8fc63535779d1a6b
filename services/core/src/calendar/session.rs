//! One session and its name.

use jiff::Timestamp;
use jiff::tz::Offset;
use serde::{Deserialize, Serialize};

use crate::time::{NANOS_PER_DAY, Nanos};

/// Which session of a calendar: the exchange's date at its close, as days since 1970-01-01.
///
/// Later sessions have larger ids; ids of days without a session do not occur. Around the clock it is the UTC day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub i64);

impl SessionId {
    /// Session around the clock of a bar that closes at this instant. A bar that closes at midnight UTC belongs to the
    /// day that ends.
    #[must_use]
    pub const fn around_the_clock(close: Nanos) -> Self {
        Self(close.0.saturating_sub(1).div_euclid(NANOS_PER_DAY))
    }
}

/// As a date, `YYYY-MM-DD`.
impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.checked_mul(86_400).and_then(|second| Timestamp::from_second(second).ok()) {
            Some(midnight) => write!(f, "{}", Offset::UTC.to_datetime(midnight).date()),
            None => write!(f, "day {}", self.0),
        }
    }
}

/// One session: open at `open`, closed at `close`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Which one.
    pub id: SessionId,
    /// First instant.
    pub open: Nanos,
    /// First instant after it.
    pub close: Nanos,
    /// First instant of the pause at lunch and first instant after it, where the exchange has one; within the session.
    pub pause: Option<(Nanos, Nanos)>,
}

impl Session {
    /// The instant lies in the session; its pause is a part of it.
    #[must_use]
    pub fn contains(&self, now: Nanos) -> bool {
        (self.open..self.close).contains(&now)
    }

    /// The market is open at this instant: in the session and not in its pause.
    #[must_use]
    pub fn is_open(&self, now: Nanos) -> bool {
        self.contains(now) && self.pause.is_none_or(|(from, to)| !(from..to).contains(&now))
    }

    /// Stretches of open market, first instant and first instant after it: one, or two around a pause.
    pub fn stretches(&self) -> impl Iterator<Item = (Nanos, Nanos)> {
        let (first, second) = match self.pause {
            None => ((self.open, self.close), None),
            Some((from, to)) => ((self.open, from), Some((to, self.close))),
        };
        std::iter::once(first).chain(second)
    }
}
