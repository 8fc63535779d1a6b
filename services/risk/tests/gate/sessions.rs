//! Ruling 17: what a session of the account's calendar begins and ends at the gate, over a holiday, early closes and both
//! changes of the clocks, while other markets of the account go on.

use crate::desk::{OWNER, claim, limit, owner, policy, spec};
use crate::market::{AFTER, BREAKS, Break, MINUTE, Market, SYMBOLS};
use tradewind_core::calendar::CalendarName;
use tradewind_core::time::Nanos;
use tradewind_crds::RiskProfileSpec;
use tradewind_journal::MemoryLog;
use tradewind_risk::{Arrival, Engine};
use tradewind_wire::account::AccountConfig;
use tradewind_wire::bus::FeedKind;
use tradewind_wire::v1;

const HALF_HOUR: i64 = 30 * MINUTE;

/// State and code of a refusal that hold until the next session opens, and the bar with which they end.
fn latched_until_the_next_session(market: &mut Market, one: &Break) {
    let mut refused = 0;
    market.run(one, one.after(AFTER), |market, close, symbol, state| {
        let over = close > one.next();
        let expected = if over { "Normal" } else { "ReduceOnly" };
        assert_eq!(state.state, expected, "{}: {symbol} until {}: {}", one.what, close.0, state.reason);
        if !over && symbol == "BTC" {
            refused += 1;
            assert_eq!(market.denial("BTC"), "daily_loss", "{}", one.what);
        }
    });
    assert!(refused > 30, "{}: {refused}", one.what);
    assert_eq!(market.denial("SPX"), "", "{}", one.what);
}

/// RK-87: a loss within the session, a price that comes back, a restart while the market is closed: no new risk until the
/// first bar of the next session, and from that bar on again.
#[test]
fn a_loss_holds_for_its_session() {
    for one in &BREAKS {
        let mut market = Market::new(one, 30);
        market.quietly(one, one.opened(2 * HALF_HOUR));
        market.buys("SPX");
        market.quietly(one, one.opened(3 * HALF_HOUR));
        assert_eq!((market.lots("SPX"), market.engine.state().state.as_str()), (400, "Normal"));
        market.level("SPX", 900);
        market.quietly(one, one.opened(4 * HALF_HOUR));
        assert_eq!(market.engine.state().state, "ReduceOnly", "{}: four hundredths are lost", one.what);
        market.level("SPX", 1_000);
        market.quietly(one, one.closed(HALF_HOUR));
        market.restart();
        assert!(market.engine.state().daily_pnl_bps > -100, "{}: nearly all came back", one.what);
        latched_until_the_next_session(&mut market, one);
    }
}

/// A loss in another market while New York is closed belongs to the session that was open last.
#[test]
fn a_loss_behind_the_close_belongs_to_the_session_that_has_closed() {
    for one in &BREAKS {
        let mut market = Market::new(one, 30);
        market.quietly(one, one.opened(2 * HALF_HOUR));
        market.buys("EURUSD");
        market.quietly(one, one.closed(0));
        assert_eq!(market.engine.state().state, "Normal");
        market.level("EURUSD", 900);
        market.quietly(one, one.closed(HALF_HOUR));
        assert_eq!(market.engine.state().state, "ReduceOnly", "{}", one.what);
        latched_until_the_next_session(&mut market, one);
    }
}

/// RK-87: the result of a session counts from the equity before its first bar, of whichever instrument that is. Midnight of
/// UTC, the evening of the currencies, days without a session and bars of before the open begin nothing.
#[test]
fn a_session_begins_with_its_first_bar_alone() {
    for one in &BREAKS {
        let mut market = Market::new(one, 30);
        market.quietly(one, one.opened(2 * HALF_HOUR));
        market.buys("SPX");
        market.quietly(one, one.opened(3 * HALF_HOUR));
        market.buys("EURUSD");
        let start = |state: &v1::RiskState| state.session_start_equity;
        let (mut expected, mut begins) = (start(&market.engine.state()), Vec::new());
        assert_eq!(expected, crate::desk::money(1_000_000));
        let mut before = market.engine.state().equity;
        market.run(one, one.after(AFTER), |_, close, symbol, state| {
            if close > one.next() && begins.is_empty() {
                expected = before;
            }
            assert_eq!(start(state), expected, "{}: {symbol} until {}", one.what, close.0);
            if begins.is_empty() && expected != crate::desk::money(1_000_000) {
                begins.push((symbol.to_owned(), close));
            }
            before = state.equity;
        });
        assert_eq!(begins, [("BTC".to_owned(), Nanos(one.next().0 + HALF_HOUR))], "{}", one.what);
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stop {
    /// A direct call within the session.
    Direct,
    /// `spec.halt` while the market is closed.
    Spec,
    /// A fall of more than a fifth within the session.
    Breaker,
}

/// RK-83, RK-87: a halt and a breaker hold over the close, the days without a session, a restart and the next session, and
/// end with their own id alone.
#[test]
fn halts_and_breakers_know_no_session() {
    for one in &BREAKS {
        for stop in [Stop::Direct, Stop::Spec, Stop::Breaker] {
            let mut market = Market::new(one, 30);
            market.quietly(one, one.opened(2 * HALF_HOUR));
            match stop {
                Stop::Direct => {
                    let (account, actor, reason) = ("paper-1".to_owned(), "anna".to_owned(), "fat finger".to_owned());
                    let ask = v1::HaltNowRequest { account, actor, reason, generation: 0 };
                    market.engine.halt_now(&ask, market.now).unwrap();
                }
                Stop::Spec => market.quietly(one, one.closed(4 * HALF_HOUR)),
                Stop::Breaker => {
                    market.buys("SPX");
                    market.quietly(one, one.opened(3 * HALF_HOUR));
                    market.level("SPX", 480);
                    market.quietly(one, one.opened(4 * HALF_HOUR));
                    market.level("SPX", 1_000);
                }
            }
            if stop == Stop::Spec {
                market.engine.apply_profile(2, &RiskProfileSpec { halt: true, ..spec() }).unwrap();
            }
            let id = |market: &Market| {
                let status = market.engine.status();
                if stop == Stop::Breaker { status.breaker_id } else { status.halt_id }
            };
            let latched = id(&market);
            assert!(!latched.is_empty(), "{}: {stop:?}", one.what);
            market.restart();
            market.run(one, one.after(AFTER), |market, close, symbol, state| {
                assert_eq!(state.state, "ReduceOnly", "{}: {stop:?}: {symbol} until {}", one.what, close.0);
                assert_eq!(id(market), latched);
            });
            for (generation, wrong) in [(3, ""), (4, "halt-2-000000000000")] {
                let profile = RiskProfileSpec { acknowledge_halt: wrong.into(), acknowledge_breaker: wrong.into(), ..spec() };
                market.engine.apply_profile(generation, &profile).unwrap();
                assert_eq!((market.engine.state().state.as_str(), id(&market)), ("ReduceOnly", latched.clone()));
            }
            let named = if stop == Stop::Breaker {
                RiskProfileSpec { acknowledge_breaker: latched, ..spec() }
            } else {
                RiskProfileSpec { acknowledge_halt: latched, ..spec() }
            };
            market.engine.apply_profile(5, &named).unwrap();
            assert_eq!(market.engine.state().state, "Normal", "{}: {stop:?}", one.what);
            assert_eq!(market.denial("SPX"), "");
        }
    }
}

/// `looseningSoak` of ten minutes: five before the close and five of the next session, or ten of it; bars of markets that
/// are open meanwhile are no open market of the account.
#[test]
fn a_soak_counts_the_open_market_alone() {
    let loose = |approved: String| {
        let mut wanted = RiskProfileSpec { approved_loosening: approved, ..spec() };
        wanted.limits.max_orders_per_minute = 700;
        wanted
    };
    let in_force = |market: &Market| market.engine.status().effective_limits_json.contains("\"maxOrdersPerMinute\":700");
    for one in &BREAKS {
        for (approved_at, left) in [(one.closed(-5 * MINUTE), 5 * MINUTE), (one.closed(50 * MINUTE), 10 * MINUTE)] {
            let mut market = Market::new(one, 5);
            market.quietly(one, approved_at);
            market.engine.apply_profile(2, &loose(String::new())).unwrap();
            let digest = market.engine.status().pending_loosening;
            market.engine.apply_profile(3, &loose(digest)).unwrap();
            assert_eq!(market.engine.status().soak_open_market_ns, 10 * MINUTE);
            let mut bars = 0;
            market.run(one, one.after(4 * HALF_HOUR), |market, close, symbol, _| {
                let over = close.0 >= one.next().0 + left;
                assert_eq!(in_force(market), over, "{}: {symbol} until {}", one.what, close.0);
                bars += 1;
            });
            assert!(bars > 500 && in_force(&market), "{}: {bars}", one.what);
        }
    }
}

/// Ruling 23: on a live feed the first bar of the next session is due, so a mark is not old in a closed market, and is so as
/// soon as the open is missed; a market of the account that is open meanwhile ages by its own calendar.
#[test]
fn a_mark_ages_by_the_calendar_of_its_instrument() {
    for one in &BREAKS {
        let mut config = AccountConfig {
            account: "paper-1".into(),
            calendar: CalendarName::Xnys,
            policies: vec![policy(OWNER, FeedKind::Live, &[])],
        };
        config.policies[0].instruments = crate::market::instruments();
        let mut engine = Engine::open("paper-1", Box::new(MemoryLog::new())).unwrap();
        engine.apply_profile(1, &spec()).unwrap();
        engine.apply_account(&config).unwrap();
        engine.acquire(&claim(OWNER, 0, "first")).unwrap();
        let feed = "default".parse().unwrap();
        for (sequence, symbol) in (1..).zip(SYMBOLS) {
            let bar = crate::market::bar(symbol, sequence, 0, one.closed(0), 30, [1_000; 4]);
            engine.arrive(&feed, &bar, one.closed(0)).unwrap();
        }
        let mut orders = 0;
        let mut code = |symbol: &str, now: i64| {
            orders += 1;
            let orders = vec![limit(&format!("indices/{orders}"), symbol, 1, 1_000)];
            let arrival = Arrival { came_at: Nanos(now), now: Nanos(now) };
            let reply = engine.place(&v1::PlaceRequest { owner: owner(OWNER, 1), orders }, arrival).unwrap();
            reply.verdicts[0].denial.clone()
        };
        let (close, allowed) = (one.closed(0).0, 5_000_000_000);
        let (own, other) = (one.next().0 + HALF_HOUR + allowed, close + HALF_HOUR + allowed);
        for (symbol, due) in [("SPX", own), ("EURUSD", other), ("BTC", other)] {
            for now in [close, close + (due - close) / 2, due] {
                assert_eq!(code(symbol, now), "", "{}: {symbol} at {now}", one.what);
            }
            assert_eq!(code(symbol, due + 1), "data_age", "{}: {symbol}", one.what);
        }
    }
}
