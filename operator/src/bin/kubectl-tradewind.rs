//! `kubectl tradewind`. Everything is in the library.

use std::process::ExitCode;

use clap::Parser;
use tradewind_operator::plugin::{Cli, run};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    tradewind_wire::tls::install_provider();
    match run(cli).await {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            anstream::eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
