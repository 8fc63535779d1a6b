//! Replays recorded bars through every engine in one process.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::Parser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sha2::{Digest, Sha256};
use tradewind_core::instrument::Symbol;
use tradewind_crds::{RiskProfile, TradingPolicy};
use tradewind_inference::Networks;
use tradewind_journal::{Journal, Log, MemoryLog};
use tradewind_market::{Interval, Source, load};
use tradewind_nets::{StrategicPolicies, TacticalNetwork};
use tradewind_policy::Entry;
use tradewind_replay::{
    Account, Comparison, Ledgers, Member, MemoryJournals, Pipeline, PolicyJournals, RISK_FILE, Served, Setup, Summary,
    read_manifest,
};
use tradewind_wire::config::{StartAt, TradingConfig};
use tradewind_wire::v1;

/// Bundle id of a candidate whose real one is not asked for: it appears in no ledger.
const CANDIDATE: &str = "cccccccccccc";

/// Replays recorded bars through every engine in one process, and prints the digests that the cluster prints.
///
/// Several policies of one account: give --policy once for each. Of --strategic, --tactical, --bundle and --trading-file give
/// one for all policies, or one for each in the same order.
#[derive(Parser)]
#[command(name = "tradewind-replay", version)]
struct Arguments {
    /// YAML with a TradingPolicy; once for each policy of the account
    #[arg(long, required = true)]
    policy: Vec<PathBuf>,
    /// YAML with the RiskProfile of the account
    #[arg(long)]
    profile: PathBuf,
    /// Checkpoint file of the strategic stage
    #[arg(long, required = true)]
    strategic: Vec<PathBuf>,
    /// Checkpoint file of the tactical stage
    #[arg(long, required = true)]
    tactical: Vec<PathBuf>,
    /// trading.json as the cluster has it (ConfigMap of the policy), instead of one made from the manifests
    #[arg(long)]
    trading_file: Vec<PathBuf>,
    /// Bundle id that records carry (status.stable.bundle of the policy)
    #[arg(long, default_value = "000000000000")]
    bundle: Vec<String>,
    /// Strategic checkpoint of a candidate, compared in the shadow as a rollout does; ledgers do not change by it. Of one policy
    #[arg(long)]
    candidate_strategic: Option<PathBuf>,
    /// Tactical checkpoint of a candidate; of the two, one that is not given is the stable's
    #[arg(long)]
    candidate_tactical: Option<PathBuf>,
    /// Directory or http(s) prefix of the recordings
    #[arg(long)]
    bars: String,
    /// Symbols of the feed, in any order; default: the instruments of the policies
    #[arg(long, value_delimiter = ',')]
    symbols: Vec<String>,
    /// Length of a bar, when file names do not tell it (5m, 1d)
    #[arg(long)]
    interval: Option<Interval>,
    /// First bar that is decided: a sequence number, or a date (2007-01-01) whose bars are the first. Those before it warm
    /// features and market states and trade nothing, as where a policy with startAt Newest began (begin in its feed.json).
    /// Default: the first of the recording, as with startAt Beginning, whatever the policy says
    #[arg(long)]
    from: Option<Bound>,
    /// Last bar: a sequence number, or a date (2008-12-31) whose bars are the last
    #[arg(long)]
    until: Option<Bound>,
    /// Directory for decisions.jsonl, orders.jsonl and fills.jsonl; of several policies below their names
    #[arg(long)]
    out: Option<PathBuf>,
    /// Directory for durable journals: an interrupted run goes on where it was; of several policies below their names
    #[arg(long)]
    data: Option<PathBuf>,
    /// Print the summary as JSON; of several policies as an object by their names
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy)]
enum Bound {
    Sequence(u64),
    Date(jiff::civil::Date),
}

impl std::str::FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(sequence) = text.parse() {
            return Ok(Self::Sequence(sequence));
        }
        text.parse().map(Self::Date).map_err(|error| format!("write a sequence number or a date like 2008-12-31: {error}"))
    }
}

impl Bound {
    /// How a bar lies to it: before it, at it, behind it.
    fn place(self, sequence: u64, bar: &v1::Bar) -> Ordering {
        let date =
            || Some(jiff::Timestamp::from_nanosecond(bar.open_time_ns.into()).ok()?.to_zoned(jiff::tz::TimeZone::UTC).date());
        match self {
            Self::Sequence(bound) => sequence.cmp(&bound),
            Self::Date(bound) => date().map_or(Ordering::Greater, |date| date.cmp(&bound)),
        }
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let setup_began = Instant::now();
    let policies = prepare(&arguments)?;
    let bars = recorded(&arguments, &policies)?;
    tell_beginning(&arguments, &policies);
    eprintln!("{} bars read in {:.1} s", bars.len(), setup_began.elapsed().as_secs_f64());
    let candidate = candidate(&arguments)?;
    let began = Instant::now();
    let runs = run(&arguments, policies, candidate, &bars)?;
    let seconds = began.elapsed().as_secs_f64();
    let single = runs.len() == 1;
    let mut summaries = serde_json::Map::new();
    for one in &runs {
        let ledgers = Ledgers::of(&one.entries, &one.records)?;
        if let Some(directory) = &arguments.out {
            write(&ledgers, &below(directory, &one.policy, single))?;
        }
        let mut summary = Summary::of(&one.entries, &ledgers, one.setup.trading.starting_equity, seconds);
        summary.comparison.clone_from(&one.comparison);
        match (arguments.json, single) {
            (true, true) => println!("{}", serde_json::to_string_pretty(&summary)?),
            (true, false) => drop(summaries.insert(one.policy.clone(), serde_json::to_value(&summary)?)),
            (false, true) => print!("{summary}"),
            (false, false) => println!("policy {}\n{summary}", one.policy),
        }
    }
    if arguments.json && !single {
        println!("{}", serde_json::to_string_pretty(&summaries)?);
    }
    Ok(())
}

/// The files of a policy: of the only one in the directory itself.
fn below(directory: &Path, policy: &str, single: bool) -> PathBuf {
    if single { directory.to_owned() } else { directory.join(policy) }
}

/// What is given for all policies or for each of them.
fn each<'a, T>(flag: &str, given: &'a [T], at: usize, policies: usize) -> anyhow::Result<Option<&'a T>> {
    let fits = given.len() <= 1 || given.len() == policies;
    ensure!(fits, "{flag} is given {} times for {policies} policies; give it once, or once for each", given.len());
    Ok(given.get(if given.len() == policies { at } else { 0 }))
}

fn prepare(arguments: &Arguments) -> anyhow::Result<Vec<(Setup, Networks)>> {
    let text = |path: &Path| std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()));
    let name = |path: &Path| path.display().to_string();
    let profile: RiskProfile = read_manifest(&name(&arguments.profile), &text(&arguments.profile)?, "RiskProfile")?;
    let count = arguments.policy.len();
    let one = |(at, path): (usize, &PathBuf)| {
        let policy: TradingPolicy = read_manifest(&name(path), &text(path)?, "TradingPolicy")?;
        let strategic_file = each("--strategic", &arguments.strategic, at, count)?.context("--strategic is missing")?;
        let tactical_file = each("--tactical", &arguments.tactical, at, count)?.context("--tactical is missing")?;
        let (strategic, tactical) = (strategic(strategic_file)?, tactical(tactical_file)?);
        let bundle = each("--bundle", &arguments.bundle, at, count)?.context("--bundle is missing")?;
        let served = Served { bundle, strategic_sha256: strategic.sha256(), tactical_sha256: tactical.sha256() };
        let mut setup = Setup::new(&policy, &profile, served)?;
        if let Some(path) = each("--trading-file", &arguments.trading_file, at, count)? {
            setup = Setup::of_files(&policy, &profile, TradingConfig::load(path)?, setup.bundle)?;
        }
        Ok((setup, Networks::new(strategic, tactical)))
    };
    arguments.policy.iter().enumerate().map(one).collect()
}

/// The networks of the candidate, if one is asked for.
fn candidate(arguments: &Arguments) -> anyhow::Result<Option<Networks>> {
    if arguments.candidate_strategic.is_none() && arguments.candidate_tactical.is_none() {
        return Ok(None);
    }
    let ([stable_strategic], [stable_tactical]) = (arguments.strategic.as_slice(), arguments.tactical.as_slice()) else {
        bail!("a candidate is compared with one policy; give --policy, --strategic and --tactical once");
    };
    ensure!(arguments.policy.len() == 1, "a candidate is compared with one policy; {} are given", arguments.policy.len());
    let strategic = strategic(arguments.candidate_strategic.as_ref().unwrap_or(stable_strategic))?;
    let tactical = tactical(arguments.candidate_tactical.as_ref().unwrap_or(stable_tactical))?;
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
fn recorded(arguments: &Arguments, policies: &[(Setup, Networks)]) -> anyhow::Result<Vec<v1::Bar>> {
    let symbols: Vec<Symbol> = if arguments.symbols.is_empty() {
        // Once each: what several policies name is refused by the account, which knows who they are.
        let all = policies.iter().flat_map(|(setup, _)| &setup.execution.instruments);
        all.map(|instrument| instrument.symbol.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    } else {
        arguments.symbols.iter().map(|symbol| symbol.clone().try_into()).collect::<Result<_, _>>()?
    };
    let source: Source = arguments.bars.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    let bars = runtime.block_on(load(&source, &symbols, arguments.interval))?;
    match arguments.until {
        Some(until) => up_to(bars, until),
        None => Ok(bars),
    }
}

/// The bars until then. None at all is a slip of the pen, and no run whose figures mean something.
fn up_to(mut bars: Vec<v1::Bar>, until: Bound) -> anyhow::Result<Vec<v1::Bar>> {
    let last = (1..).zip(&bars).take_while(|(sequence, bar)| until.place(*sequence, bar).is_le()).count();
    if let (0, Some(first)) = (last, bars.first()) {
        let opens = jiff::Timestamp::from_nanosecond(first.open_time_ns.into()).context("the first bar")?;
        bail!("--until leaves no bar: the first of {} opens at {opens}; choose a later one", bars.len());
    }
    bars.truncate(last);
    Ok(bars)
}

/// What the run of a policy left.
struct Ran {
    policy: String,
    setup: Setup,
    entries: Vec<Entry>,
    records: Vec<tradewind_execution::Record>,
    comparison: Option<Comparison>,
}

/// Where the journals of a policy are.
enum Kept {
    Memory(MemoryJournals),
    Disk(PathBuf),
}

impl Kept {
    fn handles(&self) -> anyhow::Result<PolicyJournals> {
        match self {
            Self::Memory(journals) => Ok(journals.of_policy()),
            Self::Disk(directory) => {
                std::fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
                Ok(PolicyJournals::on_disk(directory)?)
            }
        }
    }

    fn records(&self) -> anyhow::Result<(Vec<Entry>, Vec<tradewind_execution::Record>)> {
        match self {
            Self::Memory(journals) => Ok((journals.decisions.records(), journals.execution.records())),
            Self::Disk(directory) => {
                let decisions = Journal::<Entry>::read(&directory.join(tradewind_policy::DECISIONS_FILE))?;
                let orders = directory.join(tradewind_execution::serve::ORDERS_FILE);
                let execution = Journal::<tradewind_execution::Record>::read(&orders)?;
                Ok((decisions.collect::<Result<_, _>>()?, execution.collect::<Result<_, _>>()?))
            }
        }
    }
}

fn run(
    arguments: &Arguments,
    policies: Vec<(Setup, Networks)>,
    candidate: Option<Networks>,
    bars: &[v1::Bar],
) -> anyhow::Result<Vec<Ran>> {
    let single = policies.len() == 1;
    let risk: Box<dyn Log<tradewind_risk::Record>> = match &arguments.data {
        None => Box::new(MemoryLog::new()),
        Some(directory) => {
            std::fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
            Box::new(Journal::open(&directory.join(RISK_FILE))?)
        }
    };
    let (mut members, mut kept) = (Vec::new(), Vec::new());
    for (setup, networks) in policies {
        let journals = match &arguments.data {
            None => Kept::Memory(MemoryJournals::default()),
            Some(directory) => Kept::Disk(below(directory, &setup.trading.policy, single)),
        };
        members.push(Member { setup: setup.clone(), networks, journals: journals.handles()? });
        kept.push((setup, journals));
    }
    let mut account = Account::open(members, risk)?;
    if let (Some(candidate), Some((setup, _))) = (candidate, kept.first()) {
        let mut policies = account.policies_mut();
        let (_, pipeline) = policies.next().context("there is no policy")?;
        pipeline.compare(setup, CANDIDATE, candidate)?;
    }
    let before = |from: Bound| (1..).zip(bars).take_while(|(sequence, bar)| from.place(*sequence, bar).is_lt()).count();
    take_all(&mut account, bars, arguments.from.map_or(0, before))?;
    let comparisons: Vec<_> = account
        .policies()
        .map(|(policy, pipeline)| {
            tell_quarantined(policy, pipeline);
            (policy.to_owned(), pipeline.report())
        })
        .collect();
    // The journals on disk are one process's at a time.
    drop(account);
    let ran = |(setup, kept): (Setup, Kept)| {
        let (entries, records) = kept.records()?;
        let policy = setup.trading.policy.clone();
        let report = comparisons.iter().find(|(name, _)| *name == policy).and_then(|(_, report)| report.as_ref());
        let comparison = report.map(|report| Comparison::of(report, setup.margin_bps));
        Ok(Ran { policy, setup, entries, records, comparison })
    };
    kept.into_iter().map(ran).collect()
}

/// Decides all bars but so many at the beginning, which are the past.
fn take_all(account: &mut Account, bars: &[v1::Bar], past: usize) -> anyhow::Result<()> {
    if past > 0 {
        account.begin_behind(&bars[..past])?;
    }
    let progress = ProgressBar::new((bars.len() - past) as u64);
    progress.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} bars {per_sec} {eta}")?);
    progress.enable_steady_tick(Duration::from_millis(200));
    if !std::io::stderr().is_terminal() {
        progress.set_draw_target(ProgressDrawTarget::hidden());
    }
    for (sequence, bar) in (1..).zip(bars).skip(past) {
        account.take(sequence, bar).with_context(|| format!("sequence {sequence}, {}/{}", bar.symbol, bar.index))?;
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(())
}

/// A policy may say that it begins elsewhere than this run does.
fn tell_beginning(arguments: &Arguments, policies: &[(Setup, Networks)]) {
    let newest = |(setup, _): &&(Setup, Networks)| setup.trading.start_at == StartAt::Newest;
    for (setup, _) in policies.iter().filter(newest).filter(|_| arguments.from.is_none()) {
        eprintln!(
            "policy {} has startAt Newest; this run decides every bar of the recording: give --from to begin where it began",
            setup.trading.policy
        );
    }
}

fn tell_quarantined(policy: &str, pipeline: &Pipeline) {
    let intake = pipeline.intake();
    if intake.quarantined() == 0 {
        return;
    }
    eprintln!("{} bars were quarantined for policy {policy}, the newest of them:", intake.quarantined());
    for one in intake.sample() {
        eprintln!(
            "  {}/{} (bar {} of the run): {}: {}, allowed is {}",
            one.symbol, one.index, one.sequence, one.reason, one.value, one.limit
        );
    }
}

fn write(ledgers: &Ledgers, directory: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
    ledgers.write(directory).with_context(|| format!("writing ledgers below {}", directory.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn an_end_before_the_first_bar_is_refused_and_says_when_that_is() {
        let day = |number: i64| v1::Bar { open_time_ns: number * 86_400_000_000_000, ..v1::Bar::default() };
        let bars: Vec<v1::Bar> = (0..3).map(day).collect();
        for (until, left) in [("1", 1), ("9", 3), ("1970-01-02", 2)] {
            assert_eq!(up_to(bars.clone(), until.parse().unwrap()).unwrap().len(), left, "{until}");
        }
        for until in ["0", "1969-12-31"] {
            let error = up_to(bars.clone(), until.parse().unwrap()).unwrap_err().to_string();
            assert!(error.contains("the first of 3 opens at 1970-01-01T00:00:00Z"), "{until}: {error}");
        }
    }
}
