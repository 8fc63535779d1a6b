//! `tradewind-checkpoint`: looks at checkpoint files, judges them, and helps to export them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use safetensors::tensor::{Dtype, TensorView};
use tradewind_nets::architecture::{COLUMNS, ROWS};
use tradewind_nets::checkpoint::{Checkpoint, MAX_FILE_BYTES, SELF_TEST_INPUTS, TACTICAL_ROLE, Verdict, sha256, verify};
use tradewind_nets::golden;

/// Looks at checkpoint files, judges them, and helps to export them.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prints manifest and tensors, or everything that is wrong.
    Inspect {
        /// The checkpoint.
        file: PathBuf,
    },
    /// Judges a file as the operator's verification Job does and prints its report; exits 1 when it is rejected.
    Verify {
        /// The checkpoint.
        file: PathBuf,
        /// Expected SHA-256 in hex; without it that of the file.
        #[arg(long)]
        sha256: Option<String>,
        /// Expected role.
        #[arg(long, default_value = TACTICAL_ROLE)]
        role: String,
    },
    /// Writes inputs for a self-test (golden.inputs), for an exporter to run its own network on.
    Golden {
        /// File to write.
        #[arg(long)]
        out: PathBuf,
        /// Number of inputs.
        #[arg(long, default_value_t = 32)]
        count: usize,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Inspect { file } => inspect(&file),
        Command::Verify { file, sha256: expected, role } => judge(&file, expected, &role),
        Command::Golden { out, count } => write_inputs(&out, count),
    }
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let size = std::fs::metadata(file).with_context(|| file.display().to_string())?.len();
    if size > MAX_FILE_BYTES as u64 {
        bail!("{}: {size} bytes, at most {MAX_FILE_BYTES} are allowed", file.display());
    }
    std::fs::read(file).with_context(|| file.display().to_string())
}

fn inspect(file: &Path) -> anyhow::Result<ExitCode> {
    let bytes = read(file)?;
    println!("{}: {} bytes, sha256 {}", file.display(), bytes.len(), sha256(&bytes));
    match Checkpoint::read(&bytes, TACTICAL_ROLE) {
        Ok(checkpoint) => {
            println!("{}", serde_json::to_string_pretty(&checkpoint.manifest)?);
            for (spec, values) in checkpoint.weights.tensors() {
                let largest = values.iter().fold(0f32, |largest, value| largest.max(value.abs()));
                println!("{:<36} {:<16} largest {largest:.4}", spec.name, format!("{:?}", spec.shape));
            }
            println!("{} parameters, self-test of {} inputs", checkpoint.weights.parameters(), checkpoint.golden.inputs.len());
            Ok(ExitCode::SUCCESS)
        }
        Err(faults) => {
            for fault in faults.list() {
                println!("{fault}");
            }
            println!("{} faults", faults.count());
            Ok(ExitCode::FAILURE)
        }
    }
}

fn judge(file: &Path, expected: Option<String>, role: &str) -> anyhow::Result<ExitCode> {
    let bytes = read(file)?;
    let expected = expected.unwrap_or_else(|| sha256(&bytes));
    let start = Instant::now();
    let report = verify(&bytes, &expected, role, &mut || start.elapsed().as_nanos() as u64);
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(if report.verdict == Verdict::Verified { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn write_inputs(out: &Path, count: usize) -> anyhow::Result<ExitCode> {
    if !SELF_TEST_INPUTS.contains(&count) {
        bail!("--count is {count}, it must be {} to {}", SELF_TEST_INPUTS.start(), SELF_TEST_INPUTS.end());
    }
    let inputs: Vec<_> = (0u32..).take(count).map(golden::self_test_input).collect();
    let bytes: Vec<u8> = inputs.as_flattened().as_flattened().iter().flat_map(|value| value.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, vec![count, ROWS, COLUMNS], &bytes)?;
    let none: Option<HashMap<String, String>> = None;
    std::fs::write(out, safetensors::serialize([("golden.inputs", view)], none)?).with_context(|| out.display().to_string())?;
    println!("{}: golden.inputs [{count}, {ROWS}, {COLUMNS}]", out.display());
    Ok(ExitCode::SUCCESS)
}
