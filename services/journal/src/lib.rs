//! An append-only, checksummed, synchronous log on disk, and the digests of what it holds.
//!
//! A service that must not forget writes each record here *before* it acts on it. Three
//! implementations stand behind one trait, [`Log`]: [`Journal`] (a file, durable when `append`
//! returns), [`MemoryLog`] (for `tradewind-replay` and unit tests) and [`testing::FaultyLog`] (dies
//! at a chosen write, for crash tests).
//!
//! # The file
//! Eight bytes of magic, then frames `[length u32][crc32 u32][payload]`, little endian; the check
//! sum covers length and payload. A payload is one JSON text per line; the records of one
//! [`Log::append_batch`] share a frame, so that a batch is on disk whole or not at all.
//!
//! A process that dies while it writes leaves a damaged *last* frame, which was never
//! acknowledged: it is cut off at the next opening and [`Opened::dropped_bytes`] says so. Damage
//! with a good frame behind it cannot come from a crash and is refused.

mod digest;
mod error;
mod file;
mod frame;
mod journal;
mod memory;
mod storage;
pub mod testing;

pub use digest::{LedgerDigest, digest_of, line_of};
pub use error::JournalError;
pub use file::Opened;
pub use frame::MAX_PAYLOAD;
pub use journal::{Journal, Replay};
pub use memory::MemoryLog;
pub use storage::{Source, Storage};

/// Records of a log, read one after the other: memory does not grow with their number. Ends after the first error.
pub type Records<T> = Box<dyn Iterator<Item = Result<T, JournalError>> + Send>;

/// A durable sequence of records, numbered from 0.
///
/// Object safe: engines hold a `Box<dyn Log<T>>`.
pub trait Log<T>: Send {
    /// Adds a record and returns its number. When it returns, the record is as durable as the
    /// implementation can make it.
    ///
    /// # Errors
    /// [`JournalError`]: nothing may be done that relies on the record. Every later append is
    /// refused until the log is opened again.
    fn append(&mut self, record: &T) -> Result<u64, JournalError> {
        self.append_batch(std::slice::from_ref(record))
    }

    /// Adds records together, all or none, and returns the number of the last one. An empty batch
    /// writes nothing and returns the number of records so far.
    ///
    /// # Errors
    /// As [`Log::append`].
    fn append_batch(&mut self, records: &[T]) -> Result<u64, JournalError>;

    /// The records from number `first` on, as they are when they are read.
    ///
    /// # Errors
    /// [`JournalError`] when the log cannot be read back.
    fn records_from(&self, first: u64) -> Result<Records<T>, JournalError>;

    /// Number of records.
    fn len(&self) -> u64;

    /// Whether there is no record yet.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
