//! The bytes below a journal: a file, or what a test puts in its place.

use std::fmt::Debug;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::JournalError;

/// Bytes that can be read at any place, while somebody else may add to them.
pub trait Source: Debug + Send {
    /// Reads from `offset` on; 0 at the end. May give fewer bytes than asked for before the end.
    ///
    /// # Errors
    /// The system's answer.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;
}

/// What a journal is written to. One writer; nothing is durable before [`Storage::sync`] returned without an error.
pub trait Storage: Debug + Send {
    /// Bytes there are.
    ///
    /// # Errors
    /// The system's answer.
    fn length(&self) -> io::Result<u64>;

    /// A reader that sees what is written later on as well.
    ///
    /// # Errors
    /// The system's answer.
    fn source(&self) -> io::Result<Box<dyn Source>>;

    /// Writes at `offset`, beyond the end or over what is there. After an error any part of it may have been written.
    ///
    /// # Errors
    /// The system's answer.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts everything from `length` on.
    ///
    /// # Errors
    /// The system's answer.
    fn cut(&mut self, length: u64) -> io::Result<()>;

    /// Makes what was written and cut durable. After an error nobody knows what of it is; a second call may succeed without
    /// having made up for it.
    ///
    /// # Errors
    /// The system's answer.
    fn sync(&mut self) -> io::Result<()>;
}

/// A locked file in a directory that knows its name durably.
#[derive(Debug)]
pub(crate) struct DiskFile {
    path: PathBuf,
    file: File,
}

impl DiskFile {
    /// Opens or creates the file and takes its lock.
    pub(crate) fn open(path: &Path) -> Result<Self, JournalError> {
        let io = |action| move |source| JournalError::Io { path: path.to_owned(), action, source };
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path).map_err(io("open it"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(io("lock it")(source)),
        }
        // Whether the process that made the file came to this is not known: a file without a name holds nothing.
        sync_directory_of(path).map_err(io("sync its directory"))?;
        Ok(Self { path: path.to_owned(), file })
    }
}

impl Storage for DiskFile {
    fn length(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.len())
    }

    fn source(&self) -> io::Result<Box<dyn Source>> {
        // Opened anew: a duplicate of the handle would hold the lock for as long as somebody reads.
        Ok(Box::new(File::open(&self.path)?))
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

impl Source for File {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        FileExt::read_at(self, into, offset)
    }
}

fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => return Err(io::ErrorKind::InvalidInput.into()),
    };
    File::open(directory)?.sync_all()
}
