//! The files that Git knows.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The top folder of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Paths and texts of the tracked files whose names end in one of `extensions`; a file that is deleted but not yet committed
/// is left out.
pub(crate) fn texts(extensions: &[&str]) -> Vec<(String, String)> {
    let listed = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z", "--"])
        .args(extensions.iter().map(|extension| format!("*.{extension}")))
        .current_dir(root())
        .output()
        .unwrap();
    assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let paths = String::from_utf8(listed.stdout).unwrap();
    let read = |path: &str| Some((path.to_owned(), std::fs::read_to_string(root().join(path)).ok()?));
    let found: Vec<_> = paths.split('\0').filter(|path| !path.is_empty()).filter_map(read).collect();
    assert!(!found.is_empty(), "git knows no file ending in {extensions:?}");
    found
}
