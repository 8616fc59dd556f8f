//! The list as a file: every row that the filters let through.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use projections::as_of::Past;
use projections::queries::{self, FillRow, LIMIT_MAX, OrderRow, QueryError};
use sqlx::PgPool;

use super::filter::{Filter, tab};
use crate::app::App;
use crate::error::PageError;
use crate::pages::csv::{self, Row};
use crate::pages::{Params, timeline};
use crate::view::Instant;

const ORDER_COLUMNS: [&str; 17] = [
    "order_id",
    "time",
    "account",
    "strategy",
    "symbol",
    "side",
    "type",
    "limit_price",
    "stop_price",
    "quantity",
    "filled",
    "average_price",
    "status",
    "reason",
    "fee",
    "slippage",
    "sequence",
];
const FILL_COLUMNS: [&str; 12] = [
    "order_id",
    "time",
    "account",
    "strategy",
    "symbol",
    "side",
    "quantity",
    "price",
    "fee",
    "slippage",
    "realized_pnl",
    "sequence",
];

/// `GET /orders.csv`: the fields of the page, without its place in the list.
pub async fn download(
    State(app): State<Arc<App>>,
    Query(params): Query<Params>,
) -> Result<Response, PageError> {
    params.check()?;
    let mut filter = Filter::of(&params)?;
    let past = match timeline::moment(&params)? {
        Some(moment) => Some(timeline::state(&app, moment).await?),
        None => None,
    };
    filter.fills.up_to = past.as_ref().map(|past| past.sequence());
    let pool = app.config.pool.clone();
    Ok(if tab(&params) == "fills" {
        csv::response("fills.csv", &FILL_COLUMNS, fills(pool, filter))
    } else {
        csv::response("orders.csv", &ORDER_COLUMNS, orders(pool, filter, past))
    })
}

type Parts = Result<Vec<Row>, QueryError>;

fn orders(
    pool: PgPool,
    filter: Filter,
    past: Option<Arc<Past>>,
) -> impl futures::Stream<Item = Parts> + Send {
    let source = Arc::new((pool, filter.orders, past));
    csv::parts(move |turn| {
        let source = Arc::clone(&source);
        async move {
            let (pool, filter, past) = &*source;
            let part = match past {
                Some(past) => past.orders(filter, turn, LIMIT_MAX),
                None => queries::list_orders(pool, filter, turn, LIMIT_MAX).await?,
            };
            Ok((part.rows.iter().map(order).collect(), part.older))
        }
    })
}

fn fills(pool: PgPool, filter: Filter) -> impl futures::Stream<Item = Parts> + Send {
    let source = Arc::new((pool, filter.fills));
    csv::parts(move |turn| {
        let source = Arc::clone(&source);
        async move {
            let part = queries::list_fills(&source.0, &source.1, turn, LIMIT_MAX).await?;
            Ok((part.rows.iter().map(fill).collect(), part.older))
        }
    })
}

fn or_empty<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn order(row: &OrderRow) -> Row {
    vec![
        row.order_id.clone(),
        Instant(row.approved_ns).iso(),
        row.account.clone(),
        row.strategy.clone(),
        row.symbol.clone(),
        row.side.clone(),
        row.order_type.clone(),
        or_empty(row.limit_price),
        or_empty(row.stop_price),
        row.quantity.to_string(),
        row.filled.to_string(),
        or_empty(row.average_price),
        row.status.clone(),
        row.reason.clone(),
        row.commission.to_string(),
        or_empty(row.slippage),
        row.sequence.to_string(),
    ]
}

fn fill(row: &FillRow) -> Row {
    vec![
        row.order_id.clone(),
        Instant(row.event_time_ns).iso(),
        row.account.clone(),
        row.strategy.clone(),
        row.symbol.clone(),
        row.side.clone(),
        row.quantity.to_string(),
        row.price.to_string(),
        row.commission.to_string(),
        row.slippage.to_string(),
        row.realized_pnl.to_string(),
        row.sequence.to_string(),
    ]
}
