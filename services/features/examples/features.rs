//! Prints every feature of a file of recorded bars, so that other programs can compare: first a line with the
//! names of the columns as a JSON list, then one row of little-endian f64 for each bar; NaN where nothing is known
//! yet.
//!
//!     features BARS.csv MINUTES TICK
//!
//! Columns of the file: `ts_utc` (opening instant), open, high, low, close, volume. The bars are taken as numbered:
//! what a pause in them means is no subject here.

use std::error::Error;
use std::io::{BufWriter, Write};

use tradewind_core::bar::Bar;
use tradewind_core::instrument::Ticks;
use tradewind_core::time::Nanos;
use tradewind_features::strategic::rsi::Rsi;
use tradewind_features::strategic::wma::Wma;
use tradewind_features::strategic::{self, BarClock, Candle, Snapshot, StrategicConfig, StrategicFeatures};
use tradewind_features::tactical::{self, FeatureState, TacticalConfig};

const NANOS_PER_MINUTE: i64 = 60_000_000_000;

/// What is printed beside the two matrices.
const READINGS: [&str; 32] = [
    "tick_open",
    "tick_high",
    "tick_low",
    "tick_close",
    "wma_5",
    "wma_20",
    "rsi_5",
    "rsi_20",
    "atr",
    "fast",
    "slow",
    "event",
    "mlmi",
    "mlmi_average",
    "estimate",
    "slope",
    "slope_signal",
    "node_level",
    "node_strength",
    "momentum_20",
    "momentum_50",
    "deviation",
    "volatility",
    "mmd_squared",
    "mmd_sigma",
    "skew",
    "gap_bullish",
    "gap_bearish",
    "gap_level",
    "gap_age",
    "gap_mitigated",
    "tactical_atr",
];

/// Averages and indices that the features use inside.
struct Blocks {
    wma: [Wma; 2],
    rsi: [Rsi; 2],
}

impl Blocks {
    fn push(&mut self, close: f64) -> [f64; 4] {
        let [short, long] = [0, 1].map(|i| self.wma[i].push(close).unwrap_or(f64::NAN));
        let [fast, slow] = [0, 1].map(|i| self.rsi[i].push(close).unwrap_or(f64::NAN));
        [short, long, fast, slow]
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, minutes, tick] = &arguments[..] else { return Err("usage: features BARS.csv MINUTES TICK".into()) };
    let candles = read(&std::fs::read_to_string(file)?, minutes.parse()?)?;
    let tick: f64 = tick.parse()?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let model = strategic::SCHEMA.columns.iter().map(|name| format!("strategic.{name}"));
    let tactical = tactical::SCHEMA.columns.iter().map(|name| format!("tactical.{name}"));
    let names: Vec<String> = READINGS.into_iter().map(String::from).chain(model).chain(tactical).collect();
    writeln!(out, "{}", serde_json::to_string(&names)?)?;
    let mut slow = StrategicFeatures::new(&StrategicConfig::default(), BarClock::Numbered)?;
    let mut quick = FeatureState::new(&TacticalConfig::default());
    let mut blocks = Blocks { wma: [Wma::new(5), Wma::new(20)], rsi: [Rsi::new(5), Rsi::new(20)] };
    for candle in &candles {
        let bar = in_ticks(candle, tick);
        quick.push(&bar)?;
        let averages = blocks.push(candle.close);
        let snapshot = slow.push(candle)?;
        let mut row: Vec<f64> = [bar.open, bar.high, bar.low, bar.close].map(|price| price.0 as f64).into();
        row.extend(averages);
        row.extend(readings(snapshot));
        row.extend(gaps(&quick, bar.index)?);
        row.extend(snapshot.row.unwrap_or([f64::NAN; strategic::COLUMNS]));
        row.extend(tactical_row(&quick, bar.index));
        for value in row {
            out.write_all(&value.to_le_bytes())?;
        }
    }
    Ok(out.flush()?)
}

/// From `atr` to `skew`.
fn readings(snapshot: &Snapshot) -> [f64; 18] {
    let known = |value: Option<f64>| value.unwrap_or(f64::NAN);
    let readings = &snapshot.readings;
    let (mlmi, nwrqk, node) = (readings.mlmi, readings.nwrqk, readings.lvn.and_then(|lvn| lvn.node));
    [
        known(readings.atr),
        known(mlmi.map(|mlmi| mlmi.fast)),
        known(mlmi.map(|mlmi| mlmi.slow)),
        known(mlmi.map(|mlmi| f64::from(mlmi.event))),
        known(mlmi.map(|mlmi| mlmi.value)),
        known(mlmi.and_then(|mlmi| mlmi.average)),
        known(nwrqk.map(|nwrqk| nwrqk.value)),
        known(nwrqk.and_then(|nwrqk| nwrqk.slope)),
        known(nwrqk.map(|nwrqk| f64::from(nwrqk.signal))),
        known(node.map(|node| node.level)),
        known(node.map(|node| node.strength)),
        known(readings.momentum_20),
        known(readings.momentum_50),
        known(readings.volatility.map(|volatility| volatility.deviation)),
        known(readings.volatility.map(|volatility| volatility.ratio)),
        known(readings.mmd.map(|mmd| mmd.squared)),
        known(readings.mmd.map(|mmd| mmd.sigma)),
        known(readings.skew),
    ]
}

/// From `gap_bullish` to `tactical_atr`.
fn gaps(state: &FeatureState, index: u64) -> Result<[f64; 6], Box<dyn Error>> {
    let snapshot = state.snapshot(index).ok_or("the newest bar is unknown")?;
    let raw = snapshot.raw;
    let flag = |on: bool| f64::from(u8::from(on));
    Ok([
        flag(raw.fvg_bullish_active),
        flag(raw.fvg_bearish_active),
        raw.fvg_nearest_level as f64,
        raw.fvg_age as f64,
        flag(raw.fvg_mitigation_signal),
        snapshot.atr_ticks.unwrap_or(f64::NAN),
    ])
}

fn tactical_row(state: &FeatureState, index: u64) -> [f64; tactical::COLUMNS] {
    let newest = state.matrix(index).map(|matrix| matrix[tactical::ROWS - 1]);
    newest.map_or([f64::NAN; tactical::COLUMNS], |row| row.map(f64::from))
}

fn in_ticks(candle: &Candle, tick: f64) -> Bar {
    let ticks = |price: f64| Ticks((price / tick).round() as i64);
    let [open, high, low, close] = [candle.open, candle.high, candle.low, candle.close].map(ticks);
    let time = candle.close_time;
    Bar { index: candle.index, open_time: time, close_time: time, open, high, low, close, volume: candle.volume }
}

fn read(text: &str, minutes: i64) -> Result<Vec<Candle>, Box<dyn Error>> {
    let bar = |(index, line): (usize, &str)| -> Result<Candle, Box<dyn Error>> {
        let (stamp, figures) = line.split_once(',').ok_or("a line without a comma")?;
        let figures: Vec<f64> = figures.split(',').map(str::parse).collect::<Result<_, _>>()?;
        let [open, high, low, close, volume] = figures[..] else { return Err(format!("six columns wanted: {line}").into()) };
        let opened: jiff::Timestamp = stamp.parse()?;
        let close_time = Nanos(opened.as_second() * 1_000_000_000 + minutes * NANOS_PER_MINUTE);
        Ok(Candle { index: index as u64, close_time, open, high, low, close, volume })
    };
    text.lines().skip(1).enumerate().map(bar).collect()
}
