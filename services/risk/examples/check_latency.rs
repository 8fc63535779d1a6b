//! Measures the way of an order through the gate in process, check, record and paper venue: `cargo run -p tradewind-risk --example check_latency [ORDERS]`.
//!
//! Prints p50, p99 and p99.9 with the journal in memory and on disk, and the cost per order of the first and the last
//! tenth of the run, which must not differ.

use std::time::{Duration, Instant};

use tradewind_core::time::Nanos;
use tradewind_crds::samples;
use tradewind_journal::{Journal, Log, MemoryLog};
use tradewind_risk::{Arrival, Engine, Record};
use tradewind_wire::account::AccountConfig;
use tradewind_wire::bus::SequencedBar;
use tradewind_wire::v1;

fn account() -> anyhow::Result<AccountConfig> {
    let json = serde_json::json!({"account": "paper-1", "policies": [{
        "policy": "indices", "feed": "default", "feedKind": "Replay",
        "venue": {"spreadBps": 0, "feeBps": 0, "seed": 1, "partialFillBps": 0, "latencyMs": 0},
        "instruments": [{"symbol": "SPX", "pointValue": "1", "tick": "1", "lot": "1"}],
    }]});
    Ok(serde_json::from_value(json)?)
}

fn order(number: usize) -> v1::NewOrder {
    v1::NewOrder {
        order_id: format!("indices/SPX/{number}#1"),
        symbol: "SPX".into(),
        lots: if number.is_multiple_of(2) { 1 } else { -1 },
        kind: v1::OrderKind::Limit.into(),
        price_ticks: 1_000,
        immediate_or_cancel: true,
        ..Default::default()
    }
}

fn run(name: &str, log: Box<dyn Log<Record>>, orders: usize) -> anyhow::Result<()> {
    let mut engine = Engine::open("paper-1", log)?;
    let mut spec = samples::profile("main", "paper-1").spec;
    spec.limits.max_orders_per_minute = 100_000;
    engine.apply_profile(1, &spec)?;
    engine.apply_account(&account()?)?;
    let claim = "latency".to_owned();
    engine.acquire(&v1::AcquireRequest { account: "paper-1".into(), policy: "indices".into(), last_epoch: 0, claim })?;
    let owner = v1::Owner { account: "paper-1".into(), policy: "indices".into(), epoch: 1, acknowledged: 0 };
    let mut times = Vec::with_capacity(orders);
    for number in 0..orders {
        // An hour of event time for each bar, so that no limit on the rate comes in the way.
        let hour = i64::try_from(number).unwrap_or(i64::MAX) * 3_600_000_000_000;
        let (sequence, index) = (number as u64 + 1, number as u64);
        let price = 1_000_000_000_000;
        let bar = v1::Bar {
            symbol: "SPX".into(),
            index,
            open_time_ns: hour,
            close_time_ns: hour + 3_600_000_000_000,
            open_nanos: price,
            high_nanos: price,
            low_nanos: price,
            close_nanos: price,
            volume: 1.0,
        };
        let own = SequencedBar { sequence, arrived: Nanos(bar.close_time_ns), bar };
        let all = v1::Owner { acknowledged: u64::MAX, ..owner.clone() };
        let meet = v1::MeetRequest { owner: Some(all), symbol: "SPX".into(), sequence };
        while !engine.meet(&meet, Some(&own))?.done {}
        let acknowledged = u64::MAX;
        let request = v1::PlaceRequest { owner: Some(v1::Owner { acknowledged, ..owner.clone() }), orders: vec![order(number)] };
        let asked = Instant::now();
        let reply = engine.place(&request, Arrival::default())?;
        times.push(asked.elapsed());
        anyhow::ensure!(reply.verdicts[0].allowed, "{}", reply.verdicts[0].message);
    }
    let mean = |part: &[Duration]| part.iter().sum::<Duration>() / u32::try_from(part.len().max(1)).unwrap_or(u32::MAX);
    let tenth = orders / 10;
    let (first, last) = (mean(&times[..tenth]), mean(&times[orders - tenth..]));
    times.sort_unstable();
    let at = |share: f64| {
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let index = (orders as f64 * share) as usize;
        times[index.min(orders - 1)]
    };
    println!(
        "{name}: {orders} orders, p50 {:?}, p99 {:?}, p99.9 {:?}; first tenth {first:?}, last tenth {last:?}",
        at(0.5),
        at(0.99),
        at(0.999)
    );
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let orders = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    run("in memory", Box::new(MemoryLog::new()), orders)?;
    let directory = tempfile::tempdir()?;
    run("on disk", Box::new(Journal::open(&directory.path().join("risk.journal"))?), (orders / 100).max(100))
}
