//! The account's own facts, and those of the market that trading tells: assets, clock, calendar.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query as Asked, State};
use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use serde_json::{Value, json};

use super::activity;
use super::ticket::Refusal;
use crate::calendar::{self, MINUTE, SECOND, Session};
use crate::market::{Listing, Market};
use crate::query::{Parameters, Query};
use crate::stand::Stand;

/// `/v2/account`
pub async fn account(State(stand): State<Arc<Stand>>) -> Json<Value> {
    Json(stand.desk(|desk, market, _| desk.account(market)))
}

/// The configuration where nothing was changed. Checks for day trading went with the rules of 2026-07-06.
fn usual() -> Value {
    json!({
        "fractional_trading": true,
        "max_margin_multiplier": "2",
        "no_shorting": false,
        "suspend_trade": false,
        "trade_confirm_email": "all",
        "ptp_no_exception_entry": false,
        "max_options_trading_level": 0,
        "disable_overnight_trading": false,
    })
}

fn configured(stand: &Stand) -> Value {
    let mut configuration = usual();
    stand.desk(|desk, _, _| {
        for (name, value) in &desk.configuration {
            configuration[name] = value.clone();
        }
    });
    configuration
}

/// `GET /v2/account/configurations`
pub async fn configuration(State(stand): State<Arc<Stand>>) -> Json<Value> {
    Json(configured(&stand))
}

/// `PATCH /v2/account/configurations`
pub async fn configure(State(stand): State<Arc<Stand>>, Json(change): Json<Value>) -> Response {
    let known = usual();
    for (name, value) in change.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        if known.get(name).is_none() {
            return Refusal::invalid(format!("unknown configuration: {name}")).into_response();
        }
        stand.desk(|desk, _, _| desk.configuration.insert(name.clone(), value.clone()));
    }
    Json(configured(&stand)).into_response()
}

fn activities_page(stand: &Stand, only: Option<&str>, query: &Parameters) -> Response {
    match stand.desk(|desk, _, _| activity::page(&desk.activities, only, query)) {
        Ok(rows) => Json(rows).into_response(),
        Err(message) => Refusal::invalid(message).into_response(),
    }
}

/// `/v2/account/activities`
pub async fn activities(State(stand): State<Arc<Stand>>, Asked(query): Query) -> Response {
    activities_page(&stand, None, &query)
}

/// `/v2/account/activities/{kind}`
pub async fn activities_of(
    State(stand): State<Arc<Stand>>,
    Path(kind): Path<String>,
    Asked(query): Query,
) -> Response {
    activities_page(&stand, Some(&kind), &query)
}

/// The days of a period: a number and D, W, M or A.
fn days(period: &str) -> Option<i64> {
    let unit = period.len().checked_sub(1)?;
    let count: i64 = period.get(..unit)?.parse().ok()?;
    let length = match period.get(unit..)? {
        "D" => 1,
        "W" => 7,
        "M" => 31,
        "A" => 366,
        _ => return None,
    };
    Some(count * length)
}

/// `/v2/account/portfolio/history`
pub async fn portfolio_history(State(stand): State<Arc<Stand>>, Asked(query): Query) -> Response {
    let given = ["start", "end", "period"].into_iter().filter(|name| query.get(name).is_some()).count();
    if given > 2 {
        return Refusal::invalid("only two of start, end and period can be specified").into_response();
    }
    let (Ok(start), Ok(end)) = (query.moment("start"), query.moment("end")) else {
        return Refusal::invalid("invalid start or end").into_response();
    };
    let Some(days) = days(query.get("period").unwrap_or("1M")) else {
        return Refusal::invalid("invalid period").into_response();
    };
    let timeframe = query.get("timeframe").unwrap_or("1D");
    let minutes = match timeframe {
        "1Min" => 1,
        "5Min" => 5,
        "15Min" => 15,
        "1H" => 60,
        "1D" => 0,
        _ => return Refusal::invalid("invalid timeframe").into_response(),
    };
    let now_ns = stand.market(|market| market.now_ns());
    let end_ns = end.unwrap_or(now_ns).min(now_ns);
    let start_ns = start.unwrap_or(end_ns - days * 1440 * MINUTE);
    let times = stamps((start_ns, end_ns), minutes);
    Json(stand.desk(|desk, market, _| desk.portfolio_history(&times, market, timeframe))).into_response()
}

/// Seconds of the points in a span: every so many minutes of each session, or its close for none.
fn stamps((start_ns, end_ns): (i64, i64), minutes: i64) -> Vec<i64> {
    let mut times = Vec::new();
    for session in calendar::sessions(calendar::date_of(start_ns), calendar::date_of(end_ns)) {
        if minutes == 0 {
            times.push(session.close_ns / SECOND);
            continue;
        }
        let step = minutes * MINUTE;
        let count = (session.close_ns - session.open_ns) / step;
        let within = (0..count)
            .map(|index| session.open_ns + index * step)
            .filter(|at_ns| (start_ns..=end_ns).contains(at_ns));
        times.extend(within.map(|at_ns| at_ns / SECOND));
    }
    times
}

fn shown(listing: &Listing, market: &Market) -> Value {
    let listed = listing.is_listed_on(calendar::date_of(market.now_ns()));
    let mut attributes = Vec::new();
    if listing.fractionable {
        attributes.push("fractional_eh_enabled");
    }
    json!({
        "id": listing.asset_id(),
        "class": "us_equity",
        "exchange": listing.exchange,
        "symbol": listing.symbol,
        "name": listing.name,
        "status": if listed { "active" } else { "inactive" },
        "tradable": listed && listing.tradable,
        "marginable": listing.marginable,
        "shortable": listing.shortable,
        "easy_to_borrow": listing.easy_to_borrow,
        "borrow_status": if listing.easy_to_borrow { "easy_to_borrow" } else { "hard_to_borrow" },
        "fractionable": listing.fractionable,
        "maintenance_margin_requirement": if listing.marginable { 30 } else { 100 },
        "margin_requirement_long": if listing.marginable { "30" } else { "100" },
        "margin_requirement_short": if listing.shortable { "30" } else { "100" },
        "attributes": attributes,
    })
}

/// `/v2/assets`
pub async fn assets(State(stand): State<Arc<Stand>>, Asked(query): Query) -> Json<Vec<Value>> {
    let wanted_attributes = query.list("attributes");
    Json(stand.market(|market| {
        let all = market.listings().map(|listing| shown(listing, market));
        let fits = |asset: &Value| {
            let same = |name: &str, field: &str| query.get(name).is_none_or(|wanted| asset[field] == wanted);
            let has = |wanted: &String| {
                asset["attributes"]
                    .as_array()
                    .is_some_and(|attributes| attributes.iter().any(|a| a == wanted))
            };
            same("status", "status")
                && same("asset_class", "class")
                && same("exchange", "exchange")
                && wanted_attributes.iter().all(has)
        };
        all.filter(fits).collect()
    }))
}

/// `/v2/assets/{symbol}`
pub async fn asset(State(stand): State<Arc<Stand>>, Path(symbol): Path<String>) -> Response {
    let found = stand.market(|market| market.listing(&symbol).map(|listing| shown(listing, market)));
    match found {
        Some(asset) => Json(asset).into_response(),
        None => Refusal::missing(format!("asset not found for {symbol}")).into_response(),
    }
}

fn local(at_ns: i64) -> String {
    calendar::new_york(at_ns).to_rfc3339_opts(chrono::SecondsFormat::AutoSi, false)
}

/// `/v2/clock`
pub async fn clock(State(stand): State<Arc<Stand>>) -> Json<Value> {
    let now_ns = stand.market(|market| market.now_ns());
    Json(json!({
        "timestamp": local(now_ns),
        "is_open": calendar::open_at(now_ns).is_some(),
        "next_open": calendar::next_open(now_ns).map(|session| local(session.open_ns)),
        "next_close": calendar::next_close(now_ns).map(|session| local(session.close_ns)),
    }))
}

/// `/v3/clock`
pub async fn clocks(State(stand): State<Arc<Stand>>) -> Json<Value> {
    let now_ns = stand.market(|market| market.now_ns());
    let date = calendar::date_of(now_ns);
    let phase = match calendar::session(date) {
        Some(session) if (session.open_ns..session.close_ns).contains(&now_ns) => "core",
        Some(session) if (calendar::at(date, 4, 0)..session.open_ns).contains(&now_ns) => "pre",
        Some(session) if (session.close_ns..calendar::at(date, 20, 0)).contains(&now_ns) => "post",
        _ => "closed",
    };
    Json(json!({"clocks": [{
        "market": {"acronym": "NYSE", "mic": "XNYS", "name": "New York Stock Exchange", "timezone": "America/New_York"},
        "timestamp": local(now_ns),
        "is_market_day": calendar::session(date).is_some(),
        "phase": phase,
        "next_market_open": calendar::next_open(now_ns).map(|session| local(session.open_ns)),
        "next_market_close": calendar::next_close(now_ns).map(|session| local(session.close_ns)),
    }]}))
}

/// Sessions of a range; everything known when none is given.
fn sessions(query: &Parameters) -> Vec<Session> {
    let day = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default();
    let start = query.date("start").unwrap_or_else(|| day(2020, 1, 1));
    let end = query.date("end").unwrap_or_else(|| day(2027, 12, 31));
    calendar::sessions(start, end).filter(|session| session.date <= end).collect()
}

fn clock_time(at_ns: i64, format: &str) -> String {
    calendar::new_york(at_ns).format(format).to_string()
}

/// `/v2/calendar`
pub async fn calendar(Asked(query): Query) -> Json<Vec<Value>> {
    let row = |session: &Session| {
        json!({
            "date": session.date,
            "open": clock_time(session.open_ns, "%H:%M"),
            "close": clock_time(session.close_ns, "%H:%M"),
            "session_open": "0400",
            // Trading after hours ends earlier on a short day.
            "session_close": if session.is_early() { "1700" } else { "2000" },
            "settlement_date": calendar::settlement(session.date),
        })
    };
    Json(sessions(&query).iter().map(row).collect())
}

/// `/v3/calendar/{market}`
pub async fn calendar_of(Path(market): Path<String>, Asked(query): Query) -> Response {
    if !["NYSE", "XNYS", "NASDAQ", "XNAS"].contains(&market.as_str()) {
        return Refusal::missing(format!("market not found: {market}")).into_response();
    }
    let row = |session: &Session| {
        json!({
            "date": session.date,
            "core_start": local(session.open_ns),
            "core_end": local(session.close_ns),
            "pre_start": local(calendar::at(session.date, 4, 0)),
            "post_end": local(calendar::at(session.date, if session.is_early() { 17 } else { 20 }, 0)),
            "settlement_date": calendar::settlement(session.date),
        })
    };
    let rows: Vec<Value> = sessions(&query).iter().map(row).collect();
    Json(json!({"calendar": rows, "market": {"mic": "XNYS", "timezone": "America/New_York"}})).into_response()
}
