//! Machine-learned momentum index: what followed the nearest crossings of the past.

use serde::{Deserialize, Serialize};

use super::config::MlmiConfig;
use super::rsi::Rsi;
use super::wma::Wma;

/// Margin by which the value must leave its average to count as a crossing (ST-21).
const CROSS_MARGIN: f64 = 1e-9;

/// What the index says at one bar.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MlmiReading {
    /// 0 to 100; 50 is no opinion (ST-20).
    pub value: f64,
    /// Weighted average of the value, once 20 values exist.
    pub average: Option<f64>,
    /// +1 when the value crosses its average upwards, -1 downwards, else 0 (ST-21).
    pub signal: i8,
    /// Smoothed fast index, the second coordinate of an example.
    pub fast: f64,
    /// Smoothed slow index, the first coordinate of an example.
    pub slow: f64,
    /// Two averages of the close crossed at this bar: +1 up, -1 down, else 0.
    pub event: i8,
}

/// One labelled crossing of the past.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Example {
    slow: f64,
    fast: f64,
    label: f64,
}

/// A crossing whose outcome is not known yet; it never votes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Open {
    slow: f64,
    fast: f64,
    close: f64,
}

/// Incremental index (ST-20, ST-21). Work per bar: constant plus one scan of the stored examples.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mlmi {
    rsi: [Rsi; 2],
    smooth: [Wma; 2],
    trend: [Wma; 2],
    /// Fast minus slow average of the closes at the previous bar.
    spread: Option<f64>,
    open: Option<Open>,
    examples: Examples,
    average: Wma,
    /// Value minus its average at the previous bar.
    margin: Option<f64>,
}

impl Mlmi {
    /// An index without history; all memory is taken here.
    #[must_use]
    pub fn new(config: &MlmiConfig) -> Self {
        let smooth = || Wma::new(config.smoothing as usize);
        Self {
            rsi: [Rsi::new(config.fast_rsi), Rsi::new(config.slow_rsi)],
            smooth: [smooth(), smooth()],
            trend: [Wma::new(config.fast_average as usize), Wma::new(config.slow_average as usize)],
            spread: None,
            open: None,
            examples: Examples::new(config.neighbours as usize, config.examples as usize),
            average: Wma::new(config.signal_average as usize),
            margin: None,
        }
    }

    /// Takes the next close; `None` until both smoothed indices exist.
    pub fn push(&mut self, close: f64) -> Option<MlmiReading> {
        let fast = self.rsi[0].push(close).and_then(|value| self.smooth[0].push(value));
        let slow = self.rsi[1].push(close).and_then(|value| self.smooth[1].push(value));
        let [quick, steady] = [0, 1].map(|i| self.trend[i].push(close));
        let spread = quick.zip(steady).map(|(quick, steady)| quick - steady);
        let event = crossing(std::mem::replace(&mut self.spread, spread), spread, 0.0);
        let (fast, slow) = fast.zip(slow)?;
        if event != 0
            && let Some(open) = self.open.replace(Open { slow, fast, close })
        {
            let label = if close >= open.close { 1.0 } else { -1.0 };
            self.examples.push(Example { slow: open.slow, fast: open.fast, label });
        }
        let value = self.examples.vote(slow, fast);
        let average = self.average.push(value);
        let margin = average.map(|average| value - average);
        let signal = crossing(std::mem::replace(&mut self.margin, margin), margin, CROSS_MARGIN);
        Some(MlmiReading { value, average, signal, fast, slow, event })
    }

    /// Forgets what the next bar would be compared with (ST-18): no crossing is seen across a gap.
    pub fn forget_crossings(&mut self) {
        self.spread = None;
        self.margin = None;
    }

    /// Labelled crossings so far.
    #[must_use]
    pub const fn examples(&self) -> usize {
        self.examples.stored.len()
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.rsi.iter_mut().for_each(Rsi::clear);
        self.smooth.iter_mut().chain(&mut self.trend).for_each(Wma::clear);
        self.average.clear();
        self.examples.clear();
        self.open = None;
        self.forget_crossings();
    }
}

/// Direction in which a series leaves the band around zero that ends at `margin`.
fn crossing(before: Option<f64>, now: Option<f64>, margin: f64) -> i8 {
    let Some((before, now)) = before.zip(now) else { return 0 };
    if now > margin && before <= margin {
        1
    } else if now < -margin && before >= -margin {
        -1
    } else {
        0
    }
}

/// Ring of labelled examples and the search in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Examples {
    capacity: usize,
    /// Place of the oldest example once the ring is full.
    next: usize,
    stored: Vec<Example>,
    neighbours: usize,
    /// The nearest found so far: squared distance and label, ascending.
    #[serde(skip)]
    nearest: Vec<(f64, f64)>,
}

impl Examples {
    fn new(neighbours: usize, capacity: usize) -> Self {
        let (capacity, neighbours) = (capacity.max(1), neighbours.max(1));
        Self { capacity, next: 0, stored: Vec::with_capacity(capacity), neighbours, nearest: Vec::with_capacity(neighbours + 1) }
    }

    fn push(&mut self, example: Example) {
        if self.stored.len() < self.capacity {
            self.stored.push(example);
        } else {
            self.stored[self.next] = example;
            self.next = (self.next + 1) % self.capacity;
        }
    }

    fn clear(&mut self) {
        self.stored.clear();
        self.next = 0;
    }

    /// `50 (1 + p / k)` over the nearest examples; newest first among equals, because they are read newest
    /// first and only a strictly smaller distance displaces one.
    #[allow(clippy::cast_precision_loss)]
    fn vote(&mut self, slow: f64, fast: f64) -> f64 {
        self.nearest.clear();
        let (newer, older) = (self.stored[..self.next].iter().rev(), self.stored[self.next..].iter().rev());
        for example in newer.chain(older) {
            let (ds, df) = (example.slow - slow, example.fast - fast);
            let distance = ds * ds + df * df;
            let full = self.nearest.len() == self.neighbours;
            if full && self.nearest.last().is_some_and(|&(farthest, _)| distance >= farthest) {
                continue;
            }
            let at = self.nearest.partition_point(|&(nearer, _)| nearer <= distance);
            self.nearest.insert(at, (distance, example.label));
            self.nearest.truncate(self.neighbours);
        }
        if self.nearest.is_empty() {
            return 50.0;
        }
        let sum: f64 = self.nearest.iter().map(|&(_, label)| label).sum();
        50.0 * (1.0 + sum / self.nearest.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]
    use super::*;

    const STORED: [(f64, f64, f64); 6] =
        [(50.0, 55.0, 1.0), (52.0, 50.0, -1.0), (60.0, 62.0, 1.0), (48.0, 45.0, -1.0), (58.0, 60.0, 1.0), (55.0, 54.0, -1.0)];

    fn examples(neighbours: usize, capacity: usize) -> Examples {
        let mut examples = Examples::new(neighbours, capacity);
        STORED.into_iter().for_each(|(slow, fast, label)| examples.push(Example { slow, fast, label }));
        examples
    }

    /// ST-V5
    #[test]
    fn the_nearest_examples_vote() {
        assert!((examples(3, 10).vote(56.0, 57.0) - 66.666_666_67).abs() < 1e-7);
        assert_eq!(examples(5, 10).vote(56.0, 57.0), 60.0);
        let mut all = examples(6, 10);
        all.vote(56.0, 57.0);
        let wanted = [
            (3.162_277_66, -1.0),
            (3.605_551_28, 1.0),
            (6.324_555_32, 1.0),
            (6.403_124_24, 1.0),
            (8.062_257_75, -1.0),
            (14.422_205_1, -1.0),
        ];
        for (&(squared, label), (distance, wanted)) in all.nearest.iter().zip(wanted) {
            assert!((squared.sqrt() - distance).abs() < 1e-7 && label == wanted, "{squared} {label}");
        }
    }

    /// ST-20: fewer examples than neighbours all vote; none is 50.
    #[test]
    fn few_examples_all_vote() {
        assert_eq!(examples(200, 10).vote(0.0, 0.0), 50.0);
        assert_eq!(Examples::new(5, 10).vote(1.0, 2.0), 50.0);
    }

    /// ST-20: among equal distances the newest wins, also after the ring wrapped; the oldest is overwritten.
    #[test]
    fn ties_go_to_the_newest() {
        let mut ring = Examples::new(1, 2);
        let at = |slow: f64, label: f64| Example { slow, fast: 0.0, label };
        ring.push(at(1.0, 1.0));
        ring.push(at(-1.0, -1.0));
        assert_eq!(ring.vote(0.0, 0.0), 0.0, "the second is newer");
        ring.push(at(1.0, 1.0));
        assert_eq!(ring.stored.len(), 2);
        assert_eq!(ring.vote(0.0, 0.0), 100.0, "the third is newer");
    }

    /// ST-20, ST-21: strict on the far side, not on the near one.
    #[test]
    fn crossings() {
        assert_eq!(crossing(Some(0.0), Some(1.0), 0.0), 1);
        assert_eq!(crossing(Some(0.0), Some(-1.0), 0.0), -1);
        assert_eq!(crossing(Some(1.0), Some(2.0), 0.0), 0);
        assert_eq!(crossing(Some(-1.0), Some(0.0), 0.0), 0);
        assert_eq!(crossing(None, Some(1.0), 0.0), 0);
        assert_eq!(crossing(Some(0.0), Some(5e-10), CROSS_MARGIN), 0);
        assert_eq!(crossing(Some(5e-10), Some(2e-9), CROSS_MARGIN), 1);
        assert_eq!(crossing(Some(-5e-10), Some(-2e-9), CROSS_MARGIN), -1);
    }

    /// ST-18: no crossing is seen across a gap.
    #[test]
    fn a_gap_hides_a_crossing() {
        let config =
            MlmiConfig { fast_rsi: 1, slow_rsi: 2, smoothing: 1, fast_average: 1, slow_average: 2, ..MlmiConfig::default() };
        let event = |gap: bool| {
            let mut mlmi = Mlmi::new(&config);
            for close in [10.0, 9.0, 8.0, 7.0] {
                mlmi.push(close);
            }
            if gap {
                mlmi.forget_crossings();
            }
            mlmi.push(12.0).unwrap().event
        };
        assert_eq!(event(false), 1);
        assert_eq!(event(true), 0);
    }
}
