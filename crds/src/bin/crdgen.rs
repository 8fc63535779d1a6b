//! Writes the definitions of the custom resources into the chart that installs them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "Writes the definitions of the custom resources

Usage: crdgen [DIRECTORY]

DIRECTORY has to exist; without it the templates of charts/tradewind-crds are written.";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let target = match arguments.as_slice() {
        [] => tradewind_crds::generate::chart_templates(),
        [one] if one == "--help" || one == "-h" => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        [one] if !one.to_string_lossy().starts_with('-') => PathBuf::from(one),
        wrong => {
            eprintln!("error: {wrong:?}: give one directory, or nothing\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match write(&target) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(target: &Path) -> Result<(), Box<dyn std::error::Error>> {
    for (name, yaml) in tradewind_crds::generate::files()? {
        let path = target.join(name);
        std::fs::write(&path, yaml).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("wrote {}", path.display());
    }
    Ok(())
}
