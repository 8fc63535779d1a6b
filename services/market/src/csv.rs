//! Reading recorded bars. What is not exactly as it should be is refused with its place.

use csv::{ByteRecord, ReaderBuilder};
use jiff::Timestamp;
use tradewind_core::instrument::Symbol;
use tradewind_core::money::Money;
use tradewind_wire::v1;

use crate::interval::Interval;

/// The header line.
pub const HEADER: [&str; 6] = ["ts_utc", "open", "high", "low", "close", "volume"];

/// Why a recording is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CsvError {
    /// The file is no CSV of six columns.
    #[error("{file}, line {line}: {detail}")]
    Form {
        /// File in question.
        file: String,
        /// Line, from 1.
        line: u64,
        /// What is wrong.
        detail: String,
    },
    /// The first line is not the header.
    #[error("{file}, line 1: the header is '{found}', it must be 'ts_utc,open,high,low,close,volume'")]
    Header {
        /// File in question.
        file: String,
        /// Header seen.
        found: String,
    },
    /// A value is not one, or cannot be in a bar.
    #[error("{file}, line {line}, column {column}: '{value}' must be {allowed}")]
    Value {
        /// File in question.
        file: String,
        /// Line, from 1.
        line: u64,
        /// Name of the column.
        column: &'static str,
        /// Value seen.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// There is no bar in the file, or only one and no interval is given.
    #[error("{file}: {rows} rows, at least {needed} are needed{hint}")]
    TooShort {
        /// File in question.
        file: String,
        /// Rows seen.
        rows: usize,
        /// Rows needed.
        needed: usize,
        /// What else would help.
        hint: &'static str,
    },
}

/// Prices as columns 1 to 4 of the header.
const PRICES: [usize; 4] = [1, 2, 3, 4];

/// Reads the bars of one symbol from the bytes of a file.
///
/// The header must be [`HEADER`]; `ts_utc` the opening instant in UTC, strictly ascending and on
/// the interval's grid; prices decimals with at most nine places, `0 < low <= min(open, close)`,
/// `high >= max(open, close)`; volume finite and at least 0. A bar is known at `ts_utc` plus
/// interval. The interval is the one given, or the one in the file's name, or the smallest step
/// between rows.
///
/// # Errors
/// [`CsvError`] names file, line, column and value of the first fault.
pub fn read_bars(file: &str, bytes: &[u8], symbol: &Symbol, interval: Option<Interval>) -> Result<Vec<v1::Bar>, CsvError> {
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(false).from_reader(bytes);
    let mut rows = Rows { file, symbol, line: 0 };
    let mut bars: Vec<v1::Bar> = Vec::new();
    let mut record = ByteRecord::new();
    loop {
        let more = reader.read_byte_record(&mut record);
        let line = record.position().map_or(rows.line + 1, csv::Position::line);
        rows.line = line;
        match more {
            Err(error) => return Err(CsvError::Form { file: file.to_owned(), line, detail: error.to_string() }),
            Ok(false) => break,
            Ok(true) if line == 1 => rows.header(&record)?,
            Ok(true) => {
                let bar = rows.bar(&record, bars.len() as u64)?;
                if let Some(last) = bars.last().filter(|last| last.open_time_ns >= bar.open_time_ns) {
                    let allowed = format!("after the row before it ({})", instant(last.open_time_ns));
                    return Err(rows.wrong(&record, 0, allowed));
                }
                bars.push(bar);
            }
        }
    }
    let interval = rows.interval(&bars, interval)?;
    for (bar, line) in bars.iter_mut().zip(2..) {
        if bar.open_time_ns % interval.nanos() != 0 {
            let (file, value) = (file.to_owned(), instant(bar.open_time_ns));
            return Err(CsvError::Value { file, line, column: HEADER[0], value, allowed: format!("on the grid of {interval}") });
        }
        bar.close_time_ns = bar.open_time_ns + interval.nanos();
    }
    Ok(bars)
}

struct Rows<'a> {
    file: &'a str,
    symbol: &'a Symbol,
    line: u64,
}

impl Rows<'_> {
    fn header(&self, record: &ByteRecord) -> Result<(), CsvError> {
        if record.iter().eq(HEADER.map(str::as_bytes)) {
            return Ok(());
        }
        let found = record.iter().map(String::from_utf8_lossy).collect::<Vec<_>>().join(",");
        Err(CsvError::Header { file: self.file.to_owned(), found })
    }

    fn bar(&self, record: &ByteRecord, index: u64) -> Result<v1::Bar, CsvError> {
        if record.len() != HEADER.len() {
            let detail = format!("{} columns, {} are needed", record.len(), HEADER.len());
            return Err(CsvError::Form { file: self.file.to_owned(), line: self.line, detail });
        }
        let open_time_ns = self.time(record)?;
        let mut prices = [0; 4];
        for (price, column) in prices.iter_mut().zip(PRICES) {
            *price = self.price(record, column)?;
        }
        let [open_nanos, high_nanos, low_nanos, close_nanos] = prices;
        if low_nanos > open_nanos.min(close_nanos) {
            return Err(self.wrong(record, 3, "at most open and close".into()));
        }
        if high_nanos < open_nanos.max(close_nanos) {
            return Err(self.wrong(record, 2, "at least open and close".into()));
        }
        let volume = self.text(record, 5).and_then(|text| text.parse().ok()).filter(|v: &f64| v.is_finite() && *v >= 0.0);
        let volume = volume.ok_or_else(|| self.wrong(record, 5, "a finite number of at least 0".into()))?;
        let symbol = self.symbol.to_string();
        // The close is set once the interval is known.
        let close_time_ns = open_time_ns;
        Ok(v1::Bar { symbol, index, open_time_ns, close_time_ns, open_nanos, high_nanos, low_nanos, close_nanos, volume })
    }

    fn time(&self, record: &ByteRecord) -> Result<i64, CsvError> {
        let text = self.text(record, 0).filter(|text| text.ends_with('Z'));
        let nanos = text.and_then(|text| text.parse::<Timestamp>().ok()).and_then(|at| i64::try_from(at.as_nanosecond()).ok());
        nanos.ok_or_else(|| self.wrong(record, 0, "an instant in UTC like 1999-01-04T00:00:00Z".into()))
    }

    fn price(&self, record: &ByteRecord, column: usize) -> Result<i64, CsvError> {
        let amount = self.text(record, column).and_then(|text| text.parse::<Money>().ok());
        let nanos = amount.and_then(|amount| i64::try_from(amount.nanos()).ok()).filter(|&nanos| nanos > 0);
        let allowed = "a decimal above 0 with at most nine places, below 9223372036";
        nanos.ok_or_else(|| self.wrong(record, column, allowed.into()))
    }

    fn text<'r>(&self, record: &'r ByteRecord, column: usize) -> Option<&'r str> {
        record.get(column).and_then(|field| std::str::from_utf8(field).ok())
    }

    fn wrong(&self, record: &ByteRecord, column: usize, allowed: String) -> CsvError {
        let value = String::from_utf8_lossy(record.get(column).unwrap_or_default()).into_owned();
        CsvError::Value { file: self.file.to_owned(), line: self.line, column: HEADER[column], value, allowed }
    }

    /// The interval given, or stated by the file's name, or the smallest step.
    fn interval(&self, bars: &[v1::Bar], given: Option<Interval>) -> Result<Interval, CsvError> {
        let short = |needed, hint| CsvError::TooShort { file: self.file.to_owned(), rows: bars.len(), needed, hint };
        if bars.is_empty() {
            return Err(short(1, ""));
        }
        if let Some(interval) = given.or_else(|| Interval::in_file_name(self.file)) {
            return Ok(interval);
        }
        let step = bars.windows(2).map(|pair| pair[1].open_time_ns - pair[0].open_time_ns).min();
        let step = step.ok_or_else(|| short(2, " to tell the interval; state it with --interval"))?;
        Interval::from_nanos(step.min(Interval::DAY.nanos())).map_err(|error| CsvError::Form {
            file: self.file.to_owned(),
            line: 2,
            detail: format!("the smallest step between rows is no interval ({error}); state it with --interval"),
        })
    }
}

fn instant(nanos: i64) -> String {
    Timestamp::from_nanosecond(i128::from(nanos)).map_or_else(|_| nanos.to_string(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    const HEAD: &str = "ts_utc,open,high,low,close,volume\n";
    const ROWS: [&str; 3] = [
        "1999-01-04T00:00:00Z,1229.22998,1248.810059,1219.099976,1228.099976,877000000",
        "1999-01-05T00:00:00Z,1228.1,1246.11,1228.1,1244.78,775000000.5",
        "1999-01-08T00:00:00Z,1,1,1,1,0",
    ];

    fn read(text: &str, interval: Option<&str>) -> Result<Vec<v1::Bar>, CsvError> {
        let symbol = Symbol::try_from("SPX".to_owned()).unwrap();
        read_bars("SPX.csv", text.as_bytes(), &symbol, interval.map(|text| text.parse().unwrap()))
    }

    fn file(rows: &[&str]) -> String {
        format!("{HEAD}{}\n", rows.join("\n"))
    }

    #[test]
    fn bars_are_known_one_interval_after_their_opening() {
        let bars = read(&file(&ROWS), None).unwrap();
        assert_eq!(bars.len(), 3);
        let first = &bars[0];
        assert_eq!((first.open_nanos, first.low_nanos, first.volume), (1_229_229_980_000, 1_219_099_976_000, 877_000_000.0));
        assert_eq!(first.open_time_ns, 915_408_000_000_000_000);
        assert_eq!(first.close_time_ns - first.open_time_ns, 86_400_000_000_000);
        assert_eq!(bars.iter().map(|bar| bar.index).collect::<Vec<_>>(), [0, 1, 2]);
        let hourly = read(&file(&ROWS[..1]), Some("1h")).unwrap();
        assert_eq!(hourly[0].close_time_ns - hourly[0].open_time_ns, 3_600_000_000_000);
    }

    #[test]
    fn every_wrong_value_is_named_with_its_place() {
        let day = "1999-01-05T00:00:00Z";
        for (row, column, value) in [
            ("1999-01-04T00:00:00Z,1,1,1,1,0".to_owned(), "ts_utc", "1999-01-04T00:00:00Z"),
            ("1999-01-03T00:00:00Z,1,1,1,1,0".to_owned(), "ts_utc", "1999-01-03T00:00:00Z"),
            ("1999-01-05T00:00:00+00:00,1,1,1,1,0".to_owned(), "ts_utc", "1999-01-05T00:00:00+00:00"),
            ("1999-01-05,1,1,1,1,0".to_owned(), "ts_utc", "1999-01-05"),
            (format!("{day},0,1,1,1,0"), "open", "0"),
            (format!("{day},1,-1,1,1,0"), "high", "-1"),
            (format!("{day},1,1,NaN,1,0"), "low", "NaN"),
            (format!("{day},1,1,1,1e3,0"), "close", "1e3"),
            (format!("{day},1,1,1,0.0000000001,0"), "close", "0.0000000001"),
            (format!("{day},2,3,2.5,3,0"), "low", "2.5"),
            (format!("{day},2,2.5,2,3,0"), "high", "2.5"),
            (format!("{day},9300000000,9300000000,1,1,0"), "open", "9300000000"),
            (format!("{day},1,1,1,1,-1"), "volume", "-1"),
            (format!("{day},1,1,1,1,inf"), "volume", "inf"),
            (format!("{day},1,1,1,1,"), "volume", ""),
        ] {
            let error = read(&file(&[ROWS[0], &row]), None).unwrap_err();
            let CsvError::Value { file, line: 3, column: found, value: seen, .. } = &error else { panic!("{row}: {error}") };
            assert_eq!((file.as_str(), *found, seen.as_str()), ("SPX.csv", column, value), "{row}");
        }
    }

    #[test]
    fn the_grid_is_that_of_the_interval() {
        let text = file(&["1999-01-04T00:05:00Z,1,1,1,1,0", "1999-01-04T00:12:00Z,1,1,1,1,0"]);
        assert_eq!(read(&text, Some("1m")).unwrap().len(), 2);
        let error = read(&text, Some("5m")).unwrap_err();
        assert!(
            matches!(&error, CsvError::Value { line: 3, column: "ts_utc", .. }) && error.to_string().contains("5m"),
            "{error}"
        );
    }

    #[test]
    fn files_that_are_no_recording_are_refused() {
        assert!(matches!(read("", None), Err(CsvError::TooShort { rows: 0, needed: 1, .. })));
        assert!(matches!(read(HEAD, None), Err(CsvError::TooShort { rows: 0, needed: 1, .. })));
        assert!(matches!(read(&file(&ROWS[..1]), None), Err(CsvError::TooShort { rows: 1, needed: 2, .. })));
        assert!(matches!(read("time,o,h,l,c,v\n", None), Err(CsvError::Header { .. })));
        assert!(matches!(read(&file(&["1999-01-04T00:00:00Z,1,1,1,1"]), None), Err(CsvError::Form { line: 2, .. })));
        let text = file(&["1999-01-04T00:00:00.5Z,1,1,1,1,0", "1999-01-04T00:00:00.75Z,1,1,1,1,0"]);
        assert!(matches!(read(&text, None), Err(CsvError::Form { .. })));
    }
}
