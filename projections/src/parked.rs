//! The projection `parked`: messages set aside, and what became of them.
//!
//! A resolution of a message that was never parked is itself set aside.

use std::collections::BTreeMap;

use async_trait::async_trait;
use contracts::v1::Parked;
use contracts::v1::event::Body;
use event_log::Recorded;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::calendar::{event_time, taken};
use crate::projection::{FoldError, Projection, Stopped};
use crate::table::{Cell, Kind, Rows, Table, column, once};

pub(crate) static TABLES: &[&Table] = &[&PARKED];

static PARKED: Table = Table {
    name: "parked",
    key: &["event_id"],
    replaced: true,
    columns: &[
        column("event_id", Kind::Text),
        once("service", Kind::Text),
        once("origin_stream", Kind::Text),
        once("origin_sequence", Kind::Int),
        once("origin_subject", Kind::Text),
        once("reason", Kind::Text),
        once("payload", Kind::Bytes),
        once("parked_at_ns", Kind::Int),
        once("first_sequence", Kind::Int),
        column("resolution", Kind::Text),
        column("resolved_by", Kind::Text),
        column("resolved_reason", Kind::Text),
        column("resolved_at_ns", Kind::Int),
        column("sequence", Kind::Int),
    ],
};

/// The fold. It remembers which messages are parked, by id, with their first sequence.
pub(crate) struct ParkedMessages {
    known: BTreeMap<String, u64>,
    rows: Rows,
}

impl Default for ParkedMessages {
    fn default() -> Self {
        Self { known: BTreeMap::new(), rows: Rows::new(&PARKED) }
    }
}

impl ParkedMessages {
    fn park(&mut self, id: &str, parked: &Parked, sequence: u64, event_time_ns: i64) {
        // The same message parked again, after the dedupe window, says nothing new.
        if self.known.contains_key(id) {
            return;
        }
        self.known.insert(id.to_owned(), sequence);
        self.rows.push(vec![
            id.into(),
            (&parked.service).into(),
            (&parked.stream).into(),
            parked.sequence.into(),
            (&parked.subject).into(),
            (&parked.reason).into(),
            Cell::Bytes(parked.payload.to_vec()),
            event_time_ns.into(),
            sequence.into(),
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Null,
            sequence.into(),
        ]);
    }
}

#[async_trait]
impl Projection for ParkedMessages {
    async fn load(
        &mut self,
        connection: &mut PgConnection,
        schema: &str,
        _sequence: u64,
    ) -> Result<(), sqlx::Error> {
        let statement = format!("SELECT event_id, first_sequence FROM {schema}.parked");
        for row in sqlx::query(AssertSqlSafe(statement)).fetch_all(connection).await? {
            let sequence: i64 = row.try_get(1)?;
            self.known.insert(row.try_get(0)?, u64::try_from(sequence).unwrap_or_default());
        }
        Ok(())
    }

    fn fold(&mut self, recorded: &mut Recorded) -> Result<(), Stopped> {
        let event_time_ns = event_time(recorded)?;
        match recorded.event.body.as_ref() {
            Some(Body::Parked(parked)) => {
                self.park(&recorded.event.id, parked, recorded.sequence, event_time_ns);
            }
            Some(Body::ParkedResolved(resolved)) => {
                if !self.known.contains_key(&resolved.parked_id) {
                    let problem = format!("{:?}, expected the id of a parked event", resolved.parked_id);
                    return Err(FoldError::field("parked_id", problem).into());
                }
                // The first row of the key holds the columns that are written once; these stand in for
                // them and never reach the table.
                self.rows.push(vec![
                    (&resolved.parked_id).into(),
                    "".into(),
                    "".into(),
                    0_i64.into(),
                    "".into(),
                    "".into(),
                    Cell::Bytes(Vec::new()),
                    0_i64.into(),
                    0_i64.into(),
                    (&resolved.resolution).into(),
                    (&resolved.actor).into(),
                    (&resolved.reason).into(),
                    event_time_ns.into(),
                    recorded.sequence.into(),
                ]);
            }
            _ => {
                return Err(
                    FoldError::field("body", "of another type, expected parked or parked_resolved").into()
                );
            }
        }
        Ok(())
    }

    fn take(&mut self) -> Vec<Rows> {
        vec![taken(&mut self.rows)]
    }
}
