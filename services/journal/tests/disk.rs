//! The journal on a disk that loses power, tears writes and fails: what was acknowledged is there for good, and so is what was
//! read back once.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use proptest::prelude::*;
use tradewind_journal::testing::{Fault, SimulatedDisk};
use tradewind_journal::{Journal, JournalError, Log};

fn open(disk: &SimulatedDisk) -> Result<Journal<String>, JournalError> {
    Journal::on(Path::new("simulated"), Box::new(disk.clone()))
}

fn all(journal: &Journal<String>) -> Vec<String> {
    journal.records_from(0).unwrap().collect::<Result<_, _>>().unwrap()
}

/// The process is killed after its write and before its sync: the frame is in the system's cache only.
#[test]
fn what_a_killed_process_left_in_the_cache_is_durable_before_it_is_read() {
    let disk = SimulatedDisk::new();
    open(&disk).unwrap().append(&"first".to_owned()).unwrap();
    let mut frames = SimulatedDisk::new();
    let mut other = open(&frames).unwrap();
    other.append(&"first".to_owned()).unwrap();
    let begins = tradewind_journal::Storage::length(&frames).unwrap();
    other.append(&"second".to_owned()).unwrap();
    let mut frame = vec![0; 64];
    let length = tradewind_journal::Source::read_at(&frames, begins, &mut frame).unwrap();
    tradewind_journal::Storage::write_at(&mut disk.clone(), begins, &frame[..length]).unwrap();
    tradewind_journal::Storage::cut(&mut frames, 0).unwrap();

    assert_eq!(all(&open(&disk).unwrap()), ["first", "second"], "its successor acts on it");
    disk.lose_power(|| false);
    assert_eq!(all(&open(&disk).unwrap()), ["first", "second"]);
}

/// After a failed sync the system shows the bytes and will never write them.
#[test]
fn what_a_failed_sync_left_in_the_cache_is_written_again() {
    let disk = SimulatedDisk::new();
    let mut journal = open(&disk).unwrap();
    journal.append(&"first".to_owned()).unwrap();
    disk.fail(Fault::FailedSync);
    assert!(matches!(journal.append(&"second".to_owned()), Err(JournalError::Io { .. })));
    assert!(matches!(journal.append(&"third".to_owned()), Err(JournalError::Poisoned { .. })));
    drop(journal);

    let seen = all(&open(&disk).unwrap());
    assert_eq!(seen, ["first", "second"], "its successor acts on it");
    disk.lose_power(|| false);
    assert_eq!(all(&open(&disk).unwrap()), seen);
}

/// The magic itself was never durable.
#[test]
fn a_journal_whose_first_sync_failed_begins_again() {
    let disk = SimulatedDisk::new();
    disk.fail(Fault::FailedSync);
    assert!(open(&disk).is_err());
    let mut journal = open(&disk).unwrap();
    journal.append(&"first".to_owned()).unwrap();
    drop(journal);
    disk.lose_power(|| false);
    assert_eq!(all(&open(&disk).unwrap()), ["first"]);
}

#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged_and_takes_more_when_there_is_room() {
    let disk = SimulatedDisk::new();
    let mut journal = open(&disk).unwrap();
    journal.append(&"first".to_owned()).unwrap();
    disk.fail(Fault::ShortWrite(11));
    let full = journal.append(&"second".to_owned()).unwrap_err();
    assert!(full.to_string().contains("cannot write to it"), "{full}");
    drop(journal);
    let mut journal = open(&disk).unwrap();
    assert_eq!((all(&journal), journal.opened().dropped_bytes), (vec!["first".to_owned()], 11));
    journal.append(&"third".to_owned()).unwrap();
    assert_eq!(all(&journal), ["first", "third"]);
}

#[derive(Clone, Debug)]
enum Step {
    /// A batch of so many records, each of about so many bytes.
    Append { records: usize, bytes: usize },
    /// The next write or sync goes wrong.
    Fail(Fault),
    /// The process dies; the system lives.
    Kill,
    /// Everything dies. The bits say which sectors had reached the disk.
    LosePower(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1..4_usize, 0..1_500_usize).prop_map(|(records, bytes)| Step::Append { records, bytes }),
        1 => (0..4_000_usize).prop_map(|bytes| Step::Fail(Fault::ShortWrite(bytes))),
        1 => Just(Step::Fail(Fault::FailedSync)),
        1 => Just(Step::Kill),
        2 => any::<u64>().prop_map(Step::LosePower),
    ];
    prop::collection::vec(step, 1..40)
}

/// Opens again and again until no fault is in the way: what a process that is restarted does.
fn restart(disk: &SimulatedDisk) -> Journal<String> {
    (0..4).find_map(|_| open(disk).ok()).expect("at most one fault is waiting")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn no_order_of_faults_loses_doubles_or_tears_anything(steps in steps()) {
        let disk = SimulatedDisk::new();
        let mut journal = restart(&disk);
        // What the journal must hold, and what it may hold behind it: the batch whose end nobody heard of.
        let (mut held, mut open_batch, mut number) = (Vec::<String>::new(), Vec::<String>::new(), 0_u32);
        for step in steps {
            let lost = match step {
                Step::Append { records, bytes } => {
                    let batch: Vec<String> = (0..records).map(|_| { number += 1; format!("{number}{}", "x".repeat(bytes)) }).collect();
                    match journal.append_batch(&batch) {
                        Ok(last) => {
                            held.extend(batch);
                            prop_assert_eq!(last + 1, held.len() as u64);
                            false
                        }
                        Err(error) => {
                            prop_assert!(matches!(error, JournalError::Io { .. }), "{}", error);
                            open_batch = batch;
                            true
                        }
                    }
                }
                Step::Fail(fault) => {
                    disk.fail(fault);
                    false
                }
                Step::Kill => true,
                Step::LosePower(bits) => {
                    let mut bits = bits;
                    disk.lose_power(|| {
                        bits = bits.rotate_left(7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                        bits & 1 == 1
                    });
                    true
                }
            };
            if lost {
                drop(journal);
                journal = restart(&disk);
                let seen = all(&journal);
                prop_assert!(seen.starts_with(&held), "of {} acknowledged records {} are there", held.len(), seen.len());
                let behind = &seen[held.len()..];
                prop_assert!(behind.is_empty() || *behind == open_batch, "{} records that nobody wrote", behind.len());
                // Whoever read them acts on them: from here on they must stay.
                (held, open_batch) = (seen, Vec::new());
            }
        }
    }
}
