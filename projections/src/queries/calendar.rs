//! Corporate actions, the session's state, findings.

use contracts::v1::{ActionKind, CorporateAction, Origin};
use domain::money::Price;
use serde::Serialize;
use sqlx::PgPool;

use super::reading::{Reading, decimal, read_all};
use super::{Page, QueryError, below, limited};
use crate::write::stored;

/// One corporate action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActionRow {
    /// MARKET sequence.
    pub sequence: u64,
    /// Event id.
    pub event_id: String,
    /// Symbol.
    pub symbol: String,
    /// Ex-date, `YYYY-MM-DD` in exchange time.
    pub ex_date: String,
    /// `split` or `dividend`.
    pub kind: String,
    /// Split: new shares per old share. Dividend: cash per share.
    #[serde(serialize_with = "decimal")]
    pub value: Price,
    /// `live`, `rehearsal`, `import` or `backfill`.
    pub origin: String,
    /// Event time, UTC nanoseconds.
    pub event_time_ns: i64,
}

/// One session of an exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionRow {
    /// Market identifier code.
    pub exchange: String,
    /// Date in exchange time, `YYYY-MM-DD`.
    pub date: String,
    /// `opened` or `closed`.
    pub phase: String,
    /// Scheduled open, UTC nanoseconds.
    pub open_ns: Option<i64>,
    /// Scheduled close, UTC nanoseconds.
    pub close_ns: Option<i64>,
    /// Whether it closes early.
    pub early_close: bool,
    /// Event time of the change, UTC nanoseconds.
    pub event_time_ns: i64,
    /// MARKET sequence of the change.
    pub sequence: u64,
}

/// One finding about the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QualityRow {
    /// MARKET sequence.
    pub sequence: u64,
    /// Symbol.
    pub symbol: String,
    /// Rule that found it.
    pub rule: String,
    /// `info`, `warning` or `error`.
    pub severity: String,
    /// Timeframe of the bar concerned; empty when there is none.
    pub timeframe: String,
    /// Start of the bar concerned, UTC nanoseconds.
    pub bar_start_ns: Option<i64>,
    /// The finding in words.
    pub detail: String,
    /// What was measured, as a decimal; empty where nothing was.
    pub found: String,
    /// What was expected.
    pub expected: String,
    /// The source whose bar stands, where that of another one was held against it.
    pub authority: String,
    /// Event time, UTC nanoseconds.
    pub event_time_ns: i64,
}

impl ActionRow {
    /// The action as its event states it.
    #[must_use]
    pub fn wire(&self) -> CorporateAction {
        let kind = if self.kind == "split" { ActionKind::Split } else { ActionKind::Dividend };
        CorporateAction {
            symbol: self.symbol.clone(),
            ex_date: self.ex_date.clone(),
            kind: kind.into(),
            value_e9: self.value.0,
            origin: Origin::from_str_name(&format!("ORIGIN_{}", self.origin.to_ascii_uppercase()))
                .unwrap_or_default()
                .into(),
        }
    }
}

/// The corporate actions of all symbols.
#[derive(Clone, Debug)]
pub struct Actions {
    /// Checkpoint of the projection when they were read.
    pub checkpoint: u64,
    /// The actions, by sequence.
    pub actions: Vec<ActionRow>,
}

/// A finding about a symbol that risk decisions look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingRow {
    /// Event id.
    pub event_id: String,
    /// Symbol.
    pub symbol: String,
    /// Rule that found it.
    pub rule: String,
    /// The finding in words.
    pub detail: String,
    /// Whether it is a warning or worse.
    pub severe: bool,
    /// Event time, UTC nanoseconds.
    pub event_time_ns: i64,
}

/// Of every symbol the newest finding that is a warning or worse and no halt, and the newest halt or resumption.
#[derive(Clone, Debug)]
pub struct NewestFindings {
    /// Checkpoint of the projection when they were read.
    pub checkpoint: u64,
    /// The findings, by symbol, event time and sequence.
    pub findings: Vec<FindingRow>,
}

fn action(row: Reading<'_>) -> Result<ActionRow, sqlx::Error> {
    Ok(ActionRow {
        sequence: row.sequence("sequence")?,
        event_id: row.text("event_id")?,
        symbol: row.text("symbol")?,
        ex_date: row.text("ex_date")?,
        kind: row.text("kind")?,
        value: row.exact("value")?,
        origin: row.text("origin")?,
        event_time_ns: row.int("event_time_ns")?,
    })
}

/// The corporate actions with an ex-date in (`after`, `until`], both `YYYY-MM-DD`, of one symbol or of
/// all, that MARKET held at `as_of_sequence`, by ex-date and sequence.
pub async fn actions_between(
    pool: &PgPool,
    symbol: Option<&str>,
    after: &str,
    until: &str,
    as_of_sequence: u64,
) -> Result<Vec<ActionRow>, QueryError> {
    let rows = sqlx::query(
        "SELECT sequence, event_id, symbol, to_char(ex_date, 'YYYY-MM-DD') AS ex_date, kind, value::text,
                origin, event_time_ns
         FROM calendar.corporate_actions
         WHERE ($1::text IS NULL OR symbol = $1) AND ex_date > $2::text::date AND ex_date <= $3::text::date
           AND sequence <= $4
         ORDER BY corporate_actions.ex_date, sequence",
    )
    .bind(symbol)
    .bind(after)
    .bind(until)
    .bind(stored(as_of_sequence))
    .fetch_all(pool)
    .await?;
    Ok(read_all(&rows, action)?)
}

/// Every corporate action that MARKET held at `as_of_sequence`, by sequence, in one snapshot with the
/// checkpoint.
pub async fn corporate_actions(pool: &PgPool, as_of_sequence: u64) -> Result<Actions, QueryError> {
    let rows = sqlx::query(
        "SELECT c.sequence AS checkpoint, a.* FROM projection.checkpoints c
         LEFT JOIN (
             SELECT sequence, event_id, symbol, to_char(ex_date, 'YYYY-MM-DD') AS ex_date, kind, value::text, origin,
                    event_time_ns
             FROM calendar.corporate_actions WHERE sequence <= $1
         ) a ON true
         WHERE c.name = 'calendar' ORDER BY a.sequence",
    )
    .bind(stored(as_of_sequence))
    .fetch_all(pool)
    .await?;
    let checkpoint = rows.first().map(|row| Reading(row).sequence("checkpoint")).transpose()?;
    let mut actions = Vec::new();
    for row in &rows {
        if Reading(row).text_or_none("event_id")?.is_some() {
            actions.push(action(Reading(row))?);
        }
    }
    Ok(Actions { checkpoint: checkpoint.unwrap_or_default(), actions })
}

/// The findings that risk decisions look at, in one snapshot with the checkpoint. A halt counts by itself, because it ends
/// with a resumption, and whatever its severity.
pub async fn newest_findings(pool: &PgPool) -> Result<NewestFindings, QueryError> {
    let rows = sqlx::query(
        "SELECT c.sequence AS checkpoint, f.* FROM projection.checkpoints c
         LEFT JOIN (
             (SELECT DISTINCT ON (symbol) sequence AS place, event_id, symbol, rule, detail,
                     severity IN ('warning', 'error') AS severe, event_time_ns
              FROM calendar.quality WHERE severity IN ('warning', 'error') AND rule <> 'halt'
              ORDER BY symbol, event_time_ns DESC, sequence DESC)
             UNION
             (SELECT DISTINCT ON (symbol) sequence AS place, event_id, symbol, rule, detail,
                     severity IN ('warning', 'error') AS severe, event_time_ns
              FROM calendar.quality WHERE rule IN ('halt', 'resumption')
              ORDER BY symbol, event_time_ns DESC, sequence DESC)
         ) f ON true
         WHERE c.name = 'calendar' ORDER BY f.symbol, f.event_time_ns, f.place",
    )
    .fetch_all(pool)
    .await?;
    let checkpoint = rows.first().map(|row| Reading(row).sequence("checkpoint")).transpose()?;
    let mut findings = Vec::new();
    for row in &rows {
        let row = Reading(row);
        if row.text_or_none("event_id")?.is_some() {
            findings.push(FindingRow {
                event_id: row.text("event_id")?,
                symbol: row.text("symbol")?,
                rule: row.text("rule")?,
                detail: row.text("detail")?,
                severe: row.flag("severe")?,
                event_time_ns: row.int("event_time_ns")?,
            });
        }
    }
    Ok(NewestFindings { checkpoint: checkpoint.unwrap_or_default(), findings })
}

/// The last change of an exchange's session; `None` before the first.
pub async fn session_state(pool: &PgPool, exchange: &str) -> Result<Option<SessionRow>, QueryError> {
    let rows = sqlx::query(
        "SELECT exchange, to_char(date, 'YYYY-MM-DD') AS date, phase, open_ns, close_ns, early_close,
                event_time_ns, sequence
         FROM calendar.sessions WHERE exchange = $1 ORDER BY sequence DESC LIMIT 1",
    )
    .bind(exchange)
    .fetch_all(pool)
    .await?;
    Ok(read_all(&rows, session)?.into_iter().next())
}

fn session(row: Reading<'_>) -> Result<SessionRow, sqlx::Error> {
    Ok(SessionRow {
        exchange: row.text("exchange")?,
        date: row.text("date")?,
        phase: row.text("phase")?,
        open_ns: row.int_or_none("open_ns")?,
        close_ns: row.int_or_none("close_ns")?,
        early_close: row.flag("early_close")?,
        event_time_ns: row.int("event_time_ns")?,
        sequence: row.sequence("sequence")?,
    })
}

/// The newest sessions of an exchange, the newest first.
pub async fn sessions(pool: &PgPool, exchange: &str, limit: u32) -> Result<Vec<SessionRow>, QueryError> {
    let rows = sqlx::query(
        "SELECT exchange, to_char(date, 'YYYY-MM-DD') AS date, phase, open_ns, close_ns, early_close,
                event_time_ns, sequence
         FROM calendar.sessions WHERE exchange = $1 ORDER BY sequence DESC LIMIT $2",
    )
    .bind(exchange)
    .bind(limited(limit))
    .fetch_all(pool)
    .await?;
    Ok(read_all(&rows, session)?)
}

/// Findings, of one symbol or of all.
pub async fn quality(
    pool: &PgPool,
    symbol: Option<&str>,
    cursor: Option<u64>,
    limit: u32,
) -> Result<Page<QualityRow>, QueryError> {
    let rows = sqlx::query(
        "SELECT * FROM calendar.quality WHERE ($1::text IS NULL OR symbol = $1) AND sequence < $2
         ORDER BY sequence DESC LIMIT $3",
    )
    .bind(symbol)
    .bind(below(cursor))
    .bind(limited(limit))
    .fetch_all(pool)
    .await?;
    let rows = read_all(&rows, |row| {
        Ok(QualityRow {
            sequence: row.sequence("sequence")?,
            symbol: row.text("symbol")?,
            rule: row.text("rule")?,
            severity: row.text("severity")?,
            timeframe: row.text("timeframe")?,
            bar_start_ns: row.int_or_none("bar_start_ns")?,
            detail: row.text("detail")?,
            found: row.text("found")?,
            expected: row.text("expected")?,
            authority: row.text("authority")?,
            event_time_ns: row.int("event_time_ns")?,
        })
    })?;
    Ok(Page::of(rows, limited(limit), |row| row.sequence))
}
