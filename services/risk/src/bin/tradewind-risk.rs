//! The risk service of one account.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ApiResource};
use tokio::sync::watch;
use tradewind_crds::RiskProfile;
use tradewind_risk::serve::{FeedSource, Options, SeenAccount, Sight, Watched, serve};
use tradewind_wire::args::{BusArgs, ServeArgs};
use tradewind_wire::pinning::Pinning;
use tradewind_wire::probes::Readiness;
use tradewind_wire::{shutdown, telemetry, tls};

#[derive(Parser)]
#[command(name = "tradewind-risk", version, about = "The gate of one account: checks, venue, account state, breakers and halt")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Guard the account of one RiskProfile
    Serve(Serve),
}

#[derive(clap::Args)]
struct Serve {
    /// Namespace of the RiskProfile
    #[arg(long)]
    namespace: String,
    /// Name of the RiskProfile
    #[arg(long)]
    profile: String,
    /// Name of the ConfigMap with policies and instruments of the account, in the same namespace
    #[arg(long)]
    account_config: String,
    /// Directory of the journal
    #[arg(long)]
    data: PathBuf,
    #[command(flatten)]
    bus: BusArgs,
    #[command(flatten)]
    serve: ServeArgs,
}

fn main() -> anyhow::Result<()> {
    let Command::Serve(arguments) = Arguments::parse().command;
    telemetry::init_logs(arguments.serve.log_format);
    tls::install_provider();
    // Read before any thread is bound. One CPU is left to the engine's thread when there are more.
    let pinning = Pinning::read()?;
    let workers = pinning.allowed_cpus().saturating_sub(1).clamp(1, 2);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    runtime.block_on(run(arguments, pinning))
}

async fn run(arguments: Serve, pinning: Pinning) -> anyhow::Result<()> {
    let stop = shutdown::on_signal().context("installing signal handlers")?;
    let client =
        kube::Client::try_default().await.context("finding the API server; inside a pod the service account tells it")?;
    let readiness = Readiness::new();
    let (sender, profile) = watch::channel(None);
    let api = Api::namespaced_with(client.clone(), &arguments.namespace, &ApiResource::erase::<RiskProfile>(&()));
    let (name, fresh, watching) = (arguments.profile.clone(), readiness.clone(), stop.clone());
    tokio::spawn(tradewind_watch::follow(api, name, sender, fresh, watching, Sight::after));
    let (sender, account) = watch::channel(None);
    let api = Api::namespaced_with(client, &arguments.namespace, &ApiResource::erase::<ConfigMap>(&()));
    let (name, fresh, watching) = (arguments.account_config, readiness.clone(), stop.clone());
    tokio::spawn(tradewind_watch::follow(api, name, sender, fresh, watching, SeenAccount::after));
    let options = Options {
        data: arguments.data,
        pinning,
        feeds: FeedSource::Bus(arguments.bus.address(&format!("risk-{}", arguments.profile), &arguments.serve.tls)),
        security: arguments.serve.tls.load()?,
        listen: arguments.serve.listen_address(),
        http: arguments.serve.http,
        readiness,
    };
    serve(options, Watched { profile, account }, stop).await.context("the risk service stopped")
}
