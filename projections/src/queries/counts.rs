//! How much there is of everything, for one screen of status.

use domain::calendar::Calendar;
use serde::Serialize;
use sqlx::PgPool;

use super::QueryError;
use super::dates::date_of;
use super::reading::Reading;

/// Rows of the read models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Bars, of all symbols and timeframes.
    pub bars: u64,
    /// Signals.
    pub signals: u64,
    /// Risk decisions that approved.
    pub approved: u64,
    /// Risk decisions that denied.
    pub denied: u64,
    /// Orders.
    pub orders: u64,
    /// Orders that have not ended.
    pub open_orders: u64,
    /// Fills.
    pub fills: u64,
    /// Positions that are not flat.
    pub positions: u64,
    /// Messages set aside and not resolved.
    pub parked: u64,
}

/// Counts everything in one snapshot. Time grows with the number of rows.
pub async fn counts(pool: &PgPool) -> Result<Counts, QueryError> {
    let row = sqlx::query(
        "SELECT (SELECT COALESCE(sum(bars), 0)::bigint FROM bars.series) AS bars,
                (SELECT count(*) FROM trading.signals) AS signals,
                (SELECT count(*) FROM trading.risk_decisions WHERE verdict = 'approved') AS approved,
                (SELECT count(*) FROM trading.risk_decisions WHERE verdict = 'denied') AS denied,
                (SELECT count(*) FROM trading.orders) AS orders,
                (SELECT count(*) FROM trading.orders WHERE NOT ended AND ended::int = 0) AS open_orders,
                (SELECT count(*) FROM trading.fills) AS fills,
                (SELECT count(*) FROM trading.positions WHERE quantity <> 0) AS positions,
                (SELECT count(*) FROM parked.parked WHERE resolution IS NULL) AS parked",
    )
    .fetch_one(pool)
    .await?;
    let row = Reading(&row);
    Ok(Counts {
        bars: row.sequence("bars")?,
        signals: row.sequence("signals")?,
        approved: row.sequence("approved")?,
        denied: row.sequence("denied")?,
        orders: row.sequence("orders")?,
        open_orders: row.sequence("open_orders")?,
        fills: row.sequence("fills")?,
        positions: row.sequence("positions")?,
        parked: row.sequence("parked")?,
    })
}

/// Orders that have not ended.
pub async fn orders_open(pool: &PgPool) -> Result<u64, QueryError> {
    let query = "SELECT count(*) AS open_orders FROM trading.orders WHERE NOT ended AND ended::int = 0";
    let row = sqlx::query(query).fetch_one(pool).await?;
    Ok(Reading(&row).sequence("open_orders")?)
}

/// Dates in the calendar's time on which a series has bars, so that missing sessions can be told.
///
/// Reads every bar's time of the series; meant for a person who asks, not for a page.
pub async fn bar_dates(
    pool: &PgPool,
    symbol: &str,
    timeframe: &str,
    calendar: &Calendar,
) -> Result<Vec<String>, QueryError> {
    let dates: Vec<(String,)> = sqlx::query_as(concat!(
        "SELECT DISTINCT to_char(",
        date_of!("start_ns", "$3"),
        ", 'YYYY-MM-DD') AS date
         FROM bars.bars WHERE symbol = $1 AND timeframe = $2 ORDER BY date",
    ))
    .bind(symbol)
    .bind(timeframe)
    .bind(calendar.exchange())
    .fetch_all(pool)
    .await?;
    Ok(dates.into_iter().map(|(date,)| date).collect())
}
