//! Log lines: filtered, part by part, in the order in which the stream holds them.

use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Postgres, QueryBuilder};

use super::QueryError;
use super::reading::{Reading, read_all};
use crate::logs::level;
use crate::write::stored;

/// Most lines of one answer.
pub const LOG_LINES_MAX: u32 = 1_000;

/// One log line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LogRow {
    /// LOGS sequence: the cursor.
    pub sequence: u64,
    /// When it was logged, UTC nanoseconds.
    pub event_time_ns: i64,
    /// Service.
    pub service: String,
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
    pub level: &'static str,
    /// Module that logged.
    pub target: String,
    /// Message.
    pub message: String,
    /// Instance of the process that logged.
    pub run: String,
    /// Chain of events that it belongs to.
    pub correlation_id: String,
    /// Structured fields.
    #[schema(value_type = Object)]
    pub fields: serde_json::Map<String, serde_json::Value>,
}

/// Which lines are wanted; what is `None` lets everything through.
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    /// Service.
    pub service: Option<String>,
    /// Least severe level wanted, as [`crate::severity`] numbers it.
    pub severity_max: Option<u32>,
    /// Beginning of the module's name.
    pub target: Option<String>,
    /// Instance of the process.
    pub run: Option<String>,
    /// Chain of events.
    pub correlation_id: Option<String>,
    /// Text that message or fields contain, whatever the case.
    pub text: Option<String>,
    /// From this instant on, UTC nanoseconds.
    pub from_ns: Option<i64>,
    /// Before this instant, UTC nanoseconds.
    pub to_ns: Option<i64>,
}

/// Which part of the lines is wanted; a cursor is a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogTurn {
    /// The newest ones.
    #[default]
    Newest,
    /// Those just before.
    Before(u64),
    /// Those that follow, the oldest of them first in line.
    After(u64),
}

impl LogFilter {
    fn push(&self, statement: &mut QueryBuilder<Postgres>) {
        if let Some(service) = &self.service {
            statement.push(" AND service = ").push_bind(service.clone());
        }
        if let Some(severity) = self.severity_max {
            // Written out, so that the index of warnings and errors is found.
            statement.push(format!(" AND severity <= {severity}"));
        }
        if let Some(target) = &self.target {
            statement.push(" AND starts_with(target, ").push_bind(target.clone()).push(")");
        }
        if let Some(run) = &self.run {
            statement.push(" AND run = ").push_bind(run.clone());
        }
        if let Some(correlation) = &self.correlation_id {
            statement.push(" AND correlation_id <> '' AND correlation_id = ").push_bind(correlation.clone());
        }
        if let Some(text) = &self.text {
            let like = format!("%{}%", text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"));
            statement.push(" AND (message ILIKE ").push_bind(like.clone());
            statement.push(" OR fields::text ILIKE ").push_bind(like).push(")");
        }
        if let Some(from) = self.from_ns {
            statement.push(" AND event_time_ns >= ").push_bind(from);
        }
        if let Some(to) = self.to_ns {
            statement.push(" AND event_time_ns < ").push_bind(to);
        }
    }
}

/// Lines in the order of the stream, oldest first: the last `limit` of them for [`LogTurn::Newest`] and
/// [`LogTurn::Before`], the first ones for [`LogTurn::After`].
pub async fn logs(
    pool: &PgPool,
    filter: &LogFilter,
    turn: LogTurn,
    limit: u32,
) -> Result<Vec<LogRow>, QueryError> {
    let mut statement = QueryBuilder::new(
        "SELECT sequence, event_time_ns, service, severity, target, message, run, correlation_id,
                fields::text AS fields FROM logs.records WHERE true",
    );
    filter.push(&mut statement);
    let order = match turn {
        LogTurn::Newest => "DESC",
        LogTurn::Before(sequence) => {
            statement.push(" AND sequence < ").push_bind(stored(sequence));
            "DESC"
        }
        LogTurn::After(sequence) => {
            statement.push(" AND sequence > ").push_bind(stored(sequence));
            "ASC"
        }
    };
    statement.push(format!(" ORDER BY sequence {order} LIMIT {}", limit.clamp(1, LOG_LINES_MAX)));
    let found: Vec<PgRow> = statement.build().fetch_all(pool).await?;
    let mut rows = read_all(&found, read)?;
    if order == "DESC" {
        rows.reverse();
    }
    Ok(rows)
}

fn read(row: Reading<'_>) -> Result<LogRow, sqlx::Error> {
    Ok(LogRow {
        sequence: row.sequence("sequence")?,
        event_time_ns: row.int("event_time_ns")?,
        service: row.text("service")?,
        level: level(row.int("severity")?),
        target: row.text("target")?,
        message: row.text("message")?,
        run: row.text("run")?,
        correlation_id: row.text("correlation_id")?,
        fields: row.json("fields")?,
    })
}

/// What the services are called that there are, when `service` is none of them: not one of `own`, the program's,
/// which may not have said anything yet, and nothing was heard of it, neither a heartbeat nor a line.
pub async fn unknown_service(
    pool: &PgPool,
    own: &[&str],
    service: &str,
) -> Result<Option<Vec<String>>, QueryError> {
    let mut known: Vec<String> = own.iter().map(|&name| name.to_owned()).collect();
    for beat in super::heartbeats(pool).await? {
        if !known.contains(&beat.service) {
            known.push(beat.service);
        }
    }
    if known.iter().any(|name| name == service) {
        return Ok(None);
    }
    let lines = sqlx::query("SELECT FROM logs.records WHERE service = $1 LIMIT 1").bind(service);
    Ok(lines.fetch_optional(pool).await?.is_none().then_some(known))
}

/// How many lines follow a cursor, at most `most`.
pub async fn logs_after(
    pool: &PgPool,
    filter: &LogFilter,
    sequence: u64,
    most: u32,
) -> Result<u64, QueryError> {
    let mut statement =
        QueryBuilder::new("SELECT count(*) AS lines FROM (SELECT FROM logs.records WHERE sequence > ");
    statement.push_bind(stored(sequence));
    filter.push(&mut statement);
    statement.push(format!(" LIMIT {most}) lines"));
    let row = statement.build().fetch_one(pool).await?;
    Ok(Reading(&row).sequence("lines")?)
}
