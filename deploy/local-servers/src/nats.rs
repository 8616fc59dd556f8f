//! nats-server: which one, how it is configured, and its life.

mod config;
mod find;
mod services;
mod users;

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;

pub use find::find_nats_server;
pub use services::ServiceUser;
pub use users::{NatsUser, NatsUsers, USER_CONNECTIONS_MAX};

use crate::child::{ChildSpec, find_setpriv};
use crate::credentials::{Credentials, random_text};
use crate::files::{private_dir, write_private};
use crate::port::free_port;
use crate::process::end_leftover;
use crate::supervisor::Supervisor;
use crate::{InstanceLock, Search, ServerError, ServerState};

/// Name of the server's owner, who may do everything.
const OWNER: &str = "tapedeck";
/// How often a free port is chosen anew when another process took it first.
const PORT_ATTEMPTS: usize = 5;
/// Recovery of a stream takes about a third of a second per million messages.
const START_TIMEOUT: Duration = Duration::from_secs(120);
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// What a local nats-server needs to know.
#[derive(Clone, Debug)]
pub struct NatsOptions {
    /// Directory for the streams, credentials, configuration and log. Made if missing, private to its owner.
    pub data_dir: PathBuf,
    /// Where the program is looked for.
    pub search: Search,
    /// Client port on loopback; `None` for a free one.
    pub port: Option<u16>,
    /// Whether every acknowledged write is on disk first (`sync_interval: always`). Without it a loss of power
    /// can take up to two minutes of acknowledged writes, which only a disposable tape may risk.
    pub sync_always: bool,
    /// Whether the server's monitoring pages are served, on another free loopback port. They need no password.
    pub monitoring: bool,
    /// Largest message, in bytes.
    pub max_payload_bytes: u32,
    /// Most that streams may take on disk, in bytes; `None` for all there is.
    pub max_store_bytes: Option<u64>,
    /// Users of the system's own services.
    pub services: Vec<ServiceUser>,
}

impl NatsOptions {
    /// A safe server in `data_dir`: every write synced, a free port, no monitoring, messages up to 1 MiB.
    pub fn new(data_dir: impl Into<PathBuf>, search: Search) -> Self {
        Self {
            data_dir: data_dir.into(),
            search,
            port: None,
            sync_always: true,
            monitoring: false,
            max_payload_bytes: 1024 * 1024,
            max_store_bytes: None,
            services: Vec::new(),
        }
    }
}

/// The server's environment. Where it does not wait for the disk, it takes half of the cores: a message that is handed from
/// thread to thread waits for a core that its clients want, too. Where it syncs, a thread that waits for the disk has to
/// leave another one that works.
fn environment(sync_always: bool) -> Vec<(&'static str, String)> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if sync_always { Vec::new() } else { vec![("GOMAXPROCS", (cores / 2).max(1).to_string())] }
}

/// A running nats-server with JetStream. Dropping it kills it, which loses nothing that was synced.
pub struct NatsServer {
    supervisor: Supervisor,
    credentials: Credentials,
    port: u16,
    monitoring_port: Option<u16>,
    _lock: InstanceLock,
}

impl NatsServer {
    /// Finds, configures and starts the server; returns when it takes connections. Blocks the calling task
    /// briefly for small files.
    ///
    /// # Errors
    /// Nothing is left running when this fails.
    pub async fn start(options: NatsOptions) -> Result<Self, ServerError> {
        let program = find_nats_server(&options.search)?;
        let directory = &options.data_dir;
        private_dir(directory)?;
        let lock = InstanceLock::acquire(directory, "nats-server")?;
        let record = directory.join("running.json");
        end_leftover(&record, Signal::SIGTERM)?;
        let credentials = Credentials::load_or_create(&directory.join("credentials.json"), OWNER)?;
        NatsUsers::of(directory).prepare(&credentials, &options.services)?;
        let setpriv = find_setpriv(&options.search);

        let mut attempt = 1;
        loop {
            let port = match options.port {
                Some(port) => port,
                None if attempt == 1 => last_port(directory).map_or_else(free_port, Ok)?,
                None => free_port()?,
            };
            let monitoring_port = options.monitoring.then(free_port).transpose()?;
            // Whoever answers on the port must prove to be this very server, not one that took the port.
            let server_name = format!("tapedeck-{}", random_text(8)?);
            let config_path = directory.join("nats-server.conf");
            let text = config::render(&options, &server_name, port, monitoring_port);
            write_private(&config_path, text.as_bytes())?;
            let spec = ChildSpec {
                name: "nats-server",
                program: program.clone(),
                arguments: vec!["--config".to_owned(), config_path.display().to_string()],
                environment: environment(options.sync_always),
                stdin_directory: None,
                user: None,
                setpriv: setpriv.clone(),
                log: directory.join("server.log"),
                record: record.clone(),
                port,
                stop_signal: Signal::SIGTERM,
                end_signal: Signal::SIGKILL,
                start_timeout: START_TIMEOUT,
                stop_timeout: STOP_TIMEOUT,
                ready: Arc::new(move |_| answers_as(&server_name, port)),
            };
            match Supervisor::start(spec).await {
                Ok(supervisor) => {
                    write_private(&directory.join("port"), port.to_string().as_bytes())?;
                    return Ok(Self { supervisor, credentials, port, monitoring_port, _lock: lock });
                }
                Err(ServerError::NotStarted { reason, .. })
                    if options.port.is_none()
                        && attempt < PORT_ATTEMPTS
                        && reason.contains("address already in use") =>
                {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The URL with user and password, for clients; not for logs.
    pub fn url(&self) -> String {
        let Credentials { user, password } = &self.credentials;
        format!("nats://{user}:{}@127.0.0.1:{}", password.expose_secret(), self.port)
    }

    /// The URL without credentials, for people.
    pub fn address(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// User and password.
    pub fn credentials(&self) -> (&str, &SecretString) {
        (&self.credentials.user, &self.credentials.password)
    }

    /// The client port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port of the monitoring pages, when asked for.
    pub fn monitoring_port(&self) -> Option<u16> {
        self.monitoring_port
    }

    /// The server's state, also for waiting for a change.
    pub fn state(&self) -> watch::Receiver<ServerState> {
        self.supervisor.state()
    }

    /// Stops the server: clients are disconnected, streams are flushed and closed.
    pub async fn stop(self) {
        self.supervisor.stop().await;
    }
}

/// The port of the last run, if nobody else has taken it: programs that were told of it find the server again.
fn last_port(directory: &Path) -> Option<u16> {
    let port = std::fs::read_to_string(directory.join("port")).ok()?.trim().parse().ok()?;
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok().map(|_| port)
}

/// Whether the server called `server_name` takes connections on `port`. A server speaks first, and it
/// listens only after JetStream has recovered its streams.
fn answers_as(server_name: &str, port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let greeting = || -> std::io::Result<String> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_millis(200))?;
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line)
    };
    let Ok(line) = greeting() else { return false };
    let Some(json) = line.strip_prefix("INFO ") else { return false };
    serde_json::from_str::<serde_json::Value>(json.trim()).is_ok_and(|info| {
        info["server_name"].as_str() == Some(server_name) && info["jetstream"].as_bool() == Some(true)
    })
}
