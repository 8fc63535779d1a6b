//! The risk engine through its messages: verdicts, booking, profiles, restart after every write.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use tradewind_core::instrument::Symbol;
use tradewind_crds::{RiskProfileSpec, samples};
use tradewind_journal::testing::{Death, FaultyLog};
use tradewind_journal::{Log, MemoryLog};
use tradewind_risk::{Engine, Record, RiskError};
use tradewind_wire::v1;

const DAY: i64 = 86_400_000_000_000;
const MINUTE: i64 = 60_000_000_000;

fn spec() -> RiskProfileSpec {
    samples::profile("main", "paper-1").spec
}

/// The sample that acknowledges the halt in force.
fn lifted(engine: &Engine) -> RiskProfileSpec {
    RiskProfileSpec { acknowledge_halt: engine.status().halt_id, ..spec() }
}

fn money(units: i64) -> Option<v1::Money> {
    Some(v1::Money { units, nanos: 0 })
}

fn order(id: &str, lots: i64) -> v1::OrderProposal {
    v1::OrderProposal {
        order_id: id.into(),
        account: "paper-1".into(),
        fencing_token: 1,
        symbol: "SPX".into(),
        lots,
        price_ticks: 1_000,
        reference_price_ticks: 1_000,
        reduce_only: false,
        event_time_ns: DAY,
        data_time_ns: DAY,
        point_value: money(1),
        tick: money(1),
        lot: money(1),
    }
}

fn fill(number: u64, id: &str, lots: i64, price: i64) -> v1::FillEvent {
    let (order_id, symbol) = (id.to_owned(), "SPX".to_owned());
    v1::FillEvent { order_id, fill_number: number, symbol, lots, price_ticks: price, fee: money(0), event_time_ns: DAY }
}

fn report(sequence: u64, price: i64, fills: Vec<v1::FillEvent>, closed: &[&str]) -> v1::AccountReport {
    let day = i64::try_from(sequence).unwrap() * DAY;
    let mark = v1::MarkEvent {
        symbol: "SPX".into(),
        price_ticks: price,
        event_time_ns: day,
        point_value: money(1),
        tick: money(1),
        lot: money(1),
    };
    v1::AccountReport {
        account: "paper-1".into(),
        fencing_token: 1,
        sequence,
        fills,
        mark: Some(mark),
        closed_order_ids: closed.iter().map(|id| (*id).to_owned()).collect(),
        session_time_ns: day,
    }
}

fn acquire(engine: &mut Engine) -> u64 {
    engine.acquire(&v1::AcquireRequest { account: "paper-1".into(), policy: "indices".into(), last_token: 0 }).unwrap().token
}

fn started(log: &MemoryLog<Record>) -> Engine {
    let mut engine = Engine::open("paper-1", Box::new(log.clone())).unwrap();
    engine.apply_profile(1, &spec()).unwrap();
    assert_eq!(acquire(&mut engine), 1);
    engine.report(&report(1, 1_000, vec![], &[])).unwrap();
    engine
}

#[test]
fn without_a_profile_nothing_is_allowed() {
    let mut engine = Engine::open("paper-1", Box::new(MemoryLog::new())).unwrap();
    acquire(&mut engine);
    let verdict = engine.check_order(&order("a", 1)).unwrap();
    assert_eq!((verdict.allowed, verdict.denial.as_str(), verdict.state.as_str()), (false, "halted", "Halted"));
    assert!(matches!(engine.report(&report(1, 1_000, vec![], &[])), Err(RiskError::NoProfile)));
}

#[test]
fn verdicts_are_idempotent_and_reserve_once() {
    let log = MemoryLog::new();
    let mut engine = started(&log);
    let verdict = engine.check_order(&order("a", 250)).unwrap();
    assert!(verdict.allowed);
    assert_eq!(engine.check_order(&order("a", 250)).unwrap(), verdict);
    assert_eq!(engine.open_reservations(), 1);
    assert!(engine.check_order(&order("b", 250)).unwrap().allowed);
    let third = engine.check_order(&order("c", 1)).unwrap();
    assert_eq!(
        (third.denial.as_str(), third.message.as_str()),
        ("position_notional", "position with all working orders would be worth 501000, allowed is 500000")
    );
    assert_eq!(engine.status().denials_total, 1);
    assert!(engine.status().recent_denials[0].starts_with("c: position_notional: "));
    engine.report(&report(2, 1_000, vec![], &["a"])).unwrap();
    assert_eq!(engine.check_order(&order("c", 1)).unwrap(), third, "a verdict stays");
    assert!(engine.check_order(&order("d", 1)).unwrap().allowed, "released");
}

#[test]
fn a_thousand_checks_never_exceed_a_limit_together() {
    // RK-179
    let mut engine = started(&MemoryLog::new());
    let allowed: i64 =
        (0..1_000).filter(|number| engine.check_order(&order(&number.to_string(), 7)).unwrap().allowed).map(|_| 7).sum();
    assert_eq!(allowed, 497, "500 lots are the limit");
    assert_eq!(engine.status().recent_denials.len(), 10);
    assert_eq!(engine.status().denials_total, 1_000 - 71);
}

#[test]
fn fencing_refuses_every_older_process() {
    let mut engine = started(&MemoryLog::new());
    let second =
        engine.acquire(&v1::AcquireRequest { account: "paper-1".into(), policy: "indices".into(), last_token: 9 }).unwrap();
    assert_eq!(second.token, 10, "above every token that anyone has seen");
    assert_eq!(engine.check_order(&order("a", 1)).unwrap().denial, "stale_fencing_token");
    assert!(matches!(engine.report(&report(2, 1_000, vec![], &[])), Err(RiskError::Fenced { seen: 1, allowed: 10 })));
    let newer = v1::OrderProposal { fencing_token: 10, ..order("a", 1) };
    assert!(engine.check_order(&newer).unwrap().allowed, "the refusal of the old process binds nobody");
}

#[test]
fn fills_are_booked_once_and_gaps_are_refused() {
    let mut engine = started(&MemoryLog::new());
    engine.check_order(&order("a", 100)).unwrap();
    let state = engine.report(&report(2, 1_010, vec![fill(1, "a", 100, 1_000)], &["a"])).unwrap();
    assert_eq!((state.equity, state.daily_pnl_bps), (money(1_001_000), 10));
    assert_eq!(engine.report(&report(2, 1_010, vec![fill(1, "a", 100, 1_000)], &["a"])).unwrap(), state);
    assert_eq!(engine.report(&report(2, 9_999, vec![], &[])).unwrap(), state, "a sequence is marked once");
    assert!(matches!(
        engine.report(&report(3, 1_010, vec![fill(3, "a", 1, 1_000)], &[])),
        Err(RiskError::Gap { booked: 1, seen: 3 })
    ));
    assert_eq!(engine.state(), state);
    let both = vec![fill(1, "a", 100, 1_000), fill(2, "b", -100, 1_020)];
    assert_eq!(engine.report(&report(3, 1_020, both, &[])).unwrap().equity, money(1_002_000));
}

#[test]
fn messages_that_make_no_sense_are_denied() {
    let mut engine = started(&MemoryLog::new());
    let denial = |engine: &mut Engine, wrong: v1::OrderProposal| engine.check_order(&wrong).unwrap().denial;
    assert_eq!(denial(&mut engine, v1::OrderProposal { tick: None, ..order("a", 1) }), "unknown_instrument");
    assert_eq!(denial(&mut engine, v1::OrderProposal { symbol: "spx".into(), ..order("b", 1) }), "unknown_instrument");
    assert_eq!(denial(&mut engine, v1::OrderProposal { tick: money(2), ..order("c", 1) }), "unknown_instrument");
    assert_eq!(denial(&mut engine, v1::OrderProposal { account: "x".into(), ..order("d", 1) }), "unknown_account");
    assert_eq!(denial(&mut engine, order("e", 0)), "order_invalid");
    assert_eq!(denial(&mut engine, v1::OrderProposal { data_time_ns: 0, ..order("f", 1) }), "data_age");
}

#[test]
fn tighter_acts_at_once_and_looser_waits() {
    let mut engine = started(&MemoryLog::new());
    let mut wanted = spec();
    wanted.limits.max_order_notional = "100000".parse().unwrap();
    engine.apply_profile(2, &wanted).unwrap();
    assert_eq!(engine.check_order(&order("a", 101)).unwrap().denial, "order_notional");
    let back = spec();
    engine.apply_profile(3, &back).unwrap();
    assert_eq!(engine.check_order(&order("b", 101)).unwrap().denial, "order_notional", "the old limit is a loosening now");
    let status = engine.status();
    assert_eq!((status.observed_generation, status.pending_loosening.len()), (3, 16));
    assert!(status.effective_limits_json.contains("\"maxOrderNotional\":\"100000\""));
    engine.apply_profile(4, &RiskProfileSpec { approved_loosening: status.pending_loosening, ..back }).unwrap();
    assert_eq!(engine.check_order(&order("c", 101)).unwrap().denial, "order_notional", "approved, and its soak has begun");
    let status = engine.status();
    assert_eq!((status.soak_open_market_ns, status.soak_not_before_ns), (10 * MINUTE, DAY + 10 * MINUTE));
    // Reports are a day apart, and none proves more than five minutes of open market.
    engine.report(&report(2, 1_000, vec![], &[])).unwrap();
    assert_eq!(engine.check_order(&order("d", 101)).unwrap().denial, "order_notional");
    engine.report(&report(3, 1_000, vec![], &[])).unwrap();
    assert!(engine.check_order(&order("e", 101)).unwrap().allowed);
    let status = engine.status();
    assert_eq!((status.pending_loosening.as_str(), status.soak_open_market_ns), ("", 0));
}

#[test]
fn an_invalid_profile_changes_nothing_but_its_halt_acts() {
    let mut engine = started(&MemoryLog::new());
    let mut wrong = spec();
    wrong.limits.daily_loss_bps = 0;
    wrong.starting_equity = "5".parse().unwrap();
    engine.apply_profile(2, &wrong).unwrap();
    let status = engine.status();
    assert_eq!((status.observed_generation, status.state.as_str()), (1, "Normal"));
    for part in ["generation 2 is not in force", "spec.limits.dailyLossBps is 0", "spec.startingEquity is 5"] {
        assert!(status.invalid_profile.contains(part), "{part} is missing in {}", status.invalid_profile);
    }
    wrong.halt = true;
    engine.apply_profile(3, &wrong).unwrap();
    assert_eq!(engine.state().state, "ReduceOnly");
    assert_eq!(engine.check_order(&order("a", 1)).unwrap().denial, "halted");
    engine.apply_profile(4, &lifted(&engine)).unwrap();
    assert_eq!((engine.state().state.as_str(), engine.status().invalid_profile.as_str()), ("Normal", ""));
}

#[test]
fn halt_acts_on_the_very_next_order_and_on_orders_that_were_not_sent() {
    let mut engine = started(&MemoryLog::new());
    assert!(engine.check_order(&order("a", 10)).unwrap().allowed);
    engine.apply_profile(2, &RiskProfileSpec { halt: true, ..spec() }).unwrap();
    assert_eq!(engine.check_order(&order("b", 1)).unwrap().denial, "halted");
    assert_eq!(engine.check_order(&order("a", 10)).unwrap().denial, "halted", "asked again, so it was not sent");
    engine.report(&report(2, 1_000, vec![fill(1, "a", 10, 1_000)], &["a"])).unwrap();
    let out = v1::OrderProposal { reduce_only: true, ..order("c", -10) };
    assert!(engine.check_order(&out).unwrap().allowed);
    engine.profile_gone().unwrap();
    engine.apply_profile(3, &spec()).unwrap();
    assert_eq!(engine.state().state, "ReduceOnly", "deleting the profile and applying it again lifts nothing");
    engine.apply_profile(4, &lifted(&engine)).unwrap();
    assert_eq!(engine.state().state, "Normal");
    engine.profile_gone().unwrap();
    assert_eq!(engine.state().reason, "the RiskProfile was deleted");
}

#[test]
fn a_latched_breaker_and_the_limits_survive_a_restart() {
    let log = MemoryLog::new();
    let mut engine = started(&log);
    for (number, lots) in [(1, 250), (2, 250)] {
        let id = number.to_string();
        assert!(engine.check_order(&order(&id, lots)).unwrap().allowed);
        engine.report(&report(1 + number, 1_000, vec![fill(number, &id, lots, 1_000)], &[&id])).unwrap();
    }
    let state = engine.report(&report(4, 599, vec![], &[])).unwrap();
    assert_eq!((state.state.as_str(), state.drawdown_bps), ("ReduceOnly", -2_005));
    let (before, status) = (engine.state(), engine.status());
    let breaker = status.breaker_id.clone();
    assert_eq!((breaker.len(), status.last_transition_ns), ("drawdown-".len() + 12, 4 * DAY));
    drop(engine);
    let mut engine = Engine::reopen(Box::new(log.clone())).unwrap();
    assert_eq!((engine.state(), engine.status()), (before, status), "before any profile is read");
    let written = log.len();
    engine.apply_profile(1, &spec()).unwrap();
    assert_eq!(log.len(), written, "the same profile again writes nothing");
    // Recovery does not clear it, nor does a wrong id.
    engine.report(&report(5, 1_100, vec![], &[])).unwrap();
    engine.apply_profile(2, &RiskProfileSpec { acknowledge_breaker: "drawdown-000000000000".into(), ..spec() }).unwrap();
    assert_eq!(engine.check_order(&order("x", 1)).unwrap().denial, "drawdown_breaker");
    engine.apply_profile(3, &RiskProfileSpec { acknowledge_breaker: breaker, ..spec() }).unwrap();
    assert_eq!(engine.state().state, "Normal");
    assert!(engine.check_order(&v1::OrderProposal { lots: -1, ..order("y", -1) }).unwrap().allowed);
}

#[test]
fn a_journal_of_another_account_is_refused() {
    let log = MemoryLog::new();
    started(&log);
    assert!(matches!(Engine::open("paper-2", Box::new(log)), Err(RiskError::Account { .. })));
    let mut engine = Engine::open("paper-2", Box::new(MemoryLog::new())).unwrap();
    engine.apply_profile(1, &spec()).unwrap();
    assert!(
        engine.status().invalid_profile.contains("spec.account is paper-1, allowed is paper-2"),
        "{}",
        engine.status().invalid_profile
    );
}

/// One call of a fixed session; each may be repeated. `manifest` is what the person who lifts the halt writes down once.
fn step(engine: &mut Engine, number: usize, manifest: &mut Option<RiskProfileSpec>) -> Result<(), RiskError> {
    match number {
        0 => engine.apply_profile(1, &spec()),
        1 => {
            if engine.state().fencing_token == 0 {
                acquire_or(engine)?;
            }
            Ok(())
        }
        2 => engine.report(&report(1, 1_000, vec![], &[])).map(drop),
        3 => engine.check_order(&order("a", 200)).map(drop),
        4 => engine.check_order(&order("b", 400)).map(drop),
        5 => engine.report(&report(2, 990, vec![fill(1, "a", 150, 1_001)], &[])).map(drop),
        6 => engine.apply_profile(2, &RiskProfileSpec { halt: true, ..spec() }),
        7 => engine.check_order(&order("c", 1)).map(drop),
        8 => engine.report(&report(3, 1_020, vec![fill(1, "a", 150, 1_001), fill(2, "a", 50, 1_000)], &["a"])).map(drop),
        _ => {
            let spec = manifest.get_or_insert_with(|| lifted(engine)).clone();
            engine.apply_profile(3, &spec)
        }
    }
}

fn acquire_or(engine: &mut Engine) -> Result<(), RiskError> {
    engine.acquire(&v1::AcquireRequest { account: "paper-1".into(), policy: "indices".into(), last_token: 0 }).map(drop)
}

#[test]
fn killed_at_every_write_the_end_is_the_same() {
    let run = |fatal: u64, death: Death| {
        let disk = MemoryLog::new();
        let faulty = FaultyLog::new(disk.clone(), fatal, death);
        let mut alive = Engine::open("paper-1", Box::new(faulty)).ok();
        let mut manifest = None;
        for number in 0..10 {
            let first = alive.as_mut().map(|engine| step(engine, number, &mut manifest));
            if !matches!(first, Some(Ok(()))) {
                let mut again = Engine::open("paper-1", Box::new(disk.clone())).unwrap();
                step(&mut again, number, &mut manifest).unwrap();
                alive = Some(again);
            }
        }
        let engine = alive.unwrap();
        (engine.state(), engine.status(), engine.lots(&Symbol::try_from("SPX".to_owned()).unwrap()), disk.len())
    };
    let undisturbed = run(0, Death::BeforeWrite);
    assert_eq!(undisturbed.2, 200);
    for fatal in 1..=undisturbed.3 {
        for death in [Death::BeforeWrite, Death::AfterWrite] {
            assert_eq!(run(fatal, death.clone()), undisturbed, "write {fatal}, {death:?}");
        }
    }
}
