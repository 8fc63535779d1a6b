//! `make test`: every test there is, from unit to cluster, with one closing count.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use tradewind_e2e::artifacts::{self, Tree};
use tradewind_e2e::console::Console;
use tradewind_e2e::environment::Environment;
use tradewind_e2e::parts::{self, Counts, Runner};
use tradewind_e2e::scenarios;

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

fn run(arguments: &Arguments) -> Result<Counts> {
    let (tree, console) = (Tree::find()?, Console::new());
    let wanted = |part: &str| arguments.only.iter().any(|one| one == part);
    let mut total = Counts::default();
    if wanted("rust") {
        console.chapter("Rust tests");
        total.add(parts::run(Runner::Cargo, tree.root(), &["cargo", "test", "--workspace", "--quiet", "--no-fail-fast"], &[])?);
    }
    if wanted("oracles") {
        console.chapter("Comparison with independent libraries");
        total.add(parts::run(Runner::Plain, tree.root(), &["tests/oracles/run"], &[])?);
    }
    if wanted("go") || wanted("charts") || (wanted("cluster") && arguments.attach.is_none()) {
        artifacts::cluster_program(&tree, &console)?;
    }
    let built = tree.root().join("tests/cluster/.build");
    let tools = tree.work().join("bin");
    for name in ["helm", "kubectl"] {
        std::fs::create_dir_all(&tools)?;
        if tools.join(name).symlink_metadata().is_err() {
            std::os::unix::fs::symlink(built.join("kube"), tools.join(name))?;
        }
    }
    if wanted("go") {
        console.chapter("Tests of the cluster program");
        let cluster = tree.root().join("tests/cluster");
        total.add(parts::run(
            Runner::Go,
            &cluster,
            &["go", "test", "-tags", "cluster", "-count=1", "-timeout", "10m", "-v", ".", "./internal/..."],
            &[],
        )?);
        console.chapter("Tests against a NATS server");
        let nats = [("TRADEWIND_NATS_SERVER", built.join("nats-server").to_string_lossy().into_owned())];
        let features = "tradewind-wire/nats-tests,tradewind-market/nats-tests,tradewind-inference/nats-tests";
        let command = ["cargo", "test", "--quiet", "--no-fail-fast", "--features", features, "--test", "nats*"];
        let crates = ["-p", "tradewind-wire", "-p", "tradewind-market", "-p", "tradewind-inference"];
        total.add(parts::run(Runner::Cargo, tree.root(), &[&command[..], &crates].concat(), &nats)?);
    }
    if wanted("charts") {
        console.chapter("Tests of the charts");
        let programs = [("HELM", tools.join("helm")), ("KUBECTL", tools.join("kubectl"))];
        let environment = programs.map(|(name, path)| (name, path.to_string_lossy().into_owned()));
        total.add(parts::run(Runner::Plain, tree.root(), &["charts/test"], &environment)?);
    }
    if wanted("cluster") {
        total.add(match &arguments.attach {
            Some(name) => scenarios::run_some(&Environment::attach(tree, console, name)?, &arguments.scenario)?,
            None => cluster(tree, console, &arguments.scenario)?,
        });
    }
    Ok(total)
}

fn cluster(tree: Tree, console: Console, filter: &str) -> Result<Counts> {
    console.chapter("Scenarios on a real Kubernetes");
    let environment = Environment::local(tree, console, "suite")?;
    let counts = scenarios::run_all(&environment, filter);
    environment.cluster(&["down"])?;
    let counts = counts?;
    Ok(counts)
}
