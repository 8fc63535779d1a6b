//! Strategic-1, sections 2 and 3, read literally: every column from all bars, without any state.

use tradewind_features::strategic::{COLUMNS, Candle};

/// Columns of a whole series, ready to be asked for single rows.
pub(crate) struct Definition<'a> {
    bars: &'a [Candle],
    mlmi_value: Vec<Option<f64>>,
    mlmi_signal: Vec<i8>,
    atr: Vec<Option<f64>>,
    estimate: Vec<Option<f64>>,
    deviation: Vec<Option<f64>>,
}

impl<'a> Definition<'a> {
    /// `hidden[t]`: no crossing is seen between bar t - 1 and bar t (a gap lies there).
    pub(crate) fn new(bars: &'a [Candle], hidden: &[bool]) -> Self {
        let closes: Vec<f64> = bars.iter().map(|bar| bar.close).collect();
        let (mlmi_value, mlmi_signal) = mlmi(&closes, hidden);
        let returns: Vec<Option<f64>> = (0..bars.len()).map(|t| (t > 0).then(|| (closes[t] / closes[t - 1]).ln())).collect();
        let deviation = (0..bars.len()).map(|t| (t >= 30).then(|| sd1(&returns[t - 29..=t]))).collect();
        Self { bars, mlmi_value, mlmi_signal, atr: atr(bars), estimate: estimates(&closes), deviation }
    }

    /// ST-8; `t` at or after the first complete row.
    pub(crate) fn row(&self, t: usize) -> [f64; COLUMNS] {
        let close = self.bars[t].close;
        let (atr, estimate) = (self.atr[t].unwrap(), self.estimate[t].unwrap());
        let slope = if atr < 1e-12 { 0.0 } else { (estimate - self.estimate[t - 1].unwrap()) / atr };
        let deviation = self.deviation[t].unwrap();
        let (distance, strength) = node(&self.bars[t - 19..=t], atr);
        let momentum = |n: usize| {
            let scaled = (close / self.bars[t - n].close).ln() / (deviation * (n as f64).sqrt());
            if deviation < 1e-12 { 0.0 } else { scaled.clamp(-3.0, 3.0) / 3.0 }
        };
        let seconds = self.bars[t].close_time.0.rem_euclid(86_400_000_000_000) as f64 / 1e9;
        let angle = std::f64::consts::TAU * seconds / 86_400.0;
        [
            (self.mlmi_value[t].unwrap() - 50.0) / 50.0,
            f64::from(self.mlmi_signal[t]),
            ((estimate / close - 1.0) / 0.05).clamp(-1.0, 1.0),
            slope.clamp(-2.0, 2.0) / 2.0,
            distance,
            strength,
            angle.sin(),
            angle.cos(),
            momentum(20),
            momentum(50),
            mmd_score(&self.bars[t - 547..=t]).clamp(0.0, 1.0),
            self.volatility(t),
            skew(&self.bars[t - 19..=t]).clamp(-3.0, 3.0) / 3.0,
        ]
    }

    fn volatility(&self, t: usize) -> f64 {
        let past: Vec<f64> = (0..=t).rev().take(480).filter_map(|i| self.deviation[i]).collect();
        let middle = median(past);
        let ratio = if middle < 1e-12 { 1.0 } else { self.deviation[t].unwrap() / middle };
        ratio.ln().clamp(-2.0, 2.0) / 2.0
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    if n % 2 == 1 { values[n / 2] } else { (values[n / 2 - 1] + values[n / 2]) / 2.0 }
}

fn sd1(values: &[Option<f64>]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().flatten().sum::<f64>() / n;
    (values.iter().flatten().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
}

fn wma(values: &[Option<f64>], n: usize, t: usize) -> Option<f64> {
    let sum: Option<f64> = (0..n).map(|j| Some((n - j) as f64 * (*values.get(t.checked_sub(j)?)?)?)).sum();
    Some(sum? / (n * (n + 1) / 2) as f64)
}

fn rsi(closes: &[f64], n: usize) -> Vec<Option<f64>> {
    let mut averages = [0.0; 2];
    let index = |t: usize| {
        let difference = closes[t] - *closes.get(t.wrapping_sub(1))?;
        for (average, part) in averages.iter_mut().zip([difference.max(0.0), (-difference).max(0.0)]) {
            *average = if t <= n { *average + part / n as f64 } else { (*average * (n - 1) as f64 + part) / n as f64 };
        }
        let sum = averages[0] + averages[1];
        (t >= n).then(|| if sum == 0.0 { 50.0 } else { 100.0 * averages[0] / sum })
    };
    (0..closes.len()).map(index).collect()
}

fn mlmi(closes: &[f64], hidden: &[bool]) -> (Vec<Option<f64>>, Vec<i8>) {
    let some: Vec<Option<f64>> = closes.iter().copied().map(Some).collect();
    let (fast, slow) = (rsi(closes, 5), rsi(closes, 20));
    let spread = |t: usize| Some(wma(&some, 5, t)? - wma(&some, 20, t)?);
    let (mut stored, mut open, mut values) = (Vec::new(), None, Vec::new());
    for t in 0..closes.len() {
        let Some((q, s)) = wma(&fast, 20, t).zip(wma(&slow, 20, t)) else {
            values.push(None);
            continue;
        };
        let crossed = match t.checked_sub(1).and_then(spread).zip(spread(t)) {
            Some((before, now)) => (now > 0.0 && before <= 0.0) || (now < 0.0 && before >= 0.0),
            None => false,
        };
        if crossed
            && !hidden[t]
            && let Some((s, q, close)) = open.replace((s, q, closes[t]))
        {
            stored.push((s, q, if closes[t] >= close { 1.0 } else { -1.0 }));
        }
        let mut near: Vec<(f64, f64)> =
            stored.iter().rev().map(|(a, b, l): &(f64, f64, f64)| ((a - s).hypot(b - q), *l)).collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0));
        near.truncate(5);
        let sum: f64 = near.iter().map(|(_, label)| label).sum();
        values.push(Some(if near.is_empty() { 50.0 } else { 50.0 * (1.0 + sum / near.len() as f64) }));
    }
    let margin = |t: usize| Some(values[t]? - wma(&values, 20, t)?);
    let signal = |t: usize| match t.checked_sub(1).and_then(margin).zip(margin(t)) {
        Some((before, now)) if !hidden[t] && now > 1e-9 && before <= 1e-9 => 1,
        Some((before, now)) if !hidden[t] && now < -1e-9 && before >= -1e-9 => -1,
        _ => 0,
    };
    let signals = (0..closes.len()).map(signal).collect();
    (values, signals)
}

fn atr(bars: &[Candle]) -> Vec<Option<f64>> {
    let range = |t: usize| {
        let (bar, before) = (&bars[t], bars[t - 1].close);
        (bar.high - bar.low).max((bar.high - before).abs()).max((bar.low - before).abs())
    };
    let mut value = 0.0;
    let average = |t: usize| {
        value = match t {
            0..=13 => return None,
            14 => (1..=14).map(range).sum::<f64>() / 14.0,
            _ => (13.0 * value + range(t)) / 14.0,
        };
        Some(value)
    };
    (0..bars.len()).map(average).collect()
}

fn estimates(closes: &[f64]) -> Vec<Option<f64>> {
    let weight = |j: usize| (1.0 + (j * j) as f64 / 1024.0).powi(-8);
    let sum: f64 = (0..27).map(weight).sum();
    let estimate = |t: usize| (t >= 26).then(|| (0..27).map(|j| weight(j) * closes[t - j]).sum::<f64>() / sum);
    (0..closes.len()).map(estimate).collect()
}

/// Columns 4 and 5 of the last of 20 bars.
fn node(bars: &[Candle], atr: f64) -> (f64, f64) {
    let low = bars.iter().map(|bar| bar.low).fold(f64::INFINITY, f64::min);
    let high = bars.iter().map(|bar| bar.high).fold(0.0, f64::max);
    if high - low < 1e-12 {
        return (1.0, 0.0);
    }
    let width = (high - low) / 50.0;
    let edge = |bin: usize| low + bin as f64 * width;
    let mut bins = [0.0; 50];
    for bar in bars {
        if bar.high == bar.low {
            bins[(((bar.low - low) / width) as usize).min(49)] += bar.volume;
            continue;
        }
        for (bin, volume) in bins.iter_mut().enumerate() {
            let overlap = bar.high.min(edge(bin + 1)) - bar.low.max(edge(bin));
            *volume += bar.volume * overlap.max(0.0) / (bar.high - bar.low);
        }
    }
    let busiest = bins.iter().copied().fold(0.0, f64::max);
    let close = bars[bars.len() - 1].close;
    let is_node = |i: &usize| {
        let around = bins[i - 1].min(bins[i + 1]) + 1e-9 * busiest;
        bins[*i] < 0.3 * busiest && bins[*i] <= around
    };
    let nodes = (1..49).filter(is_node).map(|i| ((edge(i) + width / 2.0 - close).abs(), 1.0 - bins[i] / busiest));
    // The nearest; among equally near ones the emptiest.
    let nearest = nodes.min_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    nearest.map_or((1.0, 0.0), |(distance, strength)| ((distance / (3.0 * atr)).min(1.0), strength))
}

/// Score of the last of 548 bars: 528 vectors, and the 20 volumes before the first of them.
fn mmd_score(bars: &[Candle]) -> f64 {
    let vector = |t: usize| {
        let volumes = bars[t - 19..=t].iter().map(|bar| bar.volume.max(1e-9));
        let mean = volumes.sum::<f64>() / 20.0;
        let (bar, before) = (&bars[t], bars[t - 1].close);
        [(bar.close / before).ln(), (bar.high - bar.low) / before, (bar.volume.max(1e-9) / mean).ln()]
    };
    let vectors: Vec<[f64; 3]> = (20..548).map(vector).collect();
    let column = |d: usize| vectors[..480].iter().map(|x| x[d]).collect::<Vec<f64>>();
    let medians = [0, 1, 2].map(|d| median(column(d)));
    let scales = [0, 1, 2].map(|d| {
        let deviations = column(d).into_iter().map(|value| (value - medians[d]).abs()).collect();
        (1.4826 * median(deviations)).max(1e-8)
    });
    let scaled: Vec<[f64; 3]> = vectors.iter().map(|x| [0, 1, 2].map(|d| (x[d] - medians[d]) / scales[d])).collect();
    let distance = |a: &[f64; 3], b: &[f64; 3]| (0..3).map(|d| (a[d] - b[d]).powi(2)).sum::<f64>();
    let (q, p) = scaled.split_at(480);
    let mut pairs = Vec::new();
    (0..480).for_each(|i| pairs.extend((0..i).map(|j| distance(&q[i], &q[j]))));
    let sigma = median(pairs).sqrt().max(1e-6);
    let kernel = |a: &[f64; 3], b: &[f64; 3]| (-distance(a, b) / (2.0 * sigma * sigma)).exp();
    let within = |sample: &[[f64; 3]]| {
        let n = sample.len();
        let all = (0..n).flat_map(|i| (0..n).filter(move |j| *j != i).map(move |j| (i, j)));
        all.map(|(i, j)| kernel(&sample[i], &sample[j])).sum::<f64>() / (n * (n - 1)) as f64
    };
    let across: f64 = p.iter().flat_map(|x| q.iter().map(move |y| kernel(x, y))).sum();
    (within(p) + within(q) - 2.0 * across / (480.0 * 48.0)).max(0.0).sqrt()
}

fn skew(bars: &[Candle]) -> f64 {
    let total: f64 = bars.iter().map(|bar| bar.volume).sum();
    if total == 0.0 {
        return 0.0;
    }
    let price = |bar: &Candle| (bar.high + bar.low + bar.close) / 3.0;
    let mean: f64 = bars.iter().map(|bar| bar.volume / total * price(bar)).sum();
    let moment = |power: i32| bars.iter().map(|bar| bar.volume / total * (price(bar) - mean).powi(power)).sum::<f64>();
    if moment(2) < 1e-16 { 0.0 } else { moment(3) / moment(2).powf(1.5) }
}
