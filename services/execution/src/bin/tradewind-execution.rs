//! Orders of one policy: serves them, and prints their ledgers.

use std::io::{BufWriter, Write, stdout};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};
use tradewind_execution::Record;
use tradewind_execution::ledger::{Ledger, Line};
use tradewind_execution::serve::{ORDERS_FILE, Options, serve};
use tradewind_journal::{Journal, LedgerDigest, line_of};
use tradewind_wire::args::ServeArgs;
use tradewind_wire::config::TradingConfig;
use tradewind_wire::pinning::Pinning;
use tradewind_wire::{shutdown, telemetry, tls};

#[derive(Parser)]
#[command(name = "tradewind-execution", version, about = "Turns qualified trades into orders, exactly once")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Trade for one policy
    Serve(Box<Serve>),
    /// Print a ledger, one JSON line per event
    Ledger(LedgerArguments),
}

#[derive(clap::Args)]
struct Serve {
    /// trading.json as the operator writes it
    #[arg(long)]
    config_file: PathBuf,
    /// Directory of the journal
    #[arg(long)]
    data: PathBuf,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(clap::Args)]
struct LedgerArguments {
    /// Directory of the journals
    #[arg(long)]
    data: PathBuf,
    /// Which ledger
    #[arg(long, value_enum)]
    kind: Kind,
    /// Print only the SHA-256 over the lines
    #[arg(long)]
    digest: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Orders sent, denied and ended
    Orders,
    /// Fills
    Fills,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Serve(arguments) => {
            telemetry::init_logs(arguments.serve.log_format);
            tls::install_provider();
            // Read before any thread is bound. One CPU is left to the engine's thread when there are more.
            let pinning = Pinning::read()?;
            let workers = pinning.allowed_cpus().saturating_sub(1).clamp(1, 2);
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
            runtime.block_on(run(*arguments, pinning))
        }
        Command::Ledger(arguments) => ledger(&arguments),
    }
}

async fn run(arguments: Serve, pinning: Pinning) -> anyhow::Result<()> {
    let stop = shutdown::on_signal().context("installing signal handlers")?;
    let options = Options {
        config: TradingConfig::load(&arguments.config_file)?,
        data: arguments.data,
        process: identity(),
        pinning,
        security: arguments.serve.tls.load()?,
        listen: arguments.serve.listen_address(),
        http: arguments.serve.http,
    };
    serve(options, stop).await.context("the execution service stopped")
}

/// A name that no other process of the policy ever had: the pod, the process and its start.
fn identity() -> String {
    let pod = std::env::var("HOSTNAME").unwrap_or_default();
    let started = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{pod}-{}-{}", std::process::id(), started.as_nanos())
}

fn ledger(arguments: &LedgerArguments) -> anyhow::Result<()> {
    let (mut ledger, mut digest) = (Ledger::new(), LedgerDigest::new());
    let mut out = BufWriter::new(stdout().lock());
    for record in Journal::<Record>::read(&arguments.data.join(ORDERS_FILE))? {
        for line in ledger.push(&record?) {
            let text = match line {
                Line::Order(line) if arguments.kind == Kind::Orders => line_of(&line)?,
                Line::Fill(line) if arguments.kind == Kind::Fills => line_of(&line)?,
                _ => continue,
            };
            digest.push_line(&text);
            if !arguments.digest {
                writeln!(out, "{text}")?;
            }
        }
    }
    if arguments.digest {
        writeln!(out, "{}", digest.hex())?;
    }
    out.flush()?;
    Ok(())
}
