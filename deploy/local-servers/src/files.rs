//! Private directories and files, written so that a crash leaves the old content or the new, never half.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::ServerError;

/// A log larger than this is set aside when its server starts, in bytes.
const LOG_SIZE_MAX: u64 = 8 * 1024 * 1024;

/// Makes `path` and what is missing above it; `path` itself is for its owner alone.
pub(crate) fn private_dir(path: &Path) -> Result<(), ServerError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(ServerError::file(path, "make the directory"))?;
    fs::set_permissions(path, Permissions::from_mode(0o700))
        .map_err(ServerError::file(path, "make the directory private"))
}

/// Writes `content` to `path`, readable by its owner alone from the first byte, replacing it as a whole.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), ServerError> {
    let beside = sibling(path, "new");
    // A file left by a crash may have other permissions; a fresh one cannot.
    let _ = fs::remove_file(&beside);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .map_err(ServerError::file(&beside, "create"))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(ServerError::file(&beside, "write"))?;
    fs::rename(&beside, path).map_err(ServerError::file(path, "replace"))
}

/// Opens a server's log for appending; a large one is first renamed to `<name>.1`.
pub(crate) fn open_log(path: &Path) -> Result<File, ServerError> {
    if fs::metadata(path).is_ok_and(|data| data.len() > LOG_SIZE_MAX) {
        fs::rename(path, sibling(path, "1")).map_err(ServerError::file(path, "set the log aside"))?;
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(ServerError::file(path, "open the log"))
}

/// The last `bytes` bytes of a log, from byte `since` on, as text.
pub(crate) fn log_tail(path: &Path, since: u64, bytes: u64) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        // A log that was set aside meanwhile is shorter than `since`: then all of it is new.
        let since = if since > length { 0 } else { since };
        file.seek(SeekFrom::Start(since.max(length.saturating_sub(bytes))))?;
        let mut content = Vec::new();
        file.take(bytes).read_to_end(&mut content)?;
        Ok(String::from_utf8_lossy(&content).trim().to_owned())
    };
    read().unwrap_or_else(|error| format!("(its log {} cannot be read: {error})", path.display()))
}

/// `path` with `.extension` appended to its whole name.
pub(crate) fn sibling(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}
