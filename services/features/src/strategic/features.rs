//! Closed bars to rows and matrices, one bar at a time.

use serde::{Deserialize, Serialize};

use crate::warm_up::{Stage, WarmUp};
use tradewind_core::time::Nanos;

use super::atr::Atr;
use super::candle::{Candle, CandleError};
use super::clock::BarClock;
use super::config::{GapConfig, StrategicConfig, StrategicConfigError};
use super::context::{day_circle, fractional_hour};
use super::lvn::{Lvn, LvnReading};
use super::matrix::Matrix;
use super::mlmi::{Mlmi, MlmiReading};
use super::mmd::{Mmd, MmdReading, Step};
use super::momentum::{self, Momentum};
use super::nwrqk::{Nwrqk, NwrqkReading};
use super::regime_label::{RegimeLabel, RegimeLabeller};
use super::schema::{COLUMNS, ROWS};
use super::skew::{self, VolumeSkew};
use super::volatility::{Volatility, VolatilityReading};

/// Bars remembered per symbol (ST-18).
pub const RETAINED: usize = 2_000;

/// What the indicators say at one bar; `None` while too few bars are known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Readings {
    /// Average true range, in the unit of the prices.
    pub atr: Option<f64>,
    /// Momentum index.
    pub mlmi: Option<MlmiReading>,
    /// Kernel regression.
    pub nwrqk: Option<NwrqkReading>,
    /// Nearest low-volume node.
    pub lvn: Option<LvnReading>,
    /// Log return over 20 bars.
    pub momentum_20: Option<f64>,
    /// Log return over 50 bars.
    pub momentum_50: Option<f64>,
    /// Deviation of returns.
    pub volatility: Option<VolatilityReading>,
    /// Discrepancy from the past.
    pub mmd: Option<MmdReading>,
    /// Volume skew.
    pub skew: Option<f64>,
}

/// What is known of one bar once it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The bar.
    pub candle: Candle,
    /// Slots of the bar clock since the first bar, missing bars included.
    pub slot: u64,
    /// Bars that were due since the one before and did not come.
    pub missing: u64,
    /// Too many for a crossing between that bar and this one to mean anything (ST-18).
    pub after_gap: bool,
    /// What the indicators say.
    pub readings: Readings,
    /// Row of the matrix (ST-8) in f64; `None` while warming up.
    pub row: Option<[f64; COLUMNS]>,
    /// Rows without a restart in between that end with this one, at most 48.
    pub complete_rows: u8,
    /// Advisory label; `None` while warming up (ST-48).
    pub label: Option<RegimeLabel>,
}

/// Why a bar was not taken; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum StrategicFeatureError {
    /// The figures of the bar are impossible.
    #[error(transparent)]
    Candle(#[from] CandleError),
    /// Another bar is due.
    #[error("bar {found} arrived, bar {expected} is due: read the stream from there")]
    Order {
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

/// Feature state of one symbol. A row depends on its bar and earlier ones only (ST-17).
///
/// A restarted process reads its bars again from the first, or from any bar after a pause that starts the
/// warm-up anew; both give the same bits. All memory is taken by [`StrategicFeatures::new`], about 4 MiB with the
/// defaults (ST-125); the way of a decision only reads a slice of it (ST-124).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StrategicFeatures {
    clock: BarClock,
    gaps: GapConfig,
    /// Bars of a whole warm-up, and the number of the bar with which the present one began.
    needed: u64,
    began: u64,
    atr: Atr,
    mlmi: Mlmi,
    nwrqk: Nwrqk,
    lvn: Lvn,
    momentum: [Momentum; 2],
    volatility: Volatility,
    mmd: Mmd,
    skew: VolumeSkew,
    labeller: RegimeLabeller,
    /// Bars taken so far = number of the bar that is due.
    taken: u64,
    /// The bar before, within the warm-up.
    before: Option<Candle>,
    /// What the newest bar still lacks.
    unsettled: Option<Unsettled>,
    /// Ring of the newest snapshots.
    snapshots: Vec<Snapshot>,
    /// The rows of the same ring for networks, each written twice, so that every matrix is one slice.
    rows: Vec<[f32; COLUMNS]>,
}

/// A bar whose samples are not compared yet.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Unsettled {
    /// Complete rows that ended with the bar before.
    rows_before: u8,
}

impl StrategicFeatures {
    /// No bars yet.
    ///
    /// # Errors
    /// [`StrategicConfigError`] with every violation.
    pub fn new(config: &StrategicConfig, clock: BarClock) -> Result<Self, StrategicConfigError> {
        config.validate()?;
        let momentum = momentum::HORIZONS;
        Ok(Self {
            clock,
            gaps: config.gaps,
            needed: config.warm_up_bars(),
            began: 0,
            atr: Atr::new(config.atr.bars),
            mlmi: Mlmi::new(&config.mlmi),
            nwrqk: Nwrqk::new(&config.kernel),
            lvn: Lvn::new(&config.profile),
            momentum: momentum.map(|bars| Momentum::new(bars as usize)),
            volatility: Volatility::new(&config.volatility),
            mmd: Mmd::new(&config.mmd),
            skew: VolumeSkew::new(config.skew.bars as usize),
            labeller: RegimeLabeller::default(),
            taken: 0,
            before: None,
            unsettled: None,
            snapshots: Vec::with_capacity(RETAINED),
            rows: vec![[0.0; COLUMNS]; 2 * RETAINED],
        })
    }

    /// Number of the bar that is due next.
    #[must_use]
    pub const fn next_index(&self) -> u64 {
        self.taken
    }

    /// When the bars of this state are due.
    #[must_use]
    pub const fn clock(&self) -> BarClock {
        self.clock
    }

    /// How far the first matrix is, or the first one after a gap that started the warm-up anew; `None` when warm (ST-18).
    #[must_use]
    pub fn warm_up(&self) -> Option<WarmUp> {
        WarmUp::of(Stage::Strategic, self.taken - self.began, self.needed)
    }

    /// Takes the next closed bar and says what is known of it.
    ///
    /// # Errors
    /// [`StrategicFeatureError`]: a bar that is impossible, repeated or out of order; nothing was changed.
    pub fn push(&mut self, candle: &Candle) -> Result<&Snapshot, StrategicFeatureError> {
        self.take(candle)?;
        self.settle();
        Ok(&self.snapshots[place(self.taken - 1)])
    }

    /// The same without the maximum mean discrepancy, which is most of the work and which only a decision needs
    /// (ST-124): what is known of the bar has neither that reading nor row and label before [`StrategicFeatures::settle`].
    ///
    /// # Errors
    /// As [`StrategicFeatures::push`].
    pub fn take(&mut self, candle: &Candle) -> Result<&Snapshot, StrategicFeatureError> {
        candle.validate()?;
        if candle.index != self.taken {
            return Err(StrategicFeatureError::Order { expected: self.taken, found: candle.index });
        }
        let newest = self.taken.checked_sub(1).map(|index| self.snapshots[place(index)]);
        let (mut slot, mut missing) = (0, 0);
        if let Some(newest) = newest {
            let before = newest.candle.close_time;
            if candle.close_time <= before {
                return Err(StrategicFeatureError::Time { index: candle.index, close_time: candle.close_time, before });
            }
            missing = self.clock.missing(before, candle.close_time);
            slot = newest.slot + 1 + missing;
        }
        self.settle();
        let newest = newest.map(|newest| self.snapshots[place(newest.candle.index)]);
        let after_gap = self.heed_gap(missing);
        let readings = self.measure(candle);
        let rows_before = newest.filter(|_| self.before.is_some()).map_or(0, |newest| newest.complete_rows);
        self.before = Some(*candle);
        self.unsettled = Some(Unsettled { rows_before });
        let snapshot = Snapshot { candle: *candle, slot, missing, after_gap, readings, row: None, complete_rows: 0, label: None };
        match self.snapshots.get_mut(place(self.taken)) {
            Some(old) => *old = snapshot,
            None => self.snapshots.push(snapshot),
        }
        self.taken += 1;
        Ok(&self.snapshots[place(self.taken - 1)])
    }

    /// Finishes the newest bar; nothing when that is done. The next bar does it too, so when it happens changes nothing.
    #[allow(clippy::cast_possible_truncation)]
    pub fn settle(&mut self) {
        let Some(Unsettled { rows_before }) = self.unsettled.take() else { return };
        let at = place(self.taken - 1);
        let snapshot = &mut self.snapshots[at];
        snapshot.readings.mmd = self.mmd.read();
        snapshot.row = row(&snapshot.candle, &snapshot.readings);
        let Some(row) = snapshot.row else { return };
        if let (Some(mmd), Some(volatility)) = (snapshot.readings.mmd, snapshot.readings.volatility) {
            snapshot.label = Some(self.labeller.push(mmd.score, volatility.ratio));
        }
        snapshot.complete_rows = (rows_before + 1).min(ROWS as u8);
        let row = row.map(|value| value as f32);
        self.rows[at] = row;
        self.rows[at + RETAINED] = row;
    }

    /// What is known of a bar, if it is among the newest [`RETAINED`].
    #[must_use]
    pub fn snapshot(&self, index: u64) -> Option<&Snapshot> {
        self.remembers(index).then(|| &self.snapshots[place(index)])
    }

    /// The matrix that ends with this bar; `None` while warming up (ST-18) or when forgotten.
    #[must_use]
    pub fn matrix(&self, index: u64) -> Option<&Matrix> {
        self.window(index)?.first_chunk()
    }

    /// Up to 48 complete rows that end with this bar, oldest first: a short window while the matrix fills
    /// (ST-15); `None` when there is none or it is forgotten.
    #[must_use]
    pub fn window(&self, index: u64) -> Option<&[[f32; COLUMNS]]> {
        let length = usize::from(self.snapshot(index)?.complete_rows);
        let forgotten = length == 0 || !self.remembers((index + 1).checked_sub(length as u64)?);
        let newest = place(index);
        let end = if newest + 1 >= length { newest + 1 } else { newest + RETAINED + 1 };
        (!forgotten).then(|| &self.rows[end - length..end])
    }

    /// Slot of a faster signal: that of the bar in which it happens (ST-42); `None` before the first bar.
    #[must_use]
    pub fn slot_at(&self, time: Nanos) -> Option<u64> {
        let newest = self.snapshot(self.taken.checked_sub(1)?)?;
        Some(newest.slot + self.clock.slots_after(newest.candle.close_time, time))
    }

    /// ST-18: no row is invented; many missing bars hide crossings, very many start the warm-up anew.
    fn heed_gap(&mut self, missing: u64) -> bool {
        let after_gap = missing > u64::from(self.gaps.forget_crossings_above);
        if missing > u64::from(self.gaps.restart_above) {
            self.restart();
        } else if after_gap {
            self.mlmi.forget_crossings();
            self.nwrqk.forget_crossings();
        }
        after_gap
    }

    fn restart(&mut self) {
        self.began = self.taken;
        self.atr.clear();
        self.mlmi.clear();
        self.nwrqk.clear();
        self.lvn.clear();
        self.momentum.iter_mut().for_each(Momentum::clear);
        self.volatility.clear();
        self.mmd.clear();
        self.skew.clear();
        self.labeller.clear();
        self.before = None;
    }

    fn measure(&mut self, candle: &Candle) -> Readings {
        let step = self.before.map(|before| Step {
            log_return: libm::log(candle.close / before.close),
            range_share: (candle.high - candle.low) / before.close,
        });
        self.mmd.take(step, candle.volume);
        let atr = self.atr.push(candle.high, candle.low, candle.close);
        let [momentum_20, momentum_50] = [0, 1].map(|i| self.momentum[i].push(candle.close));
        Readings {
            atr,
            mlmi: self.mlmi.push(candle.close),
            nwrqk: self.nwrqk.push(candle.close, atr),
            lvn: self.lvn.push(candle, atr),
            momentum_20,
            momentum_50,
            volatility: step.and_then(|step| self.volatility.push(step.log_return)),
            mmd: None,
            skew: self.skew.push(candle),
        }
    }

    const fn remembers(&self, index: u64) -> bool {
        index < self.taken && self.taken - index <= RETAINED as u64
    }
}

/// Place of a bar in the ring.
#[allow(clippy::cast_possible_truncation)]
const fn place(index: u64) -> usize {
    (index % RETAINED as u64) as usize
}

/// ST-8: the row of a bar; `None` while one of its indicators has too few bars.
fn row(candle: &Candle, readings: &Readings) -> Option<[f64; COLUMNS]> {
    let (mlmi, nwrqk, lvn) = (readings.mlmi?, readings.nwrqk?, readings.lvn?);
    let (volatility, mmd) = (readings.volatility?, readings.mmd?);
    // Until its average exists the index can give no signal.
    mlmi.average?;
    let scaled = |momentum, bars| momentum::scaled(momentum, volatility.deviation, bars);
    let [hour_sin, hour_cos] = day_circle(fractional_hour(candle.close_time));
    Some([
        (mlmi.value - 50.0) / 50.0,
        f64::from(mlmi.signal),
        nwrqk.value_column(candle.close),
        nwrqk.slope_column()?,
        lvn.distance_share,
        lvn.strength(),
        hour_sin,
        hour_cos,
        scaled(readings.momentum_20?, momentum::HORIZONS[0]),
        scaled(readings.momentum_50?, momentum::HORIZONS[1]),
        mmd.score.clamp(0.0, 1.0),
        volatility.column(),
        skew::column(readings.skew?),
    ])
}
