//! The verdict on a file: what the verification Job writes into its termination message.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fault::{Fault, Faults, Reason};
use super::reader::{Checkpoint, sha256};
use super::{MAX_FILE_BYTES, container};
use crate::answer::Served;
use crate::served::served;

/// A termination message may hold this much.
pub const MAX_REPORT_BYTES: usize = 4096;
/// Calls before the clock is read (TA-54).
const WARM_UP_CALLS: usize = 10;
/// Calls that are timed.
const TIMED_CALLS: usize = 200;
/// Longest message of a report, in characters.
const MAX_MESSAGE: usize = 600;
/// Faults listed in a report besides the one that decided.
const MAX_LISTED: usize = 8;
/// Metrics copied into a report.
const MAX_METRICS: usize = 16;

/// The two verdicts. A file that could not be fetched has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It may be mounted.
    Verified,
    /// It may not.
    Rejected,
}

/// What was measured; absent where the file gave no chance to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Size of the file.
    pub size_bytes: u64,
    /// Hex SHA-256 of the file.
    pub sha256: String,
    /// Trainable parameters in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<u64>,
    /// Architecture by the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Feature schema by the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature_schema: Option<String>,
    /// Largest error of the self-test: absolute up to 1, relative above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golden_max_error: Option<f64>,
    /// Median time of one pass of the networks that serve, microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_p50_us: Option<f64>,
    /// 99th percentile of that time, microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_p99_us: Option<f64>,
    /// Figures of the training report, the first 16 by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
}

/// The result of a verification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerificationReport {
    /// The verdict.
    pub verdict: Verdict,
    /// Why it was rejected; absent when it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// One sentence for `kubectl get` and the event.
    pub message: String,
    /// What was measured.
    pub figures: Figures,
    /// All faults, as far as there is room.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

impl VerificationReport {
    /// The report on a file that could not be fetched.
    pub fn unreachable(message: &str) -> Self {
        Self::rejected(Figures::default(), &Faults::one(Reason::SourceUnreachable, "source", message))
    }

    /// The report on a file that is too large to be fetched.
    pub fn too_large(message: &str) -> Self {
        Self::rejected(Figures::default(), &Faults::one(Reason::TooLarge, "source", message))
    }

    fn rejected(figures: Figures, faults: &Faults) -> Self {
        let worst = faults.worst();
        let mut message = worst.map_or_else(String::new, |fault| format!("{}: {}", fault.subject, fault.message));
        message = message.chars().take(MAX_MESSAGE).collect();
        if faults.count() > 1 {
            message.push_str(&format!(" (and {} more faults)", faults.count() - 1));
        }
        let listed = faults.list().iter().filter(|fault| Some(*fault) != worst).take(MAX_LISTED);
        let faults = listed.map(|fault| Fault { message: fault.message.chars().take(200).collect(), ..fault.clone() });
        Self { verdict: Verdict::Rejected, reason: worst.map(|fault| fault.reason), message, figures, faults: faults.collect() }
    }

    /// The report as JSON of at most [`MAX_REPORT_BYTES`]; listed faults and metrics give way first.
    ///
    /// # Errors
    /// When a figure is not finite, which verification excludes.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let mut report = self.clone();
        loop {
            let text = serde_json::to_string(&report)?;
            if text.len() <= MAX_REPORT_BYTES {
                return Ok(text);
            }
            if report.faults.pop().is_none() && report.figures.metrics.pop_last().is_none() {
                let half = report.message.chars().count() / 2;
                report.message = report.message.chars().take(half).collect();
            }
        }
    }
}

/// Judges a file: size, digest, structure, manifest, finite weights, self-test, and the time of a
/// pass by `clock_ns`, a clock in nanoseconds that never goes backwards.
///
/// `expected_sha256` is lower-case hex. A wrong digest ends the examination: nothing in such a
/// file is evaluated, only whether it is cut off is still said.
pub fn verify(bytes: &[u8], expected_sha256: &str, expected_role: &str, clock_ns: &mut dyn FnMut() -> u64) -> VerificationReport {
    let mut figures = Figures { size_bytes: bytes.len() as u64, ..Figures::default() };
    if bytes.len() > MAX_FILE_BYTES {
        let message = format!("{} bytes, at most {MAX_FILE_BYTES} are allowed", bytes.len());
        return VerificationReport::rejected(figures, &Faults::one(Reason::TooLarge, "file", message));
    }
    figures.sha256 = sha256(bytes);
    if figures.sha256 != expected_sha256 {
        let message = format!("SHA-256 is {}, {} was asked for", figures.sha256, super::fault::quote(expected_sha256));
        let mut faults = Faults::one(Reason::DigestMismatch, "file", message);
        if let Err(found) = container::open(bytes)
            && let Some(cut) = found.list().iter().find(|fault| fault.reason == Reason::Truncated)
        {
            faults.add(cut.reason, &cut.subject, cut.message.clone());
        }
        return VerificationReport::rejected(figures, &faults);
    }
    let checkpoint = match Checkpoint::read(bytes, expected_role) {
        Ok(checkpoint) => checkpoint,
        Err(faults) => return VerificationReport::rejected(figures, &faults),
    };
    describe(&checkpoint, &mut figures);
    let mut networks = match served(&checkpoint) {
        Ok(networks) => networks,
        Err(error) => {
            return VerificationReport::rejected(figures, &Faults::one(Reason::BadFormat, "file", error.to_string()));
        }
    };
    match checkpoint.golden.run(networks.as_mut()) {
        Ok(error) => figures.golden_max_error = Some(error),
        Err(faults) => return VerificationReport::rejected(figures, &faults),
    }
    measure(&checkpoint, networks.as_mut(), clock_ns, &mut figures);
    let message = format!(
        "{} of {} parameters; self-test of {} inputs within {:.1e}; one pass takes {:.0} us (p50)",
        checkpoint.manifest.architecture,
        checkpoint.weights.parameters(),
        checkpoint.golden.inputs.len(),
        figures.golden_max_error.unwrap_or_default(),
        figures.latency_p50_us.unwrap_or_default(),
    );
    VerificationReport { verdict: Verdict::Verified, reason: None, message, figures, faults: Vec::new() }
}

fn describe(checkpoint: &Checkpoint, figures: &mut Figures) {
    let manifest = &checkpoint.manifest;
    figures.parameters = Some(checkpoint.weights.parameters() as u64);
    figures.architecture = Some(manifest.architecture.clone());
    figures.feature_schema = Some(manifest.feature_schema.clone());
    figures.metrics = manifest.metrics.iter().take(MAX_METRICS).map(|(name, value)| (name.clone(), *value)).collect();
}

fn measure(checkpoint: &Checkpoint, networks: &mut dyn Served, clock_ns: &mut dyn FnMut() -> u64, figures: &mut Figures) {
    let mut outputs = vec![0.0; checkpoint.weights.stage.output_width()];
    let mut inputs = checkpoint.golden.inputs.iter().cycle();
    let mut times = Vec::with_capacity(TIMED_CALLS);
    for (call, input) in inputs.by_ref().take(WARM_UP_CALLS + TIMED_CALLS).enumerate() {
        let before = clock_ns();
        let answer = networks.outputs(input, &mut outputs);
        let taken = clock_ns().saturating_sub(before);
        if std::hint::black_box((answer, &outputs)).0.is_ok() && call >= WARM_UP_CALLS {
            times.push(taken);
        }
    }
    times.sort_unstable();
    let at = |percent: usize| times.get((times.len().saturating_sub(1)) * percent / 100).map(|ns| *ns as f64 / 1000.0);
    figures.latency_p50_us = at(50);
    figures.latency_p99_us = at(99);
}
