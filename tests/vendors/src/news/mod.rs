//! NewsAPI: everything, top headlines, sources.
//!
//! Articles are a day late, a month old at most, and only the first hundred of a query can be read, as on the
//! plan for developers; [`crate::Settings`] changes each.
//!
//! Deliberately absent: the search language (words are looked for one by one), domains' real names.

use std::sync::Arc;

use axum::extract::{Query as Asked, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde_json::{Value, json};

use crate::calendar::MINUTE;
use crate::market::Article;
use crate::query::{self, Parameters, Query};
use crate::stand::Stand;
use crate::wire;

/// Nanoseconds of an hour.
const HOUR: i64 = 60 * MINUTE;
/// Characters of a text that are shown.
const CONTENT_MAX: usize = 200;
/// The publishers.
const SOURCES: [(&str, &str); 2] = [("benzinga", "Benzinga"), ("example-news", "Example News")];

/// Every path.
pub fn routes() -> Router<Arc<Stand>> {
    Router::new()
        .route("/v2/everything", get(everything))
        .route("/v2/top-headlines", get(headlines))
        .route("/v2/top-headlines/sources", get(sources))
        .route("/v2/sources", get(sources))
        .layer(middleware::from_fn(known))
}

fn refuse(status: u16, code: &str, message: impl Into<String>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(json!({"status": "error", "code": code, "message": message.into()}))).into_response()
}

/// The key that a request brings, in one of three places.
fn key_of(request: &Request) -> Option<String> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let given = header("x-api-key").or_else(|| header("authorization"));
    if let Some(key) = given {
        return Some(key.trim_start_matches("Bearer ").to_owned());
    }
    let query: Query = Asked::try_from_uri(request.uri()).ok()?;
    query.0.get("apiKey").map(str::to_owned)
}

/// Lets pass who sends the right key.
async fn known(Extension(stand): Extension<Arc<Stand>>, request: Request, next: Next) -> Response {
    match key_of(&request).as_deref() {
        Some(key) if stand.knows(key) => next.run(request).await,
        Some(_) => refuse(
            401,
            "apiKeyInvalid",
            "Your API key is invalid or incorrect. Check your key, or go to https://newsapi.org to create a free \
             API key.",
        ),
        None => refuse(
            401,
            "apiKeyMissing",
            "Your API key is missing. Append this to the URL with the apiKey param, or use the x-api-key HTTP \
             header.",
        ),
    }
}

fn shape(article: &Article) -> Value {
    let name = SOURCES.iter().find(|(id, _)| *id == article.source).map(|(_, name)| *name);
    let long = article.content.chars().count();
    let content = if long > CONTENT_MAX {
        let shown: String = article.content.chars().take(CONTENT_MAX).collect();
        format!("{shown}… [+{} chars]", long - CONTENT_MAX)
    } else {
        article.content.clone()
    };
    let filled = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
    json!({
        "source": {"id": name.map(|_| article.source.as_str()), "name": name.unwrap_or(&article.source)},
        "author": filled(&article.author),
        "title": article.headline,
        "description": filled(&article.summary),
        "url": article.url,
        "urlToImage": null,
        "publishedAt": wire::rfc3339(article.created_ns / crate::calendar::SECOND * crate::calendar::SECOND),
        "content": filled(&content),
    })
}

/// Whether every word of a query is in an article.
fn is_about(article: &Article, words: &str) -> bool {
    let text = format!("{} {} {}", article.headline, article.summary, article.content).to_lowercase();
    let mut words = words.split_whitespace().filter(|word| !["AND", "OR", "NOT"].contains(word));
    words.all(|word| text.contains(&word.trim_matches(['"', '(', ')', '+']).to_lowercase()))
}

fn paged(stand: &Stand, found: &[&Article], query: &Parameters) -> Response {
    let settings = stand.settings().news;
    let (size, page) = match (query.number("pageSize", 100), query.number("page", 1)) {
        (Ok(size), Ok(page)) if (1..=100).contains(&size) && page > 0 => (size, page),
        _ => return refuse(400, "parameterInvalid", "pageSize must be between 1 and 100."),
    };
    let offset = (page - 1) * size;
    if offset + size > settings.results_max.max(size) {
        let message = format!(
            "You have requested too many results. Developer accounts are limited to a max of {} results. You are \
             trying to request results {offset} to {}. Please upgrade to a paid plan if you need more results.",
            settings.results_max,
            offset + size
        );
        return refuse(426, "maximumResultsReached", message);
    }
    let (rows, _) = query::page(found.to_vec(), offset, size);
    let rows: Vec<Value> = rows.into_iter().map(shape).collect();
    Json(json!({"status": "ok", "totalResults": found.len(), "articles": rows})).into_response()
}

/// `/v2/everything`
async fn everything(State(stand): State<Arc<Stand>>, Asked(query): Query) -> Response {
    if !["q", "qInTitle", "qintitle", "sources", "domains"].iter().any(|name| query.get(name).is_some()) {
        return refuse(
            400,
            "parametersMissing",
            "Required parameters are missing, the scope of your search is too broad. Please set any of the \
             following required parameters and try again: q, qInTitle, sources, domains.",
        );
    }
    if query.get("q").is_some_and(|words| words.len() > 500) {
        return refuse(400, "parameterInvalid", "q is longer than 500 characters.");
    }
    let sources = query.list("sources");
    if sources.len() > 20 {
        return refuse(400, "sourcesTooMany", "You have requested too many sources in a single request.");
    }
    if let Some(source) = sources.iter().find(|wanted| SOURCES.iter().all(|(id, _)| id != wanted)) {
        return refuse(400, "sourceDoesNotExist", format!("The source {source} does not exist."));
    }
    let (Ok(from_ns), Ok(to_ns)) = (query.moment("from"), query.moment("to")) else {
        return refuse(400, "parameterInvalid", "The from or to parameter is not a date.");
    };
    let settings = stand.settings().news;
    let now_ns = stand.market(|market| market.now_ns());
    let oldest_ns = now_ns - settings.days_back * 24 * HOUR;
    if from_ns.is_some_and(|from_ns| from_ns < oldest_ns) {
        let message = format!(
            "You are trying to request results too far in the past. Your plan permits you to request articles as \
             far back as {}, but you have requested {}. You may need to upgrade to a paid plan.",
            crate::calendar::date_of(oldest_ns),
            query.get("from").unwrap_or_default()
        );
        return refuse(426, "parameterInvalid", message);
    }
    let newest_ns = now_ns - settings.delay_hours * HOUR;
    stand.market(|market| {
        let mut found = market.articles();
        found.retain(|article| {
            article.created_ns <= newest_ns
                && article.created_ns >= from_ns.unwrap_or(oldest_ns)
                && to_ns.is_none_or(|to_ns| article.created_ns <= to_ns)
                && query.get("q").is_none_or(|words| is_about(article, words))
                && (sources.is_empty() || sources.contains(&article.source))
        });
        found.reverse();
        paged(&stand, &found, &query)
    })
}

/// `/v2/top-headlines`
async fn headlines(State(stand): State<Arc<Stand>>, Asked(query): Query) -> Response {
    let sources = query.list("sources");
    if !sources.is_empty() && (query.get("country").is_some() || query.get("category").is_some()) {
        return refuse(
            400,
            "parametersIncompatible",
            "You cannot mix the sources parameter with the country or category parameters.",
        );
    }
    stand.market(|market| {
        let mut found = market.articles();
        found.retain(|article| {
            query.get("q").is_none_or(|words| is_about(article, words))
                && (sources.is_empty() || sources.contains(&article.source))
        });
        found.reverse();
        found.truncate(38);
        paged(&stand, &found, &query)
    })
}

/// `/v2/top-headlines/sources`
async fn sources() -> Json<Value> {
    let rows: Vec<Value> = SOURCES
        .iter()
        .map(|(id, name)| {
            json!({
                "id": id,
                "name": name,
                "description": format!("{name} tells what moves markets."),
                "url": "https://news.example",
                "category": "business",
                "language": "en",
                "country": "us",
            })
        })
        .collect();
    Json(json!({"status": "ok", "sources": rows}))
}
