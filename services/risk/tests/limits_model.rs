//! The model of the limits on cases worked out by hand, and the generator's reach: an oracle is checked first.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod model;

use std::collections::BTreeMap;

use model::calls::{Ack, Bar, Call, Code, Epoch, Fill, Kind, Leaves, Limits, Listing, Order, Profile};
use model::gate::Model;
use model::generator::{Generator, Options, Random};
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;
const UNIT: i128 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;

fn listing(policy: &str, symbol: &str) -> Listing {
    let (policy, symbol) = (policy.to_owned(), symbol.to_owned());
    Listing { policy, symbol, tick: UNIT, lot: UNIT, point_value: UNIT, interval: MINUTE }
}

/// Limits of the sample, with a rate that a few orders reach.
const LIMITS: Limits = Limits {
    order: 250_000 * UNIT,
    position: 500_000 * UNIT,
    gross_bps: 8_000,
    daily_loss_bps: 200,
    drawdown_bps: 1_000,
    per_minute: 20,
    collar_bps: 500,
    data_age: 5 * SECOND,
};

const PROFILE: Profile = Profile { limits: LIMITS, halt: None, halt_ack: Ack::Absent, breaker_ack: Ack::Absent, broken: false };

/// Two policies, equity of a million, marks of 1,000 at the clock 0; one tick of one lot is worth 1.
fn gate() -> Model {
    let mut gate = Model::new("paper", 1_000_000 * UNIT, &[listing("a", "SPX"), listing("a", "NDX"), listing("b", "XAU")]);
    gate.acquire("a");
    gate.acquire("b");
    gate.profile(&PROFILE);
    for symbol in ["SPX", "XAU"] {
        assert!(gate.bar(&bar(symbol, 0, 1_000), &[]));
    }
    gate
}

fn bar(symbol: &str, close_time: i64, close: i64) -> Bar {
    let session = (close_time - 1).div_euclid(86_400 * SECOND);
    let (symbol, open_time) = (symbol.to_owned(), close_time - MINUTE);
    Bar { symbol, open_time, close_time, prices: [close; 4], session, at: close_time }
}

fn owner(symbol: &str) -> &'static str {
    if symbol == "XAU" { "b" } else { "a" }
}

fn order(id: &str, symbol: &str, lots: i64) -> Order {
    let policy = owner(symbol);
    Order {
        account: "paper".to_owned(),
        policy: policy.to_owned(),
        epoch: Epoch::Standing,
        id: format!("{policy}/{id}"),
        symbol: symbol.to_owned(),
        lots,
        kind: Kind::Limit(1_000),
        reduce_only: false,
        at: 0,
        said_mark: 1_000,
        said_time: 0,
    }
}

fn reduce(id: &str, lots: i64) -> Order {
    Order { reduce_only: true, kind: Kind::Stop(1), ..order(id, "SPX", lots) }
}

/// What an order would hear; the gate stays as it is.
fn codes(gate: &Model, order: &Order) -> Vec<&'static str> {
    gate.clone().order(order).names()
}

fn hold(gate: &mut Model, symbol: &str, lots: i64) {
    let id = format!("hold {symbol} {lots}");
    assert_eq!(gate.order(&order(&id, symbol, lots)).names(), [""; 0]);
    assert!(gate.fills(&[Fill { id: format!("{}/{id}", owner(symbol)), lots, price: 1_000, fee: 0 }]));
}

#[test]
fn r1_an_order_is_valued_at_the_worse_of_its_price_and_the_mark() {
    let gate = gate();
    let cheap = Order { kind: Kind::Limit(1), said_mark: 1, ..order("x", "SPX", 200_000) };
    assert_eq!(codes(&gate, &cheap), ["price_collar", "order_notional", "position_notional", "gross_exposure"]);
    assert_eq!(codes(&gate, &order("x", "SPX", 250)), [""; 0], "equal passes, EX-114");
    assert_eq!(codes(&gate, &order("x", "SPX", -251)), ["order_notional"]);
    let below = Order { kind: Kind::Limit(960), ..order("x", "SPX", 251) };
    assert_eq!(codes(&gate, &below), ["order_notional"], "the mark is the worse one");
    let above = Order { kind: Kind::Limit(1_001), ..order("x", "SPX", 250) };
    assert_eq!(codes(&gate, &above), ["order_notional"], "its own price is the worse one");
}

#[test]
fn r2_an_id_stands_for_its_content() {
    let mut gate = gate();
    let first = order("a", "SPX", 1);
    assert!(gate.order(&first).accepted());
    for other in [
        Order { lots: 10_000, ..first.clone() },
        Order { kind: Kind::Limit(999), ..first.clone() },
        Order { kind: Kind::Stop(1_000), reduce_only: true, ..first.clone() },
        Order { reduce_only: true, ..first.clone() },
        Order { symbol: "NDX".into(), ..first.clone() },
    ] {
        assert_eq!(gate.order(&other).names(), ["id_reused"], "{other:?}");
    }
    gate.halt_now(Leaves::Nothing);
    let later = Order { at: 9 * MINUTE, said_mark: 7, said_time: 8, ..first };
    assert_eq!(gate.order(&later).names(), [""; 0], "the same order hears the same");
    assert_eq!(gate.book().working().len(), 1);
    let foreign = Order { symbol: "XAU".into(), policy: "b".into(), ..order("a", "SPX", 1) };
    assert_eq!(gate.order(&foreign).names(), ["venue_refused"], "ids of another policy are not for taking");
    let refused = order("b", "SPX", 1);
    assert_eq!(gate.order(&refused).names(), ["halted"]);
    assert_eq!(gate.order(&Order { lots: 2, ..refused }).names(), ["id_reused"], "a refused order is bound too");
    let unformed = order("c", "SPX", 0);
    assert_eq!(gate.order(&unformed).names(), ["order_invalid"]);
    assert_eq!(gate.order(&Order { lots: 1, ..unformed }).names(), ["halted"], "one without a form is not");
}

#[test]
fn r3_the_collar_is_measured_from_the_mark() {
    let gate = gate();
    for (price, wanted) in [(1_050, true), (950, true), (1_051, false), (949, false), (2_000, false)] {
        let asked = Order { kind: Kind::Limit(price), said_mark: price, ..order("x", "SPX", 1) };
        assert_eq!(codes(&gate, &asked), if wanted { vec![] } else { vec!["price_collar"] }, "{price}");
    }
    for naked in [Kind::Market, Kind::Stop(1_000)] {
        assert_eq!(codes(&gate, &Order { kind: naked, ..order("x", "SPX", 1) }), ["unpriced"], "EX-56");
    }
}

#[test]
fn r4_age_is_the_clock_of_the_gate_against_its_own_bar() {
    // Ruling 23: a bar of a minute may be a minute and the limit old.
    let gate = gate();
    let at = |at| Order { at, ..order("x", "SPX", 1) };
    let says = |said_time| codes(&gate, &Order { at: MINUTE, said_time, said_mark: 7, ..order("x", "SPX", 1) });
    assert_eq!(says(1), ["data_ahead"], "it saw what the gate has not seen, or lies");
    assert_eq!(says(0), [""; 0]);
    assert_eq!(codes(&gate, &at(MINUTE + 5 * SECOND)), [""; 0]);
    assert_eq!(codes(&gate, &at(MINUTE + 5 * SECOND + 1)), ["data_age"]);
    assert_eq!(codes(&gate, &at(3_600 * SECOND)), ["data_age"]);
}

#[test]
fn r5_r6_the_loss_of_a_session_stays_for_the_session() {
    let mut gate = gate();
    hold(&mut gate, "SPX", 250);
    gate.bar(&bar("SPX", MINUTE, 920), &[]);
    assert!(!gate.daily_loss(), "a loss of 250 x 80, exactly 2 %, passes");
    gate.bar(&bar("SPX", 2 * MINUTE, 919), &[]);
    let near = |id: &str, at: i64| Order { kind: Kind::Limit(919), at, ..order(id, "SPX", 1) };
    assert_eq!(codes(&gate, &near("x", 2 * MINUTE)), ["daily_loss"]);
    gate.bar(&bar("SPX", 3 * MINUTE, 1_000), &[]);
    assert_eq!(codes(&gate, &order("x", "SPX", 1)), ["daily_loss"], "the price came back, the limit has acted");
    assert_eq!(codes(&gate, &reduce("y", -250)), [""; 0]);
    gate.bar(&bar("SPX", 86_400 * SECOND, 1_000), &[]);
    assert!(gate.daily_loss(), "the bar that closes at midnight is of the day that ends");
    gate.bar(&bar("SPX", 86_400 * SECOND + MINUTE, 919), &[]);
    assert!(gate.daily_loss(), "the session began at 1,000, so a first bar of 919 is a loss of it");
    gate.bar(&bar("SPX", 2 * 86_400 * SECOND + MINUTE, 919), &[]);
    assert!(!gate.daily_loss(), "and the next began at 919");
}

#[test]
fn r8_r9_only_the_standing_epoch_of_the_policy_is_heard() {
    let mut gate = gate();
    for epoch in [Epoch::Former, Epoch::Number(0), Epoch::Number(u64::MAX - 1), Epoch::Number(u64::MAX)] {
        assert_eq!(gate.order(&Order { epoch, ..order("x", "SPX", 1) }).names(), ["stale_epoch"]);
    }
    assert_eq!(gate.order(&Order { account: "other".into(), ..order("x", "SPX", 1) }).names(), ["unknown_account"]);
    assert_eq!(gate.order(&Order { policy: "c".into(), ..order("x", "SPX", 1) }).names(), ["stale_epoch"]);
    assert_eq!(gate.order(&order("x", "SPX", 2)).names(), [""; 0], "strangers bind no ids");
}

#[test]
fn r11_only_what_the_resources_list_for_the_policy() {
    let gate = gate();
    assert_eq!(codes(&gate, &order("x", "DAX", 1)), ["unknown_instrument"]);
    assert_eq!(codes(&gate, &Order { policy: "b".into(), id: "b/x".into(), ..order("x", "SPX", 1) }), ["unknown_instrument"]);
    assert_eq!(codes(&gate, &order("x", "NDX", 1)), ["no_mark"]);
    let es = Listing { tick: UNIT / 4, point_value: 50 * UNIT, ..listing("a", "ES") };
    assert_eq!(es.tick_value(), 12_500_000_000, "a quarter of a point of ES is 12.50");
}

#[test]
fn working_orders_count_in_the_worst_sequence() {
    let mut gate = gate();
    hold(&mut gate, "SPX", 250);
    assert!(gate.order(&order("w", "SPX", 200)).accepted());
    assert_eq!(codes(&gate, &order("x", "SPX", 50)), [""; 0]);
    assert_eq!(codes(&gate, &order("x", "SPX", 51)), ["position_notional"]);
    assert_eq!(codes(&gate, &order("x", "SPX", -250)), [""; 0]);
    // The stop goes first: 250 - 250 - 250, and another 250 sold make 500 short, one more is too many.
    assert!(gate.order(&reduce("stop", -250)).accepted());
    for id in ["s", "t"] {
        assert!(gate.order(&order(id, "SPX", -250)).accepted());
    }
    assert_eq!(codes(&gate, &order("x", "SPX", -1)), ["position_notional"]);
    gate.ended("a/t");
    assert_eq!(codes(&gate, &order("x", "SPX", -250)), [""; 0], "an order that ended counts no longer");
}

#[test]
fn a_working_order_is_valued_at_its_own_price() {
    let mut gate = gate();
    let dear = Order { kind: Kind::Limit(1_050), ..order("dear", "SPX", 238) };
    assert_eq!(codes(&gate, &dear), [""; 0], "238 x 1,050 = 249,900");
    assert!(gate.order(&dear).accepted());
    assert_eq!(codes(&gate, &order("x", "SPX", 238)), [""; 0], "476 x 1,050 = 499,800");
    assert_eq!(codes(&gate, &order("x", "SPX", 239)), ["position_notional"], "477 x 1,050 = 500,850");
    // Gross: 8,000 bps of 1,000,000. 238 x 1,050 = 249,900 here, so 550 lots there at the most.
    hold(&mut gate, "XAU", 250);
    assert!(gate.order(&order("w", "XAU", 250)).accepted());
    assert_eq!(codes(&gate, &order("y", "SPX", 47)), [""; 0], "285 x 1,050 + 500,000 = 799,250");
    assert_eq!(codes(&gate, &order("y", "SPX", 48)), ["gross_exposure"], "286 x 1,050 + 500,000 = 800,300");
}

#[test]
fn reducing_passes_every_limit_but_a_halt_of_all_trading() {
    let mut gate = gate();
    hold(&mut gate, "SPX", 100);
    gate.profile_gone();
    gate.halt_now(Leaves::Reducing);
    let late = Order { at: 3_600 * SECOND, ..reduce("r", -100) };
    assert_eq!(codes(&gate, &late), [""; 0]);
    for lots in [-101, 1, -1_000_000_000_000] {
        assert_eq!(codes(&gate, &Order { lots, ..late.clone() }), ["not_reducing"], "{lots}");
    }
    assert_eq!(codes(&gate, &Order { reduce_only: false, kind: Kind::Limit(1_000), ..late.clone() }), ["halted", "data_age"]);
    gate.halt_now(Leaves::Nothing);
    assert_eq!(codes(&gate, &late), ["halted"]);
}

#[test]
fn k1_a_halt_stands_until_its_id_is_named_beside_halt_false() {
    let mut gate = gate();
    gate.profile(&Profile { halt: Some(Leaves::Nothing), ..PROFILE });
    gate.profile(&PROFILE);
    gate.profile(&Profile { halt_ack: Ack::Other, ..PROFILE });
    gate.profile(&Profile { halt: Some(Leaves::Reducing), halt_ack: Ack::Standing, ..PROFILE });
    gate.profile(&Profile { halt_ack: Ack::Standing, broken: true, ..PROFILE });
    assert_eq!(gate.halt(), Some(Leaves::Nothing), "nor does a milder mode make it milder");
    gate.profile(&Profile { halt_ack: Ack::Standing, ..PROFILE });
    assert_eq!(codes(&gate, &order("x", "SPX", 1)), [""; 0]);
    gate.profile(&Profile { halt: Some(Leaves::Reducing), broken: true, ..PROFILE });
    assert_eq!(codes(&gate, &order("x", "SPX", 1)), ["halted"], "however unreadable the rest is");
}

#[test]
fn the_breaker_stands_until_its_id_is_named() {
    let mut gate = gate();
    let wide = Limits { daily_loss_bps: 10_000, ..LIMITS };
    gate = {
        let mut other = Model::new("paper", 1_000_000 * UNIT, &[listing("a", "SPX")]);
        other.acquire("a");
        other.profile(&Profile { limits: wide, ..PROFILE });
        other.bar(&bar("SPX", 0, 1_000), &[]);
        assert_eq!(other.limits(), Some(wide));
        assert!(!gate.breaker());
        other
    };
    hold(&mut gate, "SPX", 250);
    hold(&mut gate, "SPX", 249);
    gate.bar(&bar("SPX", MINUTE, 800), &[]);
    assert!(!gate.breaker(), "499 x 200 = 99,800 of 1,000,000");
    gate.bar(&bar("SPX", 2 * MINUTE, 799), &[]);
    assert!(gate.breaker(), "499 x 201 = 100,299");
    gate.bar(&bar("SPX", 3 * MINUTE, 1_000), &[]);
    gate.profile(&Profile { limits: wide, breaker_ack: Ack::Other, ..PROFILE });
    assert_eq!(codes(&gate, &order("x", "SPX", 1)), ["drawdown_breaker"]);
    gate.profile(&Profile { limits: wide, breaker_ack: Ack::Standing, ..PROFILE });
    assert_eq!(codes(&gate, &order("x", "SPX", 1)), [""; 0]);
}

#[test]
fn the_rate_counts_every_accepted_order() {
    let mut gate = gate();
    gate.profile(&Profile { limits: Limits { per_minute: 3, ..LIMITS }, ..PROFILE });
    let at = |id: &str, at: i64| Order { at, ..order(id, "SPX", 1) };
    assert!(gate.order(&at("a", 0)).accepted());
    assert!(gate.fills(&[Fill { id: "a/a".into(), lots: 1, price: 1_000, fee: 0 }]));
    assert!(gate.order(&reduce("r", -1)).accepted());
    assert!(!gate.order(&Order { lots: 251, ..at("z", 0) }).accepted());
    assert!(gate.order(&at("b", SECOND)).accepted());
    assert!(gate.order(&at("b", SECOND)).accepted(), "a repetition is no second order");
    assert_eq!(codes(&gate, &at("c", MINUTE - 1)), ["order_rate"]);
    assert_eq!(codes(&gate, &at("c", MINUTE)), [""; 0], "the first is a minute old");
}

#[test]
fn r7_looser_limits_wait_and_tighter_ones_do_not() {
    let mut gate = gate();
    let mixed = Limits { order: 2 * LIMITS.order, collar_bps: 10, ..LIMITS };
    gate.profile(&Profile { limits: mixed, ..PROFILE });
    assert_eq!(gate.limits(), Some(Limits { collar_bps: 10, ..LIMITS }));
    hold(&mut gate, "SPX", 250);
    gate.bar(&bar("SPX", MINUTE, 990), &[]);
    gate.profile(&Profile { limits: Limits { daily_loss_bps: 24, ..LIMITS }, ..PROFILE });
    assert!(gate.daily_loss(), "a loss of 25 bps is beyond the tighter limit at once");
}

#[test]
fn numbers_that_fit_nowhere_are_refused() {
    let gate = gate();
    for lots in [i64::MAX, i64::MIN, i64::MIN + 1] {
        assert_eq!(codes(&gate, &order("x", "SPX", lots)), ["order_invalid"]);
    }
    let most = Order { kind: Kind::Limit(1_000_000_000_000_000), ..order("x", "SPX", -1_000_000_000_000) };
    assert_eq!(codes(&gate, &most), ["price_collar", "order_notional", "position_notional", "gross_exposure"]);
    for price in [0, -1, i64::MIN, i64::MAX, 1_000_000_000_000_001] {
        assert_eq!(codes(&gate, &Order { kind: Kind::Limit(price), ..order("x", "SPX", 1) }), ["order_invalid"]);
    }
}

#[test]
fn d14_a_bar_that_is_not_newer_changes_nothing() {
    let mut gate = gate();
    gate.bar(&bar("SPX", MINUTE, 1_010), &[]);
    for (close_time, close) in [(MINUTE, 900), (0, 1_000)] {
        assert!(!gate.bar(&bar("SPX", close_time, close), &[]));
    }
    assert_eq!(gate.book().mark("SPX").map(|mark| mark.price), Some(1_010));
    assert!(!gate.bar(&bar("DAX", 2 * MINUTE, 900), &[]));
}

#[test]
fn the_book_is_cash_that_flowed_and_what_is_held() {
    let mut gate = gate();
    assert!(gate.order(&order("a", "SPX", 100)).accepted());
    assert!(gate.fills(&[Fill { id: "a/a".into(), lots: 60, price: 1_001, fee: 3 * UNIT }]));
    assert_eq!(gate.book().equity(), (1_000_000 - 60 - 3) * UNIT);
    assert_eq!(gate.book().working()["a/a"].lots, 40);
    assert!(gate.bar(&bar("SPX", MINUTE, 1_010), &[Fill { id: "a/a".into(), lots: 40, price: 1_005, fee: 0 }]));
    assert_eq!(gate.book().equity(), (1_000_000 + 60 * 9 + 40 * 5 - 3) * UNIT);
    assert!(gate.book().working().is_empty());
    assert!(!gate.fills(&[Fill { id: "a/a".into(), lots: 1, price: 1, fee: 0 }]), "R12: nobody invents a fill");
}

/// Every position that some sequence of whole fills and cuts can reach, by trying all sequences.
fn reachable(held: i128, open: &[(i128, bool)], worst: &mut i128) {
    *worst = (*worst).max(held.abs());
    for taken in 0..open.len() {
        let (lots, reduce_only) = open[taken];
        let mut rest = open.to_vec();
        rest.remove(taken);
        let cut = if held.signum() == -lots.signum() { lots.signum() * lots.abs().min(held.abs()) } else { 0 };
        reachable(held + if reduce_only { cut } else { lots }, &rest, worst);
    }
}

proptest! {
    /// The walk that the model takes finds what trying every sequence finds.
    #[test]
    fn the_worst_sequence_is_the_worst_of_all(
        held in -20_i64..20,
        open in prop::collection::vec((-20_i64..20, any::<bool>()), 0..6),
        more in -20_i64..20,
    ) {
        use model::book::{Book, Working};
        let mut book = Book::new(0, &[listing("a", "SPX")]);
        let working = |lots: i64, reduce_only| Working { symbol: "SPX".into(), lots: lots.into(), price: 1, reduce_only };
        book.work("held", working(held, false));
        let whole = Fill { id: "held".into(), lots: held, price: 1, fee: 0 };
        prop_assert!(held == 0 || book.fill(&whole));
        book.end("held");
        let mut all = vec![(i128::from(more), false)];
        for (number, (lots, reduce_only)) in open.into_iter().enumerate() {
            book.work(&number.to_string(), working(lots, reduce_only));
            all.push((lots.into(), reduce_only));
        }
        let mut worst = 0;
        reachable(held.into(), &all, &mut worst);
        prop_assert_eq!(book.worst_lots("SPX", more.into()), worst);
    }
}

/// Plays one account; what every call was, how often each reason came, and how many orders were accepted.
fn play(seed: u64, calls: usize, counts: &mut BTreeMap<Option<Code>, usize>) -> Vec<Call> {
    let mut generator = Generator::new(seed, Options { fills: true, naked: true, recorded: false });
    let mut model = generator.model();
    assert_eq!(model.book().equity(), generator.starting_equity());
    let mut made = Vec::new();
    for _ in 0..calls {
        let call = generator.next(&model);
        let working = model.book().working().len();
        if let (Call::Order(order), Some(verdict)) = (&call, model.apply(&call)) {
            *counts.entry(None).or_default() += usize::from(verdict.accepted());
            verdict.0.iter().for_each(|code| *counts.entry(Some(*code)).or_default() += 1);
            let book = model.book();
            if book.working().len() > working && !order.reduce_only {
                let listed = |listing: &Listing| listing.symbol == order.symbol && listing.policy == order.policy;
                assert!(generator.listings().iter().any(listed), "{order:?} was accepted");
                let price = book.dearest(&order.symbol).unwrap();
                let worst = book.value(&order.symbol, book.worst_lots(&order.symbol, 0), price).unwrap();
                assert!(worst <= model.limits().unwrap().position, "{order:?} leads to {worst}");
            }
        }
        made.push(call);
    }
    made
}

#[test]
fn the_generator_reaches_every_reason_often_and_accepts_often() {
    let mut counts = BTreeMap::new();
    (0..40).for_each(|seed| drop(play(seed, 1_000, &mut counts)));
    println!("{counts:?}");
    for code in Code::ALL {
        let count = counts.get(&Some(code)).copied().unwrap_or(0);
        assert!(count >= 150, "{} came {count} times in 40,000 calls, wanted are at least 150", code.name());
    }
    let accepted = counts[&None];
    assert!(accepted >= 4_000, "{accepted} accepted orders in 40,000 calls, wanted are at least 4,000");
}

#[test]
fn the_same_seed_makes_the_same_calls() {
    let mut counts = BTreeMap::new();
    assert_eq!(play(7, 500, &mut counts), play(7, 500, &mut counts));
    assert_ne!(play(7, 500, &mut counts), play(8, 500, &mut counts));
    let mut random = Random::new(1_234_567);
    let published = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
    assert_eq!([random.bits(), random.bits(), random.bits()], published, "splitmix64 of the literature");
}
