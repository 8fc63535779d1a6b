//! Recorded bars of 2007 to 2009: a position within its limits meets a fall that no limit on sizes can stop.

use crate::desk::{DAY, OWNER, claim, owner, policy};
use tradewind_core::calendar::CalendarName;
use tradewind_core::time::Nanos;
use tradewind_crds::samples;
use tradewind_journal::MemoryLog;
use tradewind_risk::{Arrival, Engine};
use tradewind_wire::account::AccountConfig;
use tradewind_wire::bus::{FeedKind, SequencedBar};
use tradewind_wire::v1;

/// Date and close in hundredths of every recorded session of a symbol from 2007 on.
fn closes(symbol: &str) -> Vec<(String, i64)> {
    let path = format!("{}/../../tests/fixtures/bars/{symbol}.csv", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        (fields[0][..10].to_owned(), (fields[4].parse::<f64>().unwrap() * 100.0).round() as i64)
    };
    text.lines().skip(1).map(row).filter(|(date, _)| date.as_str() >= "2007").collect()
}

fn account() -> AccountConfig {
    let mut indices = policy(OWNER, FeedKind::Replay, &["SPX", "IXIC"]);
    indices.instruments.iter_mut().for_each(|instrument| instrument.tick = "0.01".parse().unwrap());
    AccountConfig { account: "paper-1".into(), calendar: CalendarName::default(), policies: vec![indices] }
}

fn bar(symbol: &str, sequence: u64, day: i64, price: i64) -> SequencedBar {
    let own = crate::desk::bar(symbol, sequence, 1);
    let [open_nanos, high_nanos, low_nanos, close_nanos] = [price * 10_000_000; 4];
    let (open_time_ns, close_time_ns, index) = ((day - 1) * DAY, day * DAY, u64::try_from(day).unwrap());
    let bar = v1::Bar { index, open_time_ns, close_time_ns, open_nanos, high_nanos, low_nanos, close_nanos, ..own.bar };
    SequencedBar { sequence, arrived: Nanos(bar.close_time_ns), bar }
}

fn place(engine: &mut Engine, order: v1::NewOrder) -> v1::OrderVerdict {
    let request = v1::PlaceRequest { owner: owner(OWNER, 1), orders: vec![order] };
    engine.place(&request, Arrival::default()).unwrap().verdicts[0].clone()
}

#[test]
fn the_fall_of_2008_fires_the_breaker_and_only_its_id_clears_it() {
    let spec = samples::profile("main", "paper-1").spec;
    let log = MemoryLog::new();
    let mut engine = Engine::open("paper-1", Box::new(log.clone())).unwrap();
    engine.apply_profile(1, &spec).unwrap();
    engine.apply_account(&account()).unwrap();
    engine.acquire(&claim(OWNER, 0, "first")).unwrap();
    let (mut fired, mut sequence, mut newest) = (None, 0, 0);
    for (day, ((date, spx), (_, ixic))) in (1_i64..).zip(closes("SPX").into_iter().zip(closes("IXIC"))) {
        for (symbol, price) in [("SPX", spx), ("IXIC", ixic)] {
            sequence += 1;
            let own = bar(symbol, sequence, day, price);
            let mut ask = v1::MeetRequest { owner: owner(OWNER, 1), symbol: symbol.into(), sequence };
            let reply = loop {
                let reply = engine.meet(&ask, Some(&own)).unwrap();
                if reply.done {
                    break reply;
                }
                crate::desk::acknowledge(&mut ask, &reply);
            };
            let state = reply.state.unwrap();
            if fired.is_none() && !engine.status().breaker_id.is_empty() {
                assert_eq!(state.state, "ReduceOnly");
                assert!(state.drawdown_bps < -2_000, "{}", state.drawdown_bps);
                fired = Some(date.clone());
            }
            // On the second and third day nearly half of what the limits allow in each symbol, twice.
            if day == 2 || day == 3 {
                let limit = price * 102 / 100;
                let order = crate::desk::limit(&format!("indices/{symbol}/{day}"), symbol, 24_000_000 / limit, limit);
                let verdict = place(&mut engine, order);
                assert!(verdict.allowed, "{date}: {}", verdict.message);
            }
            newest = spx;
        }
    }
    let fired = fired.expect("the breaker fires");
    assert!(("2008-01-01".."2009-03-31").contains(&fired.as_str()), "it fired on {fired}");
    // Ten years later the indices stand far higher, and it is still latched; so it is after a restart.
    drop(engine);
    let mut engine = Engine::reopen(Box::new(log)).unwrap();
    let status = engine.status();
    assert!(!status.breaker_id.is_empty());
    assert_eq!(status.state, "ReduceOnly");
    assert_eq!(place(&mut engine, crate::desk::limit("indices/late", "SPX", 1, newest)).denial, "drawdown_breaker");
    assert!(place(&mut engine, crate::desk::out("indices/out", "SPX", -1)).allowed, "the position may be reduced");
    engine.apply_profile(2, &tradewind_crds::RiskProfileSpec { acknowledge_breaker: status.breaker_id, ..spec }).unwrap();
    assert_eq!(engine.status().state, "Normal");
}
