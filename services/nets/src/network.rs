//! A checkpoint ready to serve.

use std::io::Read;
use std::path::{Path, PathBuf};

use tradewind_domain::tactical::{Network, NetworkError};

use crate::architecture::{Logits, Matrix};
use crate::checkpoint::{Checkpoint, Faults, MAX_FILE_BYTES, Manifest, Reason, TACTICAL_ROLE, sha256};
use crate::forward::TacticalForward;
use crate::weights::TacticalWeights;

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

/// The networks of one verified checkpoint (TA-8, TA-54): digest, structure and self-test were
/// right when it was loaded.
pub struct TacticalNetwork {
    manifest: Manifest,
    sha256: String,
    forward: TacticalForward,
}

impl TacticalNetwork {
    /// Loads a file whose SHA-256 (lower-case hex) is known.
    ///
    /// # Errors
    /// When it cannot be read, or with everything that is wrong with it.
    pub fn load(path: &Path, expected_sha256: &str) -> Result<Self, LoadError> {
        let io = |source| LoadError::Io { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(io)?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(io)?;
        Self::from_bytes(&bytes, expected_sha256)
            .map_err(|faults| LoadError::Refused { origin: path.display().to_string(), faults })
    }

    /// The same from memory.
    ///
    /// # Errors
    /// Everything that is wrong with the bytes.
    pub fn from_bytes(bytes: &[u8], expected_sha256: &str) -> Result<Self, Faults> {
        let seen = if bytes.len() > MAX_FILE_BYTES { String::new() } else { sha256(bytes) };
        if !seen.is_empty() && seen != expected_sha256 {
            let message = format!("SHA-256 is {seen}, {expected_sha256} was asked for");
            return Err(Faults::one(Reason::DigestMismatch, "file", message));
        }
        let checkpoint = Checkpoint::read(bytes, TACTICAL_ROLE)?;
        let Some(weights) = TacticalWeights::from_stage(&checkpoint.weights) else {
            return Err(Faults::one(Reason::UnknownArchitecture, "manifest.architecture", "has no serving path in this release"));
        };
        let mut forward = TacticalForward::new(&weights);
        checkpoint.golden.run(&mut forward)?;
        Ok(Self { manifest: checkpoint.manifest, sha256: seen, forward })
    }

    /// What the checkpoint says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Hex SHA-256 of the file.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }
}

impl Network for TacticalNetwork {
    fn logits(&mut self, matrix: &Matrix) -> Result<Logits, NetworkError> {
        Network::logits(&mut self.forward, matrix)
    }
}
