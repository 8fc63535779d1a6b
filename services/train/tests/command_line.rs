//! What the trainer refuses before it works for minutes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::{Command, Output};

const BARS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/bars");

/// Exit code and errors of a training on the fixtures.
fn fit(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tradewind-train"));
    command.args(["fit", "--bars", BARS, "--steps", "0"]).args(arguments).env_remove("RUST_BACKTRACE");
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(stdout.is_empty(), "it began to work: {}", String::from_utf8_lossy(&stdout));
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn what_cannot_end_well_is_refused_before_the_work_and_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("x.safetensors").display().to_string();
    let inside = directory.path().display().to_string();
    let absent = directory.path().join("absent/x.safetensors").display().to_string();
    for (arguments, code, says) in [
        (&["--out", &absent][..], 1, "create it first"),
        (&["--out", &inside], 1, "is a directory"),
        (&["--out", &file, "--split", "2100-01-01"], 1, "nothing is left for the report"),
        (&["--out", &file, "--hold-reward", "NaN"], 2, "finite"),
        (&["--out", &file, "--confidence-threshold", "7"], 1, "confidenceThreshold is 7"),
        (&["--out", &file, "--synergy-window", "0"], 1, "synergy.windowBars is 0"),
    ] {
        let (ended, said) = fit(arguments);
        assert!(ended == Some(code) && said.contains(says), "{arguments:?}: {ended:?}: {said}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing was written");
}
