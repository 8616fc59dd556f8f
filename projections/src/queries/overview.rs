//! What a page that is watched asks many times a second: answers whose cost does not grow with the tape.

use domain::money::Amount;
use sqlx::PgPool;

use super::QueryError;
use super::reading::Reading;
use crate::write::stored;

/// The highest equity of an account among its marks after `after_sequence`; `None` when there is none.
pub async fn peak_equity(
    pool: &PgPool,
    account: &str,
    after_sequence: u64,
) -> Result<Option<Amount>, QueryError> {
    let row = sqlx::query(
        "SELECT max(equity)::text AS peak FROM trading.equity WHERE account = $1 AND sequence > $2",
    )
    .bind(account)
    .bind(stored(after_sequence))
    .fetch_one(pool)
    .await?;
    Ok(Reading(&row).exact_or_none("peak")?)
}
