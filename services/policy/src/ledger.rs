//! The decision ledger as it lies on disk.

use std::io::Write;
use std::path::Path;

use tradewind_journal::{Journal, JournalError, LedgerDigest, line_of};

use crate::record::Entry;

/// Journal of decisions below the data directory.
pub const DECISIONS_FILE: &str = "decisions.journal";
/// Journal of evidence below the data directory.
pub const EVIDENCE_FILE: &str = "evidence.journal";

/// Why a ledger cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record has no line.
    #[error("a record has no ledger line: {0}")]
    Line(#[from] serde_json::Error),
    /// The lines cannot be written.
    #[error("the ledger cannot be written: {0}")]
    Write(#[from] std::io::Error),
}

/// Reads the ledger of a data directory, also while a process writes to it. Lines go to `lines` when given.
///
/// # Errors
/// [`LedgerError`].
pub fn read_ledger(data: &Path, mut lines: Option<&mut dyn Write>) -> Result<LedgerDigest, LedgerError> {
    let mut digest = LedgerDigest::new();
    for entry in Journal::<Entry>::read(&data.join(DECISIONS_FILE))? {
        let line = line_of(&entry?.record)?;
        digest.push_line(&line);
        if let Some(out) = lines.as_mut() {
            writeln!(out, "{line}")?;
        }
    }
    Ok(digest)
}
