//! The servers of a tape: started here, found running, or the user's own.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use event_log::definitions::{PERMISSIONS, PermissionFile};
use local_servers::{
    InstanceLock, NatsOptions, NatsServer, PostgresOptions, PostgresServer, Search, ServerError, ServiceUser,
};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use tokio_util::sync::CancellationToken;

use crate::addresses::{Addresses, Logins, SecretUrl, with_login};
use crate::cli::{Global, ServerUrls};
use crate::config::Config;
use crate::exit::Failure;
use crate::home::{Manifest, TapeDir, TapeKind};
use crate::output::message;

/// How long a command waits for the servers of another process that is just starting them.
const ATTACH_WAIT: Duration = Duration::from_secs(20);
/// Name of the tape's database.
const DATABASE: &str = "tapedeck";
const ATTACH_POLL: Duration = Duration::from_millis(50);
/// How long a database of the user's own may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How long a command that is done waits for others before it says so.
const TOLD_AFTER: Duration = Duration::from_secs(1);

/// Servers that this session started.
pub struct Owned {
    nats: NatsServer,
    postgres: PostgresServer,
    lock: InstanceLock,
}

impl Owned {
    /// Waits until no other command uses the servers any more, or the user does not want to wait. None comes meanwhile.
    pub async fn outlast_others(&mut self, tape: &str, interrupt: &CancellationToken) {
        let began = Instant::now();
        let mut told = false;
        while self.used_by_others() {
            if !told && began.elapsed() > TOLD_AFTER {
                told = true;
                message(&format!(
                    "tape {tape}: another command uses its servers, which stop when it ends, or now upon Ctrl-C\n"
                ));
            }
            tokio::select! {
                biased;
                () = interrupt.cancelled() => return,
                () = tokio::time::sleep(ATTACH_POLL) => {}
            }
        }
    }

    /// Whether other commands use the servers. Where none does, none begins to.
    pub fn used_by_others(&mut self) -> bool {
        match self.lock.close() {
            Ok(alone) => !alone,
            Err(error) => {
                tracing::warn!(%error, "who else uses the servers is not known");
                false
            }
        }
    }

    /// Stops both, PostgreSQL first: the tape is the truth and goes last.
    pub async fn stop(self) {
        self.postgres.stop().await;
        self.nats.stop().await;
        drop(self.lock);
    }
}

/// True when the user named servers.
pub fn uses_external(servers: &ServerUrls) -> bool {
    servers.nats_url.is_some() || servers.database_url.is_some()
}

/// The servers the user named; both or neither.
pub fn external(servers: &ServerUrls) -> Result<Addresses, Failure> {
    let (Some(nats), Some(database)) = (&servers.nats_url, &servers.database_url) else {
        return Err(Failure::usage(
            "only one of NATS_URL and DATABASE_URL is set",
            "set both, or neither for the tape's own servers",
        ));
    };
    let database = SecretUrl::new(database.clone());
    Ok(Addresses {
        nats_url: SecretUrl::new(nats.clone()),
        admin_url: database.clone(),
        projector_url: database.clone(),
        reader_url: database,
        dashboard: None,
    })
}

/// Starts both servers of the tape.
pub async fn start(
    global: &Global,
    config: &Config,
    dir: &TapeDir,
    manifest: &Manifest,
    lock: InstanceLock,
) -> Result<(Addresses, Owned), Failure> {
    let search = search(&global.servers);
    let port = |port: u16| (port != 0).then_some(port);
    let nats = NatsServer::start(NatsOptions {
        port: port(config.servers.nats_port),
        // A rehearsal can be repeated from its inputs; everything else is synced before it is acknowledged.
        sync_always: manifest.kind == TapeKind::Main,
        services: service_users()?,
        ..NatsOptions::new(dir.path.join("nats"), search.clone())
    });
    let postgres = PostgresServer::start(PostgresOptions {
        port: port(config.servers.postgres_port),
        ..PostgresOptions::new(dir.path.join("postgres"), search)
    });
    let (nats, postgres) = tokio::join!(nats, postgres);
    let failed = |error: ServerError| Failure::config(error.to_string());
    let nats = nats.map_err(|error| not_started("servers.nats_port", config.servers.nats_port, &error))?;
    let postgres = postgres
        .map_err(|error| not_started("servers.postgres_port", config.servers.postgres_port, &error))?;
    let logins = Logins::load_or_create(dir)?;
    postgres.ensure_database(DATABASE).await.map_err(failed)?;
    let admin = postgres.url(DATABASE);
    let as_login = |login: &str, password: &str| SecretUrl::new(with_login(&admin, login, password));
    let addresses = Addresses {
        nats_url: SecretUrl::new(nats.url()),
        projector_url: as_login(projections::PROJECTOR_LOGIN, &logins.projector),
        reader_url: as_login(projections::READER_LOGIN, &logins.reader),
        admin_url: SecretUrl::new(admin),
        dashboard: None,
    };
    Ok((addresses, Owned { nats, postgres, lock }))
}

/// Why a server has not started: the port that `field` states where it is not free, else what the server says.
fn not_started(field: &str, port: u16, error: &ServerError) -> Failure {
    match taken(port) {
        Some(taken) => {
            let hint = "set it to 0 for a free one".to_owned();
            Failure { hint, ..Failure::config(format!("{field} = {port}: {taken}")) }
        }
        None => Failure::config(error.to_string()),
    }
}

/// Why nobody can listen at a stated port of this machine now; 0 is any.
pub fn taken(port: u16) -> Option<std::io::Error> {
    std::net::TcpListener::bind(("127.0.0.1", port)).err()
}

/// Whether a database of the user's own answers. A pool asks one that is not there for half a minute, and then says only that
/// it has waited. It may do so with one that is starting, or has no room for the moment.
pub async fn answers(options: &PgConnectOptions) -> Result<(), Failure> {
    let away = |error: sqlx::Error| Failure::unreachable(format!("PostgreSQL: {error}"));
    match tokio::time::timeout(ANSWER_MAX, PgConnection::connect_with(options)).await {
        Ok(Ok(connection)) => connection.close().await.map_err(away),
        Ok(Err(sqlx::Error::Database(error))) if error.is_transient_in_connect_phase() => Ok(()),
        Ok(Err(error)) => Err(away(error)),
        Err(_) => {
            let seconds = ANSWER_MAX.as_secs();
            Err(Failure::unreachable(format!("PostgreSQL: no answer within {seconds} seconds")))
        }
    }
}

/// The users of the services, each with the permissions of its file.
fn service_users() -> Result<Vec<ServiceUser>, Failure> {
    let user = |file: &PermissionFile| {
        let permissions = file.permissions().map_err(|error| Failure::config(error.to_string()))?;
        Ok(ServiceUser { name: file.user(), permissions })
    };
    PERMISSIONS.iter().map(user).collect()
}

/// Where programs are looked for.
#[expect(clippy::disallowed_methods, reason = "the binary is where the environment is read")]
pub fn search(servers: &ServerUrls) -> Search {
    let cache = || {
        std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
            .map(|cache| cache.join("tapedeck/tools"))
    };
    Search { explicit: None, path: std::env::var_os("PATH"), tools_dir: servers.tools.clone().or_else(cache) }
}

/// Waits for the process that holds the tape to have written down where its servers are.
pub async fn attach(dir: &TapeDir) -> Result<Addresses, Failure> {
    let deadline = tokio::time::Instant::now() + ATTACH_WAIT;
    loop {
        if let Some(addresses) = Addresses::read(dir) {
            return Ok(addresses);
        }
        if tokio::time::Instant::now() >= deadline {
            return Err(Failure::unreachable(format!(
                "tape {} is held by a process that has not started its servers within {ATTACH_WAIT:?}",
                dir.name
            )));
        }
        tokio::time::sleep(ATTACH_POLL).await;
    }
}

/// The refusal of a second process that wants to run the tape.
pub fn runs_already(dir: &TapeDir, owner: &str) -> Failure {
    let dashboard = Addresses::read(dir).and_then(|addresses| addresses.dashboard);
    let place = dashboard.map_or_else(String::new, |url| format!("; its dashboard is {url}"));
    Failure::usage(format!("tape {} runs already: {owner}{place}", dir.name), "tapedeck status")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_somebody_has_is_named_by_its_setting() {
        let said = || ServerError::NotReloaded { program: "nats-server", reason: "its own words".to_owned() };
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let refused = not_started("servers.nats_port", port, &said());
        assert!(refused.message.starts_with(&format!("servers.nats_port = {port}: ")), "{refused:?}");
        assert_eq!((refused.code, refused.hint.as_str()), (4, "set it to 0 for a free one"));
        drop(listener);
        for port in [port, 0] {
            let refused = not_started("servers.nats_port", port, &said());
            assert!(refused.message.contains("its own words"), "{refused:?}");
        }
    }
}
