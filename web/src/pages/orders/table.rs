//! The list of orders or fills.

use askama::Template;
use projections::queries::{self, FillRow as Fill, OrderRow as Order, Part};

use super::filter::{Filter, tab};
use super::{PATH, TABLE};
use crate::error::PageError;
use crate::pages::table::{Pager, ROWS, ROWS_MAX, turn};
use crate::pages::{Body, Rendering, Scope, Shown, timeline};
use crate::session::FormKeys;
use crate::url::Url;
use crate::view::{Instant, Signed, money, price, quantity, signed_money};

/// An order in the list.
#[derive(Clone, Debug)]
pub struct OrderRow {
    id: String,
    url: String,
    seq: u64,
    time: Instant,
    symbol: String,
    side: String,
    /// `market`, or `limit 189.50`.
    kind: String,
    quantity: String,
    filled: String,
    /// Average price of its fills, a dash before the first.
    price: String,
    status: String,
    badge: &'static str,
    strategy: String,
    reason: String,
    fee: String,
    slippage: String,
    /// Where to ask for its end; `None` when it is over or was asked already, and on a page of the past.
    cancel: Option<String>,
}

#[derive(Clone, Debug)]
struct FillRow {
    seq: u64,
    order_url: String,
    time: Instant,
    symbol: String,
    side: String,
    quantity: String,
    price: String,
    strategy: String,
    fee: String,
    slippage: String,
    realized: Signed,
    /// `corrected` or `busted`; empty for a fill.
    note: String,
}

#[derive(Clone, Debug)]
enum Rows {
    Orders(Vec<OrderRow>),
    Fills(Vec<FillRow>),
}

#[derive(Clone, Debug)]
struct Table {
    rows: Rows,
    pager: Pager,
    keys: FormKeys,
}

#[derive(Template)]
#[template(path = "orders/table.html")]
struct TablePanel {
    v: u64,
    body: Body<Table>,
    tab: &'static str,
    filtered: bool,
}

/// Renders the list that the fields ask for.
pub async fn table(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &TABLE, read(scope)).await;
    let filtered = super::filter::FIELDS.iter().any(|name| scope.params.get(name).is_some());
    TablePanel { v: scope.version, body, tab: tab(scope.params), filtered }.render()
}

async fn read(scope: &Scope<'_>) -> Result<Option<Table>, PageError> {
    let pool = &scope.app.config.pool;
    let params = scope.params;
    let mut filter = Filter::of(params)?;
    let past = timeline::past(scope).await?;
    // Fills never change: those up to the moment's sequence are those that stood then.
    filter.fills.up_to = past.as_ref().map(|past| past.sequence());
    let limit = params.number("limit", ROWS, ROWS_MAX)?;
    let turn = turn(params)?;
    let unread = |error: queries::QueryError| PageError::ReadModel(error.to_string());
    let (rows, pager) = if tab(params) == "fills" {
        let part = queries::list_fills(pool, &filter.fills, turn, limit).await.map_err(unread)?;
        (Rows::Fills(part.rows.iter().map(FillRow::of).collect()), pager(scope, &part))
    } else {
        let part = match &past {
            Some(past) => past.orders(&filter.orders, turn, limit),
            None => queries::list_orders(pool, &filter.orders, turn, limit).await.map_err(unread)?,
        };
        let mut rows: Vec<OrderRow> = part.rows.iter().map(OrderRow::of).collect();
        if past.is_some() {
            rows.iter_mut().for_each(|row| row.cancel = None);
        }
        (Rows::Orders(rows), pager(scope, &part))
    };
    let empty = match &rows {
        Rows::Orders(rows) => rows.is_empty(),
        Rows::Fills(rows) => rows.is_empty(),
    };
    // At the end of a list the way back must stay.
    let nothing = empty && !pager.is_shown();
    Ok((!nothing).then(|| Table { rows, pager, keys: scope.keys.clone() }))
}

fn pager<T>(scope: &Scope<'_>, part: &Part<T>) -> Pager {
    let text = |cursor: Option<queries::Cursor>| cursor.map(|cursor| cursor.to_string());
    Pager::of(PATH, scope.params, text(part.newer), text(part.older))
}

impl OrderRow {
    fn of(order: &Order) -> Self {
        Self {
            id: format!("o-{}", order.order_id),
            url: Url::Order(&order.order_id).to_string(),
            seq: order.sequence,
            time: Instant(order.approved_ns),
            symbol: order.symbol.clone(),
            side: order.side.to_uppercase(),
            kind: kind(order),
            quantity: quantity(order.quantity),
            filled: quantity(order.filled),
            price: order.average_price.map_or_else(|| "–".to_owned(), price),
            status: status(order),
            badge: badge(&order.status),
            strategy: order.strategy.clone(),
            reason: order.reason.clone(),
            fee: money(order.commission),
            slippage: order.slippage.map_or_else(|| "–".to_owned(), price),
            cancel: (!order.ended && !order.cancel_requested && order.status != "requested")
                .then(|| Url::OrderCancel(&order.order_id).to_string()),
        }
    }
}

/// Type with its prices: `limit 189.50`.
pub fn kind(order: &Order) -> String {
    let limit = order.limit_price.map(|limit| format!(" {}", price(limit))).unwrap_or_default();
    let stop = order.stop_price.map(|stop| format!(" stop {}", price(stop))).unwrap_or_default();
    let trail = order.trail_price.map(|by| format!(" by {}", price(by)));
    let trail = trail.or_else(|| order.trail_rate.map(|rate| format!(" by {rate} of the price")));
    let trail = trail.unwrap_or_default();
    let group = match order.group_kind.as_str() {
        "" | "unspecified" => String::new(),
        kind => format!(", {kind}"),
    };
    let hours = if order.extended_hours { ", extended hours" } else { "" };
    let amount = order.notional.map(|amount| format!(" for {}", price(amount))).unwrap_or_default();
    format!("{}{limit}{stop}{trail}{amount}{group}{hours}", order.order_type.replace('_', " "))
}

/// Status in words; a cancel that was asked for and not answered shows.
pub fn status(order: &Order) -> String {
    order.status.replace('_', " ")
}

/// How a status is shown.
pub fn badge(status: &str) -> &'static str {
    match status {
        "filled" => "badge-gain",
        "rejected" | "denied" => "badge-loss",
        "requested" | "approved" | "submitted" | "accepted" | "partially_filled" | "replaced" => {
            "badge-accent"
        }
        "suspended" | "unknown" | "cancel_requested" | "replace_requested" => "badge-warn",
        _ => "badge-flat",
    }
}

impl FillRow {
    fn of(fill: &Fill) -> Self {
        Self {
            seq: fill.sequence,
            order_url: Url::Order(&fill.order_id).to_string(),
            time: Instant(fill.event_time_ns),
            symbol: fill.symbol.clone(),
            side: fill.side.to_uppercase(),
            quantity: quantity(fill.quantity),
            price: price(fill.price),
            strategy: fill.strategy.clone(),
            fee: money(fill.commission),
            slippage: price(fill.slippage),
            realized: signed_money(fill.realized_pnl),
            note: if fill.kind == "fill" { String::new() } else { fill.kind.clone() },
        }
    }
}
