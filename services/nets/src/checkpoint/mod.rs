//! The checkpoint file: one safetensors file with a manifest, weights and its own self-test.
//!
//! It holds no code, unlike a pickled object (SU-38, TA-52, EX-152). The format is described for exporters in
//! `services/nets/CHECKPOINT.md`. Reading checks everything and reports every violation at once; nothing is allocated by what a
//! file claims.

mod container;
mod convert;
mod fault;
mod manifest;
mod reader;
mod self_test;
mod tensors;
mod verify;
mod writer;

pub use convert::{SelfTestSource, convert};
pub use fault::{Fault, Faults, Reason};
pub use manifest::{FORMAT_VERSION, Manifest, TACTICAL_ROLE};
pub use reader::{Checkpoint, claimed_role, sha256};
pub use self_test::{GOLDEN_TOLERANCE, SelfTest};
pub use verify::{Figures, MAX_REPORT_BYTES, Verdict, VerificationReport, verify};
pub use writer::{WriteError, write};

/// Largest file that is read. Three actors and a critic take 7 MB.
pub const MAX_FILE_BYTES: usize = 16 << 20;
/// Largest header that is read.
pub const MAX_HEADER_BYTES: usize = 256 << 10;
/// Fewest and most inputs of the self-test.
pub const SELF_TEST_INPUTS: std::ops::RangeInclusive<usize> = 8..=256;
/// The key of the metadata that holds the manifest.
pub const MANIFEST_KEY: &str = "tradewind.manifest";
