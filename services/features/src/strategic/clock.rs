//! How many bars are missing between two closes.

use serde::{Deserialize, Serialize};

use tradewind_core::calendar::CalendarName;
use tradewind_core::time::Nanos;

const NANOS_PER_MINUTE: i64 = 60_000_000_000;

/// When bars are due (ST-18, ST-42).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, tag = "kind")]
pub enum BarClock {
    /// A bar is due every so many minutes while the market is open (ruling 14).
    #[serde(rename_all = "camelCase")]
    Calendar {
        /// When the market is open.
        calendar: CalendarName,
        /// Length of a bar, at least 1.
        bar_minutes: u32,
    },
    /// The feed numbers its bars without holes and pauses as its venue does: nothing is ever missing.
    Numbered,
}

impl Default for BarClock {
    fn default() -> Self {
        Self::half_hours(CalendarName::AroundTheClock)
    }
}

impl BarClock {
    /// Half hours of a calendar.
    #[must_use]
    pub const fn half_hours(calendar: CalendarName) -> Self {
        Self::Calendar { calendar, bar_minutes: 30 }
    }

    /// Bars that were due between the two closes and did not come.
    #[must_use]
    pub fn missing(self, before: Nanos, now: Nanos) -> u64 {
        match self {
            Self::Calendar { calendar, bar_minutes } => calendar.calendar().bars_between(before, now, nanos(bar_minutes)),
            Self::Numbered => 0,
        }
    }

    /// Slots from a close to the end of the bar in which `now` lies: 0 at the close, 1 within the next bar.
    #[must_use]
    pub fn slots_after(self, close: Nanos, now: Nanos) -> u64 {
        match self {
            Self::Calendar { calendar, bar_minutes } => calendar.calendar().bars_begun(close, now, nanos(bar_minutes)),
            Self::Numbered => u64::from(now > close),
        }
    }
}

fn nanos(minutes: u32) -> i64 {
    i64::from(minutes.max(1)) * NANOS_PER_MINUTE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(minutes: i64) -> Nanos {
        Nanos(minutes * NANOS_PER_MINUTE)
    }

    /// ST-18
    #[test]
    fn missing_bars() {
        let clock = BarClock::default();
        let missing = |m: i64| clock.missing(minutes(30), minutes(30 + m));
        assert_eq!([30, 44, 45, 60, 90, 30 * 50].map(missing), [0, 0, 1, 1, 2, 49]);
        assert_eq!(clock.missing(Nanos(i64::MIN), Nanos(i64::MAX)), 5_124_094);
        assert_eq!(BarClock::Numbered.missing(minutes(0), minutes(9999)), 0);
    }

    /// Ruling 14: day 0 was a Thursday; in New York the market was open from 14:30 to 21:00 of UTC.
    #[test]
    fn missing_bars_of_an_exchange() {
        let clock = BarClock::half_hours(CalendarName::Xnys);
        let (thursday, friday, monday) = (minutes(21 * 60), minutes(38 * 60 + 60), minutes(4 * 1440 + 15 * 60));
        assert_eq!([clock.missing(thursday, friday), clock.missing(thursday, monday)], [0, 13]);
        assert_eq!([clock.slots_after(thursday, friday), clock.slots_after(thursday, monday)], [1, 14]);
    }

    /// ST-42: a five-minute signal belongs to the 30-minute bar in which it happens.
    #[test]
    fn slots_of_faster_signals() {
        let slots = |m: i64| BarClock::default().slots_after(minutes(30), minutes(m));
        assert_eq!([30, 35, 60, 65, 10].map(slots), [0, 1, 1, 2, 0]);
        assert_eq!(BarClock::Numbered.slots_after(minutes(30), minutes(31)), 1);
    }
}
