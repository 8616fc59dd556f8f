//! Habits of the sources.

use std::path::Path;

use crate::repository::{files, files_with, text};

/// A file longer than this wants a seam.
const LINES_MAX: usize = 500;
/// Written by hand and read by people.
const CODE: [&str; 11] = ["rs", "proto", "sql", "ts", "mjs", "css", "html", "py", "sh", "toml", "yaml"];

#[test]
fn every_source_says_what_it_is_for() {
    let mut findings = Vec::new();
    for file in files_with(&["rs"]) {
        if !text(file).is_some_and(|text| text.starts_with("//! ")) {
            findings.push(file.display().to_string());
        }
    }
    crate::nothing("These files do not open with `//!`:", &findings);
}

#[test]
fn no_file_is_too_long() {
    let mut findings = Vec::new();
    for file in files_with(&CODE) {
        let lines = text(file).map_or(0, |text| text.lines().count());
        if lines > LINES_MAX {
            findings.push(format!("{}: {lines} lines", file.display()));
        }
    }
    crate::nothing("These files are longer than 500 lines:", &findings);
}

/// Words that have no place in a file; written in two parts here, so that this file does not contain them.
fn unwanted() -> Vec<(&'static [&'static str], String, &'static str)> {
    let word = |head: &str, tail: &str| format!("{head}{tail}");
    vec![
        (&["rs"], word("#[", "ignore"), "a test runs or is removed"),
        (&["rs"], word("todo", "!("), "finish it or leave it out"),
        (&["rs"], word("unimplemented", "!("), "finish it or leave it out"),
        (&["rs"], word("dbg", "!("), "a trace left behind"),
        (&["rs"], word("#[", "allow("), "use #[expect(.., reason)], which tells when it is needed no more"),
        (&["ts"], word("test.", "skip("), "a test runs or is removed"),
        (&["ts"], word("test.", "only("), "it silences every other test"),
        (&["ts"], word("test.", "fixme("), "a test runs or is removed"),
        (&["package-lock.json"], word("\"resol", "ved\""), "it names one machine's registry"),
        (&[], word("/wo", "rk/"), "a path of one machine"),
        (&[], word("/ro", "ot/"), "a path of one machine"),
        (&[], word("registry.", "npmjs.org"), "the package tool knows its registry"),
        (&[], word("pypi.", "org"), "the package tool knows its registry"),
        (&[], word("pythonhosted.", "org"), "the package tool knows its registry"),
        (&[], word("static.", "crates.io"), "the package tool knows its registry"),
        (&[], word("index.", "crates.io"), "the package tool knows its registry"),
    ]
}

#[test]
fn no_file_contains_what_has_no_place_in_it() {
    let mut findings = Vec::new();
    for (endings, word, reason) in unwanted() {
        let concerned = |file: &&Path| {
            let name = file.to_string_lossy();
            endings.is_empty() || endings.iter().any(|end| name.ends_with(end))
        };
        for file in files().iter().map(std::path::PathBuf::as_path).filter(concerned) {
            let Some(text) = text(file) else { continue };
            for (number, line) in text.lines().enumerate().filter(|(_, line)| line.contains(&word)) {
                let line = line.trim().chars().take(80).collect::<String>();
                findings.push(format!("{}:{}: {line} ({reason})", file.display(), number + 1));
            }
        }
    }
    crate::nothing("These lines have no place here:", &findings);
}

/// Where the client library of NATS may be named, besides tests and benchmarks: the adapter behind the port, and
/// the measurement of what the port costs; and a program of the user's, which has nothing but the server.
const NATS_CLIENT_MAY_BE_IN: [&str; 3] =
    ["nats/event-log", "services/ingest/src/floor", "docs/examples/rust-sma-cross"];

#[test]
fn the_tape_is_reached_through_its_port() {
    let client = ["async", "nats::"].join("_");
    let elsewhere = files_with(&["rs"]).filter(|file| {
        let known = NATS_CLIENT_MAY_BE_IN.iter().any(|place| file.starts_with(place));
        let tried =
            file.components().any(|part| ["benches", "tests"].iter().any(|name| part.as_os_str() == *name));
        !known && !tried
    });
    let users = elsewhere.filter(|file| text(file).is_some_and(|text| text.contains(&client)));
    let findings: Vec<String> = users.map(|file| file.display().to_string()).collect();
    crate::nothing("Whoever speaks to NATS directly cannot be tried against `MemoryLog`:", &findings);
}
