//! How old bars may be, and when one is due (ruling 23). Only for feeds whose bars are of now: a replay has no age.

use std::collections::BTreeMap;

use tradewind_core::bar::Bar;
use tradewind_core::calendar::CalendarName;
use tradewind_core::instrument::Symbol;
use tradewind_core::time::Nanos;
use tradewind_wire::bus::FeedKind;

/// Limits of age, and when the markets bring bars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// Whether bars are of now.
    pub kind: FeedKind,
    /// Age beyond its due close at which a bar counts as missing, nanoseconds.
    pub max_age: i64,
    /// When the markets are open, by symbol; around the clock where nothing is said.
    pub calendars: BTreeMap<Symbol, CalendarName>,
}

impl Freshness {
    /// The calendar of a symbol.
    #[must_use]
    pub fn calendar(&self, symbol: &Symbol) -> CalendarName {
        self.calendars.get(symbol).copied().unwrap_or_default()
    }

    /// Whether a bar that is taken at `now` is too old to be traded on: the next one should have come long ago. Nights,
    /// weekends and holidays of the symbol's calendar bring none, so nothing is late in them.
    #[must_use]
    pub fn is_stale(&self, symbol: &Symbol, bar: &Bar, now: Nanos) -> bool {
        self.kind == FeedKind::Live && now.0 > self.due(symbol, bar).0.saturating_add(self.max_age)
    }

    /// Since when bars are missing, and the symbols that they are missing of, ascending. `newest` holds the newest bar of
    /// each symbol that had one.
    #[must_use]
    pub fn silent(&self, newest: &BTreeMap<Symbol, Bar>, now: Nanos) -> Option<(Nanos, Vec<Symbol>)> {
        let stale = || newest.iter().filter(|(symbol, bar)| self.is_stale(symbol, bar, now));
        let since = stale().map(|(symbol, bar)| self.due(symbol, bar)).min()?;
        Some((since, stale().map(|(symbol, _)| symbol.clone()).collect()))
    }

    /// When the bar behind this one is due, at the latest.
    fn due(&self, symbol: &Symbol, bar: &Bar) -> Nanos {
        self.calendar(symbol).calendar().due_after(bar.close_time, bar.close_time.since(bar.open_time))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use tradewind_core::instrument::Ticks;

    const MINUTE: i64 = 60_000_000_000;

    fn name(text: &str) -> Symbol {
        Symbol::try_from(text.to_owned()).unwrap()
    }

    fn at(text: &str) -> Nanos {
        Nanos(i64::try_from(text.parse::<jiff::Timestamp>().unwrap().as_nanosecond()).unwrap())
    }

    fn closing(close_time: Nanos, minutes: i64) -> Bar {
        let price = Ticks(100);
        let open_time = Nanos(close_time.0 - minutes * MINUTE);
        Bar { index: 0, open_time, close_time, open: price, high: price, low: price, close: price, volume: 0.0 }
    }

    /// Of five minutes.
    fn bar(minute: i64) -> Bar {
        closing(Nanos((minute + 5) * MINUTE), 5)
    }

    /// A minute late is late. SPX is of New York, EURUSD of the currencies, everything else around the clock.
    fn live() -> Freshness {
        let calendars = [("SPX", CalendarName::Xnys), ("EURUSD", CalendarName::Currencies)];
        let calendars = calendars.map(|(symbol, calendar)| (name(symbol), calendar)).into();
        Freshness { kind: FeedKind::Live, max_age: MINUTE, calendars }
    }

    #[test]
    fn a_bar_is_stale_once_the_next_one_is_overdue() {
        let (live, btc) = (live(), name("BTC"));
        let at = |minute: i64| Nanos(minute * MINUTE);
        assert!(!live.is_stale(&btc, &bar(0), at(5)) && !live.is_stale(&btc, &bar(0), at(11)));
        assert!(live.is_stale(&btc, &bar(0), Nanos(11 * MINUTE + 1)) && live.is_stale(&btc, &bar(0), at(125)));
        assert!(!Freshness { kind: FeedKind::Replay, ..live }.is_stale(&btc, &bar(0), at(1_000_000)));
    }

    /// D9: each symbol has an age of its own.
    #[test]
    fn silence_names_its_symbols_and_clears() {
        let live = live();
        let mut newest = BTreeMap::from([(name("BTC"), bar(0)), (name("ETH"), bar(30))]);
        assert_eq!(live.silent(&newest, Nanos(40 * MINUTE)), Some((Nanos(10 * MINUTE), vec![name("BTC")])));
        newest.insert(name("BTC"), bar(35));
        assert_eq!(live.silent(&newest, Nanos(41 * MINUTE)), None);
        assert_eq!(live.silent(&BTreeMap::new(), Nanos(MINUTE)), None);
    }

    /// Ruling 23: the first bar of the next session is due, whatever lies between: a night, a weekend, a holiday, an early
    /// close, a change of the clocks. Until then a closed market is not silent; from then on a missed open is.
    #[test]
    fn what_is_due_is_due_by_the_calendar() {
        let live = live();
        for (symbol, minutes, close, due) in [
            ("SPX", 30, "2024-06-17T20:00:00Z", "2024-06-18T14:00:00Z"), // a night
            ("SPX", 30, "2024-06-18T20:00:00Z", "2024-06-20T14:00:00Z"), // a holiday
            ("SPX", 30, "2024-07-03T17:00:00Z", "2024-07-05T14:00:00Z"), // an early close and a holiday
            ("SPX", 5, "2024-07-03T17:00:00Z", "2024-07-05T13:35:00Z"),
            ("SPX", 30, "2024-11-29T18:00:00Z", "2024-12-02T15:00:00Z"), // an early close and a weekend
            ("SPX", 30, "2024-03-08T21:00:00Z", "2024-03-11T14:00:00Z"), // a weekend in which clocks go forward
            ("SPX", 30, "2024-11-01T20:00:00Z", "2024-11-04T15:00:00Z"), // and back
            ("SPX", 30, "2024-07-03T16:30:00Z", "2024-07-03T17:00:00Z"), // within a session
            ("SPX", 1_440, "2024-07-04T00:00:00Z", "2024-07-06T00:00:00Z"), // days, over a holiday
            ("EURUSD", 30, "2024-07-03T17:00:00Z", "2024-07-03T17:30:00Z"), // currencies know no holiday of New York
            ("EURUSD", 30, "2024-07-05T21:00:00Z", "2024-07-07T21:30:00Z"), // but the weekend
            ("BTC", 30, "2024-07-06T21:00:00Z", "2024-07-06T21:30:00Z"),
        ] {
            let (symbol, close, due) = (name(symbol), at(close), at(due));
            let newest = BTreeMap::from([(symbol.clone(), closing(close, minutes))]);
            let on_time = Nanos(due.0 + MINUTE);
            for now in [close, Nanos(close.0 / 2 + due.0 / 2), due, on_time] {
                assert_eq!(live.silent(&newest, now), None, "{symbol} after {}, at {}", close.0, now.0);
            }
            let late = Nanos(on_time.0 + 1);
            assert_eq!(live.silent(&newest, late), Some((due, vec![symbol.clone()])), "{symbol} after {}", close.0);
            assert!(live.is_stale(&symbol, &newest[&symbol], late));
        }
    }

    /// Two markets of one feed: the one that is closed is not named beside the one that is late.
    #[test]
    fn a_closed_market_is_not_named_beside_a_silent_one() {
        let live = live();
        let close = at("2024-07-03T17:00:00Z");
        let newest = ["SPX", "EURUSD"].map(|symbol| (name(symbol), closing(close, 30))).into();
        let holiday = at("2024-07-04T15:00:00Z");
        assert_eq!(live.silent(&newest, holiday), Some((at("2024-07-03T17:30:00Z"), vec![name("EURUSD")])));
    }
}
