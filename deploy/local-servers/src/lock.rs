//! One owner per directory, held by a lock of the kernel.
//!
//! The file's content only names the owner for the person who is refused. The lock itself ends with the
//! process that holds it, however it ends, so there is no stale lock to mend.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::ServerError;
use crate::files::private_dir;

/// The right to use a directory; given back when dropped.
#[derive(Debug)]
pub struct InstanceLock {
    // Open for as long as the lock is held; closing it releases the lock.
    _file: File,
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
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(ServerError::file(&path, "open the lock"))?;
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
        Ok(Self { _file: file })
    }
}
