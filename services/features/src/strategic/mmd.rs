//! Maximum mean discrepancy: how far the newest bars differ from the weeks before them.

use serde::{Deserialize, Serialize};

use super::config::MmdConfig;
use super::kernel_sum::gaussian_sum;
use super::window::{SortedWindow, Window, median_by_selection, median_near};

/// Dimensions of a sample vector (ST-36).
const DIMENSIONS: usize = 3;
/// Volumes below count as this (ST-36).
const LEAST_VOLUME: f64 = 1e-9;
/// From the median absolute deviation to the standard deviation of a normal distribution (ST-36).
const MAD_TO_DEVIATION: f64 = 1.4826;
/// Smallest scale of a dimension (ST-36).
const LEAST_SCALE: f64 = 1e-8;
/// Smallest width of the kernel (ST-36).
const LEAST_SIGMA: f64 = 1e-6;

/// How a bar moved, seen from the close before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// `ln(C_t / C_{t-1})`.
    pub log_return: f64,
    /// `(H_t - L_t) / C_{t-1}`.
    pub range_share: f64,
}

/// What the discrepancy is at one bar.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MmdReading {
    /// `sqrt(max(0, squared))` (ST-35), 0 to about 1.4; column 10 clips it to 1.
    pub score: f64,
    /// Unbiased estimate of the squared discrepancy; may be negative.
    pub squared: f64,
    /// Width of the kernel.
    pub sigma: f64,
    /// Medians of the reference sample.
    pub medians: [f64; DIMENSIONS],
    /// Scales of the reference sample.
    pub scales: [f64; DIMENSIONS],
}

/// Discrepancy between the newest `recent` vectors and the `reference` vectors before them (ST-34 to ST-37).
///
/// Kept from bar to bar: the vectors; the reference sample in order of size, so that its medians are known without
/// sorting; and the median distance, near which the next one is sought. The term inside the reference sample cannot be carried along: its scales and its kernel
/// width move with each bar, and with them every summand. It is computed in full, so that the value is a
/// function of the newest `recent + reference` vectors alone, without drift. This is work for the close of a bar,
/// never for the way of a decision.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mmd {
    recent: usize,
    reference: usize,
    volumes: Window,
    vectors: [Window; DIMENSIONS],
    /// The reference sample by dimension.
    past: [SortedWindow; DIMENSIONS],
    #[serde(skip)]
    scaled: Vec<[f64; DIMENSIONS]>,
    /// Squared distances within the reference sample.
    #[serde(skip)]
    pairs: Vec<f64>,
    #[serde(skip)]
    selection: Vec<f64>,
    /// Median of the pairs at the bar before: where to look for the next one.
    middle: f64,
}

impl Mmd {
    /// Without history; all memory is taken here.
    #[must_use]
    pub fn new(config: &MmdConfig) -> Self {
        let (recent, reference) = (config.recent as usize, config.reference as usize);
        let pairs = |n: usize| n * n.saturating_sub(1) / 2;
        let largest = pairs(reference).max(pairs(recent)).max(recent * reference).max(reference);
        Self {
            recent,
            reference,
            volumes: Window::new(config.volume_bars as usize),
            vectors: std::array::from_fn(|_| Window::new(recent + reference)),
            past: std::array::from_fn(|_| SortedWindow::new(reference)),
            scaled: Vec::with_capacity(recent + reference),
            pairs: Vec::with_capacity(pairs(reference)),
            selection: Vec::with_capacity(largest),
            middle: 0.0,
        }
    }

    /// Takes the next bar; `None` until both samples are full.
    pub fn push(&mut self, step: Option<Step>, volume: f64) -> Option<MmdReading> {
        self.take(step, volume);
        self.read()
    }

    /// Takes the next bar without comparing the samples: nearly all of the work is in [`Mmd::read`].
    pub fn take(&mut self, step: Option<Step>, volume: f64) {
        let volume = volume.max(LEAST_VOLUME);
        self.volumes.push(volume);
        let Some(step) = step.filter(|_| self.volumes.is_full()) else { return };
        let vector = [step.log_return, step.range_share, libm::log(volume / mean(self.volumes.slice()))];
        for ((window, past), value) in self.vectors.iter_mut().zip(&mut self.past).zip(vector) {
            window.push(value);
            // The vector that leaves the recent sample enters the reference.
            if let Some(at) = window.len().checked_sub(self.recent + 1) {
                past.push(window.slice()[at]);
            }
        }
    }

    /// Compares the samples as they are; `None` until both are full. Once per bar that was taken: the search for the
    /// median begins where it ended at the bar before.
    pub fn read(&mut self) -> Option<MmdReading> {
        self.vectors[0].is_full().then(|| self.compare())
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.volumes.clear();
        self.vectors.iter_mut().for_each(Window::clear);
        self.past.iter_mut().for_each(SortedWindow::clear);
    }

    fn compare(&mut self) -> MmdReading {
        let (medians, scales) = self.standardise();
        let (reference, recent) = self.scaled.split_at(self.reference);
        self.pairs.clear();
        for (i, x) in reference.iter().enumerate() {
            self.pairs.extend(reference[i + 1..].iter().map(|y| squared_distance(x, y)));
        }
        let middle = median_near(&self.pairs, self.middle, &mut self.selection).unwrap_or(0.0);
        self.middle = middle;
        let sigma = width(middle);
        let gamma = precision(sigma);
        let within = 2.0 * gaussian_sum(&self.pairs, gamma) / ordered_pairs(reference.len());
        let squared = combine(recent, reference, within, gamma, &mut self.selection);
        MmdReading { score: squared.max(0.0).sqrt(), squared, sigma, medians, scales }
    }

    /// ST-36: both samples, centred and scaled by the reference.
    fn standardise(&mut self) -> ([f64; DIMENSIONS], [f64; DIMENSIONS]) {
        let medians = std::array::from_fn(|d| self.past[d].median().unwrap_or(0.0));
        let mut scales = [0.0; DIMENSIONS];
        for (d, scale) in scales.iter_mut().enumerate() {
            self.selection.clear();
            self.selection.extend(self.past[d].sorted().iter().map(|value| (value - medians[d]).abs()));
            *scale = (MAD_TO_DEVIATION * median_by_selection(&mut self.selection).unwrap_or(0.0)).max(LEAST_SCALE);
        }
        let vectors: [&[f64]; DIMENSIONS] = std::array::from_fn(|d| self.vectors[d].slice());
        self.scaled.clear();
        let standard = |i: usize| std::array::from_fn(|d| (vectors[d][i] - medians[d]) / scales[d]);
        self.scaled.extend((0..self.recent + self.reference).map(standard));
        (medians, scales)
    }
}

/// `E_P[k] + E_Q[k] - 2 E_PQ[k]`, given the middle term.
#[allow(clippy::cast_precision_loss)]
fn combine<const D: usize>(p: &[[f64; D]], q: &[[f64; D]], within_q: f64, gamma: f64, distances: &mut Vec<f64>) -> f64 {
    let within_p = within(p, gamma, distances);
    distances.clear();
    for x in p {
        distances.extend(q.iter().map(|y| squared_distance(x, y)));
    }
    let across = gaussian_sum(distances, gamma) / (p.len() * q.len()) as f64;
    within_p + within_q - 2.0 * across
}

/// Mean kernel over all ordered pairs of different members.
fn within<const D: usize>(sample: &[[f64; D]], gamma: f64, distances: &mut Vec<f64>) -> f64 {
    distances.clear();
    for (i, x) in sample.iter().enumerate() {
        distances.extend(sample[i + 1..].iter().map(|y| squared_distance(x, y)));
    }
    2.0 * gaussian_sum(distances, gamma) / ordered_pairs(sample.len())
}

fn squared_distance<const D: usize>(x: &[f64; D], y: &[f64; D]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum()
}

fn width(median_squared_distance: f64) -> f64 {
    median_squared_distance.sqrt().max(LEAST_SIGMA)
}

fn precision(sigma: f64) -> f64 {
    1.0 / (2.0 * sigma * sigma)
}

#[allow(clippy::cast_precision_loss)]
fn ordered_pairs(n: usize) -> f64 {
    (n * n.saturating_sub(1)) as f64
}

#[allow(clippy::cast_precision_loss)]
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn near(seen: f64, wanted: f64) {
        assert!((seen - wanted).abs() < 1e-7, "{seen} instead of {wanted}");
    }

    /// Unbiased squared discrepancy of two samples of at least two vectors (ST-34, ST-35); may be negative.
    fn mmd_squared<const D: usize>(p: &[[f64; D]], q: &[[f64; D]], sigma: f64) -> f64 {
        let (gamma, mut distances) = (precision(sigma), Vec::new());
        let within = within(q, gamma, &mut distances);
        combine(p, q, within, gamma, &mut distances)
    }

    /// Median distance inside a sample: median of the squares, then the root (ST-36).
    fn median_sigma<const D: usize>(sample: &[[f64; D]]) -> f64 {
        let mut distances = Vec::new();
        for (i, x) in sample.iter().enumerate() {
            distances.extend(sample[i + 1..].iter().map(|y| squared_distance(x, y)));
        }
        width(median_by_selection(&mut distances).unwrap_or(0.0))
    }

    const P: [[f64; 1]; 3] = [[0.1], [0.2], [0.3]];
    const Q: [[f64; 1]; 3] = [[0.5], [0.6], [0.9]];

    /// What the biased estimator gives: the unbiased one plus what the equal pairs add.
    fn biased<const D: usize>(p: &[[f64; D]], q: &[[f64; D]], sigma: f64) -> f64 {
        let gamma = precision(sigma);
        let mean_all = |a: &[[f64; D]], b: &[[f64; D]]| {
            let sum: f64 = a.iter().flat_map(|x| b.iter().map(move |y| libm::exp(-squared_distance(x, y) * gamma))).sum();
            sum / (a.len() * b.len()) as f64
        };
        mean_all(p, p) + mean_all(q, q) - 2.0 * mean_all(p, q)
    }

    /// ST-V10
    #[test]
    fn discrepancy_of_two_small_samples() {
        near(mmd_squared(&P, &Q, 1.0), 0.178_106_20);
        near(biased(&P, &Q, 1.0), 0.195_400_65);
        near(mmd_squared(&P, &Q, 0.2), 0.885_986_36);
        near(biased(&P, &Q, 0.2), 1.139_985_35);
        near(median_sigma(&Q), 0.3);
        near(mmd_squared(&P, &Q, median_sigma(&Q)), 0.815_418_51);
        near(mmd_squared(&P, &Q, median_sigma(&Q)).sqrt(), 0.903_005_27);
    }

    /// ST-V11: near-equal samples give a negative estimate, hence a score of 0.
    #[test]
    fn near_equal_samples() {
        let (p, q) = ([[0.1], [0.4], [0.9]], [[0.2], [0.5], [0.8]]);
        near(mmd_squared(&p, &q, 0.5), -0.217_130_09);
        near(biased(&p, &q, 0.5), 0.018_744_26);
        near(mmd_squared(&p, &p, 0.5), -0.284_480_41);
        near(biased(&p, &p, 0.5), 0.0);
    }

    /// ST-36: the vectors enter the reference only after they left the recent sample; flat bars give 0.
    #[test]
    fn samples_do_not_overlap() {
        let config = MmdConfig { recent: 2, reference: 3, volume_bars: 1 };
        let mut mmd = Mmd::new(&config);
        assert_eq!(mmd.push(None, 1.0), None);
        let step = |log_return| Some(Step { log_return, range_share: 0.0 });
        for log_return in [1.0, 2.0, 4.0, 8.0] {
            assert_eq!(mmd.push(step(log_return), 1.0), None);
        }
        let reading = mmd.push(step(16.0), 1.0).unwrap();
        near(reading.medians[0], 2.0);
        near(reading.scales[0], 1.4826);
        let mut flat = Mmd::new(&config);
        let last = (0..9).map(|_| flat.push(step(0.0), 0.0)).last().unwrap().unwrap();
        assert!(last.score.abs() < 1e-12 && last.sigma >= LEAST_SIGMA);
    }

    /// No buffer moves or grows once it is made, so a bar allocates nothing.
    #[test]
    fn buffers_stay_where_they_are() {
        let mut mmd = Mmd::new(&MmdConfig { recent: 30, reference: 12, volume_bars: 2 });
        let place = |mmd: &Mmd| (mmd.pairs.as_ptr(), mmd.selection.as_ptr(), mmd.scaled.as_ptr(), mmd.selection.capacity());
        let before = place(&mmd);
        for i in 0..200 {
            let step = Step { log_return: f64::from(i % 7) * 1e-3, range_share: f64::from(i % 5) * 1e-3 };
            mmd.push(Some(step), f64::from(i % 3));
        }
        assert_eq!(place(&mmd), before);
    }
}
