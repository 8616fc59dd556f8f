//! Golden bytes: every event ever shipped stays readable, and is written as it always was.
//!
//! The JSON is the sample; the bytes were made of it by buf, not by this crate (`golden.sh`).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use contracts::v1::Event;

fn crate_directory() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A sample of a body with its bytes. Fields that a body got later are in a sample of their own, `<body>.<what>.json`:
/// bytes that exist are never written again.
pub struct Golden {
    pub body: String,
    pub json: String,
    pub bytes: Vec<u8>,
}

impl Golden {
    pub fn event(&self) -> Event {
        contracts::decode(&self.bytes).unwrap_or_else(|error| panic!("{}: {error}", self.body))
    }
}

fn unhex(path: &Path) -> Vec<u8> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let digits: String = text.split_whitespace().collect();
    assert!(digits.len().is_multiple_of(2), "{}", path.display());
    let pairs = (0..digits.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// All golden events, by body.
pub fn all() -> Vec<Golden> {
    let mut paths: Vec<PathBuf> = fs::read_dir(crate_directory().join("golden"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| Golden {
            body: path.file_stem().unwrap().to_str().unwrap().split('.').next().unwrap().to_owned(),
            json: fs::read_to_string(&path).unwrap(),
            bytes: unhex(&path.with_extension("hex")),
        })
        .collect()
}

/// The names of the bodies as the schema declares them.
fn bodies_of_the_schema() -> BTreeSet<String> {
    let schema = fs::read_to_string(crate_directory().join("schema/tapedeck/v1/event.proto")).unwrap();
    let (_, oneof) = schema.split_once("oneof body {").unwrap();
    let (oneof, _) = oneof.split_once('}').unwrap();
    let fields = oneof.lines().filter_map(|line| line.trim().split_once(" = "));
    fields.filter_map(|(field, _)| Some(field.split_once(' ')?.1.to_owned())).collect()
}

#[test]
fn every_body_has_golden_bytes_and_a_sample() {
    let golden: BTreeSet<String> = all().into_iter().map(|golden| golden.body).collect();
    assert!(golden.len() > 30, "the schema was read");
    assert_eq!(golden, bodies_of_the_schema(), "add golden/<body>.json and run golden.sh");
}

#[test]
fn golden_bytes_read_as_their_sample() {
    for golden in all() {
        let sample: serde_json::Value = serde_json::from_str(&golden.json).unwrap();
        let written = contracts::to_json(&golden.event()).unwrap();
        let read: serde_json::Value = serde_json::from_str(&written).unwrap();
        assert_eq!(read, sample, "{}", golden.body);
    }
}

#[test]
fn samples_are_written_as_their_golden_bytes() {
    for golden in all() {
        let event = contracts::decode(golden.json.as_bytes()).unwrap();
        assert_eq!(contracts::encode(&event), golden.bytes, "{}", golden.body);
    }
}

#[test]
fn a_sample_holds_its_own_body() {
    for golden in all() {
        let json: serde_json::Value = serde_json::from_str(&golden.json).unwrap();
        let camel: String = golden
            .body
            .split('_')
            .enumerate()
            .map(|(at, word)| if at == 0 { word.to_owned() } else { word[..1].to_uppercase() + &word[1..] })
            .collect();
        assert!(json.get(&camel).is_some(), "{} has no {camel}", golden.body);
    }
}
