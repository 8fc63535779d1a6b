//! What the engine makes of trades and bars: sizes, flips, protection, refusals, halts, fencing, reconciliation.
use crate::harness::{FatalKind, World, amount, bar, config, drive, instrument, recorded, symbol, trade};
use tradewind_execution::{Engine, ExecutionError, Record, ledger};
use tradewind_journal::{Log, MemoryLog};
use tradewind_venue::fills::FillModel;
use tradewind_venue::paper::PaperConfig;
use tradewind_wire::v1;

/// A venue without costs or chance.
fn plain() -> World {
    World::with(FatalKind::Never, PaperConfig::default(), |_| {})
}

fn flat(index: u64, price: f64) -> v1::Bar {
    bar("SPX", index, [price; 4])
}

/// Order lines as `role event reason`.
fn story(world: &World) -> Vec<String> {
    let records = world.records.records();
    let lines = ledger::orders(&records);
    lines.iter().map(|line| format!("{:?} {} {}", line.role, line.event, line.reason).trim_end().to_lowercase()).collect()
}

fn spx(view: &v1::AccountView) -> v1::PositionView {
    view.positions.iter().find(|position| position.symbol == "SPX").cloned().unwrap()
}

#[test]
fn a_trade_fills_at_the_next_open_and_is_protected_in_the_same_bar() {
    let mut world = plain();
    let view = world.advance(&flat(0, 1000.0), 1);
    assert_eq!((view.trading_state.as_str(), view.epoch), ("Normal", 1));
    let reply = world.submit(&trade(&flat(0, 1000.0), 1, 1));
    assert_eq!((reply.status.as_str(), reply.order_ids), ("accepted", vec!["indices/SPX/0#1".to_owned()]));
    assert_eq!(spx(&world.advance(&bar("SPX", 1, [1010.0, 1015.0, 1000.0, 1012.0]), 2)).lots, 100);
    let position = spx(&world.engine.as_ref().unwrap().view().unwrap());
    assert_eq!((position.average_price_ticks, position.working_orders), (101_000, 2));
    assert_eq!(position.unrealised_pnl, Some(v1::Money { units: 200, nanos: 0 }));
    // 980 is the stop, 1030 the target: both touched, the stop comes first
    let view = world.advance(&bar("SPX", 2, [1012.0, 1040.0, 970.0, 1000.0]), 3);
    assert_eq!(spx(&view).lots, 0);
    assert_eq!(spx(&view).realised_pnl, Some(v1::Money { units: -3000, nanos: 0 }));
    assert_eq!(view.losing_streak, 1);
    let expected =
        ["entry submitted", "entry filled", "stop submitted", "target submitted", "stop filled", "target cancelled sibling"];
    assert_eq!(story(&world), expected);
}

#[test]
fn a_stop_in_the_bar_of_the_entry_works() {
    let mut world = plain();
    world.advance(&flat(0, 1000.0), 1);
    world.submit(&trade(&flat(0, 1000.0), 1, -1));
    let view = world.advance(&bar("SPX", 1, [1000.0, 1025.0, 990.0, 1000.0]), 2);
    assert_eq!((spx(&view).lots, spx(&view).realised_pnl), (0, Some(v1::Money { units: -2000, nanos: 0 })), "stopped at 1020");
}

#[test]
fn the_other_side_closes_first_and_opens_then() {
    let mut world = plain();
    world.advance(&flat(0, 1000.0), 1);
    world.submit(&trade(&flat(0, 1000.0), 1, 1));
    world.advance(&flat(1, 1000.0), 2);
    assert_eq!(world.submit(&trade(&flat(1, 1000.0), 2, 1)).reason, "already_held");
    world.advance(&flat(2, 1000.0), 3);
    let reply = world.submit(&trade(&flat(2, 1000.0), 3, -1));
    assert_eq!(reply.order_ids, ["indices/SPX/2#0", "indices/SPX/2#1"]);
    let view = world.advance(&flat(3, 1000.0), 4);
    assert_eq!((spx(&view).lots, spx(&view).working_orders), (-100, 2));
    let expected = [
        "entry submitted",
        "entry filled",
        "stop submitted",
        "target submitted",
        "close submitted",
        "entry submitted",
        "close filled",
        "entry filled",
        "stop cancelled requested",
        "target cancelled requested",
        "stop submitted",
        "target submitted",
    ];
    assert_eq!(story(&world), expected);
}

#[test]
fn refusals_have_codes_and_are_remembered() {
    let mut world = plain();
    let first = flat(0, 1000.0);
    world.advance(&first, 1);
    let refused = |world: &mut World, name: &str, change: &dyn Fn(&mut v1::TradeQualified)| {
        let mut wish = trade(&first, 1, 1);
        // Another id for the same bar: only the first trade of a bar can be taken in, so each gets a world of its own.
        wish.trade_id = name.to_owned();
        change(&mut wish);
        let reply = world.submit(&wish);
        assert_eq!(world.submit(&wish), reply, "the same answer again");
        assert!(reply.order_ids.is_empty());
        (reply.status, reply.reason)
    };
    let fresh = |name: &str, change: &dyn Fn(&mut v1::TradeQualified)| {
        let mut world = plain();
        world.advance(&first, 1);
        refused(&mut world, name, change)
    };
    assert_eq!(fresh("a", &|wish| wish.paper = false), ("nothing_to_do".into(), "not_paper".into()));
    assert_eq!(fresh("b", &|wish| wish.confidence_multiplier = f64::NAN), ("rejected".into(), "invalid_multiplier".into()));
    assert_eq!(fresh("c", &|wish| wish.risk_scale_bps = 0), ("rejected".into(), "quantity_below_minimum".into()));
    assert_eq!(fresh("d", &|wish| wish.stop_ticks = 0), ("rejected".into(), "invalid_protection".into()));
    assert_eq!(fresh("e", &|wish| wish.index = 7), ("rejected".into(), "stale_decision".into()));
    let wrong = v1::TradeQualified { symbol: "DAX".into(), ..trade(&first, 1, 1) };
    let engine = world.engine.as_mut().unwrap();
    assert!(matches!(engine.submit(&wrong), Err(ExecutionError::UnknownSymbol(_))));
    assert!(matches!(engine.submit(&v1::TradeQualified { side: 0, ..trade(&first, 1, 1) }), Err(ExecutionError::Trade { .. })));
}

#[test]
fn a_denied_entry_is_no_order() {
    let mut world = World::with(FatalKind::Never, PaperConfig::default(), |spec| {
        spec.limits.max_order_notional = "50000".parse().unwrap();
    });
    world.advance(&flat(0, 1000.0), 1);
    let reply = world.submit(&trade(&flat(0, 1000.0), 1, 1));
    assert_eq!((reply.status.as_str(), reply.reason.as_str()), ("rejected", "order_notional"));
    assert_eq!(story(&world), ["entry denied order_notional"]);
    assert_eq!(spx(&world.advance(&flat(1, 1000.0), 2)).lots, 0);
}

#[test]
fn repeating_a_bar_or_a_trade_changes_nothing() {
    let mut world = plain();
    world.advance(&flat(0, 1000.0), 1);
    let reply = world.submit(&trade(&flat(0, 1000.0), 1, 1));
    let view = world.advance(&flat(1, 1000.0), 2);
    let length = world.records.len();
    assert_eq!(world.submit(&trade(&flat(0, 1000.0), 1, 1)), reply);
    assert_eq!(world.advance(&flat(1, 1000.0), 2), view);
    assert_eq!(world.advance(&flat(0, 1000.0), 1), view);
    assert_eq!(world.records.len(), length, "nothing was written");
}

#[test]
fn a_halt_takes_entries_back_and_keeps_protection() {
    let mut world = plain();
    world.advance(&flat(0, 1000.0), 1);
    world.submit(&trade(&flat(0, 1000.0), 1, 1));
    world.advance(&flat(1, 1000.0), 2);
    world.advance(&bar("IXIC", 1, [2000.0; 4]), 3);
    world.submit(&trade(&bar("IXIC", 1, [2000.0; 4]), 3, 1));
    let halt = |halt| v1::HaltRequest { halt, reason: "spec.halt".into() };
    assert_eq!(world.surely(|engine| engine.halt(&halt(true))).cancelled, 1);
    assert_eq!(world.surely(|engine| engine.halt(&halt(true))).cancelled, 0);
    let view = world.engine.as_ref().unwrap().view().unwrap();
    assert_eq!((view.trading_state.as_str(), spx(&view).working_orders), ("ReduceOnly", 2));
    world.kill();
    world.advance(&bar("IXIC", 2, [2000.0; 4]), 4);
    assert_eq!(world.submit(&trade(&bar("IXIC", 2, [2000.0; 4]), 4, 1)).reason, "halted", "a restart does not forget it");
    world.surely(|engine| engine.halt(&halt(false)));
    world.advance(&bar("IXIC", 3, [2000.0; 4]), 5);
    assert_eq!(world.submit(&trade(&bar("IXIC", 3, [2000.0; 4]), 5, 1)).status, "accepted");
}

#[test]
fn a_halt_of_the_risk_profile_reaches_working_entries_and_reduction_still_works() {
    let mut world = plain();
    world.advance(&flat(0, 1000.0), 1);
    world.submit(&trade(&flat(0, 1000.0), 1, 1));
    world.advance(&flat(1, 1000.0), 2);
    world.advance(&bar("IXIC", 1, [2000.0; 4]), 3);
    world.submit(&trade(&bar("IXIC", 1, [2000.0; 4]), 3, 1));
    world.gate.change_profile(|spec| spec.halt = true);
    let view = world.advance(&flat(2, 1000.0), 4);
    assert_eq!(view.trading_state, "ReduceOnly");
    assert!(view.trading_state_reason.starts_with("spec.halt of the RiskProfile"), "{}", view.trading_state_reason);
    assert!(story(&world).contains(&"entry cancelled requested".to_owned()), "the waiting entry of the other symbol");
    let reply = world.submit(&trade(&flat(2, 1000.0), 4, -1));
    assert_eq!((reply.status.as_str(), reply.reason.as_str()), ("accepted", "halted"), "the close goes out, the entry does not");
    assert_eq!(spx(&world.advance(&flat(3, 1000.0), 5)).lots, 0);
    world.gate.lift_halt();
    assert_eq!(world.advance(&flat(4, 1000.0), 6).trading_state, "Normal");
}

#[test]
fn while_no_order_at_all_is_allowed_protection_stays() {
    let mut world = plain();
    world.advance(&flat(0, 1000.0), 1);
    world.submit(&trade(&flat(0, 1000.0), 1, 1));
    world.advance(&flat(1, 1000.0), 2);
    world.gate.change_profile(|spec| {
        spec.halt = true;
        spec.halt_mode = tradewind_crds::risk_profile::HaltMode::None;
    });
    assert_eq!(world.advance(&flat(2, 1000.0), 3).trading_state, "Halted");
    let reply = world.submit(&trade(&flat(2, 1000.0), 3, -1));
    assert_eq!((reply.status.as_str(), reply.reason.as_str()), ("rejected", "halted"));
    let view = world.advance(&bar("SPX", 3, [1000.0, 1000.0, 970.0, 975.0]), 4);
    assert_eq!(spx(&view).lots, 0, "the stop was placed before the halt and works");
    assert!(story(&world).contains(&"entry denied close_denied".to_owned()));
}

/// R8: who lost the orders has lost them for good, and who never had them gets none.
#[test]
fn a_process_that_lost_the_orders_is_fenced_everywhere_and_does_not_come_back() {
    let mut world = plain();
    world.advance(&flat(0, 1000.0), 1);
    let mut old = world.engine.take().unwrap();
    let journal = MemoryLog::new();
    journal.clone().append_batch(&world.records.records()).unwrap();
    world.advance(&flat(1, 1000.0), 2);
    let error = old.advance(&v1::AdvanceRequest { bar: Some(flat(1, 1000.0)), sequence: 2 }).unwrap_err();
    assert!(error.is_fatal() && error.to_string().contains("epoch"), "{error}");
    let error = old.submit(&trade(&flat(0, 1000.0), 1, 1)).unwrap_err();
    assert!(error.is_fatal(), "{error}");
    // On its own journal, and on an empty one.
    for journal in [journal, MemoryLog::new()] {
        let mut former = Engine::open(config("indices", "former"), Box::new(journal), world.gate.clone()).unwrap();
        let error = former.recover().unwrap_err();
        assert!(error.is_fatal() && error.to_string().contains("lost them for good"), "{error}");
    }
    assert_eq!(world.advance(&flat(2, 1000.0), 3).epoch, 2, "the owner has not noticed");
}

/// R12: what the gate's venue did is what counts; a book that says otherwise stops.
#[test]
fn books_that_differ_keep_trading_off() {
    let mut world = plain();
    world.advance(&flat(0, 1000.0), 1);
    world.submit(&trade(&flat(0, 1000.0), 1, 1));
    world.advance(&flat(1, 1000.0), 2);
    world.kill();
    // A fill of the journal is hidden: the volume was restored from a copy that somebody mended.
    let fill = |record: &Record| matches!(record, Record::Venue(event) if matches!(event.what, tradewind_venue::paper::What::Filled { .. }));
    let mut hidden = world.records.records();
    let at = hidden.iter().position(fill).unwrap();
    if let Record::Venue(event) = &mut hidden[at] {
        event.what = tradewind_venue::paper::What::Cancelled { reason: tradewind_venue::paper::CancelReason::Requested };
    }
    hidden.retain(|record| !matches!(record, Record::Order(order) if order.order.reduce_only));
    hidden.truncate(at + 1);
    let mut log = MemoryLog::new();
    log.append_batch(&hidden).unwrap();
    let mut engine = Engine::open(config("indices", "mended"), Box::new(log), world.gate.clone()).unwrap();
    let error = engine.recover().unwrap_err();
    assert!(matches!(error, ExecutionError::Differs { .. } | ExecutionError::UnknownOrder { .. }), "{error}");
    assert!(!error.is_fatal(), "it waits for a person, it does not flap");
    let bar = v1::AdvanceRequest { bar: Some(flat(2, 1000.0)), sequence: 3 };
    assert!(matches!(engine.advance(&bar), Err(ExecutionError::NotRecovered)));
}

#[test]
fn a_journal_of_another_policy_is_refused() {
    let mut world = plain();
    world.advance(&flat(0, 1000.0), 1);
    let error = Engine::open(config("other", "process"), Box::new(world.records.clone()), world.gate.clone()).unwrap_err();
    assert!(matches!(error, ExecutionError::OtherJournal { field: "policy", .. }), "{error}");
}

#[test]
fn an_order_that_was_not_sent_before_a_halt_is_not_sent_after_it() {
    // Dies after the order is journaled and before the venue has it; halted before the restart.
    let count = {
        let mut world = plain();
        world.advance(&flat(0, 1000.0), 1);
        let before = world.fuse.writes();
        world.submit(&trade(&flat(0, 1000.0), 1, 1));
        // trade, order
        before + 2
    };
    let mut world = World::with(FatalKind::After(count), PaperConfig::default(), |_| {});
    world.advance(&flat(0, 1000.0), 1);
    let wish = trade(&flat(0, 1000.0), 1, 1);
    let died = world.engine.as_mut().unwrap().submit(&wish).unwrap_err();
    assert!(died.is_fatal());
    assert!(matches!(world.records.records().last(), Some(Record::Order(_))));
    world.kill();
    world.gate.change_profile(|spec| spec.halt = true);
    let view = world.advance(&flat(1, 1000.0), 2);
    assert_eq!((spx(&view).lots, spx(&view).working_orders), (0, 0));
    assert_eq!(story(&world), ["entry denied halted"]);
}

#[test]
fn ledgers_are_the_same_bytes_whenever_they_are_made() {
    let bars = recorded(2_000, 60);
    let run = || {
        let mut world = World::new(FatalKind::Never);
        drive(&mut world, &bars);
        (world.digests(), world.records.records())
    };
    let (first, records) = run();
    assert_eq!(first, run().0);
    let fills = ledger::fills(&records);
    let line = serde_json::to_string(&fills[0]).unwrap();
    assert!(line.starts_with("{\"number\":1,\"orderId\":\"indices/"), "{line}");
    let bought: i64 = fills.iter().filter(|fill| fill.symbol == symbol("SPX")).map(|fill| fill.lots.0).sum();
    let mut world = World::new(FatalKind::Never);
    drive(&mut world, &bars);
    assert_eq!(world.surely(|engine| Ok(engine.book().account().lots(&symbol("SPX")).0)), bought);
}

/// The shadow book pays what the venue pays: same trades, no partial fills, no limits in the way.
#[test]
fn a_shadow_book_earns_what_the_venue_pays() {
    use tradewind_core::instrument::Ticks;
    use tradewind_core::side::Side;
    use tradewind_core::sizing::TradeIntent;
    use tradewind_venue::shadow::{ShadowBook, ShadowConfig};
    use tradewind_wire::convert::bar_from_wire;
    let fills = FillModel { spread_bps: 3, fee_bps: 2 };
    let mut world = World::with(FatalKind::Never, PaperConfig { fills, ..PaperConfig::default() }, |spec| {
        spec.limits.max_drawdown_bps = 10_000;
        spec.limits.daily_loss_bps = 10_000;
        spec.limits.price_collar_bps = 5_000;
    });
    let mut shadow = ShadowBook::new(ShadowConfig { starting_equity: amount("1000000"), base_notional: amount("100000"), fills });
    for (sequence, bar) in (1..).zip(recorded(2_300, 250)) {
        let of = instrument(&bar.symbol);
        world.advance(&bar, sequence);
        shadow.on_bar(&of, &bar_from_wire(&bar, &of).unwrap()).unwrap();
        if let Some(side) = crate::harness::wish(&bar) {
            let wish = trade(&bar, sequence, side);
            world.submit(&wish);
            let intent = TradeIntent {
                side: Side::from_sign(side.into()).unwrap(),
                reference_price: Ticks(wish.reference_price_ticks),
                stop: Ticks(wish.stop_ticks),
                target: Ticks(wish.target_ticks),
                confidence_multiplier: wish.confidence_multiplier,
                risk_scale_bps: wish.risk_scale_bps,
            };
            shadow.decide(&of, &intent).unwrap();
        }
        assert_eq!(
            world.engine.as_ref().unwrap().book().account().equity(),
            shadow.account().equity(),
            "bar {sequence} {:?}",
            story(&world)
        );
    }
    assert!(shadow.trades() > 100, "{} trades", shadow.trades());
}
