//! What comes into the build, held against `deny.toml`, the same file that cargo-deny reads.
//!
//! cargo-deny takes minutes to build, so it is optional; these are its checks that need neither a network nor
//! a guess.

use std::path::Path;

use crate::licence::is_allowed;
use crate::repository::{metadata, text};

/// Where every crate that is not of this workspace comes from.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn rules() -> toml::Table {
    let text = text(Path::new("deny.toml")).expect("deny.toml is text");
    text.parse().expect("deny.toml is TOML")
}

fn strings(value: &toml::Value) -> Vec<String> {
    let list = value.as_array().expect("a list");
    list.iter().map(|entry| entry.as_str().expect("a string").to_owned()).collect()
}

#[test]
fn every_licence_is_allowed() {
    let rules = rules();
    let allowed = strings(&rules["licenses"]["allow"]);
    let exceptions = rules["licenses"].get("exceptions").and_then(toml::Value::as_array);
    let excepted = |package: &str, licence: &str| {
        exceptions.into_iter().flatten().any(|exception| {
            exception["crate"].as_str() == Some(package)
                && strings(&exception["allow"]).iter().any(|l| l == licence)
        })
    };
    let mut findings = Vec::new();
    for package in metadata().packages.iter().filter(|package| package.source.is_some()) {
        let name = package.name.as_str();
        let licence = package.license.as_deref().unwrap_or_default();
        let fits = |wanted: &str| allowed.iter().any(|allowed| allowed == wanted) || excepted(name, wanted);
        if !is_allowed(licence, &fits) {
            findings.push(format!("{name} {}: {licence:?}", package.version));
        }
    }
    crate::nothing("deny.toml does not allow these licences:", &findings);
}

#[test]
fn no_banned_crate_is_in_the_build() {
    let rules = rules();
    let banned = rules["bans"]["deny"].as_array().expect("a list");
    let mut findings = Vec::new();
    for ban in banned {
        let name = ban["crate"].as_str().expect("a crate's name");
        if metadata().packages.iter().any(|package| package.name.as_str() == name) {
            findings.push(format!("{name}: {}", ban["reason"].as_str().unwrap_or("banned")));
        }
    }
    crate::nothing("deny.toml bans these crates:", &findings);
}

#[test]
fn every_crate_comes_from_the_registry_or_from_here() {
    let mut findings = Vec::new();
    for package in &metadata().packages {
        if let Some(source) = package.source.as_ref().filter(|source| source.repr != CRATES_IO) {
            findings.push(format!("{} from {source}", package.name));
        }
    }
    crate::nothing("These crates come from elsewhere:", &findings);
}
