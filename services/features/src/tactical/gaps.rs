//! Open fair value gaps of one symbol.

use serde::{Deserialize, Serialize};

use tradewind_core::bar::Bar;
use tradewind_core::instrument::Ticks;

use super::config::FvgConfig;

/// Which way price jumped when it left the gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GapSide {
    /// The third low lies above the first high.
    Bullish,
    /// The third high lies below the first low.
    Bearish,
}

/// An open gap (TA-10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Which way price jumped.
    pub side: GapSide,
    /// Lower edge of the zone.
    pub low: Ticks,
    /// Upper edge of the zone.
    pub high: Ticks,
    /// Bar that completed the gap.
    pub created: u64,
}

/// Columns 0 to 4 of one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GapFeatures {
    /// A bullish gap is open.
    pub bullish: bool,
    /// A bearish gap is open.
    pub bearish: bool,
    /// Edge of an open gap closest to the close.
    pub nearest: Option<Ticks>,
    /// Bars since the gap that owns that edge was completed.
    pub age: u64,
    /// A gap was filled by this bar.
    pub mitigated: bool,
}

/// Finds, ages and fills gaps; needs no allocation once warm (TA-9 to TA-12).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GapTracker {
    lookback: usize,
    body_multiplier: f64,
    max_age: u64,
    /// The two bars before the one that is pushed: `[i-2, i-1]`.
    last: [Option<Bar>; 2],
    /// Body sizes of the newest `lookback` bars as a ring, and their sum.
    bodies: Vec<i64>,
    next_body: usize,
    /// Wide, because prices of any size may come.
    body_sum: i128,
    /// Ascending by creation; at most one more per bar, none older than `max_age`.
    open: Vec<Gap>,
}

impl GapTracker {
    /// An empty tracker.
    #[must_use]
    pub fn new(config: &FvgConfig) -> Self {
        let max_age = u64::from(config.max_age_bars);
        Self {
            lookback: config.lookback as usize,
            body_multiplier: config.body_multiplier,
            max_age,
            last: [None; 2],
            bodies: Vec::with_capacity(config.lookback as usize),
            next_body: 0,
            body_sum: 0,
            open: Vec::with_capacity(config.max_age_bars as usize + 2),
        }
    }

    /// Open gaps, oldest first.
    #[must_use]
    pub fn open(&self) -> &[Gap] {
        &self.open
    }

    /// Takes the next closed bar: expire, fill, detect, then describe what is open (TA-11, TA-12).
    pub fn push(&mut self, bar: &Bar) -> GapFeatures {
        let (index, max_age) = (bar.index, self.max_age);
        self.open.retain(|gap| index - gap.created <= max_age);
        let before = self.open.len();
        self.open.retain(|gap| match gap.side {
            GapSide::Bullish => bar.low > gap.low,
            GapSide::Bearish => bar.high < gap.high,
        });
        let mitigated = self.open.len() < before;
        if let Some(gap) = self.detect(bar) {
            self.open.push(gap);
        }
        self.remember(bar);
        self.describe(bar, mitigated)
    }

    /// TA-9: three bars that leave a zone untraded, with an impulse in the middle. Strict comparisons.
    fn detect(&self, bar: &Bar) -> Option<Gap> {
        let [Some(first), Some(middle)] = &self.last else { return None };
        let (side, low, high) = if bar.low > first.high {
            (GapSide::Bullish, first.high, bar.low)
        } else if bar.high < first.low {
            (GapSide::Bearish, bar.high, first.low)
        } else {
            return None;
        };
        self.is_impulse(body(middle)).then_some(Gap { side, low, high, created: bar.index })
    }

    /// `body > mean * multiplier` over the bodies before the newest bar, multiplied out so that
    /// ticks stay exact (TA-V5: the newest bar is not part of the mean).
    #[allow(clippy::cast_precision_loss)]
    fn is_impulse(&self, middle: i64) -> bool {
        middle as f64 * self.bodies.len() as f64 > self.body_sum as f64 * self.body_multiplier
    }

    fn remember(&mut self, bar: &Bar) {
        let size = body(bar);
        self.body_sum += i128::from(size);
        if self.bodies.len() < self.lookback {
            self.bodies.push(size);
        } else {
            self.body_sum -= i128::from(self.bodies[self.next_body]);
            self.bodies[self.next_body] = size;
            self.next_body = (self.next_body + 1) % self.lookback;
        }
        self.last = [self.last[1], Some(*bar)];
    }

    /// TA-12: ties go to the newest gap, then to the lower edge.
    fn describe(&self, bar: &Bar, mitigated: bool) -> GapFeatures {
        let mut features = GapFeatures { mitigated, ..GapFeatures::default() };
        let mut closest = i64::MAX;
        for gap in self.open.iter().rev() {
            match gap.side {
                GapSide::Bullish => features.bullish = true,
                GapSide::Bearish => features.bearish = true,
            }
            for edge in [gap.low, gap.high] {
                let distance = (edge.0 - bar.close.0).abs();
                if distance < closest {
                    closest = distance;
                    features.nearest = Some(edge);
                    features.age = bar.index - gap.created;
                }
            }
        }
        features
    }
}

const fn body(bar: &Bar) -> i64 {
    (bar.close.0 - bar.open.0).abs()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use tradewind_core::time::Nanos;

    fn bar(index: u64, [open, high, low, close]: [i64; 4]) -> Bar {
        let [open, high, low, close] = [open, high, low, close].map(Ticks);
        Bar { index, open_time: Nanos(0), close_time: Nanos(0), open, high, low, close, volume: 1.0 }
    }

    /// Body sizes `19 x other`, then the impulse, then a gapping bar with a large body (ticks of 0.01).
    fn after_impulse(other: i64, impulse: i64) -> GapFeatures {
        let mut tracker = GapTracker::new(&FvgConfig::default());
        for index in 0..19 {
            tracker.push(&bar(index, [10_000, 10_060, 9_990, 10_000 + other]));
        }
        tracker.push(&bar(19, [10_000, 10_100, 10_000, 10_000 + impulse]));
        tracker.push(&bar(20, [10_080, 10_400, 10_070, 10_330]))
    }

    /// TA-V5: the body of the newest bar (2.50) is not part of the mean; it would raise the bar to 0.9225.
    #[test]
    fn the_mean_body_excludes_the_newest_bar() {
        assert!(after_impulse(50, 80).bullish);
    }

    /// TA-V5: with uniform other bodies m the impulse must exceed 1.540541 m (here m = 0.37: 0.57).
    #[test]
    fn the_impulse_threshold_is_strict() {
        assert!(!after_impulse(37, 57).bullish, "57 * 20 = (19 * 37 + 57) * 1.5 is equal, not above");
        assert!(after_impulse(37, 58).bullish);
    }

    /// TA-9: fewer than three bars hold no gap.
    #[test]
    fn two_bars_hold_no_gap() {
        let mut tracker = GapTracker::new(&FvgConfig::default());
        tracker.push(&bar(0, [100, 101, 99, 100]));
        assert_eq!(tracker.push(&bar(1, [200, 201, 199, 200])), GapFeatures::default());
    }

    /// TA-11: a gap expires after its age limit, which does not count as a fill.
    #[test]
    fn an_old_gap_expires_without_a_signal() {
        let mut tracker = GapTracker::new(&FvgConfig::default());
        for index in 0..19 {
            tracker.push(&bar(index, [10_000, 10_060, 9_990, 10_050]));
        }
        tracker.push(&bar(19, [10_000, 10_100, 10_000, 10_080]));
        assert!(tracker.push(&bar(20, [10_080, 10_400, 10_070, 10_330])).bullish);
        for index in 21..=80 {
            let features = tracker.push(&bar(index, [10_330, 10_400, 10_090, 10_330]));
            assert_eq!((features.bullish, features.age, features.mitigated), (true, index - 20, false));
        }
        let expired = tracker.push(&bar(81, [10_330, 10_400, 9_000, 10_330]));
        assert_eq!(expired, GapFeatures::default());
    }

    /// TA-12: the newest gap wins a tie, then its lower edge.
    #[test]
    fn ties_go_to_the_newest_gap_then_to_the_lower_edge() {
        let mut tracker = GapTracker::new(&FvgConfig::default());
        let gap = |low: i64, high: i64, created| Gap { side: GapSide::Bullish, low: Ticks(low), high: Ticks(high), created };
        tracker.open.extend([gap(90, 110, 3), gap(80, 110, 5)]);
        let features = tracker.describe(&bar(9, [100, 100, 100, 100]), false);
        assert_eq!((features.nearest, features.age), (Some(Ticks(110)), 4));
        tracker.open.push(gap(90, 110, 7));
        let features = tracker.describe(&bar(9, [100, 100, 100, 100]), false);
        assert_eq!((features.nearest, features.age), (Some(Ticks(90)), 2));
    }
}
