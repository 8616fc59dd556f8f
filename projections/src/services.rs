//! The projection `services`: the last heartbeat of every instance with the breakers of its clients, and the last report
//! of every live source.

use async_trait::async_trait;
use contracts::from_timestamp;
use contracts::v1::event::Body;
use contracts::v1::{SourceBreaker, SourceReported};
use event_log::Recorded;

use crate::calendar::{event_time, taken};
use crate::projection::{FoldError, Projection, Stopped};
use crate::table::{Cell, JSON, Kind, Rows, Table, column};

pub(crate) static TABLES: &[&Table] = &[&HEARTBEATS, &SOURCES];

static HEARTBEATS: Table = Table {
    name: "heartbeats",
    key: &["service", "instance"],
    replaced: true,
    columns: &[
        column("service", Kind::Text),
        column("instance", Kind::Text),
        column("program_version", Kind::Text),
        column("state", Kind::Text),
        column("detail", Kind::Text),
        column("started_at_ns", Kind::Int),
        column("beat_at_ns", Kind::Int),
        column("sequence", Kind::Int),
        column("breakers", JSON),
    ],
};

static SOURCES: Table = Table {
    name: "sources",
    key: &["source", "instance"],
    replaced: true,
    columns: &[
        column("source", Kind::Text),
        column("instance", Kind::Text),
        column("state", Kind::Text),
        column("detail", Kind::Text),
        column("since_ns", Kind::Int),
        column("symbols", JSON),
        column("last_message_ns", Kind::Int),
        column("messages", Kind::Int),
        column("bars", Kind::Int),
        column("revisions", Kind::Int),
        column("duplicates", Kind::Int),
        column("lag_p50_ns", Kind::Int),
        column("lag_p99_ns", Kind::Int),
        column("reconnects", Kind::Int),
        column("gaps_filled", Kind::Int),
        column("gap_bars", Kind::Int),
        column("errors", Kind::Int),
        column("last_error", Kind::Text),
        column("breaker", Kind::Text),
        column("quotes", Kind::Int),
        column("trades", Kind::Int),
        column("ticks", Kind::Int),
        column("reported_at_ns", Kind::Int),
        column("sequence", Kind::Int),
    ],
};

/// The fold: what is said later replaces what was said before.
pub(crate) struct Services {
    heartbeats: Rows,
    sources: Rows,
}

impl Default for Services {
    fn default() -> Self {
        Self { heartbeats: Rows::new(&HEARTBEATS), sources: Rows::new(&SOURCES) }
    }
}

#[async_trait]
impl Projection for Services {
    fn fold(&mut self, recorded: &mut Recorded) -> Result<(), Stopped> {
        let beat = match recorded.event.body.as_ref() {
            Some(Body::Heartbeat(beat)) => beat,
            Some(Body::SourceReported(report)) => {
                self.sources.push(source(report, event_time(recorded)?, recorded.sequence));
                return Ok(());
            }
            _ => {
                let problem = "of another type, expected heartbeat or source_reported";
                return Err(FoldError::field("body", problem).into());
            }
        };
        self.heartbeats.push(vec![
            (&beat.service).into(),
            (&beat.instance).into(),
            (&beat.version).into(),
            (&beat.state).into(),
            (&beat.detail).into(),
            beat.started_at.as_ref().and_then(from_timestamp).into(),
            event_time(recorded)?.into(),
            recorded.sequence.into(),
            breakers(&beat.breakers).into(),
        ]);
        Ok(())
    }

    fn take(&mut self) -> Vec<Rows> {
        vec![taken(&mut self.heartbeats), taken(&mut self.sources)]
    }
}

/// Breakers as JSON, with the names that [`crate::queries::BreakerRow`] gives them.
fn breakers(told: &[SourceBreaker]) -> String {
    let of = |breaker: &SourceBreaker| {
        serde_json::json!({
            "source": breaker.source,
            "account": breaker.account,
            "client": breaker.client,
            "state": breaker.state,
            "until_ns": breaker.until.as_ref().and_then(from_timestamp),
            "failures": breaker.failures,
            "last_failure": breaker.last_failure,
            "last_failure_ns": breaker.last_failure_at.as_ref().and_then(from_timestamp),
        })
    };
    serde_json::Value::Array(told.iter().map(of).collect()).to_string()
}

fn source(report: &SourceReported, reported_ns: i64, sequence: u64) -> Vec<Cell> {
    let symbols = serde_json::Value::from(report.symbols.clone()).to_string();
    vec![
        (&report.source).into(),
        (&report.instance).into(),
        (&report.state).into(),
        (&report.detail).into(),
        report.since.as_ref().and_then(from_timestamp).into(),
        symbols.into(),
        report.last_message.as_ref().and_then(from_timestamp).into(),
        report.messages.into(),
        report.bars.into(),
        report.revisions.into(),
        report.duplicates.into(),
        report.lag_p50_ns.into(),
        report.lag_p99_ns.into(),
        report.reconnects.into(),
        report.gaps_filled.into(),
        report.gap_bars.into(),
        report.errors.into(),
        (&report.last_error).into(),
        (&report.breaker).into(),
        report.quotes.into(),
        report.trades.into(),
        report.ticks.into(),
        reported_ns.into(),
        sequence.into(),
    ]
}
