//! Gates: evidence in, verdicts out. Missing data never passes.
//!
//! | gate | Pass | Fail | Inconclusive | Error |
//! |---|---|---|---|---|
//! | MinBars | enough bars in this step | never | too few yet | never |
//! | DeadlineMiss | share of bad answers within the limit, enough bars | lower bound of the share above the limit, more than one bad answer | between | no bar asked although bars were decided |
//! | Turnover | ratio within the limit, enough bars | ratio above it (twice above it before enough bars) | too few bars | figures not finite |
//! | PairedPnl | whole interval above minus the margin, enough bars | whole interval below minus the margin | between | bars asked and not measured, not a number |

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
    // One bad answer is an event, not yet a share: early in a step its lower bound is above any useful limit.
    let verdict = if bad > 1 && lower * 10_000.0 > limit_bps as f64 {
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
        let asked = evidence.candidate.bars + evidence.candidate.errors;
        if asked == 0 {
            return blank(Gate::PairedPnl, Verdict::Inconclusive, 0, text, "no bar was put to the candidate yet".into());
        }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::plan::evidence::{Figures, Paired};
    use proptest::prelude::*;

    const GOAL: StepGoal<'_> = StepGoal { name: "shadow", min_bars: 300 };

    fn good(bars: u64) -> Evidence {
        let figures = Figures { bars, turnover_bps: 20_000.0, ..Figures::default() };
        Evidence {
            bars_in_step: bars,
            stable: figures,
            candidate: figures,
            paired: Some(Paired { n: bars, mean_bps: 0.0, lower_bps: -5.0, upper_bps: 5.0 }),
            ..Evidence::default()
        }
    }

    fn verdict(gate: Gate, evidence: &Evidence) -> Verdict {
        judge(&Gates::default(), GOAL, evidence).into_iter().find(|v| v.gate == gate).unwrap().verdict
    }

    #[test]
    fn all_pass_only_with_enough_bars() {
        assert_eq!(overall(&judge(&Gates::default(), GOAL, &good(300))), Verdict::Pass);
        assert_eq!(overall(&judge(&Gates::default(), GOAL, &good(299))), Verdict::Inconclusive);
        assert_eq!(overall(&judge(&Gates::default(), GOAL, &good(0))), Verdict::Inconclusive);
        assert_eq!(overall(&[]), Verdict::Error);
    }

    #[test]
    fn one_late_answer_in_three_hundred_is_no_proof_and_two_are() {
        for (misses, expected) in [(0, Verdict::Pass), (1, Verdict::Inconclusive), (2, Verdict::Fail)] {
            let mut evidence = good(300);
            evidence.candidate.deadline_misses = misses;
            assert_eq!(verdict(Gate::DeadlineMiss, &evidence), expected, "{misses}");
        }
        // More bars dilute a single one.
        let mut evidence = good(1_000);
        evidence.candidate.deadline_misses = 1;
        assert_eq!(verdict(Gate::DeadlineMiss, &evidence), Verdict::Pass);
    }

    #[test]
    fn an_unanswered_bar_counts_like_a_late_one_and_no_answers_are_an_error() {
        let mut evidence = good(300);
        evidence.candidate.errors = 3;
        assert_eq!(verdict(Gate::DeadlineMiss, &evidence), Verdict::Fail);
        evidence.candidate = Figures::default();
        assert_eq!(verdict(Gate::DeadlineMiss, &evidence), Verdict::Error);
    }

    #[test]
    fn turnover_is_compared_with_a_floor_so_that_an_idle_stable_excuses_nothing_and_forbids_little() {
        let table = [
            (20_000.0, 40_000.0, 300, Verdict::Pass),
            (20_000.0, 40_001.0, 300, Verdict::Fail),
            (20_000.0, 40_001.0, 10, Verdict::Inconclusive),
            (20_000.0, 80_001.0, 10, Verdict::Fail),
            (0.0, 20_000.0, 300, Verdict::Pass),
            (0.0, 20_001.0, 300, Verdict::Fail),
            (0.0, 0.0, 300, Verdict::Pass),
            (0.0, f64::NAN, 300, Verdict::Error),
            (f64::INFINITY, 1.0, 300, Verdict::Error),
            (0.0, -1.0, 300, Verdict::Error),
        ];
        for (stable, candidate, bars, expected) in table {
            let mut evidence = good(bars);
            evidence.stable.turnover_bps = stable;
            evidence.candidate.turnover_bps = candidate;
            assert_eq!(verdict(Gate::Turnover, &evidence), expected, "{stable} {candidate} {bars}");
        }
    }

    #[test]
    fn paired_profit_is_judged_by_where_its_interval_lies() {
        let table = [
            (-9.9, 20.0, 300, Verdict::Pass),
            (-9.9, 20.0, 299, Verdict::Inconclusive),
            (-10.1, 20.0, 300, Verdict::Inconclusive),
            (-30.0, -10.1, 5, Verdict::Fail),
            (f64::NEG_INFINITY, f64::INFINITY, 300, Verdict::Inconclusive),
            (f64::NAN, 1.0, 300, Verdict::Error),
            (2.0, 1.0, 300, Verdict::Error),
        ];
        for (lower, upper, bars, expected) in table {
            let mut evidence = good(bars);
            evidence.paired = Some(Paired { n: bars, mean_bps: 0.0, lower_bps: lower, upper_bps: upper });
            assert_eq!(verdict(Gate::PairedPnl, &evidence), expected, "{lower} {upper} {bars}");
        }
        let unmeasured = Evidence { paired: None, ..good(300) };
        assert_eq!(verdict(Gate::PairedPnl, &unmeasured), Verdict::Error);
        let unasked = Evidence { paired: None, ..good(0) };
        assert_eq!(verdict(Gate::PairedPnl, &unasked), Verdict::Inconclusive);
    }

    #[test]
    fn the_evidence_is_in_the_verdict() {
        let all = judge(&Gates::default(), GOAL, &good(300));
        let paired = all.iter().find(|v| v.gate == Gate::PairedPnl).unwrap();
        let figures = (paired.bars, paired.value.as_str(), paired.lower.as_str(), paired.upper.as_str(), paired.margin.as_str());
        assert_eq!(figures, (300, "0.0000", "-5.0000", "5.0000", "10"));
        assert_eq!(
            paired.message,
            "candidate minus stable 0.000 bps a bar over 300 bars, interval -5.000 to 5.000 lies above minus the margin of 10"
        );
    }

    proptest! {
        /// Whatever was measured, a figure that is no number never passes, and texts fit into status.
        #[test]
        fn what_is_no_number_never_passes(which in 0_usize..5, bars in 0_u64..10_000, odd in prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY])) {
            let mut evidence = good(bars);
            let mut paired = evidence.paired.unwrap();
            match which {
                0 => evidence.candidate.turnover_bps = odd,
                1 => evidence.stable.turnover_bps = odd,
                2 => paired.mean_bps = f64::NAN,
                3 => paired.lower_bps = if odd > 0.0 { f64::NAN } else { odd },
                _ => paired.upper_bps = if odd > 0.0 { f64::NAN } else { odd },
            }
            evidence.paired = Some(paired);
            let verdicts = judge(&Gates::default(), GOAL, &evidence);
            prop_assert_ne!(overall(&verdicts), Verdict::Pass);
            for v in &verdicts {
                prop_assert!(v.message.len() <= 512 && [&v.value, &v.baseline, &v.lower, &v.upper, &v.margin].iter().all(|t| t.len() <= 32));
            }
        }

        /// More bad answers never make the verdict better.
        #[test]
        fn more_misses_are_never_better(misses in 0_u64..50, more in 0_u64..50) {
            let of = |misses| {
                let mut evidence = good(500);
                evidence.candidate.deadline_misses = misses;
                match verdict(Gate::DeadlineMiss, &evidence) { Verdict::Pass => 0, Verdict::Inconclusive => 1, _ => 2 }
            };
            prop_assert!(of(misses) <= of(misses + more));
        }
    }
}
