//! Statements as series: one item of each kind that is asked for, with meta alone where there is nothing.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query as Asked, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{Datelike, Months, NaiveDate};
use serde_json::{Value, json};

use super::known;
use crate::calendar::{self, SECOND};
use crate::id;
use crate::market::{Listing, Market};
use crate::query::Query;
use crate::stand::Stand;

/// What is known, in billions about.
const KNOWN: [(&str, i64); 16] = [
    ("TotalRevenue", 390),
    ("CostOfRevenue", 210),
    ("GrossProfit", 180),
    ("OperatingIncome", 120),
    ("NetIncome", 95),
    ("EBITDA", 130),
    ("TotalAssets", 350),
    ("TotalLiabilitiesNetMinorityInterest", 290),
    ("StockholdersEquity", 60),
    ("CashAndCashEquivalents", 30),
    ("TotalDebt", 110),
    ("OperatingCashFlow", 110),
    ("CapitalExpenditure", -10),
    ("FreeCashFlow", 100),
    ("DilutedAverageShares", 15),
    ("BasicAverageShares", 15),
];

/// `/ws/fundamentals-timeseries/v1/finance/timeseries/{symbol}`
pub async fn timeseries(
    State(stand): State<Arc<Stand>>,
    Path(symbol): Path<String>,
    Asked(query): Query,
) -> Response {
    let found = stand.market(|market| {
        let listing = market.listing(&known(&symbol))?;
        let items = query.list("type").into_iter().map(|kind| item(market, listing, &symbol, &kind));
        Some(items.collect::<Vec<_>>())
    });
    match found {
        Some(items) => Json(json!({"timeseries": {"result": items, "error": null}})).into_response(),
        None => {
            let error = json!({"code": "Not Found", "description": "No fundamentals data found"});
            (StatusCode::NOT_FOUND, Json(json!({"timeseries": {"result": null, "error": error}})))
                .into_response()
        }
    }
}

/// The dates on which periods of a kind ended, oldest first: four years, five quarters, or the last one.
fn ends(today: NaiveDate, prefix: &str) -> Vec<NaiveDate> {
    let year = NaiveDate::from_ymd_opt(today.year() - 1, 9, 30).unwrap_or(today);
    let quarter = NaiveDate::from_ymd_opt(today.year() - 1, 9, 30).unwrap_or(today);
    let back = |from: NaiveDate, months: u32| from.checked_sub_months(Months::new(months)).unwrap_or(from);
    match prefix {
        "annual" => (0..4).rev().map(|years| back(year, 12 * years)).collect(),
        "quarterly" => (0..5).rev().map(|quarters| back(quarter, 3 * quarters)).collect(),
        _ => vec![quarter],
    }
}

fn item(market: &Market, listing: &Listing, symbol: &str, kind: &str) -> Value {
    let mut item = json!({"meta": {"symbol": [symbol], "type": [kind]}});
    let prefix = ["annual", "quarterly", "trailing"].into_iter().find(|prefix| kind.starts_with(prefix));
    let Some((prefix, name)) = prefix.and_then(|prefix| Some((prefix, kind.strip_prefix(prefix)?))) else {
        return item;
    };
    if let Some(said) = market.fact(&listing.symbol, kind) {
        item["timestamp"] = json!(said.as_array().into_iter().flatten().map(stamp).collect::<Vec<_>>());
        item[kind] = said.clone();
        return item;
    }
    let Some((_, billions)) = KNOWN.iter().find(|(known, _)| *known == name) else { return item };
    let ends = ends(calendar::date_of(market.now_ns()), prefix);
    let part = if prefix == "quarterly" { 4 } else { 1 };
    let points: Vec<Value> = ends
        .iter()
        .map(|end| {
            let drift = id::of(&format!("{} {kind} {end}", listing.symbol)) % 20;
            let value =
                billions * 1_000_000_000 / part * (90 + i64::try_from(drift).unwrap_or_default()) / 100;
            json!({
                "dataId": 20_100,
                "asOfDate": end,
                "periodType": match prefix { "annual" => "12M", "quarterly" => "3M", _ => "TTM" },
                "currencyCode": "USD",
                "reportedValue": {"raw": value, "fmt": format!("{}B", value / 1_000_000_000)},
            })
        })
        .collect();
    item["timestamp"] = points.iter().map(stamp).collect();
    item[kind] = points.into();
    item
}

/// A point's date as seconds at midnight in UTC.
fn stamp(point: &Value) -> i64 {
    let date = point["asOfDate"].as_str().and_then(|text| text.parse::<NaiveDate>().ok()).unwrap_or_default();
    let midnight = date.and_hms_opt(0, 0, 0).unwrap_or_default().and_utc();
    midnight.timestamp_nanos_opt().unwrap_or_default() / SECOND
}
