//! Paired evidence: it survives restarts, counts silence, and starts again with another candidate.

use crate::fixture::{CANDIDATE, STABLE, decision, settings, stream};
use tradewind_journal::testing::{Death, FaultyLog};
use tradewind_journal::{Log, MemoryLog};
use tradewind_policy::{CandidateAnswer, PairEntry, PairKey, Pairing, Report, intent_of};

fn pairing(log: impl Log<PairEntry> + 'static) -> Pairing {
    let settings = settings();
    Pairing::open(settings.shadow(), settings.instruments, Box::new(log)).unwrap()
}

/// Entries of a comparison; every 10th bar the candidate is late, every 25th it is silent.
fn entries(candidate: &str, step: u32, len: u64) -> Vec<PairEntry> {
    let pair = PairKey { stable: STABLE.into(), candidate: candidate.into(), confidence_bps: 9_500, bound_bps: 100.0 };
    let entry = |(sequence, symbol, bar): (u64, _, _)| {
        let wants = |bundle: &str, flip| intent_of(&decision(bundle, &symbol, &bar, flip), bar.close);
        let answer = CandidateAnswer::Answered { intent: wants(candidate, true), late: sequence.is_multiple_of(10) };
        let silent = CandidateAnswer::Silent { reason: "no answer within 1000 ms".into() };
        let candidate = if sequence.is_multiple_of(25) { silent } else { answer };
        PairEntry { sequence, bar, pair: pair.clone(), step, stable: wants(STABLE, false), candidate, symbol: symbol.clone() }
    };
    stream(len).into_iter().map(entry).collect()
}

fn report(pairing: &Pairing) -> Report {
    pairing.report(STABLE, CANDIDATE).unwrap()
}

#[test]
fn figures_of_a_comparison() {
    let mut pairing = pairing(MemoryLog::new());
    for entry in entries(CANDIDATE, 0, 500) {
        pairing.record(&entry).unwrap();
    }
    let seen = report(&pairing);
    assert_eq!((seen.stable.bars, seen.candidate.bars, seen.candidate.errors), (500, 480, 20));
    assert_eq!(seen.candidate.deadline_misses, 40, "50 late bars, 10 of them silent");
    assert_eq!((seen.bars_in_step, seen.evidence.n()), (480, 500));
    assert!(seen.stable.trades > 20 && seen.candidate.trades > 20, "{seen:?}");
    assert!(seen.stable.turnover_bps > 1_000.0);
    let interval = seen.evidence.interval();
    let difference = seen.candidate.net_pnl_bps - seen.stable.net_pnl_bps;
    assert!((interval.mean_bps * 500.0 - difference).abs() < 1e-6 * difference.abs().max(1.0), "the differences add up");
    assert!(interval.lower_bps < interval.mean_bps && interval.mean_bps < interval.upper_bps);
    assert!(pairing.report(STABLE, "cccccccccccc").is_none() && pairing.report(CANDIDATE, STABLE).is_none());
}

#[test]
fn a_restart_at_any_write_leaves_no_trace() {
    let all = entries(CANDIDATE, 1, 90);
    let mut whole = pairing(MemoryLog::new());
    all.iter().for_each(|entry| whole.record(entry).unwrap());
    for kill in 1..=90 {
        for death in [Death::BeforeWrite, Death::AfterWrite] {
            let log = MemoryLog::new();
            let mut first = pairing(FaultyLog::new(log.clone(), kill, death.clone()));
            assert!(all.iter().try_for_each(|entry| first.record(entry)).is_err());
            let mut second = pairing(log.clone());
            all.iter().for_each(|entry| second.record(entry).unwrap());
            assert_eq!(report(&second), report(&whole), "killed at write {kill}, {death:?}");
            assert_eq!(log.records(), all, "each bar once");
        }
    }
}

#[test]
fn a_new_step_counts_its_own_bars_and_a_new_candidate_starts_flat() {
    let mut pairing = pairing(MemoryLog::new());
    let mut all = entries(CANDIDATE, 0, 300);
    all.iter_mut().skip(200).for_each(|entry| entry.step = 1);
    all.iter().for_each(|entry| pairing.record(entry).unwrap());
    let seen = report(&pairing);
    assert_eq!((seen.step, seen.bars_in_step, seen.candidate.bars), (1, 96, 288));
    let mut other = entries("cccccccccccc", 0, 310);
    other.drain(..300);
    other.iter().for_each(|entry| pairing.record(entry).unwrap());
    assert!(pairing.report(STABLE, CANDIDATE).is_none());
    let seen = pairing.report(STABLE, "cccccccccccc").unwrap();
    assert_eq!((seen.candidate.bars, seen.evidence.n()), (10, 10));
    assert!(seen.stable.trades <= 4 && seen.candidate.trades <= 4, "only those of the last ten bars: {seen:?}");
}

/// A candidate whose pods start while bars flow has not failed them.
#[test]
fn silence_before_the_first_answer_counts_for_nothing() {
    let log = MemoryLog::new();
    let mut pairing = pairing(log.clone());
    let mut all = entries(CANDIDATE, 0, 40);
    for entry in &mut all[..20] {
        entry.candidate = CandidateAnswer::Silent { reason: "connection refused".into() };
    }
    all[..20].iter().for_each(|entry| pairing.record(entry).unwrap());
    assert!(pairing.report(STABLE, CANDIDATE).is_none() && log.records().is_empty());
    all[20..].iter().for_each(|entry| pairing.record(entry).unwrap());
    let seen = report(&pairing);
    assert_eq!((seen.stable.bars, seen.candidate.bars, seen.candidate.errors), (20, 19, 1), "sequence 25 is silent");
}
