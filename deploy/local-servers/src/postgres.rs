//! PostgreSQL: its private cluster, its settings, and its life.
//!
//! Read models can be built again from the tape, so the server is set up for speed of loading (`wal_level
//! minimal`: no replication, no archive) but not against safety: a commit is on disk before it is
//! acknowledged, unless a test asks for less.
//!
//! There is no unix socket. Its path would be bound by the system's limit of about 100 bytes, and one way in,
//! guarded by one password, is easier to reason about than two.

mod cluster;
mod find;
mod user;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, PgConnection};
use tokio::sync::watch;

pub use find::{PostgresPrograms, find_postgres};
pub(crate) use user::group_of;

use crate::child::{ChildSpec, find_setpriv};
use crate::credentials::Credentials;
use crate::files::private_dir;
use crate::port::free_port;
use crate::process::end_leftover;
use crate::supervisor::Supervisor;
use crate::{InstanceLock, Search, ServerError, ServerState};

const PORT_ATTEMPTS: usize = 5;
/// Recovery after a crash replays at most `max_wal_size`.
const START_TIMEOUT: Duration = Duration::from_secs(120);
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// What a local PostgreSQL needs to know.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Directory for the cluster, credentials and log. Made if missing, private to its owner.
    pub data_dir: PathBuf,
    /// Where the programs are looked for.
    pub search: Search,
    /// Port on loopback; `None` for a free one.
    pub port: Option<u16>,
    /// Most connections at a time.
    pub max_connections: u16,
    /// Memory for cached pages, in MiB.
    pub shared_buffers_mib: u32,
    /// Whether a commit is on disk before it is acknowledged. Only a test may do without.
    pub durable: bool,
}

impl PostgresOptions {
    /// A safe server in `data_dir` on a free port, with 100 connections and 256 MiB of cache.
    pub fn new(data_dir: impl Into<PathBuf>, search: Search) -> Self {
        Self {
            data_dir: data_dir.into(),
            search,
            port: None,
            max_connections: 100,
            shared_buffers_mib: 256,
            durable: true,
        }
    }

    /// The command line that runs the server on `port` with the cluster in `data`.
    fn arguments(&self, data: &str, port: u16) -> Vec<String> {
        let switch = if self.durable { "on" } else { "off" };
        let settings = [
            ("port", port.to_string()),
            ("listen_addresses", "127.0.0.1".to_owned()),
            ("unix_socket_directories", String::new()),
            ("max_connections", self.max_connections.to_string()),
            ("shared_buffers", format!("{}MB", self.shared_buffers_mib)),
            ("fsync", switch.to_owned()),
            ("synchronous_commit", switch.to_owned()),
            ("full_page_writes", switch.to_owned()),
            ("wal_level", "minimal".to_owned()),
            ("max_wal_senders", "0".to_owned()),
            ("max_wal_size", "2GB".to_owned()),
            ("checkpoint_timeout", "15min".to_owned()),
            ("log_checkpoints", "off".to_owned()),
            // Short queries dominate; compiling them costs more than it saves.
            ("jit", "off".to_owned()),
            ("random_page_cost", "1.1".to_owned()),
            ("timezone", "UTC".to_owned()),
            ("log_timezone", "UTC".to_owned()),
            ("password_encryption", "scram-sha-256".to_owned()),
        ];
        let mut arguments = vec!["-D".to_owned(), data.to_owned()];
        for (name, value) in settings {
            arguments.push("-c".to_owned());
            arguments.push(format!("{name}={value}"));
        }
        arguments
    }
}

/// A running PostgreSQL. Dropping it ends it at once without a checkpoint, which loses no commit.
pub struct PostgresServer {
    supervisor: Supervisor,
    credentials: Credentials,
    port: u16,
    _lock: InstanceLock,
}

impl PostgresServer {
    /// Finds the programs, makes the cluster if there is none, and starts the server; returns when it takes
    /// connections. Blocks the calling task while a cluster is made (about a second, once).
    ///
    /// # Errors
    /// Nothing is left running when this fails.
    pub async fn start(options: PostgresOptions) -> Result<Self, ServerError> {
        let directory = &options.data_dir;
        let data = directory.join("data");
        let programs = find_postgres(&options.search, cluster::major_of(&data)?)?;
        private_dir(directory)?;
        let lock = InstanceLock::acquire(directory, "postgres")?;
        let record = directory.join("running.json");
        end_leftover(&record, Signal::SIGQUIT)?;
        let credentials = Credentials::load_or_create(&directory.join("credentials.json"), "tapedeck")?;
        let setpriv = find_setpriv(&options.search);
        let user = user::unprivileged()?;
        let durable = options.durable;
        cluster::create_if_missing(
            &data,
            durable,
            &programs,
            &credentials,
            user.as_ref(),
            setpriv.as_deref(),
        )?;
        cluster::forget_stale_lock(&data)?;

        let mut attempt = 1;
        loop {
            let port = options.port.map_or_else(free_port, Ok)?;
            let spec = Self::spec(&options, &programs, port, user.as_ref(), setpriv.clone());
            match Supervisor::start(spec).await {
                Ok(supervisor) => return Ok(Self { supervisor, credentials, port, _lock: lock }),
                Err(ServerError::NotStarted { reason, .. })
                    if attempt < PORT_ATTEMPTS
                        && (options.port.is_none() && reason.contains("Address already in use")
                            || reason.contains("shared memory block")) =>
                {
                    // The second: workers of a killed server notice its death within moments.
                    attempt += 1;
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn spec(
        options: &PostgresOptions,
        programs: &PostgresPrograms,
        port: u16,
        user: Option<&user::Unprivileged>,
        setpriv: Option<PathBuf>,
    ) -> ChildSpec {
        let directory = &options.data_dir;
        let data = directory.join("data");
        // As another user the server may not search the directories above its own, and opening them up would
        // weaken what their owner decided. So it gets its directory as an open handle.
        let (named, handle) = match user {
            Some(_) => ("/proc/self/fd/0".to_owned(), Some(data.clone())),
            None => (data.display().to_string(), None),
        };
        let status_file = data.join("postmaster.pid");
        ChildSpec {
            name: "postgres",
            program: programs.postgres(),
            arguments: options.arguments(&named, port),
            environment: Vec::new(),
            stdin_directory: handle,
            user: user.map(|user| user.name.clone()),
            setpriv,
            log: directory.join("server.log"),
            record: directory.join("running.json"),
            port,
            // Fast: sessions end, a checkpoint is written.
            stop_signal: Signal::SIGINT,
            // Immediate: workers end without a checkpoint, the next start replays the log.
            end_signal: Signal::SIGQUIT,
            start_timeout: START_TIMEOUT,
            stop_timeout: STOP_TIMEOUT,
            ready: Arc::new(move |pid| is_ready(&status_file, pid)),
        }
    }

    /// The URL of `database` as superuser, with the password; not for logs.
    pub fn url(&self, database: &str) -> String {
        let Credentials { user, password } = &self.credentials;
        format!("postgres://{user}:{}@127.0.0.1:{}/{database}", password.expose_secret(), self.port)
    }

    /// The URL of `database` without credentials, for people.
    pub fn address(&self, database: &str) -> String {
        format!("postgres://127.0.0.1:{}/{database}", self.port)
    }

    /// The superuser and its password.
    pub fn credentials(&self) -> (&str, &SecretString) {
        (&self.credentials.user, &self.credentials.password)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes the empty database `name` if there is none.
    ///
    /// # Errors
    /// A name other than lowercase letters, digits and `_`, beginning with a letter, is a database error.
    pub async fn ensure_database(&self, name: &str) -> Result<(), ServerError> {
        let failed = |source| ServerError::Database { doing: format!("make the database {name:?}"), source };
        let identifier = identifier(name).map_err(failed)?;
        let mut connection = PgConnection::connect(&self.url("postgres")).await.map_err(failed)?;
        let found: Option<i32> = sqlx::query_scalar("SELECT 1 FROM pg_database WHERE datname = $1")
            .bind(name)
            .fetch_optional(&mut connection)
            .await
            .map_err(failed)?;
        if found.is_none() {
            let statement = sqlx::AssertSqlSafe(format!("CREATE DATABASE {identifier}"));
            sqlx::raw_sql(statement).execute(&mut connection).await.map_err(failed)?;
        }
        connection.close().await.map_err(failed)
    }

    /// The server's state, also for waiting for a change.
    pub fn state(&self) -> watch::Receiver<ServerState> {
        self.supervisor.state()
    }

    /// Stops the server: sessions end, a checkpoint is written.
    pub async fn stop(self) {
        self.supervisor.stop().await;
    }
}

/// `name` as an SQL identifier; statements that make databases take no parameters.
pub(crate) fn identifier(name: &str) -> Result<&str, sqlx::Error> {
    let good = name.len() <= 63
        && name.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if good {
        return Ok(name);
    }
    let expected = "expected at most 63 lowercase letters, digits and _, beginning with a letter";
    Err(sqlx::Error::Configuration(format!("database name {name:?}: {expected}").into()))
}

/// Whether the server says of itself, in its lock file, that process `pid` takes connections.
fn is_ready(status_file: &Path, pid: u32) -> bool {
    let Ok(text) = std::fs::read_to_string(status_file) else { return false };
    let mut lines = text.lines();
    let own = lines.next().is_some_and(|line| line.trim() == pid.to_string());
    own && lines.nth(6).is_some_and(|status| status.trim() == "ready")
}
