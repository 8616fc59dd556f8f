//! Servers for tests, of this crate and of every other.
//!
//! `make test` runs everything under `with-servers`, which starts one PostgreSQL for all test processes and
//! names it in `TAPEDECK_TEST_DATABASE_URL`. Without it (a test run from an editor) a test starts its own.
//! A nats-server starts in a few hundredths of a second, so every test that needs one has its own.
//!
//! It also makes a directory of the run and names it in `TAPEDECK_TEST_RUN`. Without it tests do without what is in it.

mod nats;
mod postgres;
mod run;

use std::path::PathBuf;

pub use nats::TestNats;
pub use postgres::{TestDatabase, TestPostgres, test_options};
pub use run::{TestRun, programs_of};

use crate::{Search, ServerError};

/// The variable that names a running PostgreSQL, as the URL of a superuser.
pub const DATABASE_URL_VARIABLE: &str = "TAPEDECK_TEST_DATABASE_URL";
/// The variable that names the nats-server to start.
pub const NATS_SERVER_VARIABLE: &str = "TAPEDECK_TEST_NATS_SERVER";
/// The variable that names the directory of a run of tests.
pub const RUN_VARIABLE: &str = "TAPEDECK_TEST_RUN";

/// Where tests look for programs: the path and the cache of tools that `make setup` fills
/// (`TAPEDECK_TOOLS`, else `tapedeck/tools` in the user's cache directory).
pub fn search_from_environment() -> Search {
    let tools = variable("TAPEDECK_TOOLS").map(PathBuf::from);
    let cache = || {
        variable("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".cache")))
            .map(|cache| cache.join("tapedeck").join("tools"))
    };
    Search { explicit: None, path: path_variable(), tools_dir: tools.or_else(cache) }
}

/// The directory of this run of tests, where it has one.
pub fn run_directory() -> Option<PathBuf> {
    variable(RUN_VARIABLE).map(PathBuf::from)
}

/// A variable of the environment; an empty one counts as unset.
#[expect(clippy::disallowed_methods, reason = "a test runner configures tests through the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[expect(clippy::disallowed_methods, reason = "a test runner configures tests through the environment")]
fn path_variable() -> Option<std::ffi::OsString> {
    std::env::var_os("PATH")
}

/// A private temporary directory, removed when dropped.
fn temporary_directory() -> Result<tempfile::TempDir, ServerError> {
    tempfile::Builder::new()
        .prefix("tapedeck-test-")
        .tempdir()
        .map_err(ServerError::file("(temporary directory)", "make"))
}
