//! What stops the engine, and what does not start it again: K1, R6, R7, both ways of a halt, ids over journals.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use tradewind_core::time::Nanos;
use tradewind_crds::risk_profile::HaltMode;
use tradewind_crds::{RiskProfileSpec, samples};
use tradewind_journal::MemoryLog;
use tradewind_risk::stops::halt::HaltAsk;
use tradewind_risk::{Arrival, Engine, Record};
use tradewind_wire::bus::SequencedBar;
use tradewind_wire::v1;

const HOUR: i64 = 3_600_000_000_000;
/// Midnight that begins the second day.
const DAY: i64 = 24 * HOUR;

fn spec() -> RiskProfileSpec {
    samples::profile("main", "paper-1").spec
}

fn owner() -> Option<v1::Owner> {
    Some(v1::Owner { account: "paper-1".into(), policy: "indices".into(), epoch: 1, acknowledged: u64::MAX })
}

fn started(journal: &str, log: &MemoryLog<Record>) -> Engine {
    let mut engine = Engine::open_as("paper-1", journal, Box::new(log.clone())).unwrap();
    engine.apply_profile(1, &spec()).unwrap();
    let account = serde_json::json!({"account": "paper-1", "policies": [{
        "policy": "indices", "feed": "default", "feedKind": "Replay",
        "venue": {"spreadBps": 0, "feeBps": 0, "seed": 1, "partialFillBps": 0, "latencyMs": 0},
        "instruments": [{"symbol": "SPX", "pointValue": "1", "tick": "1", "lot": "1"}],
    }]});
    engine.apply_account(&serde_json::from_value(account).unwrap()).unwrap();
    let (account, policy, claim) = ("paper-1".to_owned(), "indices".to_owned(), "first".to_owned());
    engine.acquire(&v1::AcquireRequest { account, policy, last_epoch: 0, claim }).unwrap();
    engine
}

/// A bar of half an hour at one price that closes at `at`.
fn meet(engine: &mut Engine, sequence: u64, at: i64, price: i64) -> v1::RiskState {
    let nanos = price * 1_000_000_000;
    let bar = v1::Bar {
        symbol: "SPX".into(),
        index: sequence,
        open_time_ns: at - HOUR / 2,
        close_time_ns: at,
        open_nanos: nanos,
        high_nanos: nanos,
        low_nanos: nanos,
        close_nanos: nanos,
        volume: 1.0,
    };
    let own = SequencedBar { sequence, arrived: Nanos(at), bar };
    let ask = v1::MeetRequest { owner: owner(), symbol: "SPX".into(), sequence };
    loop {
        let reply = engine.meet(&ask, Some(&own)).unwrap();
        if reply.done {
            return reply.state.unwrap();
        }
    }
}

fn place(engine: &mut Engine, id: &str, lots: i64, price: i64) -> v1::OrderVerdict {
    let order = v1::NewOrder {
        order_id: format!("indices/{id}"),
        symbol: "SPX".into(),
        lots,
        kind: v1::OrderKind::Limit.into(),
        price_ticks: price,
        immediate_or_cancel: true,
        ..Default::default()
    };
    let request = v1::PlaceRequest { owner: owner(), orders: vec![order] };
    engine.place(&request, Arrival::default()).unwrap().verdicts[0].clone()
}

/// A mark of SPX, and a fill at it when `lots` is not 0.
fn mark(engine: &mut Engine, sequence: u64, at: i64, price: i64, lots: i64) -> v1::RiskState {
    if lots != 0 {
        meet(engine, 2 * sequence, at - HOUR / 2, price);
        for half in 0..2 {
            let verdict = place(engine, &format!("fill-{half}"), lots / 2, price);
            assert!(verdict.allowed, "{}", verdict.message);
        }
    }
    meet(engine, 2 * sequence + 1, at, price)
}

fn denial(engine: &mut Engine, id: &str) -> String {
    place(engine, id, 1, 1_000).denial
}

fn direct(reason: &str) -> v1::HaltNowRequest {
    v1::HaltNowRequest { account: "paper-1".into(), actor: "anna".into(), reason: reason.into(), generation: 0 }
}

#[test]
fn k1_applying_the_manifest_again_does_not_start_trading() {
    let log = MemoryLog::new();
    let mut engine = started("j", &log);
    mark(&mut engine, 1, DAY + HOUR, 1_000, 0);
    engine.apply_profile(2, &RiskProfileSpec { halt: true, ..spec() }).unwrap();
    let id = engine.status().halt_id;
    assert!(id.starts_with("halt-2-"), "{id}");
    engine.apply_profile(3, &spec()).unwrap();
    assert_eq!((engine.state().state.as_str(), engine.status().halt_id.as_str()), ("ReduceOnly", id.as_str()));
    assert_eq!(denial(&mut engine, "b"), "halted");
    drop(engine);
    let mut engine = Engine::reopen(Box::new(log)).unwrap();
    engine.apply_profile(3, &spec()).unwrap();
    assert_eq!(engine.status().halt_id, id, "a restart lifts nothing");
    for (generation, acknowledge_halt, halt) in [(4, "halt-2-000000000000".to_owned(), false), (5, id.clone(), true)] {
        engine.apply_profile(generation, &RiskProfileSpec { acknowledge_halt, halt, ..spec() }).unwrap();
        assert_eq!(engine.status().halt_id, id, "generation {generation}");
    }
    assert!(engine.state().reason.contains(&id), "{}", engine.state().reason);
    let acknowledged = RiskProfileSpec { acknowledge_halt: id.clone(), ..spec() };
    engine.apply_profile(6, &acknowledged).unwrap();
    assert_eq!((engine.state().state.as_str(), engine.status().halt_id.as_str()), ("Normal", ""));
    // The acknowledgement stays in Git; the next halt is another one.
    engine.apply_profile(7, &RiskProfileSpec { halt: true, ..acknowledged.clone() }).unwrap();
    engine.apply_profile(8, &acknowledged).unwrap();
    let next = engine.status().halt_id;
    assert!(!next.is_empty() && next != id, "{next}");
}

#[test]
fn a_direct_halt_latches_with_actor_and_reason_and_repeats_keep_its_id() {
    let log = MemoryLog::new();
    let mut engine = started("j", &log);
    let id = engine.halt_now(&direct("fat finger"), Nanos(17)).unwrap().halt_id;
    assert_eq!(engine.halt_now(&direct("again"), Nanos(18)).unwrap().halt_id, id);
    let halts = log.records().into_iter().filter(|record| matches!(record, Record::Halted(_))).count();
    assert_eq!(halts, 2, "both are in the journal");
    let status = engine.status();
    assert_eq!((status.halt_actor.as_str(), status.halt_reason.as_str(), status.halted_since_ns), ("anna", "fat finger", 17));
    engine.apply_profile(2, &spec()).unwrap();
    assert_eq!(engine.state().state, "ReduceOnly");
    assert!(engine.halt_now(&v1::HaltNowRequest { account: "other".into(), ..direct("x") }, Nanos(19)).is_err());
    engine.apply_profile(3, &RiskProfileSpec { acknowledge_halt: id, ..spec() }).unwrap();
    assert_eq!(engine.state().state, "Normal");
}

#[test]
fn either_way_alone_halts_and_a_late_second_one_does_not_halt_again() {
    let mut engine = started("j", &MemoryLog::new());
    let relayed = v1::HaltNowRequest { actor: "operator".into(), generation: 2, ..direct("spec.halt") };
    let id = engine.halt_now(&relayed, Nanos(17)).unwrap().halt_id;
    assert_eq!(engine.state().state, "ReduceOnly", "before risk has seen generation 2 itself");
    engine.apply_profile(2, &RiskProfileSpec { halt: true, ..spec() }).unwrap();
    assert_eq!(engine.status().halt_id, id);
    engine.apply_profile(3, &RiskProfileSpec { acknowledge_halt: id, ..spec() }).unwrap();
    assert_eq!(engine.halt_now(&relayed, Nanos(18)).unwrap().halt_id, "");
    assert_eq!(engine.state().state, "Normal");
    let overtaken = HaltAsk::Overtaken { generation: 4, mode: HaltMode::None };
    assert!(!engine.see_halt(&overtaken, Nanos(19)).unwrap().is_empty());
    assert_eq!(engine.state().state, "Halted");
}

#[test]
fn a_halt_before_the_first_profile_holds_after_it() {
    let mut engine = Engine::open_as("paper-1", "j", Box::new(MemoryLog::new())).unwrap();
    let id = engine.halt_now(&direct("not today"), Nanos(17)).unwrap().halt_id;
    engine.apply_profile(1, &spec()).unwrap();
    assert_eq!((engine.state().state.as_str(), engine.status().halt_id), ("ReduceOnly", id));
}

#[test]
fn ids_of_another_journal_are_others_and_lift_nothing() {
    let halted = |journal: &str| {
        let mut engine = started(journal, &MemoryLog::new());
        engine.apply_profile(2, &RiskProfileSpec { halt: true, ..spec() }).unwrap();
        engine
    };
    let (first, mut second) = (halted("18f2a"), halted("18f2b"));
    let (old, new) = (first.status().halt_id, second.status().halt_id);
    assert_ne!(old, new);
    second.apply_profile(3, &RiskProfileSpec { acknowledge_halt: old, ..spec() }).unwrap();
    assert_eq!(second.status().halt_id, new);
    let fallen = |journal: &str| {
        let mut engine = started(journal, &MemoryLog::new());
        mark(&mut engine, 1, DAY + HOUR, 1_000, 500);
        mark(&mut engine, 2, DAY + 2 * HOUR, 590, 0);
        engine.status().breaker_id
    };
    let (old, new) = (fallen("18f2a"), fallen("18f2b"));
    assert!(!old.is_empty() && old != new, "{old} {new}");
}

#[test]
fn r6_a_loss_beyond_the_daily_limit_holds_until_the_next_session() {
    let log = MemoryLog::new();
    let mut engine = started("j", &log);
    mark(&mut engine, 1, DAY + HOUR, 1_000, 400);
    assert_eq!(mark(&mut engine, 2, DAY + 2 * HOUR, 924, 0).state, "ReduceOnly", "-304 bps of 300");
    let back = mark(&mut engine, 3, DAY + 3 * HOUR, 1_000, 0);
    assert_eq!((back.state.as_str(), back.daily_pnl_bps), ("ReduceOnly", 0), "the price came back within the session");
    assert_eq!(denial(&mut engine, "b"), "daily_loss");
    drop(engine);
    let mut engine = Engine::reopen(Box::new(log)).unwrap();
    assert_eq!(engine.state().state, "ReduceOnly", "after a restart too");
    assert_eq!(mark(&mut engine, 4, 2 * DAY + HOUR, 1_000, 0).state, "Normal", "the next session");
}

#[test]
fn r7_an_old_approval_does_not_loosen_a_second_time() {
    let mut engine = started("j", &MemoryLog::new());
    mark(&mut engine, 1, DAY + HOUR, 1_000, 0);
    let loose = RiskProfileSpec {
        limits: {
            let mut limits = spec().limits;
            limits.max_orders_per_minute = 700;
            limits
        },
        ..spec()
    };
    engine.apply_profile(2, &loose).unwrap();
    let approved = RiskProfileSpec { approved_loosening: engine.status().pending_loosening, ..loose };
    engine.apply_profile(3, &approved).unwrap();
    mark(&mut engine, 2, DAY + 2 * HOUR, 1_000, 0);
    mark(&mut engine, 3, DAY + 3 * HOUR, 1_000, 0);
    assert!(engine.status().effective_limits_json.contains("\"maxOrdersPerMinute\":700"));
    engine.apply_profile(4, &spec()).unwrap();
    engine.apply_profile(5, &approved).unwrap();
    mark(&mut engine, 4, DAY + 4 * HOUR, 1_000, 0);
    mark(&mut engine, 5, DAY + 5 * HOUR, 1_000, 0);
    let status = engine.status();
    assert!(status.effective_limits_json.contains("\"maxOrdersPerMinute\":600"), "{}", status.effective_limits_json);
    assert_ne!(status.pending_loosening, approved.approved_loosening);
    assert_eq!(status.soak_open_market_ns, 0, "it waits for a new approval");
}
