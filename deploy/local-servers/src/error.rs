//! What can go wrong with a local server, each with what a person can do about it.

use std::io;
use std::path::PathBuf;

/// A local server that could not be found, started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The program is not on this machine.
    #[error("{program} was not found ({looked}); {remedy}")]
    NotFound {
        /// Name of the program.
        program: &'static str,
        /// Where it was looked for.
        looked: String,
        /// The one command that mends it.
        remedy: &'static str,
    },
    /// The program is there, but too old.
    #[error("{} is version {found}, expected {expected}: {missing}; {remedy}", path.display())]
    TooOld {
        /// The program.
        path: PathBuf,
        /// Its version.
        found: String,
        /// The least version that works.
        expected: &'static str,
        /// What an older one lacks.
        missing: &'static str,
        /// The one command that mends it.
        remedy: &'static str,
    },
    /// The program does not say its version in a way that is understood.
    #[error("{} --version answered {answer:?}, expected a version such as {expected}", path.display())]
    UnknownVersion {
        /// The program.
        path: PathBuf,
        /// What it answered.
        answer: String,
        /// An example of what was expected.
        expected: &'static str,
    },
    /// A running server did not take a changed configuration.
    #[error("{program} did not take the change: {reason}")]
    NotReloaded {
        /// Name of the program.
        program: &'static str,
        /// Why, in its own words where it has any.
        reason: String,
    },
    /// The data directory was made by another major version of PostgreSQL.
    #[error(
        "{} was made by PostgreSQL {data}, found {found}; install PostgreSQL {data} \
         (on Debian: apt-get install postgresql-{data})", path.display()
    )]
    OtherMajor {
        /// The data directory.
        path: PathBuf,
        /// Major version that made it.
        data: u32,
        /// Major versions found on this machine.
        found: String,
    },
    /// Another process owns the directory.
    #[error("{} is in use by {owner}; stop that one first, or choose another directory", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who holds it, as they wrote it into the lock file.
        owner: String,
    },
    /// PostgreSQL cannot run as root here.
    #[error("PostgreSQL refuses to run as root and {missing}; {remedy}")]
    NoUnprivilegedUser {
        /// What is missing for running it as another user.
        missing: String,
        /// The one command that mends it.
        remedy: &'static str,
    },
    /// The server ended, or did not become ready in time.
    #[error("{program} did not start: {reason}")]
    NotStarted {
        /// Name of the program.
        program: &'static str,
        /// Why, with the end of its log.
        reason: String,
    },
    /// A process from an earlier run does not end.
    #[error("process {pid} of an earlier run still holds {} and does not end; kill -9 {pid}", path.display())]
    Leftover {
        /// The process.
        pid: u32,
        /// The directory it works in.
        path: PathBuf,
    },
    /// A file or directory cannot be used.
    #[error("{}: {doing}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was being done with it.
        doing: &'static str,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// The operating system gave no random bytes, so no credentials could be made.
    #[error("no random bytes from the operating system: {0}")]
    Random(String),
    /// The database does not do what was asked of it.
    #[error("PostgreSQL: {doing}: {source}")]
    Database {
        /// What was being done.
        doing: String,
        /// Cause.
        #[source]
        source: sqlx::Error,
    },
}

impl ServerError {
    /// An error with a file, told in one line at the place where it happens.
    pub(crate) fn file(path: impl Into<PathBuf>, doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, doing, source }
    }
}
