//! `spoil`: checkpoints that are wrong on purpose.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use tradewind_nets::spoil::{SPOILS, Spoil, spoil};

use super::{read, save};

/// Arguments of `spoil`.
#[derive(Args)]
pub(crate) struct SpoilArgs {
    /// A good checkpoint.
    #[arg(long)]
    checkpoint: PathBuf,
    /// flipped-byte, truncated, wrong-shape, missing-tensor, nan, wrong-role, golden, schema, overtrader.
    #[arg(long)]
    how: String,
    /// File to write.
    #[arg(long)]
    out: PathBuf,
}

/// Writes the spoiled copy.
pub(crate) fn run(args: &SpoilArgs) -> anyhow::Result<()> {
    let Some(kind) = Spoil::from_name(&args.how) else {
        bail!("--how is {:?}, known are {}", args.how, SPOILS.map(Spoil::name).join(", "));
    };
    save(&args.out, &spoil(&read(&args.checkpoint)?, kind)?)
}
