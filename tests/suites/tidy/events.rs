//! Events and migrations: what has been written once must stay readable for ever.

use std::path::Path;

use crate::repository::{files, text};

/// Names of the event's bodies, as the schema lists them.
fn bodies() -> Vec<String> {
    let schema = text(Path::new("proto/schema/tapedeck/v1/event.proto")).expect("the schema is text");
    let list = schema.split("oneof body {").nth(1).and_then(|rest| rest.split('}').next());
    let fields = list.expect("the event has a body").lines().map(str::trim);
    let fields = fields.filter(|line| line.ends_with(';') && line.contains('='));
    fields.filter_map(|line| line.split_whitespace().nth(1)).map(str::to_owned).collect()
}

#[test]
fn every_event_has_golden_bytes() {
    let bodies = bodies();
    assert!(bodies.len() > 30, "the schema was not understood: {bodies:?}");
    // `bar.bin`, `bar.v1.json` and the like; the name alone tells the body.
    let has_golden = |body: &String| {
        let golden = files().iter().filter(|file| file.starts_with("proto/golden"));
        let mut names = golden.filter_map(|file| file.file_name());
        names.any(|name| name.to_string_lossy().split('.').next() == Some(body.as_str()))
    };
    let findings: Vec<String> = bodies.iter().filter(|body| !has_golden(body)).cloned().collect();
    crate::nothing("These events have no file in proto/golden:", &findings);
}

#[test]
fn migrations_are_numbered_without_gaps() {
    let names: Vec<String> = files()
        .iter()
        .filter(|file| file.starts_with("migrations"))
        .filter_map(|file| Some(file.file_name()?.to_string_lossy().into_owned()))
        .collect();
    let mut findings = Vec::new();
    for (position, name) in names.iter().enumerate() {
        // In order of their names, so a number that is missing or given twice shifts all that follow.
        let expected = format!("{:04}_", position + 1);
        let stem = name.strip_prefix(&expected).and_then(|rest| rest.strip_suffix(".sql"));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !stem.is_some_and(|stem| !stem.is_empty() && stem.chars().all(plain)) {
            findings.push(format!("{name}: expected {expected}<what_it_does>.sql"));
        }
    }
    assert!(!names.is_empty(), "no migrations found");
    crate::nothing("Migrations are numbered in order and only ever added:", &findings);
}
