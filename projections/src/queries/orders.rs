//! Orders with their history, and fills.

use domain::money::{Amount, Price, Quantity, div_half_even};
use domain::order::{OrderState, Replacement, Revision};
use serde::Serialize;
use sqlx::PgPool;

use super::reading::{Reading, decimal, decimal_or_null, read_all};
use super::{Page, QueryError, below, limited};
use crate::Name;

/// Which orders are wanted; nothing stated means all.
#[derive(Clone, Debug, Default)]
pub struct OrderFilter {
    /// Account.
    pub account: Option<String>,
    /// Strategy.
    pub strategy: Option<String>,
    /// Symbol.
    pub symbol: Option<String>,
    /// Status, for example `accepted`.
    pub status: Option<String>,
    /// Only orders that have not ended (`true`), or only those that have (`false`).
    pub open: Option<bool>,
    /// `buy` or `sell`.
    pub side: Option<String>,
    /// Approved at this instant or later, UTC nanoseconds.
    pub from_ns: Option<i64>,
    /// Approved before this instant, UTC nanoseconds.
    pub to_ns: Option<i64>,
}

/// One order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OrderRow {
    /// Order id.
    pub order_id: String,
    /// Account.
    pub account: String,
    /// Strategy; `manual` for an operator.
    pub strategy: String,
    /// Symbol.
    pub symbol: String,
    /// `buy` or `sell`.
    pub side: String,
    /// For example `market`.
    pub order_type: String,
    /// For example `day`.
    pub time_in_force: String,
    /// Shares ordered.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub quantity: Quantity,
    /// Limit price.
    #[serde(serialize_with = "decimal_or_null")]
    #[schema(value_type = Option<String>)]
    pub limit_price: Option<Price>,
    /// Stop price.
    #[serde(serialize_with = "decimal_or_null")]
    #[schema(value_type = Option<String>)]
    pub stop_price: Option<Price>,
    /// Distance of a trailing stop from the best price, in the currency.
    #[serde(serialize_with = "decimal_or_null")]
    #[schema(value_type = Option<String>)]
    pub trail_price: Option<Price>,
    /// The same as a share of the best price.
    #[serde(serialize_with = "decimal_or_null")]
    #[schema(value_type = Option<String>)]
    pub trail_rate: Option<Price>,
    /// How it depends on others: `bracket`, `oco`, `oto` or `unspecified`.
    pub group_kind: String,
    /// Id that the orders of its group share; empty where it stands alone.
    pub group_id: String,
    /// The entry that must fill before it works; empty where there is none.
    pub parent_id: String,
    /// When its stop was reached, UTC nanoseconds.
    pub triggered_ns: Option<i64>,
    /// Leg of the signal.
    pub leg: u64,
    /// Whether it only reduces the strategy's position.
    pub reducing: bool,
    /// Status, for example `accepted`.
    pub status: String,
    /// Whether it is over.
    pub ended: bool,
    /// Whether a cancel was asked for.
    pub cancel_requested: bool,
    /// Shares filled.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub filled: Quantity,
    /// Average price of the fills; `None` before the first.
    #[serde(serialize_with = "decimal_or_null")]
    #[schema(value_type = Option<String>)]
    pub average_price: Option<Price>,
    /// Commission and fees so far.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub commission: Amount,
    /// Slippage per share, averaged over the shares filled, rounded half away from zero at 1e-9; `None`
    /// before the first fill.
    #[serde(serialize_with = "decimal_or_null")]
    #[schema(value_type = Option<String>)]
    pub slippage: Option<Price>,
    /// Why it ended or was suspended.
    pub reason: String,
    /// Id the broker was given.
    pub client_order_id: String,
    /// Broker adapter.
    pub broker: String,
    /// Broker's own id.
    pub broker_order_id: String,
    /// Signal it serves; empty for an operator's order.
    pub signal_id: String,
    /// Risk decision that approved it.
    pub decision_id: String,
    /// First event of its chain.
    pub correlation_id: String,
    /// Event time of the approval, UTC nanoseconds.
    pub approved_ns: i64,
    /// Event time of the end, UTC nanoseconds.
    pub ended_ns: Option<i64>,
    /// Event time of its last event, UTC nanoseconds.
    pub updated_ns: i64,
    /// TRADING sequence at which it began: the cursor.
    pub first_sequence: u64,
    /// TRADING sequence that last changed it.
    pub sequence: u64,
    /// Whether it trades outside of the regular session too.
    pub extended_hours: bool,
    /// Amount of the currency of an order that states no shares; its quantity is then an estimate.
    #[serde(serialize_with = "decimal_or_null")]
    #[schema(value_type = Option<String>)]
    pub notional: Option<Price>,
    /// How many times its terms were replaced.
    pub revision: u64,
    /// The terms and ids before the present ones, oldest first.
    pub chain: Vec<RevisionRow>,
    /// New terms that were asked for and are not answered.
    pub replacement: Option<RevisionRow>,
    /// What becomes of its group when one of its orders fails: `complete`, `unwind`, `alert` or `unspecified`.
    pub group_policy: String,
    /// Where its group stands: `watched`, `stated`, `unwinding`, `completing`, `done`; empty where it has none.
    pub group_stage: String,
}

/// Terms and ids of one revision of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RevisionRow {
    /// Its number, from 0.
    pub revision: u64,
    /// Id the broker was given.
    pub client_order_id: String,
    /// Broker's own id; empty while it has not answered.
    pub broker_order_id: String,
    /// Shares of the whole order.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub quantity: Quantity,
    /// Limit price.
    #[serde(serialize_with = "decimal_or_null")]
    #[schema(value_type = Option<String>)]
    pub limit_price: Option<Price>,
    /// Stop price.
    #[serde(serialize_with = "decimal_or_null")]
    #[schema(value_type = Option<String>)]
    pub stop_price: Option<Price>,
    /// When the next one took its place, UTC nanoseconds.
    pub replaced_ns: Option<i64>,
}

impl RevisionRow {
    pub(crate) fn of(row: &Revision) -> Self {
        Self {
            revision: row.revision.into(),
            client_order_id: row.client_order_id.clone(),
            broker_order_id: row.broker_order_id.clone(),
            quantity: row.quantity,
            limit_price: row.limit,
            stop_price: row.stop,
            replaced_ns: Some(row.replaced_ns),
        }
    }

    pub(crate) fn asked(row: &Replacement) -> Self {
        Self {
            revision: row.revision.into(),
            client_order_id: row.client_order_id.clone(),
            broker_order_id: String::new(),
            quantity: row.quantity,
            limit_price: row.limit,
            stop_price: row.stop,
            replaced_ns: None,
        }
    }
}

/// One event of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OrderEventRow {
    /// TRADING sequence.
    pub sequence: u64,
    /// Event id.
    pub event_id: String,
    /// Event time, UTC nanoseconds.
    pub event_time_ns: i64,
    /// For example `order_accepted` or `fill`; `signal` where an operator asked for other terms, `risk_decision` where these
    /// were denied.
    pub kind: String,
    /// Where the order stood after it, for example `partially_filled` or `replaced`.
    pub status: String,
    /// The event in words.
    pub detail: String,
}

/// An order with everything that happened to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OrderDetail {
    /// The order.
    pub order: OrderRow,
    /// Its events, oldest first.
    pub history: Vec<OrderEventRow>,
    /// Its fills, oldest first.
    pub fills: Vec<FillRow>,
}

/// One fill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FillRow {
    /// TRADING sequence: the cursor.
    pub sequence: u64,
    /// Event id.
    pub event_id: String,
    /// Event time, UTC nanoseconds.
    pub event_time_ns: i64,
    /// When it was executed, UTC nanoseconds.
    pub executed_at_ns: Option<i64>,
    /// When it was written to the tape, UTC nanoseconds of the writer's clock.
    pub recorded_time_ns: Option<i64>,
    /// Order.
    pub order_id: String,
    /// Number within the order, from 1.
    pub number: u64,
    /// Account.
    pub account: String,
    /// Strategy.
    pub strategy: String,
    /// Symbol.
    pub symbol: String,
    /// `buy` or `sell`.
    pub side: String,
    /// Shares.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub quantity: Quantity,
    /// Price, slippage included.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub price: Price,
    /// Commission and fees.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub commission: Amount,
    /// Slippage per share.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub slippage: Price,
    /// Gross profit realised by it.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub realized_pnl: Amount,
    /// Shares of the order still open after it.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub remaining: Quantity,
    /// Broker's id of the execution.
    pub execution_id: String,
    /// `fill`; or `corrected` or `busted`: then the row holds what that changed of the fill of its number.
    pub kind: String,
}

/// Which fills are wanted; nothing stated means all.
#[derive(Clone, Debug, Default)]
pub struct FillFilter {
    /// Account.
    pub account: Option<String>,
    /// Strategy.
    pub strategy: Option<String>,
    /// Symbol.
    pub symbol: Option<String>,
    /// Order.
    pub order_id: Option<String>,
    /// `buy` or `sell`.
    pub side: Option<String>,
    /// At this instant or later, UTC nanoseconds.
    pub from_ns: Option<i64>,
    /// Before this instant, UTC nanoseconds.
    pub to_ns: Option<i64>,
    /// Up to this sequence, as of a moment of the past; of lists in parts alone.
    pub up_to: Option<u64>,
}

pub(super) const ORDER: &str =
    "order_id, account, strategy, symbol, side, order_type, time_in_force, quantity::text,
    limit_price::text, stop_price::text, trail_price::text, trail_rate::text, group_kind, group_id, parent_id,
    triggered_ns, leg, reducing, COALESCE(NULLIF(stage, ''), status) AS status, ended, extended_hours, notional::text, revision, chain::text,
    replacement::text, group_policy, group_stage, cancel_requested, filled::text,
    filled_value::text, commission::text, reason, client_order_id, broker, broker_order_id, signal_id,
    decision_id, correlation_id, approved_ns, ended_ns, updated_ns, first_sequence, sequence,
    (SELECT round(sum(f.slippage * f.quantity) / nullif(sum(f.quantity), 0), 9)::text
     FROM trading.fills f WHERE f.order_id = orders.order_id) AS slippage";

pub(super) const FILL: &str = "sequence, event_id, event_time_ns, executed_at_ns,
    (SELECT recorded_time_ns FROM trading.events e WHERE e.sequence = fills.sequence) AS recorded_time_ns, order_id, number, account, strategy,
    symbol, side, quantity::text, price::text, commission::text, slippage::text, realized_pnl::text,
    remaining::text, execution_id, kind";

pub(super) fn read_order(row: Reading<'_>) -> Result<OrderRow, sqlx::Error> {
    let filled: Quantity = row.exact("filled")?;
    let filled_value: Amount = row.exact("filled_value")?;
    Ok(OrderRow {
        order_id: row.text("order_id")?,
        account: row.text("account")?,
        strategy: row.text("strategy")?,
        symbol: row.text("symbol")?,
        side: row.text("side")?,
        order_type: row.text("order_type")?,
        time_in_force: row.text("time_in_force")?,
        quantity: row.exact("quantity")?,
        limit_price: row.exact_or_none("limit_price")?,
        stop_price: row.exact_or_none("stop_price")?,
        trail_price: row.exact_or_none("trail_price")?,
        trail_rate: row.exact_or_none("trail_rate")?,
        group_kind: row.text("group_kind")?,
        group_id: row.text("group_id")?,
        parent_id: row.text("parent_id")?,
        triggered_ns: row.int_or_none("triggered_ns")?,
        leg: row.sequence("leg")?,
        reducing: row.flag("reducing")?,
        status: row.text("status")?,
        ended: row.flag("ended")?,
        cancel_requested: row.flag("cancel_requested")?,
        filled,
        average_price: average(filled_value, filled),
        commission: row.exact("commission")?,
        slippage: row.exact_or_none("slippage")?,
        reason: row.text("reason")?,
        client_order_id: row.text("client_order_id")?,
        broker: row.text("broker")?,
        broker_order_id: row.text("broker_order_id")?,
        signal_id: row.text("signal_id")?,
        decision_id: row.text("decision_id")?,
        correlation_id: row.text("correlation_id")?,
        approved_ns: row.int("approved_ns")?,
        ended_ns: row.int_or_none("ended_ns")?,
        updated_ns: row.int("updated_ns")?,
        first_sequence: row.sequence("first_sequence")?,
        sequence: row.sequence("sequence")?,
        extended_hours: row.flag("extended_hours")?,
        notional: row.exact_or_none("notional")?,
        revision: row.sequence("revision")?,
        chain: row.json::<Vec<Revision>>("chain")?.iter().map(RevisionRow::of).collect(),
        replacement: row.json_or_none::<Replacement>("replacement")?.as_ref().map(RevisionRow::asked),
        group_policy: row.text("group_policy")?,
        group_stage: row.text("group_stage")?,
    })
}

/// Cost per share: `value` / `quantity`, without sign, rounded half to even at 1e-9; `None` for nothing.
#[must_use]
pub fn average(value: Amount, quantity: Quantity) -> Option<Price> {
    let shares = i128::from(quantity.0).abs();
    if shares == 0 {
        return None;
    }
    let scaled = value.0.abs().checked_mul(1_000_000_000)?;
    i64::try_from(div_half_even(scaled, shares)).ok().map(Price)
}

pub(super) fn read_fill(row: Reading<'_>) -> Result<FillRow, sqlx::Error> {
    Ok(FillRow {
        sequence: row.sequence("sequence")?,
        event_id: row.text("event_id")?,
        event_time_ns: row.int("event_time_ns")?,
        executed_at_ns: row.int_or_none("executed_at_ns")?,
        recorded_time_ns: row.int_or_none("recorded_time_ns")?,
        order_id: row.text("order_id")?,
        number: row.sequence("number")?,
        account: row.text("account")?,
        strategy: row.text("strategy")?,
        symbol: row.text("symbol")?,
        side: row.text("side")?,
        quantity: row.exact("quantity")?,
        price: row.exact("price")?,
        commission: row.exact("commission")?,
        slippage: row.exact("slippage")?,
        realized_pnl: row.exact("realized_pnl")?,
        remaining: row.exact("remaining")?,
        execution_id: row.text("execution_id")?,
        kind: row.text("kind")?,
    })
}

/// Orders, the one approved last first. Orders of one decision stay on one page, so that a page may hold
/// a few more than `limit`.
pub async fn orders(
    pool: &PgPool,
    filter: &OrderFilter,
    cursor: Option<u64>,
    limit: u32,
) -> Result<Page<OrderRow>, QueryError> {
    let statement = format!(
        "SELECT {ORDER} FROM trading.orders
         WHERE ($1::text IS NULL OR account = $1) AND ($2::text IS NULL OR strategy = $2)
           AND ($3::text IS NULL OR symbol = $3) AND ($4::text IS NULL OR stage = $4)
           AND ($5::boolean IS NULL OR ended <> $5) AND first_sequence < $6
         ORDER BY first_sequence DESC FETCH FIRST $7 ROWS WITH TIES"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(&filter.account)
        .bind(&filter.strategy)
        .bind(&filter.symbol)
        .bind(&filter.status)
        .bind(filter.open)
        .bind(below(cursor))
        .bind(limited(limit))
        .fetch_all(pool)
        .await?;
    let rows = read_all(&rows, read_order)?;
    Ok(Page::of(rows, limited(limit), |row| row.first_sequence))
}

/// One order with its history and fills; `None` when there is no such order.
pub async fn order(pool: &PgPool, order_id: &str) -> Result<Option<OrderDetail>, QueryError> {
    let statement = format!("SELECT {ORDER} FROM trading.orders WHERE order_id = $1");
    let found = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(order_id).fetch_optional(pool).await?;
    let Some(found) = found else { return Ok(None) };
    let history = sqlx::query("SELECT * FROM trading.order_events WHERE order_id = $1 ORDER BY sequence")
        .bind(order_id)
        .fetch_all(pool)
        .await?;
    let statement = format!("SELECT {FILL} FROM trading.fills WHERE order_id = $1 ORDER BY fills.sequence");
    let fills = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(order_id).fetch_all(pool).await?;
    Ok(Some(OrderDetail {
        order: read_order(Reading(&found))?,
        history: read_all(&history, |row| {
            Ok(OrderEventRow {
                sequence: row.sequence("sequence")?,
                event_id: row.text("event_id")?,
                event_time_ns: row.int("event_time_ns")?,
                kind: row.text("kind")?,
                status: row.text("status")?,
                detail: row.text("detail")?,
            })
        })?,
        fills: read_all(&fills, read_fill)?,
    }))
}

/// One order as the domain's book takes it ([`domain::book::Book::admit`]); `None` when there is none.
pub async fn load_order(pool: &PgPool, order_id: &str) -> Result<Option<OrderState>, QueryError> {
    let mut connection = pool.acquire().await?;
    Ok(crate::trading::load::order(&mut connection, Name::Trading.name(), order_id).await?)
}

/// Fills, newest first.
pub async fn fills(
    pool: &PgPool,
    filter: &FillFilter,
    cursor: Option<u64>,
    limit: u32,
) -> Result<Page<FillRow>, QueryError> {
    let statement = format!(
        "SELECT {FILL} FROM trading.fills
         WHERE ($1::text IS NULL OR account = $1) AND ($2::text IS NULL OR strategy = $2)
           AND ($3::text IS NULL OR symbol = $3) AND ($4::text IS NULL OR order_id = $4)
           AND fills.sequence < $5
         ORDER BY fills.sequence DESC LIMIT $6"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(&filter.account)
        .bind(&filter.strategy)
        .bind(&filter.symbol)
        .bind(&filter.order_id)
        .bind(below(cursor))
        .bind(limited(limit))
        .fetch_all(pool)
        .await?;
    Ok(Page::of(read_all(&rows, read_fill)?, limited(limit), |row| row.sequence))
}
