//! A tactical checkpoint ready to serve.

use std::path::Path;

use tradewind_features::tactical::{Network, NetworkError};

use crate::architecture::{Logits, Matrix, Role};
use crate::checkpoint::{Faults, Manifest, Reason};
use crate::forward::TacticalForward;
use crate::load::{self, LoadError};
use crate::weights::TacticalWeights;

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
        load::file(path, |bytes| Self::from_bytes(bytes, expected_sha256))
    }

    /// The same from memory.
    ///
    /// # Errors
    /// Everything that is wrong with the bytes.
    pub fn from_bytes(bytes: &[u8], expected_sha256: &str) -> Result<Self, Faults> {
        let (checkpoint, sha256) = load::checkpoint(bytes, expected_sha256, Role::Tactical)?;
        let Some(weights) = TacticalWeights::from_stage(&checkpoint.weights) else {
            return Err(Faults::one(Reason::UnknownArchitecture, "manifest.architecture", "has no serving path in this release"));
        };
        let mut forward = TacticalForward::new(&weights);
        checkpoint.golden.run(&mut forward)?;
        Ok(Self { manifest: checkpoint.manifest, sha256, forward })
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
