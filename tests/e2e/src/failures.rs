//! What failed, a line each: said again at the end of a run, the only part of a long log that everyone reads.

use crate::runner::Runner;

/// Longest line that is said again, in characters.
const LINE: usize = 240;

/// Reads a runner's output for the names of what failed, and for the first reason that follows each.
#[derive(Debug)]
pub struct Reader {
    runner: Runner,
    named: Vec<String>,
    /// The last named failure still lacks its reason.
    wanting: bool,
}

impl Reader {
    /// Has read nothing yet.
    #[must_use]
    pub fn new(runner: Runner) -> Self {
        Self { runner, named: Vec::new(), wanting: false }
    }

    /// Reads one more line.
    pub fn read(&mut self, line: &str) {
        match self.runner {
            Runner::Cargo => self.cargo(line),
            Runner::Go => {
                if let Some(name) = line.strip_prefix("--- FAIL: ") {
                    self.named.push(shortened(name));
                }
            }
            Runner::Plain => {
                if let Some(name) = line.strip_prefix("FAILED ").or_else(|| line.strip_prefix("ERROR ")) {
                    self.named.push(shortened(name));
                }
            }
        }
    }

    /// `---- name stdout ----`, then what the test printed, then the panic's own words on the line after its place.
    fn cargo(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            self.named.push(name.to_owned());
            self.wanting = true;
        } else if self.wanting
            && let Some(last) = self.named.last_mut()
        {
            let place = line.split_once(" panicked at ").map(|(_, place)| place);
            let reason = place.or_else(|| line.strip_prefix("Error: "));
            if let Some(reason) = reason {
                last.push_str(": ");
                last.push_str(reason);
                self.wanting = place.is_some();
            } else if last.contains(": ") && !line.is_empty() {
                *last = shortened(&format!("{last} {line}"));
                self.wanting = false;
            }
        }
    }

    /// What failed, in the order of its coming.
    #[must_use]
    pub fn named(self) -> Vec<String> {
        self.named
    }
}

/// A claim that does not hold, with the first lines of what was seen instead.
#[must_use]
pub fn of_claim(name: &str, seen: &str) -> String {
    shortened(&format!("{name}: {}", seen.lines().take(3).collect::<Vec<_>>().join(" | ")))
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(LINE) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(runner: Runner, text: &str) -> Vec<String> {
        let mut reader = Reader::new(runner);
        text.lines().for_each(|line| reader.read(line));
        reader.named()
    }

    #[test]
    fn a_failed_rust_test_is_named_with_the_words_of_its_panic() {
        let text = "running 2 tests\n\nfailures:\n\n---- gate::stops stdout ----\nseen 3: of 4\n\n\
            thread 'gate::stops' (7) panicked at risk/tests/gate.rs:7:5:\nassertion failed: late\n  left: 1\n\n\
            ---- gate::ends stdout ----\nError: \"no answer\"\n\nfailures:\n    gate::stops\n    gate::ends\n";
        let seen = read(Runner::Cargo, text);
        assert_eq!(
            seen,
            ["gate::stops: risk/tests/gate.rs:7:5: assertion failed: late", "gate::ends: \"no answer\""],
            "{seen:?}"
        );
    }

    #[test]
    fn other_runners_name_what_failed_in_one_line() {
        assert_eq!(read(Runner::Go, "=== RUN TestUp\n--- FAIL: TestUp (0.0s)\n--- PASS: TestDown"), ["TestUp (0.0s)"]);
        assert_eq!(
            read(Runner::Plain, "FAILED a.py::b - assert 1\nERROR c.py - no module\n1 passed, 2 failed"),
            ["a.py::b - assert 1", "c.py - no module"]
        );
    }

    #[test]
    fn a_claim_of_many_lines_stays_one_short_line() {
        let seen = of_claim("halt", &format!("first\nsecond\nthird\n{}", "x".repeat(500)));
        assert_eq!(seen, "halt: first | second | third");
        assert_eq!(of_claim("halt", &"ä".repeat(500)).chars().count(), LINE + 3);
    }
}
