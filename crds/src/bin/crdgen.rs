//! Writes the definitions of the custom resources into the chart that installs them.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let target = std::env::args_os().nth(1).map_or_else(tradewind_crds::generate::chart_templates, PathBuf::from);
    for (name, yaml) in tradewind_crds::generate::files()? {
        let path = target.join(name);
        std::fs::write(&path, yaml)?;
        println!("wrote {}", path.display());
    }
    Ok(())
}
