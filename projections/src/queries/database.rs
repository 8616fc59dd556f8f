//! How the database itself is.

use serde::Serialize;
use sqlx::PgPool;

use super::QueryError;
use super::reading::{Reading, read_all};

/// The database at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DatabaseHealth {
    /// Server version, for example `15.18`.
    pub version: String,
    /// Bytes of this database on disk.
    pub size_bytes: u64,
    /// Connections to this database.
    pub connections: u64,
    /// Connections that the server allows.
    pub connections_max: u64,
    /// The statement that has been running longest, where one runs: how long, in milliseconds.
    pub slowest_ms: Option<u64>,
    /// Its beginning.
    pub slowest: String,
    /// Whether it waits for a lock that another holds.
    pub slowest_waits: bool,
}

/// The database's clock in UTC milliseconds, to compare with the caller's.
pub async fn clock_ms(pool: &PgPool) -> Result<i64, QueryError> {
    let statement = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS ms";
    let row = sqlx::query(statement).fetch_one(pool).await?;
    Ok(Reading(&row).int("ms")?)
}

/// How the database is. Of other logins' statements only that they run can be seen.
pub async fn database_health(pool: &PgPool) -> Result<DatabaseHealth, QueryError> {
    let rows = sqlx::query(
        "SELECT current_setting('server_version') AS version,
                pg_database_size(current_database()) AS size_bytes,
                (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()) AS connections,
                current_setting('max_connections')::bigint AS connections_max,
                slowest.ms AS slowest_ms, slowest.query AS slowest, slowest.waits AS slowest_waits
         FROM (SELECT) one LEFT JOIN LATERAL (
             SELECT floor(extract(epoch FROM clock_timestamp() - query_start) * 1000)::bigint AS ms,
                    left(query, 120) AS query, COALESCE(wait_event_type = 'Lock', false) AS waits
             FROM pg_stat_activity
             WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()
               AND query_start IS NOT NULL
             ORDER BY query_start LIMIT 1
         ) slowest ON true",
    )
    .fetch_all(pool)
    .await?;
    let mut found = read_all(&rows, |row| {
        Ok(DatabaseHealth {
            version: row.text("version")?.split(' ').next().unwrap_or_default().to_owned(),
            size_bytes: row.sequence("size_bytes")?,
            connections: row.sequence("connections")?,
            connections_max: row.sequence("connections_max")?,
            slowest_ms: row.sequence_or_none("slowest_ms")?,
            slowest: row.text_or_none("slowest")?.unwrap_or_default(),
            slowest_waits: row.flag_or_none("slowest_waits")?.unwrap_or_default(),
        })
    })?;
    found.pop().ok_or_else(|| sqlx::Error::RowNotFound.into())
}
