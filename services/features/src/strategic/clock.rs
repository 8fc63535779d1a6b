//! How many bars are missing between two closes.

use serde::{Deserialize, Serialize};

use tradewind_core::time::Nanos;

const NANOS_PER_MINUTE: i64 = 60_000_000_000;

/// When bars are due (ST-18, ST-42).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, tag = "kind")]
pub enum BarClock {
    /// A bar is due every so many minutes, around the clock.
    #[serde(rename_all = "camelCase")]
    Continuous {
        /// Length of a bar, at least 1.
        bar_minutes: u32,
    },
    /// The feed numbers its bars without holes and pauses as its venue does: nothing is ever missing.
    Numbered,
}

impl Default for BarClock {
    fn default() -> Self {
        Self::Continuous { bar_minutes: 30 }
    }
}

impl BarClock {
    /// Bars that were due between the two closes and did not come.
    #[must_use]
    pub fn missing(self, before: Nanos, now: Nanos) -> u64 {
        match self {
            Self::Continuous { bar_minutes } => {
                let bar = i64::from(bar_minutes.max(1)) * NANOS_PER_MINUTE;
                // Half a bar late still belongs to its slot.
                let slots = now.since(before).saturating_add(bar / 2) / bar;
                u64::try_from(slots.saturating_sub(1)).unwrap_or(0)
            }
            Self::Numbered => 0,
        }
    }

    /// Slots from a close to the end of the bar in which `now` lies: 0 at the close, 1 within the next bar.
    #[must_use]
    pub fn slots_after(self, close: Nanos, now: Nanos) -> u64 {
        let elapsed = u64::try_from(now.since(close)).unwrap_or(0);
        match self {
            Self::Continuous { bar_minutes } => elapsed.div_ceil(u64::from(bar_minutes.max(1)) * NANOS_PER_MINUTE.unsigned_abs()),
            Self::Numbered => u64::from(elapsed > 0),
        }
    }
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
        assert_eq!([30, 44, 60, 90, 30 * 50].map(missing), [0, 0, 1, 2, 49]);
        assert_eq!(clock.missing(Nanos(i64::MIN), Nanos(i64::MAX)), 5_124_094);
        assert_eq!(BarClock::Numbered.missing(minutes(0), minutes(9999)), 0);
    }

    /// ST-42: a five-minute signal belongs to the 30-minute bar in which it happens.
    #[test]
    fn slots_of_faster_signals() {
        let slots = |m: i64| BarClock::default().slots_after(minutes(30), minutes(m));
        assert_eq!([30, 35, 60, 65, 10].map(slots), [0, 1, 1, 2, 0]);
        assert_eq!(BarClock::Numbered.slots_after(minutes(30), minutes(31)), 1);
    }
}
