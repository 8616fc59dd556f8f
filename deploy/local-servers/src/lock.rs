//! One owner per directory, held by a lock of the kernel.
//!
//! The file's content only names the owner for the person who is refused. The lock itself ends with the
//! process that holds it, however it ends, so there is no stale lock to mend.
//!
//! Others may stay in the directory while its owner is there. Each shares a second lock, which the owner takes for itself
//! before it leaves, so that it knows whether somebody is still there and nobody comes meanwhile.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::ServerError;
use crate::files::private_dir;

/// The right to use a directory; given back when dropped.
#[derive(Debug)]
pub struct InstanceLock {
    // Open for as long as the lock is held; closing it releases the lock.
    _file: File,
    directory: PathBuf,
    // Held once nobody is taken in any more.
    closed: Option<File>,
}

/// A stay in a directory that another process owns; it ends when dropped.
#[derive(Debug)]
pub struct Stay {
    // Open for as long as the stay lasts.
    _file: File,
}

impl Stay {
    /// Begins a stay. `None`: the owner is about to leave and takes nobody in any more.
    ///
    /// # Errors
    /// When the directory's file cannot be used.
    pub fn begin(directory: &Path) -> Result<Option<Self>, ServerError> {
        private_dir(directory)?;
        let (path, file) = of_guests(directory)?;
        match file.try_lock_shared() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(ServerError::file(&path, "share the lock")(source)),
        }
    }
}

/// The file whose lock those who stay in a directory share.
fn of_guests(directory: &Path) -> Result<(PathBuf, File), ServerError> {
    let path = directory.join("guests");
    let file = open(&path)?;
    Ok((path, file))
}

/// The file of a lock, made if missing.
fn open(path: &Path) -> Result<File, ServerError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(ServerError::file(path, "open the lock"))
}

impl InstanceLock {
    /// Takes the lock of `directory`, which is made if missing. `owner` says who asks, for example
    /// `tapedeck up`; the process id is added.
    ///
    /// # Errors
    /// [`ServerError::InUse`] names the present owner; the call never waits.
    pub fn acquire(directory: &Path, owner: &str) -> Result<Self, ServerError> {
        private_dir(directory)?;
        let path = directory.join("lock");
        let mut file = open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                let owner = match text.trim() {
                    "" => "another process".to_owned(),
                    named => named.to_owned(),
                };
                return Err(ServerError::InUse { path: directory.to_owned(), owner });
            }
            Err(TryLockError::Error(source)) => {
                return Err(ServerError::file(&path, "take the lock")(source));
            }
        }
        let text = format!("{owner} (process {})\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()))
            .map_err(ServerError::file(&path, "write the lock"))?;
        Ok(Self { _file: file, directory: directory.to_owned(), closed: None })
    }

    /// Takes nobody in any more, if nobody stays. Answers whether it is so.
    ///
    /// # Errors
    /// When the directory's file cannot be used.
    pub fn close(&mut self) -> Result<bool, ServerError> {
        if self.closed.is_some() {
            return Ok(true);
        }
        let (path, file) = of_guests(&self.directory)?;
        match file.try_lock() {
            Ok(()) => self.closed = Some(file),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(source)) => {
                return Err(ServerError::file(&path, "take the lock")(source));
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_knows_who_stays_and_takes_nobody_in_while_it_leaves() {
        let directory = tempfile::tempdir().unwrap();
        let mut owner = InstanceLock::acquire(directory.path(), "a test").unwrap();
        let first = Stay::begin(directory.path()).unwrap().unwrap();
        let second = Stay::begin(directory.path()).unwrap().unwrap();
        drop(first);
        assert!(!owner.close().unwrap());
        drop(second);
        assert!(owner.close().unwrap() && owner.close().unwrap());
        assert!(Stay::begin(directory.path()).unwrap().is_none());
        drop(owner);
        assert!(Stay::begin(directory.path()).unwrap().is_some());
    }
}
