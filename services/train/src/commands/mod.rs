//! The subcommands, and the arguments that several of them take.

pub(crate) mod spoil;
pub(crate) mod strategic;
pub(crate) mod tactical;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use tradewind_core::calendar::CalendarName;
use tradewind_core::time::Nanos;
use tradewind_features::strategic::{BarPlan, StrategicStageConfig};
use tradewind_nets::StrategicPolicies;
use tradewind_nets::checkpoint::{Manifest, sha256};
use tradewind_train::bars::{self, Series};
use tradewind_train::run::LossRun;
use tradewind_train::strategic::course::{Course, follow};

/// Inputs in the self-test of a trained checkpoint.
pub(crate) const SELF_TEST_INPUTS: usize = 32;

/// Which networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Policies that decide on synergy events and give tactical decisions their context.
    Strategic,
    /// Actors that decide every bar.
    Tactical,
}

/// Which bars.
#[derive(Args)]
pub(crate) struct Data {
    /// Directory with files named SYMBOL.csv.
    #[arg(long)]
    pub(crate) bars: PathBuf,
    /// Symbols.
    #[arg(long, value_delimiter = ',', default_value = "SPX,IXIC")]
    pub(crate) symbols: Vec<String>,
    /// First day of the report, which is also the end of training.
    #[arg(long, default_value = "2007-01-01", value_parser = bars::day)]
    pub(crate) split: Nanos,
    /// Calendar of the recorded markets, which says what half hours they have (XNYS, FX24x5, 24x7, ...).
    #[arg(long, requires = "half_hours", default_value_t = CalendarName::default())]
    pub(crate) calendar: CalendarName,
}

impl Data {
    /// The recordings, as a stage can take them. Some bars of each symbol have to be left for the report: without them a long
    /// training ends in no figures.
    pub(crate) fn series(&self, stage: &Stage) -> anyhow::Result<Vec<Series>> {
        let series = bars::read(&self.bars, &self.symbols, self.calendar)?;
        let minutes = |one: &Series| one.bars.iter().map(|bar| bar.close_time.since(bar.open_time) / 60_000_000_000).max();
        for one in &series {
            let symbol = &one.instrument.symbol;
            let last = one.bars.last().with_context(|| format!("no bars of {symbol}"))?.close_time;
            ensure!(
                last >= self.split,
                "--split is {}, and the last bar of {symbol} closes at {}: nothing is left for the report; choose an earlier day",
                date(self.split),
                date(last)
            );
            if let Some(minutes) = minutes(one).filter(|minutes| stage.half_hours && *minutes > 30) {
                bail!(
                    "{symbol}: its bars are of {minutes} minutes, half hours are joined from bars of at most 30; leave --half-hours out"
                );
            }
        }
        Ok(series)
    }
}

/// The strategic stage around its networks.
#[derive(Args)]
pub(crate) struct Stage {
    /// The strategic stage sees half hours, joined from bars of at most 30 minutes; otherwise the bars as they are recorded.
    #[arg(long)]
    pub(crate) half_hours: bool,
    /// Confidence that a strategic decision must exceed to proceed.
    #[arg(long, default_value_t = StrategicStageConfig::default().decision.confidence_threshold)]
    confidence_threshold: f64,
    /// Weaker synergies are not decided on; the tactical stage ignores weaker contexts.
    #[arg(long, default_value_t = StrategicStageConfig::default().decision.min_synergy_confidence)]
    pub(crate) min_synergy_confidence: f64,
    /// Strategic decisions against their synergy do not proceed.
    #[arg(long)]
    require_synergy_alignment: bool,
    /// Largest distance of the first from the last signal of a synergy, bars.
    #[arg(long, default_value_t = StrategicStageConfig::default().features.synergy.window_bars)]
    synergy_window: u32,
    /// Bars after a synergy in which no other is raised.
    #[arg(long, default_value_t = StrategicStageConfig::default().features.synergy.cooldown_bars)]
    cooldown_bars: u32,
    /// Distance of the momentum index from 50 that makes a signal.
    #[arg(long, default_value_t = StrategicStageConfig::default().features.synergy.mlmi_distance)]
    mlmi_distance: f64,
    /// Slope of the regression that makes a signal, ATR per bar.
    #[arg(long, default_value_t = StrategicStageConfig::default().features.synergy.slope)]
    slope: f64,
    /// Bars after its change of sign within which the slope must be reached.
    #[arg(long, default_value_t = StrategicStageConfig::default().features.synergy.slope_wait_bars)]
    slope_wait_bars: u32,
    /// Smallest fair value gap that makes a signal, as a share of the price.
    #[arg(long, default_value_t = StrategicStageConfig::default().features.synergy.gap_share)]
    gap_share: f64,
    /// Further bars for which a strategic decision stays the context of tactical ones.
    #[arg(long, default_value_t = StrategicStageConfig::default().context_bars)]
    context_bars: u32,
}

impl Stage {
    /// The configuration that the arguments make.
    pub(crate) fn config(&self) -> StrategicStageConfig {
        let defaults = StrategicStageConfig::default();
        let bars = if self.half_hours { BarPlan::HalfHours } else { BarPlan::AsFed };
        let mut config = StrategicStageConfig { bars, context_bars: self.context_bars, ..defaults };
        let (decision, synergy) = (&mut config.decision, &mut config.features.synergy);
        decision.confidence_threshold = self.confidence_threshold;
        decision.min_synergy_confidence = self.min_synergy_confidence;
        decision.require_synergy_alignment = self.require_synergy_alignment;
        synergy.window_bars = self.synergy_window;
        synergy.cooldown_bars = self.cooldown_bars;
        synergy.mlmi_distance = self.mlmi_distance;
        synergy.slope = self.slope;
        synergy.slope_wait_bars = self.slope_wait_bars;
        synergy.gap_share = self.gap_share;
        config
    }

    /// What the strategic networks of a checkpoint file do along the bars.
    pub(crate) fn follow(&self, series: &[Series], checkpoint: &[u8]) -> anyhow::Result<Course> {
        let policies = StrategicPolicies::from_bytes(checkpoint, &sha256(checkpoint))?;
        if let Some(learned) = policies.manifest().calendar
            && !(self.half_hours && series.iter().all(|one| one.calendar == learned))
        {
            bail!("the checkpoint learned half hours of {learned}; judge it with --half-hours --calendar {learned}");
        }
        let model = policies.parameters().clone();
        Ok(follow(series, &self.config(), &model, policies)?)
    }
}

/// What trained networks say about themselves, their figures aside.
pub(crate) fn provenance(base: Manifest, series: &[Series], split: Nanos, seed: u64, steps: usize) -> Manifest {
    Manifest {
        training_data_digest: data_digest(series, split),
        seeds: vec![seed],
        episode: steps as u64,
        code_revision: format!("tradewind-train {}", env!("CARGO_PKG_VERSION")),
        ..base
    }
}

/// SHA-256 over the bars of the training period, one line each.
fn data_digest(series: &[Series], until: Nanos) -> String {
    let mut text = String::new();
    for one in series {
        for bar in one.bars.iter().take_while(|bar| bar.close_time <= until) {
            let prices = [bar.open, bar.high, bar.low, bar.close].map(|ticks| ticks.0.to_string()).join(",");
            text.push_str(&format!("{},{},{prices},{}\n", one.instrument.symbol, bar.open_time.0, bar.volume));
        }
    }
    sha256(text.as_bytes())
}

/// A file with its name in the error.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}

/// Refuses a place that cannot be written before the work is done, and not after it.
pub(crate) fn writable(path: &Path) -> anyhow::Result<()> {
    ensure!(!path.is_dir(), "--out {} is a directory; give the file to write", path.display());
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    ensure!(directory.is_dir(), "--out {}: there is no directory {}; create it first", path.display(), directory.display());
    Ok(())
}

/// A finite number.
pub(crate) fn finite(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if number.is_finite() { Ok(number) } else { Err("it must be a finite number".to_owned()) }
}

/// Writes a checkpoint and says which.
pub(crate) fn save(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| path.display().to_string())?;
    println!("{}: {} bytes, sha256 {}", path.display(), bytes.len(), sha256(bytes));
    Ok(())
}

/// The course of one loss; `note` says what it compares with.
pub(crate) fn show_loss(loss: &LossRun, note: &str) {
    println!(
        "{:<9} loss {:.4} -> {:.4}{note}, slope of the last 100 steps {:+.1e}, variation {:.3}",
        loss.network, loss.first, loss.last, loss.slope, loss.convergence
    );
}

/// An instant as people write it.
pub(crate) fn date(day: Nanos) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(day.0)).map_or_else(|error| error.to_string(), |stamp| stamp.to_string())
}

/// Runs something with a bar that shows its steps and losses.
pub(crate) fn with_progress<T>(steps: usize, run: impl FnOnce(&mut dyn FnMut(usize, f64)) -> T) -> T {
    let bar = ProgressBar::new(steps as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} steps, loss {msg}, {eta} left") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(500));
    let result = run(&mut |step, loss| {
        bar.set_position(step as u64 + 1);
        bar.set_message(format!("{loss:.4}"));
    });
    bar.finish_and_clear();
    result
}
