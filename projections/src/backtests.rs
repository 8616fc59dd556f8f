//! The projection `backtests`: what was asked for, how far each run is, and what it came to.
//!
//! The first end of a run counts; what comes after it changes nothing. An event of a run that was never asked
//! for is set aside. A run's progress is a hint and is not here.

mod row;

use std::collections::BTreeMap;

use async_trait::async_trait;
use contracts::v1::event::Body;
use contracts::v1::{BacktestFinished, BacktestKind, BacktestOutcome, BacktestRequested, BacktestStarted};
use event_log::Recorded;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::calendar::{event_time, taken};
use crate::projection::{FoldError, Projection, Stopped};
use crate::table::{Cell, JSON, Kind, Rows, Table, column, once};
use row::{End, Open};

pub(crate) static TABLES: &[&Table] = &[&RUNS];

const NUMBER: Kind = Kind::Cast("double precision");

static RUNS: Table = Table {
    name: "runs",
    key: &["run_id"],
    replaced: true,
    columns: &[
        column("run_id", Kind::Text),
        once("actor", Kind::Text),
        once("runner", Kind::Text),
        once("kind", Kind::Text),
        once("strategies", Kind::Text),
        once("symbols", Kind::Text),
        once("timeframe", Kind::Text),
        once("request", JSON),
        once("requested_at_ns", Kind::Int),
        once("first_sequence", Kind::Int),
        column("status", Kind::Text),
        column("attempt", Kind::Int),
        column("cancel_requested", Kind::Bool),
        column("detail", Kind::Text),
        column("started_at_ns", Kind::Int),
        column("finished_at_ns", Kind::Int),
        column("code_version", Kind::Text),
        column("data_hash", Kind::Text),
        column("result_hash", Kind::Text),
        column("counts", JSON),
        column("trades", Kind::Int),
        column("duration_ms", Kind::Int),
        column("statistics", JSON),
        column("sharpe", NUMBER),
        column("max_drawdown", NUMBER),
        column("total_return", NUMBER),
        column("document", Kind::Bytes),
        column("sequence", Kind::Int),
    ],
};

/// The word for a kind of run; `None` when it is not stated.
pub(crate) fn kind_name(kind: BacktestKind) -> Option<&'static str> {
    match kind {
        BacktestKind::Single => Some("single"),
        BacktestKind::Sweep => Some("sweep"),
        BacktestKind::WalkForward => Some("walk_forward"),
        BacktestKind::Parity => Some("parity"),
        BacktestKind::Fork => Some("fork"),
        BacktestKind::Unspecified => None,
    }
}

/// The word for what a run came to; `None` when it is not stated.
pub(crate) fn outcome_name(outcome: BacktestOutcome) -> Option<&'static str> {
    match outcome {
        BacktestOutcome::Succeeded => Some("succeeded"),
        BacktestOutcome::Failed => Some("failed"),
        BacktestOutcome::Cancelled => Some("cancelled"),
        BacktestOutcome::Unspecified => None,
    }
}

/// The fold. It remembers which runs there are, and of those that have not ended how far they are.
pub(crate) struct Backtests {
    /// `None` for a run that has ended.
    known: BTreeMap<String, Option<Open>>,
    rows: Rows,
}

impl Default for Backtests {
    fn default() -> Self {
        Self { known: BTreeMap::new(), rows: Rows::new(&RUNS) }
    }
}

impl Backtests {
    fn requested(&mut self, asked: &BacktestRequested, sequence: u64, time_ns: i64) -> Result<(), FoldError> {
        let missing = || FoldError::missing("request");
        let request = asked.request.as_ref().ok_or_else(missing)?;
        let kind = kind_name(request.kind()).ok_or_else(|| FoldError::missing("request.kind"))?;
        if asked.run_id.is_empty() {
            return Err(FoldError::missing("run_id"));
        }
        // The same request again, after the dedupe window, says nothing new.
        if self.known.contains_key(&asked.run_id) {
            return Ok(());
        }
        let json = serde_json::to_string(request);
        let json = json.map_err(|error| FoldError::field("request", error.to_string()))?;
        let first = [
            (&asked.actor).into(),
            (&asked.runner).into(),
            kind.into(),
            row::strategies(request).into(),
            row::symbols(request).into(),
            (&request.timeframe).into(),
            json.into(),
            time_ns.into(),
            sequence.into(),
        ];
        let open = Open::default();
        self.push(&asked.run_id, first, &open, &End::default(), sequence);
        self.known.insert(asked.run_id.clone(), Some(open));
        Ok(())
    }

    /// The run, while it has not ended; an error when it was never asked for.
    fn open(&self, run_id: &str) -> Result<Option<Open>, FoldError> {
        match self.known.get(run_id) {
            Some(open) => Ok(open.clone()),
            None => Err(FoldError::field("run_id", format!("{run_id:?}, expected the id of a request"))),
        }
    }

    fn changed(&mut self, run_id: &str, open: Open, sequence: u64) {
        self.push(run_id, blank(), &open, &End::default(), sequence);
        self.known.insert(run_id.to_owned(), Some(open));
    }

    fn started(&mut self, event: &BacktestStarted, sequence: u64, time_ns: i64) -> Result<(), FoldError> {
        let Some(open) = self.open(&event.run_id)? else { return Ok(()) };
        let began_ns = open.started_at_ns.unwrap_or(time_ns);
        let open = Open { attempt: event.attempt, started_at_ns: Some(began_ns), ..open };
        self.changed(&event.run_id, open, sequence);
        Ok(())
    }

    fn finished(&mut self, event: &BacktestFinished, sequence: u64, time_ns: i64) -> Result<(), FoldError> {
        let Some(open) = self.open(&event.run_id)? else { return Ok(()) };
        let end = End::of(event, time_ns)?;
        self.push(&event.run_id, blank(), &open, &end, sequence);
        self.known.insert(event.run_id.clone(), None);
        Ok(())
    }

    fn push(&mut self, run_id: &str, first: [Cell; 9], open: &Open, end: &End<'_>, sequence: u64) {
        let mut row: Vec<Cell> = vec![run_id.into()];
        row.extend(first);
        row.extend(open.cells(end));
        row.push(sequence.into());
        self.rows.push(row);
    }
}

/// The columns that are written once stand in for those of the request and never reach the table.
fn blank() -> [Cell; 9] {
    let text = || Cell::from("");
    [text(), text(), text(), text(), text(), text(), "{}".into(), 0_i64.into(), 0_i64.into()]
}

#[async_trait]
impl Projection for Backtests {
    async fn load(
        &mut self,
        connection: &mut PgConnection,
        schema: &str,
        _sequence: u64,
    ) -> Result<(), sqlx::Error> {
        let statement = format!(
            "SELECT run_id, attempt, cancel_requested, started_at_ns, finished_at_ns FROM {schema}.runs"
        );
        for row in sqlx::query(AssertSqlSafe(statement)).fetch_all(connection).await? {
            let ended: Option<i64> = row.try_get("finished_at_ns")?;
            let attempt: i64 = row.try_get("attempt")?;
            let open = Open {
                attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
                cancel_requested: row.try_get("cancel_requested")?,
                started_at_ns: row.try_get("started_at_ns")?,
            };
            self.known.insert(row.try_get("run_id")?, ended.is_none().then_some(open));
        }
        Ok(())
    }

    fn fold(&mut self, recorded: &mut Recorded) -> Result<(), Stopped> {
        let time_ns = event_time(recorded)?;
        let sequence = recorded.sequence;
        match recorded.event.body.as_ref() {
            Some(Body::BacktestRequested(asked)) => self.requested(asked, sequence, time_ns)?,
            Some(Body::BacktestStarted(event)) => self.started(event, sequence, time_ns)?,
            Some(Body::BacktestCancelRequested(event)) => {
                if let Some(open) = self.open(&event.run_id)? {
                    self.changed(&event.run_id, Open { cancel_requested: true, ..open }, sequence);
                }
            }
            Some(Body::BacktestFinished(event)) => self.finished(event, sequence, time_ns)?,
            _ => return Err(FoldError::field("body", "of another type, expected one of a backtest").into()),
        }
        Ok(())
    }

    fn take(&mut self) -> Vec<Rows> {
        vec![taken(&mut self.rows)]
    }
}
