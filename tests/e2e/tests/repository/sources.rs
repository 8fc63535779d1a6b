//! Source files read as modules: what each brings in, names and hands on.
//!
//! An import that goes through a module's `use` leads to the file that defines the name.

use std::collections::{BTreeMap, BTreeSet};

/// A path of modules from the root of its crate.
pub(super) type Module = Vec<String>;

/// One file of a crate.
pub(super) struct Source {
    pub(super) path: String,
    /// Names that the file brings in, with what they stand for.
    pub(super) imports: BTreeMap<String, Vec<String>>,
    /// Paths in the code that are no imports.
    pub(super) inline: Vec<Vec<String>>,
    /// Other paths in the code: they begin at a crate, at a module below, or at an import.
    pub(super) named: Vec<Vec<String>>,
    /// Imports that are handed on only (`pub use`).
    pub(super) handed_on: BTreeSet<String>,
}

/// The code without comments, texts and tests.
pub(super) fn code(text: &str) -> String {
    let mut rest = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
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

pub(super) fn segments(path: &str) -> impl Iterator<Item = String> {
    path.split("::").map(str::trim).filter(|segment| !segment.is_empty()).map(str::to_owned)
}

pub(super) fn source(path: String, text: &str) -> Source {
    let code = code(text);
    let mut source = Source { path, imports: BTreeMap::new(), inline: Vec::new(), named: Vec::new(), handed_on: BTreeSet::new() };
    for statement in code.split(';') {
        let begins = ["pub(crate) use ", "pub(super) use ", "pub use ", "use "].into_iter();
        // a statement follows a line end; what stands before it in this piece is the end of the item above
        let used = begins
            .filter_map(|word| statement.rfind(&format!("\n{word}")).map(|at| (word, at + 1 + word.len())))
            .max_by_key(|(_, at)| *at);
        let Some((word, at)) = used else {
            source.take(statement);
            continue;
        };
        source.take(&statement[..at]);
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

impl Source {
    /// Takes the paths of a piece of code: those that begin at the crate or at the module above, and all others.
    fn take(&mut self, code: &str) {
        let whole = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        for word in code.split(|c: char| !whole(c)).filter(|word| word.contains("::")) {
            let path = segments(word).collect();
            match word.starts_with("crate::") || word.starts_with("super::") {
                true => self.inline.push(path),
                false => self.named.push(path),
            }
        }
    }
}

/// The modules of one crate.
pub(super) struct Crate(pub(super) BTreeMap<Module, Source>);

impl Crate {
    /// The module that defines what `path` names, seen from `from`.
    pub(super) fn defines(&self, from: &Module, path: &[String], depth: usize) -> Option<Module> {
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

    pub(super) fn child(&self, of: &Module, name: &str) -> Option<Module> {
        let child: Module = of.iter().cloned().chain([name.to_owned()]).collect();
        self.0.contains_key(&child).then_some(child)
    }
}

/// The crate and the module that a source file is; `None` for what no library holds.
pub(super) fn place(path: &str) -> Option<(String, Module)> {
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

pub(super) fn crates(files: Vec<(String, String)>) -> BTreeMap<String, Crate> {
    let mut found: BTreeMap<String, Crate> = BTreeMap::new();
    for (path, text) in files {
        if let Some((folder, module)) = place(&path) {
            found.entry(folder).or_insert_with(|| Crate(BTreeMap::new())).0.insert(module, source(path, &text));
        }
    }
    found
}
