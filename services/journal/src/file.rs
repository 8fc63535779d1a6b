//! Frames on a storage: opening, cutting a torn tail, synchronous writes, reading.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::JournalError;
use crate::frame::{self, Front, HEADER, MAGIC, MAX_PAYLOAD};
use crate::storage::{Source, Storage};

/// What was found when a journal was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Records that are there.
    pub records: u64,
    /// Bytes of an unfinished last frame that were cut off; 0 after a clean end.
    pub dropped_bytes: u64,
}

/// Frames on a storage of one writer.
#[derive(Debug)]
pub(crate) struct FrameFile {
    path: PathBuf,
    storage: Box<dyn Storage>,
    /// Where the next frame goes.
    end: u64,
    poisoned: bool,
}

impl FrameFile {
    /// Cuts a torn tail and makes the rest durable. `seen` gets the place of each frame and its payload. Also gives how many
    /// bytes were cut off.
    pub(crate) fn open(
        path: &Path,
        storage: Box<dyn Storage>,
        mut seen: impl FnMut(u64, &[u8]),
    ) -> Result<(Self, u64), JournalError> {
        let mut this = Self { path: path.to_owned(), storage, end: 0, poisoned: false };
        let length = this.storage.length().map_err(this.io("read its length"))?;
        if length < MAGIC.len() as u64 {
            this.begin(length)?;
            return Ok((this, length));
        }
        let mut reader = this.reader(MAGIC.len() as u64)?;
        let (mut last, mut end) = (0, reader.offset());
        while let Some(payload) = reader.next_payload()? {
            seen(end, payload);
            (last, end) = (end, reader.offset());
        }
        this.end = end;
        if end < length {
            this.storage.cut(end).map_err(this.io("cut its torn tail"))?;
        }
        this.heal(last)?;
        Ok((this, length - end))
    }

    /// Writes the magic to a storage that has none yet.
    fn begin(&mut self, length: u64) -> Result<(), JournalError> {
        let begun = read_exactly(&*self.source()?, 0, length).map_err(self.io("read it"))?;
        if !MAGIC.starts_with(&begun) {
            return Err(JournalError::NotAJournal { path: self.path.clone() });
        }
        self.storage.write_at(0, MAGIC).map_err(self.io("write to it"))?;
        self.sync()?;
        self.end = MAGIC.len() as u64;
        Ok(())
    }

    /// Writes the last frame once more and makes all durable. A process that was killed between write and sync leaves a whole
    /// frame that the disk does not have: read back and acted on, it would be gone after the next loss of power. After a sync
    /// that failed, the system even calls it clean and never writes it again; nothing was appended behind such a frame.
    fn heal(&mut self, last: u64) -> Result<(), JournalError> {
        let frame = read_exactly(&*self.source()?, last, self.end - last).map_err(self.io("read it"))?;
        self.storage.write_at(last, &frame).map_err(self.io("write to it"))?;
        self.sync()
    }

    /// Writes one frame and returns its place when the disk has it.
    pub(crate) fn append(&mut self, payload: &[u8]) -> Result<u64, JournalError> {
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
        self.storage.write_at(self.end, &bytes).map_err(self.io("write to it"))?;
        self.sync()?;
        self.poisoned = false;
        let place = self.end;
        self.end += bytes.len() as u64;
        Ok(place)
    }

    /// Reads frames from the one at `offset` on.
    pub(crate) fn reader(&self, offset: u64) -> Result<FrameReader, JournalError> {
        FrameReader::of(&self.path, self.source()?, offset)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn source(&self) -> Result<Box<dyn Source>, JournalError> {
        self.storage.source().map_err(self.io("open it"))
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        self.storage.sync().map_err(self.io("sync it"))
    }

    fn io(&self, action: &'static str) -> impl Fn(io::Error) -> JournalError + use<> {
        let path = self.path.clone();
        move |source| JournalError::Io { path: path.clone(), action, source }
    }
}

/// Reads frames one after the other, without taking the lock.
#[derive(Debug)]
pub(crate) struct FrameReader {
    path: PathBuf,
    source: Box<dyn Source>,
    /// Bytes read and not yet consumed.
    piece: Vec<u8>,
    /// Consumed part of `piece`.
    at: usize,
    /// Offset in the source of `piece[0]`.
    base: u64,
    at_end: bool,
}

const CHUNK: usize = 256 * 1024;
/// A good frame behind a damaged one begins and ends within this distance.
const WINDOW: usize = 2 * (HEADER + MAX_PAYLOAD);

impl FrameReader {
    /// Opens a file for reading and checks the magic. An empty or torn beginning reads as no frames.
    pub(crate) fn open(path: &Path) -> Result<Self, JournalError> {
        let opened = File::open(path);
        let file = opened.map_err(|source| JournalError::Io { path: path.to_owned(), action: "open it", source })?;
        Self::of(path, Box::new(file), MAGIC.len() as u64)
    }

    /// Checks the magic, and reads from the frame at `offset` on.
    fn of(path: &Path, source: Box<dyn Source>, offset: u64) -> Result<Self, JournalError> {
        let magic = read_exactly(&*source, 0, MAGIC.len() as u64).map_err(|source| JournalError::Io {
            path: path.to_owned(),
            action: "read it",
            source,
        })?;
        if !MAGIC.starts_with(&magic) {
            return Err(JournalError::NotAJournal { path: path.to_owned() });
        }
        Ok(Self { path: path.to_owned(), source, piece: Vec::new(), at: 0, base: offset, at_end: false })
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
        while !self.at_end && self.piece.len() < WINDOW {
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

    fn read_more(&mut self, at_least: usize) -> Result<(), JournalError> {
        self.piece.drain(..self.at);
        self.base += self.at as u64;
        self.at = 0;
        // A frame that does not fit yet may be large: grow with what is already there.
        let wanted = at_least.max(self.piece.len());
        let from = self.base + self.piece.len() as u64;
        let read = read_exactly(&*self.source, from, wanted as u64);
        let read = read.map_err(|source| JournalError::Io { path: self.path.clone(), action: "read it", source })?;
        self.at_end = read.len() < wanted;
        self.piece.extend_from_slice(&read);
        Ok(())
    }
}

/// `length` bytes from `offset` on, or those that are there.
fn read_exactly(source: &dyn Source, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    let mut filled = 0;
    while filled < bytes.len() {
        match source.read_at(offset + filled as u64, &mut bytes[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
