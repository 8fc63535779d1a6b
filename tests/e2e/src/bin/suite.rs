//! `make test`: every test there is, from unit to cluster, with one closing count.

use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::Parser;
use tradewind_e2e::artifacts::{self, Tree};
use tradewind_e2e::console::Console;
use tradewind_e2e::environment::{Environment, Lifetime, SMALL_VALUES};
use tradewind_e2e::parts::{self, Counts};
use tradewind_e2e::runner::Runner;
use tradewind_e2e::scenarios;
use tradewind_e2e::scenarios::quiet::Watch;

/// Runs every test: Rust, Go, charts, and the scenarios on a real Kubernetes made for them.
///
/// Exit code 0 when all pass, 1 when one fails, 2 when the run itself could not go on.
#[derive(Parser)]
struct Arguments {
    /// Only these parts: rust, oracles, go, charts, cluster.
    #[arg(long, value_delimiter = ',', default_values_t = ["rust", "oracles", "go", "charts", "cluster"].map(String::from))]
    only: Vec<String>,
    /// Only scenarios whose name contains this.
    #[arg(long, default_value = "")]
    scenario: String,
    /// Work on a cluster that is up in `.demo/NAME` and leave it up: for work on a scenario.
    #[arg(long, value_name = "NAME")]
    attach: Option<String>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(total) => {
            total.named.iter().for_each(|failure| println!("failed: {failure}"));
            println!("{} passed, {} failed", total.passed, total.failed);
            if total.failed == 0 && total.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("the run could not go on: {error:#}");
            println!("0 passed, 1 failed");
            ExitCode::from(2)
        }
    }
}

/// How long nothing may be written while everything is healthy.
const QUIET: Duration = Duration::from_secs(600);

fn run(arguments: &Arguments) -> Result<Counts> {
    let (tree, console) = (Tree::find()?, Console::new());
    let wanted = |part: &str| arguments.only.iter().any(|one| one == part);
    if let Some(name) = &arguments.attach {
        let environment = Environment::attach(tree, console, name)?;
        let mut counts = scenarios::run_some(&environment, &arguments.scenario);
        counts.add(scenarios::run_reading(&environment, &arguments.scenario));
        let _ = environment.console.table();
        return Ok(counts);
    }
    if wanted("rust") || wanted("oracles") {
        artifacts::tests(&tree, &console)?;
    }
    if wanted("go") || wanted("charts") || wanted("cluster") {
        artifacts::cluster_program(&tree, &console)?;
    }
    if wanted("cluster") {
        // Before the comparison begins: both install the same libraries when they are not there.
        artifacts::binaries(&tree, &console)?;
        artifacts::foreign_checkpoint(&tree, &console)?;
    }
    thread::scope(|scope| {
        // It goes on by itself on what the scenarios leave of the CPUs.
        let oracles = wanted("oracles").then(|| scope.spawn(|| compared(&tree)));
        let mut total = beside(&wanted, &arguments.scenario, &tree, &console)?;
        if let Some(oracles) = oracles {
            console.chapter("Comparison with independent libraries");
            let ended = console.step("wait for it to end", || oracles.join().map_err(|_| anyhow!("the comparison panicked")))?;
            let (counts, lines) = ended?;
            lines.iter().for_each(|line| println!("{line}"));
            total.add(counts);
        }
        Ok(total)
    })
}

/// Everything but the comparison with independent libraries.
fn beside(wanted: &dyn Fn(&str) -> bool, filter: &str, tree: &Tree, console: &Console) -> Result<Counts> {
    let mut total = Counts::default();
    let cluster = wanted("cluster").then(|| cluster(tree, filter, &mut total)).transpose()?;
    // The operator has nothing to do from here on; what else there is to test fills the time in which that is watched.
    let quiet = cluster.as_ref().filter(|_| "quiet".contains(filter)).map(Watch::begin);
    let counted = everything_else(wanted, filter, tree, console, cluster.as_ref());
    if let Some(environment) = cluster {
        if let Some(watch) = quiet {
            console.chapter("quiet");
            let claim = "ten minutes of nothing but the lease when everything is healthy";
            let outcome =
                watch.and_then(|watch| console.step("wait for the ten minutes to pass", || watch.end(&environment, QUIET)));
            total.add(Counts::of_claim("quiet", environment.console.outcome(claim, outcome)));
        }
        // Each claim is in the counts already; the table is for the reader.
        let _ = environment.console.table();
        artifacts::cluster_down(&environment.tree, environment.directory())?;
    }
    total.add(counted?);
    Ok(total)
}

/// What needs no operator.
fn everything_else(
    wanted: &dyn Fn(&str) -> bool,
    filter: &str,
    tree: &Tree,
    console: &Console,
    cluster: Option<&Environment>,
) -> Result<Counts> {
    let mut total = Counts::default();
    if let Some(environment) = cluster {
        total.add(scenarios::run_reading(environment, filter));
        if "charts-lifecycle".contains(filter) {
            console.chapter("charts-lifecycle");
            total.add(life_of_the_charts(tree)?);
        }
    }
    for part in ["rust", "go", "charts"].into_iter().filter(|part| wanted(part)) {
        total.add(run_part(part, tree, console)?);
    }
    Ok(total)
}

/// Counts, and the lines to show once nothing else writes in between.
fn compared(tree: &Tree) -> Result<(Counts, Vec<String>)> {
    let mut lines = Vec::new();
    let command = ["tests/e2e/yielding", "tests/oracles/run"];
    let counts = parts::run(Runner::Plain, tree.root(), &command, &[], |line| lines.push(line))?;
    Ok((counts, lines))
}

fn shown(line: String) {
    println!("{line}");
}

fn run_part(part: &str, tree: &Tree, console: &Console) -> Result<Counts> {
    let root = tree.root();
    match part {
        "rust" => {
            console.chapter("Rust tests");
            parts::run(Runner::Cargo, root, &["cargo", "test", "--workspace", "--quiet", "--no-fail-fast"], &[], shown)
        }
        "go" => {
            console.chapter("Tests of the cluster program");
            let command = ["go", "test", "-tags", "cluster", "-count=1", "-timeout", "10m", "-v", ".", "./internal/..."];
            let mut counts = parts::run(Runner::Go, &root.join("tests/cluster"), &command, &[], shown)?;
            console.chapter("Tests against a NATS server");
            let server = tree.cluster_built("nats-server").to_string_lossy().into_owned();
            let variables = [("TRADEWIND_NATS_SERVER", server)];
            let command = ["cargo", "test", "--workspace", "--quiet", "--no-fail-fast", "--test", "nats*", "--", "--ignored"];
            counts.add(parts::run(Runner::Cargo, root, &command, &variables, shown)?);
            Ok(counts)
        }
        _ => {
            console.chapter("Tests of the charts");
            parts::run(Runner::Plain, root, &["charts/test"], &programs(&tree.tools()?), shown)
        }
    }
}

/// Where the charts' tests find Helm and kubectl.
fn programs(tools: &Path) -> Vec<(&'static str, String)> {
    let path = |name: &str| tools.join(name).to_string_lossy().into_owned();
    vec![("HELM", path("helm")), ("KUBECTL", path("kubectl"))]
}

/// Brings a cluster up and runs the scenarios on it; it stays up unless they could not go on.
fn cluster(tree: &Tree, filter: &str, total: &mut Counts) -> Result<Environment> {
    let console = Console::new();
    console.chapter("Scenarios on a real Kubernetes");
    let environment = Environment::local(tree.clone(), console, "suite", Lifetime::ThisProcess)?;
    match scenarios::run_all(&environment, filter) {
        Ok(counts) => total.add(counts),
        Err(error) => {
            artifacts::cluster_down(&environment.tree, environment.directory())?;
            return Err(error);
        }
    }
    Ok(environment)
}

/// Installs, upgrades and removes the charts on a cluster that holds nothing else.
fn life_of_the_charts(tree: &Tree) -> Result<Counts> {
    let environment = Environment::one_node(tree.clone(), Console::new(), "charts")?;
    let mut variables = programs(&tree.tools()?);
    variables.push(("KUBECONFIG", environment.kubeconfig().to_string_lossy().into_owned()));
    let command = ["charts/test-lifecycle", "--set", SMALL_VALUES];
    let counted = parts::run(Runner::Plain, tree.root(), &command, &variables, shown);
    artifacts::cluster_down(tree, environment.directory())?;
    counted
}
