//! Proofs that take too long for every change, and the page that keeps what they gave.

use anyhow::{Context, Result, ensure};

/// A proof, and the command that gives it. The last line that it prints is its result.
#[derive(Clone, Copy, Debug)]
pub struct Proof {
    /// Its name on the command line and on the page.
    pub name: &'static str,
    /// The command.
    pub command: &'static [&'static str],
}

/// Every proof there is.
pub const PROOFS: [Proof; 2] = [
    Proof {
        name: "limits",
        command: &["cargo", "run", "--quiet", "-p", "tradewind-risk", "--example", "limits_model", "--", "--calls", "1000000"],
    },
    Proof { name: "simulation", command: &["cargo", "run", "--quiet", "-p", "tradewind-simulation", "--", "--seeds", "60000"] },
];

/// Where results are kept, below the root of the checkout.
pub const PAGE: &str = "docs/proofs.md";

/// The lines above the newest result.
const HEAD: &str = "| proof | commit | day | minutes | result |\n|---|---|---|---|---|\n";

/// What a proof gave.
#[derive(Clone, Debug)]
pub struct Outcome<'a> {
    /// Name of the proof.
    pub proof: &'a str,
    /// Commit of the checkout that it ran in.
    pub commit: &'a str,
    /// Day on which it ran, UTC.
    pub day: &'a str,
    /// How long it took.
    pub minutes: f64,
    /// Its last line.
    pub result: &'a str,
}

/// The page with one more result, in place of an earlier one of the same proof at the same commit.
///
/// # Errors
/// When the page has no table, or the proof said nothing.
pub fn with_result(page: &str, outcome: &Outcome<'_>) -> Result<String> {
    let Outcome { proof, commit, day, minutes, result } = outcome;
    ensure!(!result.trim().is_empty(), "{proof}: the last line of its output is its result, and there is none");
    let (above, rows) = page.split_once(HEAD).with_context(|| format!("{PAGE} has no table that begins with\n{HEAD}"))?;
    let same = format!("| {proof} | {commit} |");
    let kept: String = rows.split_inclusive('\n').filter(|row| !row.starts_with(&same)).collect();
    // A bar would end the cell.
    let result = result.trim().replace('|', "\\|");
    Ok(format!("{above}{HEAD}{same} {day} | {minutes:.1} | {result} |\n{kept}"))
}

/// What stands in the way of a result that a commit can be held to: changes that no commit has, the page itself aside.
/// `status` is what `git status --porcelain` prints.
#[must_use]
pub fn uncommitted(status: &str) -> Vec<&str> {
    status.lines().filter(|line| !line.is_empty() && line.get(3..) != Some(PAGE)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn outcome<'a>(commit: &'a str, result: &'a str) -> Outcome<'a> {
        Outcome { proof: "limits", commit, day: "2026-12-01", minutes: 4.26, result }
    }

    #[test]
    fn the_newest_result_stands_first_and_a_commit_has_one() {
        let page = format!("# Proofs\n\n{HEAD}");
        let once = with_result(&page, &outcome("aaa", "first\n")).unwrap();
        assert_eq!(once, format!("{page}| limits | aaa | 2026-12-01 | 4.3 | first |\n"));
        let twice = with_result(&once, &outcome("bbb", "a|b")).unwrap();
        assert!(twice.ends_with("| limits | bbb | 2026-12-01 | 4.3 | a\\|b |\n| limits | aaa | 2026-12-01 | 4.3 | first |\n"));
        let again = with_result(&twice, &outcome("aaa", "second")).unwrap();
        assert!(again.contains("| second |\n| limits | bbb |") && !again.contains("first"), "{again}");
    }

    #[test]
    fn a_proof_that_says_nothing_proves_nothing() {
        assert!(with_result(HEAD, &outcome("aaa", " \n")).is_err());
        assert!(with_result("no table", &outcome("aaa", "x")).unwrap_err().to_string().contains(PAGE));
    }

    #[test]
    fn the_page_itself_may_wait_for_its_commit() {
        assert_eq!(uncommitted(" M docs/proofs.md\n"), [""; 0]);
        assert_eq!(
            uncommitted(" M docs/proofs.md\n M services/risk/src/engine.rs\n?? x\n"),
            [" M services/risk/src/engine.rs", "?? x"]
        );
    }

    #[test]
    fn the_page_of_this_checkout_takes_results_and_names_every_proof() {
        let page = include_str!("../../../docs/proofs.md");
        with_result(page, &outcome("aaa", "x")).unwrap();
        for proof in PROOFS {
            assert!(page.contains(&format!("- `{}`: ", proof.name)), "{PAGE} does not say what {} shows", proof.name);
        }
    }
}
