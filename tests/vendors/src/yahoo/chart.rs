//! Charts: bars with their dividends and splits.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query as Asked, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{Datelike, Months, NaiveDate, Offset};
use serde_json::{Map, Value, json};

use super::{known, noisy};
use crate::calendar::{self, MINUTE, SECOND, Session};
use crate::market::{Adjustment, Anchor, Bar, Listing, Market, Timeframe};
use crate::query::{Parameters, Query};
use crate::stand::Stand;

const RANGES: [&str; 11] = ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"];

/// `/v8/finance/chart/{symbol}`
pub async fn chart(
    State(stand): State<Arc<Stand>>,
    Path(symbol): Path<String>,
    Asked(query): Query,
) -> Response {
    match stand.market(|market| drawn(market, &symbol, &query)) {
        Ok(result) => Json(json!({"chart": {"result": [result], "error": null}})).into_response(),
        Err((status, code, description)) => {
            let error = json!({"code": code, "description": description});
            (status, Json(json!({"chart": {"result": null, "error": error}}))).into_response()
        }
    }
}

type Refused = (StatusCode, &'static str, String);

fn interval(text: &str) -> Option<Timeframe> {
    Some(match text {
        "1m" => Timeframe::Minutes(1),
        "2m" => Timeframe::Minutes(2),
        "5m" => Timeframe::Minutes(5),
        "15m" => Timeframe::Minutes(15),
        "90m" => Timeframe::Minutes(90),
        // Asked for half hours, Yahoo gives hours.
        "30m" | "60m" | "1h" => Timeframe::Hours(1),
        "1d" => Timeframe::Day,
        "1wk" => Timeframe::Week,
        "1mo" => Timeframe::Months(1),
        "3mo" => Timeframe::Months(3),
        _ => return None,
    })
}

/// How many days of an interval can be asked for.
fn days_max(text: &str) -> Option<i64> {
    match text {
        "1m" => Some(8),
        "2m" | "5m" | "15m" | "30m" | "90m" => Some(60),
        "60m" | "1h" => Some(730),
        _ => None,
    }
}

/// What is asked for: a range back from now, or two moments of which the second is left out.
fn span(market: &Market, listing: &Listing, query: &Parameters) -> (i64, i64) {
    let now_ns = market.now_ns();
    let seconds = |name: &str| query.get(name).and_then(|text| text.parse::<i64>().ok());
    if let Some(start) = seconds("period1") {
        let end = seconds("period2").unwrap_or(now_ns / SECOND);
        return (start.saturating_mul(SECOND), end.saturating_mul(SECOND) - 1);
    }
    let today = calendar::date_of(now_ns);
    let back = |months: u32| today.checked_sub_months(Months::new(months)).unwrap_or(today);
    let sessions_back = |count: usize| {
        let year_ago = back(12);
        let last = calendar::sessions(year_ago, today).filter(|session| session.open_ns <= now_ns);
        last.rev().take(count).last().map_or(today, |session| session.date)
    };
    let first = match query.get("range").unwrap_or("1mo") {
        "1d" => sessions_back(1),
        "5d" => sessions_back(5),
        "3mo" => back(3),
        "6mo" => back(6),
        "1y" => back(12),
        "2y" => back(24),
        "5y" => back(60),
        "10y" => back(120),
        "ytd" => NaiveDate::from_ymd_opt(today.year(), 1, 1).unwrap_or(today),
        "max" => listing.listed,
        _ => back(1),
    };
    (calendar::at(first, 0, 0), now_ns)
}

fn drawn(market: &Market, asked: &str, query: &Parameters) -> Result<Value, Refused> {
    let symbol = known(asked);
    let today = calendar::date_of(market.now_ns());
    let Some(listing) = market.listing(&symbol).filter(|listing| listing.is_listed_on(today)) else {
        let description = "No data found, symbol may be delisted".to_owned();
        return Err((StatusCode::NOT_FOUND, "Not Found", description));
    };
    let text = query.get("interval").unwrap_or("1d");
    let Some(frame) = interval(text) else {
        let description = format!(
            "Invalid input - interval={text} is not supported. Valid intervals: [1m, 2m, 5m, 15m, 30m, 60m, 90m, \
             1h, 1d, 5d, 1wk, 1mo, 3mo]"
        );
        return Err((StatusCode::UNPROCESSABLE_ENTITY, "Unprocessable Entity", description));
    };
    let span = span(market, listing, query);
    if let Some(days) = days_max(text)
        && market.now_ns() - span.0 > (days + 1) * 1440 * MINUTE
    {
        let description = format!(
            "{text} data not available for startTime={} and endTime={}. The requested range must be within the last \
             {days} days.",
            span.0 / SECOND,
            span.1 / SECOND
        );
        return Err((StatusCode::UNPROCESSABLE_ENTITY, "Unprocessable Entity", description));
    }
    let bars = market.bars(&symbol, (frame, Anchor::Open), span, Adjustment::SPLITS);
    let rows = rows(market, frame, &bars, span);
    let mut result = json!({
        "meta": meta(market, listing, asked, (text, query), span),
        "indicators": {"quote": [{}]},
    });
    if !rows.is_empty() {
        let column = |field: fn(&Bar) -> Value| -> Vec<Value> {
            rows.iter().map(|(_, bar)| bar.as_ref().map_or(Value::Null, field)).collect()
        };
        result["timestamp"] = rows.iter().map(|(at_s, _)| *at_s).collect();
        result["indicators"]["quote"] = json!([{
            "open": column(|bar| noisy(bar.open).into()),
            "high": column(|bar| noisy(bar.high).into()),
            "low": column(|bar| noisy(bar.low).into()),
            "close": column(|bar| noisy(bar.close).into()),
            "volume": column(|bar| bar.volume.into()),
        }]);
        if frame.is_of_days() {
            let adjusted = rows.iter().map(|(at_s, bar)| {
                let date = calendar::date_of(at_s * SECOND);
                bar.as_ref().map(|bar| noisy(bar.close) * market.dividend_factor(&symbol, date))
            });
            result["indicators"]["adjclose"] = json!([{"adjclose": adjusted.collect::<Vec<_>>()}]);
        }
    }
    if let Some(wanted) = query.get("events") {
        let events = events(market, &symbol, wanted, span);
        if !events.is_empty() {
            result["events"] = events.into();
        }
    }
    Ok(result)
}

/// Rows with their seconds: minutes without a trade are there and empty, and the present day is stamped with now.
fn rows(market: &Market, frame: Timeframe, bars: &[Bar], span: (i64, i64)) -> Vec<(i64, Option<Bar>)> {
    let now_ns = market.now_ns();
    if frame == Timeframe::Minutes(1) {
        let mut found = bars.iter().peekable();
        let mut rows = Vec::new();
        for session in calendar::sessions(calendar::date_of(span.0), calendar::date_of(span.1)) {
            let minutes = (0..session.minutes()).map(|minute| session.open_ns + minute * MINUTE);
            for start_ns in
                minutes.filter(|start_ns| (span.0..=span.1).contains(start_ns) && start_ns + MINUTE <= now_ns)
            {
                let bar = found.next_if(|bar| bar.start_ns == start_ns).copied();
                rows.push((start_ns / SECOND, bar));
            }
        }
        return rows;
    }
    let live = calendar::open_at(now_ns).map(|session| session.open_ns);
    let stamp = |bar: &Bar| {
        let now = frame == Timeframe::Day && Some(bar.start_ns) == live;
        if now { now_ns / SECOND } else { bar.start_ns / SECOND }
    };
    bars.iter().map(|bar| (stamp(bar), Some(*bar))).collect()
}

fn events(market: &Market, symbol: &str, wanted: &str, span: (i64, i64)) -> Map<String, Value> {
    let stamp = |date: NaiveDate| calendar::at(date, 9, 30);
    let within = |date: NaiveDate| (span.0..=span.1.min(market.now_ns())).contains(&stamp(date));
    let (mut dividends, mut gains) = (Map::new(), Map::new());
    for dividend in market.dividends().iter().filter(|d| d.symbol == symbol && within(d.ex_date)) {
        let amount = crate::market::ten_thousandths(dividend.amount.to_f64());
        let amount = market.in_terms_of_today(symbol, dividend.ex_date, amount);
        let at_s = stamp(dividend.ex_date) / SECOND;
        let list = if dividend.capital_gain { &mut gains } else { &mut dividends };
        list.insert(at_s.to_string(), json!({"amount": crate::market::dollars(amount), "date": at_s}));
    }
    let mut splits = Map::new();
    for split in market.splits().iter().filter(|split| split.symbol == symbol && within(split.ex_date)) {
        let at_s = stamp(split.ex_date) / SECOND;
        let ratio = format!("{}:{}", split.to, split.from);
        let event =
            json!({"date": at_s, "numerator": split.to, "denominator": split.from, "splitRatio": ratio});
        splits.insert(at_s.to_string(), event);
    }
    let mut events = Map::new();
    // `div,splits` and `div|split` are the same.
    let asked = |name: &str| wanted.split([',', '|']).any(|part| part.starts_with(name));
    if asked("div") && !dividends.is_empty() {
        events.insert("dividends".into(), dividends.into());
    }
    if asked("capitalGains") && !gains.is_empty() {
        events.insert("capitalGains".into(), gains.into());
    }
    if asked("split") && !splits.is_empty() {
        events.insert("splits".into(), splits.into());
    }
    events
}

/// A part of a trading day.
fn part(from_ns: i64, to_ns: i64) -> Value {
    let local = calendar::new_york(from_ns);
    json!({
        "timezone": local.format("%Z").to_string(),
        "start": from_ns / SECOND,
        "end": to_ns / SECOND,
        "gmtoffset": local.offset().fix().local_minus_utc(),
    })
}

fn parts(session: &Session) -> [Value; 3] {
    let (before, after) = (calendar::at(session.date, 4, 0), calendar::at(session.date, 20, 0));
    [part(before, session.open_ns), part(session.open_ns, session.close_ns), part(session.close_ns, after)]
}

fn meta(
    market: &Market,
    listing: &Listing,
    asked: &str,
    (interval, query): (&str, &Parameters),
    span: (i64, i64),
) -> Value {
    let now_ns = market.now_ns();
    let local = calendar::new_york(now_ns);
    let today = calendar::date_of(now_ns);
    let current = calendar::session(today).or_else(|| calendar::before(today));
    let [pre, regular, post] = current.map(|session| parts(&session)).unwrap_or_default();
    let trade = market.last_trade(&listing.symbol);
    let (_, before) = market.last_days(&listing.symbol);
    let mut meta = json!({
        "currency": "USD",
        "symbol": asked.to_uppercase(),
        "exchangeName": if listing.exchange == "NASDAQ" { "NMS" } else { "NYQ" },
        "fullExchangeName": listing.exchange,
        "instrumentType": if listing.is_fund() { "ETF" } else { "EQUITY" },
        "firstTradeDate": calendar::at(listing.listed, 9, 30) / SECOND,
        "regularMarketTime": trade.as_ref().map(|trade| trade.at_ns / SECOND),
        "hasPrePostMarketData": true,
        "gmtoffset": local.offset().fix().local_minus_utc(),
        "timezone": local.format("%Z").to_string(),
        "exchangeTimezoneName": "America/New_York",
        "regularMarketPrice": trade.map(|trade| noisy(trade.price)),
        "chartPreviousClose": before.map(|bar| noisy(bar.close)),
        "longName": listing.name,
        "shortName": listing.name,
        "priceHint": 2,
        "currentTradingPeriod": {"pre": pre, "regular": regular, "post": post},
        "dataGranularity": interval,
        "range": query.get("range").unwrap_or(""),
        "validRanges": RANGES,
    });
    if interval.ends_with('m') || interval.ends_with('h') {
        let sessions: Vec<[Value; 3]> =
            calendar::sessions(calendar::date_of(span.0), calendar::date_of(span.1.min(now_ns)))
                .map(|session| parts(&session))
                .collect();
        let column =
            |index: usize| -> Vec<Value> { sessions.iter().map(|parts| json!([parts[index]])).collect() };
        meta["tradingPeriods"] = if query.flag("includePrePost", false) {
            json!({"pre": column(0), "regular": column(1), "post": column(2)})
        } else {
            column(1).into()
        };
    }
    meta
}
