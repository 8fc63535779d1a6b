//! The operator. Everything is in the library.

use clap::Parser;
use tradewind_operator::service::{Cli, Command, run};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Run(args) => run(args).await?,
    }
    Ok(())
}
