//! The book as the read model holds it: rows and checkpoint of one snapshot.

use domain::book::Book;
use sqlx::{PgPool, Row as _};

use super::QueryError;
use crate::Name;
use crate::trading::load::{deciding, loaded};
use crate::write::sequence;

/// The trading read model at one checkpoint.
#[derive(Clone, Debug)]
pub struct TradingSnapshot {
    /// Last TRADING sequence folded into it.
    pub checkpoint: u64,
    /// Accounts, positions, open orders, strategies, halts and undecided signals as of it.
    pub book: Book,
}

/// Reads the book and the checkpoint it belongs to in one statement, which is one snapshot. It is what
/// risk decides on; execution and strategies load theirs by [`own_book`].
///
/// Orders that have ended are not in it, but for those of which something is still to be recorded; see
/// [`super::load_order`].
pub async fn trading_snapshot(pool: &PgPool) -> Result<TradingSnapshot, QueryError> {
    let mut connection = pool.acquire().await?;
    let parts = loaded(&mut connection, Name::Trading.name()).await?.parts;
    Ok(TradingSnapshot { checkpoint: parts.sequence, book: Book::from_parts(parts) })
}

/// The book at its checkpoint, which is [`Book::sequence`]; a projection that was never run gives an empty
/// book at 0.
pub async fn load_book(pool: &PgPool) -> Result<Book, QueryError> {
    Ok(trading_snapshot(pool).await?.book)
}

/// The book where this program's own fold made it, which goes on from there; `None` while another version's stands there.
pub async fn own_book(pool: &PgPool) -> Result<Option<Book>, QueryError> {
    let row = sqlx::query("SELECT version FROM projection.checkpoints WHERE name = 'trading'")
        .fetch_optional(pool)
        .await?;
    let version: Option<i64> = row.map(|row| row.try_get(0)).transpose()?;
    // A rebuild that ends in between makes it this program's, and never another one's.
    if version.is_some_and(|version| version != i64::from(Name::Trading.version())) {
        return Ok(None);
    }
    load_book(pool).await.map(Some)
}

/// The book, and those of `signal_ids` that a risk decision answers, in one snapshot.
pub async fn deciding_snapshot(
    pool: &PgPool,
    signal_ids: &[String],
) -> Result<(Book, Vec<String>), QueryError> {
    let mut connection = pool.acquire().await?;
    let (loaded, decided) = deciding(&mut connection, signal_ids).await?;
    Ok((Book::from_parts(loaded.parts), decided))
}

/// Those of `signal_ids` that a risk decision answers, and the checkpoint of that snapshot.
pub async fn decided_signals(pool: &PgPool, signal_ids: &[String]) -> Result<(u64, Vec<String>), QueryError> {
    let row = sqlx::query(
        "SELECT (SELECT sequence FROM projection.checkpoints WHERE name = 'trading'),
            ARRAY(SELECT DISTINCT signal_id FROM trading.risk_decisions WHERE signal_id = ANY($1))",
    );
    let row = row.bind(signal_ids).fetch_one(pool).await?;
    let checkpoint: Option<i64> = row.try_get(0)?;
    Ok((checkpoint.map_or(0, sequence), row.try_get(1)?))
}

/// The checkpoint of the trading projection; 0 before its first event.
pub async fn trading_checkpoint(pool: &PgPool) -> Result<u64, QueryError> {
    let row = sqlx::query("SELECT sequence FROM projection.checkpoints WHERE name = 'trading'")
        .fetch_optional(pool)
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.map_or(0, sequence))
}
