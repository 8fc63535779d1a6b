//! Tables and texts of `status`, from objects alone.

use std::fmt::Write;

use comfy_table::{Table, presets};
use tradewind_crds::conditions::{Condition, ConditionStatus, ConditionType, find_condition};
use tradewind_crds::policy_status::{Phase, Revision, TradingPolicyStatus};
use tradewind_crds::{RiskProfile, TradingPolicy};

use super::style::{HEADING, coloured};

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header.iter().copied());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

fn text_of(table: &Table) -> String {
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn word(conditions: &[Condition], kind: ConditionType) -> String {
    find_condition(conditions, kind).map_or_else(|| "-".into(), |c| format!("{} ({})", c.status, c.reason))
}

fn bundle(revision: Option<&Revision>) -> String {
    revision.map_or_else(|| "-".into(), |r| format!("{} ({})", r.checkpoints, r.bundle))
}

/// `1000` basis points as `10 %`, `25` as `0.25 %`.
fn percent(bps: i32) -> String {
    let (whole, rest) = (bps / 100, bps % 100);
    if rest == 0 { format!("{whole} %") } else { format!("{} %", format!("{whole}.{rest:02}").trim_end_matches('0')) }
}

/// All policies as one table.
#[must_use]
pub fn list(policies: &[TradingPolicy], with_namespace: bool) -> String {
    if policies.is_empty() {
        return "No TradingPolicy here. `kubectl explain tradingpolicy.spec` is the manual.\n".into();
    }
    let mut header = vec!["NAME", "TRADING", "PHASE", "STEP", "WEIGHT", "STABLE", "CANDIDATE", "READY", "PINNED", "TRADES"];
    if with_namespace {
        header.insert(0, "NAMESPACE");
    }
    let mut rows = table(&header);
    for policy in policies {
        let status = policy.status.clone().unwrap_or_default();
        let rollout = status.rollout.as_ref();
        let step = rollout.filter(|r| r.step > 0).map_or_else(|| "-".into(), |r| format!("{}/{}", r.step, r.steps));
        let mut row = vec![
            policy.metadata.name.clone().unwrap_or_default(),
            policy.spec.trading.to_string(),
            status.phase.unwrap_or(Phase::Pending).to_string(),
            step,
            rollout.filter(|r| r.weight_bps > 0).map_or_else(|| "-".into(), |r| percent(r.weight_bps)),
            status.stable.as_ref().map_or_else(|| "-".into(), |r| r.checkpoints.clone()),
            status.candidate.as_ref().map_or_else(|| "-".into(), |r| r.checkpoints.clone()),
            word(&status.conditions, ConditionType::Ready),
            word(&status.conditions, ConditionType::CpuPinned),
            word(&status.conditions, ConditionType::TradingAllowed),
        ];
        if with_namespace {
            row.insert(0, policy.metadata.namespace.clone().unwrap_or_default());
        }
        rows.add_row(row);
    }
    text_of(&rows)
}

/// One policy in full: what it does, what its rollout has shown, and what to do next.
#[must_use]
pub fn one(policy: &TradingPolicy, profile: Option<&RiskProfile>) -> String {
    let name = policy.metadata.name.clone().unwrap_or_default();
    let status = policy.status.clone().unwrap_or_default();
    let phase = status.phase.unwrap_or(Phase::Pending);
    let mut out = String::new();
    let mut line = |key: &str, value: &str| {
        let _ = writeln!(out, "{HEADING}{key:<11}{HEADING:#}{value}");
    };
    line("Policy", &format!("{name}, trading {}, mode {}", policy.spec.trading, policy.spec.mode));
    line("Phase", &coloured(phase.as_str()));
    if let Some(ready) = find_condition(&status.conditions, ConditionType::Ready) {
        line("Ready", &format!("{} ({}): {}", coloured(ready.status.as_str()), ready.reason, ready.message));
    }
    line("Stable", &bundle(status.stable.as_ref()));
    line("Candidate", &bundle(status.candidate.as_ref()));
    if let Some(profile) = profile {
        line("Account", &account(profile));
        let followed = profile.status.as_ref().and_then(|known| find_condition(&known.conditions, ConditionType::FeedsFollowed));
        if let Some(followed) = followed.filter(|followed| followed.status != ConditionStatus::True) {
            line("Gate", &format!("{} ({}): {}", coloured(followed.status.as_str()), followed.reason, followed.message));
        }
    }
    for kind in [ConditionType::TradingAllowed, ConditionType::CpuPinned] {
        if let Some(condition) = find_condition(&status.conditions, kind) {
            line(key_of(kind), &format!("{} ({}): {}", coloured(condition.status.as_str()), condition.reason, condition.message));
        }
    }
    out.push_str(&rollout(&status));
    out.push_str(&pinning(&status));
    out.push_str(&history(&status));
    out.push_str(&next(&name, phase, policy, &status));
    out
}

fn key_of(kind: ConditionType) -> &'static str {
    match kind {
        ConditionType::TradingAllowed => "Trades",
        ConditionType::CpuPinned => "CPUs",
        other => other.as_str(),
    }
}

fn account(profile: &RiskProfile) -> String {
    let status = profile.status.clone().unwrap_or_default();
    let state = status.state.map_or_else(|| "not reported".into(), |state| coloured(state.as_str()));
    let why = status.reason.filter(|reason| !reason.is_empty()).map_or_else(String::new, |reason| format!(": {reason}"));
    let halted = match &status.halt {
        Some(halt) => format!(", halted by {}: {} ({})", halt.actor, halt.reason, halt.id),
        None if profile.spec.halt => ", halted by its spec".to_owned(),
        None => String::new(),
    };
    let breaker = status.breaker.map_or_else(String::new, |b| format!(", breaker {}: {}", b.id, b.reason));
    format!("{} is {state}{why}{halted}{breaker}", profile.spec.account)
}

fn section(out: &mut String, title: &str, rows: &Table) {
    let _ = write!(out, "\n{HEADING}{title}{HEADING:#}\n{}", text_of(rows));
}

fn rollout(status: &TradingPolicyStatus) -> String {
    let mut out = String::new();
    let Some(rollout) = &status.rollout else { return out };
    if status.candidate.is_some() {
        let step = if rollout.step == 0 { "shadow".into() } else { format!("step {} of {}", rollout.step, rollout.steps) };
        let deadline = rollout.deadline_at.as_ref().map_or_else(String::new, |at| format!(", deadline {}", at.0));
        let _ = writeln!(
            out,
            "\n{HEADING}Rollout{HEADING:#}\n{step}, the candidate drives {}{deadline}",
            percent(rollout.weight_bps)
        );
    }
    if !rollout.verdicts.is_empty() {
        let mut rows = table(&["GATE", "VERDICT", "BARS", "VALUE", "BASELINE", "INTERVAL", "ALLOWED"]);
        for v in &rollout.verdicts {
            let interval =
                if v.lower.is_empty() && v.upper.is_empty() { "-".into() } else { format!("{} to {}", v.lower, v.upper) };
            let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
            rows.add_row([
                v.gate.to_string(),
                v.verdict.to_string(),
                v.bars.to_string(),
                or_dash(&v.value),
                or_dash(&v.baseline),
                interval,
                or_dash(&v.margin),
            ]);
        }
        let judged = status.candidate.as_ref().map(|candidate| (&candidate.bundle, &candidate.checkpoints));
        let last = || status.history.first().map(|last| (&last.bundle, &last.checkpoints));
        let of = judged.or_else(last).map_or_else(String::new, |(bundle, checkpoints)| format!(" on {checkpoints} ({bundle})"));
        section(&mut out, &format!("Evidence{of}, as of the last change of a verdict"), &rows);
    }
    out
}

fn pinning(status: &TradingPolicyStatus) -> String {
    let mut out = String::new();
    if status.pinning.is_empty() {
        return out;
    }
    let mut rows = table(&["ROLE", "POD", "MODE", "ASKED", "GRANTED", "CPUS", "BOUND"]);
    for p in &status.pinning {
        rows.add_row([
            p.role.clone(),
            p.pod_name.clone(),
            p.mode.to_string(),
            p.asked.to_string(),
            p.granted.to_string(),
            p.allowed_list.clone(),
            p.pinned.to_string(),
        ]);
    }
    section(&mut out, "CPUs, as the processes report them", &rows);
    out
}

fn history(status: &TradingPolicyStatus) -> String {
    let mut out = String::new();
    if status.history.is_empty() {
        return out;
    }
    let mut rows = table(&["WHEN", "CHECKPOINTS", "BUNDLE", "OUTCOME", "WHY"]);
    for entry in status.history.iter().take(5) {
        let why: String = entry.message.chars().take(90).collect();
        rows.add_row([entry.at.0.to_string(), entry.checkpoints.clone(), entry.bundle.clone(), entry.outcome.to_string(), why]);
    }
    section(&mut out, "History", &rows);
    out
}

/// Commands that make sense now.
fn next(name: &str, phase: Phase, policy: &TradingPolicy, status: &TradingPolicyStatus) -> String {
    let mut commands: Vec<(String, &str)> = Vec::new();
    let verb = |verb: &str| format!("kubectl tradewind {verb} {name}");
    if let Some(patch) = &status.revert_patch {
        commands.push((
            format!("kubectl patch tradingpolicy {name} --type=merge -p '{patch}'"),
            "make the spec agree with what serves",
        ));
    }
    match phase {
        Phase::Shadowing | Phase::Canary => {
            commands.push((verb("wait"), "follow it to its end"));
            commands.push((verb("pause"), "keep its place"));
            commands.push((verb("promote"), "skip the gates"));
            commands.push((verb("abort"), "roll it back"));
        }
        Phase::Paused => commands.push((verb("resume"), "go on")),
        Phase::Pending | Phase::Verifying | Phase::Promoting | Phase::RollingBack => {
            commands.push((verb("wait"), "follow it to its end"));
        }
        Phase::Healthy | Phase::RolledBack => {}
    }
    if find_condition(&status.conditions, ConditionType::Stalled).is_some_and(|c| c.status == ConditionStatus::True) {
        commands.push((format!("kubectl get events --field-selector involvedObject.name={name}"), "what led here"));
    }
    if policy.spec.halt {
        commands.push((format!("{} --off", verb("halt")), "trade again"));
    } else {
        commands.push((verb("halt"), "stop new orders of this policy"));
    }
    let width = commands.iter().map(|(command, _)| command.len()).max().unwrap_or(0).min(60);
    let mut out = format!("\n{HEADING}Next{HEADING:#}\n");
    for (command, why) in commands {
        let _ = writeln!(out, "  {command:<width$}  # {why}");
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::plan::bundle::{Sources, revision};
    use tradewind_crds::policy_status::{Gate, GateVerdict, RolloutStatus, Verdict};
    use tradewind_crds::samples;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    fn canary() -> TradingPolicy {
        let mut policy = samples::policy("indices", "main", "tactical-b");
        let strategic = samples::strategic_checkpoint("strategic-a", 'd').spec.source;
        let revision = |digit| {
            let tactical = samples::checkpoint("tactical-b", digit).spec.source;
            revision(&policy.spec, Sources { strategic: &strategic, tactical: &tactical }, "i")
        };
        let (stable, candidate) = (revision('a'), revision('b'));
        let mut state = crate::plan::rollout::State { stable: Some(stable), candidate: Some(candidate), ..Default::default() };
        state.rollout = RolloutStatus {
            phase: Phase::Canary,
            step: 1,
            steps: 2,
            weight_bps: 1_000,
            verdicts: vec![GateVerdict {
                gate: Gate::PairedPnl,
                verdict: Verdict::Inconclusive,
                bars: 120,
                value: "0.1000".into(),
                baseline: String::new(),
                lower: "-12.0000".into(),
                upper: "12.2000".into(),
                margin: "10".into(),
                message: String::new(),
            }],
            ..state.rollout
        };
        let mut status = TradingPolicyStatus::default();
        state.write_into(&mut status);
        policy.status = Some(status);
        policy
    }

    #[test]
    fn one_line_per_policy_with_the_weight_in_percent() {
        let text = list(&[canary()], false);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        for word in ["indices", "Paper", "Canary", "1/2", "10 %", "strategic-a, tactical-b"] {
            assert!(lines[1].contains(word), "{word} is not in: {}", lines[1]);
        }
        assert!(!text.contains('\u{1b}'), "a table has colours");
    }

    #[test]
    fn a_policy_in_full_shows_evidence_and_what_to_do() {
        let text = plain(&one(&canary(), Some(&samples::profile("main", "paper-1"))));
        for words in [
            "step 1 of 2, the candidate drives 10 %",
            "Evidence on strategic-a, tactical-b (",
            "PairedPnl  Inconclusive  120",
            "-12.0000 to 12.2000",
            "kubectl tradewind abort indices",
            "paper-1 is not reported",
        ] {
            assert!(text.contains(words), "{words} is not in:\n{text}");
        }
    }

    #[test]
    fn after_a_rollback_the_patch_comes_first() {
        let mut policy = canary();
        let status = policy.status.as_mut().unwrap();
        status.phase = Some(Phase::RolledBack);
        status.candidate = None;
        status.revert_patch = Some(r#"{"spec":{}}"#.into());
        let text = plain(&one(&policy, None));
        let next = text.split("Next\n").nth(1).unwrap();
        assert!(next.trim_start().starts_with(r#"kubectl patch tradingpolicy indices --type=merge -p '{"spec":{}}'"#), "{next}");
    }

    #[test]
    fn percents_are_short() {
        assert_eq!([percent(0), percent(1_000), percent(25), percent(10_000)], ["0 %", "10 %", "0.25 %", "100 %"]);
    }

    #[test]
    fn no_policy_teaches_where_the_manual_is() {
        assert!(list(&[], false).contains("kubectl explain"));
    }
}
