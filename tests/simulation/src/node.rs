//! A process on its disk: what it was promised to find there after any death.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tradewind_journal::testing::SimulatedDisk;
use tradewind_journal::{Journal, JournalError, Log, Records};

/// Records that the disk has acknowledged, shared with whoever judges them.
#[derive(Debug)]
pub struct Written<T>(Arc<Mutex<Vec<T>>>);

impl<T> Clone for Written<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Written<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone + PartialEq> Written<T> {
    /// Records from a number on.
    #[must_use]
    pub fn from(&self, first: usize) -> Vec<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(first..).unwrap_or_default().to_vec()
    }

    fn extend(&self, records: &[T]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(records);
    }

    /// What a process finds at its start. What was acknowledged before must be the beginning of it.
    fn found(&self, records: Vec<T>) -> Result<(), String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !records.starts_with(&known) {
            let (known, found) = (known.len(), records.len());
            return Err(format!("the disk had acknowledged {known} records; {found} are there now, or other ones"));
        }
        *known = records;
        Ok(())
    }
}

/// A journal on a simulated disk that tells what it has acknowledged.
pub struct WatchedLog<T> {
    journal: Journal<T>,
    written: Written<T>,
}

/// Why a process has no journal.
#[derive(Debug)]
pub enum Missing {
    /// The disk says no: it is tried again.
    Disk,
    /// Something acknowledged is gone or changed.
    Lost(String),
}

impl<T: Clone + PartialEq + Serialize + DeserializeOwned + Send + 'static> WatchedLog<T> {
    /// Opens the journal on its disk.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn open(name: &str, disk: &SimulatedDisk, written: &Written<T>) -> Result<Self, Missing> {
        let lost = |error: JournalError| Missing::Lost(error.to_string());
        let journal = match Journal::on(Path::new(name), Box::new(disk.clone())) {
            Err(JournalError::Io { .. }) => return Err(Missing::Disk),
            other => other.map_err(lost)?,
        };
        let records = journal.records_from(0).map_err(lost)?.collect::<Result<Vec<T>, _>>().map_err(lost)?;
        written.found(records).map_err(|text| Missing::Lost(format!("{name}: {text}")))?;
        Ok(Self { journal, written: written.clone() })
    }
}

impl<T: Clone + PartialEq + Serialize + DeserializeOwned + Send + 'static> Log<T> for WatchedLog<T> {
    fn append_batch(&mut self, records: &[T]) -> Result<u64, JournalError> {
        let number = self.journal.append_batch(records)?;
        self.written.extend(records);
        Ok(number)
    }

    fn records_from(&self, first: u64) -> Result<Records<T>, JournalError> {
        self.journal.records_from(first)
    }

    fn len(&self) -> u64 {
        self.journal.len()
    }
}
