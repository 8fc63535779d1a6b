//! A row depends on its bar and earlier ones only, and on nothing else (TA-8, TA-11).

use std::sync::LazyLock;

use tradewind_core::bar::Bar;
use tradewind_features::tactical::{
    COLUMNS, FeatureState, HISTORY, Matrix, ROWS, RawRow, Snapshot, TacticalConfig, WARM_UP_BARS,
};

use crate::recordings::{Recording, recordings};
use crate::series::in_ticks;

fn fresh() -> FeatureState {
    FeatureState::new(&TacticalConfig::default())
}

/// What is known of a bar, to the bit.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    row: Option<[u32; COLUMNS]>,
    raw: [u64; 7],
    atr: Option<u64>,
}

fn known(snapshot: &Snapshot, matrix: Option<&Matrix>) -> Known {
    let RawRow { fvg_bullish_active, fvg_bearish_active, fvg_nearest_level, fvg_age, fvg_mitigation_signal, .. } = snapshot.raw;
    let raw = [
        u64::from(fvg_bullish_active),
        u64::from(fvg_bearish_active),
        fvg_nearest_level.unsigned_abs(),
        fvg_age,
        u64::from(fvg_mitigation_signal),
        snapshot.raw.price_momentum_5.to_bits(),
        snapshot.raw.volume_ratio.to_bits(),
    ];
    Known { row: matrix.map(|matrix| matrix[ROWS - 1].map(f32::to_bits)), raw, atr: snapshot.atr_ticks.map(f64::to_bits) }
}

fn at(state: &FeatureState, index: u64) -> Known {
    known(state.snapshot(index).unwrap(), state.matrix(index))
}

/// Every bar as it was known when it was the newest.
fn stream(bars: &[Bar]) -> Vec<Known> {
    let mut state = fresh();
    let take = |bar: &Bar| {
        state.push(bar).unwrap();
        at(&state, bar.index)
    };
    bars.iter().map(take).collect()
}

/// Real bars, and what was known of each.
struct Run {
    name: String,
    bars: Vec<Bar>,
    streamed: Vec<Known>,
}

static RECORDED: LazyLock<Vec<Run>> = LazyLock::new(|| {
    let run = |recording: Recording| {
        let bars = in_ticks(&recording.bars, recording.tick);
        Run { name: recording.name, streamed: stream(&bars), bars }
    };
    recordings().into_iter().map(run).collect()
});

/// What later bars might look like instead.
fn other_future(bars: &[Bar]) -> Vec<Bar> {
    let other = |(i, bar): (usize, &Bar)| {
        let times = |ticks: tradewind_core::instrument::Ticks| {
            tradewind_core::instrument::Ticks(if i % 3 == 0 { ticks.0 * 2 } else { (ticks.0 * 2 / 5).max(1) })
        };
        let [open, high, low, close] = [bar.open, bar.high, bar.low, bar.close].map(times);
        Bar { open, high, low, close, volume: bar.volume * 9.0 + 1.0, ..*bar }
    };
    bars.iter().enumerate().map(other).collect()
}

/// Every remembered row keeps its bits, whatever comes later; cuts all over every recording.
#[test]
fn another_future_changes_no_row() {
    for Run { name, bars, streamed } in RECORDED.iter() {
        let step = (bars.len() / 150).max(1);
        let mut state = fresh();
        let mut differ = 0;
        for cut in 0..bars.len() {
            state.push(&bars[cut]).unwrap();
            if cut % step != 0 {
                continue;
            }
            let mut other = state.clone();
            let later = &bars[cut + 1..(cut + 1 + HISTORY).min(bars.len())];
            for bar in other_future(later) {
                other.push(&bar).unwrap();
                differ += usize::from(at(&other, bar.index) != streamed[bar.index as usize]);
            }
            let oldest = (other.next_index() as usize).saturating_sub(HISTORY + 1);
            for (index, wanted) in streamed.iter().enumerate().take(cut + 1).skip(oldest) {
                assert_eq!(&at(&other, index as u64), wanted, "{name}: bar {index} after {cut}");
            }
        }
        assert!(differ > bars.len().min(1000) / 2, "{name}: the other future is no other");
    }
}

/// Appending bars changes nothing either, and reading all at the end gives what streaming gave: rows and whole matrices.
#[test]
fn streaming_equals_batch() {
    for Run { name, bars, streamed } in RECORDED.iter() {
        let mut state = fresh();
        for (count, bar) in bars.iter().enumerate() {
            state.push(bar).unwrap();
            if count % 97 != 96 && count + 1 != bars.len() {
                continue;
            }
            for index in (count as u64).saturating_sub(HISTORY as u64)..=count as u64 {
                assert_eq!(at(&state, index), streamed[index as usize], "{name}: bar {index} after {count}");
                let Some(matrix) = state.matrix(index) else {
                    assert!(index + 1 < WARM_UP_BARS, "{name}: bar {index}");
                    continue;
                };
                let first = index as usize + 1 - ROWS;
                for (row, known) in matrix.iter().zip(&streamed[first..]) {
                    assert!(known.row.is_none_or(|wanted| wanted == row.map(f32::to_bits)), "{name}: bar {index}");
                }
            }
        }
    }
}

/// A process that stops after any bar and reads the stream again goes on as if it had never stopped; so does a copy.
#[test]
fn a_restart_changes_no_row() {
    for Run { name, bars, streamed } in RECORDED.iter() {
        let bars = &bars[..bars.len().min(700)];
        let mut running = fresh();
        for stopped in 0..bars.len() {
            if stopped % 7 == 0 {
                let mut restarted = fresh();
                bars[..stopped].iter().for_each(|bar| restarted.push(bar).unwrap());
                let mut copy = running.clone();
                for bar in &bars[stopped..(stopped + 30).min(bars.len())] {
                    restarted.push(bar).unwrap();
                    copy.push(bar).unwrap();
                    let wanted = &streamed[bar.index as usize];
                    assert_eq!((&at(&restarted, bar.index), &at(&copy, bar.index)), (wanted, wanted), "{name}");
                }
            }
            running.push(&bars[stopped]).unwrap();
        }
    }
}
