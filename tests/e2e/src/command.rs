//! External programs with a deadline, their output kept for the message when they fail.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// What a finished program left behind.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// A program about to be run.
pub struct Run {
    command: Command,
    shown: String,
    deadline: Duration,
    input: Option<String>,
}

impl Run {
    /// `program` with `arguments`, at most ten minutes unless told otherwise.
    pub fn new(program: impl AsRef<OsStr>, arguments: &[&str]) -> Self {
        let shown = std::iter::once(Path::new(program.as_ref()).file_name().unwrap_or_default().to_string_lossy().into_owned())
            .chain(arguments.iter().map(|a| (*a).to_owned()))
            .collect::<Vec<_>>()
            .join(" ");
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        forget_cargo(&mut command);
        Self { command, shown, deadline: Duration::from_secs(600), input: None }
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn directory(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Ends the program when it takes longer.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Gives the program a text on standard input.
    #[must_use]
    pub fn input(mut self, text: impl Into<String>) -> Self {
        self.input = Some(text.into());
        self.command.stdin(Stdio::piped());
        self
    }

    /// Runs to the end, whatever the exit code.
    ///
    /// # Errors
    /// When the program cannot be started or passes its deadline.
    pub fn finish(mut self) -> Result<Finished> {
        let mut child = self.command.spawn().with_context(|| format!("cannot start '{}'", self.shown))?;
        if let (Some(text), Some(mut pipe)) = (self.input.take(), child.stdin.take()) {
            // A program that ended early closes the pipe; its exit code tells why.
            let _ = pipe.write_all(text.as_bytes());
        }
        let stdout = drain(child.stdout.take());
        let stderr = drain(child.stderr.take());
        let status = wait(&mut child, self.deadline).with_context(|| format!("'{}'", self.shown))?;
        Ok(Finished { status, stdout: stdout.join().unwrap_or_default(), stderr: stderr.join().unwrap_or_default() })
    }

    /// Runs to the end and returns standard output.
    ///
    /// # Errors
    /// When the program cannot be started, passes its deadline or exits with another code than 0.
    pub fn output(self) -> Result<String> {
        let shown = self.shown.clone();
        let finished = self.finish()?;
        if !finished.status.success() {
            bail!("'{shown}' ended with {}:\n{}{}", finished.status, tail(&finished.stdout), tail(&finished.stderr));
        }
        Ok(finished.stdout)
    }
}

/// Removes what `cargo run` told this program about itself: build scripts that look at it (that of ring) would run again, and
/// half of the workspace be compiled again, whenever a compilation from here follows one by hand.
pub fn forget_cargo(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let told = name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"));
        if told {
            command.env_remove(name);
        }
    }
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn wait(child: &mut Child, deadline: Duration) -> Result<ExitStatus> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if begun.elapsed() > deadline {
            child.kill()?;
            child.wait()?;
            bail!("took longer than {} s and was ended", deadline.as_secs());
        }
        thread::park_timeout(Duration::from_millis(5));
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(25)..].iter().map(|line| format!("{line}\n")).collect()
}
