//! The file below a journal: locking, scanning, cutting a torn tail, synchronous writes.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::JournalError;
use crate::frame::{self, Front, HEADER, MAGIC, MAX_PAYLOAD};

/// What was found when a journal was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Records that are there.
    pub records: u64,
    /// Bytes of an unfinished last frame that were cut off; 0 after a clean end.
    pub dropped_bytes: u64,
}

/// A locked file of frames, positioned for appending.
#[derive(Debug)]
pub(crate) struct FrameFile {
    path: PathBuf,
    file: File,
    poisoned: bool,
}

impl FrameFile {
    /// Opens or creates the file, takes the lock, cuts a torn tail. `seen` gets each payload.
    pub(crate) fn open(path: &Path, seen: impl FnMut(&[u8])) -> Result<(Self, u64), JournalError> {
        let io = |action| move |source| JournalError::Io { path: path.to_owned(), action, source };
        let fresh = !path.exists();
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).open(path).map_err(io("open it"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(io("lock it")(source)),
        }
        let mut this = Self { path: path.to_owned(), file, poisoned: false };
        let length = this.file.metadata().map_err(io("read its length"))?.len();
        let mut dropped = 0;
        if length < MAGIC.len() as u64 {
            dropped = this.begin(length)?;
        } else {
            let good = FrameReader::open(path)?.scan(seen)?;
            if good < length {
                this.file.set_len(good).map_err(io("cut its torn tail"))?;
                this.file.sync_all().map_err(io("sync it"))?;
                dropped = length - good;
            }
        }
        if fresh {
            sync_directory_of(path).map_err(io("sync its directory"))?;
        }
        Ok((this, dropped))
    }

    /// Writes the magic to a file that has none yet; a torn magic counts as dropped bytes.
    fn begin(&mut self, length: u64) -> Result<u64, JournalError> {
        let path = self.path.clone();
        let io = |action| move |source| JournalError::Io { path, action, source };
        let mut begun = Vec::new();
        File::open(&self.path).and_then(|mut f| f.read_to_end(&mut begun)).map_err(io.clone()("read it"))?;
        if !MAGIC.starts_with(&begun) {
            return Err(JournalError::NotAJournal { path: self.path.clone() });
        }
        self.file.set_len(0).map_err(io.clone()("cut its torn tail"))?;
        self.file.write_all(MAGIC).map_err(io.clone()("write to it"))?;
        self.file.sync_all().map_err(io("sync it"))?;
        Ok(length)
    }

    /// Writes one frame and returns when the disk has it.
    pub(crate) fn append(&mut self, payload: &[u8]) -> Result<(), JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned { path: self.path.clone() });
        }
        if payload.len() > MAX_PAYLOAD {
            return Err(JournalError::TooLarge { bytes: payload.len(), allowed: MAX_PAYLOAD });
        }
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        frame::encode(payload, &mut bytes);
        // After a failed write or sync nobody knows what the disk holds: only reading it back tells.
        self.poisoned = true;
        let path = &self.path;
        let io = |action| move |source| JournalError::Io { path: path.clone(), action, source };
        self.file.write_all(&bytes).map_err(io("write to it"))?;
        self.file.sync_data().map_err(io("sync it"))?;
        self.poisoned = false;
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Reads frames one after the other, without taking the lock.
#[derive(Debug)]
pub(crate) struct FrameReader {
    path: PathBuf,
    file: File,
    /// Bytes read and not yet consumed.
    piece: Vec<u8>,
    /// Consumed part of `piece`.
    at: usize,
    /// Offset in the file of `piece[0]`.
    base: u64,
    at_end: bool,
}

const CHUNK: u64 = 256 * 1024;
/// A good frame behind a damaged one begins and ends within this distance.
const WINDOW: u64 = 2 * (HEADER + MAX_PAYLOAD) as u64;

impl FrameReader {
    /// Opens for reading and checks the magic. An empty or torn beginning reads as no frames.
    pub(crate) fn open(path: &Path) -> Result<Self, JournalError> {
        let io = |action| move |source| JournalError::Io { path: path.to_owned(), action, source };
        let mut file = File::open(path).map_err(io("open it"))?;
        let mut magic = Vec::new();
        (&mut file).take(MAGIC.len() as u64).read_to_end(&mut magic).map_err(io("read it"))?;
        if !MAGIC.starts_with(&magic) {
            return Err(JournalError::NotAJournal { path: path.to_owned() });
        }
        let base = magic.len() as u64;
        Ok(Self { path: path.to_owned(), file, piece: Vec::new(), at: 0, base, at_end: false })
    }

    /// Hands every payload to `seen` and returns the length of the good part of the file.
    pub(crate) fn scan(mut self, mut seen: impl FnMut(&[u8])) -> Result<u64, JournalError> {
        while let Some(payload) = self.next_payload()? {
            seen(payload);
        }
        Ok(self.offset())
    }

    /// Offset of the next byte to judge.
    pub(crate) fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// The next payload; `None` at the end or at a torn tail.
    pub(crate) fn next_payload(&mut self) -> Result<Option<&[u8]>, JournalError> {
        loop {
            match frame::front(&self.piece[self.at..]) {
                Front::Good(size) => {
                    let begin = self.at + HEADER;
                    self.at += size;
                    return Ok(Some(&self.piece[begin..self.at]));
                }
                Front::End if self.at_end => return Ok(None),
                Front::Damaged(reason) if self.at_end || self.piece.len() - self.at >= HEADER + MAX_PAYLOAD => {
                    return self.judge_damage(reason).map(|()| None);
                }
                Front::End | Front::Damaged(_) => self.read_more(CHUNK)?,
            }
        }
    }

    /// A damaged frame with nothing good behind it is the trace of a crash; else refuse.
    fn judge_damage(&mut self, reason: String) -> Result<(), JournalError> {
        while !self.at_end && (self.piece.len() as u64) < WINDOW {
            self.read_more(WINDOW)?;
        }
        let behind = &self.piece[(self.at + 1).min(self.piece.len())..];
        match frame::find_good(behind) {
            None => Ok(()),
            Some(distance) => Err(JournalError::Corrupt {
                path: self.path.clone(),
                offset: self.offset(),
                reason,
                next_good: self.offset() + 1 + distance as u64,
            }),
        }
    }

    fn read_more(&mut self, at_least: u64) -> Result<(), JournalError> {
        self.piece.drain(..self.at);
        self.base += self.at as u64;
        self.at = 0;
        // A frame that does not fit yet may be large: grow with what is already there.
        let wanted = at_least.max(self.piece.len() as u64);
        let read = (&mut self.file).take(wanted).read_to_end(&mut self.piece);
        let read = read.map_err(|source| JournalError::Io { path: self.path.clone(), action: "read it", source })?;
        self.at_end = (read as u64) < wanted;
        Ok(())
    }
}

fn sync_directory_of(path: &Path) -> std::io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => return Err(ErrorKind::InvalidInput.into()),
    };
    File::open(directory)?.sync_all()
}
