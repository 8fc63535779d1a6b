//! Where recordings come from: a directory, or a folder behind HTTP.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use tradewind_core::instrument::Symbol;
use tradewind_wire::download::{DownloadError, Limits, download};
use tradewind_wire::v1;

use crate::csv::{CsvError, read_bars};
use crate::interval::Interval;
use crate::merge::{MergeError, merge};

/// One recording may be this large: some three million bars.
const LIMITS: Limits = Limits { bytes: 256 * 1024 * 1024, time: Duration::from_secs(120) };

/// Why recordings were not loaded.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The source was not fetched.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// The directory cannot be read.
    #[error("{path}: {source}")]
    Directory {
        /// Directory in question.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// There is no recording of a symbol, or more than one.
    #[error(
        "{path}: {found} files for symbol {symbol}, exactly one named {symbol}.csv or <venue>-{symbol}-<interval>-<period>.csv is needed"
    )]
    Files {
        /// Directory in question.
        path: PathBuf,
        /// Symbol wanted.
        symbol: Symbol,
        /// Files seen.
        found: usize,
    },
    /// A recording is wrong.
    #[error(transparent)]
    Csv(#[from] CsvError),
    /// Recordings do not go together.
    #[error(transparent)]
    Merge(#[from] MergeError),
}

impl SourceError {
    /// Whether the same source may have the files later.
    #[must_use]
    pub const fn may_answer_later(&self) -> bool {
        matches!(self, Self::Download(error) if error.may_answer_later())
    }
}

/// A place with recordings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Files named `<SYMBOL>.csv` or `<venue>-<SYMBOL>-<interval>-<period>.csv`.
    Directory(PathBuf),
    /// `<prefix>/<SYMBOL>.csv` behind `http://` or `https://`.
    Web(String),
}

impl FromStr for Source {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let web = text.starts_with("http://") || text.starts_with("https://");
        Ok(if web { Self::Web(text.trim_end_matches('/').to_owned()) } else { Self::Directory(text.into()) })
    }
}

/// Loads and merges the recordings of some symbols.
///
/// # Errors
/// [`SourceError`] of the first symbol that fails.
pub async fn load(source: &Source, symbols: &[Symbol], interval: Option<Interval>) -> Result<Vec<v1::Bar>, SourceError> {
    let mut recordings = Vec::new();
    for symbol in symbols {
        let (name, bytes) = match source {
            Source::Directory(path) => in_directory(path, symbol).await?,
            Source::Web(prefix) => {
                let uri = format!("{prefix}/{symbol}.csv");
                let bytes = download(&uri, LIMITS).await?;
                (format!("{symbol}.csv"), bytes)
            }
        };
        recordings.push(read_bars(&name, &bytes, symbol, interval)?);
    }
    Ok(merge(recordings)?)
}

async fn in_directory(path: &Path, symbol: &Symbol) -> Result<(String, Bytes), SourceError> {
    let unreadable = |source| SourceError::Directory { path: path.to_owned(), source };
    let (plain, part) = (format!("{symbol}.csv"), format!("-{symbol}-"));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
        if name == plain || (name.contains(&part) && name.ends_with(".csv")) {
            names.push(name);
        }
    }
    let [name] = names.as_slice() else {
        return Err(SourceError::Files { path: path.to_owned(), symbol: symbol.clone(), found: names.len() });
    };
    let bytes = download(&format!("file://{}", path.join(name).display()), LIMITS).await?;
    Ok((name.clone(), bytes))
}
