//! What stops the engine, and what does not start it again: K1, R6, R7, both ways of a halt, ids over journals.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use tradewind_core::time::Nanos;
use tradewind_crds::risk_profile::HaltMode;
use tradewind_crds::{RiskProfileSpec, samples};
use tradewind_journal::MemoryLog;
use tradewind_risk::stops::halt::HaltAsk;
use tradewind_risk::{Engine, Record};
use tradewind_wire::v1;

const HOUR: i64 = 3_600_000_000_000;
/// Midnight that begins the second day.
const DAY: i64 = 24 * HOUR;

fn spec() -> RiskProfileSpec {
    samples::profile("main", "paper-1").spec
}

fn one() -> Option<v1::Money> {
    Some(v1::Money { units: 1, nanos: 0 })
}

fn started(journal: &str, log: &MemoryLog<Record>) -> Engine {
    let mut engine = Engine::open_as("paper-1", journal, Box::new(log.clone())).unwrap();
    engine.apply_profile(1, &spec()).unwrap();
    engine.acquire(&v1::AcquireRequest { account: "paper-1".into(), policy: "indices".into(), last_token: 0 }).unwrap();
    engine
}

/// A mark of SPX, and a fill before it when `lots` is not 0.
fn mark(engine: &mut Engine, sequence: u64, at: i64, price: i64, lots: i64) -> v1::RiskState {
    let fill = v1::FillEvent {
        order_id: "a".into(),
        fill_number: 1,
        symbol: "SPX".into(),
        lots,
        price_ticks: price,
        fee: Some(v1::Money::default()),
        event_time_ns: at,
    };
    let mark = v1::MarkEvent {
        symbol: "SPX".into(),
        price_ticks: price,
        event_time_ns: at,
        point_value: one(),
        tick: one(),
        lot: one(),
    };
    let report = v1::AccountReport {
        account: "paper-1".into(),
        fencing_token: 1,
        sequence,
        fills: if lots == 0 { vec![] } else { vec![fill] },
        mark: Some(mark),
        closed_order_ids: vec![],
        session_time_ns: at,
    };
    engine.report(&report).unwrap()
}

fn denial(engine: &mut Engine, id: &str, at: i64) -> String {
    let order = v1::OrderProposal {
        order_id: id.into(),
        account: "paper-1".into(),
        fencing_token: 1,
        symbol: "SPX".into(),
        lots: 1,
        price_ticks: 1_000,
        reference_price_ticks: 1_000,
        reduce_only: false,
        event_time_ns: at,
        data_time_ns: at,
        point_value: one(),
        tick: one(),
        lot: one(),
    };
    engine.check_order(&order).unwrap().denial
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
    assert_eq!(denial(&mut engine, "b", DAY + HOUR), "halted");
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
    assert_eq!(denial(&mut engine, "b", DAY + 3 * HOUR), "daily_loss");
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
