//! A log that lives as long as its handles.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::JournalError;
use crate::{Log, Records};

/// Records in memory. Clones share the records, so that a test can drop an engine, keep a clone
/// and start a new engine on what the old one had written.
#[derive(Debug)]
pub struct MemoryLog<T> {
    records: Arc<Mutex<Vec<T>>>,
}

impl<T> MemoryLog<T> {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        // A vector is whole even if a holder of the lock panicked.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> MemoryLog<T> {
    /// A copy of all records.
    #[must_use]
    pub fn records(&self) -> Vec<T> {
        self.lock().clone()
    }
}

impl<T> Default for MemoryLog<T> {
    fn default() -> Self {
        Self { records: Arc::new(Mutex::new(Vec::new())) }
    }
}

impl<T> Clone for MemoryLog<T> {
    fn clone(&self) -> Self {
        Self { records: Arc::clone(&self.records) }
    }
}

impl<T: Clone + Send + 'static> Log<T> for MemoryLog<T> {
    fn append_batch(&mut self, records: &[T]) -> Result<u64, JournalError> {
        let mut all = self.lock();
        all.extend_from_slice(records);
        Ok((all.len() as u64).saturating_sub(u64::from(!records.is_empty())))
    }

    fn records_from(&self, first: u64) -> Result<Records<T>, JournalError> {
        let (log, mut next) = (self.clone(), usize::try_from(first).unwrap_or(usize::MAX));
        Ok(Box::new(std::iter::from_fn(move || {
            let record = log.lock().get(next).cloned()?;
            next += 1;
            Some(Ok(record))
        })))
    }

    fn len(&self) -> u64 {
        self.lock().len() as u64
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn numbers_count_from_zero_and_clones_share() {
        let mut log = MemoryLog::new();
        let survivor = log.clone();
        assert_eq!(log.append(&"a").unwrap(), 0);
        assert_eq!(log.append_batch(&["b", "c"]).unwrap(), 2);
        assert_eq!(log.append_batch(&[]).unwrap(), 3);
        drop(log);
        assert_eq!(survivor.records(), ["a", "b", "c"]);
        let later: Result<Vec<_>, _> = survivor.records_from(1).unwrap().collect();
        assert_eq!(later.unwrap(), ["b", "c"]);
    }
}
