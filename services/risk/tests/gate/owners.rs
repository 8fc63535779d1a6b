//! Who owns the orders of a policy.

use crate::desk::{Desk, OTHER, OWNER, claim, limit, owner};
use tradewind_risk::{Engine, RiskError};
use tradewind_wire::v1;

fn fenced<T: std::fmt::Debug>(outcome: Result<T, RiskError>) {
    assert!(matches!(outcome, Err(RiskError::Fenced { .. })), "{outcome:?}");
}

/// R8: an epoch goes to who holds the present one by its journal, and to nobody else.
#[test]
fn r8_who_lost_the_orders_does_not_get_them_back() {
    let mut desk = Desk::new();
    let acquire = |engine: &mut Engine, last, with: &str| engine.acquire(&claim(OWNER, last, with));
    fenced(acquire(&mut desk.engine, 0, "rival"));
    assert_eq!(acquire(&mut desk.engine, 1, "restarted").unwrap().epoch, 2);
    assert_eq!(acquire(&mut desk.engine, 1, "restarted").unwrap().epoch, 2, "the answer was lost");
    fenced(acquire(&mut desk.engine, 1, "former"));
    fenced(acquire(&mut desk.engine, 0, "first"));
    fenced(desk.place_as(owner(OWNER, 1), limit("indices/a", "SPX", 1, 1_000)));
    assert!(desk.place_as(owner(OWNER, 2), limit("indices/a", "SPX", 1, 1_000)).unwrap().allowed);
    assert!(desk.place_as(owner(OTHER, 1), limit("others/a", "DAX", 1, 1_000)).is_ok(), "another policy has its own");
}

/// R9: no number of a caller moves the epoch.
#[test]
fn r9_a_number_from_the_wire_cannot_poison_the_epoch() {
    let mut desk = Desk::new();
    for last in [0, 2, u64::MAX - 2, u64::MAX - 1, u64::MAX] {
        fenced(desk.engine.acquire(&claim(OWNER, last, "rival")));
    }
    fenced(desk.engine.acquire(&claim(OWNER, 1, "")));
    fenced(desk.engine.acquire(&claim(OWNER, 1, &"x".repeat(201))));
    assert_eq!(desk.engine.acquire(&claim(OWNER, 1, "next")).unwrap().epoch, 2);
}

/// One policy cannot touch the instruments, ids or orders of another.
#[test]
fn policies_of_one_account_are_apart() {
    let mut desk = Desk::new();
    desk.sequence = 1;
    desk.marked("DAX", 1_000);
    assert_eq!(desk.code(limit("indices/dax", "DAX", 1, 1_000)), "unknown_instrument");
    assert_eq!(desk.place_as(owner(OTHER, 1), limit("indices/x", "DAX", 1, 1_000)).unwrap().denial, "venue_refused");
    let resting = v1::NewOrder { immediate_or_cancel: false, ..limit("others/a", "DAX", 1, 1_000) };
    assert!(desk.place(resting).allowed);
    desk.cancel(&["others/a"]);
    assert_eq!(desk.engine.open_reservations(), 1, "it still works");
    let meet = v1::MeetRequest { owner: owner(OWNER, 1), symbol: "DAX".into(), sequence: 9 };
    assert!(matches!(desk.engine.meet(&meet, None), Err(RiskError::UnknownSymbol { .. })));
    let reply = desk.engine.events(&v1::EventsRequest { owner: owner(OWNER, 1) }).unwrap();
    assert_eq!((reply.events.len(), reply.working.len()), (0, 0), "nor see them");
}

/// A group of one policy takes nothing from an order of another, whatever it is called.
#[test]
fn groups_of_two_policies_do_not_meet() {
    let mut desk = Desk::new();
    desk.sequence = 1;
    desk.marked("DAX", 1_000);
    let grouped =
        |id: &str, symbol: &str| v1::NewOrder { group: "g".into(), immediate_or_cancel: false, ..limit(id, symbol, 1, 1_000) };
    desk.sequence = 2;
    desk.met(&crate::desk::bar("SPX", 2, 1_000));
    assert!(desk.place(grouped("indices/a", "SPX")).allowed && desk.place(grouped("others/a", "DAX")).allowed);
    desk.met(&crate::desk::bar("SPX", 3, 1_000));
    assert_eq!((desk.lots("SPX"), desk.engine.open_reservations()), (1, 1));
}

#[test]
fn a_policy_that_the_resources_do_not_name_is_nobody() {
    let mut desk = Desk::new();
    assert!(matches!(desk.engine.acquire(&claim("stranger", 0, "a")), Err(RiskError::UnknownPolicy(_))));
    assert!(matches!(
        desk.place_as(owner("stranger", 1), limit("stranger/a", "SPX", 1, 1_000)),
        Err(RiskError::UnknownPolicy(_))
    ));
    let mut elsewhere = owner(OWNER, 1).unwrap();
    elsewhere.account = "paper-2".into();
    let outcome = desk.place_as(Some(elsewhere), limit("indices/a", "SPX", 1, 1_000));
    assert!(matches!(outcome, Err(RiskError::OtherAccount { .. })), "{outcome:?}");
    assert!(matches!(desk.place_as(None, limit("indices/a", "SPX", 1, 1_000)), Err(RiskError::Message(_))));
}
