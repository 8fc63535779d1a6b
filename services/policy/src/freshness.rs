//! How old bars may be, and when one is due (ruling 23). Only for feeds whose bars are of now: a replay has no age.

use std::collections::BTreeMap;

use tradewind_core::bar::Bar;
use tradewind_core::instrument::Symbol;
use tradewind_core::time::Nanos;
use tradewind_wire::bus::FeedKind;

/// Limits of age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// Whether bars are of now.
    pub kind: FeedKind,
    /// Age beyond its interval at which a bar counts as old, nanoseconds.
    pub max_age: i64,
}

impl Freshness {
    /// Whether a bar that is taken at `now` is too old to be traded on: the next one should have come long ago.
    #[must_use]
    pub fn is_stale(&self, bar: &Bar, now: Nanos) -> bool {
        self.kind == FeedKind::Live && now > self.overdue(bar)
    }

    /// Since when bars are missing, and the symbols that they are missing of, ascending. `newest` holds the newest bar of
    /// each symbol that had one.
    #[must_use]
    pub fn silent(&self, newest: &BTreeMap<Symbol, Bar>, now: Nanos) -> Option<(Nanos, Vec<Symbol>)> {
        let stale = || newest.iter().filter(|(_, bar)| self.is_stale(bar, now));
        let since = stale().map(|(_, bar)| due(bar)).min()?;
        Some((since, stale().map(|(symbol, _)| symbol.clone()).collect()))
    }

    fn overdue(&self, bar: &Bar) -> Nanos {
        Nanos(due(bar).0.saturating_add(self.max_age))
    }
}

/// When the bar behind this one is due: one interval later.
const fn due(bar: &Bar) -> Nanos {
    Nanos(bar.close_time.0.saturating_add(bar.close_time.since(bar.open_time)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use tradewind_core::instrument::Ticks;

    const MINUTE: i64 = 60_000_000_000;

    fn bar(minute: i64) -> Bar {
        let price = Ticks(100);
        let (open_time, close_time) = (Nanos(minute * MINUTE), Nanos((minute + 5) * MINUTE));
        Bar { index: 0, open_time, close_time, open: price, high: price, low: price, close: price, volume: 0.0 }
    }

    #[test]
    fn a_bar_is_stale_once_the_next_one_is_overdue() {
        let live = Freshness { kind: FeedKind::Live, max_age: MINUTE };
        let at = |minute: i64| Nanos(minute * MINUTE);
        assert!(!live.is_stale(&bar(0), at(5)) && !live.is_stale(&bar(0), at(11)));
        assert!(live.is_stale(&bar(0), Nanos(11 * MINUTE + 1)) && live.is_stale(&bar(0), at(125)));
        assert!(!Freshness { kind: FeedKind::Replay, ..live }.is_stale(&bar(0), at(1_000_000)));
    }

    /// D9: each symbol has an age of its own.
    #[test]
    fn silence_names_its_symbols_and_clears() {
        let live = Freshness { kind: FeedKind::Live, max_age: MINUTE };
        let name = |text: &str| Symbol::try_from(text.to_owned()).unwrap();
        let mut newest = BTreeMap::from([(name("SPX"), bar(0)), (name("IXIC"), bar(30))]);
        assert_eq!(live.silent(&newest, Nanos(40 * MINUTE)), Some((Nanos(10 * MINUTE), vec![name("SPX")])));
        newest.insert(name("SPX"), bar(35));
        assert_eq!(live.silent(&newest, Nanos(41 * MINUTE)), None);
        assert_eq!(live.silent(&BTreeMap::new(), Nanos(MINUTE)), None);
    }
}
