//! Which nats-server to run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::search::is_executable;
use crate::{Search, ServerError};

const REMEDY: &str = "run: make setup";
/// The least version that works. 2.15 is advised: it syncs an atomic batch once.
const VERSION_MIN: (u32, u32) = (2, 14);

/// Finds a nats-server of version 2.14 or newer: the explicit one, else the first good one on the path, else
/// the one in the cache of tools.
///
/// # Errors
/// When only older ones are there, the error names the first of them and what it lacks.
pub fn find_nats_server(search: &Search) -> Result<PathBuf, ServerError> {
    if let Some(path) = &search.explicit {
        if !is_executable(path) {
            let looked = format!("{} is no program", path.display());
            return Err(ServerError::NotFound { program: "nats-server", looked, remedy: REMEDY });
        }
        check_version(path)?;
        return Ok(path.clone());
    }
    let mut refusal = None;
    for path in search.on_path("nats-server").into_iter().chain(search.in_tools("nats-server")) {
        match check_version(&path) {
            Ok(()) => return Ok(path),
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    Err(refusal.unwrap_or_else(|| {
        let tools = search
            .tools_dir
            .as_ref()
            .map_or_else(String::new, |tools| format!(" and in {}", tools.join("bin").display()));
        let looked = format!("looked on the PATH{tools}");
        ServerError::NotFound { program: "nats-server", looked, remedy: REMEDY }
    }))
}

fn check_version(path: &Path) -> Result<(), ServerError> {
    let output = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(ServerError::file(path, "run with --version"))?;
    let answer = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let Some(version) = parse_version(&answer) else {
        return Err(ServerError::UnknownVersion { path: path.to_owned(), answer, expected: "v2.15.1" });
    };
    if version < VERSION_MIN {
        return Err(ServerError::TooOld {
            path: path.to_owned(),
            found: answer,
            expected: "2.14 or newer (2.15 advised)",
            missing: missing_in(version),
            remedy: REMEDY,
        });
    }
    if version < (2, 15) {
        tracing::warn!(path = %path.display(), answer, "nats-server 2.15 syncs batches once; this one does not");
    }
    Ok(())
}

/// What the tape needs and the version does not have.
fn missing_in(version: (u32, u32)) -> &'static str {
    match version {
        (2, 12 | 13) => "it lacks consumer reset and cron schedules",
        (2, 11) => "it lacks atomic batch publishing",
        _ => "it lacks atomic batch publishing and expected sequences over a wildcard",
    }
}

/// Major and minor of `nats-server: v2.15.1`.
fn parse_version(answer: &str) -> Option<(u32, u32)> {
    let version = answer.split_whitespace().next_back()?.trim_start_matches('v');
    let mut numbers = version.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(parse_version("nats-server: v2.15.1"), Some((2, 15)));
        assert_eq!(parse_version("nats-server: v2.9.25"), Some((2, 9)));
        assert_eq!(parse_version("nats-server: v3.0.0-RC.1"), Some((3, 0)));
        assert_eq!(parse_version("command not understood"), None);
        assert!(parse_version("nats-server: v2.9.25").is_some_and(|version| version < VERSION_MIN));
    }
}
