//! Says which code the program is made of, so that every run can say it: the version and the commit, with `-dirty` where
//! what the program is made of differs from that. Outside of its repository, a hash of the sources.
//!
//! It is here and in no library, so that a commit builds this package anew and nothing else.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository: Cargo runs this in the package's directory.
const ROOT: &str = "../..";
/// What the program is made of besides the crates in `services`; tests and documents are no part of it.
const PARTS: [&str; 15] = [
    "Cargo.lock",
    "Cargo.toml",
    "deploy/local-servers/src",
    "migrations",
    "nats/consumers",
    "nats/event-log/src",
    "nats/permissions",
    "nats/streams",
    "projections/src",
    "proto/schema",
    "proto/src",
    "web/client",
    "web/src",
    "web/styles",
    "web/templates",
];

fn main() -> Result<(), Box<dyn Error>> {
    let parts = parts()?;
    for part in &parts {
        println!("cargo::rerun-if-changed={}", Path::new(ROOT).join(part).display());
    }
    let code = match commit(&parts) {
        Some(commit) => commit,
        None => hash(&parts)?,
    };
    println!("cargo::rustc-env=TAPEDECK_CODE_VERSION={}+{code}", env!("CARGO_PKG_VERSION"));
    Ok(())
}

/// Files and directories, from the root.
fn parts() -> io::Result<Vec<String>> {
    let mut parts: Vec<String> = PARTS.iter().map(|part| (*part).to_owned()).collect();
    for entry in std::fs::read_dir(Path::new(ROOT).join("services"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // The simulator is a program of its own.
        if name != "simulation" && entry.path().join("src").is_dir() {
            parts.push(format!("services/{name}/src"));
        }
    }
    parts.sort();
    Ok(parts)
}

/// The commit that is checked out; none where the sources are not in their own repository, or git is missing.
fn commit(parts: &[String]) -> Option<String> {
    let top = git(&["rev-parse", "--show-toplevel"])?;
    // A copy of the sources may lie within another repository.
    if std::fs::canonicalize(top).ok()? != std::fs::canonicalize(ROOT).ok()? {
        return None;
    }
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    for name in ["HEAD", "logs/HEAD"] {
        let file = Path::new(ROOT).join(git(&["rev-parse", "--git-path", name])?);
        // One that is missing would count as changed at every build.
        if file.exists() {
            println!("cargo::rerun-if-changed={}", file.display());
        }
    }
    let mut words = vec!["--no-optional-locks", "status", "--porcelain", "--"];
    words.extend(parts.iter().map(String::as_str));
    let dirty = if git(&words)?.is_empty() { "" } else { "-dirty" };
    Some(format!("{commit}{dirty}"))
}

/// What git prints; none when it fails.
fn git(words: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(ROOT).args(words).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// A hash (FNV-1a) of the names and contents of all files.
fn hash(parts: &[String]) -> io::Result<String> {
    let mut files = Vec::new();
    for part in parts {
        collect(&Path::new(ROOT).join(part), &mut files)?;
    }
    files.sort();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for file in files {
        let content = std::fs::read(&file)?;
        for byte in file.to_string_lossy().bytes().chain([0]).chain(content) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    Ok(format!("src.{hash:016x}"))
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(path)? {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}
