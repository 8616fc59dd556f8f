//! Facts about companies and listings, and news.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use projections::queries::{self, ArticleFilter, ArticleRow, FactRow, Part};
use serde::Serialize;
use utoipa::ToSchema;

use super::fields::{Asked, At, Field, Fields, Kind, SymbolName, Word, field};
use super::{Problem, Problems};
use crate::app::App;
use crate::pages::chart::symbol;
use crate::pages::orders::time;
use crate::pages::table::{ROWS, ROWS_MAX, turn};
use crate::view::{from_time, to_time};

/// Kinds of facts.
const KINDS: [&str; 6] = ["profile", "statistics", "statement", "holders", "analysts", "listing"];

const LIMIT: Field = field("limit", Kind::Whole(1, 200), "Rows of the part; 50 when it does not say");
const BEFORE: Field = field("before", Kind::Cursor, "Rows older than this: `older` of an earlier answer");
const AFTER: Field = field("after", Kind::Cursor, "Rows newer than this: `newer` of an earlier answer");

/// As of when.
#[derive(Debug)]
pub struct FactFields;

impl Fields for FactFields {
    const FIELDS: &'static [Field] =
        &[field("as_of", Kind::Time, "As it was known then: the end of a date, or an instant")];
}

/// What is known about a symbol.
#[derive(Debug, Serialize, ToSchema)]
pub struct Facts {
    /// Symbol.
    symbol: String,
    /// What each source stated last, by kind, source and part.
    facts: Vec<FactRow>,
}

/// What each source stated last about a symbol, now or as of a moment.
#[utoipa::path(get, path = "/api/v1/reference/{symbol}", tag = "reference", operation_id = "get_reference",
    params(SymbolName, Asked<FactFields>), responses((status = 200, body = Facts), Problems))]
pub async fn facts(
    State(app): State<Arc<App>>,
    At(Word(name)): At<Word>,
    asked: Asked<FactFields>,
) -> Result<Json<Facts>, Problem> {
    let symbol = symbol(&name)?;
    // The bound is the instant behind the last one that counts.
    let as_of_ns = time(&asked, "as_of", to_time)?.map(|ns| ns.saturating_sub(1));
    let facts = queries::facts(&app.config.pool, &symbol, as_of_ns).await?;
    Ok(Json(Facts { symbol, facts }))
}

/// Which part of the past.
#[derive(Debug)]
pub struct HistoryFields;

impl Fields for HistoryFields {
    const FIELDS: &'static [Field] =
        &[field("kind", Kind::Choice(&KINDS), "Kind of fact; by default all"), LIMIT, BEFORE, AFTER];
}

/// Everything that was ever stated about a symbol, what was stated last first.
#[utoipa::path(get, path = "/api/v1/reference/{symbol}/history", tag = "reference",
    operation_id = "list_reference_history", params(SymbolName, Asked<HistoryFields>),
    responses((status = 200, body = Part<FactRow>), Problems))]
pub async fn history(
    State(app): State<Arc<App>>,
    At(Word(name)): At<Word>,
    asked: Asked<HistoryFields>,
) -> Result<Json<Part<FactRow>>, Problem> {
    let symbol = symbol(&name)?;
    let limit = asked.number("limit", ROWS, ROWS_MAX)?;
    let pool = &app.config.pool;
    Ok(Json(queries::fact_history(pool, &symbol, asked.get("kind"), turn(&asked)?, limit).await?))
}

/// Which articles.
#[derive(Debug)]
pub struct NewsFields;

impl Fields for NewsFields {
    const FIELDS: &'static [Field] = &[
        field("symbol", Kind::Symbol, "Symbol; by default all"),
        field("source", Kind::Text(64), "Who told them, such as `alpaca`"),
        field("from", Kind::Time, "Known at this time or later"),
        field("to", Kind::Time, "Known up to and including this date or instant, in the text of then"),
        LIMIT,
        BEFORE,
        AFTER,
    ];
}

/// News with their sentiment, what became known last first.
#[utoipa::path(get, path = "/api/v1/news", tag = "reference", operation_id = "list_news",
    params(Asked<NewsFields>), responses((status = 200, body = Part<ArticleRow>), Problems))]
pub async fn news(
    State(app): State<Arc<App>>,
    asked: Asked<NewsFields>,
) -> Result<Json<Part<ArticleRow>>, Problem> {
    let filter = ArticleFilter {
        symbol: asked.get("symbol").map(symbol).transpose()?,
        source: asked.owned("source"),
        from_ns: time(&asked, "from", from_time)?,
        to_ns: time(&asked, "to", to_time)?,
    };
    let limit = asked.number("limit", ROWS, ROWS_MAX)?;
    Ok(Json(queries::articles(&app.config.pool, &filter, turn(&asked)?, limit).await?))
}
