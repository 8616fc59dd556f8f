//! The projection `jobs`: what was asked of the read models, and what came of it.
//!
//! An end of what was never asked for is set aside.

use std::collections::BTreeSet;

use async_trait::async_trait;
use contracts::v1::event::Body;
use contracts::v1::{ProjectionFinished, ProjectionOutcome, ProjectionRequested};
use event_log::Recorded;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::calendar::{event_time, taken};
use crate::projection::{FoldError, Projection, Stopped};
use crate::table::{Cell, Kind, Rows, Table, column, once};

pub(crate) static TABLES: &[&Table] = &[&JOBS];

static JOBS: Table = Table {
    name: "jobs",
    key: &["request_id"],
    replaced: true,
    columns: &[
        column("request_id", Kind::Text),
        once("projection", Kind::Text),
        once("task", Kind::Text),
        once("actor", Kind::Text),
        once("requested_at_ns", Kind::Int),
        once("first_sequence", Kind::Int),
        column("outcome", Kind::Text),
        column("detail", Kind::Text),
        column("folded_sequence", Kind::Int),
        column("messages", Kind::Int),
        column("differences", Kind::Int),
        column("state_hash", Kind::Text),
        column("state_hash_before", Kind::Text),
        column("sequence_before", Kind::Int),
        column("duration_ms", Kind::Int),
        column("finished_at_ns", Kind::Int),
        column("sequence", Kind::Int),
    ],
};

/// The word for what came of a request.
pub(crate) fn outcome(outcome: ProjectionOutcome) -> &'static str {
    match outcome {
        ProjectionOutcome::Succeeded => "succeeded",
        ProjectionOutcome::Differs => "differs",
        ProjectionOutcome::Failed => "failed",
        ProjectionOutcome::Refused => "refused",
        ProjectionOutcome::Unspecified => "unspecified",
    }
}

/// The fold. It remembers which requests there are.
pub(crate) struct Jobs {
    known: BTreeSet<String>,
    rows: Rows,
}

impl Default for Jobs {
    fn default() -> Self {
        Self { known: BTreeSet::new(), rows: Rows::new(&JOBS) }
    }
}

impl Jobs {
    fn requested(
        &mut self,
        request: &ProjectionRequested,
        id: &str,
        sequence: u64,
        time_ns: i64,
    ) -> Result<(), FoldError> {
        let task =
            request.task().name().ok_or_else(|| FoldError::field("task", "missing or out of range"))?;
        // The same request again, after the dedupe window, says nothing new.
        if !self.known.insert(id.to_owned()) {
            return Ok(());
        }
        let mut row: Vec<Cell> = vec![
            id.into(),
            (&request.projection).into(),
            task.into(),
            (&request.actor).into(),
            time_ns.into(),
            sequence.into(),
        ];
        row.extend(std::iter::repeat_n(Cell::Null, 10));
        row.push(sequence.into());
        self.rows.push(row);
        Ok(())
    }

    fn finished(&mut self, end: &ProjectionFinished, sequence: u64, time_ns: i64) -> Result<(), FoldError> {
        if !self.known.contains(&end.request_id) {
            let problem = format!("{:?}, expected the id of a request", end.request_id);
            return Err(FoldError::field("request_id", problem));
        }
        // The columns that are written once stand in for those of the request and never reach the table.
        self.rows.push(vec![
            (&end.request_id).into(),
            "".into(),
            "".into(),
            "".into(),
            0_i64.into(),
            0_i64.into(),
            outcome(end.outcome()).into(),
            (&end.detail).into(),
            end.sequence.into(),
            end.messages.into(),
            end.differences.into(),
            (&end.state_hash).into(),
            (&end.state_hash_before).into(),
            end.sequence_before.into(),
            end.duration_ms.into(),
            time_ns.into(),
            sequence.into(),
        ]);
        Ok(())
    }
}

#[async_trait]
impl Projection for Jobs {
    async fn load(
        &mut self,
        connection: &mut PgConnection,
        schema: &str,
        _sequence: u64,
    ) -> Result<(), sqlx::Error> {
        let statement = format!("SELECT request_id FROM {schema}.jobs");
        for row in sqlx::query(AssertSqlSafe(statement)).fetch_all(connection).await? {
            self.known.insert(row.try_get(0)?);
        }
        Ok(())
    }

    fn fold(&mut self, recorded: &mut Recorded) -> Result<(), Stopped> {
        let time_ns = event_time(recorded)?;
        match recorded.event.body.as_ref() {
            Some(Body::ProjectionRequested(request)) => {
                self.requested(request, &recorded.event.id, recorded.sequence, time_ns)?;
            }
            Some(Body::ProjectionFinished(end)) => self.finished(end, recorded.sequence, time_ns)?,
            _ => {
                let problem = "of another type, expected projection_requested or projection_finished";
                return Err(FoldError::field("body", problem).into());
            }
        }
        Ok(())
    }

    fn take(&mut self) -> Vec<Rows> {
        vec![taken(&mut self.rows)]
    }
}
