//! Measures the pre-trade check in process: `cargo run -p tradewind-risk --example check_latency [ORDERS]`.
//!
//! Prints p50, p99 and p99.9 with the journal in memory and on disk, and the cost per order of the first and the last
//! tenth of the run, which must not differ.

use std::time::{Duration, Instant};

use tradewind_crds::samples;
use tradewind_journal::{Journal, Log, MemoryLog};
use tradewind_risk::{Engine, Record};
use tradewind_wire::v1;

fn money(units: i64) -> Option<v1::Money> {
    Some(v1::Money { units, nanos: 0 })
}

fn order(number: usize) -> v1::OrderProposal {
    let at = i64::try_from(number).unwrap_or(i64::MAX) * 1_000_000_000;
    v1::OrderProposal {
        order_id: format!("indices/SPX/{number}#1"),
        account: "paper-1".into(),
        fencing_token: 1,
        symbol: "SPX".into(),
        lots: if number.is_multiple_of(2) { 1 } else { -1 },
        price_ticks: 1_000,
        reference_price_ticks: 1_000,
        reduce_only: false,
        event_time_ns: at,
        data_time_ns: at,
        point_value: money(1),
        tick: money(1),
        lot: money(1),
    }
}

fn run(name: &str, log: Box<dyn Log<Record>>, orders: usize) -> anyhow::Result<()> {
    let mut engine = Engine::open("paper-1", log)?;
    engine.apply_profile(1, &samples::profile("main", "paper-1").spec)?;
    engine.acquire(&v1::AcquireRequest { account: "paper-1".into(), policy: "indices".into(), last_token: 0 })?;
    let mut times = Vec::with_capacity(orders);
    for number in 0..orders {
        let order = order(number);
        let asked = Instant::now();
        let verdict = engine.check_order(&order)?;
        times.push(asked.elapsed());
        anyhow::ensure!(verdict.allowed, "{}", verdict.message);
        let done = vec![order.order_id];
        let (account, fencing_token) = ("paper-1".to_owned(), 1);
        engine.report(&v1::AccountReport { account, fencing_token, closed_order_ids: done, ..Default::default() })?;
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
