//! Incremental indicators: constant work and memory per bar.

use tradewind_core::bar::Bar;

/// Bars between the two closes of the momentum (TA-13).
const MOMENTUM_BARS: usize = 5;
/// Largest momentum that is reported, percent (TA-13).
const MOMENTUM_CLIP: f64 = 10.0;
/// Smoothing of the volume average: 2 / (20 + 1), the exact fraction (TA-14).
const VOLUME_ALPHA: f64 = 2.0 / 21.0;

/// Change of the close over five bars, in percent (TA-13).
#[derive(Clone, Debug, Default)]
pub struct Momentum {
    closes: [i64; MOMENTUM_BARS],
    seen: usize,
}

impl Momentum {
    /// Takes the next bar; 0 until five earlier closes are known.
    #[allow(clippy::cast_precision_loss)]
    pub fn push(&mut self, bar: &Bar) -> f64 {
        let slot = self.seen % MOMENTUM_BARS;
        let earlier = self.closes[slot];
        self.closes[slot] = bar.close.0;
        self.seen += 1;
        if self.seen <= MOMENTUM_BARS { 0.0 } else { momentum(bar.close.0 as f64, earlier as f64) }
    }
}

/// TA-13: percent change from `earlier` to `close`, clipped.
fn momentum(close: f64, earlier: f64) -> f64 {
    ((close - earlier) / earlier * 100.0).clamp(-MOMENTUM_CLIP, MOMENTUM_CLIP)
}

/// TA-13: what the network sees of a momentum.
#[must_use]
pub fn momentum_feature(percent: f64) -> f64 {
    libm::tanh(percent / 5.0)
}

/// Volume over its exponential average, which includes the current bar (TA-14).
#[derive(Clone, Debug, Default)]
pub struct VolumeRatio {
    average: Option<f64>,
}

impl VolumeRatio {
    /// Takes the next volume; 0 while the average is 0.
    pub fn push(&mut self, volume: f64) -> f64 {
        let average = self.average.map_or(volume, |before| VOLUME_ALPHA * volume + (1.0 - VOLUME_ALPHA) * before);
        self.average = Some(average);
        if average > 0.0 { volume / average } else { 0.0 }
    }
}

/// TA-14: `tanh(ln(1 + max(0, ratio - 1)))` in its closed form, exact and without a library function.
#[must_use]
pub fn volume_feature(ratio: f64) -> f64 {
    if ratio > 1.0 { (ratio * ratio - 1.0) / (ratio * ratio + 1.0) } else { 0.0 }
}

/// Average true range by Wilder's smoothing (TA-15), in ticks.
#[derive(Clone, Debug)]
pub struct Atr {
    period: u32,
    seen: u32,
    /// Sum of the first `period` ranges, then the average.
    value: f64,
    previous_close: Option<i64>,
}

impl Atr {
    /// An average over `period` bars, at least 1.
    #[must_use]
    pub fn new(period: u32) -> Self {
        Self { period: period.max(1), seen: 0, value: 0.0, previous_close: None }
    }

    /// Takes the next bar; `None` until `period` ranges are known. The first bar's range is high - low.
    #[allow(clippy::cast_precision_loss)]
    pub fn push(&mut self, bar: &Bar) -> Option<f64> {
        let (high, low) = (bar.high.0, bar.low.0);
        let range =
            self.previous_close.map_or(high - low, |close| (high - low).max((high - close).abs()).max((low - close).abs()));
        self.previous_close = Some(bar.close.0);
        let n = f64::from(self.period);
        if self.seen < self.period {
            self.seen += 1;
            self.value += range as f64;
            if self.seen == self.period {
                self.value /= n;
            }
        } else {
            self.value = (self.value * (n - 1.0) + range as f64) / n;
        }
        (self.seen == self.period).then_some(self.value)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use tradewind_core::instrument::Ticks;
    use tradewind_core::time::Nanos;

    fn near(seen: f64, wanted: f64) {
        assert!((seen - wanted).abs() < 1e-9, "{seen} instead of {wanted}");
    }

    /// TA-V3
    #[test]
    fn momentum_is_clipped_percent() {
        let rows = [
            (101.0, 100.0, 1.0, 0.197_375_320),
            (98.0, 100.0, -2.0, -0.379_948_962),
            (112.0, 100.0, 10.0, 0.964_027_580),
            (85.0, 100.0, -10.0, -0.964_027_580),
            (4156.25, 4150.0, 0.150_602_410, 0.030_111_376),
        ];
        for (close, earlier, percent, feature) in rows {
            near(momentum(close, earlier), percent);
            near(momentum_feature(momentum(close, earlier)), feature);
        }
    }

    /// TA-V4
    #[test]
    fn volume_ratio_includes_the_current_bar() {
        for (ratio, feature) in
            [(0.5, 0.0), (1.0, 0.0), (1.5, 0.384_615_385), (2.0, 0.6), (3.0, 0.8), (5.0, 0.923_076_923), (10.5, 0.982_022_472)]
        {
            near(volume_feature(ratio), feature);
            near(libm::tanh(libm::log(1.0 + f64::max(0.0, ratio - 1.0))), feature);
        }
        let mut ratios = VolumeRatio::default();
        let averages = [1000.0, 1_019.047_619, 1_007.709_751, 1_054.594_536, 1_239.871_247];
        let wanted = [(1.0, 0.0), (1.177_570_093, 0.162_012_809), (0.893_114_311, 0.0), (1.422_347_593, 0.338_421_462)];
        let wanted = wanted.into_iter().chain([(2.419_606_074, 0.708_220_602)]);
        for ((volume, average), (ratio, feature)) in [1000.0, 1200.0, 900.0, 1500.0, 3000.0].into_iter().zip(averages).zip(wanted)
        {
            let seen = ratios.push(volume);
            near(seen, ratio);
            near(volume_feature(seen), feature);
            assert!((ratios.average.unwrap() - average).abs() < 1e-6);
        }
    }

    /// TA-14: no volume at all is a ratio of 0, not a division by 0.
    #[test]
    fn no_volume_is_ratio_zero() {
        let mut ratios = VolumeRatio::default();
        near(ratios.push(0.0), 0.0);
        near(ratios.push(0.0), 0.0);
        near(ratios.push(5.0), 10.5);
    }

    /// TA-V12, first part
    #[test]
    fn average_true_range_by_wilder() {
        let rows = [
            ([10_100, 9_900, 10_050], None),
            ([10_200, 10_000, 10_150], None),
            ([10_180, 10_020, 10_060], Some(186.666_666_7)),
            ([10_300, 10_050, 10_280], Some(207.777_777_8)),
            ([10_350, 10_200, 10_320], Some(188.518_518_5)),
        ];
        let mut atr = Atr::new(3);
        for (index, ([high, low, close], wanted)) in rows.into_iter().enumerate() {
            let [high, low, close] = [high, low, close].map(Ticks);
            let time = Nanos(0);
            let bar = Bar { index: index as u64, open_time: time, close_time: time, open: close, high, low, close, volume: 1.0 };
            let seen = atr.push(&bar);
            assert_eq!(seen.is_some(), wanted.is_some());
            assert!((seen.unwrap_or_default() - wanted.unwrap_or_default()).abs() < 1e-6);
        }
    }
}
