//! Metrics: the Grafana board and the document name what the program exposes, and nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use crate::repository::text;

const BOARD: &str = "deploy/grafana/tapedeck.json";
const DOCUMENT: &str = "docs/telemetry.md";

/// Every metric, by its kind: what `/metrics` says before it has counted anything.
fn exposed() -> Vec<(String, String)> {
    let text = runtime::metrics::exposition();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .filter_map(|line| line.split_once(' ').map(|(name, kind)| (name.to_owned(), kind.to_owned())))
        .collect()
}

/// Words of `text` that are names of metrics.
fn named(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("tapedeck_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

/// The expressions of a board, wherever they stand.
fn expressions(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                match value.as_str() {
                    Some(text) if key == "expr" || key == "query" => found.push(text.to_owned()),
                    _ => expressions(value, found),
                }
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

#[test]
fn every_metric_the_board_queries_is_exposed() {
    let board: serde_json::Value =
        serde_json::from_str(&text(Path::new(BOARD)).expect("a board")).expect("JSON");
    let mut queries = Vec::new();
    expressions(&board, &mut queries);
    assert!(queries.len() > 20, "only {} queries", queries.len());
    let mut series = BTreeSet::new();
    for (name, kind) in exposed() {
        if kind == "histogram" {
            series.extend(["_bucket", "_sum", "_count"].map(|suffix| format!("{name}{suffix}")));
        } else {
            series.insert(name);
        }
    }
    let unknown = queries.iter().flat_map(|query| named(query));
    let findings: Vec<_> = unknown.filter(|name| !series.contains(name)).collect();
    crate::nothing("The board queries metrics that nobody exposes:", &findings);
}

#[test]
fn every_metric_is_documented_and_on_the_board() {
    let exposed: BTreeSet<String> = exposed().into_iter().map(|(name, _)| name).collect();
    let document = text(Path::new(DOCUMENT)).expect("a document");
    let rows: String = document.lines().filter(|line| line.starts_with("| `")).collect();
    let documented = named(&rows);
    let mut findings: Vec<_> =
        exposed.difference(&documented).map(|name| format!("no row: {name}")).collect();
    findings.extend(documented.difference(&exposed).map(|name| format!("no such metric: {name}")));
    let board = text(Path::new(BOARD)).expect("a board");
    let shown = |name: &&String| named(&board).iter().any(|found| found.starts_with(name.as_str()));
    // When a process started and which version it is are read off a table, not drawn.
    let silent = ["process_open_fds", "process_start_time_seconds"];
    let missing = exposed.iter().filter(|name| !shown(name) && !silent.contains(&name.as_str()));
    findings.extend(missing.map(|name| format!("not on the board: {name}")));
    crate::nothing("docs/telemetry.md and the board against the program:", &findings);
}
