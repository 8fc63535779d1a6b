//! Orders around the limits, as a sender who cannot be believed sends them.

use crate::desk::{DAY, Desk, limit, money, out, spec};
use tradewind_crds::RiskProfileSpec;
use tradewind_risk::Record;
use tradewind_wire::v1;

/// R1: an order is worth what the gate's own mark says, whatever price it names.
#[test]
fn r1_a_small_price_makes_no_order_small() {
    let mut desk = Desk::new();
    let verdict = desk.place(limit("indices/a", "SPX", 200_000, 1));
    assert!(!verdict.allowed);
    assert!(verdict.message.contains("order is worth 200000000, allowed is 250000"), "{}", verdict.message);
    // Within the collar the dearer of price and mark counts: for a buyer its limit, for a seller the mark.
    for (lots, price, worth) in [(240, 1_050, "252000"), (-251, 960, "251000"), (-240, 1_050, "252000")] {
        let verdict = desk.place(limit(&format!("indices/{lots}/{price}"), "SPX", lots, price));
        assert_eq!(verdict.denial, "order_notional");
        assert!(verdict.message.contains(&format!("order is worth {worth}, ")), "{}", verdict.message);
    }
}

/// R2: an id stands for its content.
#[test]
fn r2_an_id_stands_for_its_content() {
    let mut desk = Desk::new();
    let first = desk.place(limit("indices/a", "SPX", 1, 1_000));
    assert!(first.allowed);
    assert_eq!(desk.place(limit("indices/a", "SPX", 1, 1_000)), first, "the same again is the same");
    assert_eq!(desk.engine.open_reservations(), 1);
    for other in [
        limit("indices/a", "SPX", 10_000, 1_000),
        limit("indices/a", "SPX", 1, 1_001),
        limit("indices/a", "NDX", 1, 1_000),
        v1::NewOrder { group: "g".into(), ..limit("indices/a", "SPX", 1, 1_000) },
        v1::NewOrder { immediate_or_cancel: false, ..limit("indices/a", "SPX", 1, 1_000) },
        v1::NewOrder { reduce_only: true, ..limit("indices/a", "SPX", 1, 1_000) },
    ] {
        assert_eq!(desk.code(other.clone()), "id_reused", "{other:?}");
    }
    // A refused id is bound too, and so is one whose order is done.
    assert_eq!(desk.code(limit("indices/b", "SPX", 10_000, 1_000)), "order_notional");
    assert_eq!(desk.code(limit("indices/b", "SPX", 1, 1_000)), "id_reused");
    desk.marked("SPX", 1_000);
    assert_eq!(desk.lots("SPX"), 1);
    assert_eq!(desk.code(limit("indices/a", "SPX", 2, 1_000)), "id_reused");
    assert!(desk.place(limit("indices/a", "SPX", 1, 1_000)).allowed);
    desk.marked("SPX", 1_000);
    assert_eq!(desk.lots("SPX"), 1, "asking again buys nothing again");
}

/// R3: the collar is around the gate's mark.
#[test]
fn r3_the_collar_is_measured_from_the_gates_mark() {
    let mut desk = Desk::new();
    for (price, code) in [(2_000, "price_collar"), (1_051, "price_collar"), (1_050, ""), (950, ""), (949, "price_collar")] {
        assert_eq!(desk.code(limit(&format!("indices/{price}"), "SPX", 1, price)), code, "{price}");
    }
}

/// An order that can open a position trades at no price beyond its own: the collar holds at the fill too.
#[test]
fn the_collar_holds_at_the_fill() {
    let mut desk = Desk::new();
    assert!(desk.place(limit("indices/a", "SPX", 10, 1_050)).allowed);
    desk.marked("SPX", 1_051);
    assert_eq!((desk.lots("SPX"), desk.engine.open_reservations()), (0, 0), "the open was beyond it, so it is gone");
    for kind in [v1::OrderKind::Market, v1::OrderKind::Stop] {
        let price_ticks = if kind == v1::OrderKind::Market { 0 } else { 1_000 };
        let free = v1::NewOrder { kind: kind.into(), price_ticks, ..limit(&format!("indices/{kind:?}"), "SPX", 1, 1_000) };
        assert_eq!(desk.code(free), "unpriced");
    }
}

/// R4: what the sender says of time makes nothing fresh, and a bar that the gate has not seen is not traded on.
#[test]
fn r4_times_of_the_sender_are_compared_and_never_used() {
    let mut desk = Desk::new();
    let at = |id: &str, time| v1::NewOrder { data_time_ns: time, ..limit(id, "SPX", 1, 1_000) };
    let hour = 3_600_000_000_000;
    assert_eq!(desk.code(at("indices/a", DAY + hour)), "data_ahead");
    assert_eq!(desk.code(at("indices/b", i64::MAX)), "data_ahead");
    assert_eq!(desk.code(at("indices/c", DAY)), "");
    // The feed goes on with another symbol while SPX is silent: its bar is due by now.
    desk.sequence = 9;
    desk.marked("NDX", 2_000);
    for (id, time) in [("indices/d", 0), ("indices/e", DAY), ("indices/f", i64::MIN)] {
        assert_eq!(desk.code(at(id, time)), "data_age", "{time}");
    }
    desk.marked("SPX", 1_000);
    assert_eq!(desk.code(at("indices/g", DAY)), "data_age", "decided on a bar ten days old");
    assert_eq!(desk.code(at("indices/h", 11 * DAY)), "");
}

#[test]
fn an_instrument_without_a_mark_is_refused() {
    let mut desk = Desk::new();
    assert_eq!(desk.code(limit("indices/a", "NDX", 1, 2_000)), "no_mark");
    desk.marked("NDX", 2_000);
    assert_eq!(desk.code(limit("indices/b", "NDX", 1, 2_000)), "");
}

/// R10: a reservation is an order that works at the venue, and ends as that does.
#[test]
fn r10_reservations_end_in_every_way_an_order_can_end() {
    let mut desk = Desk::new();
    let resting = |id: &str, lots| v1::NewOrder { immediate_or_cancel: false, ..limit(id, "SPX", lots, 1_000) };
    // The answer is lost, the account is halted, the sender asks again: its order was taken back by the gate itself.
    assert!(desk.place(resting("indices/lost", 10)).allowed);
    desk.engine.apply_profile(2, &RiskProfileSpec { halt: true, ..spec() }).unwrap();
    assert_eq!(desk.engine.open_reservations(), 0);
    assert!(desk.place(resting("indices/lost", 10)).allowed, "what the verdict was stays");
    assert_eq!(desk.engine.open_reservations(), 0);
    let told = desk.cancel(&["indices/lost"]);
    assert!(told.working.is_empty());
    let ends: Vec<_> = told.events.iter().map(|event| format!("{:?}", event.what.as_ref().unwrap())).collect();
    assert!(ends.last().unwrap().contains("requested"), "{ends:?}");
}

#[test]
fn reservations_end_by_fill_cancellation_and_expiry() {
    let mut desk = Desk::new();
    let resting = |id: &str, lots| v1::NewOrder { immediate_or_cancel: false, ..limit(id, "SPX", lots, 990) };
    desk.place(limit("indices/filled", "SPX", 10, 1_000));
    desk.place(resting("indices/taken-back", 10));
    desk.place(limit("indices/expired", "SPX", 10, 990));
    assert_eq!(desk.engine.open_reservations(), 3);
    assert!(desk.cancel(&["indices/taken-back"]).working.iter().all(|one| one.order_id != "indices/taken-back"));
    assert_eq!(desk.engine.open_reservations(), 2);
    desk.marked("SPX", 1_000);
    assert_eq!((desk.engine.open_reservations(), desk.lots("SPX")), (0, 10));
    // What was taken back before it came does not come.
    desk.cancel(&["indices/late"]);
    assert_eq!(desk.code(resting("indices/late", 10)), "taken_back");
    assert_eq!(desk.cancel(&["others/a", "indices"]).working, [], "ids of others are not this policy's to take back");
}

/// RK-179
#[test]
fn a_thousand_orders_never_exceed_a_limit_together() {
    let mut desk = Desk::new();
    let allowed = (0..1_000).filter(|number| desk.place(limit(&format!("indices/{number}"), "SPX", 7, 1_000)).allowed).count();
    assert_eq!(allowed, 71, "500 lots are the limit");
    assert_eq!(desk.engine.status().recent_denials.len(), 10);
    assert_eq!(desk.engine.status().denials_total, 1_000 - 71);
    desk.marked("SPX", 1_000);
    assert_eq!(desk.lots("SPX"), 497);
}

/// Many in one message count each other.
#[test]
fn orders_of_one_message_are_counted_together_and_bounded() {
    let mut desk = Desk::new();
    let owner = crate::desk::owner(crate::desk::OWNER, 1);
    let orders = |count: usize| (0..count).map(|number| limit(&format!("indices/{count}/{number}"), "SPX", 200, 1_000)).collect();
    let request = v1::PlaceRequest { owner: owner.clone(), orders: orders(3) };
    let reply = desk.engine.place(&request, tradewind_risk::Arrival::default()).unwrap();
    let codes: Vec<_> = reply.verdicts.iter().map(|verdict| verdict.denial.as_str()).collect();
    assert_eq!(codes, ["", "", "position_notional"]);
    let request = v1::PlaceRequest { owner, orders: orders(17) };
    assert!(desk.engine.place(&request, tradewind_risk::Arrival::default()).is_err());
}

/// Gross exposure counts the instruments of every policy of the account.
#[test]
fn gross_exposure_is_that_of_the_account() {
    let mut desk = Desk::new();
    desk.marked("NDX", 1_000);
    desk.sequence = 2;
    desk.marked("DAX", 1_000);
    let mut id = 0;
    let mut buy = |desk: &mut Desk, policy: &str, symbol: &str| {
        id += 1;
        desk.code(limit(&format!("{policy}/{id}"), symbol, 250, 1_000))
    };
    desk.sequence = 3;
    desk.marked("SPX", 1_000);
    desk.sequence = 3;
    for (policy, symbol) in [("indices", "SPX"), ("indices", "SPX")] {
        assert_eq!(buy(&mut desk, policy, symbol), "");
    }
    desk.met(&crate::desk::bar("NDX", 4, 1_000));
    for _ in 0..2 {
        assert_eq!(buy(&mut desk, "indices", "NDX"), "");
    }
    desk.met(&crate::desk::bar("DAX", 4, 1_000));
    for code in ["", "", "position_notional"] {
        assert_eq!(buy(&mut desk, "others", "DAX"), code);
    }
    assert!(desk.place(limit("indices/more", "SPX", 1, 1_000)).message.contains("gross exposure"));
}

#[test]
fn a_reduce_only_order_passes_every_limit_and_no_larger_one() {
    let mut desk = Desk::new();
    desk.buys("indices/a", "SPX", 100, 1_000);
    desk.engine.apply_profile(2, &RiskProfileSpec { halt: true, ..spec() }).unwrap();
    assert_eq!(desk.code(out("indices/b", "SPX", -101)), "not_reducing");
    assert_eq!(desk.code(out("indices/c", "SPX", 1)), "not_reducing");
    assert_eq!(desk.code(limit("indices/d", "SPX", -1, 1_000)), "halted", "only the mark makes it reduce");
    assert_eq!(desk.code(out("indices/e", "SPX", -100)), "");
    assert_eq!(desk.marked("SPX", 1_010).state.unwrap().equity, money(1_001_000));
    assert_eq!(desk.lots("SPX"), 0);
}

/// A policy that asks in vain without end neither fills the disk of the account nor stops anybody else.
#[test]
fn refusals_without_end_are_answered_and_not_written_down() {
    let mut desk = Desk::new();
    let before = desk.log.records().len();
    for number in 0..1_000 {
        assert_eq!(desk.code(limit(&format!("indices/{number}"), "SPX", 1, 5_000)), "price_collar", "{number}");
    }
    assert_eq!(desk.log.records().len(), before + 600);
    assert_eq!(desk.engine.status().denials_total, 1_000, "all are counted");
    // Nothing is bound to an id beyond, and nothing is in the way of an order that is right.
    assert_eq!(desk.code(limit("indices/0", "SPX", 1, 1_000)), "id_reused");
    desk.marked("DAX", 1_000);
    assert_eq!(desk.code(limit("others/a", "DAX", 1, 5_000)), "price_collar");
    assert_eq!(
        desk.log.records().last().map(|record| matches!(record, Record::Checked(_))),
        Some(true),
        "the other one has its own count"
    );
    assert_eq!(desk.code(limit("indices/999", "SPX", 1, 1_000)), "");
    // The minute is that of the feed: the next day begins anew.
    desk.marked("SPX", 1_000);
    let day = desk.log.records().len();
    assert_eq!(desk.code(limit("indices/b", "SPX", 1, 5_000)), "price_collar");
    assert_eq!(desk.log.records().len(), day + 1);
}

/// Protection needs a handful of orders; thousands of them would stop the gate by their number.
#[test]
fn a_position_has_no_more_working_orders_that_reduce_it_than_any_way_out_needs() {
    let mut desk = Desk::new();
    desk.buys("indices/a", "SPX", 10, 1_000);
    let stop = |number: u32| v1::NewOrder {
        kind: v1::OrderKind::Stop.into(),
        price_ticks: 900,
        ..out(&format!("indices/s{number}"), "SPX", -10)
    };
    for number in 0..32 {
        assert_eq!(desk.code(stop(number)), "", "{number}");
    }
    let refused = desk.place(stop(32));
    assert_eq!(refused.denial, "reducing_orders");
    assert!(refused.message.contains("32"), "{}", refused.message);
    desk.cancel(&["indices/s0"]);
    assert_eq!(desk.code(stop(33)), "", "one was taken back");
}
