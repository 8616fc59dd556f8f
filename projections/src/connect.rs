//! Connections: migrating, the logins of the two roles, and pools set up for writing and for reading.

use std::borrow::Cow;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, Executor as _, PgPool, SqlStr};

/// Version, description and text of each migration, in their order.
const MIGRATIONS: &[(i64, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// Login of the projector, a member of `tapedeck_projector`.
pub const PROJECTOR_LOGIN: &str = "tapedeck_projector_login";
/// Login of everything that reads, a member of `tapedeck_reader`.
pub const READER_LOGIN: &str = "tapedeck_reader_login";

/// The database could not be prepared or reached.
#[derive(Debug, thiserror::Error)]
#[error("database: {doing}: {source}")]
pub struct ConnectError {
    /// What was being done.
    pub doing: &'static str,
    /// Cause.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

fn failed<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    doing: &'static str,
) -> impl Fn(E) -> ConnectError {
    move |source| ConnectError { doing, source: source.into() }
}

/// Brings the database to the newest version. Instances that start together wait for each other
/// (an advisory lock); a second run changes nothing. The user needs the right to create roles and schemas.
pub async fn migrate(admin: &PgPool) -> Result<(), ConnectError> {
    let mut migrator = embedded();
    // The database may be shared with other programs: nothing of ours is put into their schemas.
    migrator.create_schema("projection");
    migrator.dangerous_set_table_name("projection.migrations");
    migrator.run(admin).await.map_err(failed("migrating"))?;
    // Two grants on one database at a time fail, and migrating holds its lock no longer.
    let granting = failed("granting rights on the database");
    let mut transaction = admin.begin().await.map_err(&granting)?;
    for statement in [
        "SELECT pg_advisory_xact_lock(hashtextextended('tapedeck.grant_database', 0))",
        "SELECT projection.grant_database()",
    ] {
        transaction.execute(statement).await.map_err(&granting)?;
    }
    transaction.commit().await.map_err(&granting)?;
    Ok(())
}

fn embedded() -> Migrator {
    let migrations = MIGRATIONS.iter().map(|&(version, description, text)| {
        let (description, text) = (Cow::Borrowed(description), SqlStr::from_static(text));
        Migration::new(version, description, MigrationType::Simple, text, false)
    });
    Migrator::with_migrations(migrations.collect())
}

/// Creates the two logins, or gives them new passwords.
pub async fn provision_logins(
    admin: &PgPool,
    projector_password: &SecretString,
    reader_password: &SecretString,
) -> Result<(), ConnectError> {
    let logins = [
        (PROJECTOR_LOGIN, "tapedeck_projector", projector_password),
        (READER_LOGIN, "tapedeck_reader", reader_password),
    ];
    for (login, group, password) in logins {
        let mut transaction = admin.begin().await.map_err(failed("provisioning logins"))?;
        // A statement that sets a password takes no parameters, so they travel as settings.
        sqlx::query(
            "SELECT set_config('tapedeck.login', $1, true), set_config('tapedeck.group', $2, true),
                    set_config('tapedeck.password', $3, true)",
        )
        .bind(login)
        .bind(group)
        .bind(password.expose_secret())
        .execute(&mut *transaction)
        .await
        .map_err(failed("provisioning logins"))?;
        transaction.execute(PROVISION).await.map_err(failed("provisioning logins"))?;
        transaction.commit().await.map_err(failed("provisioning logins"))?;
    }
    Ok(())
}

const PROVISION: &str = "
DO $$
DECLARE
    login text := current_setting('tapedeck.login');
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = login) THEN
        BEGIN
            EXECUTE format('CREATE ROLE %I LOGIN', login);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END IF;
    EXECUTE format('ALTER ROLE %I LOGIN PASSWORD %L', login, current_setting('tapedeck.password'));
    EXECUTE format('GRANT %I TO %I', current_setting('tapedeck.group'), login);
END
$$";

/// A pool for the projector: writes as `tapedeck_projector`, so that every object it makes belongs to
/// the group whoever is logged in.
///
/// It does not wait for the disk at commit: rows and checkpoint commit together, so a power loss takes
/// both back and the projector folds the lost part again from the tape, which is the truth. It looks for that when it
/// has nothing to do.
pub async fn projector_pool(options: PgConnectOptions, max_connections: u32) -> Result<PgPool, ConnectError> {
    PgPoolOptions::new()
        .max_connections(max_connections)
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute(PROJECTOR_SESSION).await?;
                Ok(())
            })
        })
        .connect_with(options.application_name("tapedeck projector"))
        .await
        .map_err(failed("connecting as projector"))
}

// Plans are kept: every statement is run thousands of times with arrays of unknown length, and planning
// anew would cost more than running it. JIT would compile each of them once, for milliseconds.
const PROJECTOR_SESSION: &str = "SET ROLE tapedeck_projector; SET synchronous_commit = off;
    SET plan_cache_mode = force_generic_plan; SET jit = off; SET client_min_messages = warning";

/// A connection that was idle for longer is tested before it is used. One that was used just now is not:
/// the test is a round trip, and risk waits for it with every decision.
const TESTED_AFTER: Duration = Duration::from_secs(1);

/// A pool that can only read.
pub async fn reader_pool(options: PgConnectOptions, max_connections: u32) -> Result<PgPool, ConnectError> {
    PgPoolOptions::new()
        .max_connections(max_connections)
        .test_before_acquire(false)
        .before_acquire(|connection, used| {
            Box::pin(async move {
                if used.idle_for > TESTED_AFTER {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute(READER_SESSION).await?;
                Ok(())
            })
        })
        .connect_with(options.application_name("tapedeck reader"))
        .await
        .map_err(failed("connecting as reader"))
}

const READER_SESSION: &str =
    "SET ROLE tapedeck_reader; SET default_transaction_read_only = on; SET jit = off;
    SET client_min_messages = warning";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[tokio::test]
    async fn migrations_are_embedded_as_sqlx_reads_them_from_their_files() {
        let on_disk = Migrator::new(Path::new("../migrations")).await.unwrap();
        let told = |migrator: &Migrator| {
            let told = migrator.iter().map(|one| {
                let about = (one.version, one.description.clone(), one.migration_type, one.no_tx);
                (about, one.checksum.clone(), one.sql.as_str().to_owned())
            });
            told.collect::<Vec<_>>()
        };
        assert_eq!(told(&embedded()), told(&on_disk));
        assert!(on_disk.iter().len() > 30);
    }
}
