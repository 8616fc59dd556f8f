//! What risk decisions stand on, beside the book.

use domain::bar::Bar;
use domain::money::Price;
use sqlx::PgPool;

use super::QueryError;
use super::reading::Reading;

/// The prices that decisions stand on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionPrices {
    /// Checkpoint of the projection when they were read.
    pub checkpoint: u64,
    /// Symbol, raw close and time of the close (UTC nanoseconds), by symbol.
    pub prices: Vec<(String, Price, i64)>,
}

/// Per symbol the close of the live or rehearsed bar that closed last, of equal ones that of the highest
/// sequence, in one snapshot with the checkpoint. History that was imported prices no decision.
pub async fn decision_prices(pool: &PgPool) -> Result<DecisionPrices, QueryError> {
    let rows = sqlx::query(
        "SELECT c.sequence AS checkpoint, l.symbol, l.close::text, l.close_ns
         FROM projection.checkpoints c
         LEFT JOIN (
             SELECT DISTINCT ON (b.symbol) b.symbol, b.close, b.close_ns
             FROM bars.series s
             CROSS JOIN LATERAL (
                 SELECT i.symbol, i.close, i.close_ns, i.sequence FROM bars.bars i
                 WHERE i.symbol = s.symbol AND i.timeframe = s.timeframe AND i.close_ns <= s.live_close_ns
                   AND i.origin IN ('live', 'rehearsal')
                 ORDER BY i.close_ns DESC LIMIT 1
             ) b
             ORDER BY b.symbol, b.close_ns DESC, b.sequence DESC
         ) l ON true
         WHERE c.name = 'bars' ORDER BY l.symbol",
    )
    .fetch_all(pool)
    .await?;
    let checkpoint = rows.first().map(|row| Reading(row).sequence("checkpoint")).transpose()?;
    let mut prices = Vec::with_capacity(rows.len());
    for row in rows.iter().map(Reading) {
        let Some(symbol) = row.text_or_none("symbol")? else { continue };
        prices.push((symbol, row.exact("close")?, row.int("close_ns")?));
    }
    Ok(DecisionPrices { checkpoint: checkpoint.unwrap_or_default(), prices })
}

/// Per symbol the live or rehearsed bars that closed last, at most `most` times of close, oldest first; of those of
/// one time that of the highest sequence; with the checkpoint, in one snapshot.
pub async fn decision_history(pool: &PgPool, most: usize) -> Result<(u64, Vec<(String, Bar)>), QueryError> {
    let rows = sqlx::query(
        "SELECT c.sequence AS checkpoint, l.symbol, l.start_ns, l.close_ns, l.open::text, l.high::text, l.low::text,
                l.close::text, l.volume::text
         FROM projection.checkpoints c
         LEFT JOIN (
             SELECT DISTINCT ON (b.symbol, b.close_ns) b.*
             FROM bars.series s
             CROSS JOIN LATERAL (
                 SELECT i.symbol, i.start_ns, i.close_ns, i.open, i.high, i.low, i.close, i.volume, i.sequence
                 FROM bars.bars i
                 WHERE i.symbol = s.symbol AND i.timeframe = s.timeframe AND i.close_ns <= s.live_close_ns
                   AND i.close_ns >= COALESCE(s.live_since_ns, '-9223372036854775808') AND i.origin IN ('live', 'rehearsal')
                 ORDER BY i.close_ns DESC LIMIT $1
             ) b
             ORDER BY b.symbol, b.close_ns, b.sequence DESC
         ) l ON true
         WHERE c.name = 'bars' ORDER BY l.symbol, l.close_ns",
    )
    .bind(i64::try_from(most).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    let checkpoint = rows.first().map(|row| Reading(row).sequence("checkpoint")).transpose()?;
    let mut bars = Vec::with_capacity(rows.len());
    for row in rows.iter().map(Reading) {
        let Some(symbol) = row.text_or_none("symbol")? else { continue };
        let bar = Bar {
            start_ns: row.int("start_ns")?,
            close_ns: row.int("close_ns")?,
            open: row.exact("open")?,
            high: row.exact("high")?,
            low: row.exact("low")?,
            close: row.exact("close")?,
            volume: row.exact("volume")?,
        };
        bars.push((symbol, bar));
    }
    Ok((checkpoint.unwrap_or_default(), bars))
}
