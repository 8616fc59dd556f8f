//! Company facts by module, and quotes.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query as Asked, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::{crumb, facts, known};
use crate::calendar;
use crate::query::Query;
use crate::stand::Stand;

/// `/v10/finance/quoteSummary/{symbol}`
pub async fn quote_summary(
    State(stand): State<Arc<Stand>>,
    Path(symbol): Path<String>,
    Asked(query): Query,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = crumb::check(&stand, &headers, &query) {
        return *refusal;
    }
    let modules = query.list("modules");
    let plain = query.get("formatted") == Some("false");
    let found = stand.market(|market| {
        let listing = market.listing(&known(&symbol))?.clone();
        listing.is_listed_on(calendar::date_of(market.now_ns())).then_some(())?;
        let mut told = Map::new();
        for name in modules {
            let module = facts::module(market, &listing, &name);
            if !module.is_null() {
                told.insert(name, if plain { module } else { formatted(module) });
            }
        }
        Some(told)
    });
    let refuse = |status, code: &str, description: String| {
        let error = json!({"code": code, "description": description});
        (status, Json(json!({"quoteSummary": {"result": null, "error": error}}))).into_response()
    };
    match found {
        None => refuse(StatusCode::NOT_FOUND, "Not Found", format!("Quote not found for symbol: {symbol}")),
        Some(told) if told.is_empty() => {
            refuse(StatusCode::NOT_FOUND, "Not Found", "No fundamentals data found for symbol".into())
        }
        Some(told) => Json(json!({"quoteSummary": {"result": [told], "error": null}})).into_response(),
    }
}

/// Numbers with the text that a page shows; `maxAge` stays a number.
fn formatted(value: Value) -> Value {
    match value {
        Value::Number(number) => {
            json!({"raw": number, "fmt": number.to_string(), "longFmt": number.to_string()})
        }
        Value::Array(values) => values.into_iter().map(formatted).collect(),
        Value::Object(fields) => {
            let field = |(name, value): (String, Value)| {
                let value = if name == "maxAge" { value } else { formatted(value) };
                (name, value)
            };
            Value::Object(fields.into_iter().map(field).collect())
        }
        other => other,
    }
}

/// `/v7/finance/quote`
pub async fn quote(State(stand): State<Arc<Stand>>, Asked(query): Query, headers: HeaderMap) -> Response {
    if let Err(refusal) = crumb::check(&stand, &headers, &query) {
        return *refusal;
    }
    let rows: Vec<Value> = stand.market(|market| {
        let row = |symbol: &String| {
            let listing = market.listing(&known(symbol))?;
            let mut row = facts::module(market, listing, "price");
            row["symbol"] = symbol.as_str().into();
            row["trailingPE"] = facts::module(market, listing, "summaryDetail")["trailingPE"].clone();
            Some(row)
        };
        query.list("symbols").iter().filter_map(row).collect()
    });
    Json(json!({"quoteResponse": {"result": rows, "error": null}})).into_response()
}
