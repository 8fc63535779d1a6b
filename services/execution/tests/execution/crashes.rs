//! Kills after every journal write: no order lost, none doubled, both books agree.
use crate::harness::{FatalKind, World, drive, recorded, symbol};
use tradewind_execution::Record;
use tradewind_wire::v1;

/// What must not depend on crashes.
#[derive(Debug, PartialEq)]
struct Result {
    digests: [(String, u64); 2],
    equity: String,
    positions: Vec<(String, i64)>,
    working: Vec<String>,
}

fn outcome(world: &mut World) -> Result {
    let digests = world.digests();
    let risk = world.gate.clone();
    let epoch = world.surely(|engine| engine.view()).epoch;
    let owner = v1::Owner { account: "paper-1".into(), policy: "indices".into(), epoch, acknowledged: 0 };
    let theirs = risk.surely(|engine| engine.events(&v1::EventsRequest { owner: Some(owner.clone()) }));
    let outcome = world.surely(|engine| {
        let book = engine.book();
        let held = book.account().positions().map(|position| (position.instrument.symbol.to_string(), position.lots.0));
        let positions: Vec<_> = held.filter(|(_, lots)| *lots != 0).collect();
        let at_venue: Vec<_> = theirs.positions.iter().map(|one| (one.symbol.clone(), one.lots)).collect();
        assert_eq!(positions, at_venue, "both books agree on positions");
        let working: Vec<_> = book.working().iter().map(|(id, live)| (id.to_string(), live.left().0)).collect();
        let at_venue: Vec<_> = theirs.working.iter().map(|one| (one.order_id.clone(), one.lots)).collect();
        assert_eq!(working, at_venue, "both books agree on orders");
        let equity = book.account().equity().to_string();
        Ok(Result { digests: digests.clone(), equity, positions, working: working.into_iter().map(|(id, _)| id).collect() })
    });
    for name in ["IXIC", "SPX"] {
        let ours = outcome.positions.iter().find(|(held, _)| held == name).map_or(0, |(_, lots)| *lots);
        assert_eq!(risk.surely(|engine| Ok(engine.lots(&symbol(name)))), ours, "the risk service agrees on {name}");
    }
    let reserved = risk.surely(|engine| Ok(engine.open_reservations()));
    assert_eq!(reserved, outcome.working.len(), "every working order is reserved and nothing else");
    outcome
}

fn run(kind: FatalKind, bars: usize) -> (Result, World) {
    let mut world = World::new(kind);
    drive(&mut world, &recorded(2_300, bars));
    (outcome(&mut world), world)
}

#[test]
fn killed_once_at_every_write_the_end_is_the_same() {
    const BARS: usize = 20;
    let (undisturbed, world) = run(FatalKind::Never, BARS);
    let writes = world.fuse.writes();
    assert!(undisturbed.digests.iter().all(|(_, lines)| *lines > 10), "the run trades: {undisturbed:?}");
    assert!(writes > 100, "{writes} writes");
    for write in 1..=writes {
        for kind in [FatalKind::Before(write), FatalKind::After(write)] {
            let (disturbed, world) = run(kind, BARS);
            assert_eq!(world.fuse.deaths(), 1, "{kind:?}");
            assert_eq!(disturbed, undisturbed, "{kind:?} of {writes}");
        }
    }
}

#[test]
fn killed_again_and_again_the_end_is_the_same() {
    let (undisturbed, _) = run(FatalKind::Never, 120);
    for every in [11, 13, 29, 53] {
        let (disturbed, world) = run(FatalKind::Every(every), 120);
        assert!(world.fuse.deaths() >= 20, "every {every}: {} deaths", world.fuse.deaths());
        assert_eq!(disturbed, undisturbed, "every {every}");
    }
}

#[test]
fn a_crash_between_the_two_journals_is_reconciled() {
    // The venue has the order and its fill; the engine died before it heard of either.
    let bars = recorded(2_300, 3);
    let mut world = World::new(FatalKind::Never);
    drive(&mut world, &bars[..4]);
    let placed: Vec<_> = world.records.records().into_iter().filter(|record| matches!(record, Record::Order(_))).collect();
    assert_eq!(placed.len(), 2);
    world.kill();
    world.gate.kill();
    let before = world.restarts;
    let view = world.advance(&bars[4], 5);
    assert_eq!(world.restarts, before + 1);
    assert_ne!(view.positions[0].lots, 0);
    assert_eq!(view.positions[0].working_orders, 2, "filled, then protected by stop and target");
    assert_eq!(view.epoch, 2, "every process has its own epoch");
}
