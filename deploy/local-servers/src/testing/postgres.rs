//! One PostgreSQL for all tests, one database for each.

use std::hash::{DefaultHasher, Hasher as _};
use std::path::Path;
use std::sync::{Arc, Weak};

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::sync::Mutex;

use super::{DATABASE_URL_VARIABLE, search_from_environment, temporary_directory, variable};
use crate::credentials::random_text;
use crate::postgres::identifier;
use crate::{PostgresOptions, PostgresServer, ServerError};

/// The server of this process, for as long as a test uses it. Weak, because what a static holds is never
/// dropped, and the server's directory would stay behind.
static OWN: Mutex<Weak<OwnServer>> = Mutex::const_new(Weak::new());

struct OwnServer {
    server: PostgresServer,
    _directory: TempDir,
}

/// A PostgreSQL shared by tests.
#[derive(Clone)]
pub struct TestPostgres {
    url: String,
    _own: Option<Arc<OwnServer>>,
}

/// A database of one test; dropped by the next clean-up of the server, not by the test.
#[derive(Clone)]
pub struct TestDatabase {
    url: String,
    name: String,
    _server: TestPostgres,
}

impl TestPostgres {
    /// The server named by `TAPEDECK_TEST_DATABASE_URL`, else one that this process starts and shares among
    /// its tests until none of them uses it. It does not sync its writes.
    pub async fn shared() -> Result<Self, ServerError> {
        if let Some(url) = variable(DATABASE_URL_VARIABLE) {
            return Ok(Self { url, _own: None });
        }
        let mut own = OWN.lock().await;
        let server = match own.upgrade() {
            Some(server) => server,
            None => {
                let directory = temporary_directory()?;
                let options = test_options(directory.path().join("postgres"));
                let server = PostgresServer::start(options).await?;
                let server = Arc::new(OwnServer { server, _directory: directory });
                *own = Arc::downgrade(&server);
                server
            }
        };
        Ok(Self { url: server.server.url("postgres"), _own: Some(server) })
    }

    /// The superuser's URL of the database `postgres`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes a database with a random name: empty, or a copy of the database `template`, to which nobody may
    /// be connected.
    pub async fn create_database(&self, template: Option<&str>) -> Result<TestDatabase, ServerError> {
        let name = format!("test_{}", random_text(10)?);
        let failed = failed("make a database for a test");
        let template = identifier(template.unwrap_or("template1")).map_err(&failed)?;
        let statement = format!("CREATE DATABASE {name} TEMPLATE {template}");
        let mut connection = PgConnection::connect(&self.url).await.map_err(&failed)?;
        run(&mut connection, statement).await.map_err(&failed)?;
        connection.close().await.map_err(&failed)?;
        Ok(TestDatabase { url: with_database(&self.url, &name), name, _server: self.clone() })
    }

    /// A copy of the template database `template`, which `prepare` fills once per server: the first caller of
    /// all test processes runs it with the URL of the empty database, the others wait. Put what decides the
    /// content (a version, a hash of the migrations) into the name. `prepare` must close its connections.
    pub async fn create_database_from<F, E>(
        &self,
        template: &str,
        prepare: impl FnOnce(String) -> F,
    ) -> Result<TestDatabase, E>
    where
        F: Future<Output = Result<(), E>>,
        E: From<ServerError>,
    {
        let failed = failed("prepare a template database");
        let name = identifier(template).map_err(&failed)?;
        let mut connection = PgConnection::connect(&self.url).await.map_err(&failed)?;
        sqlx::query("SELECT pg_advisory_lock(hashtextextended($1, 0))")
            .bind(name)
            .execute(&mut connection)
            .await
            .map_err(&failed)?;
        let complete: Option<bool> =
            sqlx::query_scalar("SELECT datistemplate FROM pg_database WHERE datname = $1")
                .bind(name)
                .fetch_optional(&mut connection)
                .await
                .map_err(&failed)?;
        if complete != Some(true) {
            // One that is no template yet was left by a test that died while it prepared it.
            let drop_half = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            run(&mut connection, drop_half).await.map_err(&failed)?;
            run(&mut connection, format!("CREATE DATABASE {name}")).await.map_err(&failed)?;
            prepare(with_database(&self.url, name)).await?;
            let finish = format!("ALTER DATABASE {name} IS_TEMPLATE true ALLOW_CONNECTIONS false");
            run(&mut connection, finish).await.map_err(&failed)?;
        }
        // Closing the connection gives the lock back.
        connection.close().await.map_err(&failed)?;
        Ok(self.create_database(Some(name)).await?)
    }

    /// A copy of a database on which `migrate` has run this repository's migrations: once for all tests of a server, which
    /// takes as long as a second. `migrate` must close its connections. What is granted on a database is not copied with it,
    /// so whoever needs that migrates the copy again, which is a moment's work.
    pub async fn create_migrated<F, E>(&self, migrate: impl FnOnce(String) -> F) -> Result<TestDatabase, E>
    where
        F: Future<Output = Result<(), E>>,
        E: From<ServerError>,
    {
        self.create_database_from(&name_of_migrations()?, migrate).await
    }
}

impl TestDatabase {
    /// The superuser's URL of this database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Options of a server for tests in `data_dir`: no syncs, more connections than a laptop's tests open.
pub fn test_options(data_dir: std::path::PathBuf) -> PostgresOptions {
    let mut options = PostgresOptions::new(data_dir, search_from_environment());
    options.durable = false;
    options.max_connections = 300;
    options
}

/// The name of a template with the migrations as they are now.
fn name_of_migrations() -> Result<String, ServerError> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
    let hashed = || -> std::io::Result<u64> {
        let entries = std::fs::read_dir(&directory)?;
        let mut files = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
        files.sort();
        let mut hasher = DefaultHasher::new();
        for file in files {
            hasher.write(&std::fs::read(file)?);
        }
        Ok(hasher.finish())
    };
    let hash = hashed().map_err(ServerError::file(&directory, "read the migrations"))?;
    Ok(format!("migrated_{hash:016x}"))
}

fn failed(doing: &'static str) -> impl Fn(sqlx::Error) -> ServerError {
    move |source| ServerError::Database { doing: doing.to_owned(), source }
}

async fn run(connection: &mut PgConnection, statement: String) -> Result<(), sqlx::Error> {
    // The names in it were checked by `identifier`.
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(connection).await.map(drop)
}

/// `url` with another database.
fn with_database(url: &str, database: &str) -> String {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let authority_end = base.find("://").map_or(0, |scheme| scheme + 3);
    let path = base[authority_end..].find('/').map_or(base.len(), |slash| authority_end + slash);
    let separator = if query.is_empty() { "" } else { "?" };
    format!("{}/{database}{separator}{query}", &base[..path])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_of_a_url_is_replaced() {
        let check = |url: &str, expected: &str| assert_eq!(with_database(url, "x"), expected);
        check("postgres://u:p@127.0.0.1:5/postgres", "postgres://u:p@127.0.0.1:5/x");
        check("postgres://u:p@127.0.0.1:5", "postgres://u:p@127.0.0.1:5/x");
        check("postgres://u:p@h/db?sslmode=disable", "postgres://u:p@h/x?sslmode=disable");
    }
}
