//! `tradewind-train`: trains, reports, and makes checkpoints that are wrong on purpose.

mod commands;

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Parser, Subcommand};
use commands::spoil::{self, SpoilArgs};
use commands::{Data, Role, Stage, finite, strategic, tactical};

/// Trains strategic or tactical networks on recorded bars and reports how good their decisions were.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Trains on the early years, reports on the late ones, writes a checkpoint.
    Fit(FitArgs),
    /// Reports what the decisions of a checkpoint were worth in the late years.
    Report(ReportArgs),
    /// Makes a wrong checkpoint out of a good one: for tests of verification and rollback.
    Spoil(SpoilArgs),
}

/// What is judged, and with what.
#[derive(Args)]
struct Judged {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    stage: Stage,
    /// Which networks.
    #[arg(long, value_enum, default_value_t = Role::Tactical)]
    role: Role,
    /// Strategic checkpoint that gives tactical decisions their context; the momentum rule does without it.
    #[arg(long)]
    strategic: Option<PathBuf>,
}

#[derive(Args)]
struct FitArgs {
    #[command(flatten)]
    judged: Judged,
    /// Seed of weights and order.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Optimiser steps of 64 samples.
    #[arg(long, default_value_t = 300)]
    steps: usize,
    /// Reward of doing nothing: higher trades less; by default 0.22 tactical, 0.02 strategic.
    #[arg(long, value_parser = finite)]
    hold_reward: Option<f64>,
    /// Checkpoint to write.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Args)]
struct ReportArgs {
    #[command(flatten)]
    judged: Judged,
    /// Checkpoint to judge.
    #[arg(long)]
    checkpoint: PathBuf,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Fit(args) => match args.judged.role()? {
            Role::Strategic => strategic::fit(&args),
            Role::Tactical => tactical::fit(&args),
        },
        Command::Report(args) => match args.judged.role()? {
            Role::Strategic => strategic::report(&args),
            Role::Tactical => tactical::report(&args),
        },
        Command::Spoil(args) => spoil::run(&args),
    }
}

impl Judged {
    fn role(&self) -> anyhow::Result<Role> {
        if self.role == Role::Strategic && self.strategic.is_some() {
            bail!("--strategic gives tactical decisions their context; with --role strategic leave it out");
        }
        self.stage.config().validate()?;
        Ok(self.role)
    }
}
