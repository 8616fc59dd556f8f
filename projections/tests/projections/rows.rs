//! Rows of the long lists, made where they are kept: a test or bench of reading needs no tape.

use sqlx::{AssertSqlSafe, PgPool};

/// Time of the first row, 2024-01-02 15:00 UTC.
pub const START_NS: i64 = 1_704_207_600_000_000_000;

/// Fills the lists with `count` orders, fills, decisions and signals. Orders come in pairs at one place.
pub async fn fill(pool: &PgPool, count: i64) -> Result<(), sqlx::Error> {
    let statements = format!(
        "INSERT INTO trading.orders SELECT
            lpad(to_hex(i), 24, '0'), CASE WHEN i % 50 = 0 THEN 'other' ELSE 'paper' END,
            'strategy' || i % 7, 'SYM' || i % 300, CASE WHEN i % 2 = 0 THEN 'buy' ELSE 'sell' END, 'market', 'day',
            10, NULL, NULL, i % 2, false,
            CASE WHEN i > {count} - 20 THEN 'accepted' WHEN i % 1000 = 0 THEN 'rejected' ELSE 'filled' END,
            i <= {count} - 20, false, 10, 1, 1000, 1, '[]', 100, 'c', 'simulated', 'b', '', 's' || i, 'd', 'r', '',
            i, {START_NS} + i / 10 * 1000, NULL, NULL, NULL, {START_NS}, i / 2, i
         FROM generate_series(1, {count}) i;
         INSERT INTO trading.fills SELECT
            i, 'f' || i, {START_NS} + i / 10 * 1000, lpad(to_hex(i), 24, '0'), 1, 'paper', 'strategy' || i % 7,
            'SYM' || i % 300, 'buy', 10, 100, 1, 0.25, 0, 0, 'x', NULL, 'c'
         FROM generate_series(1, {count}) i;
         INSERT INTO trading.risk_decisions SELECT
            i, 'd' || i, {START_NS} + i / 10 * 1000, 'paper', 'strategy' || i % 7, 'SYM' || i % 300, 's' || i,
            CASE WHEN i % 500 = 0 THEN 'denied' ELSE 'approved' END,
            CASE WHEN i % 500 = 0 THEN 'max_position' ELSE '' END, '', '[]', '[]',
            {START_NS} + i / 10 * 1000
         FROM generate_series(1, {count}) i;
         INSERT INTO trading.signals SELECT
            i, 's' || i, {START_NS} + i / 10 * 1000, 'strategy' || i % 7, 'SYM' || i % 300, 'enter_long', '[]', '[]',
            '', 'c', 'b'
         FROM generate_series(1, {count}) i;
         ANALYZE trading.orders; ANALYZE trading.fills; ANALYZE trading.risk_decisions; ANALYZE trading.signals;"
    );
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(pool).await?;
    Ok(())
}
