//! Volume profile and the low-volume node that lies nearest to the close.

use serde::{Deserialize, Serialize};

use super::candle::Candle;
use super::config::ProfileConfig;
use super::window::Window;

/// A narrower price range than this holds no profile (ST-27).
const LEAST_RANGE: f64 = 1e-12;

/// The nearest node of low volume (ST-29).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Centre of its bin, in the unit of the prices.
    pub level: f64,
    /// 0 to 1: how empty it is compared with the busiest bin.
    pub strength: f64,
    /// Distance from the close, at least 0.
    pub distance: f64,
    /// +1 when the node lies below the close (support), -1 above, 0 at it.
    pub side: i8,
}

/// What the profile says at one bar.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LvnReading {
    /// The nearest node, if there is one.
    pub node: Option<Node>,
    /// Column 4: distance over the largest distance that counts, 0 to 1; 1 without a node (ST-26, ST-29).
    pub distance_share: f64,
}

impl LvnReading {
    /// Column 5: 0 without a node (ST-29).
    #[must_use]
    pub fn strength(&self) -> f64 {
        self.node.map_or(0.0, |node| node.strength)
    }

    /// `max(0, strength - penalty)` (ST-26), 0 to 1.
    #[must_use]
    pub fn support(&self) -> f64 {
        (self.strength() - self.distance_share).max(0.0)
    }

    /// Support below the close counts upwards, above it downwards (ST-30), -1 to 1.
    #[must_use]
    pub fn signed_support(&self) -> f64 {
        self.node.map_or(0.0, |node| f64::from(node.side) * self.support())
    }
}

/// Volume by price over the newest bars (ST-27).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lvn {
    highs: Window,
    lows: Window,
    volumes: Window,
    bins: Vec<f64>,
    depth: f64,
    tolerance: f64,
    reach_atr: f64,
}

/// Where the bins of a profile lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// Lower edge of the first bin.
    pub low: f64,
    /// Width of each bin.
    pub width: f64,
}

impl Lvn {
    /// A profile without bars; all memory is taken here.
    #[must_use]
    pub fn new(config: &ProfileConfig) -> Self {
        let window = || Window::new(config.bars as usize);
        Self {
            highs: window(),
            lows: window(),
            volumes: window(),
            bins: vec![0.0; config.bins as usize],
            depth: config.node_depth,
            tolerance: config.node_tolerance,
            reach_atr: config.reach_atr,
        }
    }

    /// Takes the next bar and the ATR after it; `None` until the window is full and the ATR known.
    pub fn push(&mut self, candle: &Candle, atr: Option<f64>) -> Option<LvnReading> {
        self.highs.push(candle.high);
        self.lows.push(candle.low);
        self.volumes.push(candle.volume);
        let atr = atr?;
        if !self.highs.is_full() {
            return None;
        }
        let node = self.spread().and_then(|grid| self.nearest(grid, candle.close));
        let reach = self.reach_atr * atr;
        let share = |node: Node| if reach > 0.0 { (node.distance / reach).min(1.0) } else { 1.0 };
        Some(LvnReading { node, distance_share: node.map_or(1.0, share) })
    }

    /// Volume per bin after the newest bar.
    #[must_use]
    pub fn bins(&self) -> &[f64] {
        &self.bins
    }

    /// Forgets all bars, keeps the memory.
    pub fn clear(&mut self) {
        [&mut self.highs, &mut self.lows, &mut self.volumes].into_iter().for_each(Window::clear);
    }

    /// Spreads each bar's volume over its range; `None` when the bars cover no range. Prices are taken
    /// relative to the lowest, so that high prices lose no digits.
    #[allow(clippy::cast_precision_loss)]
    fn spread(&mut self) -> Option<Grid> {
        let low = self.lows.slice().iter().copied().fold(f64::INFINITY, f64::min);
        let high = self.highs.slice().iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if high - low < LEAST_RANGE {
            return None;
        }
        let width = (high - low) / self.bins.len() as f64;
        self.bins.fill(0.0);
        let last = self.bins.len() - 1;
        let bars = self.lows.slice().iter().zip(self.highs.slice()).zip(self.volumes.slice());
        for ((from, to), volume) in bars {
            let (from, to) = (from - low, to - low);
            let (first, end) = (bin_of(from, width, last), bin_of(to, width, last));
            let range = to - from;
            if range <= 0.0 {
                self.bins[first] += volume;
                continue;
            }
            // One bin more on each side: the division may have rounded across an edge.
            for bin in first.saturating_sub(1)..=(end + 1).min(last) {
                let overlap = to.min((bin + 1) as f64 * width) - from.max(bin as f64 * width);
                if overlap > 0.0 {
                    self.bins[bin] += volume * (overlap / range).min(1.0);
                }
            }
        }
        Some(Grid { low, width })
    }

    /// ST-28, ST-29: interior bins that are nearly empty and not fuller than both neighbours; the nearest to the
    /// close, then the emptiest, then the lowest.
    #[allow(clippy::cast_precision_loss)]
    fn nearest(&self, grid: Grid, close: f64) -> Option<Node> {
        let busiest = self.bins.iter().copied().fold(0.0, f64::max);
        let slack = self.tolerance * busiest;
        let mut best: Option<Node> = None;
        for (i, neighbours) in self.bins.windows(3).enumerate() {
            let [below, volume, above] = [neighbours[0], neighbours[1], neighbours[2]];
            if !(volume < self.depth * busiest && volume <= below + slack && volume <= above + slack) {
                continue;
            }
            let level = grid.low + (i as f64 + 1.5) * grid.width;
            let (distance, strength) = ((level - close).abs(), 1.0 - volume / busiest);
            let better = best.is_none_or(|b| distance < b.distance || (distance == b.distance && strength > b.strength));
            if better {
                let side = i8::from(close > level) - i8::from(close < level);
                best = Some(Node { level, strength, distance, side });
            }
        }
        best
    }
}

/// Bin that holds an offset from the lowest price.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn bin_of(offset: f64, width: f64, last: usize) -> usize {
    ((offset / width) as usize).min(last)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tradewind_core::time::Nanos;

    fn candle(low: f64, high: f64, volume: f64, close: f64) -> Candle {
        Candle { index: 0, close_time: Nanos(0), open: close, high, low, close, volume }
    }

    fn near(seen: f64, wanted: f64) {
        assert!((seen - wanted).abs() < 1e-7, "{seen} instead of {wanted}");
    }

    const BARS: [(f64, f64, f64); 4] =
        [(100.0, 102.0, 1000.0), (100.5, 101.5, 800.0), (104.0, 106.0, 1200.0), (104.5, 105.5, 600.0)];

    /// ST-V6
    #[test]
    fn profile_and_nearest_node() {
        let mut lvn = Lvn::new(&ProfileConfig { bars: 4, bins: 12, ..ProfileConfig::default() });
        let seen = BARS.map(|(low, high, volume)| lvn.push(&candle(low, high, volume, 104.2), Some(1.0)));
        assert_eq!(seen[2], None);
        let wanted = [250.0, 650.0, 650.0, 250.0, 0.0, 0.0, 0.0, 0.0, 300.0, 600.0, 600.0, 300.0];
        lvn.bins().iter().zip(wanted).for_each(|(seen, wanted)| near(*seen, wanted));
        let node = seen[3].unwrap().node.unwrap();
        near(node.level, 103.75);
        near(node.strength, 1.0);
        near(node.distance, 0.45);
        assert_eq!(node.side, 1);
        near(seen[3].unwrap().distance_share, 0.15);
    }

    /// ST-V7, ST-30
    #[test]
    fn support_of_a_node() {
        let reading = |side| LvnReading {
            node: Some(Node { level: 0.0, strength: 0.8, distance: 1.2, side }),
            distance_share: (1.2_f64 / 3.0).min(1.0),
        };
        near(reading(1).distance_share, 0.4);
        near(reading(1).support(), 0.4);
        near(reading(1).signed_support(), 0.4);
        near(reading(-1).signed_support(), -0.4);
        near(LvnReading { node: None, distance_share: 1.0 }.signed_support(), 0.0);
    }

    /// ST-27: a bar without a range puts its volume into one bin; nothing is lost at the upper edge.
    #[test]
    fn point_bars_and_edges() {
        let mut lvn = Lvn::new(&ProfileConfig { bars: 3, bins: 4, ..ProfileConfig::default() });
        for (low, high, volume) in [(10.0, 14.0, 400.0), (14.0, 14.0, 7.0), (11.0, 11.0, 5.0)] {
            lvn.push(&candle(low, high, volume, 12.0), Some(1.0));
        }
        [100.0, 105.0, 100.0, 107.0].into_iter().zip(lvn.bins()).for_each(|(wanted, seen)| near(*seen, wanted));
    }

    /// ST-27, ST-28, ST-29: no range, no volume: no node, column 4 = 1, column 5 = 0.
    #[test]
    fn no_node_without_range_or_volume() {
        for (low, high, volume) in [(5.0, 5.0, 9.0), (5.0, 6.0, 0.0)] {
            let mut lvn = Lvn::new(&ProfileConfig { bars: 1, ..ProfileConfig::default() });
            let reading = lvn.push(&candle(low, high, volume, 5.0), Some(0.0)).unwrap();
            assert_eq!(reading, LvnReading { node: None, distance_share: 1.0 });
            near(reading.strength(), 0.0);
        }
    }
}
