//! Typed records in a file.

use std::any::type_name;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Log;
use crate::error::JournalError;
use crate::file::{FrameFile, FrameReader, Opened};

/// A journal of records of type `T` in one file with one writer.
///
/// ```
/// # fn main() -> Result<(), tradewind_journal::JournalError> {
/// # let directory = std::env::temp_dir().join(format!("journal-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory).map_err(|source| tradewind_journal::JournalError::Io { path: directory.clone(), action: "create", source })?;
/// use tradewind_journal::{Journal, Log};
/// let mut journal = Journal::<String>::open(&directory.join("orders.journal"))?;
/// journal.append(&"an order".to_owned())?;
/// assert_eq!(journal.replay()?, ["an order"]);
/// # std::fs::remove_dir_all(&directory).ok();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Journal<T> {
    file: FrameFile,
    opened: Opened,
    records: u64,
    kind: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> Journal<T> {
    /// Opens or creates a journal, takes its lock and cuts an unfinished last frame.
    ///
    /// # Errors
    /// [`JournalError::Locked`] when another process has it, [`JournalError::Corrupt`] for damage
    /// that no crash leaves, [`JournalError::NotAJournal`] for a foreign file; none of them
    /// changes the file.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let mut records = 0;
        let (file, dropped_bytes) = FrameFile::open(path, |payload| records += lines(payload).count() as u64)?;
        Ok(Self { file, opened: Opened { records, dropped_bytes }, records, kind: PhantomData })
    }

    /// What was found at opening.
    #[must_use]
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Reads the records one by one, from number 0 to the newest at the time of reading.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn iter(&self) -> Result<Replay<T>, JournalError> {
        Self::read(self.file.path())
    }

    /// Reads a journal without locking it, for instance while a service writes to it. An
    /// unfinished last frame is left alone and not shown.
    ///
    /// # Errors
    /// When the file cannot be opened or is not a journal.
    pub fn read(path: &Path) -> Result<Replay<T>, JournalError> {
        let reader = FrameReader::open(path)?;
        Ok(Replay { path: path.to_owned(), reader, ready: Vec::new().into_iter(), records: 0, failed: false })
    }
}

impl<T: Serialize + DeserializeOwned> Log<T> for Journal<T> {
    fn append_batch(&mut self, records: &[T]) -> Result<u64, JournalError> {
        if records.is_empty() {
            return Ok(self.records);
        }
        let payload = encode_batch(records, self.records)?;
        self.file.append(&payload)?;
        self.records += records.len() as u64;
        Ok(self.records - 1)
    }

    fn replay(&mut self) -> Result<Vec<T>, JournalError> {
        self.iter()?.collect()
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
    records: u64,
    failed: bool,
}

impl<T: DeserializeOwned> Replay<T> {
    fn next_batch(&mut self) -> Result<Option<Vec<T>>, JournalError> {
        let (path, mut record) = (&self.path, self.records);
        let Some(payload) = self.reader.next_payload()? else { return Ok(None) };
        let mut batch = Vec::new();
        for line in lines(payload) {
            let decoded = serde_json::from_slice(line);
            let wrong = |source| JournalError::Decode { path: path.clone(), record, kind: type_name::<T>(), source };
            batch.push(decoded.map_err(wrong)?);
            record += 1;
        }
        self.records = record;
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
