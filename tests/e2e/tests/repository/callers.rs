//! Library code has a caller: a process, a tool or an example reaches every module, and somebody names every public item.
//!
//! What is finished and waits to be called is a table of `docs/architecture.md`, and is on it only as long as it waits.

use std::collections::{BTreeMap, BTreeSet};

use super::sources::{Crate, Module, Source, code, crates, source};
use super::tracked::{root, texts};

/// A file: the folder of its crate, and its module there.
type Node = (String, Module);

/// Whether a path is library code of the product.
fn judged(path: &str) -> bool {
    ["services/", "operator/", "crds/"].iter().any(|folder| path.starts_with(folder)) && path.contains("/src/")
}

/// The folder of the crate whose program, tool or example this is; `None` for all other files.
fn program(path: &str) -> Option<&str> {
    let at = ["/src/main.rs", "/src/bin/", "/examples/", "/build.rs"].iter().find_map(|mark| path.find(mark))?;
    Some(&path[..at])
}

/// All crates, and what of them programs reach.
struct World {
    crates: BTreeMap<String, Crate>,
    /// Folder of a crate by the name that code gives it.
    folders: BTreeMap<String, String>,
    programs: Vec<(String, Source)>,
}

impl World {
    fn new(files: Vec<(String, String)>) -> Self {
        let of = |(path, text): &(String, String)| Some((program(path)?.to_owned(), source(path.clone(), text)));
        let programs = files.iter().filter_map(of).collect();
        let crates = crates(files);
        let name = |folder: &String| format!("tradewind_{}", folder.rsplit('/').next().unwrap_or(folder).replace('-', "_"));
        let folders = crates.keys().map(|folder| (name(folder), folder.clone())).collect();
        Self { crates, folders, programs }
    }

    /// The file that defines what `path` names, seen from a module of a crate that brings in `imports`.
    fn defines(
        &self,
        (folder, from): &Node,
        imports: &BTreeMap<String, Vec<String>>,
        path: &[String],
        depth: usize,
    ) -> Option<Node> {
        let (first, rest) = path.split_first()?;
        let home = self.crates.get(folder)?;
        if let Some(other) = self.folders.get(first) {
            return self.walk(other, Module::new(), rest, depth);
        }
        match first.as_str() {
            "crate" => self.walk(folder, Module::new(), rest, depth),
            "self" => self.walk(folder, from.clone(), rest, depth),
            "super" => self.walk(folder, from[..from.len().checked_sub(1)?].to_vec(), rest, depth),
            name => match (home.child(from, name), imports.get(name)) {
                (Some(child), _) => self.walk(folder, child, rest, depth),
                (None, Some(import)) if depth > 0 && import.first() != Some(first) => {
                    let whole: Vec<String> = import.iter().chain(rest).cloned().collect();
                    self.defines(&(folder.clone(), from.clone()), imports, &whole, depth - 1)
                }
                _ => None,
            },
        }
    }

    /// Down from a module along a path, through what modules hand on.
    fn walk(&self, folder: &str, mut at: Module, mut rest: &[String], depth: usize) -> Option<Node> {
        let home = self.crates.get(folder)?;
        while let Some((next, later)) = rest.split_first() {
            if next == "super" {
                at.pop();
            } else if let Some(child) = home.child(&at, next) {
                at = child;
            } else {
                let here = (folder.to_owned(), at);
                let imports = home.0.get(&here.1).map(|source| &source.imports);
                let behind = imports.and_then(|imports| Some((imports, imports.get(next)?))).filter(|_| depth > 0);
                let whole = |import: &Vec<String>| import.iter().chain(later).cloned().collect::<Vec<_>>();
                let found = behind.and_then(|(imports, import)| self.defines(&here, imports, &whole(import), depth - 1));
                return Some(found.unwrap_or(here));
            }
            rest = later;
        }
        Some((folder.to_owned(), at))
    }

    fn used(&self, node: &Node, source: &Source) -> Vec<Node> {
        let imports = source.imports.iter().filter(|(name, _)| !source.handed_on.contains(*name)).map(|(_, path)| path);
        let paths = imports.chain(&source.inline).chain(&source.named);
        paths.filter_map(|path| self.defines(node, &source.imports, path, 8)).collect()
    }

    /// Every file that a program uses, directly or through others.
    ///
    /// A file that defines nothing of its own adds to types of the files beside it and above it, and is used with these.
    fn reached(&self, defined: &BTreeSet<String>) -> BTreeSet<Node> {
        let at = |folder: &String| (folder.clone(), Module::new());
        let mut open: Vec<Node> = self.programs.iter().flat_map(|(folder, source)| self.used(&at(folder), source)).collect();
        let mut seen = BTreeSet::new();
        while let Some(node) = open.pop() {
            if seen.insert(node.clone())
                && let Some(source) = self.crates.get(&node.0).and_then(|home| home.0.get(&node.1))
            {
                open.extend(self.used(&node, source));
                open.extend(self.additions(&node).filter(|(_, path)| !defined.contains(*path)).map(|(node, _)| node));
            }
        }
        seen
    }

    /// Files below a module and beside it.
    fn additions<'a>(&'a self, (folder, at): &'a Node) -> impl Iterator<Item = (Node, &'a String)> {
        let near = move |module: &Module| {
            module.split_last().is_some_and(|(_, above)| above == at || at.split_last().is_some_and(|(_, own)| above == own))
        };
        let files = self.crates.get(folder).into_iter().flat_map(|home| &home.0);
        files
            .filter(move |(module, _)| near(module))
            .map(move |(module, source)| ((folder.clone(), module.clone()), &source.path))
    }

    /// Library files that define something and that no program reaches.
    fn uncalled(&self, defined: &BTreeSet<String>) -> Vec<String> {
        let reached = self.reached(defined);
        let files =
            self.crates.iter().flat_map(|(folder, home)| home.0.iter().map(move |(module, source)| (folder, module, source)));
        let idle = files.filter(|(folder, module, source)| {
            let node = ((*folder).clone(), (*module).clone());
            let testing = module.last().is_some_and(|name| name == "testing");
            judged(&source.path) && !testing && !reached.contains(&node) && defined.contains(&source.path)
        });
        idle.map(|(_, _, source)| source.path.clone()).collect()
    }
}

/// Words of a text, each with the word before it.
fn words(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut before = "";
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty()).map(move |word| {
        let pair = (before, word);
        before = word;
        pair
    })
}

const KINDS: [&str; 7] = ["fn", "struct", "enum", "trait", "const", "static", "type"];

/// Whether a text defines something at its left edge: what only adds to a type of another file is used through that type.
fn defines(code: &str) -> bool {
    let own = |line: &str| line.starts_with("pub") && words(line).any(|(_, word)| KINDS.contains(&word));
    code.lines().any(own)
}

/// Public items that a text defines: those at the left edge and those of blocks there.
fn items(code: &str) -> BTreeSet<String> {
    let public = code.lines().filter_map(|line| line.strip_prefix("    ").unwrap_or(line).strip_prefix("pub "));
    let name =
        |line: &str| words(line).find(|(kind, name)| KINDS.contains(kind) && *name != "fn").map(|(_, name)| name.to_owned());
    public.filter(|line| !line.starts_with("use ") && !line.starts_with("mod ")).filter_map(name).collect()
}

/// How often each word is used in a text: not where it is defined, and not where it is only handed on.
fn uses(code: &str) -> BTreeMap<&str, usize> {
    let mut found = BTreeMap::new();
    for statement in code.split_inclusive(';') {
        let own = statement.rfind("pub use ").map_or(statement, |at| &statement[..at]);
        for (_, word) in words(own).filter(|(before, _)| !KINDS.contains(before)) {
            *found.entry(word).or_insert(0) += 1;
        }
    }
    found
}

/// Public items whose name only their own file's tests use, or nobody.
fn unnamed(files: &[(String, String)]) -> Vec<(String, String)> {
    let codes: Vec<(&str, String, String)> = files.iter().map(|(path, text)| (path.as_str(), code(text), whole(text))).collect();
    let mut users: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (at, (_, _, whole)) in codes.iter().enumerate() {
        for word in uses(whole).into_keys() {
            users.entry(word).or_default().insert(at);
        }
    }
    let mut found = Vec::new();
    for (at, (path, code, _)) in codes.iter().enumerate().filter(|(_, (path, ..))| judged(path) && program(path).is_none()) {
        let own = uses(code);
        let idle = |name: &String| {
            let elsewhere = users.get(name.as_str()).is_some_and(|users| users.iter().any(|user| *user != at));
            !elsewhere && !own.contains_key(name.as_str())
        };
        found.extend(items(code).into_iter().filter(idle).map(|name| ((*path).to_owned(), name)));
    }
    found
}

/// Code of a file with its tests, without comments and texts.
fn whole(text: &str) -> String {
    code(&text.replace("#[cfg(test)]\nmod tests {", "mod tests {"))
}

/// Paths of the table of what waits, each `{a,b}` written out.
fn waiting() -> BTreeSet<String> {
    let page = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let (_, table) = page.split_once("## What waits to be wired in").unwrap();
    let cells = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" |")).map(|(cell, _)| cell);
    let paths = cells.flat_map(|cell| cell.split('`').map(str::trim).filter(|part| part.contains('/')));
    paths.map(str::to_owned).collect()
}

/// Whether an entry of the table is this file or a folder around it.
fn covers(entry: &str, path: &str) -> bool {
    path.strip_prefix(entry).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[test]
fn every_library_module_has_a_caller_or_waits_for_one() {
    let files = texts(&["rs"]);
    let defined = files.iter().filter(|(_, text)| defines(&code(text))).map(|(path, _)| path.clone()).collect();
    let uncalled = World::new(files).uncalled(&defined);
    let waiting = waiting();
    let waiting: Vec<&String> = waiting.iter().filter(|entry| !entry.contains("::")).collect();
    let idle: Vec<&String> = uncalled.iter().filter(|path| !waiting.iter().any(|entry| covers(entry, path))).collect();
    assert!(
        idle.is_empty(),
        "no process, tool or example uses these: delete them, or say in docs/architecture.md what they wait for: {idle:#?}"
    );
    let called: Vec<&&String> = waiting.iter().filter(|entry| !uncalled.iter().any(|path| covers(entry, path))).collect();
    assert!(called.is_empty(), "docs/architecture.md says that these wait, but they have callers or are gone: {called:#?}");
}

#[test]
fn every_public_item_is_named_outside_its_own_tests() {
    let waiting = waiting();
    let unnamed = unnamed(&texts(&["rs"]));
    let waits =
        |path: &str, name: &str| waiting.iter().any(|entry| covers(entry, path) || entry.split_once("::") == Some((path, name)));
    let idle: Vec<_> = unnamed.iter().filter(|(path, name)| !waits(path, name)).collect();
    assert!(idle.is_empty(), "nothing uses these but tests of their own file, delete them: {idle:#?}");
    let seen = |entry: &str| unnamed.iter().any(|(path, name)| entry.split_once("::") == Some((path, name)));
    let named: Vec<_> = waiting.iter().filter(|entry| entry.contains("::") && !seen(entry)).collect();
    assert!(named.is_empty(), "docs/architecture.md says that these wait, but they are used or gone: {named:#?}");
}

#[test]
fn a_module_without_a_caller_is_seen() {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let mut files = vec![
        file("services/one/src/lib.rs", "pub mod low;\npub mod idle;\nmod deep;\npub use deep::Deep;\n"),
        file("services/one/src/low.rs", "pub fn low() {}\n"),
        file("services/one/src/deep.rs", "pub struct Deep;\n"),
        file(
            "services/one/src/idle.rs",
            "\nuse crate::low;\npub fn rest() {}\n#[cfg(test)]\nmod tests {\n    fn used() { super::rest() }\n}\n",
        ),
        file("services/two/src/lib.rs", "\nuse tradewind_one::low;\npub fn run() { low::low() }\n"),
        file("services/two/src/main.rs", "\nuse tradewind_one::Deep;\nfn main() { tradewind_two::run(); drop(Deep) }\n"),
    ];
    let all: BTreeSet<String> = files.iter().map(|(path, _)| path.clone()).filter(|path| !path.ends_with("lib.rs")).collect();
    let idle = "services/one/src/idle.rs".to_owned();
    assert_eq!(World::new(files.clone()).uncalled(&all), std::slice::from_ref(&idle), "its own tests are no caller");
    assert_eq!(unnamed(&files), [(idle, "rest".to_owned())]);
    files[4].1.push_str("pub fn more() { tradewind_one::idle::rest() }\npub fn most() { more(); most() }\n");
    assert_eq!(World::new(files.clone()).uncalled(&all), [""; 0]);
    assert_eq!(unnamed(&files), []);
    files.remove(5);
    assert_eq!(World::new(files).uncalled(&all).len(), 3, "a library that no program uses calls nothing");
}
