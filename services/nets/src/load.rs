//! From a file to a checkpoint that may be served: its bytes are the ones that were asked for, and its structure is right.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::architecture::Role;
use crate::checkpoint::{Checkpoint, Faults, MAX_FILE_BYTES, Reason, sha256};

/// Why a checkpoint cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read checkpoint {path}: {source}; check the mount and that fetching it succeeded")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("checkpoint {origin} is refused: {faults}")]
    Refused {
        /// Path of the file, or where the bytes came from.
        origin: String,
        /// Everything that is wrong.
        faults: Faults,
    },
}

/// Reads a file, never more of it than a checkpoint may have, and makes networks of its bytes.
pub(crate) fn file<N>(path: &Path, networks: impl FnOnce(&[u8]) -> Result<N, Faults>) -> Result<N, LoadError> {
    let io = |source| LoadError::Io { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(io)?;
    networks(&bytes).map_err(|faults| LoadError::Refused { origin: path.display().to_string(), faults })
}

/// The checkpoint in some bytes and their SHA-256, if that is the expected one (lower-case hex). Its self-test is still to run, on
/// the networks that will serve.
pub(crate) fn checkpoint(bytes: &[u8], expected_sha256: &str, role: Role) -> Result<(Checkpoint, String), Faults> {
    let seen = if bytes.len() > MAX_FILE_BYTES { String::new() } else { sha256(bytes) };
    if !seen.is_empty() && seen != expected_sha256 {
        let message = format!("SHA-256 is {seen}, {expected_sha256} was asked for");
        return Err(Faults::one(Reason::DigestMismatch, "file", message));
    }
    Ok((Checkpoint::read(bytes, role.name())?, seen))
}
