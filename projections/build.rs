//! Embeds the migrations, without sqlx's macro: for it alone, all of sqlx would be built once more for the compiler.
//! Names the fold that the crate is built with, because a book on disk is of use to a program that folds alike, and to
//! no other.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

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
    embed_migrations()?;
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

/// Writes a list of version, description and text of each migration, as sqlx reads them from the names
/// `VERSION_DESCRIPTION.sql`.
#[expect(clippy::disallowed_methods, reason = "cargo says in the environment where a build script may write")]
fn embed_migrations() -> io::Result<()> {
    println!("cargo::rerun-if-changed=../migrations");
    let mut files = Vec::new();
    collect(&fs::canonicalize("../migrations")?, &mut files)?;
    files.sort();
    let mut list = String::from("&[\n");
    for path in files {
        let other = || io::Error::other(format!("{}: no migration's name", path.display()));
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(other)?;
        let (version, description) =
            name.strip_suffix(".sql").and_then(|name| name.split_once('_')).ok_or_else(other)?;
        let version: i64 = version.parse().map_err(|_| other())?;
        let description = description.replace('_', " ");
        writeln!(list, "({version}, {description:?}, include_str!({path:?})),").map_err(io::Error::other)?;
    }
    list.push(']');
    let directory = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set"))?;
    fs::write(Path::new(&directory).join("migrations.rs"), list)
}
