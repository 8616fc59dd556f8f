//! Processes by identity, so that a child left by a killed parent is ended and nobody else's process is.
//!
//! A process id alone says nothing: after a restart of the machine it belongs to somebody else. An identity
//! adds the moment at which the process was started.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::ServerError;
use crate::files::write_private;

/// How long a leftover may take to end by itself before it is killed, and again before giving up.
const LEFTOVER_PATIENCE: Duration = Duration::from_secs(3);

/// A child as it was written down when it was started.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ChildRecord {
    pub(crate) pid: u32,
    pub(crate) identity: String,
    pub(crate) port: u16,
}

impl ChildRecord {
    /// Writes down the running process `pid`.
    pub(crate) fn write(path: &Path, pid: u32, port: u16) -> Result<(), ServerError> {
        let identity = identity(pid).unwrap_or_default();
        let record = Self { pid, identity, port };
        let text =
            serde_json::to_vec(&record).map_err(|error| ServerError::file(path, "write")(error.into()))?;
        write_private(path, &text)
    }

    /// The recorded child, if it is still the same process.
    pub(crate) fn alive(path: &Path) -> Option<Self> {
        let record: Self = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        let alive = !record.identity.is_empty() && identity(record.pid).as_ref() == Some(&record.identity);
        alive.then_some(record)
    }
}

/// Ends the child recorded in `path` if it still runs, and forgets it. Blocks for at most six seconds.
pub(crate) fn end_leftover(path: &Path, gently: Signal) -> Result<(), ServerError> {
    let signals = [gently, Signal::SIGKILL];
    for signal in signals {
        let Some(record) = ChildRecord::alive(path) else { break };
        tracing::warn!(pid = record.pid, %signal, "ending a server that an earlier run left behind");
        send(record.pid, signal);
        let deadline = Instant::now() + LEFTOVER_PATIENCE;
        while ChildRecord::alive(path).is_some() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    if let Some(record) = ChildRecord::alive(path) {
        let directory = path.parent().unwrap_or(path);
        return Err(ServerError::Leftover { pid: record.pid, path: directory.to_owned() });
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(ServerError::file(path, "remove")(error)),
        _ => Ok(()),
    }
}

/// Sends `signal`; a process that is gone already is no error.
pub(crate) fn send(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// What tells this process from every other that had or will have its id; `None` when it does not run.
pub(crate) fn identity(pid: u32) -> Option<String> {
    if !Path::new("/proc/self/stat").exists() {
        return identity_by_ps(pid);
    }
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may itself contain spaces or parentheses.
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    let started_ticks = fields.nth(18)?;
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Some(format!("{}/{started_ticks}", boot.trim()))
}

/// The same where there is no `/proc`, to the second.
fn identity_by_ps(pid: u32) -> Option<String> {
    let output = Command::new("ps").args(["-o", "lstart=", "-p", &pid.to_string()]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_keeps_its_identity_and_loses_it_with_its_end() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let first = identity(child.id());
        assert!(first.is_some());
        assert_eq!(first, identity(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(identity(child.id()), None);
    }

    #[test]
    fn a_recorded_process_id_that_belongs_to_somebody_else_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("child.json");
        let mut stranger = Command::new("sleep").arg("60").spawn().unwrap();
        let record = ChildRecord { pid: stranger.id(), identity: "another boot/17".to_owned(), port: 1 };
        write_private(&path, &serde_json::to_vec(&record).unwrap()).unwrap();
        end_leftover(&path, Signal::SIGTERM).unwrap();
        assert!(stranger.try_wait().unwrap().is_none(), "the stranger was ended");
        assert!(!path.exists());
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }

    #[test]
    fn a_leftover_that_ignores_the_gentle_signal_is_killed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("child.json");
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        ChildRecord::write(&path, child.id(), 1).unwrap();
        // SIGCONT does not end anything, so only the kill that follows can.
        let reaper = std::thread::spawn(move || child.wait().unwrap());
        end_leftover(&path, Signal::SIGCONT).unwrap();
        assert!(!reaper.join().unwrap().success());
    }
}
