//! `make prove`: what takes too long for every change, with its result and commit in `docs/proofs.md`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use tradewind_e2e::artifacts::Tree;
use tradewind_e2e::command::{Run, forget_cargo};
use tradewind_e2e::proofs::{self, Outcome, PAGE, PROOFS, Proof};

/// Runs the long proofs and keeps their results in docs/proofs.md with the commit that gave them.
///
/// Exit code 0 when all hold, 1 when one does not.
#[derive(Parser)]
struct Arguments {
    /// Only the proof of this name.
    #[arg(long, value_parser = PROOFS.map(|proof| proof.name))]
    only: Option<String>,
    /// Writes nothing, and so also runs on changes that are not committed.
    #[arg(long)]
    dry: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let wanted = |proof: &&Proof| arguments.only.as_deref().is_none_or(|only| only == proof.name);
    let mut held = true;
    for proof in PROOFS.iter().filter(wanted) {
        if let Err(error) = prove(proof, arguments.dry) {
            eprintln!("{}: {error:#}", proof.name);
            held = false;
        }
    }
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn prove(proof: &Proof, dry: bool) -> Result<()> {
    let tree = Tree::find()?;
    let root = tree.root();
    let commit = commit(root, dry)?;
    println!("{}: {}", proof.name, proof.command.join(" "));
    let begun = Instant::now();
    let result = last_line(root, proof.command)?;
    if dry {
        return Ok(());
    }
    let day = Run::new("date", &["-u", "+%Y-%m-%d"]).output()?;
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    let outcome = Outcome { proof: proof.name, commit: &commit, day: day.trim(), minutes, result: &result };
    let path = root.join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    fs::write(&path, proofs::with_result(&page, &outcome)?).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}: written to {PAGE}", proof.name);
    Ok(())
}

/// The commit of the checkout, which must hold everything that is proven.
fn commit(root: &Path, dry: bool) -> Result<String> {
    let git = |arguments: &[&str]| Run::new("git", arguments).directory(root).output();
    let status = git(&["status", "--porcelain"])?;
    let changed = proofs::uncommitted(&status);
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?.trim().to_owned();
    ensure!(
        dry || changed.is_empty(),
        "a result belongs to a commit, and {commit} lacks {} changes of this checkout ({}); commit them, or use --dry",
        changed.len(),
        changed.join(", ")
    );
    Ok(commit)
}

/// Runs a proof, shows what it prints, and returns the last line.
fn last_line(root: &Path, command: &[&str]) -> Result<String> {
    let (program, arguments) = command.split_first().context("a command")?;
    let mut line = Command::new(program);
    forget_cargo(&mut line);
    let mut child = line
        .args(arguments)
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start '{}'", command.join(" ")))?;
    let mut last = String::new();
    for line in BufReader::new(child.stdout.take().context("the output of the proof")?).lines() {
        last = line?;
        println!("{last}");
    }
    let status = child.wait()?;
    ensure!(status.success(), "it does not hold: '{}' ended with {status}", command.join(" "));
    Ok(last)
}
