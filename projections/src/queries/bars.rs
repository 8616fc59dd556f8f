//! Bars: series known, history before a sequence, ranges for charts.

use domain::bar::{Bar, Timeframe};
use domain::money::{Price, Volume};
use serde::Serialize;
use sqlx::{AssertSqlSafe, PgPool};

use super::reading::{Reading, decimal, decimal_or_null, read_all};
use super::{QueryError, known_bars};
use crate::table::malformed;
use crate::write::stored;

/// Most bars of one answer.
pub(super) const BARS_MAX: u32 = 100_000;

/// One series of bars.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Series {
    /// Symbol.
    pub symbol: String,
    /// Timeframe.
    pub timeframe: String,
    /// Number of bars.
    pub bars: u64,
    /// Close of the first bar, UTC nanoseconds.
    pub first_close_ns: i64,
    /// Close of the last bar, UTC nanoseconds.
    pub last_close_ns: i64,
    /// MARKET sequence that last changed the series.
    pub sequence: u64,
}

/// One bar, raw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BarRow {
    /// Start of the interval, UTC nanoseconds.
    pub start_ns: i64,
    /// Close of the interval, UTC nanoseconds.
    pub close_ns: i64,
    /// First price.
    #[serde(serialize_with = "decimal")]
    pub open: Price,
    /// Highest price.
    #[serde(serialize_with = "decimal")]
    pub high: Price,
    /// Lowest price.
    #[serde(serialize_with = "decimal")]
    pub low: Price,
    /// Last price.
    #[serde(serialize_with = "decimal")]
    pub close: Price,
    /// Shares traded.
    #[serde(serialize_with = "decimal")]
    pub volume: Volume,
    /// Volume-weighted average price, where the source had it.
    #[serde(serialize_with = "decimal_or_null")]
    pub vwap: Option<Price>,
    /// `import`, `backfill`, `live`, `rehearsal`, or `made` of shorter bars.
    pub origin: String,
    /// MARKET sequence that brought the bar.
    pub first_sequence: u64,
    /// MARKET sequence that last changed it.
    pub sequence: u64,
}

impl BarRow {
    /// The bar as the domain takes it.
    #[must_use]
    pub fn bar(&self) -> Bar {
        Bar {
            start_ns: self.start_ns,
            close_ns: self.close_ns,
            open: self.open,
            high: self.high,
            low: self.low,
            close: self.close,
            volume: self.volume,
        }
    }

    /// The same row with the values of `bar`.
    pub(super) fn restated(self, bar: &Bar, vwap: Option<Price>) -> Self {
        let Bar { open, high, low, close, volume, .. } = *bar;
        Self { open, high, low, close, volume, vwap, ..self }
    }

    pub(super) fn read(row: Reading<'_>) -> Result<Self, sqlx::Error> {
        Ok(Self {
            start_ns: row.int("start_ns")?,
            close_ns: row.int("close_ns")?,
            open: row.exact("open")?,
            high: row.exact("high")?,
            low: row.exact("low")?,
            close: row.exact("close")?,
            volume: row.exact("volume")?,
            vwap: row.exact_or_none("vwap")?,
            origin: row.text("origin")?,
            first_sequence: row.sequence("first_sequence")?,
            sequence: row.sequence("sequence")?,
        })
    }
}

/// Every series, by symbol and timeframe.
pub async fn series(pool: &PgPool) -> Result<Vec<Series>, QueryError> {
    let rows = sqlx::query("SELECT * FROM bars.series ORDER BY symbol, timeframe").fetch_all(pool).await?;
    Ok(read_all(&rows, read_series)?)
}

/// How many of the spans have no bar of a series that closes in them; each counts from its first nanosecond up to and
/// without its second.
pub async fn spans_without_bars(
    pool: &PgPool,
    symbol: &str,
    timeframe: &str,
    spans: &[(i64, i64)],
) -> Result<u64, QueryError> {
    let (from, to): (Vec<i64>, Vec<i64>) = spans.iter().copied().unzip();
    let row = sqlx::query(
        "SELECT count(*) AS missing FROM unnest($3::bigint[], $4::bigint[]) AS s(from_ns, to_ns)
         WHERE NOT EXISTS (
             SELECT FROM bars.bars b
             WHERE b.symbol = $1 AND b.timeframe = $2 AND b.close_ns >= s.from_ns AND b.close_ns < s.to_ns)",
    )
    .bind(symbol)
    .bind(timeframe)
    .bind(from)
    .bind(to)
    .fetch_one(pool)
    .await?;
    Ok(Reading(&row).sequence("missing")?)
}

pub(super) fn read_series(row: Reading<'_>) -> Result<Series, sqlx::Error> {
    Ok(Series {
        symbol: row.text("symbol")?,
        timeframe: row.text("timeframe")?,
        bars: row.sequence("bars")?,
        first_close_ns: row.int("first_close_ns")?,
        last_close_ns: row.int("last_close_ns")?,
        sequence: row.sequence("sequence")?,
    })
}

/// The last $4 bars of the series `s` as MARKET stood at $3. A bar restated later has the values that its
/// first later restatement replaced.
const AS_OF: &str = "
    SELECT b.start_ns, b.close_ns, b.vwap::text, b.origin, b.first_sequence,
           COALESCE(r.old_sequence, b.sequence) AS sequence,
           COALESCE(r.old_open, b.open)::text AS open, COALESCE(r.old_high, b.high)::text AS high,
           COALESCE(r.old_low, b.low)::text AS low, COALESCE(r.old_close, b.close)::text AS close,
           COALESCE(r.old_volume, b.volume)::text AS volume
    FROM (SELECT * FROM bars.bars i
          WHERE i.symbol = s.symbol AND i.timeframe = s.timeframe AND i.first_sequence <= $3
          ORDER BY i.close_ns DESC LIMIT $4) b
    LEFT JOIN LATERAL (
        SELECT * FROM bars.revisions v
        WHERE b.sequence > $3 AND v.symbol = b.symbol AND v.timeframe = b.timeframe AND v.close_ns = b.close_ns
          AND v.sequence > $3
        ORDER BY v.sequence LIMIT 1) r ON true";

/// The last `count` bars of a series that close in [`from_ns`, `to_ns`), oldest first.
pub async fn bars_between(
    pool: &PgPool,
    symbol: &str,
    timeframe: Timeframe,
    from_ns: i64,
    to_ns: i64,
    count: u32,
) -> Result<Vec<BarRow>, QueryError> {
    known_bars(pool, symbol, timeframe, from_ns..to_ns, count, None).await
}

/// Bars of many series, as they stood at one MARKET sequence.
#[derive(Clone, Debug)]
pub struct History {
    /// Checkpoint of the projection when they were read: it holds nothing newer.
    pub checkpoint: u64,
    /// The bars, by symbol and timeframe, oldest first.
    pub bars: Vec<HistoryBar>,
}

/// One bar of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryBar {
    /// Symbol.
    pub symbol: String,
    /// Timeframe.
    pub timeframe: Timeframe,
    /// The bar, raw.
    pub bar: Bar,
    /// MARKET sequence of the event that stated these values.
    pub sequence: u64,
}

/// The last `count` bars of every series of `symbols` (none: all) in `timeframe` (`None`: all), as MARKET
/// stood at `as_of_sequence`. What a strategy is warmed up with.
pub async fn history(
    pool: &PgPool,
    symbols: &[String],
    timeframe: Option<Timeframe>,
    as_of_sequence: u64,
    count: u32,
) -> Result<History, QueryError> {
    let mut transaction = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    // The lock comes before the snapshot, so that no swap of a rebuilt schema falls between them.
    sqlx::query("LOCK TABLE bars.bars, bars.revisions, bars.series IN ACCESS SHARE MODE")
        .execute(&mut *transaction)
        .await?;
    let checkpoint = sqlx::query("SELECT sequence FROM projection.checkpoints WHERE name = 'bars'")
        .fetch_optional(&mut *transaction)
        .await?;
    let checkpoint =
        checkpoint.map(|row| Reading(&row).sequence("sequence")).transpose()?.unwrap_or_default();
    let statement = format!(
        "SELECT s.symbol, s.timeframe, v.* FROM bars.series s
         CROSS JOIN LATERAL ({AS_OF}) v
         WHERE (cardinality($1::text[]) = 0 OR s.symbol = ANY($1)) AND ($2::text IS NULL OR s.timeframe = $2)
         ORDER BY s.symbol, s.timeframe, v.close_ns"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(symbols)
        .bind(timeframe.map(Timeframe::name))
        .bind(stored(as_of_sequence))
        .bind(i64::from(count.min(BARS_MAX)))
        .fetch_all(&mut *transaction)
        .await?;
    transaction.rollback().await?;
    let bars = read_all(&rows, |row| {
        let timeframe = row.text("timeframe")?.parse().map_err(|error| malformed("timeframe", error))?;
        let bar = BarRow::read(row)?;
        Ok(HistoryBar { symbol: row.text("symbol")?, timeframe, bar: bar.bar(), sequence: bar.sequence })
    })?;
    Ok(History { checkpoint, bars })
}

/// The last price of every symbol.
#[derive(Clone, Debug)]
pub struct LastPrices {
    /// Checkpoint of the projection when they were read.
    pub checkpoint: u64,
    /// One per symbol, by symbol.
    pub prices: Vec<LastPrice>,
}

/// The bar of a symbol that closed last; of equal ones that of the highest sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastPrice {
    /// Symbol.
    pub symbol: String,
    /// Timeframe of the bar.
    pub timeframe: String,
    /// Its close.
    #[serde(serialize_with = "decimal")]
    pub close: Price,
    /// Its close's time, UTC nanoseconds.
    pub close_ns: i64,
    /// Close of the bar before it in the same series; `None` when there is none.
    #[serde(serialize_with = "decimal_or_null")]
    pub previous_close: Option<Price>,
    /// MARKET sequence that last changed the bar.
    pub sequence: u64,
}

/// The last price of every symbol, in one snapshot with the checkpoint.
pub async fn last_prices(pool: &PgPool) -> Result<LastPrices, QueryError> {
    let rows = sqlx::query(
        "SELECT (SELECT sequence FROM projection.checkpoints WHERE name = 'bars') AS checkpoint,
                l.symbol, l.timeframe, l.close::text, l.close_ns, l.sequence, before.close::text AS previous_close
         FROM (
             SELECT DISTINCT ON (b.symbol) b.symbol, b.timeframe, b.close, b.close_ns, b.sequence
             FROM bars.series s
             CROSS JOIN LATERAL (
                 SELECT * FROM bars.bars b WHERE b.symbol = s.symbol AND b.timeframe = s.timeframe
                   AND b.close_ns = s.last_close_ns
             ) b
             ORDER BY b.symbol, b.close_ns DESC, b.sequence DESC
         ) l
         LEFT JOIN LATERAL (
             SELECT close FROM bars.bars b WHERE b.symbol = l.symbol AND b.timeframe = l.timeframe
               AND b.close_ns < l.close_ns ORDER BY b.close_ns DESC LIMIT 1
         ) before ON true
         ORDER BY l.symbol",
    )
    .fetch_all(pool)
    .await?;
    let checkpoint = rows.first().map(|row| Reading(row).sequence("checkpoint")).transpose()?;
    let prices = read_all(&rows, |row| {
        Ok(LastPrice {
            symbol: row.text("symbol")?,
            timeframe: row.text("timeframe")?,
            close: row.exact("close")?,
            close_ns: row.int("close_ns")?,
            previous_close: row.exact_or_none("previous_close")?,
            sequence: row.sequence("sequence")?,
        })
    })?;
    Ok(LastPrices { checkpoint: checkpoint.unwrap_or_default(), prices })
}
