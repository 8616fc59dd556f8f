//! The edges between crates, held against the table in `docs/ARCHITECTURE.md`.
//!
//! The document is the one list. Each word of its column "Must never import" is looked up below; a word that
//! is not there fails the test, so that the table cannot say something nobody checks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cargo_metadata::{DependencyKind, Package};

use crate::repository::{metadata, root, text};

/// Crates that are services or belong to one.
const SERVICES: [&str; 9] =
    ["ingest", "vendors", "alpaca", "strategy", "risk", "execution", "broker", "backtest", "tapedeck"];
const HTTP: [&str; 7] = ["axum", "hyper", "reqwest", "tower", "tower-http", "ureq", "askama"];
const RANDOMNESS: [&str; 5] = ["rand", "rand_core", "rand_chacha", "fastrand", "getrandom"];

/// One row of the table.
struct Row {
    /// Package names.
    crates: Vec<String>,
    holds: String,
    never: Vec<String>,
}

/// The package in the directory `path`.
fn package_at(path: &str) -> Option<&'static Package> {
    let manifest = root().join(path).join("Cargo.toml");
    metadata().workspace_packages().into_iter().find(|package| package.manifest_path == manifest)
}

/// `services/{a,b}` as `services/a` and `services/b`.
fn expand(path: &str) -> Vec<String> {
    match path.split_once('{').and_then(|(head, rest)| Some((head, rest.split_once('}')?))) {
        Some((head, (names, tail))) => names.split(',').map(|name| format!("{head}{name}{tail}")).collect(),
        None => vec![path.to_owned()],
    }
}

fn table() -> Vec<Row> {
    let document = text(Path::new("docs/ARCHITECTURE.md")).expect("the architecture is text");
    let rows = document.lines().skip_while(|line| !line.starts_with("| Crate |")).skip(2);
    rows.take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [name, holds, never] = cells[..] else { panic!("three cells expected: {line}") };
            let path =
                name.split('`').nth(1).unwrap_or_else(|| panic!("a path in backticks expected: {name}"));
            let crates = expand(path).into_iter().map(|path| match package_at(&path) {
                Some(package) => package.name.to_string(),
                None => panic!("the table names {path}, where no crate of the workspace is"),
            });
            let never = never.split(',').map(|word| word.trim().to_owned()).collect();
            Row { crates: crates.collect(), holds: holds.to_owned(), never }
        })
        .collect()
}

/// The crates that `word` forbids to `own`, a crate of the row `row`.
fn forbidden(word: &str, own: &str, row: &Row, workspace: &BTreeSet<String>) -> Vec<String> {
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut found = match word {
        "any workspace crate" => workspace.iter().cloned().collect(),
        "services" | "other services" => named(&SERVICES),
        "each other" => row.crates.clone(),
        "domain" | "domain logic" => named(&["domain"]),
        "brokers" => named(&["broker", "alpaca"]),
        "services but the broker port and vendors" => {
            let mut services = named(&SERVICES);
            services.retain(|name| !["broker", "vendors"].contains(&name.as_str()));
            services
        }
        // The port may be imported; who reaches the server behind it has left the port.
        "event-log" => named(&["event-log"]),
        "event-log internals" | "NATS" => named(&["async-nats"]),
        "sqlx" => named(&["sqlx", "sqlx-core", "sqlx-postgres"]),
        "axum" => named(&["axum"]),
        "tokio" => named(&["tokio", "tokio-util"]),
        "HTTP" => named(&HTTP),
        "randomness" => named(&RANDOMNESS),
        // No crate stands for these: clippy forbids reading the clock, and a review sees business logic.
        "clocks" | "business logic" | "–" => Vec::new(),
        other => panic!("the table forbids {other:?}, which this test does not know"),
    };
    found.retain(|name| name != own);
    found
}

/// Normal and build dependencies by package name, between workspace crates and towards others.
fn edges() -> BTreeMap<String, BTreeSet<String>> {
    let direct = |package: &Package| {
        let dependencies = package.dependencies.iter();
        let used = dependencies.filter(|dependency| dependency.kind != DependencyKind::Development);
        used.map(|dependency| dependency.name.clone()).collect()
    };
    metadata()
        .workspace_packages()
        .iter()
        .map(|package| (package.name.to_string(), direct(package)))
        .collect()
}

/// Everything that `name` stands on, through every crate that is resolved for this platform.
fn closure(name: &str) -> BTreeSet<String> {
    let resolve = metadata().resolve.as_ref().expect("the graph is resolved");
    let names: BTreeMap<_, _> =
        metadata().packages.iter().map(|package| (&package.id, package.name.to_string())).collect();
    let nodes: BTreeMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let start = names.iter().find(|(_, found)| *found == name).map(|(id, _)| *id);
    let mut waiting = vec![start.expect("a crate of the workspace is in the graph")];
    let mut seen = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        for dependency in &nodes[id].deps {
            let linked = dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            if linked && seen.insert(names[&dependency.pkg].clone()) {
                waiting.push(&dependency.pkg);
            }
        }
    }
    seen
}

#[test]
fn every_crate_is_in_the_table() {
    let listed: BTreeSet<String> = table().into_iter().flat_map(|row| row.crates).collect();
    let present: BTreeSet<String> = edges().into_keys().collect();
    assert_eq!(listed, present, "docs/ARCHITECTURE.md (left) and the workspace (right) differ");
}

#[test]
fn no_crate_imports_what_the_table_forbids() {
    let edges = edges();
    let workspace = edges.keys().cloned().collect();
    let mut findings = Vec::new();
    for row in table() {
        // A pure crate must not get at the world through another one either.
        let deep = row.holds.split(|c: char| !c.is_alphanumeric()).any(|word| word == "pure");
        for own in &row.crates {
            let imports = if deep { closure(own) } else { edges[own].clone() };
            for word in &row.never {
                let bad =
                    forbidden(word, own, &row, &workspace).into_iter().filter(|name| imports.contains(name));
                findings.extend(bad.map(|name| format!("{own} imports {name} ({word})")));
            }
        }
    }
    crate::nothing("docs/ARCHITECTURE.md forbids these imports:", &findings);
}
