//! `tradewind-market`: replays recorded bars to the event bus.

use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio_util::sync::CancellationToken;
use tradewind_core::instrument::Symbol;
use tradewind_market::{Interval, Pace, Progress, Source, load, publish};
use tradewind_wire::args::{BusArgs, ServeArgs};
use tradewind_wire::bus::{Bus, Feed, FeedName};
use tradewind_wire::client::Patience;
use tradewind_wire::pinning::Pinning;
use tradewind_wire::probes::{self, Readiness};
use tradewind_wire::process::Describe;
use tradewind_wire::renewal::Renewal;
use tradewind_wire::server::BoundServer;
use tradewind_wire::shutdown;
use tradewind_wire::telemetry::{self, Metrics};
use tradewind_wire::v1;

#[derive(Parser)]
#[command(name = "tradewind-market", version, about = "Publishes recorded bars to the event bus at a chosen pace")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Publish recorded bars, going on where the feed's stream ends
    Replay(Replay),
}

#[derive(clap::Args)]
struct Replay {
    /// Directory with <SYMBOL>.csv files, or an http:// or https:// prefix of them
    #[arg(long)]
    bars: Source,
    /// Symbols, separated by commas
    #[arg(long, value_delimiter = ',', required = true, value_parser = symbol)]
    symbols: Vec<Symbol>,
    /// Feed to publish to
    #[arg(long, default_value = "default")]
    feed: FeedName,
    /// Bars per second, all symbols together; 0 for as fast as possible
    #[arg(long, default_value = "10", value_parser = pace)]
    bars_per_second: Pace,
    /// Bars from the beginning of the recording, all symbols together, that do not wait for their time: the past on which features warm up
    #[arg(long, default_value_t = 0)]
    head_start: u64,
    /// Time that a bar covers, for example 5m; default: from the file name, else the smallest step
    #[arg(long)]
    interval: Option<Interval>,
    /// End when every bar is in the stream, instead of waiting for a signal
    #[arg(long)]
    exit_when_done: bool,
    #[command(flatten)]
    bus: BusArgs,
    #[command(flatten)]
    serve: ServeArgs,
}

fn symbol(text: &str) -> Result<Symbol, String> {
    Symbol::try_from(text.to_owned()).map_err(|error| error.to_string())
}

fn pace(text: &str) -> Result<Pace, String> {
    text.parse().ok().and_then(Pace::per_second).ok_or_else(|| "a number from 0 to 1000000".to_owned())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Command::Replay(replay) = Cli::parse().command;
    telemetry::init_logs(replay.serve.log_format);
    let stop = shutdown::on_signal()?;
    let (readiness, metrics) = (Readiness::new(), Metrics::new()?);
    readiness.hold("bars", "loading");
    let serving = tokio::spawn(serve(replay.serve.clone(), readiness.clone(), metrics.clone(), stop.clone()));
    let outcome = tokio::select! {
        outcome = run(&replay, &readiness, &metrics, &stop) => outcome,
        outcome = serving => outcome?,
    };
    stop.cancel();
    outcome
}

/// Probes, metrics and `Process.Describe` until `stop`.
async fn serve(args: ServeArgs, readiness: Readiness, metrics: Metrics, stop: CancellationToken) -> anyhow::Result<()> {
    let describe = Describe::new("market", "", Pinning::read()?, readiness.clone());
    let server = BoundServer::bind(args.listen_address(), args.tls.load()?).await?.renewing(Renewal::told(&readiness, &metrics));
    let probes = probes::serve(args.http, probes::router(readiness, metrics), stop.clone());
    let rpc = server.run(tonic::service::Routes::new(describe.service()), stop);
    tokio::try_join!(async { anyhow::Ok(probes.await?) }, async { anyhow::Ok(rpc.await?) })?;
    Ok(())
}

async fn run(replay: &Replay, readiness: &Readiness, metrics: &Metrics, stop: &CancellationToken) -> anyhow::Result<()> {
    let Some(recording) = load_patiently(replay, readiness, stop).await? else { return Ok(()) };
    tracing::info!(bars = recording.len(), feed = %replay.feed, "recording loaded");
    readiness.hold("bars", "connecting to the event bus");
    let address = replay.bus.address("tradewind-market", &replay.serve.tls);
    let bus = Bus::connect_patiently(&address, stop, |error| readiness.hold("bars", error.to_string())).await?;
    let Some(feed) = feed_patiently(&bus, &replay.feed, stop).await? else { return Ok(()) };
    readiness.release("bars");
    let meter = metrics.meter("market");
    let (published, planned) = (meter.u64_gauge("market_bars_published").build(), meter.u64_gauge("market_bars_planned").build());
    let bar = progress_bar(recording.len() as u64);
    let mut reported = tokio::time::Instant::now();
    let report = |progress: Progress| {
        published.record(progress.in_stream, &[]);
        planned.record(progress.planned, &[]);
        bar.set_position(progress.in_stream);
        if reported.elapsed() >= Duration::from_secs(10) {
            reported = tokio::time::Instant::now();
            tracing::info!(in_stream = progress.in_stream, planned = progress.planned, "publishing");
        }
    };
    let done = publish(&feed, &recording, replay.bars_per_second.after(replay.head_start), stop, report)
        .await
        .context("publishing the recording")?;
    bar.finish();
    tracing::info!(in_stream = done.in_stream, planned = done.planned, complete = done.in_stream == done.planned, "replay ended");
    if !replay.exit_when_done {
        stop.cancelled().await;
    }
    Ok(())
}

/// Waits for a source that does not answer yet; `None` when the process is to stop.
async fn load_patiently(
    replay: &Replay,
    readiness: &Readiness,
    stop: &CancellationToken,
) -> anyhow::Result<Option<Vec<v1::Bar>>> {
    let patience = Patience { first: Duration::from_millis(100), most: Duration::from_secs(5), ..Default::default() };
    let mut failures = 0;
    loop {
        let error = match load(&replay.bars, &replay.symbols, replay.interval).await {
            Ok(recording) => return Ok(Some(recording)),
            Err(error) if error.may_answer_later() && !replay.exit_when_done => error,
            Err(error) => return Err(error).context("loading the recording"),
        };
        failures += 1;
        tracing::warn!(failures, %error, "waiting for the recording");
        readiness.hold("bars", error.to_string());
        tokio::select! {
            () = tokio::time::sleep(patience.pause(failures)) => {}
            () = stop.cancelled() => return Ok(None),
        }
    }
}

async fn feed_patiently(bus: &Bus, name: &FeedName, stop: &CancellationToken) -> anyhow::Result<Option<Feed>> {
    let mut failures = 0;
    loop {
        match bus.ensure_feed(name).await {
            Ok(feed) => return Ok(Some(feed)),
            Err(error) if error.may_answer_later() => tracing::warn!(failures, %error, "waiting for the feed"),
            Err(error) => return Err(error.into()),
        }
        failures += 1;
        tokio::select! {
            () = tokio::time::sleep(Patience::default().pause(failures)) => {}
            () = stop.cancelled() => return Ok(None),
        }
    }
}

/// Drawn on a terminal only.
fn progress_bar(bars: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(bars), ProgressDrawTarget::stderr_with_hz(4));
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} bars, {per_sec}, {eta} left") {
        bar.set_style(style);
    }
    bar
}
