//! What was done about groups of orders that were not whole, and about what stopped strategies held.

use serde::Serialize;
use serde_json::Value;
use sqlx::PgPool;

use super::QueryError;
use super::reading::read_all;
use super::turn::rows;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct GroupRow {
    /// TRADING sequence.
    pub sequence: u64,
    /// Event id.
    pub event_id: String,
    /// Event time, UTC nanoseconds.
    pub event_time_ns: i64,
    /// The signal that the orders serve, or the event that stopped the strategy.
    pub group_id: String,
    /// Account.
    pub account: String,
    /// Strategy.
    pub strategy: String,
    /// What was run: `complete`, `unwind`, `alert`; `unspecified` where no policy is stated.
    pub policy: String,
    /// The order that failed; empty where none did.
    pub failed_order_id: String,
    /// How: `rejected`, `expired`, `cancelled`, `stuck` or `stopped`.
    pub failure: String,
    /// Orders whose cancel was asked for.
    pub cancels: Vec<String>,
    /// Ids of the orders that close or complete.
    pub orders: Vec<String>,
    /// Whether nothing is left to be done.
    pub done: bool,
    /// What remains open, in words; empty when nothing does.
    pub open: String,
}

/// The newest steps, of one group or of all.
pub async fn groups_handled(
    pool: &PgPool,
    group_id: Option<&str>,
    limit: u32,
) -> Result<Vec<GroupRow>, QueryError> {
    let found = sqlx::query(
        "SELECT sequence, event_id, event_time_ns, group_id, account, strategy, policy, failed_order_id, failure,
                cancels::text, orders::text, done, open
         FROM trading.groups WHERE ($1::text IS NULL OR group_id = $1) ORDER BY sequence DESC LIMIT $2",
    )
    .bind(group_id)
    .bind(i64::from(rows(limit)))
    .fetch_all(pool)
    .await?;
    Ok(read_all(&found, |row| {
        let orders: Vec<Value> = row.json("orders")?;
        let id = |order: &Value| order["orderId"].as_str().map(str::to_owned);
        Ok(GroupRow {
            sequence: row.sequence("sequence")?,
            event_id: row.text("event_id")?,
            event_time_ns: row.int("event_time_ns")?,
            group_id: row.text("group_id")?,
            account: row.text("account")?,
            strategy: row.text("strategy")?,
            policy: row.text("policy")?,
            failed_order_id: row.text("failed_order_id")?,
            failure: row.text("failure")?,
            cancels: row.json("cancels")?,
            orders: orders.iter().filter_map(id).collect(),
            done: row.flag("done")?,
            open: row.text("open")?,
        })
    })?)
}
