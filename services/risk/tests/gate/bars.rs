//! The gate's own view of the market.

use crate::desk::{DAY, Desk, OWNER, account, bar, claim, limit, money, out, owner, policy, spec};
use tradewind_core::time::Nanos;
use tradewind_journal::MemoryLog;
use tradewind_risk::{Arrival, CHECK_DEADLINE_NS, Engine, RiskError};
use tradewind_wire::bus::{FeedKind, SequencedBar};
use tradewind_wire::v1;

#[test]
fn a_bar_is_met_once_and_only_as_the_gates_feed_has_it() {
    let mut desk = Desk::new();
    desk.buys("indices/a", "SPX", 100, 1_000);
    let reply = desk.marked("SPX", 1_010);
    assert_eq!(reply.state.as_ref().unwrap().equity, money(1_001_000));
    assert_eq!(reply.state.as_ref().unwrap().daily_pnl_bps, 10);
    let written = tradewind_journal::Log::len(&desk.log);
    assert_eq!(desk.met(&bar("SPX", 3, 9_999)).state, reply.state, "a sequence is met once");
    let ask = |sequence, own: Option<&SequencedBar>, engine: &mut Engine| {
        engine.meet(&v1::MeetRequest { owner: owner(OWNER, 1), symbol: "SPX".into(), sequence }, own)
    };
    for own in [None, Some(bar("SPX", 9, 1_000)), Some(bar("NDX", 4, 1_000))] {
        let outcome = ask(4, own.as_ref(), &mut desk.engine);
        assert!(matches!(outcome, Err(RiskError::NotSeen { .. })), "{outcome:?}");
    }
    let mut wrong = bar("SPX", 4, 1_000);
    wrong.bar.low_nanos = -1;
    assert!(matches!(ask(4, Some(&wrong), &mut desk.engine), Err(RiskError::Message(_))));
    assert_eq!(tradewind_journal::Log::len(&desk.log), written);
}

/// What trades at the open is protected before the range of the same bar is met.
#[test]
fn the_open_waits_for_protection() {
    let mut desk = Desk::new();
    assert!(desk.place(limit("indices/a", "SPX", 10, 1_050)).allowed);
    let mut own = bar("SPX", 2, 1_000);
    (own.bar.low_nanos, own.bar.high_nanos) = (900_000_000_000, 1_100_000_000_000);
    let mut ask = v1::MeetRequest { owner: owner(OWNER, 1), symbol: "SPX".into(), sequence: 2 };
    let reply = desk.engine.meet(&ask, Some(&own)).unwrap();
    assert_eq!((reply.done, reply.positions.len(), desk.lots("SPX")), (false, 1, 10));
    assert_eq!(desk.engine.meet(&ask, Some(&own)).unwrap(), reply, "the answer was lost: the range waits");
    let stop = v1::NewOrder { kind: v1::OrderKind::Stop.into(), price_ticks: 950, ..out("indices/stop", "SPX", -10) };
    assert!(desk.place(stop).allowed);
    let reply = desk.engine.meet(&ask, Some(&own)).unwrap();
    assert!(!reply.done, "it has not heard of the stop yet");
    crate::desk::acknowledge(&mut ask, &reply);
    let reply = desk.engine.meet(&ask, Some(&own)).unwrap();
    assert_eq!((reply.done, desk.lots("SPX")), (true, 0));
    assert_eq!(reply.state.unwrap().equity, money(999_500));
}

/// R5, R11: what is not an instrument of the account by its resources moves nothing.
#[test]
fn r5_r11_instruments_and_sessions_come_from_the_resources() {
    let mut engine = Engine::open("paper-1", Box::new(MemoryLog::new())).unwrap();
    engine.apply_profile(1, &spec()).unwrap();
    engine.apply_account(&account(FeedKind::Live)).unwrap();
    let feed = "default".parse().unwrap();
    engine.arrive(&feed, &bar("SPX", 1, 1_000), Nanos(DAY)).unwrap();
    let before = engine.state();
    engine.arrive(&feed, &bar("XAU", 400, 1_000), Nanos(DAY)).unwrap();
    engine.arrive(&"elsewhere".parse().unwrap(), &bar("SPX", 400, 1_000), Nanos(DAY)).unwrap();
    assert_eq!(engine.state(), before);
    assert_eq!(engine.feeds(), [(feed, FeedKind::Live, 1)]);
}

#[test]
fn resources_that_contradict_what_is_booked_are_refused_whole() {
    let mut desk = Desk::new();
    desk.buys("indices/a", "SPX", 1, 1_000);
    let refused = |desk: &mut Desk, change: &dyn Fn(&mut tradewind_wire::account::AccountConfig)| {
        let mut config = account(FeedKind::Replay);
        change(&mut config);
        desk.engine.apply_account(&config).unwrap();
        desk.engine.status().invalid_account
    };
    let two = || "2".parse().unwrap();
    assert!(refused(&mut desk, &|config| config.policies[0].instruments[0].tick = two()).contains("SPX: tick, lot"));
    assert!(refused(&mut desk, &|config| config.account = "paper-2".into()).contains("guards account 'paper-1'"));
    assert!(refused(&mut desk, &|config| config.policies[0].feed_kind = FeedKind::Live).contains("kind cannot be changed"));
    assert!(
        refused(&mut desk, &|config| {
            let moved = config.policies[0].instruments.remove(0);
            config.policies[1].instruments.push(moved);
        })
        .contains("cannot go from 'indices' to 'others' while a position")
    );
    assert!(
        refused(&mut desk, &|config| config.policies.push(policy("third", FeedKind::Replay, &["SPX"])))
            .contains("belongs to one policy")
    );
    assert_eq!(desk.code(limit("indices/b", "SPX", 1, 1_000)), "", "what was in force stays");
    assert_eq!(
        refused(&mut desk, &|config| config.policies[1].instruments.extend(policy("x", FeedKind::Replay, &["MDAX"]).instruments)),
        ""
    );
    desk.sequence = 9;
    desk.engine.acquire(&claim("others", 1, "again")).unwrap();
}

/// On a live feed the clock is that of arrival, bars meet the venue when they come, and nobody waits for execution.
#[test]
fn a_live_feed_has_the_arrival_clock() {
    let mut engine = Engine::open("paper-1", Box::new(MemoryLog::new())).unwrap();
    engine.apply_profile(1, &spec()).unwrap();
    engine.apply_account(&account(FeedKind::Live)).unwrap();
    engine.acquire(&claim(OWNER, 0, "first")).unwrap();
    let feed = "default".parse().unwrap();
    engine.arrive(&feed, &bar("SPX", 1, 1_000), Nanos(DAY)).unwrap();
    let place = |id: &str, came: i64, now: i64, engine: &mut Engine| {
        let orders = vec![limit(id, "SPX", 1, 1_000)];
        let arrival = Arrival { came_at: Nanos(came), now: Nanos(now) };
        engine.place(&v1::PlaceRequest { owner: owner(OWNER, 1), orders }, arrival).unwrap().verdicts[0].denial.clone()
    };
    let (second, due) = (1_000_000_000, 2 * DAY);
    assert_eq!(place("indices/a", DAY, DAY, &mut engine), "");
    assert_eq!(place("indices/b", due + 5 * second, due + 5 * second, &mut engine), "");
    assert_eq!(place("indices/c", due + 5 * second + 1, due + 5 * second + 1, &mut engine), "data_age", "the next bar is late");
    assert_eq!(place("indices/d", DAY, DAY + CHECK_DEADLINE_NS + 1, &mut engine), "deadline", "RK-121");
    engine.arrive(&feed, &bar("SPX", 2, 1_000), Nanos(due)).unwrap();
    assert_eq!(engine.lots(&"SPX".to_owned().try_into().unwrap()), 1, "the one that was sent before its close met it");
    let reply = engine.meet(&v1::MeetRequest { owner: owner(OWNER, 1), symbol: "SPX".into(), sequence: 2 }, None).unwrap();
    assert_eq!((reply.done, reply.events.len()), (true, 3));
}
