//! What can go wrong with a log.

use std::path::PathBuf;

/// Why a log cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system refused an operation.
    #[error("journal {path}: cannot {action}: {source}")]
    Io {
        /// File in question.
        path: PathBuf,
        /// What was attempted.
        action: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Another process has the file open for writing.
    #[error("journal {path}: another process writes to it; one writer per file, stop the other one first")]
    Locked {
        /// File in question.
        path: PathBuf,
    },
    /// The file does not begin like a journal.
    #[error("journal {path}: the first bytes are not those of a journal; nothing was changed, name another file")]
    NotAJournal {
        /// File in question.
        path: PathBuf,
    },
    /// A damaged frame lies before good ones: not the trace of a crash.
    #[error(
        "journal {path}: damaged at byte {offset} ({reason}) with a good frame at byte {next_good}; \
         a crash cannot do this, check the disk and restore the file from a copy, nothing was changed"
    )]
    Corrupt {
        /// File in question.
        path: PathBuf,
        /// First damaged byte.
        offset: u64,
        /// What is wrong there.
        reason: String,
        /// Where a good frame begins behind it.
        next_good: u64,
    },
    /// A record's check sum is right but its JSON is not that of the expected type.
    #[error("journal {path}: record {record} cannot be read as {kind}: {source}; was it written by another version?")]
    Decode {
        /// File in question.
        path: PathBuf,
        /// Number of the record, from 0.
        record: u64,
        /// Expected type.
        kind: &'static str,
        /// What the JSON reader says.
        source: serde_json::Error,
    },
    /// A record cannot be written as JSON.
    #[error("record {record} of type {kind} cannot be written as JSON: {source}")]
    Encode {
        /// Number that the record would have had.
        record: u64,
        /// Its type.
        kind: &'static str,
        /// What the JSON writer says.
        source: serde_json::Error,
    },
    /// A batch is larger than a frame may be.
    #[error("a batch of {bytes} bytes was refused, at most {allowed} bytes are allowed; split it")]
    TooLarge {
        /// Size seen.
        bytes: usize,
        /// Size allowed.
        allowed: usize,
    },
    /// An earlier write failed, so what is on disk is unknown until the file is opened again.
    #[error("journal {path}: refused because an earlier write failed; restart the process, it will read back what is there")]
    Poisoned {
        /// File in question.
        path: PathBuf,
    },
    /// The fault that a test asked for.
    #[error("the process died at write {write}, as the test asked")]
    Injected {
        /// Number of the write, from 1.
        write: u64,
    },
}
