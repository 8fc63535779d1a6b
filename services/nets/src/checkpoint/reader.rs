//! From bytes to a checkpoint: every rule of the format, every violation at once.

use sha2::{Digest, Sha256};

use super::MANIFEST_KEY;
use super::container::{self, Container};
use super::fault::{Faults, Reason};
use super::manifest::{self, Judged, Manifest, STATISTICS};
use super::self_test::SelfTest;
use super::tensors::{self, Wanted};
use crate::architecture::Role;
use crate::weights::StageWeights;

/// Metadata key that PyTorch's writer adds; it means nothing here.
const TORCH_KEY: &str = "format";

/// A checkpoint whose structure is right. Whether the networks do what it says is decided by
/// [`SelfTest::run`].
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// What the file says about itself.
    pub manifest: Manifest,
    /// Its networks.
    pub weights: StageWeights,
    /// Inputs and outputs that come with it.
    pub golden: SelfTest,
}

/// Hex SHA-256 of a file.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The role that a file claims to have; `None` when it cannot be read that far.
pub fn claimed_role(bytes: &[u8]) -> Option<Role> {
    let container = container::open(bytes).ok()?;
    let (_, text) = container.metadata.iter().find(|(key, _)| key == MANIFEST_KEY)?;
    let manifest: serde_json::Value = serde_json::from_str(text).ok()?;
    Role::from_name(manifest.get("role")?.as_str()?)
}

impl Checkpoint {
    /// Reads a file of the given role: a name of [`Role`].
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(bytes: &[u8], expected_role: &str) -> Result<Self, Faults> {
        let container = container::open(bytes)?;
        let mut faults = Faults::default();
        let judged = match manifest_text(&container, &mut faults) {
            Some(text) => manifest::read(text, expected_role, &mut faults),
            None => Judged { manifest: None, stage: Role::from_name(expected_role).map(Role::stage) },
        };
        let Some(stage) = judged.stage else { return Err(faults) };
        let statistics = judged.manifest.as_ref().map(|manifest| manifest.normaliser == STATISTICS);
        let wanted = Wanted { statistics, golden: true };
        let (weights, golden) = tensors::read(&container.tensors, stage, wanted, &mut faults);
        match (judged.manifest, faults.is_empty()) {
            (Some(manifest), true) => Ok(Self { manifest, weights, golden }),
            _ => Err(faults),
        }
    }
}

fn manifest_text<'a>(container: &'a Container<'_>, faults: &mut Faults) -> Option<&'a str> {
    for (key, _) in container.metadata.iter().filter(|(key, _)| key != MANIFEST_KEY && key != TORCH_KEY) {
        faults.add(Reason::BadFormat, key, format!("unknown metadata key; {MANIFEST_KEY} is the one that is read"));
    }
    let found = container.metadata.iter().find(|(key, _)| key == MANIFEST_KEY);
    if found.is_none() {
        faults.add(
            Reason::BadFormat,
            MANIFEST_KEY,
            "missing in the metadata; a checkpoint carries a manifest, see CHECKPOINT.md",
        );
    }
    found.map(|(_, text)| text.as_str())
}
