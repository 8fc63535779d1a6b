//! Recorded bars of the instruments to train on.

use std::path::{Path, PathBuf};

use tradewind_core::bar::Bar;
use tradewind_core::calendar::CalendarName;
use tradewind_core::instrument::{Instrument, InstrumentError, Symbol};
use tradewind_core::money::Money;
use tradewind_core::time::Nanos;
use tradewind_market::{CsvError, read_bars};
use tradewind_wire::convert::{ConvertError, bar_from_wire};

/// Why bars cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BarsError {
    /// The file cannot be read.
    #[error("{path}: {source}; give a directory with one SYMBOL.csv for each symbol")]
    Io {
        /// What was opened.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The recording is refused.
    #[error(transparent)]
    Csv(#[from] CsvError),
    /// A bar is impossible.
    #[error(transparent)]
    Bar(#[from] ConvertError),
    /// The symbol is not one.
    #[error(transparent)]
    Instrument(#[from] InstrumentError),
}

/// One instrument and all its bars, oldest first.
#[derive(Debug, Clone)]
pub struct Series {
    /// Tick 0.01, lot 1, point value 1.
    pub instrument: Instrument,
    /// When its market is open.
    pub calendar: CalendarName,
    /// Index from 0 without holes.
    pub bars: Vec<Bar>,
}

/// Reads `DIR/SYMBOL.csv` for each symbol of markets of this calendar, with the reader that feeds the cluster.
///
/// # Errors
/// [`BarsError`] names file and line.
pub fn read(directory: &Path, symbols: &[String], calendar: CalendarName) -> Result<Vec<Series>, BarsError> {
    symbols.iter().map(|symbol| series(directory, symbol, calendar)).collect()
}

fn series(directory: &Path, symbol: &str, calendar: CalendarName) -> Result<Series, BarsError> {
    let symbol = Symbol::try_from(symbol.to_owned())?;
    let name = format!("{symbol}.csv");
    let path = directory.join(&name);
    let bytes = std::fs::read(&path).map_err(|source| BarsError::Io { path, source })?;
    let recorded = read_bars(&name, &bytes, &symbol, None)?;
    let instrument = Instrument::new(symbol, Money::from_nanos(10_000_000), Money::from_units(1), Money::from_units(1))?;
    let bars = recorded.iter().map(|bar| bar_from_wire(bar, &instrument)).collect::<Result<_, _>>()?;
    Ok(Series { instrument, calendar, bars })
}

/// Start of a day such as `2007-01-01` in UTC.
///
/// # Errors
/// When it is not a date.
pub fn day(text: &str) -> Result<Nanos, String> {
    let stamp: jiff::Timestamp = format!("{text}T00:00:00Z").parse().map_err(|error| format!("{text:?}: {error}"))?;
    i64::try_from(stamp.as_nanosecond()).map(Nanos).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use tradewind_core::instrument::Ticks;

    fn fixtures() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/bars")
    }

    #[test]
    fn twenty_years_of_two_indices_in_ticks() {
        let all = read(&fixtures(), &["SPX".to_owned(), "IXIC".to_owned()], CalendarName::Xnys).unwrap();
        assert_eq!(all.iter().map(|one| one.bars.len()).collect::<Vec<_>>(), [5031, 5031]);
        let bar = all[0].bars[0];
        assert_eq!((bar.open, bar.high, bar.low, bar.close), (Ticks(122_923), Ticks(124_881), Ticks(121_910), Ticks(122_810)));
        assert_eq!((bar.open_time, bar.close_time), (day("1999-01-04").unwrap(), day("1999-01-05").unwrap()));
    }

    #[test]
    fn faults_name_the_file() {
        let error = read(&fixtures(), &["DAX".to_owned()], CalendarName::Xetr).unwrap_err().to_string();
        assert!(error.contains("DAX.csv"), "{error}");
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("SPX.csv"), "ts_utc,open,high,low,close,volume\n1999-01-04T00:00:00Z,5,4,3,4,1\n")
            .unwrap();
        let error = read(directory.path(), &["SPX".to_owned()], CalendarName::Xnys).unwrap_err().to_string();
        assert!(error.contains("SPX.csv, line 2"), "{error}");
    }
}
