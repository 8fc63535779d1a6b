//! Wrong manifests, one fault each, against the real API server.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::environment::Environment;

/// Fewest wrong manifests that must be there, so that an empty folder cannot pass.
const AT_LEAST: usize = 40;

/// Applies every file of `tests/fixtures/wrong`; each must be refused with the text of its `# expect:` line.
///
/// # Errors
/// Lists the manifests that were accepted or refused with other words.
pub fn run(environment: &Environment, namespace: &str) -> Result<String> {
    let folder = environment.tree.root().join("tests/fixtures/wrong");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .with_context(|| format!("no folder {}", folder.display()))?
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    files.sort();
    let (mut refused, mut wrong) = (0, Vec::new());
    for path in &files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let manifest = fs::read_to_string(path)?;
        let expected: Vec<&str> = manifest.lines().filter_map(|line| line.strip_prefix("# expect: ")).collect();
        ensure!(!expected.is_empty(), "{name} has no '# expect: ' line");
        let seen = environment.kubectl.call(&["apply", "-n", namespace, "--dry-run=server", "-f", &path.to_string_lossy()])?;
        if seen.status.success() {
            wrong.push(format!("{name}: accepted"));
        } else if let Some(missing) = expected.iter().find(|part| !seen.stderr.contains(**part)) {
            wrong.push(format!("{name}: refused without '{missing}': {}", seen.stderr.trim()));
        } else {
            refused += 1;
        }
    }
    ensure!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), files.len(), wrong.join("\n"));
    ensure!(refused >= AT_LEAST, "only {refused} wrong manifests, at least {AT_LEAST} are wanted");
    Ok(format!("{refused} wrong manifests, each refused with the words expected"))
}
