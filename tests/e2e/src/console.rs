//! Narration: steps with progress while they run, claims with their evidence at the end.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};

const GREEN: Style = AnsiColor::Green.on_default().bold();
const RED: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// One claim that the run made, and what was seen.
#[derive(Clone, Debug)]
pub struct Claim {
    /// What is claimed.
    pub text: String,
    /// What was measured or read.
    pub evidence: String,
    /// Whether the evidence supports the claim.
    pub holds: bool,
}

/// Collects claims and prints what is going on.
pub struct Console {
    started: Instant,
    claims: Mutex<Vec<Claim>>,
}

impl Default for Console {
    fn default() -> Self {
        Self::new()
    }
}

impl Console {
    /// A console whose clock starts now.
    #[must_use]
    pub fn new() -> Self {
        Self { started: Instant::now(), claims: Mutex::new(Vec::new()) }
    }

    /// Seconds since the run began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// A heading of the narration.
    pub fn chapter(&self, title: &str) {
        anstream::println!("\n{BOLD}{title}{BOLD:#} {DIM}({:.0} s){DIM:#}", self.elapsed().as_secs_f64());
    }

    /// One line of narration.
    pub fn say(&self, line: &str) {
        for part in line.trim_end().lines() {
            anstream::println!("  {part}");
        }
    }

    /// A command as a user would type it.
    pub fn typed(&self, command: &str) {
        anstream::println!("  {DIM}${DIM:#} {command}");
    }

    /// Runs `work`, showing that it is alive when it takes longer than two seconds.
    ///
    /// # Errors
    /// Whatever `work` returns.
    pub fn step<T>(&self, title: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        let begun = Instant::now();
        let done = Arc::new(AtomicBool::new(false));
        let ticker = spawn_ticker(title.to_owned(), begun, Arc::clone(&done));
        let result = work();
        done.store(true, Ordering::Release);
        ticker.thread().unpark();
        // A ticker that panicked has nothing to say about the step itself.
        let _ = ticker.join();
        let seconds = begun.elapsed().as_secs_f64();
        match &result {
            Ok(_) => anstream::println!("  {GREEN}ok{GREEN:#}   {title} {DIM}{seconds:.1} s{DIM:#}"),
            Err(error) => anstream::println!("  {RED}FAIL{RED:#} {title} {DIM}{seconds:.1} s{DIM:#}\n       {error:#}"),
        }
        result
    }

    /// Records a claim; a claim that does not hold is printed at once.
    pub fn claim(&self, text: &str, holds: bool, evidence: impl Into<String>) {
        let claim = Claim { text: text.to_owned(), evidence: evidence.into(), holds };
        let (style, word) = if holds { (GREEN, "holds") } else { (RED, "FAILS") };
        anstream::println!("  {style}{word}{style:#} {} {DIM}- {}{DIM:#}", claim.text, first_line(&claim.evidence));
        if let Ok(mut claims) = self.claims.lock() {
            claims.push(claim);
        }
    }

    /// Records the outcome of a scenario as a claim.
    ///
    /// # Errors
    /// What was seen when it does not hold.
    pub fn outcome(&self, text: &str, result: anyhow::Result<String>) -> Result<(), String> {
        match result {
            Ok(evidence) => {
                self.claim(text, true, evidence);
                Ok(())
            }
            Err(error) => {
                let seen = format!("{error:#}");
                self.claim(text, false, seen.clone());
                Err(seen)
            }
        }
    }

    /// All claims so far.
    #[must_use]
    pub fn claims(&self) -> Vec<Claim> {
        self.claims.lock().map(|claims| claims.clone()).unwrap_or_default()
    }

    /// Prints the table of claims and evidence; true when every claim holds.
    #[must_use]
    pub fn table(&self) -> bool {
        let claims = self.claims();
        anstream::println!("\n{BOLD}Claim and evidence{BOLD:#}");
        for claim in &claims {
            let (style, mark) = if claim.holds { (GREEN, "holds") } else { (RED, "FAILS") };
            anstream::println!("  {style}{mark}{style:#}  {}", claim.text);
            for line in claim.evidence.lines() {
                anstream::println!("         {DIM}{line}{DIM:#}");
            }
        }
        !claims.is_empty() && claims.iter().all(|claim| claim.holds)
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// On a terminal a line that is rewritten each second; in a log one line every 15 seconds.
fn spawn_ticker(title: String, begun: Instant, done: Arc<AtomicBool>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let terminal = std::io::stdout().is_terminal();
        let period = if terminal { Duration::from_secs(1) } else { Duration::from_secs(15) };
        let mut shown = false;
        loop {
            thread::park_timeout(period);
            if done.load(Ordering::Acquire) {
                break;
            }
            let seconds = begun.elapsed().as_secs();
            if terminal && seconds >= 2 {
                anstream::print!("\r  ...  {title} {DIM}{seconds} s{DIM:#} ");
                shown = true;
            } else if !terminal {
                anstream::println!("  ...  {title} {seconds} s");
            }
            let _ = std::io::stdout().flush();
        }
        if shown {
            anstream::print!("\r\x1b[2K");
        }
    })
}
