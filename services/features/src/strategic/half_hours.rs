//! Faster bars to 30-minute bars.

use serde::{Deserialize, Serialize};

use tradewind_core::bar::Bar;
use tradewind_core::time::Nanos;

use super::candle::{Candle, MAX_VOLUME};

const HALF_HOUR: i64 = 30 * 60_000_000_000;

/// Joins bars to half hours that end at :00 and :30 UTC (ST-6).
///
/// A half hour is known with the bar that closes at its end or, when that one is missing, with the first bar after
/// it: never before (ST-17). Half hours without any bar are missing, none is invented (ST-18).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HalfHours {
    forming: Option<Candle>,
    closed: u64,
}

impl HalfHours {
    /// Takes the next bar of a faster feed: the half hour that ended without its last bar, and the one that ends
    /// with this bar. Bars come in the order of their closes.
    pub fn push(&mut self, bar: &Bar) -> [Option<Candle>; 2] {
        let end = half_hour_end(bar.close_time);
        let late = self.forming.take_if(|forming| forming.close_time != end);
        self.closed += u64::from(late.is_some());
        let own = Candle { index: self.closed, close_time: end, ..Candle::from_bar(bar) };
        let forming = self.forming.map_or(own, |forming| Candle {
            high: forming.high.max(own.high),
            low: forming.low.min(own.low),
            close: own.close,
            volume: (forming.volume + own.volume).min(MAX_VOLUME),
            ..forming
        });
        self.forming = Some(forming);
        let own = self.forming.take_if(|_| bar.close_time == end);
        self.closed += u64::from(own.is_some());
        [late, own]
    }
}

/// End of the half hour in which an instant lies; an end belongs to the half hour that it ends.
const fn half_hour_end(time: Nanos) -> Nanos {
    let past = time.0.rem_euclid(HALF_HOUR);
    if past == 0 { time } else { Nanos(time.0.saturating_add(HALF_HOUR - past)) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]
    use super::*;
    use tradewind_core::instrument::Ticks;

    const MINUTE: i64 = 60_000_000_000;

    fn bar(close_minute: i64, close: i64) -> Bar {
        let [open, high, low, close] = [close - 1, close + 2, close - 3, close].map(Ticks);
        let (open_time, close_time) = (Nanos((close_minute - 5) * MINUTE), Nanos(close_minute * MINUTE));
        Bar { index: 0, open_time, close_time, open, high, low, close, volume: 10.0 }
    }

    /// ST-6: six bars of five minutes are one half hour, known with the last of them.
    #[test]
    fn six_bars_make_a_half_hour() {
        let mut half_hours = HalfHours::default();
        for (n, close) in [(1, 100), (2, 107), (3, 95), (4, 99), (5, 101)] {
            assert_eq!(half_hours.push(&bar(5 * n, close)), [None, None]);
        }
        let [late, own] = half_hours.push(&bar(30, 103));
        let wanted =
            Candle { index: 0, close_time: Nanos(30 * MINUTE), open: 99.0, high: 109.0, low: 92.0, close: 103.0, volume: 60.0 };
        assert_eq!((late, own), (None, Some(wanted)));
    }

    /// ST-17, ST-18: without its last bar a half hour is known with the next bar; empty ones do not exist.
    #[test]
    fn a_half_hour_without_its_last_bar_closes_late() {
        let mut half_hours = HalfHours::default();
        half_hours.push(&bar(25, 100));
        let [late, own] = half_hours.push(&bar(125, 110));
        assert_eq!((late.unwrap().close_time, late.unwrap().close, own), (Nanos(30 * MINUTE), 100.0, None));
        let [late, own] = half_hours.push(&bar(150, 111));
        assert_eq!((late, own.unwrap().index, own.unwrap().open), (None, 1, 109.0));
        let [late, own] = half_hours.push(&bar(180, 112));
        assert_eq!((late, own.unwrap().index, own.unwrap().volume), (None, 2, 10.0), "alone in its half hour");
        half_hours.push(&bar(185, 113));
        let [late, own] = half_hours.push(&bar(240, 114));
        assert_eq!((late.unwrap().index, own.unwrap().index), (3, 4), "both at once");
    }
}
