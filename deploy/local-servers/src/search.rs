//! Where programs are looked for. The environment is read by the caller, not here.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where to look for a server's programs.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// This very program (nats-server) or directory of programs (PostgreSQL) and no other.
    pub explicit: Option<PathBuf>,
    /// The value of `PATH`.
    pub path: Option<OsString>,
    /// The cache of tools that `make setup` fills; programs are in its `bin`.
    pub tools_dir: Option<PathBuf>,
}

impl Search {
    /// Every executable `name` on the path, in order.
    pub(crate) fn on_path(&self, name: &str) -> Vec<PathBuf> {
        let Some(path) = &self.path else { return Vec::new() };
        std::env::split_paths(path)
            .filter(|directory| directory.is_absolute())
            .map(|directory| directory.join(name))
            .filter(|file| is_executable(file))
            .collect()
    }

    /// The executable `name` in the cache of tools.
    pub(crate) fn in_tools(&self, name: &str) -> Option<PathBuf> {
        self.tools_dir.as_ref().map(|tools| tools.join("bin").join(name)).filter(|file| is_executable(file))
    }
}

/// Whether `path` is a file that may be executed.
pub(crate) fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}
