//! Massive, which was Polygon: aggregates, reference data, news, trades and quotes, snapshots, and the stream of
//! stocks.
//!
//! `results` is left out where there is nothing, and `next_url` lacks the key, as at the vendor.
//!
//! Deliberately absent: options, indices, currencies, crypto, financials, technical indicators, aggregates of a second.

mod aggregates;
mod reference;
mod stream;
mod ticks;

use std::sync::Arc;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use serde_json::{Value, json};

use crate::id;
use crate::query::{self, Parameters};
use crate::stand::Stand;

/// Every path; pages are linked under `address`.
pub fn routes(address: &str) -> Router<Arc<Stand>> {
    Router::new()
        .route("/v2/aggs/ticker/{ticker}/range/{multiplier}/{timespan}/{from}/{to}", get(aggregates::range))
        .route("/v2/aggs/grouped/locale/us/market/stocks/{date}", get(aggregates::grouped))
        .route("/v2/aggs/ticker/{ticker}/prev", get(aggregates::previous))
        .route("/v1/open-close/{ticker}/{date}", get(aggregates::open_close))
        .route("/v2/snapshot/locale/us/markets/stocks/tickers", get(ticks::snapshots))
        .route("/v2/snapshot/locale/us/markets/stocks/tickers/{ticker}", get(ticks::snapshot))
        .route("/v3/trades/{ticker}", get(ticks::trades))
        .route("/v3/quotes/{ticker}", get(ticks::quotes))
        .route("/v2/last/trade/{ticker}", get(ticks::last_trade))
        .route("/v2/last/nbbo/{ticker}", get(ticks::last_quote))
        .route("/v3/reference/tickers", get(reference::tickers))
        .route("/v3/reference/tickers/{ticker}", get(reference::ticker))
        .route("/v3/reference/splits", get(reference::splits))
        .route("/v3/reference/dividends", get(reference::dividends))
        .route("/stocks/v1/splits", get(reference::stock_splits))
        .route("/stocks/v1/dividends", get(reference::stock_dividends))
        .route("/v2/reference/news", get(reference::news))
        .route("/v1/marketstatus/upcoming", get(reference::upcoming))
        .route("/v1/marketstatus/now", get(reference::status))
        .fallback(nothing)
        .layer(middleware::from_fn(known))
        .layer(Extension(Base(address.into())))
        .route("/stocks", get(stream::open))
}

/// Where the next page is.
#[derive(Clone)]
pub struct Base(Arc<str>);

/// Lets pass who sends the key, in a header or in the query.
async fn known(Extension(stand): Extension<Arc<Stand>>, request: Request, next: Next) -> Response {
    let bearer = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
    let query: Option<query::Query> = axum::extract::Query::try_from_uri(request.uri()).ok();
    let key = bearer.map(str::to_owned).or_else(|| Some(query?.0.get("apiKey")?.to_owned()));
    match key.as_deref() {
        Some(key) if stand.knows(key) => next.run(request).await,
        Some(_) => refuse(StatusCode::UNAUTHORIZED, "Unknown API Key"),
        None => refuse(StatusCode::UNAUTHORIZED, "API Key was not provided"),
    }
}

fn request_id() -> String {
    id::uuid("request").replace('-', "")
}

fn refuse(status: StatusCode, message: &str) -> Response {
    let body = json!({"status": "ERROR", "request_id": request_id(), "error": message});
    (status, axum::Json(body)).into_response()
}

async fn nothing() -> Response {
    missing("The requested resource was not found")
}

fn missing(message: &str) -> Response {
    let body = json!({"status": "NOT_FOUND", "request_id": request_id(), "message": message});
    (StatusCode::NOT_FOUND, axum::Json(body)).into_response()
}

/// A page of results with a link to the next one.
fn paged(
    rows: Vec<Value>,
    path: &str,
    query: &Parameters,
    (usual, most): (usize, usize),
    base: &Base,
) -> Response {
    let limit = match query.number("limit", usual) {
        Ok(limit) if (1..=most).contains(&limit) => limit,
        _ => return refuse(StatusCode::BAD_REQUEST, &format!("'limit' must be between 1 and {most}")),
    };
    let offset = query.get("cursor").and_then(query::offset).unwrap_or_default();
    let (rows, next) = query::page(rows, offset, limit);
    let mut body = json!({"status": "OK", "request_id": request_id(), "count": rows.len(), "results": rows});
    if let Some(next) = next {
        body["next_url"] = next_url(path, query, next, base).into();
    }
    axum::Json(body).into_response()
}

/// The address of the next page: all that was asked for, without the key.
fn next_url(path: &str, query: &Parameters, offset: usize, base: &Base) -> String {
    let kept = query.iter().filter(|(name, _)| !["cursor", "apiKey"].contains(name));
    let kept: String = kept.map(|(name, value)| format!("&{name}={}", value.replace(' ', "%20"))).collect();
    format!("{}{path}?cursor={}{kept}", base.0, query::token(offset))
}

/// Whether a value fits a parameter and its suffixes `.gte`, `.gt`, `.lte`, `.lt`, `.any_of`.
fn fits(query: &Parameters, name: &str, value: &str) -> bool {
    let bound = |suffix: &str| query.get(&format!("{name}.{suffix}")).map(str::to_owned);
    let any = query.list(&format!("{name}.any_of"));
    query.get(name).is_none_or(|wanted| value == wanted)
        && bound("gte").is_none_or(|bound| value >= bound.as_str())
        && bound("gt").is_none_or(|bound| value > bound.as_str())
        && bound("lte").is_none_or(|bound| value <= bound.as_str())
        && bound("lt").is_none_or(|bound| value < bound.as_str())
        && (any.is_empty() || any.iter().any(|wanted| wanted == value))
}
