//! The decider of one TradingPolicy.

use std::io::{BufWriter, stdout};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use kube::api::Api;
use tokio::sync::watch;
use tradewind_policy::serve::{Options, Revisions, WallClock, serve};
use tradewind_policy::{PolicyObject, Settings, Wanted, read_ledger};
use tradewind_wire::args::{BusArgs, ServeArgs};
use tradewind_wire::config::TradingConfig;
use tradewind_wire::probes::Readiness;
use tradewind_wire::{shutdown, telemetry, tls};

#[derive(Parser)]
#[command(name = "tradewind-policy", version, about = "The decider of one TradingPolicy")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Decide every bar of the feed
    Serve(Box<Serve>),
    /// Print the decision ledger, one JSON line per decision
    Ledger(Ledger),
}

#[derive(clap::Args)]
struct Serve {
    /// trading.json as the operator writes it
    #[arg(long)]
    config_file: PathBuf,
    /// Namespace of the TradingPolicy
    #[arg(long)]
    namespace: String,
    /// Name of the TradingPolicy
    #[arg(long)]
    policy: String,
    /// Directory of the journals
    #[arg(long)]
    data: PathBuf,
    /// Address of a bundle's inference service outside the cluster's DNS, as BUNDLE=HOST:PORT
    #[arg(long, value_parser = bundle_address)]
    inference: Vec<(String, String)>,
    #[command(flatten)]
    bus: BusArgs,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(clap::Args)]
struct Ledger {
    /// Directory of the journals
    #[arg(long)]
    data: PathBuf,
    /// Print only the SHA-256 over the lines
    #[arg(long)]
    digest: bool,
}

fn bundle_address(text: &str) -> Result<(String, String), String> {
    let (bundle, address) = text.split_once('=').ok_or("write BUNDLE=HOST:PORT")?;
    Ok((bundle.to_owned(), address.to_owned()))
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Serve(arguments) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
            runtime.block_on(run(*arguments))
        }
        Command::Ledger(arguments) => ledger(&arguments),
    }
}

fn ledger(arguments: &Ledger) -> anyhow::Result<()> {
    if arguments.digest {
        println!("{}", read_ledger(&arguments.data, None)?.hex());
        return Ok(());
    }
    read_ledger(&arguments.data, Some(&mut BufWriter::new(stdout().lock())))?;
    Ok(())
}

async fn run(arguments: Serve) -> anyhow::Result<()> {
    telemetry::init_logs(arguments.serve.log_format);
    tls::install_provider();
    let stop = shutdown::on_signal().context("installing signal handlers")?;
    let config = TradingConfig::load(&arguments.config_file)?;
    anyhow::ensure!(
        config.policy == arguments.policy,
        "--policy is '{}', {} belongs to '{}'",
        arguments.policy,
        arguments.config_file.display(),
        config.policy
    );
    let settings = Settings::from_config(&config)?;
    std::fs::create_dir_all(&arguments.data).with_context(|| format!("creating {}", arguments.data.display()))?;
    let security = arguments.serve.tls.load()?;
    let client =
        kube::Client::try_default().await.context("finding the API server; inside a pod the service account tells it")?;
    let (sender, wanted) = watch::channel(None);
    let api = Api::<PolicyObject>::namespaced(client, &arguments.namespace);
    let (name, watching, readiness) = (arguments.policy.clone(), stop.clone(), Readiness::new());
    let fresh = readiness.clone();
    tokio::spawn(tradewind_watch::follow(api, name, sender, fresh, watching, Wanted::after));
    let elsewhere = arguments.inference.into_iter().collect();
    let options = Options {
        settings,
        feed: config.feed.clone(),
        start_at: config.start_at,
        clock: WallClock::system(),
        bus: arguments.bus.address(&format!("policy-{}", arguments.policy), &arguments.serve.tls),
        data: arguments.data,
        execution: config.execution_endpoint.clone(),
        revisions: Revisions::new(arguments.policy, arguments.namespace, security.clone(), elsewhere),
        security,
        listen: arguments.serve.listen,
        http: arguments.serve.http,
        readiness,
    };
    match serve(options, wanted, stop).await {
        Err(error) if error.is_stop() => Ok(()),
        outcome => outcome.context("the decider stopped"),
    }
}
