//! A file has one subject and stays readable in one sitting.

use super::tracked::texts;

/// Lines of a hand-written source file, at most.
const LINES: usize = 600;

#[test]
fn no_source_file_is_too_long() {
    let long = texts(&["rs"]).into_iter().map(|(path, text)| (text.lines().count(), path)).filter(|(lines, _)| *lines > LINES);
    let long: Vec<String> = long.map(|(lines, path)| format!("{path} has {lines} lines")).collect();
    assert!(long.is_empty(), "at most {LINES} lines are allowed, split by subject:\n{}", long.join("\n"));
}
