//! Bars of any length, and of one day for all symbols.

use std::sync::Arc;

use axum::extract::{Extension, Path, Query as Asked, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use serde_json::{Value, json};

use super::{Base, missing, next_url, refuse, request_id};
use crate::calendar;
use crate::market::{Adjustment, Anchor, Bar, Market, Timeframe, dollars};
use crate::query::{self, Query};
use crate::stand::Stand;

/// Base aggregates in an answer when nothing is said, and at most.
const BASE: usize = 5_000;
const BASE_MAX: usize = 50_000;
/// Nanoseconds of a millisecond.
const MS: i64 = 1_000_000;

/// A bar.
pub fn shape(bar: &Bar, at_ns: i64) -> Value {
    // Volumes are floats: parts of shares are traded.
    json!({
        "v": bar.volume as f64,
        "vw": dollars(bar.vwap),
        "o": dollars(bar.open),
        "c": dollars(bar.close),
        "h": dollars(bar.high),
        "l": dollars(bar.low),
        "t": at_ns / MS,
        "n": bar.trades,
    })
}

/// A moment as milliseconds or a date; of a date the first or the last moment.
fn moment(text: &str, last: bool) -> Option<i64> {
    if let Ok(ms) = text.parse::<i64>() {
        return ms.checked_mul(MS);
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    let midnight = |date| calendar::at(date, 0, 0);
    Some(if last { midnight(date.succ_opt()?) - 1 } else { midnight(date) })
}

/// A bar's length, and how many base aggregates make one: minutes below a day, days from there on.
fn timeframe(multiplier: u32, timespan: &str) -> Option<(Timeframe, usize)> {
    let times = i64::from(multiplier);
    let count = multiplier as usize;
    Some(match timespan {
        "minute" if multiplier < 60 => (Timeframe::Minutes(times), count),
        "minute" | "hour" if timespan == "hour" || times % 60 == 0 => {
            let hours = if timespan == "hour" { times } else { times / 60 };
            (Timeframe::Hours(hours), 60 * usize::try_from(hours).ok()?)
        }
        "day" if multiplier == 1 => (Timeframe::Day, 1),
        "week" if multiplier == 1 => (Timeframe::Week, 5),
        "month" => (Timeframe::Months(multiplier), 21 * count),
        "quarter" => (Timeframe::Months(3 * multiplier), 63 * count),
        "year" => (Timeframe::Months(12 * multiplier), 252 * count),
        _ => return None,
    })
}

fn adjustment(query: &query::Parameters) -> Adjustment {
    if query.flag("adjusted", true) { Adjustment::SPLITS } else { Adjustment::RAW }
}

/// `/v2/aggs/ticker/{ticker}/range/…`
pub async fn range(
    State(stand): State<Arc<Stand>>,
    Path((ticker, multiplier, timespan, from, to)): Path<(String, u32, String, String, String)>,
    Asked(query): Query,
    Extension(base): Extension<Base>,
) -> Response {
    let bad = |message: &str| refuse(StatusCode::BAD_REQUEST, message);
    let Some((frame, base_count)) = timeframe(multiplier.max(1), &timespan) else {
        return bad("Could not parse the time range: 'timespan' is not supported");
    };
    let (Some(from_ns), Some(to_ns)) = (moment(&from, false), moment(&to, true)) else {
        return bad("Could not parse the time parameter: 'from'. Use YYYY-MM-DD or Unix MS Timestamps");
    };
    let limit = match query.number("limit", BASE) {
        Ok(limit) if (1..=BASE_MAX).contains(&limit) => limit,
        _ => return bad("'limit' must be between 1 and 50000"),
    };
    let span = (from_ns, to_ns);
    let mut bars =
        stand.market(|market| market.bars(&ticker, (frame, Anchor::Clock), span, adjustment(&query)));
    if query.get("sort") == Some("desc") {
        bars.reverse();
    }
    let rows: Vec<Value> = bars.iter().map(|bar| shape(bar, bar.start_ns)).collect();
    let offset = query.get("cursor").and_then(query::offset).unwrap_or_default();
    // The limit counts what bars are made of, not bars.
    let (rows, next) = query::page(rows, offset, (limit / base_count).max(1));
    let read = rows.len() * base_count;
    let mut body = envelope(&stand, &query, rows);
    body["ticker"] = ticker.as_str().into();
    body["queryCount"] = read.into();
    if let Some(next) = next {
        let path = format!("/v2/aggs/ticker/{ticker}/range/{multiplier}/{timespan}/{from}/{to}");
        body["next_url"] = next_url(&path, &query, next, &base).into();
    }
    axum::Json(body).into_response()
}

/// The bar of a symbol's day, if it is over.
fn day(market: &Market, ticker: &str, date: NaiveDate, adjustment: Adjustment) -> Option<Bar> {
    let session = calendar::session(date).filter(|session| session.close_ns <= market.now_ns())?;
    let midnight = calendar::at(session.date, 0, 0);
    market.bars(ticker, (Timeframe::Day, Anchor::Clock), (midnight, midnight), adjustment).pop()
}

/// What stands around rows; without any there are no results.
fn envelope(stand: &Stand, query: &query::Parameters, rows: Vec<Value>) -> Value {
    let mut body = json!({
        "adjusted": query.flag("adjusted", true),
        "queryCount": rows.len(),
        "resultsCount": rows.len(),
        "count": rows.len(),
        "status": stand.settings().massive.status,
        "request_id": request_id(),
    });
    if !rows.is_empty() {
        body["results"] = rows.into();
    }
    body
}

/// `/v2/aggs/grouped/…`
pub async fn grouped(
    State(stand): State<Arc<Stand>>,
    Path(date): Path<NaiveDate>,
    Asked(query): Query,
) -> Response {
    let rows: Vec<Value> = stand.market(|market| {
        let symbols: Vec<String> = market.listings().map(|listing| listing.symbol.clone()).collect();
        let row = |symbol: String| {
            // Stamped with the close, not with midnight as elsewhere.
            let bar = day(market, &symbol, date, adjustment(&query))?;
            let mut row = shape(&bar, calendar::session(date)?.close_ns);
            row["T"] = symbol.into();
            Some(row)
        };
        symbols.into_iter().filter_map(row).collect()
    });
    axum::Json(envelope(&stand, &query, rows)).into_response()
}

/// `/v2/aggs/ticker/{ticker}/prev`
pub async fn previous(
    State(stand): State<Arc<Stand>>,
    Path(ticker): Path<String>,
    Asked(query): Query,
) -> Response {
    let row = stand.market(|market| {
        let session = calendar::before(calendar::date_of(market.now_ns()))?;
        let bar = day(market, &ticker, session.date, adjustment(&query))?;
        let mut row = shape(&bar, session.close_ns);
        row["T"] = ticker.clone().into();
        Some(row)
    });
    let rows: Vec<Value> = row.into_iter().collect();
    let mut body = envelope(&stand, &query, rows);
    body["ticker"] = ticker.into();
    axum::Json(body).into_response()
}

/// `/v1/open-close/{ticker}/{date}`
pub async fn open_close(
    State(stand): State<Arc<Stand>>,
    Path((ticker, date)): Path<(String, NaiveDate)>,
    Asked(query): Query,
) -> Response {
    match stand.market(|market| day(market, &ticker, date, adjustment(&query))) {
        None => missing("Data not found."),
        Some(bar) => axum::Json(json!({
            "status": "OK",
            "from": date,
            "symbol": ticker,
            "open": dollars(bar.open),
            "high": dollars(bar.high),
            "low": dollars(bar.low),
            "close": dollars(bar.close),
            "volume": bar.volume as f64,
            "afterHours": dollars(bar.close),
            "preMarket": dollars(bar.open),
        }))
        .into_response(),
    }
}
