//! The README's drawing of the crates is what Cargo knows.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

type Graph = BTreeMap<String, BTreeSet<String>>;

/// What each crate uses, directly or through others.
fn closure(direct: &Graph) -> Graph {
    fn reach(graph: &Graph, from: &str, seen: &mut BTreeSet<String>) {
        for next in graph.get(from).into_iter().flatten() {
            if seen.insert(next.clone()) {
                reach(graph, next, seen);
            }
        }
    }
    let of = |name: &String| {
        let mut seen = BTreeSet::new();
        reach(direct, name, &mut seen);
        (name.clone(), seen)
    };
    direct.keys().map(of).filter(|(_, uses)| !uses.is_empty()).collect()
}

fn drawn(readme: &str) -> Graph {
    let edges = readme.lines().filter_map(|line| line.split_once("─> "));
    let crates = edges.filter(|(from, _)| from.trim_end_matches('─').trim().chars().all(|c| c.is_ascii_lowercase()));
    crates
        .map(|(from, to)| {
            (from.trim_end_matches('─').trim().to_owned(), to.split(',').map(|name| name.trim().to_owned()).collect())
        })
        .collect()
}

fn known_to_cargo(root: &PathBuf) -> Graph {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let short = |name: &Value| name.as_str().unwrap().strip_prefix("tradewind-").map(str::to_owned);
    let uses = |package: &Value| -> BTreeSet<String> {
        let all = package["dependencies"].as_array().unwrap().iter();
        all.filter(|one| one["kind"].is_null()).filter_map(|one| short(&one["name"])).collect()
    };
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().filter_map(|package| Some((short(&package["name"])?, uses(package)))).collect()
}

#[test]
fn the_drawing_of_the_crates_is_true() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    assert_eq!(closure(&drawn(&readme)), closure(&known_to_cargo(&root)));
}
