//! The files of a crate form no circle: each can be read after those that it uses.
//!
//! An import that goes through a module's `use` leads to the file that defines the name. What a module's own folder takes from the
//! module above is left out: parent and child are read as one.

use std::collections::{BTreeMap, BTreeSet};

use super::tracked::texts;

/// A path of modules from the root of its crate.
type Module = Vec<String>;

/// One file of a crate.
struct Source {
    path: String,
    /// Names that the file brings in, with what they stand for.
    imports: BTreeMap<String, Vec<String>>,
    /// Paths in the code that are no imports.
    inline: Vec<Vec<String>>,
    /// Imports that are handed on only (`pub use`).
    handed_on: BTreeSet<String>,
}

/// The code without comments, texts and tests.
fn code(text: &str) -> String {
    let mut rest = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let mut code = String::with_capacity(rest.len());
    while let Some(at) = rest.find(['/', '"', '\'', 'r']) {
        let (before, here) = rest.split_at(at);
        code.push_str(before);
        let hashes = here[1..].bytes().take_while(|byte| *byte == b'#').count();
        let raw = here.starts_with('r')
            && here[1 + hashes..].starts_with('"')
            && !code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let skipped = if here.starts_with("//") {
            here.find('\n').unwrap_or(here.len())
        } else if here.starts_with('"') {
            length_of_text(here)
        } else if raw {
            let ends = format!("\"{}", "#".repeat(hashes));
            here[2 + hashes..].find(&ends).map_or(here.len(), |at| 2 + hashes + at + ends.len())
        } else if here.starts_with("'\"'") {
            3
        } else if let Some(escaped) = here.strip_prefix("'\\") {
            escaped.find('\'').map_or(here.len(), |at| at + 3)
        } else {
            code.push_str(&here[..1]);
            1
        };
        rest = &here[skipped..];
    }
    code.push_str(rest);
    code
}

/// Bytes of the text that begins here, both quotes included.
fn length_of_text(here: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in here.char_indices().skip(1) {
        match letter {
            '"' if !escaped => return at + 1,
            _ => escaped = letter == '\\' && !escaped,
        }
    }
    here.len()
}

/// All paths of a use tree, each with the name that it brings in.
fn leaves(prefix: &[String], tree: &str, found: &mut Vec<(String, Vec<String>)>) {
    let tree = tree.trim();
    if let Some((head, rest)) = tree.split_once('{') {
        let inner = rest.trim_end().strip_suffix('}').unwrap_or(rest);
        let mut prefix = prefix.to_vec();
        prefix.extend(segments(head));
        let (mut depth, mut start) = (0, 0);
        for (at, letter) in inner.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    leaves(&prefix, &inner[start..at], found);
                    start = at + 1;
                }
                _ => {}
            }
        }
        return leaves(&prefix, &inner[start..], found);
    }
    let (path, renamed) = tree.split_once(" as ").map_or((tree, None), |(path, name)| (path, Some(name.trim())));
    let mut path: Vec<String> = prefix.iter().cloned().chain(segments(path)).collect();
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    if let Some(name) = renamed.map(str::to_owned).or_else(|| path.last().cloned()) {
        found.push((name, path));
    }
}

fn segments(path: &str) -> impl Iterator<Item = String> {
    path.split("::").map(str::trim).filter(|segment| !segment.is_empty()).map(str::to_owned)
}

fn source(path: String, text: &str) -> Source {
    let code = code(text);
    let mut source = Source { path, imports: BTreeMap::new(), inline: Vec::new(), handed_on: BTreeSet::new() };
    for statement in code.split(';') {
        let begins = ["pub(crate) use ", "pub(super) use ", "pub use ", "use "].into_iter();
        // a statement follows a line end; what stands before it in this piece is the end of the item above
        let used = begins
            .filter_map(|word| statement.rfind(&format!("\n{word}")).map(|at| (word, at + 1 + word.len())))
            .max_by_key(|(_, at)| *at);
        let Some((word, at)) = used else {
            source.inline.extend(paths(statement));
            continue;
        };
        source.inline.extend(paths(&statement[..at]));
        let mut found = Vec::new();
        leaves(&[], &statement[at..], &mut found);
        for (name, path) in found {
            if word != "use " {
                source.handed_on.insert(name.clone());
            }
            source.imports.insert(name, path);
        }
    }
    source
}

/// Paths that begin at the crate or at the module above.
fn paths(code: &str) -> Vec<Vec<String>> {
    let whole = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = code.split(|c: char| !whole(c));
    words.filter(|word| word.starts_with("crate::") || word.starts_with("super::")).map(|word| segments(word).collect()).collect()
}

/// The modules of one crate.
struct Crate(BTreeMap<Module, Source>);

impl Crate {
    /// The module that defines what `path` names, seen from `from`.
    fn defines(&self, from: &Module, path: &[String], depth: usize) -> Option<Module> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Module::new(),
            "self" => from.clone(),
            "super" => from[..from.len().checked_sub(1)?].to_vec(),
            name => self.child(from, name)?,
        };
        while let Some((next, later)) = rest.split_first() {
            if next == "super" {
                at.pop();
            } else if let Some(child) = self.child(&at, next) {
                at = child;
            } else {
                let behind = self.0.get(&at).and_then(|source| source.imports.get(next)).filter(|_| depth > 0);
                return Some(behind.and_then(|path| self.defines(&at, path, depth - 1)).unwrap_or(at));
            }
            rest = later;
        }
        Some(at)
    }

    fn child(&self, of: &Module, name: &str) -> Option<Module> {
        let child: Module = of.iter().cloned().chain([name.to_owned()]).collect();
        self.0.contains_key(&child).then_some(child)
    }

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

/// The crate and the module that a source file is; `None` for what no library holds.
fn place(path: &str) -> Option<(String, Module)> {
    let (folder, file) = path.split_once("/src/")?;
    let file = file.strip_suffix(".rs")?;
    let mut module: Module = file.split('/').map(str::to_owned).collect();
    if module[0] == "bin" || module.iter().any(|name| name == "tests" || name == "main") {
        return None;
    }
    if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
        module.pop();
    }
    Some((folder.to_owned(), module))
}

fn crates(files: Vec<(String, String)>) -> BTreeMap<String, Crate> {
    let mut found: BTreeMap<String, Crate> = BTreeMap::new();
    for (path, text) in files {
        if let Some((folder, module)) = place(&path) {
            found.entry(folder).or_insert_with(|| Crate(BTreeMap::new())).0.insert(module, source(path, &text));
        }
    }
    found
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
