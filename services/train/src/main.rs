//! `tradewind-train`: trains, reports, and makes checkpoints that are wrong on purpose.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use tradewind_domain::time::Nanos;
use tradewind_nets::checkpoint::{Checkpoint, Manifest, TACTICAL_ROLE, sha256, write};
use tradewind_nets::forward::TacticalForward;
use tradewind_nets::spoil::{SPOILS, Spoil, spoil};
use tradewind_nets::weights::TacticalWeights;
use tradewind_train::bars::{self, Series};
use tradewind_train::fit::{self, BATCH, Fitted};
use tradewind_train::objective::{ACTOR_LR, ENTROPY_COEF, MAX_GRAD_NORM};
use tradewind_train::report::{self, Figures, FollowMomentum, Terms};
use tradewind_train::samples::{self, Judgement};

/// Inputs in the self-test of a trained checkpoint.
const SELF_TEST_INPUTS: usize = 32;

/// Trains the tactical networks on recorded daily bars and reports what they would have earned.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Trains on the early years, reports on the late ones, writes a checkpoint.
    Fit(FitArgs),
    /// Reports what a checkpoint would have earned on the late years.
    Report(ReportArgs),
    /// Makes a wrong checkpoint out of a good one: for tests of verification and rollback.
    Spoil(SpoilArgs),
}

/// Which bars.
#[derive(Args)]
struct Data {
    /// Directory with files named SYMBOL.csv.
    #[arg(long)]
    bars: PathBuf,
    /// Symbols.
    #[arg(long, value_delimiter = ',', default_value = "SPX,IXIC")]
    symbols: Vec<String>,
    /// First day of the report, which is also the end of training.
    #[arg(long, default_value = "2007-01-01", value_parser = bars::day)]
    split: Nanos,
}

#[derive(Args)]
struct FitArgs {
    #[command(flatten)]
    data: Data,
    /// Seed of weights and order.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Optimiser steps of 64 samples.
    #[arg(long, default_value_t = 300)]
    steps: usize,
    /// Reward of doing nothing: higher trades less.
    #[arg(long, default_value_t = Judgement::default().hold_reward)]
    hold_reward: f64,
    /// Checkpoint to write.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Args)]
struct ReportArgs {
    #[command(flatten)]
    data: Data,
    /// Checkpoint to judge.
    #[arg(long)]
    checkpoint: PathBuf,
}

#[derive(Args)]
struct SpoilArgs {
    /// A good checkpoint.
    #[arg(long)]
    checkpoint: PathBuf,
    /// flipped-byte, truncated, wrong-shape, missing-tensor, nan, wrong-role, golden, schema, overtrader.
    #[arg(long)]
    how: String,
    /// File to write.
    #[arg(long)]
    out: PathBuf,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Fit(args) => fit(&args),
        Command::Report(args) => judge(&args),
        Command::Spoil(args) => spoiled(&args),
    }
}

fn fit(args: &FitArgs) -> anyhow::Result<()> {
    let series = bars::read(&args.data.bars, &args.data.symbols)?;
    let judgement = Judgement { hold_reward: args.hold_reward, ..Judgement::default() };
    let samples = samples::collect(&series, Nanos(0), args.data.split, &judgement)?;
    println!("{} samples of {} before {}", samples.len(), args.data.symbols.join(", "), date(args.data.split));
    let bar = progress(args.steps as u64);
    let fitted = fit::fit(&samples, args.seed, args.steps, |step, loss| {
        bar.set_position(step as u64 + 1);
        bar.set_message(format!("{loss:.4}"));
    })?;
    bar.finish_and_clear();
    for loss in &fitted.losses {
        println!(
            "{:<9} loss {:.4} -> {:.4} (never acting: {:.4}), slope of the last 100 steps {:+.1e}, variation {:.3}",
            loss.agent, loss.first, loss.last, -judgement.hold_reward, loss.slope, loss.convergence
        );
    }
    let golden = fit::self_test(&fitted.weights, SELF_TEST_INPUTS)?;
    let figures = show(&series, args.data.split, TacticalForward::new(&fitted.weights))?;
    let manifest = manifest(args, &series, &fitted, &figures, &judgement);
    let bytes = write(&Checkpoint { manifest, weights: fitted.weights.to_stage(), golden })?;
    save(&args.out, &bytes)
}

fn manifest(args: &FitArgs, series: &[Series], fitted: &Fitted, figures: &Figures, judgement: &Judgement) -> Manifest {
    let mut metrics: BTreeMap<String, f64> = BTreeMap::from([
        ("net_return".to_owned(), figures.net_pct / 100.0),
        ("sharpe".to_owned(), figures.sharpe),
        ("max_drawdown".to_owned(), -figures.drawdown_pct / 100.0),
        ("turnover".to_owned(), figures.turnover),
        ("trades".to_owned(), figures.trades as f64),
        ("execute_share".to_owned(), figures.executes as f64 / figures.bars.max(1) as f64),
    ]);
    for loss in &fitted.losses {
        metrics.insert(format!("loss_{}", loss.agent), loss.last);
    }
    let hyperparameters = [
        ("batch_size", BATCH as f64),
        ("learning_rate", ACTOR_LR),
        ("entropy_coef", ENTROPY_COEF),
        ("max_grad_norm", MAX_GRAD_NORM),
        ("horizon_bars", judgement.horizon as f64),
        ("hold_reward", judgement.hold_reward),
    ];
    Manifest {
        training_data_digest: data_digest(series, args.data.split),
        seeds: vec![args.seed],
        episode: args.steps as u64,
        metrics,
        hyperparameters: hyperparameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        code_revision: format!("tradewind-train {}", env!("CARGO_PKG_VERSION")),
        ..Manifest::tactical()
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

fn judge(args: &ReportArgs) -> anyhow::Result<()> {
    let bytes = std::fs::read(&args.checkpoint).with_context(|| args.checkpoint.display().to_string())?;
    let checkpoint = Checkpoint::read(&bytes, TACTICAL_ROLE).with_context(|| args.checkpoint.display().to_string())?;
    let series = bars::read(&args.data.bars, &args.data.symbols)?;
    let weights = TacticalWeights::from_stage(&checkpoint.weights).context("the checkpoint has no tactical networks")?;
    show(&series, args.data.split, TacticalForward::new(&weights))?;
    Ok(())
}

/// Prints the table of the report; the result is the checkpoint's row on bars that it has not seen.
fn show(series: &[Series], split: Nanos, forward: TacticalForward) -> anyhow::Result<Figures> {
    let (end, terms) = (Nanos(i64::MAX), Terms::default());
    let seen = report::run(series, Nanos(0), Nanos(split.0 - 1), &terms, forward.clone())?;
    let figures = report::run(series, split, end, &terms, forward)?;
    let baseline = report::run(series, split, end, &terms, FollowMomentum)?;
    let flat = Figures { bars: figures.bars, ..Figures::default() };
    println!(
        "net of costs, {} equity, {} a trade, spread {} bps, fee {} bps a side; trained on bars before {}, judged on the others:",
        terms.starting_equity,
        terms.base_notional,
        terms.fills.spread_bps,
        terms.fills.fee_bps,
        date(split)
    );
    let rows = [
        ("checkpoint", &figures),
        ("always flat", &flat),
        ("follow the momentum", &baseline),
        ("checkpoint, on bars it was trained on", &seen),
    ];
    print!("{}", report::table(&rows));
    Ok(figures)
}

fn spoiled(args: &SpoilArgs) -> anyhow::Result<()> {
    let Some(kind) = Spoil::from_name(&args.how) else {
        bail!("--how is {:?}, known are {}", args.how, SPOILS.map(Spoil::name).join(", "));
    };
    let good = std::fs::read(&args.checkpoint).with_context(|| args.checkpoint.display().to_string())?;
    save(&args.out, &spoil(&good, kind)?)
}

fn save(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| path.display().to_string())?;
    println!("{}: {} bytes, sha256 {}", path.display(), bytes.len(), sha256(bytes));
    Ok(())
}

fn date(day: Nanos) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(day.0)).map_or_else(|error| error.to_string(), |stamp| stamp.to_string())
}

fn progress(steps: u64) -> ProgressBar {
    let bar = ProgressBar::new(steps);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} steps, loss {msg}, {eta} left") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}
