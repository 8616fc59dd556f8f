//! News and corporate actions.

use std::sync::Arc;

use axum::Json;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Query as Asked, State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use serde_json::{Map, Value, json};

use super::{refuse, shape, stream};
use crate::alpaca::check;
use crate::calendar;
use crate::id;
use crate::market::{Article, Market};
use crate::query::{self, Parameters, Query};
use crate::stand::Stand;
use crate::wire;

/// `/v1beta1/news`: a page of articles, or the stream of them for who upgrades.
pub async fn news(
    State(stand): State<Arc<Stand>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    Asked(query): Query,
    headers: HeaderMap,
) -> Response {
    if let Ok(upgrade) = upgrade {
        return stream::news(stand, upgrade, &headers);
    }
    if let Err(refusal) = check(&stand, &headers) {
        return *refusal;
    }
    page_of_news(&stand, &query).unwrap_or_else(|message| refuse(StatusCode::BAD_REQUEST, message))
}

fn page_of_news(stand: &Stand, query: &Parameters) -> Result<Response, String> {
    let limit = query.number("limit", 10)?;
    if !(1..=50).contains(&limit) {
        return Err("limit must be between 1 and 50".into());
    }
    let offset = match query.get("page_token") {
        None => 0,
        Some(token) => query::offset(token).ok_or("invalid page_token")?,
    };
    let (start_ns, end_ns) = (query.moment("start")?, query.moment("end")?);
    let symbols = query.list("symbols");
    let exclude_empty = query.flag("exclude_contentless", false);
    let wanted = |article: &&Article| {
        (symbols.is_empty() || article.symbols.iter().any(|symbol| symbols.contains(symbol)))
            && start_ns.is_none_or(|start_ns| article.updated_ns >= start_ns)
            && end_ns.is_none_or(|end_ns| article.updated_ns <= end_ns)
            && !(exclude_empty && article.content.is_empty())
    };
    let mut found: Vec<Article> =
        stand.market(|market| market.articles().into_iter().filter(wanted).cloned().collect());
    found.sort_by_key(|article| (article.updated_ns, article.id));
    if query.get("sort") != Some("asc") {
        found.reverse();
    }
    let (found, next) = query::page(found, offset, limit);
    let with_content = query.flag("include_content", false);
    let told = found.iter().map(|article| {
        let mut told = wire::json(&shape::article(article));
        if !with_content {
            told["content"] = "".into();
        }
        told["images"] = json!([
            {"size": "large", "url": format!("{}/large.jpg", article.url)},
            {"size": "small", "url": format!("{}/small.jpg", article.url)},
            {"size": "thumb", "url": format!("{}/thumb.jpg", article.url)},
        ]);
        told
    });
    let told: Vec<Value> = told.collect();
    Ok(Json(json!({"news": told, "next_page_token": next.map(query::token)})).into_response())
}

/// An action: its process date, its kind in the plural, itself.
type Action = (NaiveDate, String, Value);

/// `/v1/corporate-actions`.
pub async fn corporate_actions(State(stand): State<Arc<Stand>>, Asked(query): Query) -> Response {
    match page_of_actions(&stand, &query) {
        Ok(answer) => answer,
        Err(message) => refuse(StatusCode::BAD_REQUEST, message),
    }
}

fn page_of_actions(stand: &Stand, query: &Parameters) -> Result<Response, String> {
    let limit = query.number("limit", 100)?;
    if !(1..=1_000).contains(&limit) {
        return Err("limit must be between 1 and 1000".into());
    }
    let offset = match query.get("page_token") {
        None => 0,
        Some(token) => query::offset(token).ok_or("invalid page_token")?,
    };
    // Without a range it is the present day alone.
    let today = calendar::date_of(stand.market(|market| market.now_ns()));
    let (start, end) = (query.date("start").unwrap_or(today), query.date("end").unwrap_or(today));
    let (symbols, types, ids) = (query.list("symbols"), query.list("types"), query.list("ids"));
    let mut found: Vec<Action> = stand.market(|market| actions(market));
    found.retain(|(date, kind, action)| {
        let singular = kind.trim_end_matches('s');
        let named = |wanted: &String| {
            let mut fields = action.as_object().into_iter().flatten();
            fields.any(|(field, value)| field.ends_with("symbol") && value == wanted.as_str())
        };
        let by_id = ids.iter().any(|id| action["id"] == id.as_str());
        (types.is_empty() || types.iter().any(|wanted| wanted == singular))
            && (symbols.is_empty() || symbols.iter().any(named))
            && if ids.is_empty() { (start..=end).contains(date) } else { by_id }
    });
    found.sort_by_key(|(date, _, action)| (*date, action["id"].to_string()));
    if query.get("sort") == Some("desc") {
        found.reverse();
    }
    let (found, next) = query::page(found, offset, limit);
    let mut by_kind = Map::new();
    for (_, kind, action) in found {
        if let Value::Array(actions) = by_kind.entry(kind).or_insert_with(|| json!([])) {
            actions.push(action);
        }
    }
    Ok(Json(json!({"corporate_actions": by_kind, "next_page_token": next.map(query::token)})).into_response())
}

/// Every action of the market; splits are processed on their ex-date.
fn actions(market: &Market) -> Vec<Action> {
    let cusip = |symbol: &str| market.listing(symbol).map(crate::market::Listing::cusip).unwrap_or_default();
    let splits = market.splits().iter().map(|split| {
        let mut action = json!({
            "id": id::uuid(&format!("split {} {}", split.symbol, split.ex_date)),
            "symbol": split.symbol,
            "old_rate": split.from,
            "new_rate": split.to,
            "process_date": split.ex_date,
            "ex_date": split.ex_date,
            "record_date": split.ex_date - chrono::Days::new(7),
            "payable_date": split.ex_date - chrono::Days::new(1),
        });
        if split.to > split.from {
            action["cusip"] = cusip(&split.symbol).into();
            action["due_bill_redemption_date"] = json!(split.ex_date + chrono::Days::new(1));
            (split.ex_date, "forward_splits".to_owned(), action)
        } else {
            action["new_symbol"] = split.symbol.clone().into();
            action["old_cusip"] = "000000000".into();
            action["new_cusip"] = cusip(&split.symbol).into();
            (split.ex_date, "reverse_splits".to_owned(), action)
        }
    });
    let dividends = market.dividends().iter().map(|dividend| {
        let action = json!({
            "id": id::uuid(&format!("dividend {} {}", dividend.symbol, dividend.ex_date)),
            "symbol": dividend.symbol,
            "cusip": cusip(&dividend.symbol),
            "rate": dividend.amount.to_f64(),
            "special": dividend.special,
            "foreign": false,
            "process_date": dividend.paid(),
            "ex_date": dividend.ex_date,
            "record_date": dividend.ex_date,
            "payable_date": dividend.paid(),
        });
        (dividend.paid(), "cash_dividends".to_owned(), action)
    });
    let others = market.other_actions().iter().enumerate().map(|(number, other)| {
        let mut action = json!({
            "id": id::uuid(&format!("action {number} {}", other.kind)),
            "process_date": other.process_date,
        });
        for (name, value) in &other.fields {
            action[name] = value.clone();
        }
        (other.process_date, other.kind.clone(), action)
    });
    splits.chain(dividends).chain(others).collect()
}
