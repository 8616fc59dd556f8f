//! What risk decisions stand on, beside the book.

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
