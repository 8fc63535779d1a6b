//! `tradewind-inference`: serves, fetches or verifies checkpoints of one bundle.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tradewind_inference::{FeedHistory, Figures, HotThread, Networks, Service, fetch, verify};
use tradewind_wire::args::{BusArgs, ServeArgs};
use tradewind_wire::client::Patience;
use tradewind_wire::config::BundleConfig;
use tradewind_wire::pinning::Pinning;
use tradewind_wire::probes::{self, Readiness};
use tradewind_wire::process::Describe;
use tradewind_wire::renewal::Renewal;
use tradewind_wire::server::BoundServer;
use tradewind_wire::telemetry::{self, LogFormat, Metrics};
use tradewind_wire::{shutdown, tls};

#[derive(Parser)]
#[command(name = "tradewind-inference", version, about = "Features, networks and decisions of one bundle")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answer Decide for one bundle
    Serve(Serve),
    /// Make the bundle's checkpoints present in a directory (init container)
    Fetch {
        #[command(flatten)]
        files: Files,
    },
    /// Judge one checkpoint; exit 0 with a verdict, 1 when the source did not answer
    Verify {
        /// Where the file is
        #[arg(long)]
        uri: String,
        /// Its SHA-256, 64 lower-case hexadecimal digits
        #[arg(long)]
        sha256: String,
        /// Role that it is to play
        #[arg(long, default_value = "Tactical")]
        role: String,
        /// Where Kubernetes picks up the report
        #[arg(long)]
        termination_log: Option<PathBuf>,
    },
}

#[derive(clap::Args)]
struct Files {
    /// bundle.json
    #[arg(long)]
    bundle_file: PathBuf,
    /// Directory of the checkpoints, named <sha256>.safetensors
    #[arg(long)]
    checkpoints: PathBuf,
}

#[derive(clap::Args)]
struct Serve {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    bus: BusArgs,
    #[command(flatten)]
    serve: ServeArgs,
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let format = if let Command::Serve(args) = &cli.command { args.serve.log_format } else { LogFormat::Json };
    telemetry::init_logs(format);
    tls::install_provider();
    // Read before any thread is bound. One CPU is left to the deciding thread when there are more.
    let pinning = Pinning::read()?;
    let workers = pinning.allowed_cpus().saturating_sub(1).clamp(1, 4);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    match cli.command {
        Command::Serve(args) => runtime.block_on(serve(args, pinning)),
        Command::Fetch { files } => {
            let bundle = BundleConfig::load(&files.bundle_file)?;
            runtime.block_on(fetch::fetch(&bundle, &files.checkpoints))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Verify { uri, sha256, role, termination_log } => {
            let outcome = runtime.block_on(verify::verify(&uri, &sha256, &role));
            verify::publish(&outcome.report, termination_log.as_deref()).context("writing the report")?;
            Ok(if outcome.judged { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

async fn serve(args: Serve, pinning: Pinning) -> anyhow::Result<ExitCode> {
    let bundle = BundleConfig::load(&args.files.bundle_file)?;
    let networks = Networks::load(&bundle, &args.files.checkpoints)?;
    let stop = shutdown::on_signal()?;
    let (readiness, metrics) = (Readiness::new(), Metrics::new()?);
    readiness.hold("feed", "reading its past");
    let server = BoundServer::bind(args.serve.listen_address(), args.serve.tls.load()?).await?;
    let server = server.renewing(Renewal::told(&readiness, &metrics));
    let hot = HotThread::start(bundle.clone(), networks, &pinning)?;
    let address = args.bus.address(&format!("tradewind-inference {}", bundle.bundle), &args.serve.tls);
    let history = FeedHistory::new(address, bundle.feed.clone());
    let service = Service::new(&bundle.bundle, hot.clone(), history, Figures::new(&metrics));
    let describe = Describe::new("inference", &bundle.bundle, pinning, readiness.clone());
    let routes = Routes::new(describe.service()).add_service(service.clone().server());
    tracing::info!(bundle = bundle.bundle, address = %server.address(), "serving");
    let probes = probes::serve(args.serve.http, probes::router(readiness.clone(), metrics), stop.clone());
    tokio::try_join!(
        async { anyhow::Ok(server.run(routes, stop.clone()).await?) },
        async { anyhow::Ok(probes.await?) },
        async {
            read_past(&service, &readiness, &stop).await;
            Ok(())
        },
        async {
            tokio::select! {
                () = hot.ended() => anyhow::bail!("the deciding thread has ended"),
                () = stop.cancelled() => Ok(()),
            }
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Reads the feed's past, waiting for a bus that does not answer; the process is not ready and refuses
/// questions until then (TA-69).
async fn read_past(service: &Service<FeedHistory>, readiness: &Readiness, stop: &CancellationToken) {
    let patience = Patience { most: Duration::from_secs(1), ..Default::default() };
    let mut failures = 0_u32;
    loop {
        match service.load_history().await {
            Ok(bars) => {
                tracing::info!(bars, "the past of the feed is read");
                return readiness.release("feed");
            }
            Err(error) => {
                failures += 1;
                if failures.is_power_of_two() {
                    tracing::warn!(failures, %error, "the past of the feed is not read");
                }
                readiness.hold("feed", error.to_string());
            }
        }
        tokio::select! {
            () = tokio::time::sleep(patience.pause(failures)) => {}
            () = stop.cancelled() => return,
        }
    }
}
