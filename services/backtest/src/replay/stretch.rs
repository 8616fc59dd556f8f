//! Parity and forks: which part of the tape is run again, and what the comparison with what was recorded says.
//!
//! The tape is only read. Deliberately absent: putting the result on record (`service`, the command line).

use std::collections::BTreeSet;
use std::sync::Arc;

use analytics::Comparison;
use analytics::comparison::Outcome;
use contracts::v1::{
    BacktestCounts, BacktestFinished, BacktestKind, BacktestOutcome, BacktestRequest, BacktestStretch, Event,
};
use contracts::{ChainHash, chain_key, from_timestamp};
use event_log::{LogError, Tape};
use projections::as_of::{AsOfError, Moment, Past, Timeline};

use super::comparison::{compare, side};
use super::{
    ChangeError, Options, ReplayError, Rerun, Watch, changes, market, order_by_order, quiet, timeline,
};
use crate::work::WorkError;

/// Why a stretch was not run again.
#[derive(Debug, thiserror::Error)]
pub enum StretchError {
    /// It names no part of this tape.
    #[error("{field} {value:?}: expected {expected}")]
    Asked {
        /// Field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What was expected.
        expected: String,
    },
    /// The tape does not hold it.
    #[error("the tape holds nothing of the session {0}")]
    Missing(String),
    /// A change cannot be made there.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// It cannot be run.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

impl From<AsOfError> for StretchError {
    fn from(error: AsOfError) -> Self {
        match error {
            AsOfError::Future { asked, head, .. } => Self::Asked {
                field: "at",
                value: asked.to_string(),
                expected: format!("at most {head}, the last event on TRADING"),
            },
            AsOfError::Tape(error) => error.into(),
        }
    }
}

impl From<StretchError> for WorkError {
    fn from(error: StretchError) -> Self {
        match error {
            StretchError::Replay(ReplayError::Cancelled) => Self::Cancelled,
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<LogError> for StretchError {
    fn from(error: LogError) -> Self {
        Self::Replay(ReplayError::Tape(error))
    }
}

/// A part of a tape that is there, and what is changed at its beginning: all that running it again needs.
#[derive(Debug)]
pub struct Stretch {
    kind: BacktestKind,
    stated: BacktestStretch,
    ends: Ends,
    changed: Vec<Event>,
}

/// The ends of a stretch.
#[derive(Debug)]
struct Ends {
    /// Last sequence that both sides share.
    at: u64,
    /// Market time there.
    at_ns: i64,
    /// State at the recorded side's last sequence.
    end: Arc<Past>,
    /// Whether nothing later is on the tape: its last instant may still go on.
    newest: bool,
    /// Market time before which nothing belongs to it that is not recorded.
    since_ns: i64,
    /// Last sequence of MARKET that belongs to it whatever was decided on it; 0 where the marks say how far it goes.
    market: u64,
}

impl Stretch {
    /// Finds what `request`, which is complete, names; refuses what this tape does not hold, so that nothing is begun
    /// that cannot be done. `past` is that of the same tape.
    pub async fn find_along(
        tape: &Tape,
        past: &Timeline,
        request: &BacktestRequest,
    ) -> Result<Self, StretchError> {
        let (kind, stated) = (request.kind(), request.stretch.clone().unwrap_or_default());
        let (ends, changed) = match kind {
            BacktestKind::Parity => (session(tape, past, &stated.session).await?, Vec::new()),
            _ => {
                let (at, ends) = moments(past, &stated).await?;
                let changed = changes(&at.book, ends.at_ns, &stated.parameters, &stated.limits)?;
                (ends, changed)
            }
        };
        Ok(Self { kind, stated, ends, changed })
    }
}

/// Runs a stretch again and compares; answers also the end for the record, without its run's id.
pub async fn rerun(
    tape: &Tape,
    options: &Options,
    stretch: Stretch,
    watch: Watch<'_>,
) -> Result<(Comparison, BacktestFinished), StretchError> {
    let Stretch { kind, stated: stretch, ends, changed } = stretch;
    let to = ends.end.sequence();
    let mut rerun = Rerun::at(tape, options, ends.at, &|done| watch(done / 2.0)).await?;
    let mut recording = rerun.recording(tape, to).await?;
    recording.reach(ends.market);
    let open = rerun.book().open_orders().map(|order| (order.id().to_owned(), order.spec.clone())).collect();
    let mut derived = rerun.run(&recording, changed, &|done| watch(0.5 + done / 2.0)).await?;
    let recorded = &recording.events;
    // What nobody was there for before the session is none of it.
    set_aside(recorded, &mut derived, |time| time < Some(ends.since_ns));
    let latest = |time: Option<i64>| time >= ends.end.market_ns;
    let waiting = if ends.newest { set_aside(recorded, &mut derived, latest) } else { 0 };
    let rows = compare(recorded, &derived);
    let orders = order_by_order::orders(recorded, &derived, &open);
    let differing = rows.iter().filter(|row| row.outcome != Outcome::Same).count();
    let comparison = Comparison {
        kind: if kind == BacktestKind::Parity { "parity" } else { "fork" }.to_owned(),
        session: Some(stretch.session.clone()).filter(|session| !session.is_empty()),
        at: ends.at,
        from: ends.at + 1,
        to,
        parameters: stretch.parameters.clone(),
        limits: stretch.limits.clone(),
        verdict: if differing == 0 { "same" } else { "differs" }.to_owned(),
        compared: rows.len(),
        differing,
        open: waiting,
        first: rows.iter().find(|row| row.outcome != Outcome::Same).cloned(),
        recorded: side(recorded, &ends.end.book),
        derived: side(&derived, rerun.book()),
        orders_total: orders.len(),
        orders_differing: orders.iter().filter(|row| row.outcome != Outcome::Same).count(),
        orders,
        rows,
        equity: timeline::equity(recorded, &derived),
        fills: timeline::fills(recorded, &derived),
        left_out: Vec::new(),
    };
    let end = end(&comparison, &derived)?;
    Ok((comparison, end))
}

/// What the record says of a comparison.
fn end(comparison: &Comparison, derived: &[Event]) -> Result<BacktestFinished, StretchError> {
    let mut hash = ChainHash::default();
    derived.iter().for_each(|event| hash.add(event));
    let statistics = serde_json::json!({
        "compared": comparison.compared, "differing": comparison.differing, "open": comparison.open,
        "orders": comparison.orders_total, "orders_differing": comparison.orders_differing,
    });
    let side = &comparison.derived;
    let counts = BacktestCounts {
        signals: side.signals,
        orders: side.orders,
        fills: side.fills,
        runs: 1,
        ..BacktestCounts::default()
    };
    let document = comparison.clone().pack();
    Ok(BacktestFinished {
        outcome: BacktestOutcome::Succeeded.into(),
        statistics: statistics.to_string(),
        result_hash: hash.finish().map_err(ReplayError::from)?,
        counts: Some(counts),
        document: document.map_err(|error| ReplayError::Report(error.to_string()))?,
        ..BacktestFinished::default()
    })
}

/// Takes out what follows at an unwanted time and is not recorded; answers how much that is.
fn set_aside(recorded: &[Event], derived: &mut Vec<Event>, unwanted: impl Fn(Option<i64>) -> bool) -> usize {
    let ids: BTreeSet<&str> = recorded.iter().map(|event| event.id.as_str()).collect();
    let before = derived.len();
    derived.retain(|event| {
        let unwanted = unwanted(event.event_time.as_ref().and_then(from_timestamp));
        !unwanted || chain_key(event).is_none() || ids.contains(event.id.as_str())
    });
    before - derived.len()
}

async fn session(tape: &Tape, past: &Timeline, text: &str) -> Result<Ends, StretchError> {
    let asked = |expected: String| StretchError::Asked { field: "session", value: text.to_owned(), expected };
    let date = text.parse().map_err(|_| asked("a date such as 2020-01-02".to_owned()))?;
    // Without sessions there is none to compare.
    let calendar = market::calendar(tape, domain::calendar::Market::default()).await?;
    let hours = calendar.session(date).map_err(|error| asked(error.to_string()))?;
    let hours = hours.ok_or_else(|| asked("a day on which the exchange is open".to_owned()))?;
    let before = past.at(Moment::Instant(hours.open_ns.saturating_sub(1))).await?;
    let end = past.at(Moment::Instant(hours.close_ns)).await?;
    let mut newest = is_newest(past, &end).await?;
    let (mut since_ns, mut market) = (i64::MIN, 0);
    // Requests of people move the sequence as well, and behind the end of a tape that goes on so does the market between
    // the two looks: it is what the market did from the opening on that makes a session.
    if end.market_ns < Some(hours.open_ns) {
        let bars = quiet::bars(tape, &hours).await?;
        let bars = bars.ok_or_else(|| StretchError::Missing(text.to_owned()))?;
        (newest, since_ns, market) = (newest && !bars.over, hours.open_ns, bars.through);
    }
    let (at, at_ns) = (before.sequence(), before.market_ns.unwrap_or_default());
    Ok(Ends { at, at_ns, end, newest, since_ns, market })
}

/// The state at which a fork begins, and its ends.
async fn moments(past: &Timeline, stretch: &BacktestStretch) -> Result<(Arc<Past>, Ends), StretchError> {
    let at = instant_end(past, "at", &stretch.at).await?;
    let end = match stretch.to.as_str() {
        "" => past.at(Moment::Instant(i64::MAX)).await?,
        text => instant_end(past, "to", text).await?,
    };
    if end.sequence() <= at.sequence() {
        let (field, value, expected) = match stretch.to.as_str() {
            "" => ("at", stretch.at.as_str(), "a moment before the last instant of the tape"),
            to => ("to", to, "a moment after the fork"),
        };
        let expected = format!("{expected}, whose instant ends at TRADING {}", at.sequence());
        return Err(StretchError::Asked { field, value: value.to_owned(), expected });
    }
    let newest = is_newest(past, &end).await?;
    let (sequence, at_ns) = (at.sequence(), at.market_ns.unwrap_or_default());
    Ok((at, Ends { at: sequence, at_ns, end, newest, since_ns: i64::MIN, market: 0 }))
}

async fn is_newest(past: &Timeline, end: &Past) -> Result<bool, StretchError> {
    Ok(past.at(Moment::Instant(i64::MAX)).await?.market_ns == end.market_ns)
}

/// The state at the end of the instant in which a moment stands: a fork begins and ends between instants.
async fn instant_end(past: &Timeline, field: &'static str, text: &str) -> Result<Arc<Past>, StretchError> {
    let asked = |expected: String| StretchError::Asked { field, value: text.to_owned(), expected };
    let moment = match text.parse::<u64>() {
        Ok(sequence) => Moment::Sequence(sequence),
        Err(_) => text.parse().map_err(|_| {
            asked("a sequence of TRADING or an instant such as 2020-01-02T15:30:00Z".to_owned())
        })?,
    };
    // What runs to an instant that has not come runs to the end; nothing begins there.
    if field == "at" || matches!(moment, Moment::Sequence(_)) {
        let newest = past.at(Moment::Instant(i64::MAX)).await?;
        newest.holds(moment).map_err(asked)?;
    }
    let standing = past.at(moment).await?;
    match standing.market_ns {
        Some(market_ns) => Ok(past.at(Moment::Instant(market_ns)).await?),
        None => Ok(standing),
    }
}
