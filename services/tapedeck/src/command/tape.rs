//! `tapedeck tape`: the tapes of this home. They are directories, so that no server is needed.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::Path;

use local_servers::{InstanceLock, ServerError};
use serde::Serialize;

use crate::addresses::Addresses;
use crate::cli::{Global, TapeCommand};
use crate::exit::Failure;
use crate::home::{Home, TapeDir, TapeKind};
use crate::output::{Output, message};
use crate::servers::uses_external;

/// One tape.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    kind: Option<TapeKind>,
    /// The process that holds it.
    running: Option<String>,
    dashboard: Option<String>,
    bytes: u64,
    /// The one that commands speak of when none is named.
    used_last: bool,
    path: String,
}

/// Lists, chooses or removes.
pub fn run(global: &Global, command: &TapeCommand, output: Output) -> Result<(), Failure> {
    let home = Home::locate(global.home.as_deref())?;
    match command {
        TapeCommand::List => list(&home, output),
        TapeCommand::Use { name } => choose(&home, name, output),
        TapeCommand::Remove { names } => {
            remove(&home, names, global.yes, output)?;
            if uses_external(&global.servers) {
                output.note("what the servers of NATS_URL and DATABASE_URL hold stays there");
            }
            Ok(())
        }
    }
}

fn list(home: &Home, output: Output) -> Result<(), Failure> {
    let last = home.last().map(|dir| dir.name);
    let mut rows = Vec::new();
    for name in home.tapes() {
        let dir = home.tape(&name)?;
        let running = owner(&dir)?;
        rows.push(Row {
            kind: dir.manifest().ok().flatten().map(|manifest| manifest.kind),
            dashboard: running.as_ref().and_then(|_| Addresses::read(&dir)?.dashboard),
            running,
            bytes: bytes_of(&dir.path),
            used_last: last.as_deref() == Some(&name),
            path: dir.path.display().to_string(),
            name,
        });
    }
    if output.json {
        return output.document(&rows);
    }
    if rows.is_empty() {
        output.note("there is no tape yet; `tapedeck up` makes one");
        return Ok(());
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let kind = row.kind.map_or("incomplete", TapeKind::name);
            let running = row.dashboard.as_ref().or(row.running.as_ref());
            vec![
                if row.used_last { format!("{} *", row.name) } else { row.name.clone() },
                kind.to_owned(),
                format!("{:.1}", row.bytes as f64 / 1e6),
                running.map_or_else(|| "–".to_owned(), Clone::clone),
            ]
        })
        .collect();
    output.table(&["TAPE", "KIND", "MB", "RUNNING"], &cells);
    output.note("* is the one used last: what commands speak of without --tape");
    Ok(())
}

fn choose(home: &Home, name: &str, output: Output) -> Result<(), Failure> {
    let dir = existing(home, name)?;
    if dir.manifest()?.is_none() {
        return Err(Failure::not_found(format!("tape {name:?} was never completed"), "tapedeck tape list"));
    }
    home.remember(&dir)?;
    if output.json {
        return output.document(&serde_json::json!({ "tape": name }));
    }
    output.line(&format!("commands without --tape now speak of {name}"));
    Ok(())
}

fn remove(home: &Home, names: &[String], sure: bool, output: Output) -> Result<(), Failure> {
    // All of them first, so that a wrong name removes nothing.
    let mut held = Vec::new();
    for name in names {
        let dir = existing(home, name)?;
        if held.iter().any(|(there, _): &(TapeDir, InstanceLock)| there.name == dir.name) {
            continue;
        }
        let lock = InstanceLock::acquire(&dir.path, "tapedeck tape remove").map_err(|error| match error {
            ServerError::InUse { owner, .. } => {
                Failure::usage(format!("tape {name} is in use: {owner}"), "stop it first, then remove it")
            }
            other => Failure::other(other.to_string()),
        })?;
        held.push((dir, lock));
    }
    if !sure {
        let listed: Vec<String> = held
            .iter()
            .map(|(dir, _)| format!("{} ({:.1} MB)", dir.name, bytes_of(&dir.path) as f64 / 1e6))
            .collect();
        confirm(&listed.join(", "))?;
    }
    let mut removed = Vec::new();
    for (dir, lock) in held {
        // Without a manifest it is no tape any more, even if what follows is cut off.
        let manifest = dir.path.join("tape.json");
        if manifest.exists() {
            std::fs::remove_file(&manifest)?;
        }
        std::fs::remove_dir_all(&dir.path)?;
        drop(lock);
        if !output.json {
            output.line(&format!("removed {}", dir.name));
        }
        removed.push(dir.name);
    }
    if output.json { output.document(&removed) } else { Ok(()) }
}

fn confirm(what: &str) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            format!("removing {what} cannot be undone and nobody can be asked"),
            "add --yes",
        ));
    }
    message(&format!("Remove {what}, every event on it included? This cannot be undone. Type yes: "));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == "yes" { Ok(()) } else { Err(Failure::other("nothing was removed")) }
}

fn existing(home: &Home, name: &str) -> Result<TapeDir, Failure> {
    let dir = home.tape(name)?;
    if dir.path.is_dir() {
        return Ok(dir);
    }
    Err(Failure::not_found(format!("tape {name:?} does not exist"), "tapedeck tape list"))
}

/// Who holds the tape, if anybody does.
fn owner(dir: &TapeDir) -> Result<Option<String>, Failure> {
    if !dir.path.join("lock").exists() {
        return Ok(None);
    }
    match InstanceLock::acquire(&dir.path, "tapedeck tape list") {
        Ok(_) => Ok(None),
        Err(ServerError::InUse { owner, .. }) => Ok(Some(owner)),
        Err(other) => Err(Failure::other(other.to_string())),
    }
}

/// Bytes of the files below; what disappears meanwhile counts nothing.
fn bytes_of(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => bytes_of(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        })
        .sum()
}
