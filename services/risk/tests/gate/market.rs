//! An account of New York with instruments of three calendars, and what lies between two of its sessions.

use std::collections::BTreeMap;

use crate::desk::{OWNER, acknowledge, claim, limit, owner, policy, spec};
use tradewind_core::calendar::CalendarName;
use tradewind_core::time::Nanos;
use tradewind_journal::MemoryLog;
use tradewind_risk::{Arrival, Engine, Record};
use tradewind_wire::account::AccountConfig;
use tradewind_wire::bus::{FeedKind, SequencedBar};
use tradewind_wire::config::InstrumentConfig;
use tradewind_wire::v1;

pub(crate) const MINUTE: i64 = 60_000_000_000;
/// How far runs go into the next session: not to its end.
pub(crate) const AFTER: i64 = 4 * 60 * MINUTE;

/// In the order in which the feed brings bars of one close.
pub(crate) const SYMBOLS: [&str; 3] = ["BTC", "EURUSD", "SPX"];

/// Two sessions of New York that follow each other, and when currencies rest between them.
pub(crate) struct Break {
    pub(crate) what: &'static str,
    open: &'static str,
    close: &'static str,
    next: &'static str,
    rest: Option<[&'static str; 2]>,
}

/// As the library says from which `tests/oracles` makes the calendars.
pub(crate) const BREAKS: [Break; 5] = [
    Break {
        what: "a holiday",
        open: "2024-06-18T13:30:00Z",
        close: "2024-06-18T20:00:00Z",
        next: "2024-06-20T13:30:00Z",
        rest: None,
    },
    Break {
        what: "an early close and a holiday",
        open: "2024-07-03T13:30:00Z",
        close: "2024-07-03T17:00:00Z",
        next: "2024-07-05T13:30:00Z",
        rest: None,
    },
    Break {
        what: "an early close and a weekend",
        open: "2024-11-29T14:30:00Z",
        close: "2024-11-29T18:00:00Z",
        next: "2024-12-02T14:30:00Z",
        rest: Some(["2024-11-29T22:00:00Z", "2024-12-01T22:00:00Z"]),
    },
    Break {
        what: "a weekend in which clocks go forward",
        open: "2024-03-08T14:30:00Z",
        close: "2024-03-08T21:00:00Z",
        next: "2024-03-11T13:30:00Z",
        rest: Some(["2024-03-08T22:00:00Z", "2024-03-10T21:00:00Z"]),
    },
    Break {
        what: "a weekend in which clocks go back",
        open: "2024-11-01T13:30:00Z",
        close: "2024-11-01T20:00:00Z",
        next: "2024-11-04T14:30:00Z",
        rest: Some(["2024-11-01T21:00:00Z", "2024-11-03T22:00:00Z"]),
    },
];

fn at(text: &str) -> i64 {
    i64::try_from(text.parse::<jiff::Timestamp>().unwrap().as_nanosecond()).unwrap()
}

impl Break {
    /// So long after the first session's open.
    pub(crate) fn opened(&self, nanos: i64) -> Nanos {
        Nanos(at(self.open) + nanos)
    }

    /// So long after its close.
    pub(crate) fn closed(&self, nanos: i64) -> Nanos {
        Nanos(at(self.close) + nanos)
    }

    /// The open of the next session.
    pub(crate) fn next(&self) -> Nanos {
        Nanos(at(self.next))
    }

    /// So long after it.
    pub(crate) fn after(&self, nanos: i64) -> Nanos {
        Nanos(at(self.next) + nanos)
    }

    /// Whether a bar that opens then is brought.
    fn trades(&self, symbol: &str, open: i64) -> bool {
        let within = |from: &str, to: &str| (at(from)..at(to)).contains(&open);
        match symbol {
            "SPX" => within(self.open, self.close) || open >= at(self.next),
            "EURUSD" => !self.rest.is_some_and(|[from, to]| within(from, to)),
            _ => true,
        }
    }
}

/// SPX of New York, EURUSD of the currencies, BTC around the clock.
pub(crate) fn instruments() -> Vec<InstrumentConfig> {
    let mut listed = policy(OWNER, FeedKind::Replay, &SYMBOLS).instruments;
    let calendars = [CalendarName::AroundTheClock, CalendarName::Currencies, CalendarName::Xnys];
    listed.iter_mut().zip(calendars).for_each(|(instrument, calendar)| instrument.calendar = calendar);
    listed
}

/// A bar of open, high, low, close that ends at `close_time`.
pub(crate) fn bar(symbol: &str, sequence: u64, index: u64, close_time: Nanos, minutes: i64, prices: [i64; 4]) -> SequencedBar {
    let [open_nanos, high_nanos, low_nanos, close_nanos] = prices.map(|price| price * 1_000_000_000);
    let bar = v1::Bar {
        symbol: symbol.into(),
        index,
        open_time_ns: close_time.0 - minutes * MINUTE,
        close_time_ns: close_time.0,
        open_nanos,
        high_nanos,
        low_nanos,
        close_nanos,
        volume: 1.0,
    };
    SequencedBar { sequence, arrived: close_time, bar }
}

/// A gate of an account of New York on a recorded feed of made-up prices, which stay near a level each.
pub(crate) struct Market {
    pub(crate) engine: Engine,
    /// Close of the newest bars.
    pub(crate) now: Nanos,
    log: MemoryLog<Record>,
    minutes: i64,
    sequence: u64,
    orders: u64,
    acknowledged: u64,
    seed: u64,
    /// Level, newest price and number of the next bar, by symbol.
    prices: BTreeMap<&'static str, (i64, i64, u64)>,
}

impl Market {
    /// At the open of the first session, with bars of so many minutes.
    pub(crate) fn new(one: &Break, minutes: i64) -> Self {
        let log = MemoryLog::new();
        let mut engine = Engine::open_as("paper-1", "j", Box::new(log.clone())).unwrap();
        engine.apply_profile(1, &spec()).unwrap();
        let mut policies = vec![policy(OWNER, FeedKind::Replay, &[])];
        policies[0].instruments = instruments();
        let config = AccountConfig { account: "paper-1".into(), calendar: CalendarName::Xnys, policies };
        engine.apply_account(&config).unwrap();
        assert_eq!(engine.status().invalid_account, "");
        engine.acquire(&claim(OWNER, 0, "first")).unwrap();
        let prices = SYMBOLS.map(|symbol| (symbol, (1_000, 1_000, 0))).into();
        Self { engine, now: one.opened(0), log, minutes, sequence: 0, orders: 0, acknowledged: 0, seed: 7, prices }
    }

    /// Prices of a symbol stay near this one from the next bar on.
    pub(crate) fn level(&mut self, symbol: &str, level: i64) {
        self.prices.get_mut(symbol).unwrap().0 = level;
    }

    pub(crate) fn lots(&self, symbol: &str) -> i64 {
        self.engine.lots(&symbol.to_owned().try_into().unwrap())
    }

    /// The process ends and starts again.
    pub(crate) fn restart(&mut self) {
        let (before, status) = (self.engine.state(), self.engine.status());
        self.engine = Engine::reopen(Box::new(self.log.clone())).unwrap();
        assert_eq!((self.engine.state(), self.engine.status()), (before, status));
    }

    /// Orders 400 lots at the mark; the next bar fills them.
    pub(crate) fn buys(&mut self, symbol: &str) {
        for _ in 0..2 {
            assert_eq!(self.place(symbol, 200), "");
        }
    }

    /// Code of the verdict on one lot at the mark; empty when allowed.
    pub(crate) fn denial(&mut self, symbol: &str) -> String {
        self.place(symbol, 1)
    }

    fn place(&mut self, symbol: &str, lots: i64) -> String {
        self.orders += 1;
        let order = limit(&format!("indices/{}", self.orders), symbol, lots, self.prices[symbol].1);
        let request = v1::PlaceRequest { owner: owner(OWNER, 1), orders: vec![order] };
        let reply = self.engine.place(&request, Arrival::at(Nanos(0))).unwrap();
        reply.verdicts[0].denial.clone()
    }

    /// Lets every bar be met that closes by `until`.
    pub(crate) fn quietly(&mut self, one: &Break, until: Nanos) {
        self.run(one, until, |_, _, _, _| {});
    }

    /// The same; `seen` is told close, symbol and state of each.
    pub(crate) fn run(&mut self, one: &Break, until: Nanos, mut seen: impl FnMut(&mut Self, Nanos, &str, &v1::RiskState)) {
        while self.now.0 + self.minutes * MINUTE <= until.0 {
            let open = self.now.0;
            self.now = Nanos(open + self.minutes * MINUTE);
            for symbol in SYMBOLS.into_iter().filter(|symbol| one.trades(symbol, open)) {
                let state = self.meet(symbol);
                seen(self, self.now, symbol, &state);
            }
        }
    }

    fn meet(&mut self, symbol: &'static str) -> v1::RiskState {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let chance = |shift: u32, range: u64| i64::try_from((self.seed >> shift) % range).unwrap();
        let (level, open, index) = self.prices[symbol];
        let close = level + chance(20, 7) - 3;
        let (high, low) = (open.max(close) + chance(33, 3), open.min(close) - chance(45, 3));
        self.prices.insert(symbol, (level, close, index + 1));
        self.sequence += 1;
        let own = bar(symbol, self.sequence, index, self.now, self.minutes, [open, high, low, close]);
        let mut request = v1::MeetRequest { owner: owner(OWNER, 1), symbol: symbol.into(), sequence: self.sequence };
        request.owner.as_mut().unwrap().acknowledged = self.acknowledged;
        loop {
            let reply = self.engine.meet(&request, Some(&own)).unwrap();
            acknowledge(&mut request, &reply);
            self.acknowledged = request.owner.as_ref().unwrap().acknowledged;
            if reply.done {
                return reply.state.unwrap();
            }
        }
    }
}
