//! The files of a crate form no circle: each can be read after those that it uses.
//!
//! What a module's own folder takes from the module above is left out: parent and child are read as one.

use std::collections::{BTreeMap, BTreeSet};

use super::sources::{Crate, Module, Source, crates};
use super::tracked::texts;

impl Crate {
    /// Which modules each module uses.
    fn uses(&self) -> BTreeMap<&Module, BTreeSet<Module>> {
        let of = |from: &Module, source: &Source| {
            let imports = source.imports.iter().filter(|(name, _)| !source.handed_on.contains(*name)).map(|(_, path)| path);
            let used = imports.chain(&source.inline).filter_map(|path| self.defines(from, path, 8));
            used.filter(|used| !from.starts_with(used)).collect()
        };
        self.0.iter().map(|(module, source)| (module, of(module, source))).collect()
    }

    /// Groups of files that use each other around a circle.
    fn circles(&self) -> BTreeSet<Vec<String>> {
        let uses = self.uses();
        let reach = |from: &Module| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
            while let Some(next) = open.pop() {
                for used in uses.get(next).into_iter().flatten() {
                    if seen.insert(used) {
                        open.push(used);
                    }
                }
            }
            seen
        };
        let reached: BTreeMap<&Module, BTreeSet<&Module>> = self.0.keys().map(|module| (module, reach(module))).collect();
        let around = |module: &Module| {
            let back = reached[module].iter().filter(|other| reached[**other].contains(module));
            back.map(|other| self.0[*other].path.clone()).collect::<Vec<_>>()
        };
        self.0.keys().map(around).filter(|circle| circle.len() > 1).collect()
    }
}

/// Files that are one subject in two: a feed hands out its follower, and the follower speaks of its feed.
const TOGETHER: [&str; 1] = ["services/wire/src/bus/feed.rs, services/wire/src/bus/follower.rs"];

#[test]
fn the_files_of_a_crate_form_no_circle() {
    let circles: Vec<String> = crates(texts(&["rs"])).values().flat_map(Crate::circles).map(|circle| circle.join(", ")).collect();
    let apart: Vec<&str> = circles.iter().map(String::as_str).filter(|circle| !TOGETHER.contains(circle)).collect();
    assert!(apart.is_empty(), "move what both sides use into a file below them:\n{}", apart.join("\n"));
    let gone: Vec<&&str> = TOGETHER.iter().filter(|circle| !circles.iter().any(|seen| seen == **circle)).collect();
    assert!(gone.is_empty(), "no circle any more, delete it from the list: {gone:?}");
}

#[test]
fn a_circle_is_seen_through_what_a_module_hands_on() {
    let file = |path: &str, text: &str| (format!("one/src/{path}"), text.to_owned());
    let straight = vec![
        file("lib.rs", "pub mod low;\npub mod high;\npub use low::Low;\n"),
        file("low.rs", "// use crate::high::High;\npub struct Low;\n#[cfg(test)]\nmod tests {\n    use crate::high::High;\n}\n"),
        file("high.rs", "use std::fmt;\n\nuse crate::Low;\n\npub struct High(Low);\n"),
    ];
    let seen = |files: &[(String, String)]| crates(files.to_vec())["one"].circles();
    assert_eq!(seen(&straight), BTreeSet::new());
    let wanted = BTreeSet::from([vec!["one/src/high.rs".to_owned(), "one/src/low.rs".to_owned()]]);
    let mut around = straight.clone();
    around[1].1.insert_str(0, "\nuse super::{\n    high::{High as Tall, self},\n};\n");
    assert_eq!(seen(&around), wanted, "an import");
    let mut inline = straight;
    inline[1].1.insert_str(0, "pub fn high(_: crate::high::High) {}\n");
    assert_eq!(seen(&inline), wanted, "a path in the code");
}
