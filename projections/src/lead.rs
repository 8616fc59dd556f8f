//! Leading: of several processes that could do the same work, one does.

use sqlx::{Connection as _, PgConnection, PgPool, Row as _};

/// Held while this process leads; dropped, somebody else may.
#[derive(Debug)]
pub struct Lead {
    // Its session holds the lock; closed with it.
    _connection: PgConnection,
}

/// Tries to lead in rebuilding and verifying read models; `None` when another process does.
pub async fn lead(pool: &PgPool) -> Result<Option<Lead>, sqlx::Error> {
    let mut connection = pool.acquire().await?.detach();
    let row = sqlx::query("SELECT pg_try_advisory_lock(hashtextextended('tapedeck/projection/jobs', 0))")
        .fetch_one(&mut connection)
        .await?;
    if row.try_get(0)? {
        return Ok(Some(Lead { _connection: connection }));
    }
    connection.close().await?;
    Ok(None)
}
