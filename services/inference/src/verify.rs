//! The verification Job: judge one file and leave the verdict where Kubernetes picks it up.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use tradewind_nets::checkpoint::{VerificationReport, verify as judge};
use tradewind_wire::download::DownloadError;

use crate::fetch::download_patiently;

/// The report, and whether the file could be judged at all.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Verdict and figures.
    pub report: VerificationReport,
    /// False only when the source did not answer: then trying again may help.
    pub judged: bool,
}

/// Fetches and judges a checkpoint.
pub async fn verify(uri: &str, sha256: &str, role: &str) -> Outcome {
    match download_patiently(uri).await {
        Ok(bytes) => {
            let begun = Instant::now();
            let mut clock = || u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
            Outcome { report: judge(&bytes, sha256, role, &mut clock), judged: true }
        }
        Err(error @ DownloadError::TooLarge { .. }) => {
            Outcome { report: VerificationReport::too_large(&error.to_string()), judged: true }
        }
        Err(error) => Outcome { report: VerificationReport::unreachable(&error.to_string()), judged: false },
    }
}

/// Prints the report and, if asked, leaves it in the termination log (at most 4096 bytes).
///
/// # Errors
/// When the log cannot be written.
pub fn publish(report: &VerificationReport, termination_log: Option<&Path>) -> std::io::Result<()> {
    let text = report.to_json()?;
    println!("{text}");
    let Some(path) = termination_log else { return Ok(()) };
    // The kubelet has made the file and mounts it by itself: it must be written in place.
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    file.write_all(text.as_bytes())
}
