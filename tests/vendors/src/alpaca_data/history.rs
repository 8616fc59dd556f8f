//! What was: bars, quotes and trades in pages, the latest of each, snapshots.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query as Asked, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::{refuse, shape};
use crate::calendar::MINUTE;
use crate::market::{Adjustment, Anchor, Market, Timeframe};
use crate::query::{self, Parameters, Query};
use crate::stand::Stand;
use crate::wire;

/// Rows in a page when nothing is said.
const ROWS: usize = 1_000;
/// Rows in a page at most.
const ROWS_MAX: usize = 10_000;
/// How old SIP data is without a subscription to it.
const SIP_DELAY_NS: i64 = 15 * MINUTE;

/// `/v2/stocks/bars` and its like.
pub async fn of_many(
    State(stand): State<Arc<Stand>>,
    Path(what): Path<String>,
    Asked(query): Query,
) -> Response {
    let symbols = match symbols(&query) {
        Ok(symbols) => symbols,
        Err(refusal) => return *refusal,
    };
    if what == "snapshots" {
        let snapshot = |market: &Market, symbol: &str| snapshot(market, symbol);
        return Json(stand.market(|market| keyed(market, &symbols, snapshot))).into_response();
    }
    match rows(&stand, &what, &symbols, &query) {
        Ok((rows, next)) => {
            let mut by_symbol = Map::new();
            for (symbol, row) in rows {
                if let Value::Array(rows) = by_symbol.entry(symbol).or_insert_with(|| json!([])) {
                    rows.push(row);
                }
            }
            Json(json!({what: by_symbol, "next_page_token": next.map(query::token)})).into_response()
        }
        Err(refusal) => *refusal,
    }
}

/// `/v2/stocks/bars/latest` and `/v2/stocks/AAPL/bars`, which have the same number of parts.
pub async fn two(
    State(stand): State<Arc<Stand>>,
    Path((first, second)): Path<(String, String)>,
    Asked(query): Query,
) -> Response {
    if second == "latest" {
        return match symbols(&query) {
            Ok(symbols) => {
                let one = |market: &Market, symbol: &str| latest(market, &first, symbol);
                let found = stand.market(|market| keyed(market, &symbols, one));
                Json(json!({first: found})).into_response()
            }
            Err(refusal) => *refusal,
        };
    }
    if second == "snapshot" {
        return match stand.market(|market| snapshot(market, &first)) {
            Some(Value::Object(mut found)) => {
                found.insert("symbol".into(), first.into());
                Json(Value::Object(found)).into_response()
            }
            _ => refuse(StatusCode::NOT_FOUND, format!("no snapshot found for {first}")),
        };
    }
    match rows(&stand, &second, std::slice::from_ref(&first), &query) {
        Ok((rows, next)) => {
            let rows: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
            Json(json!({second: rows, "symbol": first, "next_page_token": next.map(query::token)}))
                .into_response()
        }
        Err(refusal) => *refusal,
    }
}

/// `/v2/stocks/AAPL/trades/latest` and its like.
pub async fn latest_of_one(
    State(stand): State<Arc<Stand>>,
    Path((symbol, what)): Path<(String, String)>,
) -> Response {
    let Some(found) = stand.market(|market| latest(market, &what, &symbol)) else {
        return refuse(
            StatusCode::NOT_FOUND,
            format!("no {} found for {symbol}", what.trim_end_matches('s')),
        );
    };
    Json(json!({"symbol": symbol, what.trim_end_matches('s'): found})).into_response()
}

/// The symbols that are asked for, in order.
fn symbols(query: &Parameters) -> Result<Vec<String>, Box<Response>> {
    let mut symbols = query.list("symbols");
    symbols.sort();
    symbols.dedup();
    let plain = |symbol: &str| {
        symbol.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b".-".contains(&byte))
    };
    if symbols.is_empty() {
        return Err(Box::new(refuse(StatusCode::BAD_REQUEST, "symbols is required")));
    }
    match symbols.iter().find(|symbol| !plain(symbol)) {
        Some(symbol) => Err(Box::new(refuse(StatusCode::BAD_REQUEST, format!("invalid symbol: {symbol}")))),
        None => Ok(symbols),
    }
}

fn keyed(
    market: &Market,
    symbols: &[String],
    one: impl Fn(&Market, &str) -> Option<Value>,
) -> Map<String, Value> {
    symbols.iter().filter_map(|symbol| Some((symbol.clone(), one(market, symbol)?))).collect()
}

fn latest(market: &Market, what: &str, symbol: &str) -> Option<Value> {
    match what {
        "bars" => market.last_minute(symbol).map(|bar| wire::json(&shape::bar(&bar))),
        "quotes" => market.last_quote(symbol).map(|quote| wire::json(&shape::quote(&quote))),
        "trades" => market.last_trade(symbol).map(|trade| wire::json(&shape::trade(&trade))),
        _ => None,
    }
}

fn snapshot(market: &Market, symbol: &str) -> Option<Value> {
    market.listing(symbol)?;
    let (day, day_before) = market.last_days(symbol);
    let bar = |bar: Option<crate::market::Bar>| bar.map(|bar| wire::json(&shape::bar(&bar)));
    Some(json!({
        "latestTrade": latest(market, "trades", symbol),
        "latestQuote": latest(market, "quotes", symbol),
        "minuteBar": latest(market, "bars", symbol),
        "dailyBar": bar(day),
        "prevDailyBar": bar(day_before),
    }))
}

/// A page of rows, by symbol and time.
type Rows = (Vec<(String, Value)>, Option<usize>);

fn rows(stand: &Stand, what: &str, symbols: &[String], query: &Parameters) -> Result<Rows, Box<Response>> {
    let bad = |message: String| Box::new(refuse(StatusCode::BAD_REQUEST, message));
    let settings = stand.settings().alpaca_data;
    let now_ns = stand.market(|market| market.now_ns());
    let limit = query.number("limit", ROWS).map_err(bad)?;
    if !(1..=ROWS_MAX).contains(&limit) {
        return Err(bad(format!("limit must be between 1 and {ROWS_MAX}")));
    }
    let offset = match query.get("page_token") {
        None => 0,
        Some(token) => query::offset(token).ok_or_else(|| bad("invalid page_token".into()))?,
    };
    let feed = query.get("feed").unwrap_or("sip");
    let end_ns = query.moment("end").map_err(bad)?;
    if feed == "sip" && !settings.sip && end_ns.unwrap_or(now_ns) > now_ns - SIP_DELAY_NS {
        let message = "subscription does not permit querying recent SIP data";
        return Err(Box::new(refuse(StatusCode::FORBIDDEN, message)));
    }
    // Without a start, the present day.
    let midnight = Timeframe::Day.start_of(now_ns, Anchor::Clock);
    let span = (query.moment("start").map_err(bad)?.unwrap_or(midnight), end_ns.unwrap_or(now_ns));
    if span.0 > span.1 {
        return Err(bad("end should not be before start".into()));
    }
    let newest_first = query.get("sort") == Some("desc");
    let mut rows = Vec::new();
    for symbol in symbols {
        let mut found = match what {
            "bars" => {
                let text = query.get("timeframe").ok_or_else(|| bad("timeframe is required".into()))?;
                let frame = timeframe(text).ok_or_else(|| bad(format!("invalid timeframe: {text}")))?;
                let adjustment = adjustment(query.get("adjustment").unwrap_or("raw"))
                    .ok_or_else(|| bad("invalid adjustment".into()))?;
                let bars =
                    stand.market(|market| market.bars(symbol, (frame, Anchor::Clock), span, adjustment));
                // A small exchange sees a small part of what is traded.
                let part = if feed == "iex" { 40 } else { 1 };
                let seen = bars
                    .into_iter()
                    .map(|bar| crate::market::Bar { volume: 1.max(bar.volume / part), ..bar });
                seen.map(|bar| wire::json(&shape::bar(&bar))).collect::<Vec<_>>()
            }
            "trades" => {
                let trades = stand.market(|market| market.trades(symbol, span));
                trades.iter().map(|trade| wire::json(&shape::trade(trade))).collect()
            }
            "quotes" => {
                let quotes = stand.market(|market| market.quotes(symbol, span));
                quotes.iter().map(|quote| wire::json(&shape::quote(quote))).collect()
            }
            "auctions" => stand.market(|market| auctions(market, symbol, span)),
            _ => return Err(Box::new(refuse(StatusCode::NOT_FOUND, "endpoint not found."))),
        };
        if newest_first {
            found.reverse();
        }
        rows.extend(found.into_iter().map(|row| (symbol.clone(), row)));
    }
    Ok(query::page(rows, offset, limit.min(settings.page_max)))
}

/// The prints of the opening and closing auction of each day.
fn auctions(market: &Market, symbol: &str, span: (i64, i64)) -> Vec<Value> {
    let days = market.bars(symbol, (Timeframe::Day, Anchor::Clock), span, Adjustment::RAW);
    let days = days.iter().filter_map(|bar| {
        let session = crate::calendar::session(crate::calendar::date_of(bar.start_ns))?;
        let print = |at_ns, price, condition| {
            json!({"t": wire::rfc3339(at_ns), "x": "Q", "p": crate::market::dollars(price), "s": 1000, "c": condition})
        };
        let closed = market.now_ns() >= session.close_ns;
        let closes = if closed { vec![print(session.close_ns, bar.close, "6")] } else { Vec::new() };
        Some(json!({"d": session.date, "o": [print(session.open_ns, bar.open, "Q")], "c": closes}))
    });
    days.collect()
}

/// `[1-59]Min`, `[1-23]Hour`, `1Day`, `1Week`, `{1,2,3,4,6,12}Month`, and their short forms.
#[must_use]
pub fn timeframe(text: &str) -> Option<Timeframe> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (count, unit) = text.split_at(digits);
    let count: u32 = count.parse().ok()?;
    match unit {
        "Min" | "T" if (1..60).contains(&count) => Some(Timeframe::Minutes(i64::from(count))),
        "Hour" | "H" if (1..24).contains(&count) => Some(Timeframe::Hours(i64::from(count))),
        "Day" | "D" if count == 1 => Some(Timeframe::Day),
        "Week" | "W" if count == 1 => Some(Timeframe::Week),
        "Month" | "M" if [1, 2, 3, 4, 6, 12].contains(&count) => Some(Timeframe::Months(count)),
        _ => None,
    }
}

fn adjustment(text: &str) -> Option<Adjustment> {
    let mut chosen = Adjustment::RAW;
    for part in text.split(',') {
        match part {
            // No symbol of the market has spun anything off.
            "raw" | "spin-off" => {}
            "split" => chosen.splits = true,
            "dividend" => chosen.dividends = true,
            "all" => chosen = Adjustment::ALL,
            _ => return None,
        }
    }
    Some(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeframes_are_read_as_documented() {
        assert_eq!(timeframe("15Min"), Some(Timeframe::Minutes(15)));
        assert_eq!(timeframe("1H"), Some(Timeframe::Hours(1)));
        assert_eq!(timeframe("3Month"), Some(Timeframe::Months(3)));
        for wrong in ["60Min", "2Day", "5Month", "Min", "1Fortnight", ""] {
            assert_eq!(timeframe(wrong), None, "{wrong}");
        }
        assert_eq!(adjustment("split,dividend"), Some(Adjustment::ALL));
        assert_eq!(adjustment("none"), None);
    }
}
