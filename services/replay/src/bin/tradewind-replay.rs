//! Replays recorded bars through every engine in one process.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sha2::{Digest, Sha256};
use tradewind_core::instrument::Symbol;
use tradewind_crds::{RiskProfile, TradingPolicy};
use tradewind_inference::Networks;
use tradewind_journal::{Journal, Log};
use tradewind_market::{Interval, Source, load};
use tradewind_nets::{StrategicPolicies, TacticalNetwork};
use tradewind_policy::{Entry, Report};
use tradewind_replay::{Comparison, Journals, Ledgers, MemoryJournals, Pipeline, Served, Setup, Summary, read_manifest};
use tradewind_wire::config::TradingConfig;
use tradewind_wire::v1;

/// Bundle id of a candidate whose real one is not asked for: it appears in no ledger.
const CANDIDATE: &str = "cccccccccccc";

/// Replays recorded bars through every engine in one process, and prints the digests that the cluster prints.
#[derive(Parser)]
#[command(name = "tradewind-replay", version)]
struct Arguments {
    /// YAML with a TradingPolicy
    #[arg(long)]
    policy: PathBuf,
    /// YAML with a RiskProfile
    #[arg(long)]
    profile: PathBuf,
    /// Checkpoint file of the strategic stage
    #[arg(long)]
    strategic: PathBuf,
    /// Checkpoint file of the tactical stage
    #[arg(long)]
    tactical: PathBuf,
    /// trading.json as the cluster has it (ConfigMap of the policy), instead of one made from the manifests
    #[arg(long)]
    trading_file: Option<PathBuf>,
    /// Bundle id that records carry (status.stable.bundle of the policy)
    #[arg(long, default_value = "000000000000")]
    bundle: String,
    /// Strategic checkpoint of a candidate, compared in the shadow as a rollout does; ledgers do not change by it
    #[arg(long)]
    candidate_strategic: Option<PathBuf>,
    /// Tactical checkpoint of a candidate; of the two, one that is not given is the stable's
    #[arg(long)]
    candidate_tactical: Option<PathBuf>,
    /// Directory or http(s) prefix of the recordings
    #[arg(long)]
    bars: String,
    /// Symbols of the feed, in any order; default: the instruments of the policy
    #[arg(long, value_delimiter = ',')]
    symbols: Vec<String>,
    /// Length of a bar, when file names do not tell it (5m, 1d)
    #[arg(long)]
    interval: Option<Interval>,
    /// Last bar: a sequence number, or a date (2008-12-31) whose bars are the last
    #[arg(long)]
    until: Option<Until>,
    /// Directory for decisions.jsonl, orders.jsonl and fills.jsonl
    #[arg(long)]
    out: Option<PathBuf>,
    /// Directory for durable journals: an interrupted run goes on where it was
    #[arg(long)]
    data: Option<PathBuf>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy)]
enum Until {
    Sequence(u64),
    Date(jiff::civil::Date),
}

impl std::str::FromStr for Until {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(sequence) = text.parse() {
            return Ok(Self::Sequence(sequence));
        }
        text.parse().map(Self::Date).map_err(|error| format!("write a sequence number or a date like 2008-12-31: {error}"))
    }
}

impl Until {
    fn covers(self, sequence: u64, bar: &v1::Bar) -> bool {
        match self {
            Self::Sequence(last) => sequence <= last,
            Self::Date(last) => jiff::Timestamp::from_nanosecond(bar.open_time_ns.into())
                .is_ok_and(|opened| opened.to_zoned(jiff::tz::TimeZone::UTC).date() <= last),
        }
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let setup_began = Instant::now();
    let (setup, networks) = prepare(&arguments)?;
    let bars = recorded(&arguments, &setup)?;
    eprintln!("{} bars read in {:.1} s", bars.len(), setup_began.elapsed().as_secs_f64());
    let candidate = candidate(&arguments)?;
    let began = Instant::now();
    let (report, entries, records) = match &arguments.data {
        None => {
            let journals = MemoryJournals::default();
            let report = run(&setup, networks, candidate, journals.handles(), &bars)?;
            (report, journals.decisions.records(), journals.execution.records())
        }
        Some(directory) => {
            std::fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
            let report = run(&setup, networks, candidate, Journals::on_disk(directory)?, &bars)?;
            let mut decisions = Journal::<Entry>::open(&directory.join(tradewind_policy::DECISIONS_FILE))?;
            let mut execution =
                Journal::<tradewind_execution::Record>::open(&directory.join(tradewind_execution::serve::ORDERS_FILE))?;
            (report, decisions.replay()?, execution.replay()?)
        }
    };
    let seconds = began.elapsed().as_secs_f64();
    let ledgers = Ledgers::of(&entries, &records)?;
    if let Some(directory) = &arguments.out {
        write(&ledgers, directory)?;
    }
    let mut summary = Summary::of(&entries, &ledgers, setup.trading.starting_equity, seconds);
    summary.comparison = report.map(|report| Comparison::of(&report, setup.margin_bps));
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        print!("{summary}");
    }
    Ok(())
}

fn prepare(arguments: &Arguments) -> anyhow::Result<(Setup, Networks)> {
    let text = |path: &Path| std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()));
    let name = |path: &Path| path.display().to_string();
    let policy: TradingPolicy = read_manifest(&name(&arguments.policy), &text(&arguments.policy)?, "TradingPolicy")?;
    let profile: RiskProfile = read_manifest(&name(&arguments.profile), &text(&arguments.profile)?, "RiskProfile")?;
    let (strategic, tactical) = (strategic(&arguments.strategic)?, tactical(&arguments.tactical)?);
    let served = Served { bundle: &arguments.bundle, strategic_sha256: strategic.sha256(), tactical_sha256: tactical.sha256() };
    let mut setup = Setup::new(&policy, &profile, served)?;
    if let Some(path) = &arguments.trading_file {
        setup = Setup::of_files(&policy, &profile, TradingConfig::load(path)?, setup.bundle)?;
    }
    Ok((setup, Networks::new(strategic, tactical)))
}

/// The networks of the candidate, if one is asked for.
fn candidate(arguments: &Arguments) -> anyhow::Result<Option<Networks>> {
    if arguments.candidate_strategic.is_none() && arguments.candidate_tactical.is_none() {
        return Ok(None);
    }
    let strategic = strategic(arguments.candidate_strategic.as_ref().unwrap_or(&arguments.strategic))?;
    let tactical = tactical(arguments.candidate_tactical.as_ref().unwrap_or(&arguments.tactical))?;
    Ok(Some(Networks::new(strategic, tactical)))
}

/// A strategic checkpoint, checked as inference checks it.
fn strategic(path: &Path) -> anyhow::Result<StrategicPolicies> {
    let (bytes, sha256) = checkpoint(path)?;
    StrategicPolicies::from_bytes(&bytes, &sha256).map_err(|faults| anyhow::anyhow!("{} is refused: {faults}", path.display()))
}

/// A tactical checkpoint, checked as inference checks it.
fn tactical(path: &Path) -> anyhow::Result<TacticalNetwork> {
    let (bytes, sha256) = checkpoint(path)?;
    TacticalNetwork::from_bytes(&bytes, &sha256).map_err(|faults| anyhow::anyhow!("{} is refused: {faults}", path.display()))
}

fn checkpoint(path: &Path) -> anyhow::Result<(Vec<u8>, String)> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let sha256 = hex::encode(Sha256::digest(&bytes));
    Ok((bytes, sha256))
}

/// The stream as the market process publishes it: number in the vector + 1 = sequence.
fn recorded(arguments: &Arguments, setup: &Setup) -> anyhow::Result<Vec<v1::Bar>> {
    let symbols: Vec<Symbol> = if arguments.symbols.is_empty() {
        setup.execution.instruments.iter().map(|instrument| instrument.symbol.clone()).collect()
    } else {
        arguments.symbols.iter().map(|symbol| symbol.clone().try_into()).collect::<Result<_, _>>()?
    };
    let source: Source = arguments.bars.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    let mut bars = runtime.block_on(load(&source, &symbols, arguments.interval))?;
    if let Some(until) = arguments.until {
        let last = (1..).zip(&bars).take_while(|(sequence, bar)| until.covers(*sequence, bar)).count();
        bars.truncate(last);
    }
    Ok(bars)
}

fn run(
    setup: &Setup,
    networks: Networks,
    candidate: Option<Networks>,
    journals: Journals,
    bars: &[v1::Bar],
) -> anyhow::Result<Option<Report>> {
    let mut pipeline = Pipeline::open(setup, networks, journals)?;
    if let Some(candidate) = candidate {
        pipeline.compare(setup, CANDIDATE, candidate)?;
    }
    let progress = ProgressBar::new(bars.len() as u64);
    progress.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} bars {per_sec} {eta}")?);
    progress.enable_steady_tick(Duration::from_millis(200));
    if !std::io::stderr().is_terminal() {
        progress.set_draw_target(ProgressDrawTarget::hidden());
    }
    for (sequence, bar) in (1..).zip(bars) {
        pipeline.take(sequence, bar).with_context(|| format!("sequence {sequence}, {}/{}", bar.symbol, bar.index))?;
        progress.inc(1);
    }
    progress.finish_and_clear();
    let intake = pipeline.intake();
    if intake.quarantined() > 0 {
        eprintln!("{} bars were quarantined, the newest of them:", intake.quarantined());
        for one in intake.sample() {
            eprintln!(
                "  {}/{} (bar {} of the run): {}: {}, allowed is {}",
                one.symbol, one.index, one.sequence, one.reason, one.value, one.limit
            );
        }
    }
    Ok(pipeline.report())
}

fn write(ledgers: &Ledgers, directory: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
    ledgers.write(directory).with_context(|| format!("writing ledgers below {}", directory.display()))
}
