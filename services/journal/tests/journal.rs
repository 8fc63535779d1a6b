//! The journal against real files: crashes at every byte, damage, locks.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tradewind_journal::testing::{Death, FaultyLog};
use tradewind_journal::{Journal, JournalError, Log, Opened};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    note: String,
    price: f64,
}

fn order(id: u64) -> Order {
    Order { id, note: format!("line one\nline two of {id}"), price: 0.1 + id as f64 }
}

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("orders.journal");
    (directory, path)
}

fn filled(path: &Path, records: u64) -> Vec<Order> {
    let all: Vec<_> = (0..records).map(order).collect();
    let mut journal = Journal::open(path).unwrap();
    for record in &all {
        journal.append(record).unwrap();
    }
    all
}

fn all<T>(log: &impl Log<T>) -> Vec<T> {
    log.records_from(0).unwrap().collect::<Result<_, _>>().unwrap()
}

fn read(path: &Path) -> Result<Vec<Order>, JournalError> {
    Journal::<Order>::read(path)?.collect()
}

#[test]
fn what_was_appended_comes_back_after_reopening_and_numbers_go_on() {
    let (_keep, path) = place();
    let written = filled(&path, 5);
    let mut journal = Journal::<Order>::open(&path).unwrap();
    assert_eq!(*journal.opened(), Opened { records: 5, dropped_bytes: 0 });
    assert_eq!(all(&journal), written);
    assert_eq!(journal.append(&order(5)).unwrap(), 5);
    assert_eq!(journal.append_batch(&[order(6), order(7)]).unwrap(), 7);
    assert_eq!(journal.append_batch(&[]).unwrap(), 8);
    assert_eq!(all(&journal).len(), 8);
}

#[test]
fn what_is_asked_for_from_a_late_record_on_is_found() {
    let (_keep, path) = place();
    let mut journal = Journal::open(&path).unwrap();
    for first in (0..6_000_u64).step_by(3) {
        journal.append_batch(&[first, first + 1, first + 2]).unwrap();
    }
    drop(journal);
    let mut journal = Journal::<u64>::open(&path).unwrap();
    journal.append(&6_000).unwrap();
    for first in [0, 1, 2, 1_023, 1_024, 1_026, 4_321, 5_999, 6_000, 6_001, u64::MAX] {
        let seen: Vec<_> = journal.records_from(first).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(seen, (first..=6_000).collect::<Vec<_>>(), "from {first}");
    }
    let empty = Journal::<u64>::open(&path.with_extension("empty")).unwrap();
    assert_eq!(empty.records_from(0).unwrap().count(), 0);
}

#[test]
fn a_second_writer_is_refused_and_readers_are_not() {
    let (_keep, path) = place();
    filled(&path, 2);
    let first = Journal::<Order>::open(&path).unwrap();
    let second = Journal::<Order>::open(&path).unwrap_err();
    assert!(matches!(&second, JournalError::Locked { path: named } if *named == path), "{second}");
    assert_eq!(read(&path).unwrap().len(), 2);
    drop(first);
    Journal::<Order>::open(&path).unwrap();
}

#[test]
fn a_file_cut_at_any_byte_keeps_every_whole_record() {
    let (_keep, path) = place();
    let written = filled(&path, 3);
    let whole = fs::read(&path).unwrap();
    for cut in 0..=whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let mut journal = Journal::<Order>::open(&path).unwrap();
        let kept = all(&journal);
        assert_eq!(kept, written[..kept.len()], "cut at {cut}");
        let opened = journal.opened().clone();
        assert_eq!(opened.records, kept.len() as u64);
        if cut < whole.len() {
            assert!(kept.len() < 3, "cut at {cut} kept all");
        }
        journal.append(&order(99)).unwrap();
        drop(journal);
        let again = Journal::<Order>::open(&path).unwrap();
        assert_eq!(*again.opened(), Opened { records: opened.records + 1, dropped_bytes: 0 }, "cut at {cut}");
    }
}

#[test]
fn a_cut_reports_how_many_bytes_went() {
    let (_keep, path) = place();
    filled(&path, 2);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 3]).unwrap();
    assert_eq!(read(&path).unwrap().len(), 1, "a reader does not wait for the writer's cut");
    let journal = Journal::<Order>::open(&path).unwrap();
    let expected = (whole.len() - 3) as u64 - fs::metadata(&path).unwrap().len();
    assert_eq!((journal.opened().records, journal.opened().dropped_bytes), (1, expected));
    assert!(expected > 0);
}

#[test]
fn a_tail_of_zeros_is_cut() {
    let (_keep, path) = place();
    let written = filled(&path, 2);
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend([0; 4096]);
    fs::write(&path, &bytes).unwrap();
    let journal = Journal::<Order>::open(&path).unwrap();
    assert_eq!(journal.opened().dropped_bytes, 4096);
    assert_eq!(all(&journal), written);
}

#[test]
fn damage_before_good_records_is_refused_and_the_file_is_left_alone() {
    let (_keep, path) = place();
    filled(&path, 4);
    let whole = fs::read(&path).unwrap();
    let second = 8 + 8 + u32::from_le_bytes(whole[8..12].try_into().unwrap()) as usize;
    for at in [second, second + 5, second + 12] {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x40;
        fs::write(&path, &damaged).unwrap();
        let error = Journal::<Order>::open(&path).unwrap_err();
        assert!(
            matches!(error, JournalError::Corrupt { offset, next_good, .. }
            if offset == second as u64 && next_good > offset),
            "byte {at}: {error}"
        );
        assert!(matches!(read(&path), Err(JournalError::Corrupt { .. })));
        assert_eq!(fs::read(&path).unwrap(), damaged);
    }
}

#[test]
fn a_foreign_file_is_refused_and_left_alone() {
    let (_keep, path) = place();
    for foreign in ["x", "a text that is no journal at all"] {
        fs::write(&path, foreign).unwrap();
        assert!(matches!(Journal::<Order>::open(&path), Err(JournalError::NotAJournal { .. })));
        assert_eq!(fs::read(&path).unwrap(), foreign.as_bytes());
    }
}

#[test]
fn a_record_of_another_type_is_named() {
    let (_keep, path) = place();
    Journal::open(&path).unwrap().append_batch(&["{}".to_owned(), "other".to_owned()]).unwrap();
    let error = read(&path).unwrap_err();
    assert!(matches!(error, JournalError::Decode { record: 0, .. }), "{error}");
}

#[test]
fn a_missing_directory_is_an_error_that_names_the_file() {
    let error = Journal::<Order>::open(Path::new("/nonexistent/orders.journal")).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/orders.journal"), "{error}");
}

#[test]
fn a_death_at_every_write_loses_only_what_was_not_acknowledged() {
    for fatal in 1..=4_u64 {
        for keep in [0, 1, 7, 8, 20, usize::MAX] {
            let (_keep, path) = place();
            let death = Death::TornTail { path: path.clone(), keep };
            let mut log = FaultyLog::new(Journal::open(&path).unwrap(), fatal, death);
            let acknowledged: Vec<_> = (0..6).map(order).take_while(|record| log.append(record).is_ok()).collect();
            assert!(log.is_dead() && acknowledged.len() as u64 == fatal - 1);
            assert!(matches!(log.append(&order(9)), Err(JournalError::Injected { .. })));
            drop(log);
            let reopened = Journal::<Order>::open(&path).unwrap();
            assert_eq!(all(&reopened), acknowledged);
            assert_eq!(reopened.opened().dropped_bytes > 0, keep > 0);
        }
    }
}

#[test]
fn a_death_after_the_write_keeps_the_record_and_before_it_loses_it() {
    for (death, kept) in [(Death::AfterWrite, 2), (Death::BeforeWrite, 1)] {
        let (_keep, path) = place();
        let mut log = FaultyLog::new(Journal::open(&path).unwrap(), 2, death);
        log.append(&order(0)).unwrap();
        log.append(&order(1)).unwrap_err();
        assert_eq!(all(&log).len(), kept);
    }
}

#[test]
fn a_batch_is_there_whole_or_not_at_all() {
    let (_keep, path) = place();
    let written = filled(&path, 1);
    let before = fs::metadata(&path).unwrap().len() as usize;
    Journal::open(&path).unwrap().append_batch(&[order(1), order(2), order(3)]).unwrap();
    let whole = fs::read(&path).unwrap();
    for cut in before..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        assert_eq!(read(&path).unwrap(), written, "cut at {cut}");
    }
}

#[test]
fn records_larger_than_a_read_are_whole_and_too_large_ones_are_refused() {
    let (_keep, path) = place();
    let mut journal = Journal::open(&path).unwrap();
    let long = |bytes| "x".repeat(bytes);
    journal.append_batch(&[long(3_000_000), long(10)]).unwrap();
    journal.append(&long(700_000)).unwrap();
    let refused = journal.append(&long(tradewind_journal::MAX_PAYLOAD)).unwrap_err();
    assert!(matches!(refused, JournalError::TooLarge { .. }), "{refused}");
    let lengths: Vec<_> = all(&journal).iter().map(String::len).collect();
    assert_eq!(lengths, [3_000_000, 10, 700_000]);
    journal.append(&long(1)).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_texts_in_any_batches_survive(batches in prop::collection::vec(prop::collection::vec(".*", 0..4), 0..6)) {
        let (_keep, path) = place();
        let mut journal = Journal::open(&path).unwrap();
        for batch in &batches {
            journal.append_batch(batch).unwrap();
        }
        drop(journal);
        let journal = Journal::<String>::open(&path).unwrap();
        let written: Vec<_> = batches.concat();
        prop_assert_eq!(journal.len(), written.len() as u64);
        prop_assert_eq!(all(&journal), written);
    }
}
