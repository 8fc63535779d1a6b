//! `tradewind-checkpoint`: looks at checkpoint files, judges them, and makes them of other tools' files.

#[path = "tradewind-checkpoint/bench.rs"]
mod bench;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand};
use safetensors::tensor::{Dtype, TensorView};
use tradewind_nets::architecture::{Role, Stage};
use tradewind_nets::checkpoint::{
    Checkpoint, Faults, MAX_FILE_BYTES, SELF_TEST_INPUTS, SelfTestSource, Verdict, claimed_role, convert, sha256, verify,
};
use tradewind_nets::golden;

/// The command line cannot be understood or a file cannot be read or written; clap uses it too.
const USAGE: u8 = 2;

/// Looks at checkpoint files, judges them, and makes them of other tools' files.
///
/// Exit codes: 0 the checkpoint is good, 1 it is refused (every reason is printed), 2 wrong usage or a file that cannot be read or
/// written. The format is described in services/nets/CHECKPOINT.md.
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
    /// Judges a file as the operator's verification Job does and prints its report as JSON.
    Verify {
        /// The checkpoint.
        file: PathBuf,
        /// Expected SHA-256 in hex; without it that of the file.
        #[arg(long)]
        sha256: Option<String>,
        /// Expected role; without it the one that the file claims.
        #[arg(long, value_parser = role())]
        role: Option<Role>,
    },
    /// Makes a checkpoint of a safetensors file (PyTorch's save_file) and a small JSON manifest, and verifies it.
    ///
    /// The manifest needs role, featureSchema, actions, trainingDataDigest and codeRevision; other keys have a value that follows
    /// from the role. Actions may be in another order: the outputs are permuted.
    Convert {
        /// Tensors under the names of CHECKPOINT.md, with golden.inputs and golden.<network>.logits of your own network.
        tensors: PathBuf,
        /// The manifest, a JSON object.
        #[arg(long)]
        manifest: PathBuf,
        /// Checkpoint to write.
        #[arg(long)]
        out: PathBuf,
        /// Make the self-test here, for tensors without golden.*; it says nothing about whether your network computes the same.
        #[arg(long)]
        record_self_test: bool,
    },
    /// Writes inputs for a self-test (golden.inputs), for an exporter to run its own network on.
    Golden {
        /// File to write.
        #[arg(long)]
        out: PathBuf,
        /// Role.
        #[arg(long, value_parser = role(), default_value = Role::Tactical.name())]
        role: Role,
        /// Number of inputs.
        #[arg(long, default_value_t = 32)]
        count: usize,
    },
    /// Times a decision on this machine: p50, p99, p99.9.
    Bench(bench::Bench),
}

/// Roles by the names that resources use.
fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::name)).try_map(|name| Role::from_name(&name).ok_or("is no role"))
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Inspect { file } => inspect(&file),
        Command::Verify { file, sha256, role } => judge(&file, sha256, role),
        Command::Convert { tensors, manifest, out, record_self_test } => make(&tensors, &manifest, &out, record_self_test),
        Command::Bench(bench) => bench.run(),
        Command::Golden { out, role, count } => write_inputs(&out, role.stage(), count),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(USAGE)
    })
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let size = std::fs::metadata(file).with_context(|| file.display().to_string())?.len();
    if size > MAX_FILE_BYTES as u64 {
        bail!("{}: {size} bytes, at most {MAX_FILE_BYTES} are allowed", file.display());
    }
    std::fs::read(file).with_context(|| file.display().to_string())
}

/// The role that a file claims; without one any does, because the file is refused anyway.
fn role_of(bytes: &[u8]) -> Role {
    claimed_role(bytes).unwrap_or(Role::Tactical)
}

fn inspect(file: &Path) -> anyhow::Result<ExitCode> {
    let bytes = read(file)?;
    println!("{}: {} bytes, sha256 {}", file.display(), bytes.len(), sha256(&bytes));
    let checkpoint = match Checkpoint::read(&bytes, role_of(&bytes).name()) {
        Ok(checkpoint) => checkpoint,
        Err(faults) => return Ok(refused(&faults)),
    };
    println!("{}", serde_json::to_string_pretty(&checkpoint.manifest)?);
    for (spec, values) in checkpoint.weights.tensors() {
        let largest = values.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        println!("{:<48} {:<16} largest {largest:.4}", spec.name, format!("{:?}", spec.shape));
    }
    println!("{} parameters, self-test of {} inputs", checkpoint.weights.parameters(), checkpoint.golden.inputs.len());
    Ok(ExitCode::SUCCESS)
}

fn refused(faults: &Faults) -> ExitCode {
    for fault in faults.list() {
        println!("{fault}");
    }
    println!("{} faults", faults.count());
    ExitCode::FAILURE
}

fn judge(file: &Path, expected: Option<String>, role: Option<Role>) -> anyhow::Result<ExitCode> {
    let bytes = read(file)?;
    let expected = expected.unwrap_or_else(|| sha256(&bytes));
    let role = role.unwrap_or_else(|| role_of(&bytes));
    let start = Instant::now();
    let report = verify(&bytes, &expected, role.name(), &mut || start.elapsed().as_nanos() as u64);
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(if report.verdict == Verdict::Verified { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn make(tensors: &Path, manifest: &Path, out: &Path, record: bool) -> anyhow::Result<ExitCode> {
    let source = if record { SelfTestSource::Recorded } else { SelfTestSource::File };
    let manifest = String::from_utf8(read(manifest)?).with_context(|| format!("{} is no text", manifest.display()))?;
    let bytes = match convert(&read(tensors)?, &manifest, source) {
        Ok(bytes) => bytes,
        Err(faults) => return Ok(refused(&faults)),
    };
    let start = Instant::now();
    let digest = sha256(&bytes);
    let report = verify(&bytes, &digest, role_of(&bytes).name(), &mut || start.elapsed().as_nanos() as u64);
    println!("{}", report.message);
    if report.verdict == Verdict::Rejected {
        return Ok(ExitCode::FAILURE);
    }
    std::fs::write(out, &bytes).with_context(|| out.display().to_string())?;
    println!("{}: {} bytes, sha256 {digest}", out.display(), bytes.len());
    Ok(ExitCode::SUCCESS)
}

fn write_inputs(out: &Path, stage: &Stage, count: usize) -> anyhow::Result<ExitCode> {
    if !SELF_TEST_INPUTS.contains(&count) {
        bail!("--count is {count}, it must be {} to {}", SELF_TEST_INPUTS.start(), SELF_TEST_INPUTS.end());
    }
    let inputs = golden::self_test_inputs(stage, count).concat();
    let bytes: Vec<u8> = inputs.iter().flat_map(|value| value.to_le_bytes()).collect();
    let mut shape = vec![count];
    shape.extend_from_slice(stage.input_shape);
    println!("{}: golden.inputs {shape:?}", out.display());
    let none: Option<HashMap<String, String>> = None;
    let file = safetensors::serialize([("golden.inputs", TensorView::new(Dtype::F32, shape, &bytes)?)], none)?;
    std::fs::write(out, file).with_context(|| out.display().to_string())?;
    Ok(ExitCode::SUCCESS)
}
