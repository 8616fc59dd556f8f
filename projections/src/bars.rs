//! The projection `bars`: bars and their restatements.
//!
//! The bar of an interval is the last event that states it. A revision restates it, and so does a second
//! bar of the same interval from another source; the values replaced are kept in `revisions`, so that a
//! bar can be read as of any sequence and as it was known at any instant. A restatement is known behind the
//! newest bar of its series that stands before it on the tape, or behind its own event time where that is
//! later, as in the segments of a backtest.

mod batch;
mod copy;
mod write;

use async_trait::async_trait;
use contracts::from_timestamp;
use contracts::v1;
use contracts::v1::event::Body;
use event_log::Recorded;

pub(crate) use batch::Segment;
use batch::{BarRow, Batch};
pub(crate) use write::write;

use crate::calendar::{event_time, origin};
use crate::projection::{FoldError, Projection, Stopped};
use crate::table::{Column, Kind, PRICE, Rows, Table, VOLUME, column, once};

pub(crate) static TABLES: &[&Table] = &[&BARS, &REVISIONS, &SERIES];

static BARS: Table = Table {
    name: "bars",
    key: &["symbol", "timeframe", "close_ns"],
    replaced: true,
    columns: &[
        column("symbol", Kind::Text),
        column("timeframe", Kind::Text),
        column("close_ns", Kind::Int),
        column("start_ns", Kind::Int),
        column("open", PRICE),
        column("high", PRICE),
        column("low", PRICE),
        column("close", PRICE),
        column("volume", VOLUME),
        column("vwap", PRICE),
        column("trade_count", Kind::Int),
        column("origin", Kind::Text),
        column("event_id", Kind::Text),
        once("first_sequence", Kind::Int),
        column("sequence", Kind::Int),
    ],
};

static REVISIONS: Table = Table {
    name: "revisions",
    key: &["sequence"],
    replaced: false,
    columns: &[
        column("sequence", Kind::Int),
        column("event_id", Kind::Text),
        column("revises", Kind::Text),
        column("symbol", Kind::Text),
        column("timeframe", Kind::Text),
        column("close_ns", Kind::Int),
        column("start_ns", Kind::Int),
        column("open", PRICE),
        column("high", PRICE),
        column("low", PRICE),
        column("close", PRICE),
        column("volume", VOLUME),
        column("old_sequence", Kind::Int),
        column("old_event_id", Kind::Text),
        column("old_open", PRICE),
        column("old_high", PRICE),
        column("old_low", PRICE),
        column("old_close", PRICE),
        column("old_volume", VOLUME),
        column("old_start_ns", Kind::Int),
        column("old_vwap", PRICE),
        column("old_origin", Kind::Text),
        column("known_ns", Kind::Int),
    ],
};

static SERIES: Table = Table {
    name: "series",
    key: &["symbol", "timeframe"],
    replaced: true,
    columns: &[
        column("symbol", Kind::Text),
        column("timeframe", Kind::Text),
        column("bars", Kind::Int),
        column("first_close_ns", Kind::Int),
        column("last_close_ns", Kind::Int),
        column("sequence", Kind::Int),
        column("live_close_ns", Kind::Int),
        column("live_since_ns", Kind::Int),
    ],
};

/// Origin of a bar that was made of shorter ones on the tape.
const MADE: &str = "made";

/// Longest symbol. Columns of bounded length need no place for overlong values: a partition is two files
/// instead of four.
const SYMBOL_MAX: usize = 64;

/// The columns of `bars`, in the order in which they are sent.
fn bar_columns() -> &'static [Column] {
    BARS.columns
}

/// The fold: rows in the order of the stream. Beyond the batch it remembers the newest close of every
/// series, from which it knows that a bar cannot have been stated before.
#[derive(Default)]
pub(crate) struct Bars {
    batch: Batch,
}

#[async_trait]
impl Projection for Bars {
    fn fold(&mut self, recorded: &mut Recorded) -> Result<(), Stopped> {
        let event_time_ns = event_time(recorded)?;
        let event = &mut recorded.event;
        let (bar, revises) = match event.body.as_mut() {
            Some(Body::Bar(bar)) => (bar, None),
            Some(Body::BarRevision(revision)) => {
                let revises = revision.revises.clone();
                (revision.bar.as_mut().ok_or_else(|| FoldError::missing("bar"))?, Some(revises))
            }
            _ => return Err(FoldError::field("body", "of another type, expected bar or bar_revision").into()),
        };
        let mut row = row(recorded.sequence, bar, revises, event_time_ns)?;
        // Bars come by the million: their texts are moved, not copied.
        row.symbol = std::mem::take(&mut bar.symbol);
        row.event_id = std::mem::take(&mut event.id);
        self.batch.push(row);
        Ok(())
    }

    fn take(&mut self) -> Vec<Rows> {
        Vec::new()
    }

    fn take_bars(&mut self) -> Vec<Segment> {
        self.batch.take()
    }
}

/// Everything of a row but its texts.
fn row(
    sequence: u64,
    bar: &v1::Bar,
    revises: Option<String>,
    event_time_ns: i64,
) -> Result<BarRow, FoldError> {
    let start_ns = bar.start.as_ref().and_then(from_timestamp).ok_or_else(|| FoldError::missing("start"))?;
    let timeframe = bar
        .timeframe
        .parse::<domain::bar::Timeframe>()
        .map_err(|error| FoldError::field("timeframe", error.to_string()))?;
    // A revision may become known long after the close of the bar that it restates.
    let latest = start_ns.saturating_add(timeframe.nanos());
    let close_ns = if revises.is_some() { event_time_ns.min(latest) } else { event_time_ns };
    if close_ns <= start_ns {
        let problem = format!("{close_ns} ns, expected a close after the start at {start_ns} ns");
        return Err(FoldError::field("event_time", problem));
    }
    if bar.symbol.contains('\0') || bar.symbol.chars().count() > SYMBOL_MAX {
        let problem = format!("{:?}, expected at most {SYMBOL_MAX} characters without NUL", bar.symbol);
        return Err(FoldError::field("symbol", problem));
    }
    Ok(BarRow {
        symbol: String::new(),
        timeframe,
        close_ns,
        start_ns,
        stated_ns: event_time_ns,
        prices_e9: [bar.open_e9, bar.high_e9, bar.low_e9, bar.close_e9],
        volume_e3: bar.volume_e3,
        vwap_e9: bar.vwap_e9,
        trade_count: bar.trade_count,
        // A bar made of others fills and prices nothing, whenever it came.
        origin: if bar.made_of.is_empty() { origin(bar.origin()) } else { MADE },
        event_id: String::new(),
        sequence: i64::try_from(sequence).unwrap_or(i64::MAX),
        revises,
    })
}
