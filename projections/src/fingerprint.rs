//! The state hash of a read model: one short text for all of its rows, the same for the same rows.
//!
//! It is a label to compare by eye and across machines, not a proof: `verify` compares row by row. Rows are
//! hashed one by one and added up, so that their order does not matter and nothing is held in memory.

use event_log::{LogError, Tape};
use serde::Serialize;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool, Row as _};

use crate::projection::{Name, oldest};
use crate::write::sequence;

/// A read model at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fingerprint {
    /// Its checkpoint.
    pub sequence: u64,
    /// Hash of its rows: 32 hexadecimal digits.
    pub hash: String,
    /// How many rows.
    pub rows: u64,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum FingerprintError {
    /// The database.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The tape.
    #[error(transparent)]
    Tape(#[from] LogError),
}

/// The fingerprint of a live read model, of one snapshot. Rows that have outlived what the stream holds are
/// left out, as a rebuild would leave them out.
pub async fn fingerprint(pool: &PgPool, tape: &Tape, name: Name) -> Result<Fingerprint, FingerprintError> {
    let oldest = oldest(tape, name).await?;
    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
    let row = sqlx::query("SELECT sequence FROM projection.checkpoints WHERE name = $1")
        .bind(name.name())
        .fetch_optional(&mut *transaction)
        .await?;
    let checkpoint = row.map(|row| row.try_get(0)).transpose()?.map_or(0, sequence);
    let (hash, rows) = hash(&mut transaction, name, oldest).await?;
    transaction.commit().await?;
    Ok(Fingerprint { sequence: checkpoint, hash, rows })
}

pub(crate) async fn hash(
    connection: &mut PgConnection,
    name: Name,
    oldest: u64,
) -> Result<(String, u64), sqlx::Error> {
    let mut text = String::new();
    let mut all = 0;
    for table in name.tables() {
        let columns: Vec<String> = table.columns.iter().map(|column| format!("t.{}", column.name)).collect();
        let statement = format!(
            "SELECT count(*), COALESCE(sum(hashtextextended(row, 0)::numeric), 0)::text,
                    COALESCE(sum(hashtextextended(row, 1)::numeric), 0)::text
             FROM (SELECT ROW({})::text AS row FROM {name}.{} t WHERE t.sequence >= {oldest}) rows",
            columns.join(", "),
            table.name
        );
        let row = sqlx::query(AssertSqlSafe(statement)).persistent(false).fetch_one(&mut *connection).await?;
        let (rows, first, second): (i64, String, String) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        text.push_str(&format!("{} {rows} {first} {second}\n", table.name));
        all += sequence(rows);
    }
    Ok((contracts::event_id(&text, "state", 0), all))
}
