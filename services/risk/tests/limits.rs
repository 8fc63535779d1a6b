//! Every limit: that it fires beyond its figure, and that it lets the figure itself pass (EX-114).
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use tradewind_core::account::{Account, Fill};
use tradewind_core::calendar::SessionId;
use tradewind_core::instrument::{Instrument, Lots, Symbol, Ticks};
use tradewind_core::money::Money;
use tradewind_core::time::Nanos;
use tradewind_risk::limits::{Denial, Limits, OrderRate, Proposal, Reservation, Reservations, Standing, TradingState, check};
use tradewind_risk::stops::breaker::DrawdownBreaker;
use tradewind_risk::stops::daily_loss::{DailyLoss, SessionKey};
use tradewind_risk::stops::ids::Ids;

const SECOND: i64 = 1_000_000_000;

fn amount(text: &str) -> Money {
    text.parse().unwrap()
}

fn symbol(text: &str) -> Symbol {
    Symbol::try_from(text.to_owned()).unwrap()
}

fn instrument(name: &str) -> Instrument {
    Instrument::new(symbol(name), amount("1"), amount("1"), amount("1")).unwrap()
}

/// Everything a check reads, owned. Price 1000, equity 1,000,000.
struct World {
    limits: Limits,
    account: Account,
    reservations: Reservations,
    rate: OrderRate,
    halt: Option<(TradingState, &'static str)>,
    breaker: DrawdownBreaker,
    daily_loss: DailyLoss,
}

impl World {
    fn new() -> Self {
        let mut account = Account::new(amount("1000000"));
        account.register(&instrument("SPX")).unwrap();
        account.register(&instrument("IXIC")).unwrap();
        account.mark(&symbol("SPX"), Ticks(1_000), Nanos(0)).unwrap();
        account.mark(&symbol("IXIC"), Ticks(1_000), Nanos(0)).unwrap();
        account.roll_session(SessionId(0));
        let limits = Limits {
            max_order_notional: amount("250000"),
            max_position_notional: amount("500000"),
            max_gross_exposure_bps: 8_000,
            daily_loss_bps: 300,
            max_drawdown_bps: 2_000,
            max_orders_per_minute: 3,
            price_collar_bps: 500,
            max_data_age_ns: 5 * SECOND,
        };
        Self {
            limits,
            account,
            reservations: Reservations::default(),
            rate: OrderRate::default(),
            halt: None,
            breaker: DrawdownBreaker::default(),
            daily_loss: DailyLoss::default(),
        }
    }

    fn hold(&mut self, name: &str, lots: i64) {
        self.account.book(&fill(name, lots, 1_000)).unwrap();
    }

    fn reserve(&mut self, id: &str, name: &str, lots: i64, reduce_only: bool) {
        let reservation = Reservation { symbol: symbol(name), lots: Lots(lots), price: Ticks(1_000), reduce_only };
        self.reservations.reserve(id, reservation);
    }

    fn check(&self, proposal: &Proposal) -> Vec<Denial> {
        let (limits, account, reservations, rate) = (&self.limits, &self.account, &self.reservations, &self.rate);
        let (halt, breaker, daily_loss) = (self.halt, self.breaker.latched(), self.daily_loss.hit());
        check(&Standing { limits, account, reservations, rate, halt, breaker, daily_loss }, proposal)
    }

    /// Codes against an order of SPX at the mark.
    fn codes(&self, lots: i64) -> Vec<&'static str> {
        self.codes_of(&order("SPX", lots))
    }

    fn codes_of(&self, proposal: &Proposal) -> Vec<&'static str> {
        self.check(proposal).iter().map(Denial::code).collect()
    }
}

fn fill(name: &str, lots: i64, price: i64) -> Fill {
    Fill { symbol: symbol(name), lots: Lots(lots), price: Ticks(price), fee: Money::ZERO, event_time: Nanos(0) }
}

fn order(name: &str, lots: i64) -> Proposal {
    Proposal {
        instrument: instrument(name),
        lots: Lots(lots),
        price: Ticks(1_000),
        reference: Ticks(1_000),
        reduce_only: false,
        event_time: Nanos(0),
        data_time: Nanos(0),
    }
}

fn reduce(lots: i64) -> Proposal {
    Proposal { reduce_only: true, ..order("SPX", lots) }
}

#[test]
fn order_notional() {
    let world = World::new();
    assert_eq!(world.codes(250), [""; 0]);
    assert_eq!(world.codes(-250), [""; 0]);
    let denials = world.check(&order("SPX", -251));
    assert_eq!(denials[0].to_string(), "order is worth 251000, allowed is 250000");
    let dear = Proposal { price: Ticks(1_010), ..order("SPX", 250) };
    assert_eq!(world.codes_of(&dear), ["order_notional"], "valued at the dearer of price and mark");
}

#[test]
fn position_notional() {
    let mut world = World::new();
    world.hold("SPX", 300);
    assert_eq!(world.codes(200), [""; 0]);
    assert_eq!(world.codes(201), ["position_notional"]);
    assert_eq!(world.codes(-250), [""; 0]);
    world.reserve("a", "SPX", 100, false);
    assert_eq!(world.codes(101), ["position_notional"], "a working order counts as filled");
    world.reservations.release("a");
    assert_eq!(world.codes(101), [""; 0]);
}

#[test]
fn a_partly_filled_order_reserves_what_is_left() {
    let mut world = World::new();
    world.reserve("a", "SPX", 250, false);
    world.reserve("b", "SPX", 200, false);
    assert_eq!(world.codes(51), ["position_notional"]);
    world.reservations.filled("a", Lots(100));
    world.account.book(&fill("SPX", 100, 1_000)).unwrap();
    assert_eq!(world.codes(50), [""; 0]);
    assert_eq!(world.codes(51), ["position_notional"], "a fill moves lots from reserved to held");
    world.reservations.filled("a", Lots(150));
    assert_eq!(world.reservations.len(), 1);
}

#[test]
fn gross_exposure() {
    let mut world = World::new();
    world.hold("IXIC", -400);
    world.hold("SPX", 300);
    assert_eq!(world.codes(100), [""; 0]);
    let denials = world.check(&order("SPX", 101));
    assert_eq!(
        denials[0].to_string(),
        "gross exposure with all working orders would be 801000, allowed is 800000 (8000 bps of equity)"
    );
    world.reserve("b", "IXIC", -1, false);
    assert_eq!(world.codes(100), ["gross_exposure"], "working orders of other symbols count too");
    world.reserve("b", "IXIC", 1, false);
    assert_eq!(world.codes(100), [""; 0], "one that can only shrink the other position does not");
}

#[test]
fn daily_loss_until_the_next_session() {
    let mut world = World::new();
    world.hold("SPX", 300);
    world.account.mark(&symbol("SPX"), Ticks(900), Nanos(0)).unwrap();
    assert_eq!(world.codes(1), [""; 0], "a loss of exactly 3 % passes");
    world.account.mark(&symbol("SPX"), Ticks(899), Nanos(0)).unwrap();
    assert_eq!(world.codes(1), ["daily_loss"]);
    assert_eq!(world.codes_of(&reduce(-300)), [""; 0]);
    world.account.roll_session(SessionId(1));
    assert_eq!(world.codes(1), [""; 0]);
}

#[test]
fn daily_loss_until_the_next_session_though_the_price_comes_back() {
    // R6
    let mut world = World::new();
    world.hold("SPX", 400);
    for price in [924, 1_000] {
        world.account.mark(&symbol("SPX"), Ticks(price), Nanos(price)).unwrap();
        world.daily_loss.observe(&world.account, &world.limits);
        assert_eq!(world.codes_of(&order("IXIC", 1)), ["daily_loss"], "at {price}");
        assert_eq!(world.codes_of(&reduce(-1)), [""; 0], "reducing stays allowed");
    }
    world.daily_loss.begin_session(SessionKey::of_calendar(1));
    assert_eq!(world.codes_of(&order("IXIC", 1)), [""; 0]);
}

#[test]
fn drawdown_breaker_until_it_is_acknowledged() {
    let mut world = World::new();
    world.limits.daily_loss_bps = 10_000;
    world.hold("SPX", 500);
    let mark = |world: &mut World, price: i64| {
        world.account.mark(&symbol("SPX"), Ticks(price), Nanos(price)).unwrap();
        world.breaker.observe(&world.account, &world.limits, Nanos(price), &Ids::new("paper-1", "j"))
    };
    assert!(!mark(&mut world, 600), "a fall of exactly 20 % passes");
    assert!(mark(&mut world, 599));
    assert_eq!(world.codes_of(&order("IXIC", 1)), ["drawdown_breaker"]);
    assert_eq!(world.codes_of(&reduce(-1)), [""; 0], "reducing stays allowed");
    let reason = world.check(&order("IXIC", 1))[0].to_string();
    let id = world.breaker.latched().unwrap().id.clone();
    assert!(reason.contains(&id) && reason.contains("equity 799500 is -2005 bps from its high of 1000000"), "{reason}");
    assert!(!mark(&mut world, 1_200), "recovery neither clears nor fires it again");
    assert_eq!(world.codes_of(&order("IXIC", 1)), ["drawdown_breaker"]);
    assert!(!world.breaker.acknowledge("drawdown-000000000000", &mut world.account));
    assert!(!world.breaker.acknowledge("", &mut world.account));
    assert!(world.breaker.latched().is_some());
    assert!(!mark(&mut world, 1_000));
    assert!(world.breaker.acknowledge(&id, &mut world.account));
    assert_eq!(world.codes_of(&order("IXIC", 1)), [""; 0]);
    assert_eq!(world.account.drawdown_bps(), 0, "drawdown counts from the acknowledgement");
    assert!(mark(&mut world, 590), "and it fires again from there");
    let again = world.breaker.latched().unwrap().id.clone();
    assert_ne!(again, id, "an id is never used again");
    assert!(!world.breaker.acknowledge(&id, &mut world.account), "the old acknowledgement clears nothing");
}

#[test]
fn order_rate_in_event_time() {
    let mut world = World::new();
    let at =
        |seconds: i64| Proposal { event_time: Nanos(seconds * SECOND), data_time: Nanos(seconds * SECOND), ..order("SPX", 1) };
    for second in [0, 1, 2] {
        assert_eq!(world.codes_of(&at(second)), [""; 0]);
        world.rate.count(Nanos(second * SECOND));
    }
    assert_eq!(world.check(&at(59))[0].to_string(), "this would be order 4 within a minute, allowed are 3");
    assert_eq!(world.codes_of(&at(60)), [""; 0], "the first order is a minute old");
    world.rate.count(Nanos(60 * SECOND));
    assert_eq!(world.codes_of(&at(5)), ["order_rate"], "time that runs back frees nothing");
}

#[test]
fn price_collar() {
    let world = World::new();
    let at = |price| Proposal { price: Ticks(price), ..order("SPX", 1) };
    for fine in [950, 1_050] {
        assert_eq!(world.codes_of(&at(fine)), [""; 0]);
    }
    for wrong in [949, 1_051, 1, i64::MAX / 1_000_000_000] {
        assert!(world.codes_of(&at(wrong)).contains(&"price_collar"), "{wrong}");
    }
    assert_eq!(world.check(&at(1_051))[0].to_string(), "price 1051 ticks is 510 bps from the mark 1000, allowed is 500 bps");
}

#[test]
fn data_age_in_event_time() {
    let world = World::new();
    let aged = |age| Proposal { event_time: Nanos(100 * SECOND + age), data_time: Nanos(100 * SECOND), ..order("SPX", 1) };
    assert_eq!(world.codes_of(&aged(5 * SECOND)), [""; 0]);
    assert_eq!(world.check(&aged(5 * SECOND + SECOND / 1_000))[0].to_string(), "newest bar is 5001 ms old, allowed is 5000 ms");
    assert_eq!(world.codes_of(&Proposal { reduce_only: true, ..aged(6 * SECOND) }), ["not_reducing"]);
}

#[test]
fn halt_in_both_modes() {
    let mut world = World::new();
    world.hold("SPX", 10);
    world.halt = Some((TradingState::ReduceOnly, "spec.halt"));
    assert_eq!(world.codes(1), ["halted"]);
    assert_eq!(world.codes_of(&reduce(-10)), [""; 0]);
    assert_eq!(world.codes(-10), ["halted"], "without its mark it could fill after another and open a position");
    world.halt = Some((TradingState::Halted, "spec.halt"));
    assert_eq!(world.codes(1), ["halted"]);
    assert_eq!(world.check(&reduce(-10))[0].to_string(), "trading is halted (spec.halt); no order is allowed");
    world.halt = None;
    assert_eq!(world.codes(1), [""; 0]);
}

#[test]
fn orders_that_reduce_pass_every_limit() {
    // EX-118, C-36
    let mut world = World::new();
    world.hold("SPX", 400);
    world.limits = Limits {
        max_order_notional: amount("1"),
        max_position_notional: amount("1"),
        max_gross_exposure_bps: 1,
        daily_loss_bps: 1,
        max_drawdown_bps: 1,
        max_orders_per_minute: 0,
        price_collar_bps: 0,
        max_data_age_ns: 0,
    };
    world.account.mark(&symbol("SPX"), Ticks(500), Nanos(0)).unwrap();
    world.breaker.observe(&world.account, &world.limits, Nanos(0), &Ids::default());
    let far = Proposal { price: Ticks(1), event_time: Nanos(9 * SECOND), ..reduce(-400) };
    assert_eq!(world.codes_of(&far), [""; 0]);
    let codes = world.codes_of(&Proposal { lots: Lots(1), reduce_only: false, ..far });
    let every = [
        "drawdown_breaker",
        "daily_loss",
        "data_age",
        "price_collar",
        "order_rate",
        "order_notional",
        "position_notional",
        "gross_exposure",
    ];
    assert_eq!(codes, every, "an order that does not reduce hears every reason");
}

#[test]
fn reduce_only_means_it() {
    let mut world = World::new();
    assert_eq!(world.codes_of(&reduce(1)), ["not_reducing"]);
    world.hold("SPX", 10);
    assert_eq!(world.codes_of(&reduce(1)), ["not_reducing"]);
    assert_eq!(world.codes_of(&reduce(-11)), ["not_reducing"]);
    assert_eq!(world.codes_of(&reduce(-10)), [""; 0]);
    world.reserve("stop", "SPX", -10, true);
    assert_eq!(world.codes_of(&reduce(-10)), [""; 0], "stop and target both cover the position");
    world.limits.max_order_notional = Money::ZERO;
    world.reserve("x", "SPX", -10, false);
    assert_eq!(world.codes(-10), ["order_notional"], "but the position can be closed by free orders only once");
}

#[test]
fn malformed_orders() {
    let mut world = World::new();
    world.halt = Some((TradingState::Halted, "x"));
    for wrong in
        [order("SPX", 0), Proposal { price: Ticks(0), ..order("SPX", 1) }, Proposal { reference: Ticks(-1), ..order("SPX", 1) }]
    {
        assert_eq!(world.codes_of(&wrong), ["order_invalid"]);
    }
}

#[test]
fn the_tighter_of_each_limit() {
    let base = World::new().limits;
    let other = Limits { max_order_notional: amount("1"), daily_loss_bps: 9_999, ..base };
    assert_eq!(base.tightest(&other), Limits { max_order_notional: amount("1"), ..base });
    assert_eq!(other.tightest(&base), base.tightest(&other));
}

#[test]
fn a_close_and_an_entry_together_are_no_reduction() {
    let mut world = World::new();
    world.hold("SPX", 10);
    world.halt = Some((TradingState::ReduceOnly, "spec.halt"));
    assert_eq!(world.codes_of(&reduce(-10)), [""; 0]);
    world.reserve("close", "SPX", -10, true);
    assert_eq!(world.codes(-10), ["halted"], "with the close it would turn the position around");
}

proptest! {
    /// While only reduction is allowed, nothing that is allowed makes a position larger or turns it around,
    /// whatever fills in whatever order.
    #[test]
    fn reduction_reduces(
        held in -300i64..300,
        asked in prop::collection::vec((-400i64..400, any::<bool>(), 0usize..3), 1..40),
    ) {
        let mut world = World::new();
        if held != 0 {
            world.hold("SPX", held);
        }
        world.halt = Some((TradingState::ReduceOnly, "spec.halt"));
        let mut open: Vec<(String, i64, bool)> = Vec::new();
        for (number, (lots, reduce_only, fills)) in asked.into_iter().enumerate() {
            if world.check(&Proposal { reduce_only, ..order("SPX", lots) }).is_empty() {
                world.reserve(&number.to_string(), "SPX", lots, reduce_only);
                open.push((number.to_string(), lots, reduce_only));
            }
            for _ in 0..fills.min(open.len()) {
                let (id, lots, reduce_only) = open.pop().unwrap();
                let before = world.account.lots(&symbol("SPX")).0;
                let against = before.signum() == -lots.signum();
                let size = if !reduce_only { lots } else if against { lots.signum() * lots.abs().min(before.abs()) } else { 0 };
                if size != 0 {
                    world.account.book(&fill("SPX", size, 1_000)).unwrap();
                }
                world.reservations.release(&id);
                let after = world.account.lots(&symbol("SPX")).0;
                prop_assert!(after.abs() <= before.abs() && after * before >= 0, "{before} became {after}");
            }
        }
    }

    /// RK-179: whatever is asked for in whatever order, and whatever fills in whatever order, the position
    /// never exceeds its limit.
    #[test]
    fn allowed_orders_never_lead_beyond_the_limit(
        asked in prop::collection::vec((-200i64..200, any::<bool>(), 0usize..4), 1..60),
    ) {
        let mut world = World::new();
        world.limits.max_orders_per_minute = u32::MAX;
        let mut open: Vec<(String, i64, bool)> = Vec::new();
        for (number, (lots, reduce_only, fills)) in asked.into_iter().enumerate() {
            let proposal = Proposal { reduce_only, ..order("SPX", lots) };
            if world.check(&proposal).is_empty() {
                world.reserve(&number.to_string(), "SPX", lots, reduce_only);
                open.push((number.to_string(), lots, reduce_only));
            }
            for _ in 0..fills.min(open.len()) {
                // The newest order fills first: not the sequence in which they were checked.
                let (id, lots, reduce_only) = open.pop().unwrap();
                let held = world.account.lots(&symbol("SPX")).0;
                let size = match (reduce_only, held.signum() == -lots.signum()) {
                    (true, true) => lots.signum() * lots.abs().min(held.abs()),
                    (true, false) => 0,
                    (false, _) => lots,
                };
                if size != 0 {
                    world.account.book(&fill("SPX", size, 1_000)).unwrap();
                }
                world.reservations.release(&id);
                prop_assert!(world.account.lots(&symbol("SPX")).0.abs() <= 500);
            }
        }
    }
}
