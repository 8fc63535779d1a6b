//! Real bars: those of the repository always, more of them where they are at hand beside the checkout.

use std::path::{Path, PathBuf};

use tradewind_features::strategic::Candle;

use crate::recorded::read;

/// One recording.
pub(crate) struct Recording {
    pub(crate) name: String,
    pub(crate) bars: Vec<Candle>,
    /// Length of a bar, minutes; 0 for seconds.
    pub(crate) minutes: i64,
    /// Smallest price step.
    pub(crate) tick: f64,
}

/// The daily bars of the repository, then every CSV file beside the checkout.
pub(crate) fn recordings() -> Vec<Recording> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let daily = ["IXIC", "SPX"].map(|symbol| recording(&root.join("tests/fixtures/bars").join(format!("{symbol}.csv")), 1440));
    let mut files: Vec<PathBuf> = ["bundle", "tests"]
        .into_iter()
        .filter_map(|folder| std::fs::read_dir(root.join("../shared/data").join(folder)).ok())
        .flat_map(|entries| entries.map(|entry| entry.unwrap().path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "csv"))
        .collect();
    files.sort();
    let shared = files.iter().map(|path| recording(path, minutes(path)));
    let mut found: Vec<Recording> = Vec::new();
    for recording in daily.into_iter().chain(shared) {
        // The daily bars lie beside the checkout, too.
        if found.iter().all(|other| other.bars != recording.bars) {
            found.push(recording);
        }
    }
    found
}

fn recording(path: &Path, minutes: i64) -> Recording {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let tick = if name.starts_with("bittrex") { 1e-8 } else { 0.01 };
    Recording { bars: read(&std::fs::read(path).unwrap(), minutes), name, minutes, tick }
}

/// Length of a bar by the name of its file.
fn minutes(path: &Path) -> i64 {
    let name = path.file_stem().unwrap().to_string_lossy();
    let interval = name.split('-').find_map(|part| match part {
        "1s" => Some(0),
        "1m" => Some(1),
        "5m" => Some(5),
        "30m" => Some(30),
        "1d" => Some(1440),
        _ => None,
    });
    interval.unwrap_or_else(|| panic!("{name} does not say its interval"))
}
