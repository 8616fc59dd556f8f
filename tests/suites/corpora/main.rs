//! The fuzzer's corpora as ordinary tests: what was found once is looked for at every run.

use std::path::Path;

#[path = "../../../fuzz/src/targets.rs"]
mod targets;

/// Hands every file of a target's corpus to the target; a panic names the file.
fn walk(target: &str, call: fn(&[u8]), least: usize) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&directory).expect("the corpus is there");
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    assert!(files.len() >= least, "{}: {} files", directory.display(), files.len());
    for file in files {
        let data = std::fs::read(&file).expect("a file of the corpus");
        let outcome = std::panic::catch_unwind(|| call(&data));
        assert!(outcome.is_ok(), "{} fails", file.display());
    }
}

#[test]
fn events_of_either_form() {
    walk("event", targets::event, 50);
}

#[test]
fn the_json_form() {
    walk("json", targets::json, 50);
}

#[test]
fn subjects() {
    walk("subject", targets::subject, 10);
}

#[test]
fn reports_of_a_broker() {
    walk("broker", targets::broker, 20);
}

#[test]
fn what_alpaca_says() {
    walk("alpaca", targets::alpaca, 12);
}

#[test]
fn files_of_history() {
    walk("history", targets::history, 8);
}
