//! `make demo`: Tradewind on a real Kubernetes, shown and asserted step by step.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use tradewind_e2e::artifacts::{self, Tree};
use tradewind_e2e::console::Console;
use tradewind_e2e::environment::{Environment, Lifetime, TRADING};
use tradewind_e2e::scenarios::{self, determinism, feed};

/// Name of the demo's cluster below `.demo`.
const CLUSTER: &str = "cluster";

/// Builds Tradewind, starts a Kubernetes of its own, and shows and asserts every claim. The cluster stays up.
///
/// Exit code 0 when every claim holds, 1 when one fails or the demo cannot go on.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Verb>,
    /// Use the cluster of this kubeconfig context; its nodes must be able to pull the images named in the README.
    #[arg(long)]
    context: Option<String>,
}

#[derive(Subcommand)]
enum Verb {
    /// End the demo's cluster and remove everything of it.
    Down,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Some(Verb::Down) => down(),
        None => show(arguments.context.as_deref()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            anstream::eprintln!(
                "\nthe demo could not go on: {error:#}\n`make down` removes what it left; `make demo` starts again."
            );
            ExitCode::FAILURE
        }
    }
}

fn down() -> Result<bool> {
    let tree = Tree::find()?;
    let directory = tree.work().join(CLUSTER);
    if tree.cluster_program().exists() {
        artifacts::cluster_down(&tree, &directory)?;
    }
    println!("the demo's cluster is gone");
    Ok(true)
}

fn show(context: Option<&str>) -> Result<bool> {
    let (tree, console) = (Tree::find()?, Console::new());
    console.chapter("1. Build");
    let environment = match context {
        None => Environment::local(tree, console, CLUSTER, Lifetime::UntilDown)?,
        Some(context) => Environment::existing(tree, console, CLUSTER, context)?,
    };
    environment.console.chapter("2. Install");
    environment.install()?;
    feed::start(&environment, "default", scenarios::BARS_PER_SECOND)?;
    for (number, scenario) in (3..).zip(scenarios::demo()) {
        environment.console.chapter(&format!("{number}. {}", scenario.claim));
        let holds = environment.console.outcome(scenario.claim, scenario.run(&environment)).is_ok();
        ensure!(holds || scenario.name != "serving", "nothing else can be shown while the samples do not trade");
        if scenario.name == "promotion" {
            // the longest replay goes on beside what is shown next
            determinism::begin(&environment)?;
        }
    }
    let all_hold = environment.console.table();
    next_commands(&environment);
    Ok(all_hold)
}

fn next_commands(environment: &Environment) {
    let bin = environment.directory().join("bin");
    println!("\nThe cluster stays up. Try:");
    println!("  export KUBECONFIG={} PATH={}:$PATH", environment.directory().join("kubeconfig/admin").display(), bin.display());
    println!("  kubectl get tp,rp,mc -n {TRADING}");
    println!("  kubectl explain tradingpolicy.spec.rollout");
    println!("  {} status -n {TRADING} indices", environment.tree.program("kubectl-tradewind").display());
    println!("  kubectl patch riskprofile main -n {TRADING} --type=merge -p '{{\"spec\":{{\"halt\":true}}}}'");
    println!("  make down");
}
