//! The projection `logs`: log lines of LOGS, by day.
//!
//! Heartbeats stand on the same stream and are passed over. A day's partition is made before its first row
//! is written; days that the stream no longer holds are dropped (`trim`).

use std::collections::BTreeSet;

use async_trait::async_trait;
use contracts::v1::LogRecord;
use contracts::v1::event::Body;
use event_log::Recorded;
use sqlx::{PgConnection, Row as _};

use crate::calendar::{event_time, taken};
use crate::projection::{FoldError, Projection, Stopped};
use crate::table::{Cell, JSON, Kind, Rows, Table, column};
use crate::write::stored;

pub(crate) static TABLES: &[&Table] = &[&RECORDS];

static RECORDS: Table = Table {
    name: "records",
    key: &["sequence", "event_time_ns"],
    replaced: false,
    columns: &[
        column("sequence", Kind::Int),
        column("event_time_ns", Kind::Int),
        column("service", Kind::Text),
        column("severity", Kind::Int),
        column("target", Kind::Text),
        column("message", Kind::Text),
        column("run", Kind::Text),
        column("correlation_id", Kind::Text),
        column("fields", JSON),
    ],
};

const DAY_NS: i64 = 86_400_000_000_000;
/// The field that names the process, which is a column of its own.
const RUN: &str = "run";
/// Levels from the most severe on; the number of each is its place, from 1.
const LEVELS: [&str; 5] = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];

/// The number of a level: 1 is an error, 5 the least severe.
#[must_use]
pub fn severity(level: &str) -> Option<u32> {
    (1..).zip(LEVELS).find(|(_, name)| name.eq_ignore_ascii_case(level)).map(|(number, _)| number)
}

/// The level of a number.
#[must_use]
pub fn level(severity: i64) -> &'static str {
    let place = usize::try_from(severity).ok().and_then(|number| number.checked_sub(1));
    place.and_then(|place| LEVELS.get(place)).copied().unwrap_or("TRACE")
}

/// The fold: every line is a row.
pub(crate) struct Logs {
    records: Rows,
    /// Days of the rows that are not taken yet.
    days: BTreeSet<i64>,
    /// Days whose partition is known to be there, or not to be wanted.
    opened: BTreeSet<i64>,
}

impl Default for Logs {
    fn default() -> Self {
        Self { records: Rows::new(&RECORDS), days: BTreeSet::new(), opened: BTreeSet::new() }
    }
}

fn fields(record: &LogRecord) -> Cell {
    let fields = record.fields.iter().filter(|field| field.name != RUN);
    let object: serde_json::Map<String, serde_json::Value> =
        fields.map(|field| (plain(&field.name), serde_json::Value::String(plain(&field.value)))).collect();
    serde_json::Value::Object(object).to_string().into()
}

/// `jsonb` holds no NUL, written out or escaped.
fn plain(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

#[async_trait]
impl Projection for Logs {
    fn fold(&mut self, recorded: &mut Recorded) -> Result<(), Stopped> {
        let Some(Body::LogRecord(record)) = recorded.event.body.as_ref() else {
            return Err(FoldError::field("body", "of another type, expected log_record").into());
        };
        let severity = severity(&record.level).ok_or_else(|| {
            let problem = format!("{:?}, expected ERROR, WARN, INFO, DEBUG or TRACE", record.level);
            FoldError::field("level", problem)
        })?;
        let time_ns = event_time(recorded)?;
        let run = record.fields.iter().find(|field| field.name == RUN);
        self.days.insert(time_ns.div_euclid(DAY_NS));
        self.records.push(vec![
            recorded.sequence.into(),
            time_ns.into(),
            (&record.service).into(),
            severity.into(),
            (&record.target).into(),
            (&record.message).into(),
            run.map_or("", |run| run.value.as_str()).into(),
            (&recorded.event.correlation_id).into(),
            fields(record),
        ]);
        Ok(())
    }

    async fn prepare(&mut self, connection: &mut PgConnection, schema: &str) -> Result<bool, sqlx::Error> {
        let mut made = false;
        for day in std::mem::take(&mut self.days) {
            if self.opened.insert(day) {
                let row = sqlx::query("SELECT projection.open_logs_day($1, $2)")
                    .bind(schema)
                    .bind(day)
                    .fetch_one(&mut *connection)
                    .await?;
                made |= row.try_get::<bool, _>(0)?;
            }
        }
        Ok(made)
    }

    fn take(&mut self) -> Vec<Rows> {
        vec![taken(&mut self.records)]
    }
}

/// Drops the days of which the stream, which holds nothing before the sequence `oldest`, holds nothing any more.
pub(crate) async fn trim(
    connection: &mut PgConnection,
    schema: &str,
    oldest: u64,
) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT projection.trim_logs($1, $2)")
        .bind(schema)
        .bind(stored(oldest))
        .execute(connection)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_numbers_and_back() {
        assert_eq!(severity("warn"), Some(2));
        assert_eq!(severity("loud"), None);
        assert_eq!((level(1), level(5), level(0)), ("ERROR", "TRACE", "TRACE"));
    }
}
