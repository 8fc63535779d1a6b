//! Recorded bars of 2007 to 2009: a position within its limits meets a fall that no limit on sizes can stop.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation)]

use tradewind_crds::samples;
use tradewind_journal::MemoryLog;
use tradewind_risk::Engine;
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

fn unit(nanos: i32) -> Option<v1::Money> {
    Some(if nanos == 0 { v1::Money { units: 1, nanos: 0 } } else { v1::Money { units: 0, nanos } })
}

fn order(id: &str, symbol: &str, lots: i64, price: i64, at: i64) -> v1::OrderProposal {
    v1::OrderProposal {
        order_id: id.into(),
        account: "paper-1".into(),
        fencing_token: 1,
        symbol: symbol.into(),
        lots,
        price_ticks: price,
        reference_price_ticks: price,
        reduce_only: false,
        event_time_ns: at,
        data_time_ns: at,
        point_value: unit(0),
        tick: unit(10_000_000),
        lot: unit(0),
    }
}

#[test]
fn the_fall_of_2008_fires_the_breaker_and_only_its_id_clears_it() {
    const DAY: i64 = 86_400_000_000_000;
    let spec = samples::profile("main", "paper-1").spec;
    let log = MemoryLog::new();
    let mut engine = Engine::open("paper-1", Box::new(log.clone())).unwrap();
    engine.apply_profile(1, &spec).unwrap();
    engine.acquire(&v1::AcquireRequest { account: "paper-1".into(), policy: "indices".into(), last_token: 0 }).unwrap();
    let (mut fired, mut sequence, mut fills) = (None, 0, 0);
    let both = closes("SPX").into_iter().zip(closes("IXIC"));
    for (day, ((date, spx), (_, ixic))) in (1_i64..).zip(both) {
        for (symbol, price) in [("SPX", spx), ("IXIC", ixic)] {
            let at = day * DAY;
            let mut booked = Vec::new();
            // On the second and third day half of what the limits allow in each symbol: 500,000 in all, twice.
            if day == 2 || day == 3 {
                let (id, lots) = (format!("{symbol}-{day}"), 24_500_000 / price);
                assert!(engine.check_order(&order(&id, symbol, lots, price, at)).unwrap().allowed, "{date}");
                fills += 1;
                let (order_id, symbol) = (id, symbol.to_owned());
                let fee = Some(v1::Money::default());
                booked.push(v1::FillEvent {
                    order_id,
                    fill_number: fills,
                    symbol,
                    lots,
                    price_ticks: price,
                    fee,
                    event_time_ns: at,
                });
            }
            sequence += 1;
            let mark = v1::MarkEvent {
                symbol: symbol.into(),
                price_ticks: price,
                event_time_ns: at,
                point_value: unit(0),
                tick: unit(10_000_000),
                lot: unit(0),
            };
            let closed_order_ids = booked.iter().map(|fill| fill.order_id.clone()).collect();
            let (account, mark) = ("paper-1".to_owned(), Some(mark));
            let state = engine
                .report(&v1::AccountReport {
                    account,
                    fencing_token: 1,
                    sequence,
                    fills: booked,
                    mark,
                    closed_order_ids,
                    session_time_ns: at,
                })
                .unwrap();
            if fired.is_none() && !engine.status().breaker_id.is_empty() {
                assert_eq!(state.state, "ReduceOnly");
                assert!(state.drawdown_bps < -2_000, "{}", state.drawdown_bps);
                fired = Some(date.clone());
            }
        }
    }
    let fired = fired.expect("the breaker fires");
    assert!(("2008-01-01".."2008-12-31").contains(&fired.as_str()), "it fired on {fired}");
    // Ten years later the indices stand far higher, and it is still latched; so it is after a restart.
    drop(engine);
    let mut engine = Engine::reopen(Box::new(log)).unwrap();
    let status = engine.status();
    assert_eq!((status.breaker_id.len(), status.state.as_str()), ("drawdown-".len() + 12, "ReduceOnly"));
    let at = 9_000 * DAY;
    assert_eq!(engine.check_order(&order("late", "SPX", 1, 250_000, at)).unwrap().denial, "drawdown_breaker");
    let out = v1::OrderProposal { reduce_only: true, ..order("out", "SPX", -1, 250_000, at) };
    assert!(engine.check_order(&out).unwrap().allowed, "the position may be reduced");
    engine.apply_profile(2, &tradewind_crds::RiskProfileSpec { acknowledge_breaker: status.breaker_id, ..spec }).unwrap();
    assert_eq!(engine.status().state, "Normal");
}
