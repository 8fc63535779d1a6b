//! Colour, only where a terminal shows it: `anstream` takes it out elsewhere.

use anstyle::{AnsiColor, Style};

/// Headings.
pub(super) const HEADING: Style = Style::new().bold();

/// A word with the colour of what it means: good, bad, or under way.
pub(super) fn coloured(word: &str) -> String {
    let colour = match word {
        "Healthy" | "Pass" | "True" | "Normal" | "Promoted" | "Verified" => AnsiColor::Green,
        "RolledBack" | "RollingBack" | "Fail" | "Halted" | "Rejected" | "Error" => AnsiColor::Red,
        _ => AnsiColor::Yellow,
    };
    let style = Style::new().fg_color(Some(colour.into()));
    format!("{style}{word}{style:#}")
}
