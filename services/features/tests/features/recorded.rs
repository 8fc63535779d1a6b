//! Recorded bars.

use std::path::Path;

use jiff::Timestamp;
use tradewind_core::time::Nanos;
use tradewind_features::strategic::Candle;

pub(crate) const MINUTE: i64 = 60_000_000_000;

/// Committed daily bars. They are numbered, so their closes are set a day after the label.
pub(crate) fn daily(symbol: &str) -> Vec<Candle> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/bars").join(format!("{symbol}.csv"));
    read(&std::fs::read(path).unwrap(), 24 * 60)
}

/// Bars of a recording, numbered from 0.
pub(crate) fn read(text: &[u8], minutes: i64) -> Vec<Candle> {
    let lines = std::str::from_utf8(text).unwrap().lines().skip(1);
    lines
        .enumerate()
        .map(|(index, line)| {
            let (stamp, figures) = line.split_once(',').unwrap();
            let opened = i64::try_from(stamp.parse::<Timestamp>().unwrap().as_nanosecond()).unwrap();
            let figures: Vec<f64> = figures.split(',').map(|figure| figure.parse().unwrap()).collect();
            let [open, high, low, close, volume] = figures[..] else { panic!("{line}") };
            let close_time = Nanos(opened + minutes * MINUTE);
            Candle { index: index as u64, close_time, open, high, low, close, volume }
        })
        .collect()
}
