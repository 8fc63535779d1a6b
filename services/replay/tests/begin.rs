//! A run that begins behind a known past, as a policy with `startAt: Newest` does.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use tradewind_crds::samples;
use tradewind_inference::testing::{daily_bars, following, swift_stage};
use tradewind_policy::Entry;
use tradewind_replay::{Ledgers, MemoryJournals, Pipeline, Served, Setup};
use tradewind_wire::v1;

const BARS: u64 = 260;
/// Bars of the past; behind them the stages are warm.
const PAST: usize = 150;

fn setup() -> Setup {
    let mut policy = samples::policy("indices", "main", "tactical-a");
    policy.spec.instruments.truncate(1);
    let digest = "0".repeat(64);
    let served = Served { bundle: "0123456789ab", strategic_sha256: &digest, tactical_sha256: &digest };
    let mut setup = Setup::new(&policy, &samples::profile("main", "paper-1"), served).unwrap();
    setup.bundle.strategic = swift_stage();
    setup.bundle.tactical.min_synergy_confidence = 0.0;
    setup
}

/// One life of the pipeline, from the first bar behind the past to `until`.
fn live(journals: &MemoryJournals, bars: &[v1::Bar], past: usize, until: usize) {
    let mut pipeline = Pipeline::open(&setup(), following(), journals.handles()).unwrap();
    pipeline.begin_behind(&bars[..past]).unwrap();
    for (sequence, bar) in (1..).zip(&bars[..until]).skip(past) {
        pipeline.take(sequence, bar).unwrap();
    }
}

fn ledgers(journals: &MemoryJournals) -> Ledgers {
    Ledgers::of(&journals.decisions.records(), &journals.execution.records()).unwrap()
}

/// The networks see what they see in a run over everything; the account begins with the first bar that is decided; a restart
/// in between leaves no trace.
#[test]
fn the_past_warms_and_trades_nothing() {
    let bars = daily_bars("SPX", BARS);
    let (whole, late) = (MemoryJournals::default(), MemoryJournals::default());
    live(&whole, &bars, 0, bars.len());
    live(&late, &bars, PAST, bars.len());
    let [all, begun]: [Vec<Entry>; 2] = [&whole, &late].map(|journals| journals.decisions.records());
    assert_eq!((all.len(), begun.len()), (bars.len(), bars.len() - PAST));
    let traded = |entries: &[Entry]| entries.iter().filter(|entry| entry.record.trade.is_some()).count();
    assert!(traded(&all[..PAST]) > 0 && traded(&begun) > 3, "{} and {}", traded(&all[..PAST]), traded(&begun));
    for (entry, same) in begun.iter().zip(&all[PAST..]) {
        let (record, same) = (&entry.record, &same.record);
        assert_eq!((record.sequence, &record.decision, &record.market), (same.sequence, &same.decision, &same.market));
    }
    let first = &begun[0].record;
    assert_eq!(first.account.equity, setup().trading.starting_equity);
    assert!(first.market.is_some() && first.decision.warm_up.is_none());
    let again = MemoryJournals::default();
    live(&again, &bars, PAST, PAST + 60);
    live(&again, &bars, PAST, bars.len());
    assert_eq!(ledgers(&again).digests(), ledgers(&late).digests());
}
