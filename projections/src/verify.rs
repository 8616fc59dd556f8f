//! Verification: the read model must equal the fold of the tape.
//!
//! Everything happens in one REPEATABLE READ transaction that is rolled back at the end. Its snapshot
//! holds the live rows and the checkpoint they belong to; the stream is folded from its first sequence up
//! to that checkpoint into a scratch schema that only this transaction ever sees; then every table is
//! compared. The live projector goes on meanwhile and is never waited for, and a verification that is
//! killed leaves nothing behind.

use std::fmt;

use event_log::{Bookmark, LogError, Tape};
use serde::Serialize;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool, Row as _};

use crate::fold::fold;
use crate::projection::{Name, head, oldest};
use crate::pump::Pump;
use crate::table::{Column, Table};
use crate::write::{Guard, Target, sequence, write};

/// What a verification found.
#[derive(Clone, Debug, Serialize)]
pub struct VerifyReport {
    /// Projection.
    pub projection: Name,
    /// Checkpoint at which both were compared.
    pub sequence: u64,
    /// Messages folded.
    pub messages: u64,
    /// Every table.
    pub tables: Vec<TableReport>,
    /// The first difference, in the order of tables and keys.
    pub first: Option<Difference>,
    /// State hash of the live read model.
    pub state_hash: String,
}

impl VerifyReport {
    /// Rows that differ, over all tables.
    #[must_use]
    pub fn differences(&self) -> u64 {
        self.tables.iter().map(|table| table.differences).sum()
    }
}

/// One table compared.
#[derive(Clone, Debug, Serialize)]
pub struct TableReport {
    /// Table.
    pub table: &'static str,
    /// Rows of the live table.
    pub rows: u64,
    /// Rows that are missing, too many or different.
    pub differences: u64,
}

/// One value that is not what the fold says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Table.
    pub table: &'static str,
    /// Key of the row, as `column=value`.
    pub key: String,
    /// Column; empty when the whole row is missing on one side.
    pub column: String,
    /// Value in the read model; `None` when the row is missing there.
    pub live: Option<String>,
    /// Value that the fold gives; `None` when it gives no such row.
    pub fold: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "no row".to_owned());
        let (live, fold) = (shown(&self.live), shown(&self.fold));
        write!(formatter, "{} [{}] {}: read model {live}, fold {fold}", self.table, self.key, self.column)
    }
}

/// Why a verification did not end.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The projection was never begun in this database.
    #[error("projection {0} has no checkpoint: it was never run here")]
    NoCheckpoint(Name),
    /// The projection has rows and no checkpoint.
    #[error("projection {0} has rows and no checkpoint, which would say what they are the fold of")]
    Unplaced(Name),
    /// The read model has folded what the tape does not hold.
    #[error("projection {name} stands behind what it has read: {source}; its projector builds it anew")]
    TakenBack {
        /// Projection.
        name: Name,
        /// What was read, and what is there.
        source: LogError,
    },
    /// The database.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The tape.
    #[error(transparent)]
    Tape(#[from] LogError),
}

/// Compares the live read model with a fold of the stream up to its checkpoint. The pool must be one of
/// [`crate::projector_pool`]: the scratch schema is made with its rights.
pub async fn verify(pool: &PgPool, tape: &Tape, name: Name) -> Result<VerifyReport, VerifyError> {
    // Dropped amid a statement it is closed, and the scratch with it.
    let mut connection = pool.acquire().await?.detach();
    let mut transaction = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
    // The lock comes before the snapshot, so that no swap falls between them.
    let tables: Vec<String> = name.tables().iter().map(|table| format!("{name}.{}", table.name)).collect();
    let lock = format!("LOCK TABLE {} IN ACCESS SHARE MODE", tables.join(", "));
    transaction.execute(AssertSqlSafe(lock)).await?;
    let row = sqlx::query(
        "SELECT sequence, pg_backend_pid(), event_id FROM projection.checkpoints WHERE name = $1",
    )
    .bind(name.name())
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(row) = row else {
        let has_rows = has_rows(&mut transaction, name).await?;
        return Err(if has_rows { VerifyError::Unplaced(name) } else { VerifyError::NoCheckpoint(name) });
    };
    let checkpoint = sequence(row.try_get(0)?);
    match tape.check(name.stream(), &Bookmark { sequence: checkpoint, id: row.try_get(2)? }).await {
        Err(source) if source.is_taken_back() => return Err(VerifyError::TakenBack { name, source }),
        checked => checked?,
    }
    let scratch = format!("{name}_verify_{}", row.try_get::<i32, _>(1)?);
    let mut target = Target::create(&mut transaction, name, scratch).await?;
    // What the stream has let go of up to the checkpoint cannot be folded again.
    let reachable = head(tape, name).await?.min(checkpoint);
    let messages = replay(&mut transaction, tape, name, &mut target, reachable).await?;
    let oldest = oldest(tape, name).await?;
    transaction.execute("SET LOCAL work_mem = '128MB'; SET LOCAL plan_cache_mode = auto").await?;
    let (state_hash, _) = crate::fingerprint::hash(&mut transaction, name, oldest).await?;
    let mut report = VerifyReport {
        projection: name,
        sequence: checkpoint,
        messages,
        tables: Vec::new(),
        first: None,
        state_hash,
    };
    for table in name.tables() {
        let (compared, difference) = compare(&mut transaction, name, &target.schema, table, oldest).await?;
        report.tables.push(compared);
        report.first = report.first.or(difference);
    }
    transaction.rollback().await?;
    Ok(report)
}

/// Whether any table of a projection holds a row.
async fn has_rows(connection: &mut PgConnection, name: Name) -> Result<bool, sqlx::Error> {
    for table in name.tables() {
        let statement = format!("SELECT EXISTS (SELECT FROM {name}.{})", table.name);
        let found =
            sqlx::query(AssertSqlSafe(statement)).persistent(false).fetch_one(&mut *connection).await?;
        if found.try_get(0)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Folds the stream into the scratch schema, up to the sequence `until`. Answers how many messages.
async fn replay(
    connection: &mut PgConnection,
    tape: &Tape,
    name: Name,
    target: &mut Target,
    until: u64,
) -> Result<u64, VerifyError> {
    let mut projection = name.empty();
    let mut folded_to = 0;
    let mut messages = 0;
    if until == 0 {
        return Ok(0);
    }
    let mut pump = Pump::start(tape, name, 0, until).await?;
    while folded_to < until {
        let mut deliveries = pump.next().await?;
        folded_to = deliveries.last().map_or(folded_to, event_log::Delivery::sequence);
        deliveries.retain(|delivery| delivery.sequence() <= until);
        let folded = fold(projection.as_mut(), name, connection, &target.schema, deliveries).await?;
        messages += folded.messages;
        projection.prepare(connection, &target.schema).await?;
        let (rows, bars) = (projection.take(), projection.take_bars());
        write(connection, target, &Guard::Held, rows, bars).await?;
    }
    Ok(messages)
}

async fn compare(
    connection: &mut PgConnection,
    name: Name,
    scratch: &str,
    table: &'static Table,
    oldest: u64,
) -> Result<(TableReport, Option<Difference>), sqlx::Error> {
    let of = |side: &str| {
        let columns: Vec<String> =
            table.columns.iter().map(|column| format!("{side}.{}", column.name)).collect();
        columns.join(", ")
    };
    let keys = |form: &dyn Fn(&str) -> String, between: &str| {
        let keys: Vec<String> = table.key.iter().map(|&key| form(key)).collect();
        keys.join(between)
    };
    // Rows older than what the stream still holds cannot be folded again.
    let known = format!("(SELECT * FROM {name}.{} WHERE sequence >= {oldest})", table.name);
    let statement = format!(
        "SELECT {keys}, {live_row}, {fold_row}, count(*) OVER ()
         FROM {known} l FULL JOIN {scratch}.{table} s ON {join}
         WHERE ROW({left}) IS DISTINCT FROM ROW({right})
         ORDER BY {order} LIMIT 1",
        keys = keys(&|key| format!("'{key}=' || COALESCE(l.{key}::text, s.{key}::text)"), " || ' ' || "),
        join = keys(&|key| format!("l.{key} = s.{key}"), " AND "),
        order = keys(&|key| format!("COALESCE(l.{key}, s.{key})"), ", "),
        live_row = as_text("l"),
        fold_row = as_text("s"),
        left = of("l"),
        right = of("s"),
        table = table.name,
    );
    let found =
        sqlx::query(AssertSqlSafe(statement)).persistent(false).fetch_optional(&mut *connection).await?;
    let count = format!("SELECT count(*) FROM {known} l");
    let rows: i64 =
        sqlx::query(AssertSqlSafe(count)).persistent(false).fetch_one(connection).await?.try_get(0)?;
    let mut report = TableReport { table: table.name, rows: sequence(rows), differences: 0 };
    let Some(found) = found else { return Ok((report, None)) };
    report.differences = sequence(found.try_get(3)?);
    let (live, fold): (Option<String>, Option<String>) = (found.try_get(1)?, found.try_get(2)?);
    let (column, live, fold) = first_column(table.columns, live.as_deref(), fold.as_deref());
    let difference = Difference { table: table.name, key: found.try_get(0)?, column, live, fold };
    Ok((report, Some(difference)))
}

/// A row as a JSON object of texts, which tell numbers apart to the last digit; NULL when it is missing.
fn as_text(side: &str) -> String {
    format!("(SELECT jsonb_object_agg(e.key, e.value)::text FROM jsonb_each_text(to_jsonb({side})) e)")
}

/// The first column in which two rows, as JSON, differ.
fn first_column(
    columns: &[Column],
    live: Option<&str>,
    fold: Option<&str>,
) -> (String, Option<String>, Option<String>) {
    let (Some(live), Some(fold)) = (live, fold) else {
        return (String::new(), live.map(str::to_owned), fold.map(str::to_owned));
    };
    let parse = |text: &str| serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text);
    if let (Ok(live_row), Ok(fold_row)) = (parse(live), parse(fold)) {
        let text = |value: Option<&serde_json::Value>| match value {
            Some(serde_json::Value::String(text)) => Some(text.clone()),
            Some(value) => Some(value.to_string()),
            None => None,
        };
        for column in columns {
            if live_row.get(column.name) != fold_row.get(column.name) {
                return (
                    column.name.to_owned(),
                    text(live_row.get(column.name)),
                    text(fold_row.get(column.name)),
                );
            }
        }
    }
    // Only text that is no object leads here: the rows are shown whole.
    ("*".to_owned(), Some(live.to_owned()), Some(fold.to_owned()))
}
