//! Logs that die when a test wants it, and a disk that does what disks do.

mod disk;

pub use disk::{Fault, SimulatedDisk};

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use serde::Serialize;

use crate::error::JournalError;
use crate::frame;
use crate::journal::encode_batch;
use crate::{Log, Records};

/// How the process dies at the chosen write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Death {
    /// Before a byte is written: the record is lost.
    BeforeWrite,
    /// After the record is durable and before the caller hears of it.
    AfterWrite,
    /// In the middle: only the first bytes of the frame reach this file.
    TornTail {
        /// The journal file below the log.
        path: PathBuf,
        /// Bytes of the frame that are written (less than the frame has).
        keep: usize,
    },
}

/// Wraps a log and makes the process "die" at a chosen write: that append fails as
/// [`JournalError::Injected`] and so does every later one. Reading still works.
#[derive(Debug)]
pub struct FaultyLog<L> {
    inner: L,
    writes: u64,
    fatal_write: u64,
    death: Death,
}

impl<L> FaultyLog<L> {
    /// Dies at write number `fatal_write` (from 1; a batch is one write); 0 never dies.
    pub const fn new(inner: L, fatal_write: u64, death: Death) -> Self {
        Self { inner, writes: 0, fatal_write, death }
    }

    /// Writes attempted so far; a run that never dies tells how many points there are to die at.
    pub const fn writes(&self) -> u64 {
        self.writes
    }

    /// Whether the chosen write has been reached.
    pub const fn is_dead(&self) -> bool {
        self.fatal_write != 0 && self.writes >= self.fatal_write
    }

    /// The log below.
    pub fn into_inner(self) -> L {
        self.inner
    }
}

impl<T: Serialize, L: Log<T>> Log<T> for FaultyLog<L> {
    fn append_batch(&mut self, records: &[T]) -> Result<u64, JournalError> {
        if self.is_dead() {
            return Err(JournalError::Injected { write: self.fatal_write });
        }
        self.writes += 1;
        if !self.is_dead() {
            return self.inner.append_batch(records);
        }
        match &self.death {
            Death::BeforeWrite => {}
            Death::AfterWrite => drop(self.inner.append_batch(records)?),
            Death::TornTail { path, keep } => {
                let mut bytes = Vec::new();
                frame::encode(&encode_batch(records, self.inner.len())?, &mut bytes);
                bytes.truncate((*keep).min(bytes.len() - 1));
                let written = OpenOptions::new().append(true).open(path).and_then(|mut file| file.write_all(&bytes));
                written.map_err(|source| JournalError::Io { path: path.clone(), action: "tear it", source })?;
            }
        }
        Err(JournalError::Injected { write: self.fatal_write })
    }

    fn records_from(&self, first: u64) -> Result<Records<T>, JournalError> {
        self.inner.records_from(first)
    }

    fn len(&self) -> u64 {
        self.inner.len()
    }
}
