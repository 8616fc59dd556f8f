//! Tickers, splits, dividends, news, holidays.

use std::sync::Arc;

use axum::extract::{Extension, Path, Query as Asked, State};
use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use serde_json::{Value, json};

use super::{Base, fits, missing, paged, request_id};
use crate::calendar;
use crate::id;
use crate::market::{Listing, Market, dollars};
use crate::query::{Parameters, Query};
use crate::stand::Stand;
use crate::wire;

/// Rows of reference data when nothing is said, and at most.
const TICKERS: (usize, usize) = (100, 1_000);
const ACTIONS: (usize, usize) = (10, 1_000);

fn row(listing: &Listing, on: NaiveDate) -> Value {
    let active = listing.is_listed_on(on);
    let mut row = json!({
        "ticker": listing.symbol,
        "name": listing.name,
        "market": "stocks",
        "locale": "us",
        "primary_exchange": listing.mic(),
        "type": listing.kind,
        "active": active,
        "currency_name": "usd",
        "cik": listing.cik(),
        "composite_figi": listing.figi("composite"),
        "share_class_figi": listing.figi("class"),
        "last_updated_utc": "2026-01-05T00:00:00Z",
    });
    if let Some(date) = listing.delisted.filter(|_| !active) {
        row["delisted_utc"] = format!("{date}T00:00:00Z").into();
    }
    row
}

/// `/v3/reference/tickers`
pub async fn tickers(
    State(stand): State<Arc<Stand>>,
    Asked(query): Query,
    Extension(base): Extension<Base>,
) -> Response {
    let active = query.flag("active", true);
    let mut rows: Vec<Value> = stand.market(|market| {
        let on = query.date("date").unwrap_or_else(|| calendar::date_of(market.now_ns()));
        let known = market.listings().filter(|listing| listing.listed <= on);
        known.map(|listing| row(listing, on)).collect()
    });
    let search = query.get("search").map(str::to_lowercase);
    rows.retain(|row| {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let same = |name: &str, field: &str| query.get(name).is_none_or(|wanted| row[field] == wanted);
        row["active"] == active
            && fits(&query, "ticker", &text("ticker"))
            && same("type", "type")
            && same("market", "market")
            && same("exchange", "primary_exchange")
            && same("cik", "cik")
            && search.as_ref().is_none_or(|search| {
                text("ticker").to_lowercase().contains(search) || text("name").to_lowercase().contains(search)
            })
    });
    if query.get("order") == Some("desc") {
        rows.reverse();
    }
    paged(rows, "/v3/reference/tickers", &query, TICKERS, &base)
}

/// `/v3/reference/tickers/{ticker}`
pub async fn ticker(
    State(stand): State<Arc<Stand>>,
    Path(ticker): Path<String>,
    Asked(query): Query,
) -> Response {
    let found = stand.market(|market| {
        let on = query.date("date").unwrap_or_else(|| calendar::date_of(market.now_ns()));
        let listing = market.listing(&ticker).filter(|listing| listing.listed <= on)?;
        let mut row = row(listing, on);
        let last = market.last_trade(&ticker).map_or(listing.price, |trade| dollars(trade.price));
        row["market_cap"] = (last * listing.shares as f64).into();
        row["description"] = listing.description.clone().into();
        row["homepage_url"] = format!("https://{}.example", ticker.to_lowercase()).into();
        row["phone_number"] = "555-0100".into();
        row["list_date"] = json!(listing.listed);
        row["sic_code"] = "3571".into();
        row["sic_description"] = "ELECTRONIC COMPUTERS".into();
        row["total_employees"] = listing.employees.into();
        row["share_class_shares_outstanding"] = listing.shares.into();
        row["weighted_shares_outstanding"] = listing.shares.into();
        row["round_lot"] = 100.into();
        row["ticker_root"] = ticker.split('.').next().into();
        row["address"] = json!({
            "address1": "1 Test Road", "city": "Springfield", "state": "CA", "postal_code": "95014",
        });
        row["branding"] = json!({
            "logo_url": "https://api.example/logo.svg", "icon_url": "https://api.example/icon.png",
        });
        Some(row)
    });
    match found {
        Some(row) => {
            axum::Json(json!({"status": "OK", "request_id": request_id(), "results": row})).into_response()
        }
        None => missing("Ticker not found."),
    }
}

/// Sorts by a date, newest first unless asked otherwise.
fn by_date(mut rows: Vec<Value>, date: &str, query: &Parameters) -> Vec<Value> {
    rows.sort_by_key(|row| (row[date].to_string(), row["ticker"].to_string()));
    let ascending =
        query.get("order") == Some("asc") || query.get("sort").is_some_and(|sort| sort.ends_with(".asc"));
    if !ascending {
        rows.reverse();
    }
    rows
}

fn split_rows(market: &Market) -> Vec<Value> {
    let rows = market.splits().iter().map(|split| {
        json!({
            "id": id::uuid(&format!("massive split {} {}", split.symbol, split.ex_date)),
            "ticker": split.symbol,
            "execution_date": split.ex_date,
            "split_from": split.from,
            "split_to": split.to,
        })
    });
    rows.collect()
}

fn dividend_rows(market: &Market) -> Vec<Value> {
    let rows = market.dividends().iter().map(|dividend| {
        json!({
            "id": id::uuid(&format!("massive dividend {} {}", dividend.symbol, dividend.ex_date)),
            "ticker": dividend.symbol,
            "cash_amount": dividend.amount.to_f64(),
            "currency": "USD",
            "declaration_date": dividend.declared(),
            "ex_dividend_date": dividend.ex_date,
            "record_date": dividend.ex_date,
            "pay_date": dividend.paid(),
            "frequency": if dividend.special { 0 } else { 4 },
            "dividend_type": if dividend.special { "SC" } else { "CD" },
        })
    });
    rows.collect()
}

fn retain(rows: &mut Vec<Value>, query: &Parameters, names: &[&str]) {
    rows.retain(|row| names.iter().all(|name| fits(query, name, row[name].as_str().unwrap_or_default())));
}

/// `/v3/reference/splits`
pub async fn splits(
    State(stand): State<Arc<Stand>>,
    Asked(query): Query,
    Extension(base): Extension<Base>,
) -> Response {
    let mut rows = stand.market(|market| split_rows(market));
    retain(&mut rows, &query, &["ticker", "execution_date"]);
    paged(by_date(rows, "execution_date", &query), "/v3/reference/splits", &query, ACTIONS, &base)
}

/// `/v3/reference/dividends`
pub async fn dividends(
    State(stand): State<Arc<Stand>>,
    Asked(query): Query,
    Extension(base): Extension<Base>,
) -> Response {
    let mut rows = stand.market(|market| dividend_rows(market));
    retain(&mut rows, &query, &["ticker", "ex_dividend_date", "declaration_date", "record_date", "pay_date"]);
    paged(by_date(rows, "ex_dividend_date", &query), "/v3/reference/dividends", &query, ACTIONS, &base)
}

/// `/stocks/v1/splits`
pub async fn stock_splits(
    State(stand): State<Arc<Stand>>,
    Asked(query): Query,
    Extension(base): Extension<Base>,
) -> Response {
    let mut rows = stand.market(|market| {
        let mut rows = split_rows(market);
        for row in &mut rows {
            let (from, to) =
                (row["split_from"].as_f64().unwrap_or(1.0), row["split_to"].as_f64().unwrap_or(1.0));
            row["adjustment_type"] = if to > from { "forward_split" } else { "reverse_split" }.into();
            row["historical_adjustment_factor"] = (from / to).into();
        }
        rows
    });
    retain(&mut rows, &query, &["ticker", "execution_date", "adjustment_type"]);
    paged(by_date(rows, "execution_date", &query), "/stocks/v1/splits", &query, (100, 5_000), &base)
}

/// `/stocks/v1/dividends`
pub async fn stock_dividends(
    State(stand): State<Arc<Stand>>,
    Asked(query): Query,
    Extension(base): Extension<Base>,
) -> Response {
    let mut rows = stand.market(|market| {
        let mut rows = dividend_rows(market);
        for (row, dividend) in rows.iter_mut().zip(market.dividends()) {
            let before = calendar::before(dividend.ex_date).map_or(dividend.ex_date, |session| session.date);
            let amount = crate::market::ten_thousandths(dividend.amount.to_f64());
            let adjusted = market.in_terms_of_today(&dividend.symbol, before, amount);
            row["distribution_type"] = if dividend.special { "special" } else { "recurring" }.into();
            row["split_adjusted_cash_amount"] = dollars(adjusted).into();
            row["historical_adjustment_factor"] = market.dividend_factor(&dividend.symbol, before).into();
        }
        rows
    });
    retain(&mut rows, &query, &["ticker", "ex_dividend_date", "distribution_type"]);
    paged(by_date(rows, "ex_dividend_date", &query), "/stocks/v1/dividends", &query, (100, 5_000), &base)
}

/// `/v2/reference/news`
pub async fn news(
    State(stand): State<Arc<Stand>>,
    Asked(query): Query,
    Extension(base): Extension<Base>,
) -> Response {
    let rows: Vec<Value> = stand.market(|market| {
        let wanted = query.get("ticker");
        let told = market.articles().into_iter().filter(|article| {
            wanted.is_none_or(|ticker| article.symbols.iter().any(|symbol| symbol == ticker))
        });
        let row = |article: &crate::market::Article| {
            json!({
                "id": id::uuid(&format!("article {}", article.id)),
                "publisher": {
                    "name": article.source,
                    "homepage_url": "https://news.example",
                    "logo_url": "https://news.example/logo.svg",
                    "favicon_url": "https://news.example/favicon.ico",
                },
                "title": article.headline,
                "author": article.author,
                "published_utc": wire::rfc3339(article.created_ns),
                "article_url": article.url,
                "tickers": article.symbols,
                "image_url": format!("{}/large.jpg", article.url),
                "description": article.summary,
                "keywords": ["markets"],
            })
        };
        told.map(row).collect()
    });
    let mut rows = rows;
    retain(&mut rows, &query, &["published_utc"]);
    if query.get("order") != Some("asc") {
        rows.reverse();
    }
    paged(rows, "/v2/reference/news", &query, (10, 1_000), &base)
}

/// `/v1/marketstatus/upcoming`, which looks forward only.
pub async fn upcoming(State(stand): State<Arc<Stand>>) -> Response {
    let today = calendar::date_of(stand.market(|market| market.now_ns()));
    let utc = |at_ns: i64| {
        chrono::DateTime::from_timestamp_nanos(at_ns).format("%Y-%m-%dT%H:%M:%S.000Z").to_string()
    };
    let rows = calendar::special_days(today).take(12).flat_map(|(date, session)| {
        ["NYSE", "NASDAQ", "OTC"].map(|exchange| match session {
            None => json!({"date": date, "exchange": exchange, "name": "Holiday", "status": "closed"}),
            Some(session) => json!({
                "date": date,
                "exchange": exchange,
                "name": "Shortened day",
                "status": "early-close",
                "open": utc(session.open_ns),
                "close": utc(session.close_ns),
            }),
        })
    });
    axum::Json(rows.collect::<Vec<_>>()).into_response()
}

/// `/v1/marketstatus/now`
pub async fn status(State(stand): State<Arc<Stand>>) -> Response {
    let now_ns = stand.market(|market| market.now_ns());
    let date = calendar::date_of(now_ns);
    let open = calendar::open_at(now_ns).is_some();
    let trading = |from, to| {
        calendar::session(date).is_some()
            && (calendar::at(date, from, 0)..calendar::at(date, to, 0)).contains(&now_ns)
    };
    let extended = trading(4, 20) && !open;
    let state = if open {
        "open"
    } else if extended {
        "extended-hours"
    } else {
        "closed"
    };
    axum::Json(json!({
        "afterHours": extended && trading(13, 20),
        "earlyHours": extended && !trading(13, 20),
        "market": state,
        "serverTime": calendar::new_york(now_ns).to_rfc3339(),
        "exchanges": {"nasdaq": state, "nyse": state, "otc": state},
        "currencies": {"crypto": "open", "fx": "open"},
    }))
    .into_response()
}
