//! Limits, halts and breakers as the RiskProfile says them.

use crate::desk::{Desk, account, claim, limit, spec};
use tradewind_crds::RiskProfileSpec;
use tradewind_journal::{Log, MemoryLog};
use tradewind_risk::{Engine, RiskError};
use tradewind_wire::bus::FeedKind;
use tradewind_wire::v1;

#[test]
fn without_a_profile_nothing_is_allowed() {
    let mut engine = Engine::open("paper-1", Box::new(MemoryLog::new())).unwrap();
    engine.apply_account(&account(FeedKind::Replay)).unwrap();
    engine.acquire(&claim("indices", 0, "first")).unwrap();
    assert_eq!(engine.state().state, "Halted");
    let own = crate::desk::bar("SPX", 1, 1_000);
    let ask = v1::MeetRequest { owner: crate::desk::owner("indices", 1), symbol: "SPX".into(), sequence: 1 };
    assert!(matches!(engine.meet(&ask, Some(&own)), Err(RiskError::NoProfile)));
}

#[test]
fn tighter_acts_at_once_and_looser_waits() {
    let mut desk = Desk::new();
    let mut wanted = spec();
    wanted.limits.max_order_notional = "100000".parse().unwrap();
    desk.engine.apply_profile(2, &wanted).unwrap();
    assert_eq!(desk.code(limit("indices/a", "SPX", 101, 1_000)), "order_notional");
    let back = spec();
    desk.engine.apply_profile(3, &back).unwrap();
    assert_eq!(desk.code(limit("indices/b", "SPX", 101, 1_000)), "order_notional", "the old limit is a loosening now");
    let status = desk.engine.status();
    assert_eq!((status.observed_generation, status.pending_loosening.len()), (3, 16));
    assert!(status.effective_limits_json.contains("\"maxOrderNotional\":\"100000\""));
    desk.engine.apply_profile(4, &RiskProfileSpec { approved_loosening: status.pending_loosening, ..back }).unwrap();
    assert_eq!(desk.code(limit("indices/soaks", "SPX", 101, 1_000)), "order_notional", "approved, and it soaks");
    for _ in 0..2 {
        desk.marked("SPX", 1_000);
    }
    assert!(desk.place(limit("indices/c", "SPX", 101, 1_000)).allowed);
    assert_eq!(desk.engine.status().pending_loosening, "");
}

#[test]
fn an_invalid_profile_changes_nothing_but_its_halt_acts() {
    let mut desk = Desk::new();
    let mut wrong = spec();
    wrong.limits.daily_loss_bps = 0;
    wrong.starting_equity = "5".parse().unwrap();
    desk.engine.apply_profile(2, &wrong).unwrap();
    let status = desk.engine.status();
    assert_eq!((status.observed_generation, status.state.as_str()), (1, "Normal"));
    for part in ["generation 2 is not in force", "spec.limits.dailyLossBps is 0", "spec.startingEquity is 5"] {
        assert!(status.invalid_profile.contains(part), "{part} is missing in {}", status.invalid_profile);
    }
    wrong.halt = true;
    desk.engine.apply_profile(3, &wrong).unwrap();
    assert_eq!(desk.engine.state().state, "ReduceOnly");
    assert_eq!(desk.code(limit("indices/a", "SPX", 1, 1_000)), "halted");
}

#[test]
fn a_halt_takes_back_what_could_open_and_leaves_what_protects() {
    let mut desk = Desk::new();
    desk.buys("indices/a", "SPX", 10, 1_000);
    let stop =
        v1::NewOrder { kind: v1::OrderKind::Stop.into(), price_ticks: 900, ..crate::desk::out("indices/stop", "SPX", -10) };
    assert!(desk.place(stop).allowed);
    assert!(desk.place(limit("indices/b", "SPX", 1, 1_000)).allowed);
    desk.engine.apply_profile(2, &RiskProfileSpec { halt: true, ..spec() }).unwrap();
    let working = desk.cancel(&[]).working;
    assert_eq!(working.iter().map(|one| one.order_id.as_str()).collect::<Vec<_>>(), ["indices/stop"]);
    desk.engine.profile_gone().unwrap();
    assert_eq!(desk.code(limit("indices/c", "SPX", 1, 1_000)), "halted");
}

#[test]
fn a_latched_breaker_and_the_limits_survive_a_restart() {
    let mut desk = Desk::new();
    desk.buys("indices/a", "SPX", 250, 1_000);
    desk.buys("indices/b", "SPX", 250, 1_000);
    assert!(desk.place(limit("indices/short", "SPX", -1, 1_000)).allowed);
    let state = desk.marked("SPX", 599).state.unwrap();
    assert_eq!((state.state.as_str(), state.drawdown_bps), ("ReduceOnly", -2_005));
    let (before, status) = (desk.engine.state(), desk.engine.status());
    assert!(!status.breaker_id.is_empty());
    let log = desk.log.clone();
    drop(desk);
    let mut engine = Engine::reopen(Box::new(log.clone())).unwrap();
    assert_eq!((engine.state(), engine.status()), (before, status.clone()), "before any profile is read");
    let written = log.len();
    engine.apply_profile(1, &spec()).unwrap();
    engine.apply_account(&account(FeedKind::Replay)).unwrap();
    assert_eq!(log.len(), written, "the same again writes nothing");
    let mut desk = Desk { engine, log, sequence: 4 };
    // Recovery does not clear it, nor does a wrong id.
    desk.marked("SPX", 1_100);
    desk.engine.apply_profile(2, &RiskProfileSpec { acknowledge_breaker: "drawdown-none".into(), ..spec() }).unwrap();
    assert_eq!(desk.engine.status().breaker_id, status.breaker_id);
    desk.engine.apply_profile(3, &RiskProfileSpec { acknowledge_breaker: status.breaker_id, ..spec() }).unwrap();
    assert_eq!(desk.engine.status().breaker_id, "");
}

#[test]
fn a_journal_of_another_account_is_refused() {
    let desk = Desk::new();
    assert!(matches!(Engine::open("paper-2", Box::new(desk.log)), Err(RiskError::Account { .. })));
    let mut engine = Engine::open("paper-2", Box::new(MemoryLog::new())).unwrap();
    engine.apply_profile(1, &spec()).unwrap();
    let invalid = engine.status().invalid_profile;
    assert!(invalid.contains("spec.account is paper-1, allowed is paper-2"), "{invalid}");
}
