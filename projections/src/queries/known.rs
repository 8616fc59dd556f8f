//! Bars as they were known before an instant: those that had closed by then, each in the version known by then.
//!
//! Which version that is the projection says (`known_ns` of `bars.revisions`), by the rule of a backtest that sees
//! what was known at the time: a restatement counts behind the newest bar of its series that stands before it on
//! the tape, and the first statement of a bar from its close, however late it came.

use std::ops::Range;

use domain::bar::Timeframe;
use domain::calendar::Calendar;
use sqlx::{AssertSqlSafe, PgPool};

use super::adjusted::by_timeframe;
use super::bars::{BARS_MAX, read_series};
use super::reading::{Reading, read_all};
use super::{BarRow, QueryError, Series, series_of};

/// SQL of the bars of the series $1, $2 that close before $3, each in its newest version.
const NEWEST: &str = "(SELECT * FROM bars.bars WHERE symbol = $1 AND timeframe = $2 AND close_ns < $3)";

/// The same, each in the last version that was known before $3. What that version was the restatement after it has
/// kept; without one it is the bar as it stands.
const KNOWN: &str = "(
    SELECT b.close_ns, COALESCE(r.old_start_ns, b.start_ns) AS start_ns, COALESCE(r.old_open, b.open) AS open,
           COALESCE(r.old_high, b.high) AS high, COALESCE(r.old_low, b.low) AS low,
           COALESCE(r.old_close, b.close) AS close, COALESCE(r.old_volume, b.volume) AS volume,
           CASE WHEN r.old_sequence IS NULL THEN b.vwap ELSE r.old_vwap END AS vwap,
           COALESCE(r.old_origin, b.origin) AS origin, b.first_sequence,
           COALESCE(r.old_sequence, b.sequence) AS sequence
    FROM bars.bars b LEFT JOIN LATERAL (
        SELECT v.* FROM bars.revisions v
        WHERE b.sequence > b.first_sequence AND v.symbol = $1 AND v.timeframe = $2 AND v.close_ns = b.close_ns
          AND v.old_sequence IS NOT NULL AND v.sequence > COALESCE((
              SELECT max(k.sequence) FROM bars.revisions k
              WHERE k.symbol = $1 AND k.timeframe = $2 AND k.close_ns = b.close_ns AND k.known_ns < $3), 0)
        ORDER BY v.sequence LIMIT 1) r ON true
    WHERE b.symbol = $1 AND b.timeframe = $2 AND b.close_ns < $3)";

/// SQL of the bars of the series $1, $2 before $3, which is [`bound`]: in the version known then, or in the newest.
pub(super) fn source(known_before_ns: Option<i64>) -> &'static str {
    if known_before_ns.is_some() { KNOWN } else { NEWEST }
}

/// What $3 of [`source`] is.
pub(super) fn bound(known_before_ns: Option<i64>) -> i64 {
    known_before_ns.unwrap_or(i64::MAX)
}

/// The last `count` bars of a series that close in `closes`, as they were known before an instant, oldest first;
/// without one, in their newest versions.
pub async fn known_bars(
    pool: &PgPool,
    symbol: &str,
    timeframe: Timeframe,
    closes: Range<i64>,
    count: u32,
    known_before_ns: Option<i64>,
) -> Result<Vec<BarRow>, QueryError> {
    let statement = format!(
        "SELECT start_ns, close_ns, open::text, high::text, low::text, close::text, volume::text, vwap::text,
                origin, first_sequence, sequence
         FROM {} b WHERE close_ns >= $4 AND close_ns < $5 ORDER BY close_ns DESC LIMIT $6",
        source(known_before_ns)
    );
    let mut rows = sqlx::query(AssertSqlSafe(statement))
        .bind(symbol)
        .bind(timeframe.name())
        .bind(bound(known_before_ns))
        .bind(closes.start)
        .bind(closes.end)
        .bind(i64::from(count.min(BARS_MAX)))
        .fetch_all(pool)
        .await?;
    rows.reverse();
    Ok(read_all(&rows, BarRow::read)?)
}

/// The series of a symbol, by timeframe, with the bars that had closed before an instant; those that had none are
/// left out. Without an instant it is [`series_of`].
pub async fn known_series(
    pool: &PgPool,
    symbol: &str,
    known_before_ns: Option<i64>,
) -> Result<Vec<Series>, QueryError> {
    let Some(before_ns) = known_before_ns else { return series_of(pool, symbol).await };
    let rows = sqlx::query(
        "SELECT s.symbol, s.timeframe, s.sequence, v.* FROM bars.series s CROSS JOIN LATERAL (
             SELECT count(*) AS bars, min(close_ns) AS first_close_ns, max(close_ns) AS last_close_ns
             FROM bars.bars b WHERE b.symbol = $1 AND b.timeframe = s.timeframe AND b.close_ns < $2) v
         WHERE s.symbol = $1 AND v.bars > 0",
    )
    .bind(symbol)
    .bind(before_ns)
    .fetch_all(pool)
    .await?;
    Ok(by_timeframe(read_all(&rows, read_series)?))
}

/// The close of the newest bar of a series that had closed before an instant.
pub(super) async fn newest_close(
    pool: &PgPool,
    symbol: &str,
    timeframe: Timeframe,
    known_before_ns: Option<i64>,
) -> Result<Option<i64>, QueryError> {
    let Some(before_ns) = known_before_ns else {
        let series = series_of(pool, symbol).await?;
        let own = series.iter().find(|series| series.timeframe == timeframe.name());
        return Ok(own.map(|series| series.last_close_ns));
    };
    let row = sqlx::query(
        "SELECT max(close_ns) AS close_ns FROM bars.bars
         WHERE symbol = $1 AND timeframe = $2 AND close_ns < $3",
    )
    .bind(symbol)
    .bind(timeframe.name())
    .bind(before_ns)
    .fetch_one(pool)
    .await?;
    Ok(Reading(&row).int_or_none("close_ns")?)
}

/// The last date that had begun before an instant, in New York, as ex-dates are: the `until` of
/// [`super::actions_between`]. Without an instant it is behind every ex-date.
#[must_use]
pub fn last_ex_date(known_before_ns: Option<i64>) -> String {
    let date = known_before_ns.map(|before_ns| Calendar::xnys().date_of(before_ns.saturating_sub(1)));
    date.map_or_else(|| "9999-12-31".to_owned(), |date| date.to_string())
}
