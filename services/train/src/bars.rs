//! Recorded daily bars of the instruments to train on.

use std::path::{Path, PathBuf};

use tradewind_domain::bar::{Bar, BarError};
use tradewind_domain::instrument::{Instrument, InstrumentError, Symbol, Ticks};
use tradewind_domain::money::{Money, ParseMoneyError};
use tradewind_domain::time::{NANOS_PER_DAY, Nanos};

/// Why bars cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BarsError {
    /// The directory or file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// What was opened.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No file, or several, for a symbol.
    #[error("{directory}: {found} files named {symbol}.csv, exactly one is needed")]
    Files {
        /// Directory searched.
        directory: PathBuf,
        /// Symbol wanted.
        symbol: String,
        /// Files found.
        found: usize,
    },
    /// A line is not a bar.
    #[error("{path}, line {line}: {message}; expected ts_utc,open,high,low,close,volume")]
    Line {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// The symbol is not one.
    #[error(transparent)]
    Instrument(#[from] InstrumentError),
}

/// One instrument and all its bars, oldest first.
#[derive(Debug, Clone)]
pub struct Series {
    /// Tick 0.01, lot 1, point value 1.
    pub instrument: Instrument,
    /// Index from 0 without holes.
    pub bars: Vec<Bar>,
}

/// Reads `DIR/SYMBOL.csv` for each symbol.
///
/// # Errors
/// [`BarsError`] names file and line.
pub fn read(directory: &Path, symbols: &[String]) -> Result<Vec<Series>, BarsError> {
    symbols.iter().map(|symbol| series(directory, symbol)).collect()
}

fn series(directory: &Path, symbol: &str) -> Result<Series, BarsError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| BarsError::Io { path, source }
    };
    let instrument = Instrument::new(
        Symbol::try_from(symbol.to_owned())?,
        Money::from_nanos(10_000_000),
        Money::from_units(1),
        Money::from_units(1),
    )?;
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(io(directory))? {
        let path = entry.map_err(io(directory))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name == format!("{symbol}.csv") {
            paths.push(path);
        }
    }
    let [path] = paths.as_slice() else {
        return Err(BarsError::Files { directory: directory.to_owned(), symbol: symbol.to_owned(), found: paths.len() });
    };
    let text = std::fs::read_to_string(path).map_err(io(path))?;
    let mut bars = Vec::new();
    for (number, line) in text.lines().enumerate().skip(1) {
        let bar = parse(line, bars.len() as u64, &instrument);
        bars.push(bar.map_err(|message| BarsError::Line { path: path.clone(), line: number + 1, message })?);
    }
    Ok(Series { instrument, bars })
}

fn parse(line: &str, index: u64, instrument: &Instrument) -> Result<Bar, String> {
    let fields: Vec<&str> = line.split(',').collect();
    let [time, open, high, low, close, volume] = fields[..] else {
        return Err(format!("{} fields", fields.len()));
    };
    let open_time = Nanos(instant(time)?);
    let price = |text: &str| -> Result<Ticks, String> {
        let price: Money = text.parse().map_err(|error: ParseMoneyError| error.to_string())?;
        let nanos = i64::try_from(price.nanos()).map_err(|error| error.to_string())?;
        Ok(instrument.ticks_from_nanos(nanos))
    };
    let bar = Bar {
        index,
        open_time,
        close_time: Nanos(open_time.0 + NANOS_PER_DAY),
        open: price(open)?,
        high: price(high)?,
        low: price(low)?,
        close: price(close)?,
        volume: volume.parse().map_err(|error| format!("volume {volume:?}: {error}"))?,
    };
    bar.validate().map_err(|error: BarError| error.to_string())?;
    Ok(bar)
}

/// An instant such as `1999-01-04T00:00:00Z` in nanoseconds.
fn instant(text: &str) -> Result<i64, String> {
    let stamp: jiff::Timestamp = text.parse().map_err(|error| format!("{text:?}: {error}"))?;
    i64::try_from(stamp.as_nanosecond()).map_err(|error| error.to_string())
}

/// Start of a day such as `2007-01-01` in UTC.
///
/// # Errors
/// When it is not a date.
pub fn day(text: &str) -> Result<Nanos, String> {
    instant(&format!("{text}T00:00:00Z")).map(Nanos)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn files(lines: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let text = format!("ts_utc,open,high,low,close,volume\n{lines}");
        std::fs::write(directory.path().join("SPX.csv"), text).unwrap();
        directory
    }

    #[test]
    fn bars_are_read_in_ticks() {
        let directory = files("1999-01-04T00:00:00Z,1229.22998,1248.810059,1219.099976,1228.099976,877000000\n");
        let all = read(directory.path(), &["SPX".to_owned()]).unwrap();
        let bar = all[0].bars[0];
        assert_eq!((bar.open, bar.high, bar.low, bar.close), (Ticks(122_923), Ticks(124_881), Ticks(121_910), Ticks(122_810)));
        assert_eq!(bar.open_time, day("1999-01-04").unwrap());
        assert_eq!(bar.close_time, day("1999-01-05").unwrap());
    }

    #[test]
    fn faults_name_file_and_line() {
        for bad in
            ["1999-01-04T00:00:00Z,1,2,3", "x,1,1,1,1,1", "1999-01-04T00:00:00Z,5,4,3,4,1", "1999-01-04T00:00:00Z,1,1,1,1,NaN"]
        {
            let error = read(files(bad).path(), &["SPX".to_owned()]).unwrap_err().to_string();
            assert!(error.contains("SPX.csv") && error.contains("line 2"), "{error}");
        }
        let directory = files("");
        assert!(matches!(read(directory.path(), &["IXIC".to_owned()]), Err(BarsError::Files { found: 0, .. })));
    }
}
