//! Which PostgreSQL to run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::search::is_executable;
use crate::{Search, ServerError};

const REMEDY: &str = "run: make setup";
/// The least major version that works.
const MAJOR_MIN: u32 = 15;
/// Where Debian and its kin keep the servers of several majors, out of the path.
const DEBIAN_ROOT: &str = "/usr/lib/postgresql";

/// A directory that holds `initdb` and `postgres` of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresPrograms {
    /// The directory.
    pub bin_dir: PathBuf,
    /// The major version.
    pub major: u32,
}

impl PostgresPrograms {
    pub(crate) fn postgres(&self) -> PathBuf {
        self.bin_dir.join("postgres")
    }

    pub(crate) fn initdb(&self) -> PathBuf {
        self.bin_dir.join("initdb")
    }
}

/// Finds PostgreSQL 15 or newer: the explicit directory, else what `pg_config` names, the path and the usual
/// Debian directories. Of several the one that made the present data (`major`), else the newest.
///
/// # Errors
/// Names what was found instead, and the command that installs what is missing.
pub fn find_postgres(search: &Search, major: Option<u32>) -> Result<PostgresPrograms, ServerError> {
    let mut found: BTreeMap<u32, PathBuf> = BTreeMap::new();
    let mut too_old = None;
    for bin_dir in candidates(search) {
        match version_in(&bin_dir) {
            Ok(version) if version >= MAJOR_MIN => {
                found.entry(version).or_insert(bin_dir);
            }
            Ok(version) => {
                too_old = Some(ServerError::TooOld {
                    path: bin_dir.join("postgres"),
                    found: version.to_string(),
                    expected: "15 or newer",
                    missing: "its security updates end, and nothing is tested with it",
                    remedy: REMEDY,
                });
            }
            Err(error) => tracing::warn!(%error, "a PostgreSQL is passed over"),
        }
    }
    let chosen = match major {
        Some(major) => found.remove_entry(&major),
        None => found.pop_last(),
    };
    match (chosen, major, too_old) {
        (Some((major, bin_dir)), _, _) => Ok(PostgresPrograms { bin_dir, major }),
        (None, Some(data), _) if !found.is_empty() => Err(ServerError::OtherMajor {
            path: search.explicit.clone().unwrap_or_else(|| PathBuf::from("the data directory")),
            data,
            found: found.keys().map(u32::to_string).collect::<Vec<_>>().join(", "),
        }),
        (None, _, Some(error)) => Err(error),
        (None, _, None) => Err(ServerError::NotFound {
            program: "PostgreSQL",
            looked: match &search.explicit {
                Some(path) => format!("no initdb and postgres in {}", path.display()),
                None => format!("asked pg_config, looked on the PATH and in {DEBIAN_ROOT}"),
            },
            remedy: REMEDY,
        }),
    }
}

/// Directories with both programs, the preferred first.
fn candidates(search: &Search) -> Vec<PathBuf> {
    let mut directories = match &search.explicit {
        Some(path) => vec![path.clone()],
        None => {
            let mut directories = Vec::new();
            directories.extend(search.on_path("pg_config").into_iter().filter_map(|tool| bindir_of(&tool)));
            let on_path = search.on_path("postgres").into_iter();
            directories.extend(on_path.filter_map(|file| file.parent().map(Path::to_owned)));
            let majors = std::fs::read_dir(DEBIAN_ROOT).into_iter().flatten().flatten();
            directories.extend(majors.map(|entry| entry.path().join("bin")));
            directories
        }
    };
    // Each is asked for its version once, however many ways lead to it.
    let mut seen = BTreeSet::new();
    directories.retain(|path| {
        let is_new = seen.insert(path.clone());
        is_new && is_executable(&path.join("postgres")) && is_executable(&path.join("initdb"))
    });
    directories
}

fn bindir_of(pg_config: &Path) -> Option<PathBuf> {
    let output = Command::new(pg_config).arg("--bindir").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(text.trim()))
}

fn version_in(bin_dir: &Path) -> Result<u32, ServerError> {
    let path = bin_dir.join("postgres");
    let output = Command::new(&path)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(ServerError::file(&path, "run with --version"))?;
    let answer = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    parse_major(&answer).ok_or(ServerError::UnknownVersion { path, answer, expected: "15.4" })
}

/// Major version of `postgres (PostgreSQL) 15.4 (Debian …)`.
fn parse_major(answer: &str) -> Option<u32> {
    let version = answer.split(')').nth(1)?.split_whitespace().next()?;
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_versions_are_read_from_releases_and_betas() {
        assert_eq!(parse_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(parse_major("postgres (PostgreSQL) 19beta1"), Some(19));
        assert_eq!(parse_major("nonsense"), None);
    }
}
