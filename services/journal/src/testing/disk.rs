//! A disk behind the system's cache: what was not synced may be there after a loss of power, in part, or not.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::storage::{Source, Storage};

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// What goes wrong at the next call of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The next write ends after so many bytes, as on a full disk.
    ShortWrite(usize),
    /// The next sync fails: what was to be written is not, and is never tried again, although reads go on to show it.
    FailedSync,
}

/// The bytes of one file, kept by the test: a process that dies drops its handle, and the next one gets a clone.
#[derive(Clone, Debug, Default)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What reads show.
    cached: Vec<u8>,
    /// What the disk holds for certain.
    durable: Vec<u8>,
    /// Sectors that the system has still to write.
    dirty: BTreeSet<usize>,
    /// A cut that the disk does not know for certain.
    cut: Option<usize>,
    fault: Option<Fault>,
}

impl State {
    /// What the disk takes over of one sector.
    fn write_back(&mut self, sector: usize) {
        let (begin, end) = (sector * SECTOR, ((sector + 1) * SECTOR).min(self.cached.len()));
        if let Some(seen) = self.cached.get(begin..end) {
            if self.durable.len() < end {
                self.durable.resize(end, 0);
            }
            self.durable[begin..end].copy_from_slice(seen);
        }
    }
}

impl SimulatedDisk {
    /// An empty file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the next write or sync go wrong.
    pub fn fail(&self, fault: Fault) {
        self.state().fault = Some(fault);
    }

    /// The power goes: for each cut and each sector that was not synced, `survives` says whether the disk had it already.
    pub fn lose_power(&self, mut survives: impl FnMut() -> bool) {
        let mut state = self.state();
        if let Some(length) = state.cut.take().filter(|_| survives()) {
            state.durable.truncate(length);
        }
        for sector in std::mem::take(&mut state.dirty) {
            if survives() {
                state.write_back(sector);
            }
        }
        state.cached = state.durable.clone();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The bytes are whole even if a holder of the lock panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for SimulatedDisk {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let state = self.state();
        let begin = usize::try_from(offset).unwrap_or(usize::MAX).min(state.cached.len());
        let read = into.len().min(state.cached.len() - begin);
        into[..read].copy_from_slice(&state.cached[begin..begin + read]);
        Ok(read)
    }
}

impl Storage for SimulatedDisk {
    fn length(&self) -> io::Result<u64> {
        Ok(self.state().cached.len() as u64)
    }

    fn source(&self) -> io::Result<Box<dyn Source>> {
        Ok(Box::new(self.clone()))
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let short = match state.fault {
            Some(Fault::ShortWrite(length)) => {
                state.fault = None;
                Some(length.min(bytes.len().saturating_sub(1)))
            }
            _ => None,
        };
        let written = &bytes[..short.unwrap_or(bytes.len())];
        let begin = usize::try_from(offset).map_err(io::Error::other)?;
        let end = begin + written.len();
        if state.cached.len() < end {
            state.cached.resize(end, 0);
        }
        state.cached[begin..end].copy_from_slice(written);
        if !written.is_empty() {
            state.dirty.extend(begin / SECTOR..=(end - 1) / SECTOR);
        }
        short.map_or(Ok(()), |_| Err(io::ErrorKind::StorageFull.into()))
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        let mut state = self.state();
        let length = usize::try_from(length).map_err(io::Error::other)?;
        state.cached.truncate(length);
        state.cut = Some(state.cut.map_or(length, |before| before.min(length)));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.state();
        let (dirty, cut) = (std::mem::take(&mut state.dirty), state.cut.take());
        if state.fault == Some(Fault::FailedSync) {
            state.fault = None;
            return Err(io::Error::other("input/output error"));
        }
        if let Some(length) = cut {
            state.durable.truncate(length);
        }
        dirty.into_iter().for_each(|sector| state.write_back(sector));
        let length = state.cached.len().max(state.durable.len());
        state.durable.resize(length, 0);
        Ok(())
    }
}
