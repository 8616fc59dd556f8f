//! The documents: what they name exists.

use std::collections::BTreeSet;
use std::path::Path;

use crate::repository::{files, files_with, root, text};

/// The paragraph of the architecture that names what does not exist yet begins so.
const PLANNED: &str = "Places kept for what comes next";

fn documents() -> impl Iterator<Item = &'static Path> {
    files_with(&["md"]).filter(|path| path.starts_with("docs") || path.components().count() == 1)
}

/// The parts of `text` between single backticks, outside fenced blocks and the paragraph of plans.
fn in_backticks(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    let mut planned = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        planned = line.starts_with(PLANNED) || (planned && !line.trim().is_empty());
        if !fenced && !planned {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
}

/// The repository paths that `word` names, if it looks like one: its first part is a directory at the root.
fn as_paths(word: &str) -> Vec<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/{},*".contains(c);
    let Some((first, _)) = word.split_once('/') else { return Vec::new() };
    let at_root = !first.is_empty() && root().join(first).is_dir();
    if !at_root || !word.chars().all(plain) {
        return Vec::new();
    }
    match word.split_once('{').and_then(|(head, rest)| Some((head, rest.split_once('}')?))) {
        Some((head, (names, tail))) => names.split(',').map(|name| format!("{head}{name}{tail}")).collect(),
        None => vec![word.to_owned()],
    }
}

/// Whether `path` is there; `*` stands for any part of a name.
fn exists(path: &str) -> bool {
    let Some((head, tail)) = path.split_once('*') else { return root().join(path).exists() };
    files().iter().any(|file| {
        let file = file.to_string_lossy();
        file.starts_with(head) && file.ends_with(tail)
    })
}

/// What links to the headings of a page are called.
fn anchors(page: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(page).unwrap_or_default();
    let mut fenced = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        fenced ^= line.starts_with("```");
        let heading = line.trim_start_matches('#');
        if !fenced && heading.len() < line.len() {
            found.insert(anchor(heading));
        }
    }
    found
}

/// A heading in small letters, without marks, its blanks as hyphens.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().to_lowercase()
}

#[test]
fn every_path_named_in_a_document_exists() {
    let mut findings = Vec::new();
    for document in documents() {
        let text = text(document).expect("a document is text");
        for word in in_backticks(&text) {
            let missing = as_paths(&word).into_iter().filter(|path| !exists(path));
            findings.extend(missing.map(|path| format!("{}: {path}", document.display())));
        }
    }
    crate::nothing("These paths do not exist:", &findings);
}

#[test]
fn every_link_within_the_repository_leads_somewhere() {
    let mut findings = Vec::new();
    for document in documents() {
        let text = text(document).expect("a document is text");
        for rest in text.split("](").skip(1) {
            let link = rest.split([')', ' ']).next().unwrap_or_default();
            let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
            if link.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let here = root().join(document);
            let page = if target.is_empty() { here } else { here.parent().unwrap_or(root()).join(target) };
            let is_there = page.exists() && (anchor.is_empty() || anchors(&page).contains(anchor));
            if !is_there {
                findings.push(format!("{}: {link}", document.display()));
            }
        }
    }
    crate::nothing("These links lead nowhere:", &findings);
}

#[test]
fn a_path_is_told_from_other_words() {
    assert_eq!(as_paths("deploy/local-servers"), ["deploy/local-servers"]);
    assert_eq!(as_paths("services/{ingest,risk}/src"), ["services/ingest/src", "services/risk/src"]);
    assert!(as_paths("services/<name>").is_empty(), "a pattern");
    assert!(as_paths("/readyz").is_empty(), "an address");
    assert!(as_paths("and/or").is_empty(), "no directory at the root");
    assert!(exists("tests/suites/tidy/*.rs") && !exists("tests/suites/tidy/*.nothing"));
    assert_eq!(
        anchor(" What a request's *host* is: `web.public_hosts`"),
        "what-a-requests-host-is-webpublic_hosts"
    );
    let text = "see `a`\n```\n`b`\n```\nPlaces kept for what comes next: `c`,\n`d`.\n\nand `e`";
    assert_eq!(in_backticks(text), ["a", "e"]);
}
