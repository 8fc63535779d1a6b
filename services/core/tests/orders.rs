//! The order state machine against the table of legal transitions, and its invariants for any events.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use tradewind_core::orders::{OrderEvent as E, OrderState as S, Progress};

fn after(events: &[E]) -> Progress {
    let mut progress = Progress::new(10);
    for event in events {
        progress.apply(*event).unwrap();
    }
    progress
}

const SENT: [E; 2] = [E::Validated, E::Sent];

#[test]
fn the_life_of_an_order() {
    // EX-68
    let whole = after(&[E::Validated, E::Sent, E::Accepted, E::Filled { lots: 4 }, E::Filled { lots: 6 }]);
    assert_eq!((whole.state, whole.left(), whole.status()), (S::Filled, 0, "filled"));
    assert_eq!(after(&[E::Denied]).state, S::Rejected);
    assert_eq!(after(&[E::Validated, E::Sent, E::VenueRejected]).state, S::Rejected);
    let part = after(&[E::Validated, E::Sent, E::Accepted, E::Filled { lots: 4 }, E::Cancelled]);
    assert_eq!((part.state, part.left(), part.status()), (S::Cancelled, 6, "partial"));
    assert_eq!(after(&[E::Validated, E::Sent, E::Accepted, E::Expired]).status(), "rejected");
}

#[test]
fn a_fill_may_follow_a_cancel() {
    let crossing = [E::Validated, E::Sent, E::Accepted, E::CancelSent, E::Filled { lots: 3 }];
    assert_eq!(after(&crossing).state, S::CancelPending);
    let done = after(&[&crossing[..], &[E::Filled { lots: 7 }]].concat());
    assert_eq!(done.state, S::Filled, "it was filled before the cancellation arrived");
    let late = after(&[&crossing[..], &[E::Cancelled, E::Filled { lots: 2 }]].concat());
    assert_eq!((late.state, late.filled), (S::Cancelled, 5), "counted, and the terminal state stays");
}

#[test]
fn an_unknown_order_is_resolved_by_what_the_venue_says() {
    let lost = [E::Validated, E::Sent, E::Lost];
    for (event, state) in
        [(E::Accepted, S::Submitted), (E::VenueRejected, S::Rejected), (E::Cancelled, S::Cancelled), (E::Expired, S::Expired)]
    {
        assert_eq!(after(&[&lost[..], &[event]].concat()).state, state);
    }
    assert!(after(&lost).state.is_working());
}

#[test]
fn a_fill_before_the_acknowledgement_is_kept() {
    let mut quick = after(&[&SENT[..], &[E::Filled { lots: 4 }]].concat());
    assert_eq!(quick.state, S::PartiallyFilled);
    assert!(quick.apply(E::Accepted).is_err());
}

#[test]
fn a_sibling_takes_lots_but_never_the_last() {
    let mut stop = after(&[&SENT[..], &[E::Accepted]].concat());
    stop.apply(E::Reduced { lots: 4 }).unwrap();
    assert_eq!(stop.left(), 6);
    assert!(stop.apply(E::Reduced { lots: 6 }).is_err(), "that is a cancellation");
    stop.apply(E::Filled { lots: 6 }).unwrap();
    assert_eq!(stop.state, S::Filled);
}

/// All states, reached legally.
fn reached() -> Vec<Progress> {
    let sent = |more: &[E]| after(&[&SENT[..], more].concat());
    let all = vec![
        after(&[]),
        after(&[E::Validated]),
        after(&[E::Denied]),
        sent(&[]),
        sent(&[E::Accepted]),
        sent(&[E::Accepted, E::Filled { lots: 1 }]),
        sent(&[E::Filled { lots: 10 }]),
        sent(&[E::CancelSent]),
        sent(&[E::Cancelled]),
        sent(&[E::Accepted, E::Expired]),
        sent(&[E::Lost]),
    ];
    let states: std::collections::HashSet<S> = all.iter().map(|progress| progress.state).collect();
    assert_eq!(states.len(), 11);
    all
}

#[test]
fn exactly_the_legal_transitions_are_legal() {
    // Rows as in `reached`; columns as in `events`.
    let events = [
        E::Validated,
        E::Denied,
        E::Sent,
        E::Accepted,
        E::VenueRejected,
        E::Filled { lots: 1 },
        E::Reduced { lots: 1 },
        E::CancelSent,
        E::Cancelled,
        E::Expired,
        E::Lost,
    ];
    let table = [
        "yy.........", // New
        ".yy........", // Validated
        "...........", // Rejected
        "...yyy.yy.y", // PendingSubmit
        ".....yyyyyy", // Submitted
        ".....yyyyyy", // PartiallyFilled
        "...........", // Filled
        "...y.yy.yyy", // CancelPending
        ".....y.....", // Cancelled: a late fill
        ".....y.....", // Expired: a late fill
        "...yyyyyyy.", // Unknown
    ];
    for (progress, row) in reached().into_iter().zip(table) {
        let seen: String = events.iter().map(|event| if progress.clone_and(*event) { 'y' } else { '.' }).collect();
        assert_eq!(seen, row, "{:?}", progress.state);
    }
}

trait CloneAnd {
    fn clone_and(&self, event: E) -> bool;
}

impl CloneAnd for Progress {
    /// Whether the event is legal; an illegal one must change nothing.
    fn clone_and(&self, event: E) -> bool {
        let mut copy = *self;
        let legal = copy.apply(event).is_ok();
        assert!(legal || copy == *self);
        legal
    }
}

fn any_event() -> impl Strategy<Value = E> {
    prop_oneof![
        Just(E::Validated),
        Just(E::Denied),
        Just(E::Sent),
        Just(E::Accepted),
        Just(E::VenueRejected),
        (-1i64..8).prop_map(|lots| E::Filled { lots }),
        (-1i64..8).prop_map(|lots| E::Reduced { lots }),
        Just(E::CancelSent),
        Just(E::Cancelled),
        Just(E::Expired),
        Just(E::Lost),
    ]
}

proptest! {
    /// Any events in any order: terminal states stay, nothing is overfilled, fills never vanish.
    #[test]
    fn invariants_hold_for_any_events(lots in 1i64..20, events in prop::collection::vec(any_event(), 0..80)) {
        let mut progress = Progress::new(lots);
        progress.apply(E::Validated).unwrap();
        progress.apply(E::Sent).unwrap();
        for event in events {
            let before = progress;
            let outcome = progress.apply(event);
            if outcome.is_err() {
                prop_assert_eq!(progress, before);
            }
            if before.state.is_terminal() {
                prop_assert_eq!(progress.state, before.state);
            }
            prop_assert!(progress.filled >= before.filled);
            prop_assert!(progress.filled <= progress.lots && progress.lots <= lots);
            prop_assert_eq!(progress.state == S::Filled, progress.filled == progress.lots && !matches!(progress.state, S::Cancelled | S::Expired));
        }
    }
}
