//! Orders and positions over HTTP.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query as Asked, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::desk::Desk;
use super::order::Order;
use super::ticket::Refusal;
use crate::decimal::Decimal;
use crate::market::Market;
use crate::query::{Parameters, Query};
use crate::settings::Settings;
use crate::stand::Stand;

/// Orders in a list at most.
const ORDERS_MAX: usize = 500;

fn answer(result: Result<Value, Refusal>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// `POST /v2/orders`
pub async fn submit(
    State(stand): State<Arc<Stand>>,
    body: Result<Json<Value>, axum::extract::rejection::JsonRejection>,
) -> Response {
    let Ok(Json(body)) = body else {
        return Refusal { status: 400, ..Refusal::invalid("request body format is invalid") }.into_response();
    };
    answer(stand.desk(|desk, market, settings| desk.submit(&body, market, settings)))
}

/// `GET /v2/orders`
pub async fn list(State(stand): State<Arc<Stand>>, Asked(query): Query) -> Response {
    match stand.desk(|desk, _, _| listed(desk, &query)) {
        Ok(orders) => Json(orders).into_response(),
        Err(message) => Refusal::invalid(message).into_response(),
    }
}

fn listed(desk: &Desk, query: &Parameters) -> Result<Vec<Value>, String> {
    let limit = query.number("limit", 50)?.min(ORDERS_MAX);
    let (after, until) = (query.moment("after")?, query.moment("until")?);
    let nested = query.flag("nested", false);
    let symbols = query.list("symbols");
    let status = query.get("status").unwrap_or("open");
    if !["open", "closed", "all"].contains(&status) {
        return Err(format!("invalid status: {status}"));
    }
    let place = |name: &str| query.get(name).and_then(|id| desk.find(id));
    let (before_order, after_order) = (place("before_order_id"), place("after_order_id"));
    let side = query.get("side");
    let wanted = |(place, order): &(usize, &Order)| {
        (status == "all" || (status == "open") == order.is_open())
            && !(nested && order.parent.is_some())
            && (symbols.is_empty() || symbols.contains(&order.symbol))
            && after.is_none_or(|after| order.times.created > after)
            && until.is_none_or(|until| order.times.created <= until)
            && before_order.is_none_or(|before| *place < before)
            && after_order.is_none_or(|after| *place > after)
            && side.is_none_or(|side| json!(order.side) == side)
    };
    let mut found: Vec<&Order> =
        desk.orders().iter().enumerate().filter(wanted).map(|(_, order)| order).collect();
    if query.get("direction") != Some("asc") {
        found.reverse();
    }
    let shown = |order: &&Order| {
        if nested { order.nested(desk.orders()) } else { order.flat(desk.orders()) }
    };
    Ok(found.iter().take(limit).map(shown).collect())
}

fn found(desk: &Desk, id: &str) -> Result<Value, Refusal> {
    let missing = || Refusal::missing(format!("order not found for {id}"));
    let order = desk.find(id).and_then(|place| desk.orders().get(place)).ok_or_else(missing)?;
    Ok(order.nested(desk.orders()))
}

/// Ids of orders are UUIDs; anything else is a wrong request, not a missing order.
fn checked(id: &str) -> Result<(), Refusal> {
    if id.len() == 36 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        return Ok(());
    }
    Err(Refusal::invalid("order id is malformed"))
}

/// `GET /v2/orders/{id}`
pub async fn show(State(stand): State<Arc<Stand>>, Path(id): Path<String>) -> Response {
    answer(checked(&id).and_then(|()| stand.desk(|desk, _, _| found(desk, &id))))
}

/// `GET /v2/orders:by_client_order_id`
pub async fn by_client_order_id(State(stand): State<Arc<Stand>>, Asked(query): Query) -> Response {
    let id = query.get("client_order_id").unwrap_or_default().to_owned();
    answer(stand.desk(|desk, _, _| {
        let known = desk.orders().iter().any(|order| order.client_order_id == id);
        if known { found(desk, &id) } else { Err(Refusal::missing("order not found")) }
    }))
}

/// `PATCH /v2/orders/{id}`
pub async fn replace(
    State(stand): State<Arc<Stand>>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Response {
    answer(checked(&id).and_then(|()| stand.desk(|desk, market, _| desk.replace(&id, &body, market))))
}

/// `DELETE /v2/orders/{id}`
pub async fn cancel(State(stand): State<Arc<Stand>>, Path(id): Path<String>) -> Response {
    match checked(&id).and_then(|()| stand.desk(|desk, market, _| desk.cancel(&id, market))) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

fn cancel_open(desk: &mut Desk, market: &Market) -> Vec<Value> {
    let open: Vec<String> =
        desk.orders().iter().filter(|order| order.is_open()).map(|order| order.id.clone()).collect();
    let cancelled = open.into_iter().filter_map(|id| {
        let place = desk.find(&id)?;
        // An exit may have ended with its entry.
        if !desk.orders()[place].is_open() {
            return Some(json!({"id": id, "status": 200}));
        }
        Some(match desk.cancel(&id, market) {
            Ok(()) => json!({"id": id, "status": 200}),
            Err(refusal) => json!({"id": id, "status": refusal.status, "body": refusal.body()}),
        })
    });
    cancelled.collect()
}

/// `DELETE /v2/orders`
pub async fn cancel_all(State(stand): State<Arc<Stand>>) -> Response {
    let cancelled = stand.desk(|desk, market, _| cancel_open(desk, market));
    (StatusCode::MULTI_STATUS, Json(cancelled)).into_response()
}

/// `GET /v2/positions`
pub async fn positions(State(stand): State<Arc<Stand>>) -> Response {
    let shown: Vec<Value> = stand.desk(|desk, market, _| {
        market.listings().filter_map(|listing| desk.position(listing, market)).collect()
    });
    Json(shown).into_response()
}

/// `GET /v2/positions/{symbol}`
pub async fn position(State(stand): State<Arc<Stand>>, Path(symbol): Path<String>) -> Response {
    answer(stand.desk(|desk, market, _| {
        let listing =
            market.listing(&symbol).ok_or_else(|| Refusal::missing(format!("symbol not found: {symbol}")))?;
        desk.position(listing, market).ok_or_else(|| Refusal::missing("position does not exist"))
    }))
}

fn closed(
    desk: &mut Desk,
    market: &Market,
    settings: &Settings,
    symbol: &str,
    query: &Parameters,
) -> Result<Value, Refusal> {
    let listing = market
        .listing(symbol)
        .ok_or_else(|| Refusal::missing(format!("symbol not found: {symbol}")))?
        .clone();
    let held = desk.book().positions.get(&listing.symbol).map(super::Position::quantity);
    let held = held.ok_or_else(|| Refusal::missing("position does not exist"))?;
    let number = |name: &str| query.get(name).map(|text| Decimal::parse(text).unwrap_or_default());
    let quantity = match (number("qty"), number("percentage")) {
        (Some(_), Some(_)) => return Err(Refusal::invalid("only one of qty or percentage is accepted")),
        (Some(quantity), None) => quantity,
        (None, Some(percent)) => held.abs().times(percent).over(Decimal::whole(100)),
        (None, None) => held.abs(),
    };
    let body = json!({
        "symbol": listing.symbol,
        "qty": quantity,
        "side": if held.is_negative() { "buy" } else { "sell" },
        "type": "market",
        "time_in_force": "day",
    });
    desk.submit(&body, market, settings)
}

/// `DELETE /v2/positions/{symbol}`
pub async fn close(
    State(stand): State<Arc<Stand>>,
    Path(symbol): Path<String>,
    Asked(query): Query,
) -> Response {
    answer(stand.desk(|desk, market, settings| closed(desk, market, settings, &symbol, &query)))
}

/// `DELETE /v2/positions`
pub async fn close_all(State(stand): State<Arc<Stand>>, Asked(query): Query) -> Response {
    let closed: Vec<Value> = stand.desk(|desk, market, settings| {
        if query.flag("cancel_orders", false) {
            cancel_open(desk, market);
        }
        let symbols: Vec<String> = desk.book().positions.keys().cloned().collect();
        let one = |symbol: String| match closed(desk, market, settings, &symbol, &Parameters::default()) {
            Ok(order) => json!({"symbol": symbol, "status": 200, "body": order}),
            Err(refusal) => json!({"symbol": symbol, "status": refusal.status, "body": refusal.body()}),
        };
        symbols.into_iter().map(one).collect()
    });
    (StatusCode::MULTI_STATUS, Json(closed)).into_response()
}
