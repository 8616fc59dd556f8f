//! Lists of messages, newest first, filtered.
//!
//! A subject filter is the server's to apply. What no subject tells (kind, chain, cause) is looked for in
//! the read model where TRADING has it, else in the messages themselves, a bounded number at a time.

use contracts::stream::TRADING;
use contracts::stream_of;
use event_log::{LogError, STORED_MAX, Stored, Tape};
use futures::StreamExt as _;
use projections::queries::{self, EventFilter};
use sqlx::PgPool;

use super::message::{Row, row};
use super::{BrowseError, stream_named};
use crate::error::PageError;
use crate::pages::Params;

/// Messages looked through for one page of a filter that no subject tells.
const LOOKED_AT_MAX: usize = 5_000;
/// Messages read from the tape at a time, when each is asked for by its sequence.
const READS: usize = 16;

/// From where a page is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// The newest.
    #[default]
    Newest,
    /// Those below this sequence.
    Before(u64),
    /// Those above this sequence, the lowest of them.
    After(u64),
}

impl Place {
    /// The place that a query names: `before` or `after`.
    pub fn of(params: &Params) -> Result<Self, PageError> {
        let sequence = |name: &'static str| {
            params.get(name).map(|text| {
                text.parse::<u64>().map_err(|_| PageError::field(name, text, "a sequence, a whole number"))
            })
        };
        Ok(match (sequence("before"), sequence("after")) {
            (Some(before), _) => Self::Before(before?),
            (None, Some(after)) => Self::After(after?),
            (None, None) => Self::Newest,
        })
    }
}

/// What is wanted. An empty text asks for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Stream.
    pub stream: &'static str,
    /// Subject or filter.
    pub subject: String,
    /// Kind of event, for example `risk_decision`.
    pub kind: String,
    /// First event of their chain.
    pub correlation: String,
    /// Event that caused them.
    pub causation: String,
}

/// A filter that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} = {value:?}: expected {expected}")]
pub struct WantedError {
    /// The field.
    pub field: &'static str,
    /// The value found.
    pub value: String,
    /// What is expected.
    pub expected: String,
}

impl Wanted {
    /// Everything of a stream.
    #[must_use]
    pub fn all(stream: &'static str) -> Self {
        let none = String::new;
        Self { stream, subject: none(), kind: none(), correlation: none(), causation: none() }
    }

    /// What a query asks for.
    pub fn of(params: &Params) -> Result<Self, PageError> {
        let field = |name| params.get(name).unwrap_or_default();
        let [stream, subject, kind] = ["stream", "subject", "type"].map(field);
        Ok(Self::new(stream, subject, kind, field("correlation"), field("causation"))?)
    }

    /// Checks a filter as somebody typed it. No stream means the one of the subject or kind, else TRADING.
    pub fn new(
        stream: &str,
        subject: &str,
        kind: &str,
        correlation: &str,
        causation: &str,
    ) -> Result<Self, WantedError> {
        let wrong = |field, value: &str, expected: &str| WantedError {
            field,
            value: value.chars().take(80).collect(),
            expected: expected.to_owned(),
        };
        let [subject, kind, correlation, causation] =
            [subject, kind, correlation, causation].map(|text| text.trim().to_owned());
        if !subject.is_empty() && !event_log::is_well_formed(&subject) {
            return Err(wrong("subject", &subject, "a subject or a filter such as order.*.sma_cross.>"));
        }
        let of_kind = if kind.is_empty() { None } else { projections::kind_subjects(&kind) };
        if !kind.is_empty() && of_kind.is_none() {
            return Err(wrong("type", &kind, "a kind of event such as signal or order_accepted"));
        }
        let open = subject.is_empty() || subject.starts_with('*') || subject.starts_with('>');
        let own = if open { of_kind.and_then(stream_of) } else { stream_of(&subject) };
        if !open && own.is_none() {
            return Err(wrong("subject", &subject, "one that is on a stream of the tape"));
        }
        let asked = match (stream, own) {
            ("", own) => own.unwrap_or(TRADING),
            (name, _) => stream_named(name).ok_or_else(|| {
                wrong("stream", name, "MARKET, REFERENCE, TRADING, AUDIT, PARKED, LOGS or QUOTES")
            })?,
        };
        if own.is_some_and(|own| own != asked) {
            let (field, value) = if open { ("type", &kind) } else { ("subject", &subject) };
            return Err(wrong(field, value, &format!("one of stream {asked}")));
        }
        if of_kind.and_then(stream_of).is_some_and(|of_kind| of_kind != asked) {
            return Err(wrong("type", &kind, &format!("one of stream {asked}")));
        }
        for (field, id) in [("correlation", &correlation), ("causation", &causation)] {
            if id.len() > 64 || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(wrong(field, id, "an event id of 1 to 64 printable characters"));
            }
        }
        Ok(Self { stream: asked, subject, kind, correlation, causation })
    }

    /// What the server filters by.
    #[must_use]
    pub fn filter(&self) -> &str {
        if !self.subject.is_empty() {
            return &self.subject;
        }
        projections::kind_subjects(&self.kind).unwrap_or(">")
    }

    fn admits(&self, row: &Row) -> bool {
        let same = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
        same(&self.kind, row.kind)
            && same(&self.correlation, &row.correlation_id)
            && same(&self.causation, &row.causation_id)
    }

    /// Whether the read model knows which events are meant.
    fn is_indexed(&self) -> bool {
        self.stream == TRADING && !(self.correlation.is_empty() && self.causation.is_empty())
    }
}

/// One page.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Listed {
    /// Messages, newest first.
    pub rows: Vec<Row>,
    /// Below this sequence there may be more.
    pub older: Option<u64>,
    /// Above this sequence there may be more.
    pub newer: Option<u64>,
    /// Set when looking stopped at this sequence before the page was full.
    pub stopped_at: Option<u64>,
}

/// A page of at most `limit` messages.
pub async fn list(
    tape: &Tape,
    pool: &PgPool,
    wanted: &Wanted,
    place: Place,
    limit: usize,
) -> Result<Listed, BrowseError> {
    let last = tape.state(wanted.stream).await?.last_sequence;
    let mut listed = match place {
        Place::Newest if wanted.is_indexed() => indexed(tape, pool, wanted, None, limit).await?,
        Place::Before(before) if wanted.is_indexed() => {
            indexed(tape, pool, wanted, Some(before), limit).await?
        }
        Place::Newest => backwards(tape, wanted, u64::MAX, limit).await?,
        Place::Before(before) => backwards(tape, wanted, before, limit).await?,
        Place::After(after) => forwards(tape, wanted, after, limit).await?,
    };
    let top = listed.rows.first().map(|row| row.sequence);
    if place != Place::Newest {
        listed.newer = top.filter(|top| *top < last);
    }
    Ok(listed)
}

async fn backwards(tape: &Tape, wanted: &Wanted, before: u64, limit: usize) -> Result<Listed, BrowseError> {
    let mut listed = Listed { rows: Vec::new(), older: None, newer: None, stopped_at: None };
    let mut before = before;
    let mut looked_at = 0;
    let mut step = limit + 1;
    loop {
        let messages = tape.stored_before(wanted.stream, wanted.filter(), before, step).await?;
        let ended = messages.len() < step;
        for stored in messages {
            let row = row(wanted.stream, &stored);
            if listed.rows.len() == limit {
                // There is one more: the last one listed leads on.
                listed.older = listed.rows.last().map(|row| row.sequence);
                return Ok(listed);
            }
            before = stored.sequence;
            looked_at += 1;
            if wanted.admits(&row) {
                listed.rows.push(row);
            }
        }
        if ended {
            return Ok(listed);
        }
        if looked_at >= LOOKED_AT_MAX {
            listed.older = Some(before);
            listed.stopped_at = Some(before);
            return Ok(listed);
        }
        step = STORED_MAX;
    }
}

async fn forwards(tape: &Tape, wanted: &Wanted, after: u64, limit: usize) -> Result<Listed, BrowseError> {
    let mut listed = Listed { rows: Vec::new(), older: None, newer: None, stopped_at: None };
    let mut from = after.saturating_add(1);
    let mut looked_at = 0;
    'reading: loop {
        let messages: Vec<Stored> =
            tape.stored_from(wanted.stream, wanted.filter(), from, limit.max(STORED_MAX / 4)).await?;
        if messages.is_empty() {
            break;
        }
        for stored in messages {
            let row = row(wanted.stream, &stored);
            from = stored.sequence + 1;
            looked_at += 1;
            if wanted.admits(&row) {
                listed.rows.push(row);
            }
            if listed.rows.len() == limit {
                break 'reading;
            }
        }
        if looked_at >= LOOKED_AT_MAX {
            listed.stopped_at = Some(from - 1);
            break;
        }
    }
    listed.rows.reverse();
    listed.older = Some(listed.rows.last().map_or(from, |row| row.sequence)).filter(|older| *older > 1);
    Ok(listed)
}

/// The events that the read model names, as they stand on the tape.
async fn indexed(
    tape: &Tape,
    pool: &PgPool,
    wanted: &Wanted,
    before: Option<u64>,
    limit: usize,
) -> Result<Listed, BrowseError> {
    let filter = EventFilter {
        correlation_id: wanted.correlation.clone(),
        causation_id: wanted.causation.clone(),
        kind: wanted.kind.clone(),
    };
    let limit = u32::try_from(limit).unwrap_or(queries::LIMIT_MAX);
    let page = queries::events(pool, &filter, before, limit).await?;
    let sequences: Vec<u64> = page.rows.iter().map(|row| row.sequence).collect();
    let reads = sequences.into_iter().map(|sequence| event_at(tape, sequence));
    let read: Vec<_> = futures::stream::iter(reads).buffered(READS).collect().await;
    let mut rows = Vec::with_capacity(read.len());
    for found in read {
        let covered = |stored: &Stored| event_log::covers(wanted.filter(), &stored.subject);
        rows.extend(found?.filter(covered).map(|stored| row(TRADING, &stored)));
    }
    Ok(Listed { rows, older: page.next, newer: None, stopped_at: None })
}

async fn event_at(tape: &Tape, sequence: u64) -> Result<Option<Stored>, LogError> {
    let found = tape.stored_from(TRADING, ">", sequence, 1).await?.pop();
    Ok(found.filter(|stored| stored.sequence == sequence))
}
