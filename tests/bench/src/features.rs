//! Feature update per closed bar, beside NumPy and SciPy on the window of each bar.

use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tradewind_core::bar::Bar;
use tradewind_core::calendar::CalendarName;
use tradewind_core::instrument::Ticks;
use tradewind_features::strategic::mmd::{Mmd, Step};
use tradewind_features::strategic::{BarPlan, Candle, EventStream, StrategicFeatures, StrategicStageConfig};
use tradewind_features::tactical::{FeatureState, ROWS, TacticalConfig, WARM_UP_BARS};
use tradewind_core::time::Nanos;

use crate::measure::{Latency, clock};

/// Rows of the table, in the order in which [`Subjects::pass`] measures them.
const NAMES: [&str; 6] = [
    "strategic: row of 48x13",
    "  its discrepancy alone",
    "  what a decision waits for",
    "  NumPy, SciPy: discrepancy",
    "tactical: row of 60x7",
    "  NumPy: row",
];
/// Largest difference of a discrepancy from that inside the row.
const TOLERANCE: f64 = 1e-9;
/// The same for tactical columns, which are f32, and the average true range, as a share.
const COLUMN_TOLERANCE: f64 = 1e-6;

/// What one closed bar takes.
#[derive(Debug, Serialize)]
pub struct FeatureRow {
    /// What is updated.
    pub name: &'static str,
    /// Bars that were timed in each repetition.
    pub bars: usize,
    /// For each percentile the smallest of the repetitions.
    pub latency: Latency,
}

/// The table of features.
#[derive(Debug, Serialize)]
pub struct FeatureReport {
    /// In the order of the table.
    pub rows: Vec<FeatureRow>,
    /// Share of the discrepancy in the strategic row, by p50.
    pub discrepancy_share: f64,
    /// p50 of discrepancy and tactical row as shares of NumPy's.
    pub ratios: [f64; 2],
}

/// Measures all rows on the bars of a file.
pub fn measure(file: &Path, python: &Path, repetitions: usize) -> Result<FeatureReport> {
    let recording = Recording::read(file)?;
    let mut peer = Peer::start(python, file, recording.warm_up)?;
    recording.compare(&peer.pass()?)?;
    let clock = clock();
    let mut rows: Vec<FeatureRow> = Vec::new();
    for _ in 0..repetitions {
        let passes = recording.pass(&mut peer)?;
        for (i, mut times) in passes.into_iter().enumerate() {
            times.iter_mut().for_each(|time| *time = (*time - clock).max(0.0));
            let latency = Latency::of(&mut times);
            match rows.get_mut(i) {
                Some(row) => row.latency = row.latency.min(latency),
                None => rows.push(FeatureRow { name: NAMES[i], bars: times.len(), latency }),
            }
        }
    }
    peer.end()?;
    let p50 = |i: usize| rows[i].latency.p50;
    Ok(FeatureReport { discrepancy_share: p50(1) / p50(0), ratios: [p50(1) / p50(3), p50(4) / p50(5)], rows })
}

/// The bars as each state takes them.
struct Recording {
    config: StrategicStageConfig,
    /// Bars before the first strategic matrix.
    warm_up: usize,
    bars: Vec<Bar>,
    candles: Vec<Candle>,
    steps: Vec<(Option<Step>, f64)>,
}

impl Recording {
    fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let bars = text.lines().skip(1).zip(0..).map(|(line, index)| bar(line, index).with_context(|| line.to_owned()));
        let bars: Vec<Bar> = bars.collect::<Result<_>>()?;
        let candles: Vec<Candle> = bars.iter().map(Candle::from_bar).collect();
        let step = |[before, bar]: &[Candle; 2]| Step {
            log_return: (bar.close / before.close).ln(),
            range_share: (bar.high - bar.low) / before.close,
        };
        let known = std::iter::once(None).chain(candles.array_windows().map(|pair| Some(step(pair))));
        let steps = known.zip(&candles).map(|(step, candle)| (step, candle.volume)).collect();
        let config = StrategicStageConfig { bars: BarPlan::AsFed, ..StrategicStageConfig::default() };
        let warm_up = config.features.warm_up_bars() as usize;
        ensure!(bars.len() > warm_up, "{} bars are too few", bars.len());
        Ok(Self { config, warm_up, bars, candles, steps })
    }

    fn strategic(&self) -> Result<StrategicFeatures> {
        Ok(StrategicFeatures::new(&self.config.features, self.config.bars.clock(CalendarName::AroundTheClock))?)
    }

    /// All that is timed must find the same before it is.
    fn compare(&self, answer: &Answer) -> Result<()> {
        let mut strategic = self.strategic()?;
        let mut discrepancy = Mmd::new(&self.config.features.mmd);
        let mut tactical = FeatureState::new(&TacticalConfig::default());
        let mut theirs = answer.mmd.values.iter().zip(&answer.tactical.values);
        for ((bar, candle), (step, volume)) in self.bars.iter().zip(&self.candles).zip(&self.steps) {
            let inside = strategic.push(candle)?.readings.mmd;
            let alone = discrepancy.push(*step, *volume);
            tactical.push(bar)?;
            if candle.index < self.warm_up as u64 {
                continue;
            }
            let (mmd, row) = theirs.next().context("NumPy saw fewer bars")?;
            let (inside, alone) = (inside.context("no discrepancy")?.squared, alone.context("no discrepancy")?.squared);
            for other in [alone, *mmd] {
                ensure!((inside - other).abs() < TOLERANCE, "bar {}: {inside} is not {other}", bar.index);
            }
            let columns = tactical.matrix(bar.index).context("no matrix")?[ROWS - 1].map(f64::from);
            let range = tactical.snapshot(bar.index).and_then(|snapshot| snapshot.atr_ticks).context("no range")?;
            let same = columns.iter().zip(row).all(|(a, b)| (a - b).abs() < COLUMN_TOLERANCE);
            ensure!(same && (range / row[7] - 1.0).abs() < COLUMN_TOLERANCE, "bar {}: {columns:?}, {range}: {row:?}", bar.index);
        }
        Ok(())
    }

    /// Microseconds of each warm bar, for each row of the table.
    fn pass(&self, peer: &mut Peer) -> Result<[Vec<f64>; 6]> {
        let mut strategic = self.strategic()?;
        let mut discrepancy = Mmd::new(&self.config.features.mmd);
        let mut events = EventStream::new(&self.config, CalendarName::AroundTheClock)?;
        let mut tactical = FeatureState::new(&TacticalConfig::default());
        let answer = peer.pass()?;
        Ok([
            times(&mut strategic, &self.candles, self.warm_up, |state, candle| Ok(state.push(candle)?.slot), |_| {})?,
            times(&mut discrepancy, &self.steps, self.warm_up, |state, (step, volume)| Ok(state.push(*step, *volume)), |_| {})?,
            times(&mut events, &self.bars, self.warm_up, |state, bar| Ok(state.take(bar)?), EventStream::settle)?,
            answer.mmd.times(),
            times(&mut tactical, &self.bars, WARM_UP_BARS as usize, |state, bar| Ok(state.push(bar)?), |_| {})?,
            answer.tactical.times(),
        ])
    }
}

/// A line of the file: opening instant, open, high, low, close, volume; a tick is a hundredth.
fn bar(line: &str, index: u64) -> Result<Bar> {
    let (stamp, figures) = line.split_once(',').context("one column")?;
    let figures: Vec<f64> = figures.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let [open, high, low, close, volume] = figures[..] else { anyhow::bail!("six columns are needed") };
    let opened: Timestamp = stamp.parse()?;
    let nanos = |time: Timestamp| Ok::<_, anyhow::Error>(Nanos(time.as_nanosecond().try_into()?));
    let [open, high, low, close] = [open, high, low, close].map(|price| Ticks((price * 100.0).round() as i64));
    let close_time = nanos(opened + SignedDuration::from_hours(24))?;
    Ok(Bar { index, open_time: nanos(opened)?, close_time, open, high, low, close, volume })
}

/// Pushes all bars; microseconds of those after the warm-up. What is left for `rest` is not timed.
fn times<S, B, T>(
    state: &mut S,
    bars: &[B],
    warm_up: usize,
    push: impl Fn(&mut S, &B) -> Result<T>,
    rest: impl Fn(&mut S),
) -> Result<Vec<f64>> {
    let mut times = Vec::with_capacity(bars.len());
    for bar in bars {
        let start = Instant::now();
        black_box(push(state, bar)?);
        times.push(start.elapsed().as_secs_f64() * 1e6);
        rest(state);
    }
    Ok(times.split_off(warm_up))
}

/// `features.py` on the same core, which waits while it is not asked.
struct Peer {
    child: Child,
    asked: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// One pass of `features.py`.
#[derive(Deserialize)]
struct Answer {
    mmd: Series<f64>,
    /// Seven columns and the average true range.
    tactical: Series<[f64; 8]>,
}

#[derive(Deserialize)]
struct Series<T> {
    values: Vec<T>,
    nanoseconds: Vec<f64>,
}

impl<T> Series<T> {
    fn times(&self) -> Vec<f64> {
        self.nanoseconds.iter().map(|time| time / 1e3).collect()
    }
}

impl Peer {
    fn start(python: &Path, bars: &Path, warm_up: usize) -> Result<Self> {
        let mut command = Command::new(python);
        command.args(["-c", include_str!("../features.py")]).arg(bars).arg(warm_up.to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).env("OPENBLAS_NUM_THREADS", "1").spawn()?;
        let (asked, answers) = (child.stdin.take().context("no input")?, child.stdout.take().context("no output")?);
        Ok(Self { child, asked, answers: BufReader::new(answers) })
    }

    fn pass(&mut self) -> Result<Answer> {
        self.asked.write_all(b"\n")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        serde_json::from_str(&line).context("features.py gave no answer")
    }

    fn end(self) -> Result<()> {
        let Self { mut child, asked, .. } = self;
        drop(asked);
        ensure!(child.wait()?.success(), "features.py failed");
        Ok(())
    }
}

impl FeatureReport {
    /// Prints the table.
    pub fn print(&self) {
        println!("\nfeatures: one closed bar, microseconds");
        println!("  {:<26} {:>8} {:>8} {:>8}   {:>8}", "", "p50", "p99", "p99.9", "bars");
        for FeatureRow { name, bars, latency } in &self.rows {
            println!("  {name:<26} {:>8.2} {:>8.2} {:>8.2}   {bars:>8}", latency.p50, latency.p99, latency.p999);
        }
        println!("  the discrepancy is {:.0} % of the strategic row", 100.0 * self.discrepancy_share);
        println!("  p50 is {:.3} x NumPy and SciPy (discrepancy), {:.4} x NumPy (tactical row)", self.ratios[0], self.ratios[1]);
    }
}
