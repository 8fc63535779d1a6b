//! The account as the resources say it changes: policies go, symbols move, clocks and calendars contradict.

use crate::desk::{Desk, OWNER, account, bar, claim, limit, out, owner, policy};
use tradewind_core::calendar::CalendarName;
use tradewind_wire::account::AccountConfig;
use tradewind_wire::bus::FeedKind;
use tradewind_wire::v1;

fn applied(desk: &mut Desk, change: impl FnOnce(&mut AccountConfig)) -> String {
    let mut config = account(FeedKind::Replay);
    change(&mut config);
    desk.engine.apply_account(&config).unwrap();
    desk.engine.status().invalid_account
}

/// A policy that is gone opens nothing more; what it holds is valued and may be closed.
#[test]
fn a_policy_that_is_gone_closes_and_opens_nothing() {
    let mut desk = Desk::new();
    desk.buys("indices/a", "SPX", 10, 1_000);
    assert!(desk.place(limit("indices/b", "SPX", 1, 1_000)).allowed);
    assert_eq!(applied(&mut desk, |config| drop(config.policies.remove(0))), "");
    assert_eq!(desk.engine.open_reservations(), 0, "its entry was taken back");
    assert_eq!(desk.code(limit("indices/c", "SPX", 1, 1_000)), "unknown_instrument");
    let equity = desk.marked("SPX", 1_100).state.unwrap().equity;
    assert_eq!(equity, crate::desk::money(1_001_000), "what it holds is valued");
    assert_eq!(desk.code(out("indices/d", "SPX", -10)), "");
    desk.marked("SPX", 1_100);
    assert_eq!(desk.lots("SPX"), 0);
    let told = owner(OWNER, 1).map(|owner| v1::Owner { acknowledged: u64::MAX, ..owner });
    assert!(desk.engine.events(&v1::EventsRequest { owner: told }).is_err(), "flat and told so: it is nobody");
    assert!(desk.engine.acquire(&claim(OWNER, 1, "again")).is_err());
}

/// Another policy's feed is another market: neither its place nor its price is carried over.
#[test]
fn a_symbol_that_moves_begins_without_a_mark() {
    let mut desk = Desk::new();
    desk.sequence = 5_000;
    desk.marked("SPX", 1_000);
    let moved = |config: &mut AccountConfig| {
        let spx = config.policies[0].instruments.remove(0);
        config.policies[1].instruments.push(spx);
    };
    assert_eq!(applied(&mut desk, moved), "");
    assert_eq!(desk.code(limit("others/a", "SPX", 1, 1_000)), "no_mark");
    let ask = v1::MeetRequest { owner: owner("others", 1), symbol: "SPX".into(), sequence: 1 };
    // The first bar of the other policy's feed, which is of a later day.
    let mut own = bar("SPX", 5_002, 2_000);
    (own.sequence, own.bar.index) = (1, 0);
    assert!(desk.engine.meet(&ask, Some(&own)).unwrap().done);
    assert_eq!(desk.code(limit("others/b", "SPX", 1, 2_000)), "");
}

/// R5, R6: one account has one clock, so that no other recording's date begins its next session.
#[test]
fn one_account_has_one_clock() {
    let mut desk = Desk::new();
    let refused = applied(&mut desk, |config| config.policies.push(policy("live", FeedKind::Live, &["XAU"])));
    assert!(refused.contains("one and the same recorded feed"), "{refused}");
    let other = |config: &mut AccountConfig| {
        let mut other = policy("past", FeedKind::Replay, &["XAU"]);
        other.feed = "past".parse().unwrap();
        config.policies.push(other);
    };
    assert!(applied(&mut desk, other).contains("one and the same recorded feed"));
}

#[test]
fn calendars_are_set_once() {
    let mut desk = Desk::new();
    let [xnys, xlon]: [CalendarName; 2] = ["XNYS", "XLON"].map(|name| name.parse().unwrap());
    let set = |name: CalendarName| {
        move |config: &mut AccountConfig| {
            (config.calendar, config.policies[0].instruments[0].calendar) = (name, name);
        }
    };
    assert_eq!(applied(&mut desk, set(xnys)), "");
    assert_eq!(applied(&mut desk, set(xnys)), "");
    let refused = applied(&mut desk, set(xlon));
    assert!(refused.contains("SPX: its calendar is XNYS") && refused.contains("calendar of the account is XNYS"), "{refused}");
}

/// R2, R10: an id that was forgotten stands for its order all the same, and reserves nothing.
#[test]
fn an_id_older_than_every_memory_is_not_free_again() {
    let mut desk = Desk::new();
    desk.buys("indices/a", "SPX", 1, 1_000);
    for number in 0..10_001 {
        desk.place(limit(&format!("indices/n{number}"), "SPX", 1, 1));
    }
    assert_eq!(desk.code(limit("indices/a", "SPX", 100, 1_000)), "id_reused");
    assert_eq!(desk.engine.open_reservations(), 0);
}
