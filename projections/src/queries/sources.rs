//! Live sources: the last report of each; the breakers of whatever asks a source or a broker.

use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::QueryError;
use super::reading::read_all;

/// The last report of one instance of a live source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SourceRow {
    /// Source.
    pub source: String,
    /// Instance of the process.
    pub instance: String,
    /// `connecting`, `catching_up`, `live`, `waiting` or `refused`.
    pub state: String,
    /// What it waits for or suffers from.
    pub detail: String,
    /// Since when it is in that state, UTC nanoseconds.
    pub since_ns: Option<i64>,
    /// What it was asked to tell of.
    pub symbols: Vec<String>,
    /// When anything came over the connection last, UTC nanoseconds.
    pub last_message_ns: Option<i64>,
    /// Messages of data since the start.
    pub messages: u64,
    /// Bars put on the tape, longer ones included.
    pub bars: u64,
    /// Revisions put on the tape.
    pub revisions: u64,
    /// Bars that said nothing new.
    pub duplicates: u64,
    /// From a minute's end until its bar was stored: half of the newest bars were faster, in nanoseconds.
    pub lag_p50_ns: Option<i64>,
    /// The same for 99 of 100.
    pub lag_p99_ns: Option<i64>,
    /// Connections after the first.
    pub reconnects: u64,
    /// Spans that were asked for again.
    pub gaps_filled: u64,
    /// Bars that came of them.
    pub gap_bars: u64,
    /// Failures.
    pub errors: u64,
    /// The last one.
    pub last_error: String,
    /// `closed` when history may be asked for, `open` when not.
    pub breaker: String,
    /// Quotes that were told.
    pub quotes: u64,
    /// Trades that were told.
    pub trades: u64,
    /// Quotes and trades that are on the tape.
    pub ticks: u64,
    /// When it was reported, UTC nanoseconds.
    pub reported_at_ns: i64,
    /// LOGS sequence.
    pub sequence: u64,
}

/// How the breaker of one client stands, as the newest instance of its service said with its last heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct BreakerRow {
    /// Service whose client it is.
    pub service: String,
    /// Source that is asked.
    pub source: String,
    /// Account of the broker; empty where it is no broker's.
    pub account: String,
    /// What is asked for: `live`, `actions`, `news` or `broker`.
    pub client: String,
    /// `closed`, `open` (nothing is asked) or `half_open` (the next request decides).
    pub state: String,
    /// Until when nothing is asked, UTC nanoseconds; only of an open one.
    pub until_ns: Option<i64>,
    /// Failures in a row.
    pub failures: u32,
    /// What failed last; empty where nothing did.
    pub last_failure: String,
    /// When, UTC nanoseconds.
    pub last_failure_ns: Option<i64>,
    /// When the service said so, UTC nanoseconds. One that is silent or has ended says nothing about now.
    pub reported_at_ns: i64,
}

/// A breaker as a heartbeat's row holds it.
#[derive(Deserialize)]
struct Told {
    source: String,
    account: String,
    client: String,
    state: String,
    until_ns: Option<i64>,
    failures: u32,
    last_failure: String,
    last_failure_ns: Option<i64>,
}

/// The breakers of each service's newest instance, by service, source, what is asked for and account.
pub async fn breakers(pool: &PgPool) -> Result<Vec<BreakerRow>, QueryError> {
    let rows = sqlx::query(
        "SELECT DISTINCT ON (service) service, beat_at_ns, breakers::text AS told FROM services.heartbeats
         ORDER BY service, beat_at_ns DESC, instance LIMIT 200",
    )
    .fetch_all(pool)
    .await?;
    let read = read_all(&rows, |row| {
        let told: Vec<Told> = row.json("told")?;
        Ok((row.text("service")?, row.int("beat_at_ns")?, told))
    })?;
    let mut all = Vec::new();
    for (service, reported_at_ns, told) in read {
        all.extend(told.into_iter().map(|told| BreakerRow {
            service: service.clone(),
            source: told.source,
            account: told.account,
            client: told.client,
            state: told.state,
            until_ns: told.until_ns,
            failures: told.failures,
            last_failure: told.last_failure,
            last_failure_ns: told.last_failure_ns,
            reported_at_ns,
        }));
    }
    Ok(all)
}

/// The last report of each source's newest instance, by source.
pub async fn sources(pool: &PgPool) -> Result<Vec<SourceRow>, QueryError> {
    let rows = sqlx::query(
        "SELECT DISTINCT ON (source) *, symbols::text AS listed FROM services.sources
         ORDER BY source, reported_at_ns DESC, instance LIMIT 200",
    )
    .fetch_all(pool)
    .await?;
    Ok(read_all(&rows, |row| {
        Ok(SourceRow {
            source: row.text("source")?,
            instance: row.text("instance")?,
            state: row.text("state")?,
            detail: row.text("detail")?,
            since_ns: row.int_or_none("since_ns")?,
            symbols: row.json("listed")?,
            last_message_ns: row.int_or_none("last_message_ns")?,
            messages: row.sequence("messages")?,
            bars: row.sequence("bars")?,
            revisions: row.sequence("revisions")?,
            duplicates: row.sequence("duplicates")?,
            lag_p50_ns: row.int_or_none("lag_p50_ns")?,
            lag_p99_ns: row.int_or_none("lag_p99_ns")?,
            reconnects: row.sequence("reconnects")?,
            gaps_filled: row.sequence("gaps_filled")?,
            gap_bars: row.sequence("gap_bars")?,
            errors: row.sequence("errors")?,
            last_error: row.text("last_error")?,
            breaker: row.text("breaker")?,
            quotes: row.sequence("quotes")?,
            trades: row.sequence("trades")?,
            ticks: row.sequence("ticks")?,
            reported_at_ns: row.int("reported_at_ns")?,
            sequence: row.sequence("sequence")?,
        })
    })?)
}
