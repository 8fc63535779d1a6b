//! When an indicator fires.

use serde::{Deserialize, Serialize};

use crate::strategic::config::SynergyConfig;
use crate::strategic::features::Snapshot;
use crate::tactical::{Gap, GapSide};
use tradewind_core::bar::Bar;

/// Which indicator fired; the order is the one in which signals of one instant are applied (ST-43).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalKind {
    /// Momentum index.
    Mlmi,
    /// Kernel regression.
    Nwrqk,
    /// Fair value gap of the five-minute bars.
    Fvg,
}

/// One indicator that fired (ST-41).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    kind: SignalKind,
    direction: i8,
    strength: f64,
    slot: u64,
}

/// Why a signal is none.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum SignalError {
    /// Neither up nor down.
    #[error("direction of a signal is {0}, it must be 1 or -1")]
    Direction(i8),
    /// Not a share.
    #[error("strength of a signal is {0}, it must lie within 0 and 1")]
    Strength(f64),
}

impl Signal {
    /// A signal at a slot of the bar clock.
    ///
    /// # Errors
    /// [`SignalError`]; NaN is no strength.
    pub fn new(kind: SignalKind, direction: i8, strength: f64, slot: u64) -> Result<Self, SignalError> {
        if direction.abs() != 1 {
            return Err(SignalError::Direction(direction));
        }
        if !(0.0..=1.0).contains(&strength) {
            return Err(SignalError::Strength(strength));
        }
        Ok(Self { kind, direction, strength, slot })
    }

    /// Which indicator fired.
    #[must_use]
    pub const fn kind(&self) -> SignalKind {
        self.kind
    }

    /// +1 or -1.
    #[must_use]
    pub const fn direction(&self) -> i8 {
        self.direction
    }

    /// 0 to 1 (ST-44).
    #[must_use]
    pub const fn strength(&self) -> f64 {
        self.strength
    }

    /// Slot of the bar clock in which it fired.
    #[must_use]
    pub const fn slot(&self) -> u64 {
        self.slot
    }
}

/// Finds the signals of the 30-minute indicators in the snapshots of one symbol.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignalSource {
    config: SynergyConfig,
    /// Direction of the newest change of the slope's sign that has not fired yet, and the bars since.
    flip: Option<(i8, u32)>,
}

impl SignalSource {
    /// No bars yet.
    #[must_use]
    pub const fn new(config: SynergyConfig) -> Self {
        Self { config, flip: None }
    }

    /// Takes the next closed bar: signals of `mlmi` and `nwrqk`, in this order (ST-41, ST-43).
    pub fn push(&mut self, snapshot: &Snapshot) -> [Option<Signal>; 2] {
        [self.mlmi(snapshot), self.nwrqk(snapshot)]
    }

    fn mlmi(&self, snapshot: &Snapshot) -> Option<Signal> {
        let reading = snapshot.readings.mlmi?;
        let distance = (reading.value - 50.0).abs();
        let fires = reading.signal != 0 && distance > self.config.mlmi_distance;
        fires.then(|| Signal::new(SignalKind::Mlmi, reading.signal, (distance / 50.0).min(1.0), snapshot.slot).ok())?
    }

    /// The first bar, at most `slope_wait_bars` after a change of sign, on which the slope is steep enough
    /// and still has the direction of the change.
    fn nwrqk(&mut self, snapshot: &Snapshot) -> Option<Signal> {
        if snapshot.after_gap {
            self.flip = None;
        }
        let reading = snapshot.readings.nwrqk?;
        let slope = reading.slope?;
        self.flip = match (reading.signal, self.flip) {
            (0, waiting) => waiting.map(|(direction, bars)| (direction, bars + 1)),
            (direction, _) => Some((direction, 0)),
        };
        let (direction, bars) = self.flip?;
        if bars > self.config.slope_wait_bars || slope * f64::from(direction) <= 0.0 {
            self.flip = None;
            return None;
        }
        if slope.abs() <= self.config.slope {
            return None;
        }
        self.flip = None;
        Signal::new(SignalKind::Nwrqk, direction, slope.abs().min(1.0), snapshot.slot).ok()
    }
}

/// Those of the gaps that were open before a bar which it fills; expired ones are none (TA-11). Each may give a
/// [`gap_signal`].
pub fn filled_gaps<'a>(open: &'a [Gap], bar: &'a Bar, max_age_bars: u64) -> impl Iterator<Item = &'a Gap> {
    open.iter().filter(move |gap| {
        let reached = match gap.side {
            GapSide::Bullish => bar.low <= gap.low,
            GapSide::Bearish => bar.high >= gap.high,
        };
        reached && bar.index.saturating_sub(gap.created) <= max_age_bars
    })
}

/// The signal of a fair value gap that was just filled: in the direction of the gap, when it is large enough
/// (ST-41, ST-44). `close` and `atr` are of the 30-minute bar before, in ticks; without a range there is no strength.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn gap_signal(gap: &Gap, close: f64, atr: f64, slot: u64, config: &SynergyConfig) -> Option<Signal> {
    let size = (gap.high.0 - gap.low.0) as f64;
    if !(close > 0.0 && size >= config.gap_share * close && atr > 0.0) {
        return None;
    }
    let direction = if gap.side == GapSide::Bullish { 1 } else { -1 };
    Signal::new(SignalKind::Fvg, direction, (size / atr).min(1.0), slot).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]
    use super::*;
    use crate::strategic::candle::Candle;
    use crate::strategic::features::Readings;
    use crate::strategic::mlmi::MlmiReading;
    use crate::strategic::nwrqk::NwrqkReading;
    use crate::tactical::{FvgConfig, GapTracker};
    use tradewind_core::instrument::Ticks;
    use tradewind_core::time::Nanos;

    fn snapshot(slot: u64, mlmi: Option<MlmiReading>, nwrqk: Option<NwrqkReading>) -> Snapshot {
        let candle = Candle { index: slot, close_time: Nanos(0), open: 1.0, high: 1.0, low: 1.0, close: 1.0, volume: 1.0 };
        let readings = Readings {
            atr: None,
            mlmi,
            nwrqk,
            lvn: None,
            momentum_20: None,
            momentum_50: None,
            volatility: None,
            mmd: None,
            skew: None,
        };
        Snapshot { candle, slot, missing: 0, after_gap: false, readings, row: None, complete_rows: 0, label: None }
    }

    fn fires(slopes: &[f64]) -> Vec<(u64, i8)> {
        let mut source = SignalSource::new(SynergyConfig::default());
        let mut before = 0.0;
        let mut fired = Vec::new();
        for (slot, &slope) in (0..).zip(slopes) {
            let signal = i8::from(slope > 0.0 && before <= 0.0) - i8::from(slope < 0.0 && before >= 0.0);
            before = slope;
            let [_, nwrqk] = source.push(&snapshot(slot, None, Some(NwrqkReading { value: 1.0, slope: Some(slope), signal })));
            fired.extend(nwrqk.map(|signal| (signal.slot(), signal.direction())));
        }
        fired
    }

    /// ST-41: at the change of sign or up to two bars later, once, while the direction holds.
    #[test]
    fn slopes_that_fire() {
        assert_eq!(fires(&[0.06, 0.3]), [(0, 1)]);
        assert_eq!(fires(&[0.01, 0.02, 0.06, 0.3]), [(2, 1)]);
        assert_eq!(fires(&[0.01, 0.02, 0.03, 0.3]), [], "three bars later is too late");
        assert_eq!(fires(&[0.05, 0.01]), [], "the threshold is strict");
        assert_eq!(fires(&[0.01, 0.0, 0.3]), [(2, 1)], "back through zero is a new change");
        assert_eq!(fires(&[0.01, -0.3, -0.4]), [(1, -1)]);
    }

    /// ST-18: what waited before a gap does not fire after it.
    #[test]
    fn a_gap_ends_the_wait() {
        let fired = |after_gap: bool| {
            let mut source = SignalSource::new(SynergyConfig::default());
            let reading = |slope, signal| Some(NwrqkReading { value: 1.0, slope: Some(slope), signal });
            source.push(&snapshot(0, None, reading(0.01, 1)));
            source.push(&Snapshot { after_gap, ..snapshot(1, None, reading(0.2, 0)) })[1].is_some()
        };
        assert_eq!([false, true].map(fired), [true, false]);
    }

    /// ST-41, ST-44
    #[test]
    fn the_index_fires_far_from_the_middle() {
        let fired = |value: f64, signal: i8| {
            let reading = MlmiReading { value, average: None, signal, fast: 0.0, slow: 0.0, event: 0 };
            SignalSource::new(SynergyConfig::default()).push(&snapshot(7, Some(reading), None))[0]
        };
        assert_eq!(fired(80.0, -1), Some(Signal::new(SignalKind::Mlmi, -1, 0.6, 7).unwrap()));
        assert_eq!(fired(75.0, 1), None, "strict");
        assert_eq!(fired(90.0, 0), None);
    }

    /// ST-41, ST-44: size of the gap against price and range.
    #[test]
    fn gaps_that_fire() {
        let gap = |side, high| Gap { side, low: Ticks(10_000), high: Ticks(high), created: 0 };
        let config = SynergyConfig::default();
        let signal = |side, high, atr| gap_signal(&gap(side, high), 10_000.0, atr, 3, &config);
        assert_eq!(signal(GapSide::Bullish, 10_020, 50.0).map(|s| (s.direction(), s.strength(), s.slot())), Some((1, 0.4, 3)));
        assert_eq!(signal(GapSide::Bearish, 10_010, 5.0).map(|s| (s.direction(), s.strength())), Some((-1, 1.0)));
        assert_eq!(signal(GapSide::Bullish, 10_009, 50.0), None, "below 0.1 %");
        for atr in [0.0, f64::NAN] {
            assert_eq!(signal(GapSide::Bullish, 10_020, atr), None);
        }
    }

    /// ST-41: what counts as filled is what the tracker of the five-minute bars says.
    #[test]
    fn filled_gaps_are_those_of_the_tracker() {
        let config = FvgConfig { max_age_bars: 12, ..FvgConfig::default() };
        let mut tracker = GapTracker::new(&config);
        let (mut price, mut seed, mut filled) = (10_000_i64, 7_u64, 0);
        for index in 0..3000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let chance = |shift: u32, range: u64| ((seed >> shift) % range) as i64;
            let open = price;
            price = (price + chance(20, 401) - 200 + if chance(45, 6) == 0 { chance(33, 1201) - 600 } else { 0 }).max(1000);
            let [high, low] = [open.max(price) + chance(50, 20), open.min(price) - chance(55, 20)];
            let [open, high, low, close] = [open, high, low, price].map(Ticks);
            let bar = Bar { index, open_time: Nanos(0), close_time: Nanos(0), open, high, low, close, volume: 1.0 };
            let before = tracker.open().to_vec();
            let wanted = tracker.push(&bar).mitigated;
            assert_eq!(filled_gaps(&before, &bar, 12).next().is_some(), wanted, "bar {index}");
            assert!(filled_gaps(&before, &bar, 12).all(|gap| !tracker.open().contains(gap)));
            filled += usize::from(wanted);
        }
        assert!(filled > 20, "{filled}");
    }

    #[test]
    fn impossible_signals_are_refused() {
        let text = |direction, strength| Signal::new(SignalKind::Fvg, direction, strength, 0).unwrap_err().to_string();
        assert_eq!(text(0, 0.5), "direction of a signal is 0, it must be 1 or -1");
        assert_eq!(text(1, f64::NAN), "strength of a signal is NaN, it must lie within 0 and 1");
    }
}
