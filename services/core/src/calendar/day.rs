//! What the time within a session means.

use std::ops::Range;

use super::sessions::Calendar;
use crate::time::Nanos;

const NANOS_PER_MINUTE: f64 = 6e10;
const NANOS_PER_HOUR: f64 = 3.6e12;
/// Minutes in which the risk of the open and of the close falls to 1/e (RK-12).
const RISK_MINUTES: f64 = 15.0;

impl Calendar {
    /// EX-8: how much of the session has passed, 0 to 1. Between sessions 0 on the days before one opens or that have
    /// none, 1 on the day on which it has closed, by the exchange's date.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn progress(&self, now: Nanos) -> f64 {
        let Some(session) = self.session_at(now).or_else(|| self.session_today(now)) else { return 0.0 };
        (now.since(session.open) as f64 / session.close.since(session.open) as f64).clamp(0.0, 1.0)
    }

    /// RK-12: risk of the time of day, 0 to 1: highest at the open, at the close, outside of sessions and in `events`, for
    /// example around a central bank's announcement.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn time_of_day_risk(&self, now: Nanos, events: &[Range<Nanos>]) -> f64 {
        let Some(session) = self.session_at(now) else { return 1.0 };
        if events.iter().any(|event| event.contains(&now)) {
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
}
