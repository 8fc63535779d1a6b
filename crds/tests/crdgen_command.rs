//! `crdgen` as a newcomer calls it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::{Command, Output};

fn crdgen(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_crdgen")).args(arguments).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn help_is_shown_and_what_is_wrong_is_named() {
    let (code, shown, _) = crdgen(&["--help"]);
    assert!(code == Some(0) && shown.contains("Usage: crdgen"), "{code:?}: {shown}");
    for wrong in [&["--nonsense"][..], &["one", "two"]] {
        let (code, _, said) = crdgen(wrong);
        assert!(code == Some(2) && said.contains(wrong[0]) && said.contains("Usage: crdgen"), "{code:?}: {said}");
    }
    let (code, _, said) = crdgen(&["/nowhere"]);
    assert!(code == Some(1) && said.contains("/nowhere/") && said.contains("No such file"), "{code:?}: {said}");
}
