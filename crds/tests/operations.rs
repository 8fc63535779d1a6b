//! The runbook knows every reason that a condition can have, in the words of the code, and says what to do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use tradewind_crds::conditions::{CheckpointReason, PolicyReason, RiskReason};

/// Reason, meaning and what to do: the rows of the table below a heading.
fn rows(heading: &str) -> Vec<[String; 3]> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (_, below) = page.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no heading '{heading}'"));
    let section = below.split("\n## ").next().unwrap();
    let table = section.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    let cells = table.map(|line| {
        let cells: Vec<&str> = line.split(" | ").collect();
        let [reason, meaning, action] = cells[..] else { panic!("three cells, not {}: {line}", cells.len()) };
        [reason.trim_end_matches('`'), meaning, action].map(str::to_owned)
    });
    cells.collect()
}

fn explained(heading: &str, known: Vec<(&str, &str)>) {
    let rows = rows(heading);
    let written: Vec<(&str, &str)> = rows.iter().map(|[reason, meaning, _]| (reason.as_str(), meaning.as_str())).collect();
    let known: Vec<(&str, &str)> = known.into_iter().map(|(reason, meaning)| (reason, meaning.trim())).collect();
    assert_eq!(written, known, "docs/operations.md, '{heading}': reasons and meanings are those of crds/src/conditions.rs");
    for [reason, meaning, action] in &rows {
        assert!(action.ends_with('.') || action.ends_with('?'), "{heading} {reason}: '{action}' is no sentence");
        assert_ne!(action, meaning, "{heading} {reason}: says what it means, not what to do");
    }
}

#[test]
fn the_runbook_says_for_every_reason_what_to_do() {
    explained("TradingPolicy", PolicyReason::ALL.iter().map(|reason| (reason.as_str(), reason.meaning())).collect());
    explained("RiskProfile", RiskReason::ALL.iter().map(|reason| (reason.as_str(), reason.meaning())).collect());
    explained("ModelCheckpoint", CheckpointReason::ALL.iter().map(|reason| (reason.as_str(), reason.meaning())).collect());
}
