//! The files of a PostgreSQL cluster: made once, whole or not at all.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use secrecy::ExposeSecret;

use super::PostgresPrograms;
use super::user::Unprivileged;
use crate::ServerError;
use crate::credentials::{Credentials, random_text};
use crate::process;

/// A directory that every user may search and that root can rely on, for making a cluster as another user.
const COMMON_TEMPORARY: &str = "/tmp";
const END_PATIENCE: Duration = Duration::from_secs(10);

/// The major version that made the cluster in `data`; `None` when there is none.
pub(super) fn major_of(data: &Path) -> Result<Option<u32>, ServerError> {
    let path = data.join("PG_VERSION");
    match fs::read_to_string(&path) {
        Ok(text) => {
            let major = text.trim().parse().map_err(|_| {
                let error = std::io::Error::new(ErrorKind::InvalidData, format!("{text:?} is no version"));
                ServerError::file(&path, "read the version")(error)
            })?;
            Ok(Some(major))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ServerError::file(&path, "read the version")(error)),
    }
}

/// Makes the cluster in `data` if there is none. It is made elsewhere and moved into place, so that a crash
/// leaves no half of one; when `durable`, it is on disk before it has its name.
pub(super) fn create_if_missing(
    data: &Path,
    durable: bool,
    programs: &PostgresPrograms,
    credentials: &Credentials,
    user: Option<&Unprivileged>,
    setpriv: Option<&Path>,
) -> Result<(), ServerError> {
    if data.join("PG_VERSION").exists() {
        return Ok(());
    }
    // As another user the programs cannot reach a private directory of root, so that user makes the cluster
    // where everybody may pass, in a directory of its own.
    let beside = data.with_extension("new");
    let staging = match user {
        Some(_) => PathBuf::from(COMMON_TEMPORARY).join(format!("tapedeck-initdb-{}", random_text(8)?)),
        None => beside.clone(),
    };
    remove_tree(&beside)?;
    fs::DirBuilder::new().create(&staging).map_err(ServerError::file(&staging, "make the directory"))?;
    let made = initdb(&staging, data, programs, credentials, user, setpriv);
    let moved = made.and_then(|()| {
        if staging != beside {
            copy_tree(&staging, &beside)?;
            // Before the sync: what is gone need not be written.
            remove_tree(&staging)?;
        }
        if durable {
            // A thousand small files: one sync of everything is quicker than one of each, and it is done once.
            nix::unistd::sync();
        }
        fs::rename(&beside, data).map_err(ServerError::file(data, "put the cluster into place"))
    });
    if staging != beside || moved.is_err() {
        remove_tree(&staging)?;
    }
    moved
}

fn initdb(
    staging: &Path,
    data: &Path,
    programs: &PostgresPrograms,
    credentials: &Credentials,
    user: Option<&Unprivileged>,
    setpriv: Option<&Path>,
) -> Result<(), ServerError> {
    fs::set_permissions(staging, fs::Permissions::from_mode(0o700))
        .map_err(ServerError::file(staging, "make the directory private"))?;
    let mut command = match (user, setpriv) {
        (None, _) => Command::new(programs.initdb()),
        (Some(user), Some(setpriv)) => {
            chown(staging, Some(user.uid), Some(user.gid))
                .map_err(ServerError::file(staging, "give away"))?;
            let mut command = Command::new(setpriv);
            let group = super::group_of(&user.name)?;
            command.args(["--reuid", &user.name, "--regid", &group, "--init-groups", "--"]);
            command.arg(programs.initdb());
            command
        }
        (Some(_), None) => {
            return Err(ServerError::NoUnprivilegedUser {
                missing: "setpriv was not found".to_owned(),
                remedy: "apt-get install util-linux",
            });
        }
    };
    // The password travels as an open file that has no name any more: never on a command line, never on disk
    // after a crash.
    let password_path = data.with_extension("password");
    let mut password = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&password_path)
        .map_err(ServerError::file(&password_path, "create"))?;
    password
        .write_all(credentials.password.expose_secret().as_bytes())
        .map_err(ServerError::file(&password_path, "write"))?;
    if let Some(user) = user {
        chown(&password_path, Some(user.uid), Some(user.gid))
            .map_err(ServerError::file(&password_path, "give away"))?;
    }
    let password = fs::File::open(&password_path).map_err(ServerError::file(&password_path, "open"))?;
    let output = command
        .arg("--pgdata")
        .arg(staging)
        .args(["--username", &credentials.user, "--pwfile", "/dev/stdin", "--auth", "scram-sha-256"])
        // The C locale sorts the same everywhere and after every upgrade of the system's library.
        .args(["--encoding", "UTF8", "--locale", "C", "--no-instructions"])
        // What counts is the copy in its place; see `create_if_missing`.
        .arg("--no-sync")
        .current_dir("/")
        .stdin(Stdio::from(password))
        .output()
        .map_err(ServerError::file(programs.initdb(), "run"));
    fs::remove_file(&password_path).map_err(ServerError::file(&password_path, "remove"))?;
    let output = output?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let reason = format!("initdb ended with {}: {told}", output.status);
        return Err(ServerError::NotStarted { program: "postgres", reason });
    }
    Ok(())
}

/// Copies a cluster with its owners and permissions; `cp` does that on every system, also between disks.
fn copy_tree(from: &Path, to: &Path) -> Result<(), ServerError> {
    let output =
        Command::new("cp").arg("-Rp").arg(from).arg(to).output().map_err(ServerError::file(from, "copy"))?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(ServerError::file(to, "copy the cluster")(std::io::Error::other(told)))
}

fn remove_tree(path: &Path) -> Result<(), ServerError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(ServerError::file(path, "remove")(error)),
        _ => Ok(()),
    }
}

/// Removes the lock file of a server that is gone, so that a process which has its id now (common in
/// containers, after a loss of power) does not block the start; ends the server if it still runs.
///
/// Only where the system tells in which directory a process works. Elsewhere PostgreSQL decides by the id.
pub(super) fn forget_stale_lock(data: &Path) -> Result<(), ServerError> {
    let path = data.join("postmaster.pid");
    let Ok(text) = fs::read_to_string(&path) else { return Ok(()) };
    let pid = text.lines().next().and_then(|line| line.trim().parse::<u32>().ok());
    if !Path::new("/proc/self/cwd").exists() {
        return Ok(());
    }
    let Some(pid) = pid else {
        return fs::remove_file(&path).map_err(ServerError::file(&path, "remove the stale lock"));
    };
    for signal in [Signal::SIGQUIT, Signal::SIGKILL] {
        if !works_in(pid, data) {
            break;
        }
        tracing::warn!(pid, %signal, "ending a PostgreSQL that an earlier run left behind");
        process::send(pid, signal);
        let deadline = Instant::now() + END_PATIENCE;
        while works_in(pid, data) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    if works_in(pid, data) {
        return Err(ServerError::Leftover { pid, path: data.to_owned() });
    }
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(ServerError::file(&path, "remove the stale lock")(error))
        }
        _ => Ok(()),
    }
}

/// Whether process `pid` has `data` as its working directory, as every PostgreSQL has its cluster.
fn works_in(pid: u32, data: &Path) -> bool {
    let Ok(here) = fs::metadata(data) else { return false };
    let there = fs::metadata(format!("/proc/{pid}/cwd"));
    there.is_ok_and(|there| there.dev() == here.dev() && there.ino() == here.ino())
}
