//! Builds the crate anew when a migration changes: the migrations are embedded in it. Names the fold that it is built
//! with, because a book on disk is of use to a program that folds alike, and to no other.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// What a book is made by and stored as.
const FOLD: [&str; 7] = [
    "../proto/schema",
    "../proto/src",
    "../services/domain/src",
    "src/as_of",
    "src/as_of.rs",
    "src/trading",
    "src/trading.rs",
];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=../migrations");
    let mut files = Vec::new();
    for path in FOLD {
        println!("cargo::rerun-if-changed={path}");
        collect(Path::new(path), &mut files)?;
    }
    files.sort();
    // FNV-1a: the same on every machine and with every compiler.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for path in files {
        let name = path.to_string_lossy().into_owned();
        for byte in name.bytes().chain(fs::read(&path)?) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    println!("cargo::rustc-env=FOLD_VERSION={hash:016x}");
    Ok(())
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}
