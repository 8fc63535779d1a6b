//! The parts of the whole test run: each an existing runner whose counts are added up.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::command::forget_cargo;
use crate::failures;
use crate::runner::Runner;

/// Tests that passed and failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed, and runners that ended badly without naming one.
    pub failed: u64,
    /// What failed and why, a line each where the runner names it.
    pub named: Vec<String>,
}

impl Counts {
    /// One claim, and what was seen.
    #[must_use]
    pub fn of_claim(name: &str, held: Result<(), String>) -> Self {
        match held {
            Ok(()) => Self { passed: 1, ..Self::default() },
            Err(seen) => Self { passed: 0, failed: 1, named: vec![failures::of_claim(name, &seen)] },
        }
    }

    /// Adds another part.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.named.extend(other.named);
    }
}

impl Runner {
    /// What one line says.
    #[must_use]
    pub fn count(self, line: &str) -> Counts {
        match self {
            Self::Cargo => cargo(line).unwrap_or_default(),
            Self::Go => go(line),
            Self::Plain => plain(line).unwrap_or_default(),
        }
    }
}

fn cargo(line: &str) -> Option<Counts> {
    let rest = line.strip_prefix("test result: ")?;
    let (_, rest) = rest.split_once(". ")?;
    let mut parts = rest.split("; ");
    let passed = parts.next()?.strip_suffix(" passed")?.parse().ok()?;
    let failed = parts.next()?.strip_suffix(" failed")?.parse().ok()?;
    Some(Counts { passed, failed, named: Vec::new() })
}

fn go(line: &str) -> Counts {
    let begins = |with| u64::from(line.starts_with(with));
    Counts { passed: begins("--- PASS: "), failed: begins("--- FAIL: "), named: Vec::new() }
}

fn plain(line: &str) -> Option<Counts> {
    let (passed, failed) = line.split_once(", ")?;
    let (passed, failed) = (passed.strip_suffix(" passed")?, failed.strip_suffix(" failed")?);
    Some(Counts { passed: passed.parse().ok()?, failed: failed.parse().ok()?, named: Vec::new() })
}

/// Runs a program in `directory`, gives what is worth showing of its output to `show`, and counts it.
///
/// # Errors
/// When it cannot be started.
pub fn run(
    runner: Runner,
    directory: &Path,
    command: &[&str],
    environment: &[(&str, String)],
    mut show: impl FnMut(String),
) -> Result<Counts> {
    let (program, arguments) = command.split_first().context("a command")?;
    let mut command_line = Command::new(program);
    forget_cargo(&mut command_line);
    let mut child = command_line
        .args(arguments)
        .current_dir(directory)
        .envs(environment.iter().map(|(name, value)| (*name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start '{}'", command.join(" ")))?;
    let (mut counts, mut reader) = (Counts::default(), failures::Reader::new(runner));
    let output = child.stdout.take().context("the runner's output")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        counts.add(runner.count(&line));
        reader.read(&line);
        if worth_showing(runner, &line) {
            show(line);
        }
    }
    counts.named = reader.named();
    let status = child.wait()?;
    if !status.success() && counts.failed == 0 {
        let ended = format!("'{}' ended with {status}", command.join(" "));
        show(ended.clone());
        counts.add(Counts { passed: 0, failed: 1, named: vec![ended] });
    }
    Ok(counts)
}

/// Passing tests by name would be thousands of lines; what failed is always shown.
fn worth_showing(runner: Runner, line: &str) -> bool {
    match runner {
        Runner::Cargo => !(line.is_empty() || line.ends_with("... ok") || line.starts_with("running ") || is_dots(line)),
        Runner::Go => !(line.trim_start().starts_with("--- PASS") || line.starts_with("=== ") || line == "PASS"),
        Runner::Plain => true,
    }
}

/// A line of `cargo test --quiet` in which every test passed: dots, and how far it is.
fn is_dots(line: &str) -> bool {
    line.starts_with('.') && line.chars().all(|c| matches!(c, '.' | '0'..='9' | '/' | ' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runners_are_counted_by_their_own_lines() {
        let seen = Runner::Cargo
            .count("test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s");
        assert_eq!(seen, Counts { passed: 12, failed: 3, named: vec![] });
        assert_eq!(Runner::Go.count("--- FAIL: TestUp (0.00s)"), Counts { passed: 0, failed: 1, named: vec![] });
        assert_eq!(Runner::Go.count("    --- PASS: TestUp/sub (0.00s)"), Counts::default());
        assert_eq!(Runner::Plain.count("7 passed, 1 failed"), Counts { passed: 7, failed: 1, named: vec![] });
        assert_eq!(Runner::Plain.count("nothing passed, really"), Counts::default());
    }
}
