//! Scenarios: one file per behaviour that is shown.

pub mod audit;
pub mod breaker;
pub mod determinism;
pub mod dropped;
pub mod essence;
pub mod faults;
pub mod feed;
pub mod foreign;
pub mod halt;
pub mod ledger;
pub mod manifests;
pub mod operator;
pub mod phases;
pub mod pinning;
pub mod promotion;
pub mod quiet;
pub mod rejection;
pub mod restarts;
pub mod rollback;
pub mod setup;
pub mod shared_account;
pub mod verbs;
pub mod wrong;

use anyhow::{Result, ensure};

use crate::environment::{Environment, TRADING};
use crate::kubectl::{LATER, SOON, text};
use crate::parts::Counts;
use faults::Victim;
use manifests::{Pace, PolicySpec};

/// One thing that is shown on the cluster: a name to select it by, what it claims, and how it is done.
pub struct Scenario {
    /// Short name.
    pub name: &'static str,
    /// What is claimed.
    pub claim: &'static str,
    run: fn(&Environment) -> Result<String>,
}

impl Scenario {
    /// Does it; the evidence is what it returns.
    ///
    /// # Errors
    /// Says what did not hold.
    pub fn run(&self, environment: &Environment) -> Result<String> {
        (self.run)(environment)
    }
}

/// What the demo shows: the scenarios that a newcomer should see, in an order that tells a story.
pub fn demo() -> impl Iterator<Item = &'static Scenario> {
    const SHOWN: [&str; 7] = ["serving", "pinning", "promotion", "rejection", "rollback", "halt", "determinism"];
    SHOWN.iter().filter_map(|name| ALL.iter().chain(&READING).find(|scenario| scenario.name == *name))
}

const POLICY: PolicySpec<'static> = PolicySpec::SAMPLE;

/// The scenarios in the order in which they build on each other.
pub const ALL: [Scenario; 21] = [
    Scenario { name: "serving", claim: "samples applied with kubectl trade on paper", run: serving },
    Scenario { name: "pinning", claim: "inference, risk and execution run on the CPUs that they asked for", run: pinned },
    Scenario { name: "rejection", claim: "spoiled checkpoints are rejected before any pod sees them", run: rejected },
    Scenario { name: "promotion", claim: "a better checkpoint is verified, shadowed, canaried and promoted", run: promoted },
    Scenario { name: "rollback", claim: "a checkpoint that trades too often is rolled back on evidence", run: rolled_back },
    Scenario {
        name: "insufficient-cpu",
        claim: "more CPUs than the pool has are refused with the arithmetic",
        run: insufficient,
    },
    Scenario {
        name: "brake",
        claim: "a kubelet that rejects pinned pods trips the brake with the first; few follow, none after seconds",
        run: kubelet_rejects,
    },
    Scenario { name: "halt", claim: "a halt stops every new order in under a second, with the operator gone", run: halted },
    Scenario {
        name: "without-bars",
        claim: "a policy whose feed has brought no bar says so instead of claiming that it trades",
        run: verbs::without_bars,
    },
    Scenario {
        name: "wrong-conditions",
        claim: "what only the operator can refuse is shown as a condition with field, value seen and value allowed",
        run: wrong::shown,
    },
    Scenario { name: "verbs", claim: "a rollout is paused, resumed, aborted, superseded and promoted by hand", run: verbs::run },
    Scenario {
        name: "breaker",
        claim: "the fall of 2008 fires the drawdown breaker; only its own id clears it",
        run: breaker::run,
    },
    Scenario {
        name: "kill-inference",
        claim: "inference killed: the bar waits, none is lost",
        run: |e| kill(e, Victim::Process("tradewind-inference")),
    },
    Scenario {
        name: "kill-execution",
        claim: "execution killed: the bar waits, none is lost",
        run: |e| kill(e, Victim::Process("tradewind-execution")),
    },
    Scenario {
        name: "kill-risk",
        claim: "risk killed: the bar waits, none is lost",
        run: |e| kill(e, Victim::Process("tradewind-risk")),
    },
    Scenario {
        name: "kill-policy",
        claim: "the decider killed: it goes on where it was, no bar is lost",
        run: |e| kill(e, Victim::Process("tradewind-policy")),
    },
    Scenario {
        name: "kill-nats",
        claim: "the event bus killed: the bar waits, none is lost",
        run: |e| kill(e, Victim::Process("nats-server")),
    },
    Scenario {
        name: "kill-api-server",
        claim: "the API server killed in a rollout: the rollout ends as without, none is lost",
        run: kill_api_server,
    },
    Scenario {
        name: "kill-operator",
        claim: "the operator killed after each write of a rollout: it ends as a rollout that nothing disturbed",
        run: kill_operator,
    },
    Scenario {
        name: "shared-account",
        claim: "two policies on one account: its limits hold across both as in one process, and one does not feel the other's end",
        run: shared_account::run,
    },
    Scenario {
        name: "dropped-connection",
        claim: "a halt arrives by either way alone although every packet of the other one is dropped without a word",
        run: dropped::run,
    },
];

/// Scenarios that only wait for what was begun before, and read: they may run while the operator has nothing to do.
pub const READING: [Scenario; 4] = [
    Scenario {
        name: "wrong-manifests",
        claim: "every wrong manifest is refused with field, value seen and value allowed",
        run: |e| wrong::refused(e, TRADING),
    },
    Scenario {
        name: "undisturbed",
        claim: "after all these kills the ledgers are those of a run without them",
        run: |e| determinism::as_undisturbed(e, FAULTS, &FAULTS_POLICY),
    },
    Scenario {
        name: "foreign",
        claim: "a checkpoint written by numpy is converted, verified and served, and decides what ONNX Runtime says",
        run: foreign::run,
    },
    Scenario {
        name: "determinism",
        claim: "cluster and one process give the same bytes for 20 years of bars",
        run: determinism::run,
    },
];

/// Pace of the feed: slow enough that a rollout finds bars, fast enough that it takes seconds.
pub const BARS_PER_SECOND: u32 = 25;

/// Runs the scenarios whose name contains `filter`; each counts as one test.
///
/// # Errors
/// When Tradewind cannot be installed at all.
pub fn run_all(environment: &Environment, filter: &str) -> Result<Counts> {
    environment.install()?;
    feed::start(environment, POLICY.feed, BARS_PER_SECOND)?;
    if !"serving".contains(filter) {
        serving(environment)?;
    }
    Ok(run_some(environment, filter))
}

/// The same where Tradewind is installed and the feed runs.
pub fn run_some(environment: &Environment, filter: &str) -> Counts {
    let mut counts = Counts::default();
    let early = |name: &str, begin| early(environment, filter, name, begin);
    for scenario in ALL.iter().filter(|s| s.name.contains(filter)) {
        environment.console.chapter(scenario.name);
        match scenario.name {
            // Ready when the halt, in which the operator is away, is over.
            "insufficient-cpu" => early("without-bars", verbs::begin),
            "wrong-conditions" => {
                early("determinism", determinism::prepare);
                // Takes minutes, beside the next scenarios.
                early("breaker", breaker::begin);
            }
            // Ready when its processes are to be killed.
            "verbs" => early("kill-inference", victims_begin),
            // Its bars are decided before the next rollout, whose candidate they would make late; its processes are killed too.
            "kill-inference" => early("foreign", foreign::begin),
            // From here on another bundle decides.
            "kill-api-server" => early("undisturbed", |e| determinism::keep(e, FAULTS, &FAULTS_POLICY)),
            _ => {}
        }
        counts.add(outcome(environment, scenario));
    }
    counts
}

/// Runs those of [`READING`] whose name contains `filter`.
pub fn run_reading(environment: &Environment, filter: &str) -> Counts {
    let mut counts = Counts::default();
    // No rollout is under way whose candidate the replay could make late.
    early(environment, filter, "determinism", determinism::begin);
    for scenario in READING.iter().filter(|s| s.name.contains(filter)) {
        environment.console.chapter(scenario.name);
        counts.add(outcome(environment, scenario));
    }
    counts
}

/// Begins what goes on beside other scenarios. What cannot begin yet begins in its own turn, and counts there.
fn early(environment: &Environment, filter: &str, name: &str, begin: fn(&Environment) -> Result<()>) {
    if name.contains(filter)
        && let Err(error) = begin(environment)
    {
        environment.console.say(&format!("{name} does not begin yet: {error:#}"));
    }
}

fn outcome(environment: &Environment, scenario: &Scenario) -> Counts {
    Counts::of_claim(scenario.name, environment.console.outcome(scenario.claim, scenario.run(environment)))
}

fn serving(environment: &Environment) -> Result<String> {
    setup::policy(environment, TRADING, &POLICY)?;
    determinism::until_decided(environment, TRADING, POLICY.name, feed::HEAD_START + 50)?;
    setup::until_trading(environment, TRADING, POLICY.name, "Trading")?;
    environment.kubectl.output(&["get", "tp,rp,mc", "-n", TRADING])
}

fn pinned(environment: &Environment) -> Result<String> {
    pinning::claimed_and_true(environment, TRADING, POLICY.name)
}

fn rejected(environment: &Environment) -> Result<String> {
    rejection::run(environment, TRADING, POLICY.name, &rejection::all_faults())
}

fn promoted(environment: &Environment) -> Result<String> {
    let evidence = promotion::run(environment, TRADING, POLICY.name, "tactical-b")?;
    let decisions = ledger::lines(environment, TRADING, POLICY.name, ledger::Kind::Decisions)?;
    let by_driver = ledger::each_bar_once(&decisions)?;
    Ok(format!("{evidence}\n{} bars, each decided once: {by_driver:?}", decisions.len()))
}

fn rolled_back(environment: &Environment) -> Result<String> {
    rollback::run(environment, TRADING, POLICY.name)
}

fn insufficient(environment: &Environment) -> Result<String> {
    let now = PolicySpec { tactical: "tactical-b", ..POLICY };
    pinning::insufficient(environment, TRADING, &now)
}

fn kubelet_rejects(environment: &Environment) -> Result<String> {
    pinning::rejected_by_the_kubelet(environment, TRADING, &PolicySpec { tactical: "tactical-b", ..POLICY })
}

fn halted(environment: &Environment) -> Result<String> {
    halt::run(environment, TRADING, POLICY.name, POLICY.risk_profile)
}

/// Name of namespace, policy, profile and feed of the scenarios that kill something.
const FAULTS: &str = "faults";
const FAULTS_POLICY: PolicySpec<'static> = PolicySpec {
    name: FAULTS,
    risk_profile: FAULTS,
    // Trades whenever it may, so that orders are on their way when something is killed.
    tactical: "spoiled-overtrader",
    feed: FAULTS,
    placement: "Shared",
    pace: Pace::SHORT,
    ..POLICY
};

/// A policy of its own on a slow feed of its own, so that bars are left however long the scenarios before took; whatever was
/// rolled out on it before stays.
fn victims_begin(environment: &Environment) -> Result<()> {
    setup::namespace(environment, FAULTS)?;
    if environment.kubectl.get(FAULTS, &["tradingpolicy/faults"])?.is_some() {
        return Ok(());
    }
    feed::start(environment, FAULTS, 10)?;
    setup::declare(environment, FAULTS, &FAULTS_POLICY)
}

/// The same, once it trades.
fn victims(environment: &Environment) -> Result<()> {
    victims_begin(environment)?;
    determinism::until_decided(environment, FAULTS, FAULTS, feed::HEAD_START + 20)
}

fn kill(environment: &Environment, victim: Victim) -> Result<String> {
    victims(environment)?;
    faults::kill(environment, FAULTS, FAULTS, victim)
}

fn kill_operator(environment: &Environment) -> Result<String> {
    victims(environment)?;
    restarts::run(environment, FAULTS, FAULTS)
}

fn kill_api_server(environment: &Environment) -> Result<String> {
    victims(environment)?;
    setup::checkpoint(environment, FAULTS, "tactical-b")?;
    setup::use_checkpoint(environment, FAULTS, FAULTS, "tactical-b")?;
    let begun = setup::until_phase(environment, FAULTS, FAULTS, "Shadowing", SOON)?;
    let candidate = text(&begun, "/status/candidate/bundle").to_owned();
    let evidence = faults::kill(environment, FAULTS, FAULTS, Victim::ApiServer)?;
    let healthy = setup::until_phase(environment, FAULTS, FAULTS, "Healthy", LATER)?;
    ensure!(text(&healthy, "/status/stable/bundle") == candidate, "{candidate} was not promoted");
    Ok(format!("{evidence}; the rollout begun before it promoted {candidate}"))
}
