//! Fetching the checkpoints of a bundle into a directory, whole and with the right digest.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tradewind_nets::checkpoint::MAX_FILE_BYTES;
use tradewind_wire::client::Patience;
use tradewind_wire::config::{BundleConfig, CheckpointConfig};
use tradewind_wire::download::{DownloadError, Limits, download, write_whole};

/// Attempts before a fetch is given up.
const ATTEMPTS: u32 = 6;
const LIMITS: Limits = Limits { bytes: MAX_FILE_BYTES, time: Duration::from_secs(30) };

/// Why a checkpoint is not there.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The source was not fetched.
    #[error("checkpoint {name}: {source}")]
    Download {
        /// Name of the checkpoint.
        name: String,
        /// What went wrong.
        source: DownloadError,
    },
    /// The file is not the one that was verified.
    #[error(
        "checkpoint {name}: the file has SHA-256 {found}, the bundle asks for {wanted}; it was replaced after it was verified"
    )]
    Digest {
        /// Name of the checkpoint.
        name: String,
        /// Digest seen.
        found: String,
        /// Digest wanted.
        wanted: String,
    },
    /// The file cannot be written.
    #[error("checkpoint {name}: {source}")]
    Write {
        /// Name of the checkpoint.
        name: String,
        /// The system's answer, with the path.
        source: std::io::Error,
    },
}

/// Fetches a file, trying again while the source does not answer.
///
/// # Errors
/// [`DownloadError`] of the last attempt.
pub async fn download_patiently(uri: &str) -> Result<Bytes, DownloadError> {
    let patience = Patience { first: Duration::from_millis(200), most: Duration::from_secs(3), ..Default::default() };
    let mut attempt = 1;
    loop {
        match download(uri, LIMITS).await {
            Err(error) if error.may_answer_later() && attempt < ATTEMPTS => {
                tracing::warn!(attempt, %error, "asking again");
                tokio::time::sleep(patience.pause(attempt)).await;
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

/// Makes every checkpoint of a bundle present in `directory`; files with the right digest stay.
///
/// # Errors
/// [`FetchError`] of the first that fails.
pub async fn fetch(bundle: &BundleConfig, directory: &Path) -> Result<Vec<PathBuf>, FetchError> {
    let mut files = Vec::new();
    for checkpoint in &bundle.checkpoints {
        files.push(fetch_one(checkpoint, directory).await?);
    }
    Ok(files)
}

async fn fetch_one(checkpoint: &CheckpointConfig, directory: &Path) -> Result<PathBuf, FetchError> {
    let (name, path) = (checkpoint.name.clone(), directory.join(checkpoint.file_name()));
    if std::fs::read(&path).is_ok_and(|bytes| sha256(&bytes) == checkpoint.sha256) {
        tracing::info!(name, "already there");
        return Ok(path);
    }
    let downloaded = download_patiently(&checkpoint.uri).await;
    let bytes = downloaded.map_err(|source| FetchError::Download { name: name.clone(), source })?;
    let found = sha256(&bytes);
    if found != checkpoint.sha256 {
        return Err(FetchError::Digest { name, found, wanted: checkpoint.sha256.clone() });
    }
    write_whole(&path, &bytes).map_err(|source| FetchError::Write { name: name.clone(), source })?;
    tracing::info!(name, bytes = bytes.len(), sha256 = found, "fetched");
    Ok(path)
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
