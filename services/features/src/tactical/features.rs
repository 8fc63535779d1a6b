//! Bars to rows and matrices, one bar at a time.

use serde::{Deserialize, Serialize};

use tradewind_core::bar::{Bar, BarError};
use tradewind_core::time::Nanos;

use super::config::{TacticalConfig, WARM_UP_BARS};
use super::gaps::GapTracker;
use super::indicators::{Atr, Momentum, VolumeRatio, momentum_feature, volume_feature};
use super::matrix::{COLUMNS, Matrix, ROWS};

/// Bars before the newest for which a matrix can still be given, so that a repeated question finds its answer.
pub const HISTORY: usize = 64;
/// Rows kept: a whole matrix for the oldest bar of the history.
const KEPT: usize = ROWS + HISTORY;

/// One raw row (TA-5, TA-8): flags, price level, age, percent and ratio, for people and audit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RawRow {
    /// A bullish gap is open after this bar.
    pub fvg_bullish_active: bool,
    /// A bearish gap is open after this bar.
    pub fvg_bearish_active: bool,
    /// Edge of an open gap closest to the close, in ticks; 0 when none is open.
    pub fvg_nearest_level: i64,
    /// Bars since the gap that owns that edge was completed.
    pub fvg_age: u64,
    /// A gap was filled by this bar.
    pub fvg_mitigation_signal: bool,
    /// Five-bar momentum, percent, within +-10.
    pub price_momentum_5: f64,
    /// Volume over its 20-bar exponential average.
    pub volume_ratio: f64,
}

/// What is known of one bar once it is closed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Snapshot {
    /// The bar.
    pub bar: Bar,
    /// Its raw row.
    pub raw: RawRow,
    /// Average true range after it, in ticks; `None` while too few bars are known.
    pub atr_ticks: Option<f64>,
}

/// Why a bar was not taken.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FeatureError {
    /// The figures of the bar are impossible.
    #[error(transparent)]
    Bar(#[from] BarError),
    /// Another bar is due.
    #[error("bar {found} arrived, bar {expected} is due: read the stream from there")]
    Gap {
        /// Number of the bar that is due.
        expected: u64,
        /// Number of the bar that came.
        found: u64,
    },
    /// The bar does not close after the one before it.
    #[error("bar {index} closes at {} ns, it must close after {} ns", .close_time.0, .before.0)]
    Time {
        /// Number of the bar.
        index: u64,
        /// When it closes.
        close_time: Nanos,
        /// When the bar before it closed.
        before: Nanos,
    },
}

/// Feature state of one symbol. A row depends on its bar and earlier ones only; after the first
/// `KEPT` bars nothing is allocated any more.
#[derive(Clone, Debug)]
pub struct FeatureState {
    gaps: GapTracker,
    momentum: Momentum,
    volume: VolumeRatio,
    atr: Atr,
    /// Bars taken so far = number of the bar that is due.
    taken: u64,
    /// Ring of the newest `KEPT` snapshots.
    snapshots: Vec<Snapshot>,
    /// The model rows of the same ring, each written twice, `KEPT` apart, so that every matrix is one slice.
    rows: Vec<[f32; COLUMNS]>,
}

impl FeatureState {
    /// No bars yet.
    #[must_use]
    pub fn new(config: &TacticalConfig) -> Self {
        Self {
            gaps: GapTracker::new(&config.fvg),
            momentum: Momentum::default(),
            volume: VolumeRatio::default(),
            atr: Atr::new(config.atr_period),
            taken: 0,
            snapshots: Vec::with_capacity(KEPT),
            rows: vec![[0.0; COLUMNS]; 2 * KEPT],
        }
    }

    /// Number of the bar that is due next.
    #[must_use]
    pub const fn next_index(&self) -> u64 {
        self.taken
    }

    /// Takes the next closed bar.
    ///
    /// # Errors
    /// [`FeatureError`]: nothing was changed.
    pub fn push(&mut self, bar: &Bar) -> Result<(), FeatureError> {
        bar.validate()?;
        if bar.index != self.taken {
            return Err(FeatureError::Gap { expected: self.taken, found: bar.index });
        }
        let newest = self.taken.checked_sub(1).map(|index| self.snapshots[slot(index)].bar.close_time);
        if let Some(before) = newest.filter(|before| bar.close_time <= *before) {
            return Err(FeatureError::Time { index: bar.index, close_time: bar.close_time, before });
        }
        let gap = self.gaps.push(bar);
        let raw = RawRow {
            fvg_bullish_active: gap.bullish,
            fvg_bearish_active: gap.bearish,
            fvg_nearest_level: gap.nearest.map_or(0, |level| level.0),
            fvg_age: gap.age,
            fvg_mitigation_signal: gap.mitigated,
            price_momentum_5: self.momentum.push(bar),
            volume_ratio: self.volume.push(bar.volume),
        };
        let snapshot = Snapshot { bar: *bar, raw, atr_ticks: self.atr.push(bar) };
        let slot = slot(self.taken);
        let row = model_row(&raw, bar.close.0);
        self.rows[slot] = row;
        self.rows[slot + KEPT] = row;
        match self.snapshots.get_mut(slot) {
            Some(old) => *old = snapshot,
            None => self.snapshots.push(snapshot),
        }
        self.taken += 1;
        Ok(())
    }

    /// What is known of a bar, if it is among the newest `HISTORY + 1`.
    #[must_use]
    pub fn snapshot(&self, index: u64) -> Option<&Snapshot> {
        self.remembers(index).then(|| &self.snapshots[slot(index)])
    }

    /// The model matrix that ends with this bar; `None` while warming up (TA-7) or when forgotten.
    #[must_use]
    pub fn matrix(&self, index: u64) -> Option<&Matrix> {
        if !self.remembers(index) || index + 1 < WARM_UP_BARS {
            return None;
        }
        let newest = slot(index);
        let end = if newest + 1 >= ROWS { newest + 1 } else { newest + KEPT + 1 };
        self.rows[end - ROWS..end].first_chunk()
    }

    const fn remembers(&self, index: u64) -> bool {
        index < self.taken && self.taken - index <= HISTORY as u64 + 1
    }
}

/// Place of a bar in the ring.
#[allow(clippy::cast_possible_truncation)]
const fn slot(index: u64) -> usize {
    (index % KEPT as u64) as usize
}

/// TA-8: the normalised form of a row.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn model_row(raw: &RawRow, close: i64) -> [f32; COLUMNS] {
    let flag = |on: bool| if on { 1.0 } else { 0.0 };
    let open = raw.fvg_bullish_active || raw.fvg_bearish_active;
    let distance = if open { (raw.fvg_nearest_level as f64 / close as f64 - 1.0) * 100.0 } else { 0.0 };
    let row = [
        flag(raw.fvg_bullish_active),
        flag(raw.fvg_bearish_active),
        distance.clamp(-10.0, 10.0) / 10.0,
        raw.fvg_age.min(60) as f64 / 60.0,
        flag(raw.fvg_mitigation_signal),
        momentum_feature(raw.price_momentum_5),
        volume_feature(raw.volume_ratio),
    ];
    row.map(|value| value as f32)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::tactical::check_matrix;
    use crate::tactical::gaps::{Gap, GapSide};
    use tradewind_core::instrument::Ticks;
    use tradewind_core::time::Nanos;

    fn bar(index: u64, [open, high, low, close]: [f64; 4], volume: f64) -> Bar {
        let ticks = |price: f64| Ticks((price * 100.0).round() as i64);
        let time = Nanos(i64::try_from(index).unwrap());
        let [open, high, low, close] = [open, high, low, close].map(ticks);
        Bar { index, open_time: time, close_time: time, open, high, low, close, volume }
    }

    fn vector_bars() -> Vec<Bar> {
        let close = |index: u64| if index.is_multiple_of(2) { 100.5 } else { 99.5 };
        let mut bars: Vec<Bar> = (0..20).map(|i| bar(i, [100.0, 101.0, 99.5, close(i)], 1000.0)).collect();
        let rows = [
            ([100.5, 103.2, 100.4, 103.0], 3000.0),
            ([103.0, 104.0, 102.0, 103.5], 2000.0),
            ([103.5, 103.8, 102.6, 102.8], 900.0),
            ([102.8, 103.0, 101.4, 101.8], 1100.0),
            ([101.8, 101.9, 100.8, 101.2], 1500.0),
            ([101.2, 101.3, 98.0, 98.2], 4000.0),
            ([98.2, 99.9, 97.5, 98.0], 2500.0),
            ([98.0, 99.0, 97.8, 98.9], 1200.0),
            ([98.9, 100.9, 98.8, 100.7], 1300.0),
        ];
        bars.extend((20..).zip(rows).map(|(index, (prices, volume))| bar(index, prices, volume)));
        bars
    }

    /// TA-V6: flags, level in ticks, age, fill; percent, ratio; model columns 2, 3, 5, 6.
    type Row = ([i64; 5], [f64; 2], [f64; 4]);
    const ROWS_V6: [Row; 10] = [
        ([0, 0, 0, 0, 0], [-0.995_025, 1.0], [0.0, 0.0, -0.196_418_871, 0.0]),
        ([0, 0, 0, 0, 0], [3.517_588, 2.52], [0.0, 0.0, 0.606_595_784, 0.727_905_964]),
        ([1, 0, 10_200, 0, 0], [2.985_075, 1.577_818], [-0.144_927_536, 0.0, 0.534_922_050, 0.426_853_325]),
        ([1, 0, 10_200, 1, 0], [3.316_583, 0.730_184], [-0.077_821_012, 0.016_666_667, 0.580_566_351, 0.0]),
        ([1, 0, 10_200, 2, 0], [1.293_532, 0.901_683], [0.019_646_365, 0.033_333_333, 0.253_085_251, 0.0]),
        ([0, 1, 10_190, 0, 1], [1.708_543, 1.203_260], [0.069_169_960, 0.0, 0.329_001_857, 0.182_951_208]),
        ([0, 1, 10_190, 1, 0], [-4.660_194, 2.651_042], [0.376_782_077, 0.016_666_667, -0.731_543_052, 0.750_872_641]),
        ([0, 1, 9_990, 0, 0], [-5.314_010, 1.559_345], [0.193_877_551, 0.0, -0.786_733_891, 0.417_174_324]),
        ([0, 1, 9_990, 1, 0], [-3.793_774, 0.766_855], [0.101_112_235, 0.016_666_667, -0.640_342_965, 0.0]),
        ([0, 1, 10_190, 4, 1], [-1.080_550, 0.844_369], [0.119_165_839, 0.066_666_667, -0.212_807_337, 0.0]),
    ];

    /// TA-V6
    #[test]
    fn rows_of_the_vector_bars() {
        let mut state = FeatureState::new(&TacticalConfig::default());
        for bar in vector_bars() {
            state.push(&bar).unwrap();
            let Some((flags, raw, model)) = bar.index.checked_sub(19).map(|row| ROWS_V6[row as usize]) else { continue };
            let seen = state.snapshot(bar.index).unwrap().raw;
            let seen_flags = [
                i64::from(seen.fvg_bullish_active),
                i64::from(seen.fvg_bearish_active),
                seen.fvg_nearest_level,
                seen.fvg_age as i64,
                i64::from(seen.fvg_mitigation_signal),
            ];
            assert_eq!(seen_flags, flags, "bar {}", bar.index);
            assert!(
                (seen.price_momentum_5 - raw[0]).abs() < 1e-6 && (seen.volume_ratio - raw[1]).abs() < 1e-6,
                "bar {}",
                bar.index
            );
            let row = state.rows[slot(bar.index)];
            for (column, wanted) in [2, 3, 5, 6].into_iter().zip(model) {
                assert!((f64::from(row[column]) - wanted).abs() < 1e-7, "bar {}, column {column}: {}", bar.index, row[column]);
            }
            assert_eq!([row[0], row[1], row[4]], [flags[0], flags[1], flags[4]].map(|flag| flag as f32));
        }
    }

    /// TA-V6, last line: the zones that are open after the last bars.
    #[test]
    fn zones_of_the_vector_bars() {
        let mut state = FeatureState::new(&TacticalConfig::default());
        let bearish = |low, high, created| Gap { side: GapSide::Bearish, low: Ticks(low), high: Ticks(high), created };
        let bullish = Gap { side: GapSide::Bullish, low: Ticks(10_100), high: Ticks(10_200), created: 21 };
        for bar in vector_bars() {
            state.push(&bar).unwrap();
            let wanted = match bar.index {
                0..=20 => vec![],
                21..=23 => vec![bullish],
                26 | 27 => vec![bearish(10_190, 10_260, 24), bearish(9_990, 10_080, 26)],
                _ => vec![bearish(10_190, 10_260, 24)],
            };
            assert_eq!(state.gaps.open(), wanted, "bar {}", bar.index);
        }
    }

    /// A market of limited steps with shocks, so that gaps open, fill and expire.
    fn market(len: usize) -> impl Strategy<Value = Vec<Bar>> {
        let step = (-300_i64..300, 0_i64..200, 0_i64..200, 0_u32..5000, prop::bool::weighted(0.1));
        prop::collection::vec(step, len).prop_map(|steps| {
            let mut price = 100_000_i64;
            let mut bars = Vec::with_capacity(steps.len());
            for (index, (step, above, below, volume, shock)) in (0..).zip(steps) {
                let open = price;
                price = (price + if shock { step * 5 } else { step }).max(10_000);
                let (high, low) = (open.max(price) + above, open.min(price) - below);
                let [open, high, low, close] = [open, high, low, price].map(Ticks);
                let time = Nanos(index as i64);
                bars.push(Bar { index, open_time: time, close_time: time, open, high, low, close, volume: f64::from(volume) });
            }
            bars
        })
    }

    /// The raw rows of the matrix of a bar that is remembered.
    fn raw_rows(state: &FeatureState, index: u64) -> [RawRow; ROWS] {
        let oldest = index + 1 - ROWS as u64;
        std::array::from_fn(|row| state.snapshots[slot(oldest + row as u64)].raw)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Causality: what is known of a bar never changes with later bars, while it is remembered at
        /// all, and equals what a state computes that saw nothing later.
        #[test]
        fn later_bars_change_no_row(bars in market(220), cut in 80_usize..219) {
            let config = TacticalConfig::default();
            let mut short = FeatureState::new(&config);
            for bar in &bars[..=cut] {
                short.push(bar).unwrap();
            }
            let index = cut as u64;
            let (matrix, snapshot) = (*short.matrix(index).unwrap(), *short.snapshot(index).unwrap());
            let raw = raw_rows(&short, index);
            for bar in bars[cut + 1..].iter().take(HISTORY) {
                short.push(bar).unwrap();
                prop_assert_eq!(short.matrix(index), Some(&matrix));
                prop_assert_eq!(short.snapshot(index), Some(&snapshot));
                prop_assert_eq!(raw_rows(&short, index), raw);
            }
            prop_assert!(check_matrix(&matrix).is_ok());
        }

        /// Streaming equals computing each column from the whole history by its definition.
        #[test]
        fn streaming_equals_the_definition(bars in market(160)) {
            let mut state = FeatureState::new(&TacticalConfig::default());
            for (i, bar) in bars.iter().enumerate() {
                state.push(bar).unwrap();
                let raw = state.snapshot(bar.index).unwrap().raw;
                let wanted = by_definition(&bars[..=i]);
                prop_assert_eq!(raw.fvg_bullish_active, wanted.fvg_bullish_active);
                prop_assert_eq!(raw.fvg_bearish_active, wanted.fvg_bearish_active);
                prop_assert_eq!((raw.fvg_nearest_level, raw.fvg_age), (wanted.fvg_nearest_level, wanted.fvg_age));
                prop_assert_eq!(raw.fvg_mitigation_signal, wanted.fvg_mitigation_signal);
                prop_assert!((raw.price_momentum_5 - wanted.price_momentum_5).abs() < 1e-9);
                prop_assert!((raw.volume_ratio - wanted.volume_ratio).abs() < 1e-9);
            }
        }
    }

    /// TA-9 to TA-14 read literally, from all bars, without any state.
    fn by_definition(bars: &[Bar]) -> RawRow {
        let n = bars.len();
        let mut open: Vec<Gap> = Vec::new();
        let mut mitigated = false;
        for i in 0..n {
            open.retain(|gap| i as u64 - gap.created <= 60);
            let filled = |gap: &Gap| match gap.side {
                GapSide::Bullish => bars[i].low <= gap.low,
                GapSide::Bearish => bars[i].high >= gap.high,
            };
            mitigated = open.iter().any(filled);
            open.retain(|gap| !filled(gap));
            if i < 2 {
                continue;
            }
            let bodies: Vec<i64> = (i.saturating_sub(20)..i).map(|j| (bars[j].close.0 - bars[j].open.0).abs()).collect();
            let impulse = 2 * bodies[bodies.len() - 1] * bodies.len() as i64 > 3 * bodies.iter().sum::<i64>();
            if impulse && bars[i].low > bars[i - 2].high {
                open.push(Gap { side: GapSide::Bullish, low: bars[i - 2].high, high: bars[i].low, created: i as u64 });
            }
            if impulse && bars[i].high < bars[i - 2].low {
                open.push(Gap { side: GapSide::Bearish, low: bars[i].high, high: bars[i - 2].low, created: i as u64 });
            }
        }
        let close = bars[n - 1].close.0;
        let edges = open.iter().flat_map(|gap| [(gap.low.0, gap.created), (gap.high.0, gap.created)]);
        let nearest = edges.min_by_key(|&(edge, created)| ((edge - close).abs(), std::cmp::Reverse(created), edge));
        let mut average = bars[0].volume;
        for bar in &bars[1..] {
            average = 2.0 / 21.0 * bar.volume + (1.0 - 2.0 / 21.0) * average;
        }
        let momentum = if n > 5 { (close - bars[n - 6].close.0) as f64 / bars[n - 6].close.0 as f64 * 100.0 } else { 0.0 };
        RawRow {
            fvg_bullish_active: open.iter().any(|gap| gap.side == GapSide::Bullish),
            fvg_bearish_active: open.iter().any(|gap| gap.side == GapSide::Bearish),
            fvg_nearest_level: nearest.map_or(0, |(edge, _)| edge),
            fvg_age: nearest.map_or(0, |(_, created)| (n - 1) as u64 - created),
            fvg_mitigation_signal: mitigated,
            price_momentum_5: momentum.clamp(-10.0, 10.0),
            volume_ratio: if average > 0.0 { bars[n - 1].volume / average } else { 0.0 },
        }
    }

    /// TA-7: bar 79 (the 80th) has the first matrix; holes and repetitions are refused.
    #[test]
    fn warm_up_and_order() {
        let mut state = FeatureState::new(&TacticalConfig::default());
        for index in 0..200 {
            state.push(&bar(index, [100.0, 101.0, 99.0, 100.0], 10.0)).unwrap();
            assert_eq!(state.matrix(index).is_some(), index >= 79, "bar {index}");
        }
        let refused = state.push(&bar(201, [100.0, 101.0, 99.0, 100.0], 10.0));
        assert_eq!(refused, Err(FeatureError::Gap { expected: 200, found: 201 }));
        assert!(state.matrix(199 - HISTORY as u64).is_some());
        assert!(state.matrix(198 - HISTORY as u64).is_none(), "forgotten");
        assert!(state.matrix(200).is_none(), "not known yet");
    }
}
