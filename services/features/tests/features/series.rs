//! Bars that are generated, joined or not part of the repository.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tradewind_core::bar::Bar;
use tradewind_core::instrument::Ticks;
use tradewind_core::time::Nanos;
use tradewind_features::strategic::Candle;

use crate::recorded::{MINUTE, read};

/// 2025-01-06 00:00 UTC, a Monday.
const START: i64 = 1_736_121_600_000_000_000;

/// The generated series of strategic-1, section 21.2.
pub(crate) fn generated(count: usize) -> Vec<Candle> {
    let close = |t: f64| {
        let turns = std::f64::consts::TAU * t;
        100.0 + 0.05 * t + 2.0 * libm::sin(turns / 17.0) + 0.7 * libm::cos(turns / 5.0) + 0.4 * libm::sin(0.91 * t)
    };
    (0..count)
        .map(|t| {
            let open = if t == 0 { 100.0 } else { close(t as f64 - 1.0) };
            let close = close(t as f64);
            Candle {
                index: t as u64,
                close_time: Nanos(START + 30 * (t as i64 + 1) * MINUTE),
                open,
                high: open.max(close) + 0.3 + 0.1 * ((7 * t) % 5) as f64,
                low: open.min(close) - 0.3 - 0.1 * ((3 * t) % 4) as f64,
                close,
                volume: 1000.0 + 100.0 * ((13 * t) % 7) as f64,
            }
        })
        .collect()
}

/// Intraday bars that are not part of the repository; `None`, with a message, where they are not at hand.
pub(crate) fn intraday(name: &str, sha256: &str, minutes: i64) -> Option<Vec<Candle>> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/tests").join(name);
    let Ok(bytes) = std::fs::read(&path) else {
        println!("skipped: {name} is not at hand (it lies outside of the repository)");
        return None;
    };
    assert_eq!(hex::encode(Sha256::digest(&bytes)), sha256, "{name} is another file");
    Some(read(&bytes, minutes))
}

/// Joins complete groups of shorter bars, so many each, to 30-minute bars.
pub(crate) fn half_hours(bars: &[Candle], each: usize) -> Vec<Candle> {
    let half_hour = |candle: &Candle| (candle.close_time.0 - 1) / (30 * MINUTE);
    let groups = bars.chunk_by(|a, b| half_hour(a) == half_hour(b)).filter(|group| group.len() == each);
    groups
        .enumerate()
        .map(|(index, group)| Candle {
            index: index as u64,
            close_time: group[each - 1].close_time,
            open: group[0].open,
            high: group.iter().map(|bar| bar.high).fold(0.0, f64::max),
            low: group.iter().map(|bar| bar.low).fold(f64::INFINITY, f64::min),
            close: group[each - 1].close,
            volume: group.iter().map(|bar| bar.volume).sum(),
        })
        .collect()
}

/// Numbers bars anew from 0.
pub(crate) fn numbered(bars: &[Candle]) -> Vec<Candle> {
    (0..).zip(bars).map(|(index, bar)| Candle { index, ..*bar }).collect()
}

/// The same bars in ticks.
pub(crate) fn in_ticks(bars: &[Candle], tick: f64) -> Vec<Bar> {
    let ticks = |price: f64| Ticks((price / tick).round() as i64);
    let bar = |candle: &Candle| {
        let [open, high, low, close] = [candle.open, candle.high, candle.low, candle.close].map(ticks);
        let time = candle.close_time;
        Bar { index: candle.index, open_time: time, close_time: time, open, high, low, close, volume: candle.volume }
    };
    bars.iter().map(bar).collect()
}
