//! Every requirement that code or tests cite is explained in `docs/requirements.md`, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};

use super::tracked::{root, texts};

/// Prefixes of ids. What counts anew in each part (`C`) is explained with its part before it.
const PREFIXES: [&str; 9] = ["ST", "SU", "TA", "EX", "RK", "PO", "XA", "X", "C"];

/// The id that begins at the start of `text`, if one does.
fn id_at(text: &str) -> Option<&str> {
    let prefix = PREFIXES.iter().find(|prefix| text.strip_prefix(**prefix).is_some_and(|rest| rest.starts_with('-')))?;
    let kind = prefix.len() + 1;
    let number = kind + usize::from(matches!(text.as_bytes().get(kind), Some(b'V' | b'G')));
    let digits = text[number..].bytes().take_while(u8::is_ascii_digit).count();
    let end = number + digits;
    let ends = text[end..].chars().next().is_none_or(|next| !next.is_ascii_alphanumeric() && next != '_');
    ((1..=3).contains(&digits) && ends).then(|| &text[..end])
}

/// All ids in a text.
fn cited(text: &str) -> BTreeSet<String> {
    let joins = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let begins = text.char_indices().filter(|(at, _)| !text[..*at].ends_with(joins));
    begins.filter_map(|(at, _)| id_at(&text[at..])).map(str::to_owned).collect()
}

/// The explained ids with their lines; a contradiction of a part also under its number alone.
fn explained(document: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for line in document.lines() {
        let Some((id, text)) = line.strip_prefix("- ").and_then(|item| item.split_once(": ")) else { continue };
        let known = |id: &str| id_at(id) == Some(id);
        let in_part = id.split_once(' ').is_some_and(|(part, number)| PREFIXES.contains(&part) && known(number));
        if known(id) || in_part {
            assert!(found.insert(id.to_owned(), text.to_owned()).is_none(), "{id} is explained twice");
        }
    }
    found
}

/// The id under which a citation is found: one that counts per part stands for its number.
fn bare(id: &str) -> &str {
    id.split_once(' ').map_or(id, |(_, number)| number)
}

#[test]
fn every_id_that_is_cited_is_explained_and_no_other() {
    let document = std::fs::read_to_string(root().join("docs/requirements.md")).unwrap();
    let explained = explained(&document);
    let known: BTreeSet<&str> = explained.keys().map(|id| bare(id)).collect();
    let mut places: BTreeMap<String, String> = BTreeMap::new();
    for (path, text) in texts(&["rs", "py", "go", "proto", "sh"]) {
        for id in cited(&text) {
            places.entry(id).or_insert_with(|| path.clone());
        }
    }
    let missing: Vec<String> = places
        .iter()
        .filter(|(id, _)| !known.contains(id.as_str()))
        .map(|(id, path)| format!("{id} is cited in {path}: explain it"))
        .collect();
    let idle = known.iter().filter(|id| !places.contains_key(**id)).map(|id| format!("{id} is cited nowhere: delete its line"));
    let faults: Vec<String> = missing.into_iter().chain(idle).collect();
    assert!(faults.is_empty(), "docs/requirements.md:\n{}", faults.join("\n"));
}

#[test]
fn an_explanation_is_one_sentence() {
    let document = std::fs::read_to_string(root().join("docs/requirements.md")).unwrap();
    for (id, text) in explained(&document) {
        let words = text.split_whitespace().count();
        assert!(
            (3..=30).contains(&words) && text.ends_with('.'),
            "{id} has {words} words, 3 to 30 and a full stop are wanted: {text}"
        );
    }
}

#[test]
fn ids_are_found_between_other_words_only() {
    let (part, number) = ("RK", 83);
    let text = format!(
        "`{part}-{number}`, {part}-V{number}/C1; a{part}-{number} {part}-{number}b {part}-x SHA-1 {part}-1234 {part}-G7."
    );
    let wanted = [format!("{part}-{number}"), format!("{part}-G7"), format!("{part}-V{number}")];
    assert_eq!(cited(&text), BTreeSet::from(wanted));
}
