//! Trades, quotes and snapshots, with times in nanoseconds.

use std::sync::Arc;

use axum::extract::{Extension, Path, Query as Asked, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{Base, aggregates, missing, paged, request_id};
use crate::calendar::MINUTE;
use crate::market::{Market, Quote, Trade, dollars};
use crate::query::{Parameters, Query, moment};
use crate::stand::Stand;

/// Rows of ticks when nothing is said, and at most.
const LIMITS: (usize, usize) = (1_000, 50_000);
/// The exchange's number.
const EXCHANGE: i64 = 15;

/// The number of a tape: 1 for A, 2 for B, 3 for C.
#[must_use]
pub fn tape(letter: &str) -> i64 {
    match letter {
        "A" => 1,
        "B" => 2,
        _ => 3,
    }
}

fn nanos(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| moment(text))
}

/// What `timestamp` and its suffixes ask for.
fn span(query: &Parameters, now_ns: i64) -> (i64, i64) {
    if let Some(text) = query.get("timestamp") {
        let start_ns = nanos(text).unwrap_or(now_ns);
        let day = if text.len() == 10 { 1440 * MINUTE - 1 } else { 0 };
        return (start_ns, start_ns + day);
    }
    let bound = |suffix: &str| query.get(&format!("timestamp.{suffix}")).and_then(nanos);
    let start = bound("gte").or_else(|| bound("gt").map(|at_ns| at_ns + 1));
    let end = bound("lte").or_else(|| bound("lt").map(|at_ns| at_ns - 1));
    let end = end.unwrap_or(now_ns);
    (start.unwrap_or(end - 1440 * MINUTE), end)
}

fn trade(trade: &Trade) -> Value {
    json!({
        "conditions": [12],
        "exchange": EXCHANGE,
        "id": trade.id.to_string(),
        "participant_timestamp": trade.at_ns,
        "price": dollars(trade.price),
        "sequence_number": trade.id,
        "sip_timestamp": trade.at_ns,
        "size": trade.size,
        "tape": tape(&trade.tape),
    })
}

fn quote(quote: &Quote) -> Value {
    json!({
        "ask_exchange": EXCHANGE,
        "ask_price": dollars(quote.ask),
        "ask_size": quote.ask_size,
        "bid_exchange": EXCHANGE,
        "bid_price": dollars(quote.bid),
        "bid_size": quote.bid_size,
        "conditions": [1],
        "participant_timestamp": quote.at_ns,
        "sequence_number": quote.at_ns / 1_000_000 % 1_000_000_000,
        "sip_timestamp": quote.at_ns,
        "tape": tape(&quote.tape),
    })
}

fn newest_first<T>(query: &Parameters, mut rows: Vec<T>) -> Vec<T> {
    // Ticks come newest first unless asked otherwise.
    if query.get("order") != Some("asc") {
        rows.reverse();
    }
    rows
}

/// `/v3/trades/{ticker}`
pub async fn trades(
    State(stand): State<Arc<Stand>>,
    Path(ticker): Path<String>,
    Asked(query): Query,
    Extension(base): Extension<Base>,
) -> Response {
    let rows = stand.market(|market| market.trades(&ticker, span(&query, market.now_ns())));
    let rows = newest_first(&query, rows.iter().map(trade).collect());
    paged(rows, &format!("/v3/trades/{ticker}"), &query, LIMITS, &base)
}

/// `/v3/quotes/{ticker}`
pub async fn quotes(
    State(stand): State<Arc<Stand>>,
    Path(ticker): Path<String>,
    Asked(query): Query,
    Extension(base): Extension<Base>,
) -> Response {
    let rows = stand.market(|market| market.quotes(&ticker, span(&query, market.now_ns())));
    let rows = newest_first(&query, rows.iter().map(quote).collect());
    paged(rows, &format!("/v3/quotes/{ticker}"), &query, LIMITS, &base)
}

fn short_trade(trade: &Trade) -> Value {
    json!({
        "c": [12],
        "i": trade.id.to_string(),
        "p": dollars(trade.price),
        "s": trade.size,
        "t": trade.at_ns,
        "x": EXCHANGE,
    })
}

fn short_quote(quote: &Quote) -> Value {
    json!({
        "P": dollars(quote.ask),
        "S": quote.ask_size,
        "p": dollars(quote.bid),
        "s": quote.bid_size,
        "t": quote.at_ns,
    })
}

/// `/v2/last/trade/{ticker}`
pub async fn last_trade(State(stand): State<Arc<Stand>>, Path(ticker): Path<String>) -> Response {
    let Some(trade) = stand.market(|market| market.last_trade(&ticker)) else {
        return missing("No trade found");
    };
    let mut row = short_trade(&trade);
    row["T"] = ticker.into();
    row["q"] = trade.id.into();
    row["z"] = tape(&trade.tape).into();
    axum::Json(json!({"status": "OK", "request_id": request_id(), "results": row})).into_response()
}

/// `/v2/last/nbbo/{ticker}`
pub async fn last_quote(State(stand): State<Arc<Stand>>, Path(ticker): Path<String>) -> Response {
    let Some(quote) = stand.market(|market| market.last_quote(&ticker)) else {
        return missing("No quote found");
    };
    let mut row = short_quote(&quote);
    row["T"] = ticker.into();
    row["X"] = EXCHANGE.into();
    row["x"] = EXCHANGE.into();
    row["z"] = tape(&quote.tape).into();
    axum::Json(json!({"status": "OK", "request_id": request_id(), "results": row})).into_response()
}

fn snapshot_of(market: &Market, ticker: &str) -> Option<Value> {
    let (day, before) = market.last_days(ticker);
    let (day, before) = (day?, before?);
    let minute = market.last_minute(ticker)?;
    let (trade, quote) = (market.last_trade(ticker)?, market.last_quote(ticker)?);
    let change = dollars(trade.price) - dollars(before.close);
    let mut minute_row = aggregates::shape(&minute, minute.start_ns);
    minute_row["av"] = (day.volume as f64).into();
    Some(json!({
        "ticker": ticker,
        "day": aggregates::shape(&day, day.start_ns),
        "prevDay": aggregates::shape(&before, before.start_ns),
        "min": minute_row,
        "lastTrade": short_trade(&trade),
        "lastQuote": short_quote(&quote),
        "todaysChange": change,
        "todaysChangePerc": change / dollars(before.close) * 100.0,
        "updated": trade.at_ns.max(quote.at_ns),
    }))
}

/// `/v2/snapshot/…/tickers/{ticker}`
pub async fn snapshot(State(stand): State<Arc<Stand>>, Path(ticker): Path<String>) -> Response {
    match stand.market(|market| snapshot_of(market, &ticker)) {
        Some(row) => {
            axum::Json(json!({"status": "OK", "request_id": request_id(), "ticker": row})).into_response()
        }
        None => missing("NotFound"),
    }
}

/// `/v2/snapshot/…/tickers`
pub async fn snapshots(State(stand): State<Arc<Stand>>, Asked(query): Query) -> Response {
    let wanted = query.list("tickers");
    let rows: Vec<Value> = stand.market(|market| {
        let symbols: Vec<String> = market.listings().map(|listing| listing.symbol.clone()).collect();
        let wanted = symbols.iter().filter(|symbol| wanted.is_empty() || wanted.contains(symbol));
        wanted.filter_map(|symbol| snapshot_of(market, symbol)).collect()
    });
    axum::Json(json!({"status": "OK", "request_id": request_id(), "count": rows.len(), "tickers": rows}))
        .into_response()
}
