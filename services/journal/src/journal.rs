//! Typed records in a file.

use std::any::type_name;
use std::iter;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::JournalError;
use crate::file::{FrameFile, FrameReader, Opened};
use crate::storage::{DiskFile, Storage};
use crate::{Log, Records};

/// A journal of records of type `T` in one file with one writer.
///
/// ```
/// # fn main() -> Result<(), tradewind_journal::JournalError> {
/// # let directory = std::env::temp_dir().join(format!("journal-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory).map_err(|source| tradewind_journal::JournalError::Io { path: directory.clone(), action: "create", source })?;
/// use tradewind_journal::{Journal, Log};
/// let mut journal = Journal::<String>::open(&directory.join("orders.journal"))?;
/// journal.append(&"an order".to_owned())?;
/// let read: Result<Vec<_>, _> = journal.records_from(0)?.collect();
/// assert_eq!(read?, ["an order"]);
/// # std::fs::remove_dir_all(&directory).ok();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Journal<T> {
    file: FrameFile,
    opened: Opened,
    records: u64,
    marks: Vec<Mark>,
    kind: PhantomData<fn() -> T>,
}

/// Where a frame lies: what is asked for from a late record on is found without reading all before it.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// First record of the frame.
    record: u64,
    /// Place of the frame.
    offset: u64,
}

/// Records between two marks: 16 bytes of memory for some hundred kilobytes of journal.
const MARKED_EVERY: u64 = 1024;

impl<T: Serialize + DeserializeOwned> Journal<T> {
    /// Opens or creates a journal, takes its lock, cuts an unfinished last frame and makes the rest durable.
    ///
    /// # Errors
    /// [`JournalError::Locked`] when another process has it, [`JournalError::Corrupt`] for damage
    /// that no crash leaves, [`JournalError::NotAJournal`] for a foreign file; none of them
    /// changes the file.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        Self::on(path, Box::new(DiskFile::open(path)?))
    }

    /// The same on any storage; `path` names it in errors.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn on(path: &Path, storage: Box<dyn Storage>) -> Result<Self, JournalError> {
        let (mut records, mut marks) = (0, Vec::new());
        let (file, dropped_bytes) = FrameFile::open(path, storage, |offset, payload| {
            mark(&mut marks, Mark { record: records, offset });
            records += lines(payload).count() as u64;
        })?;
        Ok(Self { file, opened: Opened { records, dropped_bytes }, records, marks, kind: PhantomData })
    }

    /// What was found at opening.
    #[must_use]
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Reads a journal without locking it, for instance while a service writes to it. An
    /// unfinished last frame is left alone and not shown.
    ///
    /// # Errors
    /// When the file cannot be opened or is not a journal.
    pub fn read(path: &Path) -> Result<Replay<T>, JournalError> {
        Ok(Replay::of(path, FrameReader::open(path)?, 0, 0))
    }
}

fn mark(marks: &mut Vec<Mark>, next: Mark) {
    if marks.last().is_none_or(|last| next.record >= last.record + MARKED_EVERY) {
        marks.push(next);
    }
}

impl<T: Serialize + DeserializeOwned + Send + 'static> Log<T> for Journal<T> {
    fn append_batch(&mut self, records: &[T]) -> Result<u64, JournalError> {
        if records.is_empty() {
            return Ok(self.records);
        }
        let payload = encode_batch(records, self.records)?;
        let offset = self.file.append(&payload)?;
        mark(&mut self.marks, Mark { record: self.records, offset });
        self.records += records.len() as u64;
        Ok(self.records - 1)
    }

    fn records_from(&self, first: u64) -> Result<Records<T>, JournalError> {
        let behind = self.marks.partition_point(|mark| mark.record <= first);
        let Some(mark) = behind.checked_sub(1).and_then(|at| self.marks.get(at)) else { return Ok(Box::new(iter::empty())) };
        Ok(Box::new(Replay::of(self.file.path(), self.file.reader(mark.offset)?, mark.record, first)))
    }

    fn len(&self) -> u64 {
        self.records
    }
}

/// One JSON text per line, without a line feed at the end.
pub(crate) fn encode_batch<T: Serialize>(records: &[T], first: u64) -> Result<Vec<u8>, JournalError> {
    let mut payload = Vec::new();
    for (number, record) in (first..).zip(records) {
        if !payload.is_empty() {
            payload.push(b'\n');
        }
        serde_json::to_writer(&mut payload, record).map_err(|source| JournalError::Encode {
            record: number,
            kind: type_name::<T>(),
            source,
        })?;
    }
    Ok(payload)
}

// Compact JSON has no raw line feed: one inside a string is written as an escape.
fn lines(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    payload.split(|byte| *byte == b'\n')
}

/// Records read from a file, in order. Ends after the first error.
#[derive(Debug)]
pub struct Replay<T> {
    path: PathBuf,
    reader: FrameReader,
    ready: std::vec::IntoIter<T>,
    /// Number of the next record in the file.
    next: u64,
    /// Number of the first record that is wanted; those before are not decoded.
    first: u64,
    failed: bool,
}

impl<T> Replay<T> {
    fn of(path: &Path, reader: FrameReader, next: u64, first: u64) -> Self {
        Self { path: path.to_owned(), reader, ready: Vec::new().into_iter(), next, first, failed: false }
    }
}

impl<T: DeserializeOwned> Replay<T> {
    fn next_batch(&mut self) -> Result<Option<Vec<T>>, JournalError> {
        let (path, first) = (&self.path, self.first);
        let Some(payload) = self.reader.next_payload()? else { return Ok(None) };
        let mut batch = Vec::new();
        for line in lines(payload) {
            let record = self.next;
            self.next += 1;
            if record >= first {
                let decoded = serde_json::from_slice(line);
                let wrong = |source| JournalError::Decode { path: path.clone(), record, kind: type_name::<T>(), source };
                batch.push(decoded.map_err(wrong)?);
            }
        }
        Ok(Some(batch))
    }
}

impl<T: DeserializeOwned> Iterator for Replay<T> {
    type Item = Result<T, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.ready.next() {
                return Some(Ok(record));
            }
            if self.failed {
                return None;
            }
            match self.next_batch() {
                Ok(Some(batch)) => self.ready = batch.into_iter(),
                Ok(None) => return None,
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
    }
}
