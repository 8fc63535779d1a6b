//! A row depends on its bar and earlier ones only, and on nothing else (ST-17).

use std::sync::LazyLock;

use tradewind_core::time::Nanos;
use tradewind_features::strategic::{BarClock, COLUMNS, Candle, RETAINED, StrategicConfig, StrategicFeatures};

use super::definition::Definition;
use crate::recorded::{MINUTE, daily};
use crate::recordings::{Recording, recordings};
use crate::series::{generated, half_hours, intraday, numbered};

const FIRST_ROW: usize = 546;

fn fresh(clock: BarClock) -> StrategicFeatures {
    StrategicFeatures::new(&StrategicConfig::default(), clock).unwrap()
}

/// The bits of every row as it was streamed, and the state after the last bar.
struct Run {
    bars: Vec<Candle>,
    rows: Vec<Option<[u64; COLUMNS]>>,
    state: StrategicFeatures,
}

fn bits(state: &StrategicFeatures, index: u64) -> Option<[u64; COLUMNS]> {
    state.snapshot(index).unwrap().row.map(|row| row.map(f64::to_bits))
}

fn run(bars: Vec<Candle>, clock: BarClock) -> Run {
    let mut state = fresh(clock);
    let mut take = |bar: &Candle| {
        state.push(bar).unwrap();
        bits(&state, bar.index)
    };
    let rows = bars.iter().map(&mut take).collect();
    Run { bars, rows, state }
}

static SPX: LazyLock<Run> = LazyLock::new(|| run(daily("SPX"), BarClock::Numbered));

/// What later bars might look like instead.
fn other_future(bars: &[Candle], cut: usize) -> impl Iterator<Item = Candle> {
    bars[cut + 1..].iter().take(20).enumerate().map(|(i, bar)| {
        let factor = if i % 3 == 0 { 1.7 } else { 0.4 };
        let [open, high, low, close] = [bar.open, bar.high, bar.low, bar.close].map(|price| price * factor);
        Candle { open, high, low, close, volume: bar.volume * 9.0 + 1.0, ..*bar }
    })
}

/// Real bars as the strategic stage takes them: daily, or joined to half hours with their pauses.
fn strategic_recordings() -> Vec<(String, Vec<Candle>, BarClock)> {
    let strategic = |recording: Recording| match recording.minutes {
        1 => (recording.name, half_hours(&recording.bars, 30), BarClock::default()),
        5 => (recording.name, half_hours(&recording.bars, 6), BarClock::default()),
        30 => (recording.name, recording.bars, BarClock::default()),
        _ => (recording.name, recording.bars, BarClock::Numbered),
    };
    recordings().into_iter().map(strategic).collect()
}

/// ST-17, ST-148: on every recording, after cuts all over it, every remembered row keeps its bits whatever comes later; a
/// copy that sees what really came is never apart from the original. Reading all rows and matrices at the end gives what
/// streaming gave.
#[test]
fn another_future_changes_no_row() {
    for (name, bars, clock) in strategic_recordings() {
        let (mut state, mut rows) = (fresh(clock), Vec::new());
        // Rows of other futures and of copies by their bars, to be compared once the real ones are known.
        let (mut others, mut copies) = (Vec::new(), Vec::new());
        let step = (bars.len() / 16).max(1);
        for (cut, bar) in bars.iter().enumerate() {
            state.push(bar).unwrap();
            rows.push(bits(&state, bar.index));
            if cut % step != 0 {
                continue;
            }
            let (mut other, mut copy) = (state.clone(), state.clone());
            for (bar, really) in other_future(&bars, cut).zip(&bars[cut + 1..]) {
                other.push(&bar).unwrap();
                others.push((bar.index as usize, bits(&other, bar.index)));
                copy.push(really).unwrap();
                copies.push((bar.index as usize, bits(&copy, bar.index)));
            }
            let oldest = (other.next_index() as usize).saturating_sub(RETAINED);
            for (index, row) in rows.iter().enumerate().skip(oldest) {
                assert_eq!(bits(&other, index as u64), *row, "{name}: bar {index} after {cut}");
            }
            if let Some(matrix) = state.matrix(cut as u64) {
                assert_eq!(other.matrix(cut as u64), Some(matrix), "{name}: bar {cut}");
            }
        }
        copies.iter().for_each(|(index, row)| assert_eq!(*row, rows[*index], "{name}: bar {index}"));
        let known = others.iter().filter(|(index, _)| rows[*index].is_some()).count();
        let differ = others.iter().filter(|(index, row)| rows[*index].is_some() && *row != rows[*index]).count();
        assert!(differ >= known * 9 / 10, "{name}: {differ} of {known} rows differ, the other future is no other");
        batch_equals(&name, &state, &rows);
    }
}

fn batch_equals(name: &str, state: &StrategicFeatures, rows: &[Option<[u64; COLUMNS]>]) {
    for index in rows.len().saturating_sub(RETAINED)..rows.len() {
        assert_eq!(bits(state, index as u64), rows[index], "{name}: bar {index}");
        let Some(matrix) = state.matrix(index as u64) else { continue };
        for (seen, wanted) in matrix.iter().zip(&rows[index + 1 - matrix.len()..]) {
            assert_eq!(*seen, wanted.unwrap().map(|bits| f64::from_bits(bits) as f32), "{name}: bar {index}");
        }
    }
}

/// A process that stops and reads the stream again from its first bar goes on as if it had never stopped.
#[test]
fn a_restart_changes_no_row() {
    let run = &*SPX;
    for stopped in [200, 560, 900] {
        let mut state = fresh(BarClock::Numbered);
        for bar in &run.bars[..stopped] {
            state.push(bar).unwrap();
        }
        // What the restarted process reads again, then what it did not see before.
        for bar in &run.bars[stopped..stopped + 60] {
            state.push(bar).unwrap();
        }
        for index in 0..stopped + 60 {
            assert_eq!(bits(&state, index as u64), run.rows[index], "bar {index}");
        }
    }
}

/// Every column of real bars against its definition, computed from the whole history by other code.
fn agrees_with_the_definition(run: &Run, hidden: &[bool], step: usize) {
    let definition = Definition::new(&run.bars, hidden);
    let mut checked = 0;
    for t in (FIRST_ROW + 1..run.bars.len()).step_by(step) {
        let row = run.rows[t].unwrap().map(f64::from_bits);
        for (column, (seen, wanted)) in row.into_iter().zip(definition.row(t)).enumerate() {
            assert!((seen - wanted).abs() < 1e-9, "bar {t}, column {column}: {seen} instead of {wanted}");
        }
        checked += 1;
    }
    assert!(checked > 40, "{checked} rows are too few to tell");
}

/// ST-37 and every other column: incremental equals full to 1e-9 on twenty years of daily bars.
#[test]
fn daily_bars_follow_the_definition() {
    let hidden = vec![false; SPX.bars.len()];
    agrees_with_the_definition(&SPX, &hidden, 61);
    let signals = (FIRST_ROW..SPX.bars.len()).filter(|t| f64::from_bits(SPX.rows[*t].unwrap()[1]) != 0.0).count();
    assert!(signals > 200, "{signals} signals in {} bars", SPX.bars.len());
}

/// The same for the other index, which has days without volume.
#[test]
fn days_without_volume_follow_the_definition() {
    let bars: Vec<Candle> = daily("IXIC").into_iter().take(2500).collect();
    let run = run(bars, BarClock::Numbered);
    agrees_with_the_definition(&run, &vec![false; run.bars.len()], 37);
}

/// ST-148: prices and volumes times eight leave every column bit-identical.
#[test]
fn scale_is_of_no_account() {
    let bars = generated(700);
    let plain = run(bars.clone(), BarClock::default());
    let times = |prices: f64, volume: f64| {
        let scaled = bars.iter().map(|bar| {
            let [open, high, low, close] = [bar.open, bar.high, bar.low, bar.close].map(|price| price * prices);
            Candle { open, high, low, close, volume: bar.volume * volume, ..*bar }
        });
        run(scaled.collect(), BarClock::default()).rows
    };
    assert_eq!(times(8.0, 1.0), plain.rows);
    assert_eq!(times(1.0, 8.0), plain.rows);
    assert_eq!(plain.rows.iter().flatten().count(), 700 - FIRST_ROW);
}

/// The generated bars with `missing` bars left out before bar `at`.
fn with_hole(count: usize, at: usize, missing: i64) -> Vec<Candle> {
    let mut bars = generated(count);
    for bar in &mut bars[at..] {
        bar.close_time = Nanos(bar.close_time.0 + 30 * missing * MINUTE);
    }
    bars
}

/// ST-18: 49 missing bars start the warm-up anew, which equals a process that saw nothing before.
#[test]
fn a_long_gap_starts_anew() {
    let bars = with_hole(1300, 650, 49);
    let whole = run(bars.clone(), BarClock::default());
    let after = run(numbered(&bars[650..]), BarClock::default());
    assert_eq!(whole.rows[650..], after.rows[..]);
    assert!(whole.rows[649].is_some() && whole.rows[650].is_none() && whole.rows[650 + FIRST_ROW].is_some());
    let (whole, after) = (&whole.state, &after.state);
    for index in 650..1300 {
        assert_eq!(whole.matrix(index), after.matrix(index - 650), "bar {index}");
    }
    assert!(whole.matrix(649).is_some(), "the past stays known");
    assert_eq!(whole.matrix(650 + 592), None);
    assert_eq!(whole.window(650 + 575).unwrap().len(), 30);
}

/// ST-18: up to 48 missing bars invent no row; two or more hide the crossing that lies between.
#[test]
fn a_short_gap_hides_a_crossing() {
    // Bar 61 has a crossing, a signal and a change of sign on the generated series.
    let at_61 = |missing: i64| {
        let run = run(with_hole(600, 61, missing), BarClock::default());
        let state = &run.state;
        let snapshot = state.snapshot(61).unwrap();
        assert_eq!((snapshot.missing, snapshot.slot), (missing as u64, 61 + missing as u64));
        assert_eq!(run.rows.iter().flatten().count(), 600 - FIRST_ROW);
        let (mlmi, nwrqk) = (snapshot.readings.mlmi.unwrap(), snapshot.readings.nwrqk.unwrap());
        (mlmi.event, nwrqk.signal)
    };
    assert_eq!(at_61(0), (-1, -1));
    assert_eq!(at_61(1), (-1, -1), "one missing bar is forgiven");
    assert_eq!(at_61(2), (0, 0));
    assert_eq!(at_61(48), (0, 0));
}

/// ST-42: a signal of faster bars belongs to the slot in which it happens.
#[test]
fn slots_count_missing_bars() {
    let run = run(with_hole(100, 50, 3), BarClock::default());
    let state = &run.state;
    let close = state.snapshot(99).unwrap().candle.close_time;
    assert_eq!(state.slot_at(close), Some(102));
    assert_eq!(state.slot_at(Nanos(close.0 + 5 * MINUTE)), Some(103));
    assert_eq!(fresh(BarClock::default()).slot_at(close), None);
}

/// Recorded 30-minute bars with one gap of two bars, against the definition.
#[test]
fn recorded_half_hours_follow_the_definition() {
    let name = "bittrex-ETHBTC-30m-20171120_20180130.csv";
    let Some(bars) = intraday(name, "64172e6e2ee3272a98e4096bbeeb61eda3ff249be8b74beb2f23770b3328d193", 30) else { return };
    let run = run(bars, BarClock::default());
    let close = |t: usize| run.bars[t].close_time.0;
    let gaps: Vec<usize> = (1..run.bars.len()).filter(|t| close(*t) - close(t - 1) > 60 * MINUTE).collect();
    let [gap] = gaps[..] else { panic!("{gaps:?}") };
    assert_eq!(close(gap) - close(gap - 1), 90 * MINUTE);
    let hidden: Vec<bool> = (0..run.bars.len()).map(|t| t == gap).collect();
    agrees_with_the_definition(&run, &hidden, 53);
}

/// Recorded minutes, joined to half hours without a gap, against the definition.
#[test]
fn recorded_minutes_follow_the_definition() {
    let name = "unstated-BTCPERP-1m-20211231_20220201.csv";
    let Some(bars) = intraday(name, "94498b372b286fd441c5c6051ef5491f29533439217f1e94c2ad6dc31f3b93d9", 1) else { return };
    let run = run(half_hours(&bars, 30), BarClock::default());
    assert_eq!(run.bars.len(), 1501);
    agrees_with_the_definition(&run, &vec![false; 1501], 19);
}

/// Recorded five-minute bars, joined: every pause of more than a day starts the warm-up anew.
#[test]
fn recorded_pauses_start_anew() {
    let name = "bittrex-LTCBTC-5m-20171025_20180130.csv";
    let Some(bars) = intraday(name, "c34bc00f82861252a4f451de9c23d5545523c506127711f663cf2d7249bcd8a7", 5) else { return };
    let bars = half_hours(&bars, 6);
    assert_eq!(bars.len(), 2874);
    let run = run(bars, BarClock::default());
    let close = |t: usize| run.bars[t].close_time.0;
    let mut begins = vec![0];
    begins.extend((1..run.bars.len()).filter(|t| close(*t) - close(t - 1) > 49 * 30 * MINUTE));
    begins.push(run.bars.len());
    assert_eq!(begins.len(), 4, "three windows");
    for window in begins.windows(2) {
        for t in window[0]..window[1] {
            assert_eq!(run.rows[t].is_some(), t >= window[0] + FIRST_ROW, "bar {t}");
        }
    }
}
