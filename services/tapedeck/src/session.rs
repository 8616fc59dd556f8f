//! A session: one tape, its servers and the connections to them, for as long as a command runs.
//!
//! A command finds the tape's servers running (then it uses them), or starts them and stops them at its
//! end. `NATS_URL` and `DATABASE_URL` take their place where set.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::calendar::Market;
use event_log::{Auth, ConnectOptions, JetStreamLog, Tape};
use local_servers::{InstanceLock, NatsUsers, ServerError, Stay};
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use web::access::Store;

pub use crate::addresses::random_hex;
use crate::addresses::{Addresses, SecretUrl, password_of, split_url, write_private};
use crate::cli::{Global, ServerUrls};
use crate::command::up;
use crate::config::Config;
use crate::exit::Failure;
use crate::held;
use crate::home::{Home, Manifest, TapeDir, TapeKind, calendar_note};
use crate::servers::{Owned, answers, attach, external, runs_already, start, uses_external};

/// One tape, open.
pub struct Session {
    /// This tape's directory.
    pub dir: TapeDir,
    /// What the tape is.
    pub manifest: Manifest,
    /// The configuration.
    pub config: Arc<Config>,
    /// Options of the command that opened it.
    pub global: Global,
    /// Users and API tokens of the installation.
    pub access: Arc<Store>,
    /// The tape.
    pub tape: Tape,
    /// The same, for what only the adapter can do: definitions of streams.
    pub jetstream: JetStreamLog,
    /// Where the servers are.
    pub addresses: Addresses,
    /// Whether the servers are the user's own, named by NATS_URL and DATABASE_URL.
    pub external_servers: bool,
    reader: Mutex<Option<PgPool>>,
    owned: Option<Owned>,
    /// Held while the servers of another process are used.
    stay: Option<Visit>,
    access_wanted: Access,
    interrupt: CancellationToken,
}

/// What a command wants of a tape that other processes may have open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To use it beside whoever has it open.
    Shared,
    /// To run it: refused when another process does.
    Sole,
}

/// The tape of one's own history, where no other is named.
pub const OWN_TAPE: &str = "main";
/// Owner of the lock of a tape that a command has opened beside others; it is about to end.
const PASSING: &str = "a command of tapedeck";
/// How long one that is to run a tape waits for such a command.
const PASSING_MAX: Duration = Duration::from_secs(10);
const PASSING_LOOK: Duration = Duration::from_millis(100);
/// How long a command waits for one that stops the servers, before it starts them itself.
const LEAVING_MAX: Duration = Duration::from_secs(60);

/// Takes the lock of a tape.
async fn lock(dir: &TapeDir, access: Access) -> Result<InstanceLock, ServerError> {
    let began = Instant::now();
    loop {
        let owner = if access == Access::Sole { "tapedeck" } else { PASSING };
        match InstanceLock::acquire(&dir.path, owner) {
            Err(ServerError::InUse { owner, .. })
                if access == Access::Sole && owner.starts_with(PASSING) && began.elapsed() < PASSING_MAX =>
            {
                tokio::time::sleep(PASSING_LOOK).await;
            }
            outcome => return outcome,
        }
    }
}

/// A stay of a command that uses the servers of another process.
struct Visit {
    stay: Stay,
    /// Whether that is a command too, which runs no services.
    of_command: bool,
}

/// The lock of a tape, or the stay of a command that uses the servers of the process which holds it.
async fn enter(dir: &TapeDir, access: Access) -> Result<(Option<InstanceLock>, Option<Visit>), Failure> {
    let failed = |error: ServerError| Failure::config(error.to_string());
    let began = Instant::now();
    loop {
        // Before the lock is looked at: from then on its holder does not leave.
        let stay = match access {
            Access::Shared => Stay::begin(&dir.path).map_err(failed)?,
            Access::Sole => None,
        };
        match lock(dir, access).await {
            Ok(lock) => return Ok((Some(lock), None)),
            Err(ServerError::InUse { owner, .. }) if access == Access::Sole => {
                return Err(runs_already(dir, &owner));
            }
            Err(ServerError::InUse { owner, .. }) => {
                if let Some(stay) = stay {
                    return Ok((None, Some(Visit { stay, of_command: owner.starts_with(PASSING) })));
                }
                if began.elapsed() > LEAVING_MAX {
                    return Err(Failure::unreachable(format!(
                        "tape {}: {owner} is stopping its servers and has not ended within {LEAVING_MAX:?}",
                        dir.name
                    )));
                }
                tokio::time::sleep(PASSING_LOOK).await;
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

/// Whether a process runs a tape: one that has it open beside others may end at any moment.
pub fn is_run(dir: &TapeDir) -> bool {
    let held = || InstanceLock::acquire(&dir.path, PASSING);
    Addresses::read(dir).is_some()
        && matches!(held(), Err(ServerError::InUse { owner, .. }) if !owner.starts_with(PASSING))
}

impl Session {
    /// Opens the tape named by the options, else the one used last.
    pub async fn open(global: &Global) -> Result<Self, Failure> {
        let (home, dir, manifest) = Self::chosen(global).await?;
        Self::opened(global, home, dir, manifest, Access::Shared).await
    }

    /// The tape named by the options, else the one that servers of the user's own hold, else the one used last where its
    /// servers run: nothing is started for a tape that nobody named.
    pub async fn open_running(global: &Global) -> Result<Option<Self>, Failure> {
        if global.tape.is_some() {
            return Self::open(global).await.map(Some);
        }
        let Ok(home) = Home::locate(global.home.as_deref()) else { return Ok(None) };
        let is_there = match home.last() {
            Some(last) => uses_external(&global.servers) || is_run(&last),
            // A home that was never used may be one beside servers that are.
            None => held::tape(global, &home).await?.is_some(),
        };
        if is_there { Self::open(global).await.map(Some) } else { Ok(None) }
    }

    /// The tape named by the options, else the one that servers of the user's own hold, else the one used last, before it
    /// is opened.
    pub async fn chosen(global: &Global) -> Result<(Home, TapeDir, Manifest), Failure> {
        let home = Home::locate(global.home.as_deref())?;
        let dir = match &global.tape {
            Some(name) => home.tape(name)?,
            None => match held::tape(global, &home).await?.or_else(|| home.last()) {
                Some(dir) => dir,
                None if uses_external(&global.servers) => home.tape(OWN_TAPE)?,
                None => return Err(home.none_meant()),
            },
        };
        let Some(manifest) = held::manifest_of(global, &dir).await? else {
            return Err(held::unknown(global, &home, &dir));
        };
        Ok((home, dir, manifest))
    }

    /// Opens the tape named by the options, else `main`, which is made if it does not exist: a demo or a rehearsal used
    /// last is no place for one's own history.
    pub async fn open_own(global: &Global) -> Result<Self, Failure> {
        Self::open_own_of(global, Market::default()).await
    }

    /// The same; a tape that is made is one of `market`.
    pub async fn open_own_of(global: &Global, market: Market) -> Result<Self, Failure> {
        let home = Home::locate(global.home.as_deref())?;
        let dir = home.tape(global.tape.as_deref().unwrap_or(OWN_TAPE))?;
        let manifest = match held::manifest_of(global, &dir).await? {
            Some(manifest) => manifest,
            None => Manifest { calendar: calendar_note(market), ..up::manifest(TapeKind::Main, 0) },
        };
        Self::open_tape(global, home, dir, manifest, Access::Shared).await
    }

    /// Opens the given tape, which becomes the one used last; it is made if it does not exist.
    pub async fn open_tape(
        global: &Global,
        home: Home,
        dir: TapeDir,
        manifest: Manifest,
        access: Access,
    ) -> Result<Self, Failure> {
        let remembered = (home.clone(), dir.clone());
        let session = Self::opened(global, home, dir, manifest, access).await?;
        remembered.0.remember(&remembered.1)?;
        Ok(session)
    }

    /// The same, but commands go on to speak of the tape that was used last before.
    pub async fn opened(
        global: &Global,
        home: Home,
        dir: TapeDir,
        manifest: Manifest,
        access: Access,
    ) -> Result<Self, Failure> {
        let config = Arc::clone(&global.configuration()?.config);
        check_servers(&global.servers)?;
        let external_servers = uses_external(&global.servers);
        let (lock, stay) = if external_servers { (None, None) } else { enter(&dir, access).await? };
        let named = match external_servers {
            true => {
                let is_meant = global.tape.is_some() || access == Access::Sole;
                Some(claimed(&global.servers, &dir, &manifest, is_meant).await?)
            }
            false => None,
        };
        // Only now: others find the tape when whoever makes it has it open.
        dir.ensure(&manifest)?;
        let (addresses, owned) = match (lock, &named) {
            (Some(lock), _) => {
                let (addresses, owned) = start(global, &config, &dir, &manifest, lock).await?;
                (addresses, Some(owned))
            }
            (None, Some((addresses, _))) => (addresses.clone(), None),
            (None, None) => (attach(&dir).await?, None),
        };
        let jetstream = match named {
            Some((_, jetstream)) => jetstream,
            None => connect(&addresses).await?,
        };
        event_log::definitions::apply(&jetstream).await?;
        let session = Self {
            dir,
            manifest,
            config,
            global: global.clone(),
            reader: Mutex::new(None),
            access: Store::new(home.root().join("access.json")),
            tape: Arc::new(jetstream.clone()),
            jetstream,
            addresses,
            external_servers,
            owned,
            stay,
            access_wanted: access,
            interrupt: CancellationToken::new(),
        };
        session.watch_interrupt();
        if session.owned.is_some() || external_servers {
            session.migrate(global).await?;
        }
        if session.owned.is_some() {
            session.announce(None)?;
        }
        Ok(session)
    }

    /// How to connect to the tape's NATS server once more.
    pub fn connect_options(&self) -> ConnectOptions {
        nats_options(&self.addresses)
    }

    /// The tape as the user of a service, where the tape's own server knows one; else as this session.
    pub async fn log_of(&self, service: &str) -> Result<JetStreamLog, Failure> {
        let known = event_log::definitions::PERMISSIONS.iter().find(|file| file.service == service);
        let Some(user) = known.map(|file| file.user()).filter(|_| !self.external_servers) else {
            return Ok(self.jetstream.clone());
        };
        let users = NatsUsers::of(self.dir.path.join("nats"));
        let password = users.service_password(&user).map_err(|error| Failure::config(error.to_string()))?;
        // Servers that an older version started know no such users.
        let Some(password) = password else { return Ok(self.jetstream.clone()) };
        let name = format!("tapedeck {service}");
        let options =
            ConnectOptions { auth: Auth::Password { user, password }, name, ..nats_options(&self.addresses) };
        let connected = event_log::connect(options).await;
        connected.map_err(|error| Failure::unreachable(format!("NATS: {error}")))
    }

    /// The command's own pool that can only read, made when it is first asked for.
    pub async fn reader(&self) -> Result<PgPool, Failure> {
        let mut reader = self.reader.lock().await;
        if let Some(pool) = reader.as_ref().filter(|pool| !pool.is_closed()) {
            return Ok(pool.clone());
        }
        let pool = self.separate_reader().await?;
        *reader = Some(pool.clone());
        Ok(pool)
    }

    /// A pool of its own for a service, so that a page that reads much does not hold up a decision.
    pub async fn separate_reader(&self) -> Result<PgPool, Failure> {
        projections::reader_pool(self.reader_options()?, 8)
            .await
            .map_err(|error| Failure::unreachable(error.to_string()))
    }

    /// How to connect to the read models once more, with the right to read.
    pub fn reader_options(&self) -> Result<PgConnectOptions, Failure> {
        options(&self.addresses.reader_url)
    }

    /// A pool that writes read models.
    pub async fn projector(&self) -> Result<PgPool, Failure> {
        let options = options(&self.addresses.projector_url)?;
        projections::projector_pool(options, 12)
            .await
            .map_err(|error| Failure::unreachable(error.to_string()))
    }

    /// Completes when the user asks to stop.
    pub async fn interrupted(&self) {
        self.interrupt.cancelled().await;
    }

    /// Cancelled when the user asks to stop.
    pub fn interrupt(&self) -> CancellationToken {
        self.interrupt.clone()
    }

    /// Writes down where the servers and the dashboard are, for other commands.
    pub fn announce(&self, dashboard: Option<String>) -> Result<(), Failure> {
        Addresses { dashboard, ..self.addresses.clone() }.write(&self.dir)
    }

    /// The key behind the dashboard's sessions, made at the first start and kept with the tape.
    pub fn web_secret(&self) -> Result<[u8; 32], Failure> {
        let path = self.dir.path.join("web-secret");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let made = random_hex()?;
                write_private(&path, &made)?;
                made
            }
            Err(error) => return Err(error.into()),
        };
        let mut secret = [0u8; 32];
        let digits = text.trim().as_bytes();
        for (byte, pair) in secret.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = std::str::from_utf8(pair)
                .ok()
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
                .filter(|_| digits.len() == 64)
                .ok_or_else(|| Failure::config(format!("{}: expected 64 hex digits", path.display())))?;
        }
        Ok(secret)
    }

    /// True when this session started the servers.
    pub fn owns_servers(&self) -> bool {
        self.owned.is_some()
    }

    /// True when nobody but commands uses the tape's own servers: then no projector of others follows what is appended.
    pub fn is_among_commands(&self) -> bool {
        self.owned.is_some() || self.stay.as_ref().is_some_and(|visit| visit.of_command)
    }

    /// Stops what this session started. A command that started servers beside others leaves last; whoever runs the tape
    /// waits for nobody.
    pub async fn close(self) {
        let Self { dir, owned, tape, jetstream, reader, stay, access_wanted, interrupt, .. } = self;
        if let Some(pool) = reader.into_inner() {
            pool.close().await;
        }
        // Clients leave before their server does.
        drop((tape, jetstream));
        if let Some(mut owned) = owned {
            match access_wanted {
                Access::Shared => owned.outlast_others(&dir.name, &interrupt).await,
                Access::Sole => {
                    owned.used_by_others();
                }
            }
            Addresses::remove(&dir);
            owned.stop().await;
        }
        drop(stay.map(|visit| visit.stay));
    }

    fn watch_interrupt(&self) {
        let token = self.interrupt.clone();
        tokio::spawn(async move {
            let Ok(mut signals) = crate::interrupt::Signals::new() else { return };
            signals.recv().await;
            token.cancel();
        });
    }

    async fn migrate(&self, global: &Global) -> Result<(), Failure> {
        // A server that goes away meanwhile is no matter of the configuration: whoever asks may ask again.
        let refused = |error: projections::ConnectError| match was_cut_off(&error) {
            true => Failure::unreachable(error.to_string()),
            false => Failure::config(error.to_string()),
        };
        let away = |error: sqlx::Error| Failure::unreachable(format!("PostgreSQL: {error}"));
        let options = options(&self.addresses.admin_url)?;
        if self.external_servers {
            answers(&options).await?;
        }
        let admin = PgPool::connect_with(options).await.map_err(away)?;
        projections::migrate(&admin).await.map_err(refused)?;
        // A database of the user's own keeps its logins; the pools take on the group roles by themselves.
        if !uses_external(&global.servers) {
            let projector = password_of(&self.addresses.projector_url);
            let reader = password_of(&self.addresses.reader_url);
            projections::provision_logins(&admin, &projector, &reader).await.map_err(refused)?;
        }
        admin.close().await;
        Ok(())
    }
}

/// Refuses servers of the user's own of which one alone is named, or that are named in no form there is.
pub fn check_servers(servers: &ServerUrls) -> Result<(), Failure> {
    if !uses_external(servers) {
        return Ok(());
    }
    options(&external(servers)?.admin_url).map(drop)
}

/// Whether an error is that of a connection, not of what was asked over it.
fn was_cut_off(error: &(dyn std::error::Error + 'static)) -> bool {
    use sqlx::Error;
    let chain = std::iter::successors(Some(error), |error| error.source());
    let mut of_database = chain.filter_map(|error| error.downcast_ref::<Error>());
    of_database.any(|error| match error {
        Error::Io(_)
        | Error::Protocol(_)
        | Error::PoolTimedOut
        | Error::PoolClosed
        | Error::WorkerCrashed => true,
        // Class 57P: an operator ends the server, or it is only starting.
        Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57P")),
        _ => false,
    })
}

/// The servers of the user's own, which hold this tape from now on if they held none.
async fn claimed(
    servers: &ServerUrls,
    dir: &TapeDir,
    manifest: &Manifest,
    is_meant: bool,
) -> Result<(Addresses, JetStreamLog), Failure> {
    dir.check(manifest)?;
    let addresses = external(servers)?;
    let jetstream = connect(&addresses).await?;
    held::claim(&jetstream, dir, manifest, is_meant).await?;
    Ok((addresses, jetstream))
}

/// Connects to the tape's NATS server.
pub async fn connect(addresses: &Addresses) -> Result<JetStreamLog, Failure> {
    event_log::connect(nats_options(addresses))
        .await
        .map_err(|error| Failure::unreachable(format!("NATS: {error}")))
}

fn nats_options(addresses: &Addresses) -> ConnectOptions {
    // The address is told in errors, so user and password travel beside it.
    let (url, login) = split_url(addresses.nats_url.expose());
    let auth = match login {
        None => Auth::None,
        Some((user, password)) => Auth::Password { user, password: password.into() },
    };
    ConnectOptions { url: url.into(), auth, name: "tapedeck".to_owned(), clock: event_log::Clock::default() }
}

fn options(url: &SecretUrl) -> Result<PgConnectOptions, Failure> {
    // The parser's message may hold parts of the URL, so it is not repeated.
    url.expose()
        .parse()
        .map_err(|_| Failure::config("DATABASE_URL: expected postgres://user:password@host:port/database"))
}
