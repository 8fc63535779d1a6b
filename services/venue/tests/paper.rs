//! The paper venue: prices by hand, repetition, fencing, and invariants for any commands.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use tradewind_core::bar::Bar;
use tradewind_core::instrument::{Instrument, Lots, Symbol, Ticks};
use tradewind_core::money::Money;
use tradewind_core::orders::{Kind, Order, OrderId, TimeInForce};
use tradewind_core::time::Nanos;
use tradewind_venue::fills::FillModel;
use tradewind_venue::paper::{CancelReason, Command, PaperConfig, PaperError, PaperVenue, What};

fn amount(text: &str) -> Money {
    text.parse().unwrap()
}

fn spx() -> Symbol {
    Symbol::try_from("SPX".to_owned()).unwrap()
}

fn venue(config: PaperConfig) -> PaperVenue {
    let mut venue = PaperVenue::new();
    let instrument = Instrument::new(spx(), amount("1"), amount("1"), amount("1")).unwrap();
    for command in [Command::Configure { config }, Command::List { instrument }] {
        run(&mut venue, &command);
    }
    venue
}

fn run(venue: &mut PaperVenue, command: &Command) {
    if venue.admit(command).unwrap() {
        venue.apply(command);
    }
}

/// Events since the last call, as (child index, event).
fn told(venue: &mut PaperVenue) -> Vec<(String, What)> {
    let events: Vec<_> = venue.events_after(0).cloned().collect();
    venue.forget_through(events.last().map_or(0, |event| event.number));
    events.into_iter().map(|event| (event.order_id.as_str().trim_start_matches("t#").to_owned(), event.what)).collect()
}

fn market(child: u32, lots: i64) -> Order {
    Order {
        id: OrderId::child("t", child),
        symbol: spx(),
        lots: Lots(lots),
        kind: Kind::Market,
        time_in_force: TimeInForce::ImmediateOrCancel,
        reduce_only: false,
        group: None,
        after_index: Some(0),
        sent_at: Nanos(0),
    }
}

fn guard(child: u32, lots: i64, kind: Kind) -> Order {
    let time_in_force = TimeInForce::GoodTillCancel;
    Order { kind, time_in_force, reduce_only: true, group: Some("g".to_owned()), ..market(child, lots) }
}

fn stop(child: u32, lots: i64, trigger: i64) -> Order {
    guard(child, lots, Kind::Stop { trigger: Ticks(trigger) })
}

fn target(child: u32, lots: i64, limit: i64) -> Order {
    guard(child, lots, Kind::Limit { limit: Ticks(limit) })
}

fn place(venue: &mut PaperVenue, order: Order) {
    run(venue, &Command::Place { order });
}

fn bar(index: u64, prices: [i64; 4]) -> Bar {
    let at = i64::try_from(index).unwrap() * 1_000;
    let [open, high, low, close] = prices.map(Ticks);
    Bar { index, open_time: Nanos(at), close_time: Nanos(at + 1_000), open, high, low, close, volume: 1.0 }
}

fn meet(venue: &mut PaperVenue, bar: Bar) {
    run(venue, &Command::Open { symbol: spx(), bar });
    run(venue, &Command::Range { symbol: spx(), bar });
}

fn filled(lots: i64, price: i64, fee: &str, at: i64, bar: u64) -> What {
    What::Filled { lots: Lots(lots), price: Ticks(price), fee: amount(fee), at: Nanos(at), bar }
}

fn cancelled(reason: CancelReason) -> What {
    What::Cancelled { reason }
}

#[test]
fn a_market_order_meets_the_next_bars_open() {
    let mut venue = venue(PaperConfig { fills: FillModel { spread_bps: 20, fee_bps: 10 }, ..PaperConfig::default() });
    place(&mut venue, market(1, 10));
    meet(&mut venue, bar(0, [900, 900, 900, 900]));
    assert_eq!(told(&mut venue), [("1".into(), What::Accepted)], "not the bar that caused it");
    meet(&mut venue, bar(1, [1000, 1100, 990, 1050]));
    assert_eq!(told(&mut venue), [("1".into(), filled(10, 1001, "10.01", 1_000, 1))]);
    assert_eq!(venue.positions().collect::<Vec<_>>(), [(&spx(), Lots(10))]);
}

#[test]
fn stop_first_when_both_are_touched_and_its_sibling_goes() {
    let mut venue = venue(PaperConfig::default());
    place(&mut venue, market(1, 10));
    run(&mut venue, &Command::Open { symbol: spx(), bar: bar(1, [1000, 1200, 800, 1000]) });
    place(&mut venue, target(3, -10, 1100));
    place(&mut venue, stop(2, -10, 900));
    told(&mut venue);
    run(&mut venue, &Command::Range { symbol: spx(), bar: bar(1, [1000, 1200, 800, 1000]) });
    let expected = [("2".into(), filled(-10, 900, "0", 2_000, 1)), ("3".into(), cancelled(CancelReason::Sibling))];
    assert_eq!(told(&mut venue), expected, "protection works in the bar of its entry");
    assert_eq!(venue.working().count(), 0);
}

#[test]
fn a_gap_through_the_stop_fills_at_the_open() {
    let mut venue = venue(PaperConfig::default());
    place(&mut venue, market(1, -10));
    meet(&mut venue, bar(1, [1000, 1000, 1000, 1000]));
    place(&mut venue, stop(2, 10, 1050));
    told(&mut venue);
    meet(&mut venue, bar(2, [1100, 1150, 1090, 1100]));
    assert_eq!(told(&mut venue), [("2".into(), filled(10, 1100, "0", 3_000, 2))]);
}

#[test]
fn a_partly_filled_target_shrinks_its_stop() {
    let mut venue = venue(PaperConfig { partial_fill_bps: 10_000, seed: 3, ..PaperConfig::default() });
    let whole = Order { time_in_force: TimeInForce::GoodTillCancel, ..market(1, 10) };
    place(&mut venue, whole);
    (1..40).for_each(|index| meet(&mut venue, bar(index, [1000, 1000, 1000, 1000])));
    assert_eq!(venue.positions().next().unwrap().1, Lots(10), "a remainder works on until it is filled");
    place(&mut venue, Order { after_index: Some(40), ..stop(2, -10, 900) });
    place(&mut venue, Order { after_index: Some(40), ..target(3, -10, 1100) });
    told(&mut venue);
    meet(&mut venue, bar(41, [1000, 1100, 1000, 1050]));
    let events = told(&mut venue);
    let What::Filled { lots, price: Ticks(1100), .. } = events[0].1 else { panic!("{events:?}") };
    assert!((1..10).contains(&-lots.0));
    assert_eq!(events[1], ("2".into(), What::Reduced { lots }));
    let left: Vec<i64> = venue.working().map(|working| working.left.0).collect();
    assert_eq!(left, [-10 - lots.0; 2]);
    meet(&mut venue, bar(42, [1000, 1000, 900, 950]));
    assert_eq!((venue.positions().count(), venue.working().count()), (0, 0));
}

#[test]
fn an_entry_that_fills_in_part_loses_the_rest() {
    let mut venue = venue(PaperConfig { partial_fill_bps: 10_000, ..PaperConfig::default() });
    place(&mut venue, market(1, 100));
    told(&mut venue);
    meet(&mut venue, bar(1, [1000, 1000, 1000, 1000]));
    let events = told(&mut venue);
    assert!(matches!(events[0].1, What::Filled { lots: Lots(1..=99), .. }), "{events:?}");
    assert_eq!(events[1].1, cancelled(CancelReason::ImmediateOrCancel));
}

#[test]
fn reduce_only_orders_never_open_a_position() {
    let mut venue = venue(PaperConfig::default());
    place(&mut venue, market(1, 4));
    place(&mut venue, Order { reduce_only: true, ..market(2, -10) });
    place(&mut venue, Order { reduce_only: true, ..market(3, -1) });
    told(&mut venue);
    meet(&mut venue, bar(1, [1000, 1000, 1000, 1000]));
    let expected = [
        ("1".into(), filled(4, 1000, "0", 1_000, 1)),
        ("2".into(), filled(-4, 1000, "0", 1_000, 1)),
        ("2".into(), cancelled(CancelReason::ImmediateOrCancel)),
        ("3".into(), cancelled(CancelReason::NothingToReduce)),
    ];
    assert_eq!(told(&mut venue), expected);
}

#[test]
fn latency_is_event_time_and_chance_is_the_seed() {
    let config = |seed| PaperConfig { latency_ms: 1_000, seed, ..PaperConfig::default() };
    let arrivals = |seed| {
        let mut venue = venue(config(seed));
        (0..50).for_each(|child| place(&mut venue, market(child, 1)));
        venue.working().map(|working| working.arrives_at.0).collect::<Vec<_>>()
    };
    assert_eq!(arrivals(1), arrivals(1));
    assert_ne!(arrivals(1), arrivals(2));
    assert!(arrivals(1).iter().all(|at| (0..=2_000_000_000).contains(at)));
    let mut venue = venue(config(1));
    place(&mut venue, market(1, 1));
    let arrival = venue.working().next().unwrap().arrives_at;
    let before = Bar { close_time: arrival, ..bar(1, [1000, 1000, 1000, 1000]) };
    meet(&mut venue, before);
    assert_eq!(venue.working().count(), 1, "the bar was over when the order arrived");
    meet(&mut venue, Bar { index: 2, close_time: Nanos(arrival.0 + 1), ..before });
    assert!(matches!(told(&mut venue)[1].1, What::Filled { at, .. } if at == arrival.max(before.open_time)));
}

#[test]
fn repetition_changes_nothing_and_ids_are_never_free_again() {
    let mut venue = venue(PaperConfig::default());
    let order = market(1, 10);
    place(&mut venue, order.clone());
    assert_eq!(venue.admit(&Command::Place { order: order.clone() }), Ok(false));
    let other = Order { lots: Lots(11), ..order.clone() };
    assert!(matches!(venue.admit(&Command::Place { order: other }), Err(PaperError::IdUsed(_))));
    meet(&mut venue, bar(1, [1000, 1000, 1000, 1000]));
    told(&mut venue);
    place(&mut venue, order);
    meet(&mut venue, bar(1, [1000, 1000, 1000, 1000]));
    meet(&mut venue, bar(2, [1000, 1000, 1000, 1000]));
    assert_eq!(told(&mut venue), []);
    assert_eq!(venue.positions().next().unwrap().1, Lots(10));
}

/// EX-56: an entry pays at most its limit, spread included, and what the open does not give is gone.
#[test]
fn a_marketable_limit_holds_its_price_at_the_open() {
    let config = PaperConfig { fills: FillModel { spread_bps: 20, fee_bps: 0 }, ..PaperConfig::default() };
    let entry = |lots, limit| Order { kind: Kind::Limit { limit: Ticks(limit) }, ..market(1, lots) };
    for (lots, limit, price) in [(10, 1001, Some(1001)), (10, 1000, None), (-10, 999, Some(999)), (-10, 1000, None)] {
        let mut venue = venue(config);
        place(&mut venue, entry(lots, limit));
        told(&mut venue);
        meet(&mut venue, bar(1, [1000, 1100, 900, 1000]));
        let expected = price.map_or(cancelled(CancelReason::ImmediateOrCancel), |price| filled(lots, price, "0", 1_000, 1));
        assert_eq!(told(&mut venue), [("1".into(), expected)], "{lots} lots at {limit}");
    }
}

#[test]
fn impossible_orders_are_refused() {
    let venue = venue(PaperConfig::default());
    let refused = |order| venue.admit(&Command::Place { order }).unwrap_err();
    assert!(matches!(refused(market(1, 0)), PaperError::Order { .. }));
    assert!(matches!(refused(stop(1, 1, 0)), PaperError::Order { .. }));
    let dax = Order { symbol: Symbol::try_from("DAX".to_owned()).unwrap(), ..market(1, 1) };
    assert!(matches!(refused(dax), PaperError::Instrument(_)));
}

#[derive(Clone, Debug)]
enum Act {
    Place(Order),
    Cancel(u32),
    Bar([i64; 4]),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let kind = prop_oneof![
        Just(Kind::Market),
        (90i64..110).prop_map(|trigger| Kind::Stop { trigger: Ticks(trigger) }),
        (90i64..110).prop_map(|limit| Kind::Limit { limit: Ticks(limit) })
    ];
    let order = (kind, -20i64..20, any::<bool>(), any::<bool>(), prop::option::of(0..3u8)).prop_map(
        |(kind, lots, reduce_only, now, group)| Order {
            lots: Lots(if lots == 0 { 1 } else { lots }),
            kind,
            reduce_only,
            time_in_force: if now { TimeInForce::ImmediateOrCancel } else { TimeInForce::GoodTillCancel },
            group: group.map(|group| group.to_string()),
            ..market(0, 1)
        },
    );
    let prices = (90i64..110, 0i64..10, 0i64..10, 0i64..100).prop_map(|(open, up, down, at)| {
        let close = open - down + (up + down) * at / 100;
        [open, open + up, open - down, close]
    });
    prop::collection::vec(
        prop_oneof![order.prop_map(Act::Place), (0u32..40).prop_map(Act::Cancel), prices.prop_map(Act::Bar)],
        1..60,
    )
}

proptest! {
    /// Any commands: fills never exceed orders, positions are the sum of fills, every order ends once, a replay of
    /// the journal (with every command given twice) tells the same events.
    #[test]
    fn invariants_hold_for_any_commands(acts in acts(), seed in 0u64..5) {
        let config = PaperConfig { fills: FillModel { spread_bps: 50, fee_bps: 3 }, seed, partial_fill_bps: 5_000, latency_ms: 0 };
        let (mut venue, mut journal) = (venue(config), Vec::new());
        let mut orders = std::collections::BTreeMap::new();
        let mut index = 0;
        for (number, act) in acts.into_iter().enumerate() {
            let commands = match act {
                Act::Place(order) => {
                    let id = OrderId::child("t", u32::try_from(number).unwrap());
                    orders.insert(id.clone(), order.lots.0);
                    vec![Command::Place { order: Order { id, ..order } }]
                }
                Act::Cancel(child) => vec![Command::Cancel { order_id: OrderId::child("t", child) }],
                Act::Bar(prices) => {
                    index += 1;
                    let bar = bar(index, prices);
                    vec![Command::Open { symbol: spx(), bar }, Command::Range { symbol: spx(), bar }]
                }
            };
            for command in commands {
                if venue.admit(&command).unwrap() {
                    venue.apply(&command);
                    journal.push(command);
                }
            }
        }
        let (mut done, mut position, mut ended) = (std::collections::BTreeMap::<OrderId, i64>::new(), 0, std::collections::BTreeSet::new());
        for event in venue.events_after(0) {
            prop_assert!(!ended.contains(&event.order_id), "an event after the end");
            match event.what {
                What::Filled { lots, .. } => {
                    *done.entry(event.order_id.clone()).or_default() += lots.0;
                    position += lots.0;
                }
                What::Cancelled { .. } => drop(ended.insert(event.order_id.clone())),
                What::Reduced { .. } | What::Accepted => {}
            }
        }
        for (id, lots) in &done {
            prop_assert!(lots.signum() == orders[id].signum() && lots.abs() <= orders[id].abs());
        }
        prop_assert_eq!(position, venue.positions().next().map_or(0, |(_, lots)| lots.0));
        let mut again = self::venue(config);
        for command in &journal {
            run(&mut again, command);
            run(&mut again, command);
        }
        prop_assert!(again.events_after(0).eq(venue.events_after(0)));
    }
}
