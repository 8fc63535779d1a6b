//! A gate with two policies, and messages for it.

use tradewind_core::calendar::CalendarName;
use tradewind_core::time::Nanos;
use tradewind_crds::{RiskProfileSpec, samples};
use tradewind_journal::MemoryLog;
use tradewind_risk::{Arrival, Engine, Record, RiskError};
use tradewind_wire::account::{AccountConfig, PolicyConfig};
use tradewind_wire::bus::{FeedKind, SequencedBar};
use tradewind_wire::config::{InstrumentConfig, VenueConfig};
use tradewind_wire::v1;

pub(crate) const DAY: i64 = 86_400_000_000_000;
pub(crate) const OWNER: &str = "indices";
pub(crate) const OTHER: &str = "others";

pub(crate) fn spec() -> RiskProfileSpec {
    samples::profile("main", "paper-1").spec
}

pub(crate) fn policy(name: &str, kind: FeedKind, symbols: &[&str]) -> PolicyConfig {
    let listed = |symbol: &&str| {
        let fields = serde_json::json!({"symbol": symbol, "pointValue": "1", "tick": "1", "lot": "1"});
        serde_json::from_value::<InstrumentConfig>(fields).unwrap()
    };
    PolicyConfig {
        policy: name.into(),
        feed: "default".parse().unwrap(),
        feed_kind: kind,
        venue: VenueConfig { spread_bps: 0, fee_bps: 0, seed: 1, partial_fill_bps: 0, latency_ms: 0 },
        instruments: symbols.iter().map(listed).collect(),
    }
}

/// `indices` trades SPX and NDX, `others` DAX.
pub(crate) fn account(kind: FeedKind) -> AccountConfig {
    let policies = vec![policy(OWNER, kind, &["SPX", "NDX"]), policy(OTHER, kind, &["DAX"])];
    AccountConfig { account: "paper-1".into(), calendar: CalendarName::default(), policies }
}

pub(crate) fn owner(policy: &str, epoch: u64) -> Option<v1::Owner> {
    Some(v1::Owner { account: "paper-1".into(), policy: policy.into(), epoch, acknowledged: 0 })
}

pub(crate) fn claim(policy: &str, last_epoch: u64, claim: &str) -> v1::AcquireRequest {
    v1::AcquireRequest { account: "paper-1".into(), policy: policy.into(), last_epoch, claim: claim.into() }
}

/// An entry at this price.
pub(crate) fn limit(id: &str, symbol: &str, lots: i64, price: i64) -> v1::NewOrder {
    v1::NewOrder {
        order_id: id.into(),
        symbol: symbol.into(),
        lots,
        kind: v1::OrderKind::Limit.into(),
        price_ticks: price,
        immediate_or_cancel: true,
        reduce_only: false,
        group: String::new(),
        reference_price_ticks: price,
        data_time_ns: 0,
    }
}

/// A reduce-only order at the market.
pub(crate) fn out(id: &str, symbol: &str, lots: i64) -> v1::NewOrder {
    let kind = v1::OrderKind::Market.into();
    v1::NewOrder { kind, price_ticks: 0, reduce_only: true, immediate_or_cancel: false, ..limit(id, symbol, lots, 1) }
}

/// A daily bar at one price, on the day of its sequence.
pub(crate) fn bar(symbol: &str, sequence: u64, price: i64) -> SequencedBar {
    let (day, nanos) = (i64::try_from(sequence).unwrap() * DAY, price * 1_000_000_000);
    let bar = v1::Bar {
        symbol: symbol.into(),
        index: sequence,
        open_time_ns: day - DAY,
        close_time_ns: day,
        open_nanos: nanos,
        high_nanos: nanos,
        low_nanos: nanos,
        close_nanos: nanos,
        volume: 1.0,
    };
    SequencedBar { sequence, arrived: Nanos(bar.close_time_ns), bar }
}

/// A gate on recorded feeds whose policies are owned, with a mark of 1,000 for SPX.
pub(crate) struct Desk {
    pub(crate) engine: Engine,
    pub(crate) log: MemoryLog<Record>,
    pub(crate) sequence: u64,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::with(spec())
    }

    pub(crate) fn with(spec: RiskProfileSpec) -> Self {
        let log = MemoryLog::new();
        let mut engine = Engine::open("paper-1", Box::new(log.clone())).unwrap();
        engine.apply_profile(1, &spec).unwrap();
        engine.apply_account(&account(FeedKind::Replay)).unwrap();
        for policy in [OWNER, OTHER] {
            assert_eq!(engine.acquire(&claim(policy, 0, "first")).unwrap().epoch, 1);
        }
        let mut desk = Self { engine, log, sequence: 0 };
        desk.marked("SPX", 1_000);
        desk
    }

    /// The owner of the symbol lets the next bar be met, both parts.
    pub(crate) fn marked(&mut self, symbol: &str, price: i64) -> v1::MeetReply {
        self.sequence += 1;
        self.met(&bar(symbol, self.sequence, price))
    }

    /// The same for a bar by hand.
    pub(crate) fn met(&mut self, own: &SequencedBar) -> v1::MeetReply {
        let policy = if own.bar.symbol == "DAX" { OTHER } else { OWNER };
        let (symbol, sequence) = (own.bar.symbol.clone(), own.sequence);
        let mut request = v1::MeetRequest { owner: owner(policy, 1), symbol, sequence };
        loop {
            let reply = self.engine.meet(&request, Some(own)).unwrap();
            if reply.done {
                return reply;
            }
            acknowledge(&mut request, &reply);
        }
    }

    pub(crate) fn place(&mut self, order: v1::NewOrder) -> v1::OrderVerdict {
        let policy = if order.order_id.starts_with(OTHER) { OTHER } else { OWNER };
        self.place_as(owner(policy, 1), order).unwrap()
    }

    pub(crate) fn place_as(&mut self, owner: Option<v1::Owner>, order: v1::NewOrder) -> Result<v1::OrderVerdict, RiskError> {
        let reply = self.engine.place(&v1::PlaceRequest { owner, orders: vec![order] }, Arrival::at(Nanos(0)))?;
        Ok(reply.verdicts[0].clone())
    }

    /// The code of the verdict; empty when allowed.
    pub(crate) fn code(&mut self, order: v1::NewOrder) -> String {
        self.place(order).denial
    }

    pub(crate) fn cancel(&mut self, ids: &[&str]) -> v1::EventsReply {
        let order_ids = ids.iter().map(|id| (*id).to_owned()).collect();
        self.engine.cancel(&v1::CancelRequest { owner: owner(OWNER, 1), order_ids }).unwrap()
    }

    pub(crate) fn lots(&self, symbol: &str) -> i64 {
        self.engine.lots(&symbol.to_owned().try_into().unwrap())
    }

    /// Buys at the mark and lets the next bar fill it.
    pub(crate) fn buys(&mut self, id: &str, symbol: &str, lots: i64, price: i64) {
        let verdict = self.place(limit(id, symbol, lots, price));
        assert!(verdict.allowed, "{}", verdict.message);
        self.marked(symbol, price);
    }
}

/// What a reply brought is in the caller's journal.
pub(crate) fn acknowledge(request: &mut v1::MeetRequest, reply: &v1::MeetReply) {
    if let (Some(owner), Some(newest)) = (&mut request.owner, reply.events.last()) {
        owner.acknowledged = newest.number;
    }
}

pub(crate) fn money(units: i64) -> Option<v1::Money> {
    Some(v1::Money { units, nanos: 0 })
}
