//! Gates: evidence in, verdicts out. Missing data never passes.
//!
//! | gate | Pass | Fail | Inconclusive | Error |
//! |---|---|---|---|---|
//! | MinBars | enough bars in this step | never | too few yet | never |
//! | DeadlineMiss | share of bad answers within the limit, enough bars | lower bound of the share above the limit | between | no bar asked although bars were decided |
//! | Turnover | ratio within the limit, enough bars | ratio above it (twice above it before enough bars) | too few bars | figures not finite |
//! | PairedPnl | whole interval above minus the margin, enough bars | whole interval below minus the margin | between | not measured, not finite |

use tradewind_crds::policy_status::{Gate, GateVerdict, Verdict};
use tradewind_crds::trading_policy::Gates;

use super::evidence::Evidence;

/// A book that turned over less than this, in basis points of starting equity, is compared as if it had: a ratio to
/// almost nothing says nothing. 10000 = once the starting equity.
pub const TURNOVER_FLOOR_BPS: f64 = 10_000.0;

/// Quantile of the normal distribution for the one-sided 95 % bound of the miss rate.
const Z_95: f64 = 1.644_853_626_951_472_2;

/// What the step asks for.
#[derive(Clone, Copy, Debug)]
pub struct StepGoal<'a> {
    /// The step in words: `shadow`, `step 1 of 2`.
    pub name: &'a str,
    /// Bars that both bundles must have answered in it.
    pub min_bars: u64,
}

/// All gates in the order of [`Gate::ALL`].
#[must_use]
pub fn judge(gates: &Gates, goal: StepGoal<'_>, evidence: &Evidence) -> Vec<GateVerdict> {
    vec![
        min_bars(goal, evidence),
        deadline_miss(gates.max_deadline_miss_bps, goal, evidence),
        turnover(gates.max_turnover_ratio_bps, goal, evidence),
        paired_pnl(gates, goal, evidence),
    ]
}

/// The four verdicts as one: any Fail fails, all Pass passes, else any Error is an error.
#[must_use]
pub fn overall(verdicts: &[GateVerdict]) -> Verdict {
    let any = |wanted: Verdict| verdicts.iter().any(|v| v.verdict == wanted);
    if any(Verdict::Fail) {
        Verdict::Fail
    } else if any(Verdict::Error) || verdicts.is_empty() {
        Verdict::Error
    } else if any(Verdict::Inconclusive) {
        Verdict::Inconclusive
    } else {
        Verdict::Pass
    }
}

/// The sentences of the verdicts of one kind, joined.
#[must_use]
pub fn sentences(verdicts: &[GateVerdict], kind: Verdict) -> String {
    verdicts.iter().filter(|v| v.verdict == kind).map(|v| v.message.as_str()).collect::<Vec<_>>().join("; ")
}

fn figure(value: f64) -> String {
    if value.is_finite() { format!("{value:.4}") } else { String::new() }
}

fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn blank(gate: Gate, verdict: Verdict, bars: u64, margin: String, message: String) -> GateVerdict {
    GateVerdict {
        gate,
        verdict,
        bars: count(bars),
        value: String::new(),
        baseline: String::new(),
        lower: String::new(),
        upper: String::new(),
        margin,
        message,
    }
}

fn min_bars(goal: StepGoal<'_>, evidence: &Evidence) -> GateVerdict {
    let (seen, wanted) = (evidence.bars_in_step, goal.min_bars);
    let verdict = if seen >= wanted { Verdict::Pass } else { Verdict::Inconclusive };
    let message = format!("{}: {seen} of {wanted} bars answered by both bundles", goal.name);
    GateVerdict { value: seen.to_string(), ..blank(Gate::MinBars, verdict, seen, wanted.to_string(), message) }
}

#[allow(clippy::cast_precision_loss)]
fn deadline_miss(limit_bps: i64, goal: StepGoal<'_>, evidence: &Evidence) -> GateVerdict {
    let candidate = evidence.candidate;
    let (bad, total) = (candidate.deadline_misses + candidate.errors, candidate.bars + candidate.errors);
    if total == 0 {
        let verdict = if evidence.bars_in_step > 0 { Verdict::Error } else { Verdict::Inconclusive };
        let message = "no answer of the candidate was counted yet".to_owned();
        return blank(Gate::DeadlineMiss, verdict, 0, limit_bps.to_string(), message);
    }
    let rate_bps = bad as f64 / total as f64 * 10_000.0;
    let (lower, upper) = wilson(bad, total);
    let verdict = if lower * 10_000.0 > limit_bps as f64 {
        Verdict::Fail
    } else if rate_bps <= limit_bps as f64 && evidence.bars_in_step >= goal.min_bars {
        Verdict::Pass
    } else {
        Verdict::Inconclusive
    };
    GateVerdict {
        value: figure(rate_bps),
        lower: figure(lower * 10_000.0),
        upper: figure(upper * 10_000.0),
        ..blank(
            Gate::DeadlineMiss,
            verdict,
            total,
            limit_bps.to_string(),
            format!("{bad} of {total} answers late or missing, {rate_bps:.1} bps, allowed is {limit_bps}"),
        )
    }
}

/// Wilson's score interval of a share, one-sided 95 % at each end.
#[allow(clippy::cast_precision_loss)]
fn wilson(hits: u64, total: u64) -> (f64, f64) {
    let (n, z2) = (total as f64, Z_95 * Z_95);
    let share = hits as f64 / n;
    let centre = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z_95 / (1.0 + z2 / n) * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

#[allow(clippy::cast_precision_loss)]
fn turnover(limit_bps: i64, goal: StepGoal<'_>, evidence: &Evidence) -> GateVerdict {
    let (candidate, stable) = (evidence.candidate.turnover_bps, evidence.stable.turnover_bps);
    let bars = evidence.bars_in_step;
    if !candidate.is_finite() || !stable.is_finite() || candidate < 0.0 || stable < 0.0 {
        let message = format!("turnover cannot be compared: candidate {candidate}, stable {stable}");
        return blank(Gate::Turnover, Verdict::Error, bars, limit_bps.to_string(), message);
    }
    let ratio_bps = candidate / stable.max(TURNOVER_FLOOR_BPS) * 10_000.0;
    let (limit, enough) = (limit_bps as f64, bars >= goal.min_bars);
    let verdict = match (enough, ratio_bps > limit) {
        (true, true) => Verdict::Fail,
        (true, false) => Verdict::Pass,
        (false, _) if ratio_bps > 2.0 * limit => Verdict::Fail,
        (false, _) => Verdict::Inconclusive,
    };
    GateVerdict {
        value: figure(candidate),
        baseline: figure(stable),
        ..blank(
            Gate::Turnover,
            verdict,
            bars,
            limit_bps.to_string(),
            format!(
                "turnover {candidate:.0} bps of equity against {stable:.0} of the stable (at least {TURNOVER_FLOOR_BPS:.0} counted), \
                 ratio {ratio_bps:.0} bps, allowed is {limit_bps}"
            ),
        )
    }
}

fn paired_pnl(gates: &Gates, goal: StepGoal<'_>, evidence: &Evidence) -> GateVerdict {
    let margin = gates.paired_pnl.margin_bps.to_f64();
    let text = gates.paired_pnl.margin_bps.to_string();
    let Some(paired) = evidence.paired else {
        return blank(Gate::PairedPnl, Verdict::Error, 0, text, "paired profit was not measured".into());
    };
    if paired.n == 0 {
        return blank(Gate::PairedPnl, Verdict::Inconclusive, 0, text, "no bar was answered by both bundles yet".into());
    }
    let figures = [paired.mean_bps, paired.lower_bps, paired.upper_bps];
    let ordered = paired.lower_bps <= paired.upper_bps;
    let (verdict, what) = if figures.iter().any(|f| f.is_nan()) || !ordered {
        (Verdict::Error, "is not a number")
    } else if paired.upper_bps < -margin {
        (Verdict::Fail, "lies below")
    } else if paired.lower_bps > -margin && evidence.bars_in_step >= goal.min_bars {
        (Verdict::Pass, "lies above")
    } else if paired.lower_bps > -margin {
        (Verdict::Inconclusive, "lies above, too few bars in this step:")
    } else {
        (Verdict::Inconclusive, "contains")
    };
    GateVerdict {
        value: figure(paired.mean_bps),
        lower: figure(paired.lower_bps),
        upper: figure(paired.upper_bps),
        ..blank(
            Gate::PairedPnl,
            verdict,
            paired.n,
            text,
            format!(
                "candidate minus stable {:.3} bps a bar over {} bars, interval {:.3} to {:.3} {what} minus the margin of {}",
                paired.mean_bps, paired.n, paired.lower_bps, paired.upper_bps, gates.paired_pnl.margin_bps
            ),
        )
    }
}
