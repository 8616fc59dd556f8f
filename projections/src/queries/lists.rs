//! The long lists, part by part: orders, fills, risk decisions, signals.
//!
//! Each statement states only the conditions that are wanted, so that the index that answers it is found;
//! `migrations/0007_lists.sql` holds them.

use sqlx::{PgPool, Postgres, QueryBuilder};

use super::QueryError;
use super::decisions::{self, DecisionFilter, DecisionRow, SignalFilter, SignalRow};
use super::orders::{self, FillFilter, FillRow, OrderFilter, OrderRow};
use super::reading::read_all;
use super::turn::{Cursor, Part, Turn, rows};
use crate::write::stored;

/// Statuses of orders that are over.
const ENDED: [&str; 5] = ["denied", "filled", "cancelled", "rejected", "expired"];

type Statement = QueryBuilder<Postgres>;

/// Adds `AND column = value` for what is wanted.
fn equal(statement: &mut Statement, column: &str, wanted: Option<&String>) {
    if let Some(value) = wanted {
        statement.push(format!(" AND {column} = ")).push_bind(value.clone());
    }
}

/// Adds a range of event time: from the first instant up to, and without, the last.
fn between(statement: &mut Statement, column: &str, from_ns: Option<i64>, to_ns: Option<i64>) {
    if let Some(from) = from_ns {
        statement.push(format!(" AND {column} >= ")).push_bind(from);
    }
    if let Some(to) = to_ns {
        statement.push(format!(" AND {column} < ")).push_bind(to);
    }
}

/// Orders, the one approved last first.
pub async fn list_orders(
    pool: &PgPool,
    filter: &OrderFilter,
    turn: Turn,
    limit: u32,
) -> Result<Part<OrderRow>, QueryError> {
    let limit = rows(limit);
    let mut statement = Statement::new(format!("SELECT {} FROM trading.orders WHERE true", orders::ORDER));
    equal(&mut statement, "account", filter.account.as_ref());
    equal(&mut statement, "strategy", filter.strategy.as_ref());
    equal(&mut statement, "symbol", filter.symbol.as_ref());
    // Of an order that is over the two are the same, and the index is on the status.
    let over = filter.status.as_ref().is_some_and(|status| ENDED.contains(&status.as_str()));
    equal(&mut statement, if over { "status" } else { "stage" }, filter.status.as_ref());
    equal(&mut statement, "side", filter.side.as_ref());
    // A status says whether the order is over; said in so many words it finds the index of those.
    let of_status = filter.status.as_ref().map(|status| !ENDED.contains(&status.as_str()));
    for open in [filter.open, of_status].into_iter().flatten() {
        statement.push(if open { " AND NOT ended" } else { " AND ended" });
    }
    between(&mut statement, "approved_ns", filter.from_ns, filter.to_ns);
    turn.push(&mut statement, ("approved_ns", "first_sequence"), limit);
    let found = statement.build().fetch_all(pool).await?;
    let place = |row: &OrderRow| Cursor { time_ns: row.approved_ns, sequence: row.first_sequence };
    Ok(turn.part(read_all(&found, orders::read_order)?, limit, place))
}

/// Fills, the newest first.
pub async fn list_fills(
    pool: &PgPool,
    filter: &FillFilter,
    turn: Turn,
    limit: u32,
) -> Result<Part<FillRow>, QueryError> {
    let limit = rows(limit);
    let mut statement = Statement::new(format!("SELECT {} FROM trading.fills WHERE true", orders::FILL));
    equal(&mut statement, "account", filter.account.as_ref());
    equal(&mut statement, "strategy", filter.strategy.as_ref());
    equal(&mut statement, "symbol", filter.symbol.as_ref());
    equal(&mut statement, "order_id", filter.order_id.as_ref());
    equal(&mut statement, "side", filter.side.as_ref());
    if let Some(sequence) = filter.up_to {
        statement.push(" AND fills.sequence <= ").push_bind(stored(sequence));
    }
    between(&mut statement, "event_time_ns", filter.from_ns, filter.to_ns);
    turn.push(&mut statement, ("event_time_ns", "sequence"), limit);
    let found = statement.build().fetch_all(pool).await?;
    let place = |row: &FillRow| Cursor { time_ns: row.event_time_ns, sequence: row.sequence };
    Ok(turn.part(read_all(&found, orders::read_fill)?, limit, place))
}

/// Risk decisions with their inputs, the newest first.
pub async fn list_decisions(
    pool: &PgPool,
    filter: &DecisionFilter,
    turn: Turn,
    limit: u32,
) -> Result<Part<DecisionRow>, QueryError> {
    let limit = rows(limit);
    let mut statement =
        Statement::new(format!("SELECT {} FROM trading.risk_decisions WHERE true", decisions::DECISION));
    equal(&mut statement, "account", filter.account.as_ref());
    equal(&mut statement, "strategy", filter.strategy.as_ref());
    equal(&mut statement, "symbol", filter.symbol.as_ref());
    equal(&mut statement, "verdict", filter.verdict.as_ref());
    equal(&mut statement, "rule", filter.rule.as_ref());
    equal(&mut statement, "signal_id", filter.signal_id.as_ref());
    if let Some(sequence) = filter.up_to {
        statement.push(" AND risk_decisions.sequence <= ").push_bind(stored(sequence));
    }
    between(&mut statement, "event_time_ns", filter.from_ns, filter.to_ns);
    turn.push(&mut statement, ("event_time_ns", "sequence"), limit);
    let found = statement.build().fetch_all(pool).await?;
    let place = |row: &DecisionRow| Cursor { time_ns: row.event_time_ns, sequence: row.sequence };
    Ok(turn.part(read_all(&found, decisions::read_decision)?, limit, place))
}

/// Signals with risk's answers, the newest first.
pub async fn list_signals(
    pool: &PgPool,
    filter: &SignalFilter,
    turn: Turn,
    limit: u32,
) -> Result<Part<SignalRow>, QueryError> {
    let limit = rows(limit);
    let mut statement = Statement::new(format!("{} WHERE true", decisions::SIGNAL));
    equal(&mut statement, "s.strategy", filter.strategy.as_ref());
    equal(&mut statement, "s.symbol", filter.symbol.as_ref());
    between(&mut statement, "s.event_time_ns", filter.from_ns, filter.to_ns);
    turn.push(&mut statement, ("s.event_time_ns", "s.sequence"), limit);
    let found = statement.build().fetch_all(pool).await?;
    let place = |row: &SignalRow| Cursor { time_ns: row.event_time_ns, sequence: row.sequence };
    Ok(turn.part(read_all(&found, decisions::read_signal)?, limit, place))
}
