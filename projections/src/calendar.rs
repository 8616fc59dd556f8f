//! The projection `calendar`: corporate actions, sessions and findings of MARKET.

use async_trait::async_trait;
use contracts::from_timestamp;
use contracts::v1::event::Body;
use contracts::v1::{ActionKind, Origin, SessionPhase, Severity};
use event_log::Recorded;

use crate::projection::{FoldError, Projection, Stopped};
use crate::table::{Cell, DATE, Kind, PRICE, Rows, Table, column, decimal};

pub(crate) static TABLES: &[&Table] = &[&ACTIONS, &SESSIONS, &QUALITY];

static ACTIONS: Table = Table {
    name: "corporate_actions",
    key: &["sequence"],
    replaced: false,
    columns: &[
        column("sequence", Kind::Int),
        column("event_id", Kind::Text),
        column("symbol", Kind::Text),
        column("ex_date", DATE),
        column("kind", Kind::Text),
        column("value", PRICE),
        column("origin", Kind::Text),
        column("event_time_ns", Kind::Int),
    ],
};

static SESSIONS: Table = Table {
    name: "sessions",
    key: &["exchange", "date"],
    replaced: true,
    columns: &[
        column("exchange", Kind::Text),
        column("date", DATE),
        column("phase", Kind::Text),
        column("open_ns", Kind::Int),
        column("close_ns", Kind::Int),
        column("early_close", Kind::Bool),
        column("event_time_ns", Kind::Int),
        column("sequence", Kind::Int),
    ],
};

static QUALITY: Table = Table {
    name: "quality",
    key: &["sequence"],
    replaced: false,
    columns: &[
        column("sequence", Kind::Int),
        column("event_id", Kind::Text),
        column("symbol", Kind::Text),
        column("rule", Kind::Text),
        column("severity", Kind::Text),
        column("timeframe", Kind::Text),
        column("bar_start_ns", Kind::Int),
        column("detail", Kind::Text),
        column("event_time_ns", Kind::Int),
        column("found", Kind::Text),
        column("expected", Kind::Text),
        column("authority", Kind::Text),
    ],
};

/// The fold. Every event is one row; nothing is remembered.
pub(crate) struct Calendar {
    actions: Rows,
    sessions: Rows,
    quality: Rows,
}

impl Default for Calendar {
    fn default() -> Self {
        Self { actions: Rows::new(&ACTIONS), sessions: Rows::new(&SESSIONS), quality: Rows::new(&QUALITY) }
    }
}

#[async_trait]
impl Projection for Calendar {
    fn fold(&mut self, recorded: &mut Recorded) -> Result<(), Stopped> {
        let event = &recorded.event;
        let event_time_ns = event_time(recorded)?;
        match event.body.as_ref() {
            Some(Body::CorporateAction(action)) => {
                let kind = match action.kind() {
                    ActionKind::Unspecified => {
                        return Err(
                            FoldError::field("kind", "unspecified, expected split or dividend").into()
                        );
                    }
                    kind => kind.name(),
                };
                self.actions.push(vec![
                    recorded.sequence.into(),
                    (&event.id).into(),
                    (&action.symbol).into(),
                    date("ex_date", &action.ex_date)?,
                    kind.into(),
                    decimal(domain::money::Price(action.value_e9)),
                    origin(action.origin()).into(),
                    event_time_ns.into(),
                ]);
            }
            Some(Body::SessionChange(session)) => {
                let phase = match session.phase() {
                    SessionPhase::Opened => "opened",
                    SessionPhase::Closed => "closed",
                    SessionPhase::Unspecified => {
                        return Err(
                            FoldError::field("phase", "unspecified, expected opened or closed").into()
                        );
                    }
                };
                self.sessions.push(vec![
                    (&session.exchange).into(),
                    date("date", &session.date)?,
                    phase.into(),
                    session.open.as_ref().and_then(from_timestamp).into(),
                    session.close.as_ref().and_then(from_timestamp).into(),
                    session.early_close.into(),
                    event_time_ns.into(),
                    recorded.sequence.into(),
                ]);
            }
            Some(Body::QualityFinding(finding)) => {
                let severity = match finding.severity() {
                    Severity::Unspecified | Severity::Info => "info",
                    Severity::Warning => "warning",
                    Severity::Error => "error",
                };
                self.quality.push(vec![
                    recorded.sequence.into(),
                    (&event.id).into(),
                    (&finding.symbol).into(),
                    (&finding.rule).into(),
                    severity.into(),
                    (&finding.timeframe).into(),
                    finding.bar_start.as_ref().and_then(from_timestamp).into(),
                    (&finding.detail).into(),
                    event_time_ns.into(),
                    (&finding.found).into(),
                    (&finding.expected).into(),
                    (&finding.authority).into(),
                ]);
            }
            _ => {
                let expected =
                    "of another type, expected corporate_action, session_change or quality_finding";
                return Err(FoldError::field("body", expected).into());
            }
        }
        Ok(())
    }

    fn take(&mut self) -> Vec<Rows> {
        [&mut self.actions, &mut self.sessions, &mut self.quality].map(taken).into()
    }
}

pub(crate) fn taken(rows: &mut Rows) -> Rows {
    let table = rows.table;
    std::mem::replace(rows, Rows::new(table))
}

pub(crate) fn event_time(recorded: &Recorded) -> Result<i64, FoldError> {
    recorded
        .event
        .event_time
        .as_ref()
        .and_then(from_timestamp)
        .ok_or_else(|| FoldError::missing("event_time"))
}

pub(crate) fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Unspecified => "unspecified",
        Origin::Live => "live",
        Origin::Rehearsal => "rehearsal",
        Origin::Import => "import",
        Origin::Backfill => "backfill",
    }
}

/// A `YYYY-MM-DD` that the calendar knows; Postgres would accept other spellings, and the row must not
/// depend on its settings.
fn date(field: &'static str, text: &str) -> Result<Cell, FoldError> {
    chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .map(decimal)
        .map_err(|_| FoldError::field(field, format!("{text:?}, expected a date as YYYY-MM-DD")))
}
