//! The whole pipeline on journals that die at a chosen write: whatever the point, the ledgers are those of a run
//! that was never killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use proptest::prelude::*;
use serde::Serialize;
use tradewind_crds::samples;
use tradewind_inference::testing::{daily_bars, following, swift_stage};
use tradewind_journal::{Journal, JournalError, Log, Records};
use tradewind_policy::{DECISIONS_FILE, Entry};
use tradewind_replay::{Journals, Ledgers, MemoryJournals, Pipeline, PolicyJournals, Served, Setup};
use tradewind_wire::v1;

/// Two symbols, one bar a day each, in the order of the stream.
fn bars(days: u64) -> Vec<v1::Bar> {
    let [one, other] = ["IXIC", "SPX"].map(|symbol| daily_bars(symbol, days));
    one.into_iter().zip(other).flat_map(|(one, other)| [one, other]).collect()
}

fn setup() -> Setup {
    let mut policy = samples::policy("indices", "main", "tactical-a");
    policy.spec.venue.partial_fill_bps = 3_000;
    policy.spec.venue.latency_ms = 20;
    let profile = samples::profile("main", "paper-1");
    let digest = "0".repeat(64);
    let served = Served { bundle: "0123456789ab", strategic_sha256: &digest, tactical_sha256: &digest };
    let mut setup = Setup::new(&policy, &profile, served).unwrap();
    setup.bundle.strategic = swift_stage();
    setup.bundle.tactical.min_synergy_confidence = 0.0;
    setup
}

/// Counts the writes of all journals of one life and ends it at a chosen one.
#[derive(Debug)]
struct Fuse {
    writes: AtomicU64,
    fatal: u64,
    kept: bool,
    dead: AtomicBool,
}

/// A log whose process dies when the fuse blows.
struct Fused<L> {
    log: L,
    fuse: Arc<Fuse>,
}

impl<T: Serialize, L: Log<T>> Log<T> for Fused<L> {
    fn append_batch(&mut self, records: &[T]) -> Result<u64, JournalError> {
        let dead = || JournalError::Injected { write: self.fuse.fatal };
        if self.fuse.dead.load(Ordering::SeqCst) {
            return Err(dead());
        }
        if records.is_empty() {
            return self.log.append_batch(records);
        }
        let write = self.fuse.writes.fetch_add(1, Ordering::SeqCst) + 1;
        if write < self.fuse.fatal {
            return self.log.append_batch(records);
        }
        self.fuse.dead.store(true, Ordering::SeqCst);
        if self.fuse.kept {
            self.log.append_batch(records)?;
        }
        Err(dead())
    }

    fn records_from(&self, first: u64) -> Result<Records<T>, JournalError> {
        self.log.records_from(first)
    }

    fn len(&self) -> u64 {
        self.log.len()
    }
}

/// One life: until the stream ends (true) or the fuse blows (false). Returns the writes it made.
fn live(setup: &Setup, bars: &[v1::Bar], open: impl FnOnce() -> Journals, fatal: u64, kept: bool) -> (bool, u64) {
    let fuse = Arc::new(Fuse { writes: AtomicU64::new(0), fatal, kept, dead: AtomicBool::new(false) });
    let Journals { policy: PolicyJournals { decisions, execution }, risk } = open();
    let journals = Journals {
        policy: PolicyJournals {
            decisions: Box::new(Fused { log: Boxed(decisions), fuse: Arc::clone(&fuse) }),
            execution: Box::new(Fused { log: Boxed(execution), fuse: Arc::clone(&fuse) }),
        },
        risk: Box::new(Fused { log: Boxed(risk), fuse: Arc::clone(&fuse) }),
    };
    let outcome = Pipeline::open(setup, following(), journals)
        .and_then(|mut pipeline| (1..).zip(bars).try_for_each(|(sequence, bar)| pipeline.take(sequence, bar).map(drop)));
    let dead = fuse.dead.load(Ordering::SeqCst);
    assert_eq!(outcome.is_err(), dead, "{outcome:?}");
    (!dead, fuse.writes.load(Ordering::SeqCst))
}

/// A boxed log as a log.
struct Boxed<T>(Box<dyn Log<T>>);

impl<T> Log<T> for Boxed<T> {
    fn append_batch(&mut self, records: &[T]) -> Result<u64, JournalError> {
        self.0.append_batch(records)
    }

    fn records_from(&self, first: u64) -> Result<Records<T>, JournalError> {
        self.0.records_from(first)
    }

    fn len(&self) -> u64 {
        self.0.len()
    }
}

const NEVER: u64 = u64::MAX;

fn ledgers(journals: &MemoryJournals) -> Ledgers {
    Ledgers::of(&journals.decisions.records(), &journals.execution.records()).unwrap()
}

/// A run without a fault, and how many writes it takes.
fn whole(setup: &Setup, bars: &[v1::Bar]) -> (Ledgers, u64) {
    let journals = MemoryJournals::default();
    let (ended, writes) = live(setup, bars, || journals.handles(), NEVER, true);
    assert!(ended);
    (ledgers(&journals), writes)
}

/// What differs first, readable.
fn assert_same(seen: &Ledgers, wanted: &Ledgers, what: &str) {
    for (name, seen, wanted) in [
        ("decisions", &seen.decisions, &wanted.decisions),
        ("orders", &seen.orders, &wanted.orders),
        ("fills", &seen.fills, &wanted.fills),
    ] {
        let first = seen.iter().zip(wanted).position(|(a, b)| a != b);
        if let Some(line) = first {
            panic!("{what}: {name} line {line}\n  seen   {}\n  wanted {}", seen[line], wanted[line]);
        }
        assert_eq!(seen.len(), wanted.len(), "{what}: {name}");
    }
}

#[test]
fn a_run_trades_and_repeats_itself() {
    let (setup, bars) = (setup(), bars(330));
    let (first, _) = whole(&setup, &bars);
    let (second, _) = whole(&setup, &bars);
    assert_same(&second, &first, "second run");
    assert_eq!(first.decisions.len(), 660);
    assert!(first.fills.len() > 20 && first.orders.len() > first.fills.len(), "{} fills", first.fills.len());
}

/// A candidate in the shadow changes no line of the ledgers, and the same networks earn the same.
#[test]
fn a_comparison_leaves_the_ledgers_alone() {
    let (setup, bars) = (setup(), bars(300));
    let (wanted, _) = whole(&setup, &bars);
    let journals = MemoryJournals::default();
    let mut pipeline = Pipeline::open(&setup, following(), journals.handles()).unwrap();
    pipeline.compare(&setup, "cccccccccccc", following()).unwrap();
    (1..).zip(&bars).for_each(|(sequence, bar)| drop(pipeline.take(sequence, bar).unwrap()));
    assert_same(&ledgers(&journals), &wanted, "with a candidate");
    let report = pipeline.report().unwrap();
    assert_eq!((report.evidence.n(), report.stable), (600, report.candidate));
    assert!(report.stable.trades > 10 && report.evidence.interval().mean_bps == 0.0, "{report:?}");
}

/// Every write of a small run, each kept and lost.
#[test]
fn killed_at_every_write_of_a_small_run() {
    let (setup, bars) = (setup(), bars(190));
    let (wanted, writes) = whole(&setup, &bars);
    assert!(wanted.fills.len() > 5, "{} fills", wanted.fills.len());
    // While features warm up there is one kind of write per bar: a sample of them is enough.
    let (_, quiet) = whole(&setup, &bars[..270]);
    for fatal in (1..=writes).filter(|write| *write > quiet || write.is_multiple_of(16)) {
        for kept in [false, true] {
            let journals = MemoryJournals::default();
            let (ended, _) = live(&setup, &bars, || journals.handles(), fatal, kept);
            assert!(!ended, "write {fatal} of {writes} is reached");
            let (ended, _) = live(&setup, &bars, || journals.handles(), NEVER, true);
            assert!(ended);
            assert_same(&ledgers(&journals), &wanted, &format!("killed at write {fatal}, kept: {kept}"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Killed again and again, also while it recovers.
    #[test]
    fn killed_many_times(kills in prop::collection::vec((1_u64..600, any::<bool>()), 1..20)) {
        let (setup, bars) = (setup(), bars(210));
        let (wanted, _) = whole(&setup, &bars);
        let journals = MemoryJournals::default();
        for (fatal, kept) in kills {
            live(&setup, &bars, || journals.handles(), fatal, kept);
        }
        live(&setup, &bars, || journals.handles(), NEVER, true);
        assert_same(&ledgers(&journals), &wanted, "killed many times");
    }
}

fn on_disk(directory: &Path) -> Journals {
    Journals::on_disk(directory).unwrap()
}

/// The same on files with their sync, at points spread over the run.
#[test]
fn killed_on_disk() {
    let (setup, bars) = (setup(), bars(190));
    let (wanted, writes) = whole(&setup, &bars);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let lives = 6;
    for life in 1..=lives {
        live(&setup, &bars, || on_disk(path), writes / lives + life, life % 2 == 0);
    }
    assert!(live(&setup, &bars, || on_disk(path), NEVER, true).0);
    let decisions: Result<Vec<Entry>, _> = Journal::read(&path.join(DECISIONS_FILE)).unwrap().collect();
    let orders = path.join(tradewind_execution::serve::ORDERS_FILE);
    let execution: Result<Vec<tradewind_execution::Record>, _> = Journal::read(&orders).unwrap().collect();
    let seen = Ledgers::of(&decisions.unwrap(), &execution.unwrap()).unwrap();
    assert_same(&seen, &wanted, "on disk");
}

/// Cases D4, D5 and D14: a run over a recording with impossible, repeated and missing bars decides the others, counts what it
/// left out, and goes on after a restart as one that was never stopped.
#[test]
fn wrong_bars_of_a_recording_are_left_out_by_name() {
    let setup = setup();
    let mut stream = bars(220);
    stream[101].volume = 2.5e27;
    stream[142].low_nanos = 4_500_000;
    stream.insert(200, stream[198].clone());
    stream.remove(300);
    let run = |journals: &MemoryJournals, from: usize, to: usize| {
        let mut pipeline = Pipeline::open(&setup, following(), journals.handles()).unwrap();
        for (sequence, bar) in (1..).zip(&stream[..to]).skip(from) {
            pipeline.take(sequence, bar).unwrap();
        }
        let intake = pipeline.intake();
        let reasons: Vec<_> = intake.sample().into_iter().map(|one| (one.sequence, one.reason)).collect();
        (pipeline.policy().digest(), pipeline.policy().records(), reasons, intake.duplicates, intake.missing)
    };
    let whole = run(&MemoryJournals::default(), 0, stream.len());
    let named = [(102, "volume".to_owned()), (143, "price".to_owned())];
    assert_eq!((whole.1, &whole.2[..], whole.3, whole.4), (437, &named[..], 1, 3));
    let journals = MemoryJournals::default();
    run(&journals, 0, 250);
    assert_eq!(run(&journals, 0, stream.len()).0, whole.0, "restarted in between");
}
