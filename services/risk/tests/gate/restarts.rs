//! Killed at every write, the gate and its venues are those of an undisturbed run.

use crate::desk::{OWNER, account, acknowledge, bar, claim, limit, out, owner, spec};
use tradewind_crds::RiskProfileSpec;
use tradewind_journal::testing::{Death, FaultyLog};
use tradewind_journal::{Log, MemoryLog};
use tradewind_risk::{Arrival, Engine, RiskError};
use tradewind_wire::bus::FeedKind;
use tradewind_wire::v1;

fn meet(engine: &mut Engine, sequence: u64, price: i64) -> Result<(), RiskError> {
    let own = bar("SPX", sequence, price);
    let mut ask = v1::MeetRequest { owner: owner(OWNER, 1), symbol: "SPX".into(), sequence };
    loop {
        let reply = engine.meet(&ask, Some(&own))?;
        if reply.done {
            return Ok(());
        }
        acknowledge(&mut ask, &reply);
    }
}

fn place(engine: &mut Engine, orders: Vec<v1::NewOrder>) -> Result<(), RiskError> {
    engine.place(&v1::PlaceRequest { owner: owner(OWNER, 1), orders }, Arrival::default()).map(drop)
}

/// One call of a fixed session; each may be repeated.
fn step(engine: &mut Engine, number: usize) -> Result<(), RiskError> {
    let stop = v1::NewOrder { kind: v1::OrderKind::Stop.into(), price_ticks: 900, ..out("indices/stop", "SPX", -200) };
    let target = v1::NewOrder { group: "g".into(), ..limit("indices/target", "SPX", -200, 1_040) };
    let target = v1::NewOrder { reduce_only: true, immediate_or_cancel: false, ..target };
    match number {
        0 => engine.apply_profile(1, &spec()),
        1 => engine.apply_account(&account(FeedKind::Replay)),
        2 => engine.acquire(&claim(OWNER, 0, "first")).map(drop),
        3 => meet(engine, 1, 1_000),
        4 => place(engine, vec![limit("indices/a", "SPX", 200, 1_001)]),
        5 => place(engine, vec![limit("indices/b", "SPX", 400, 1_000)]),
        6 => meet(engine, 2, 1_001),
        7 => place(engine, vec![v1::NewOrder { group: "g".into(), ..stop }, target]),
        8 => engine.apply_profile(2, &RiskProfileSpec { halt: true, ..spec() }),
        9 => place(engine, vec![limit("indices/c", "SPX", 1, 1_000)]),
        10 => meet(engine, 3, 1_020),
        11 => {
            let order_ids = vec!["indices/target".to_owned()];
            engine.cancel(&v1::CancelRequest { owner: owner(OWNER, 1), order_ids }).map(drop)
        }
        _ => meet(engine, 4, 899),
    }
}

#[test]
fn killed_at_every_write_the_end_is_the_same() {
    let run = |fatal: u64, death: Death| {
        let disk = MemoryLog::new();
        let faulty = FaultyLog::new(disk.clone(), fatal, death);
        let mut alive = Engine::open("paper-1", Box::new(faulty)).ok();
        for number in 0..13 {
            let first = alive.as_mut().map(|engine| step(engine, number));
            if !matches!(first, Some(Ok(()))) {
                let mut again = Engine::open("paper-1", Box::new(disk.clone())).unwrap();
                step(&mut again, number).unwrap();
                alive = Some(again);
            }
        }
        let mut engine = alive.unwrap();
        let known = owner(OWNER, 1).map(|owner| v1::Owner { acknowledged: 2, ..owner });
        let told = engine.events(&v1::EventsRequest { owner: known }).unwrap();
        (told, engine.status(), disk.len())
    };
    let undisturbed = run(0, Death::BeforeWrite);
    assert!(undisturbed.0.working.is_empty() && undisturbed.0.positions.is_empty(), "{:?}", undisturbed.0);
    let ends: Vec<_> = undisturbed.0.events.iter().map(|event| event.order_id.as_str()).collect();
    assert_eq!(ends, ["indices/stop", "indices/target", "indices/target", "indices/stop"], "placed, taken back, stopped");
    for fatal in 1..=undisturbed.2 {
        for death in [Death::BeforeWrite, Death::AfterWrite] {
            assert_eq!(run(fatal, death.clone()), undisturbed, "write {fatal}, {death:?}");
        }
    }
}
