//! The palette (`Ctrl+K`): pages and symbols by name.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use projections::queries;
use serde::Serialize;

use super::Page;
use crate::app::App;
use crate::error::PageError;
use crate::url::Url;

/// One place to go.
#[derive(Debug, Serialize)]
pub struct Place {
    title: String,
    /// What kind of place it is, or the keys that lead there.
    hint: String,
    url: String,
}

/// `GET /palette.json`: every page and every symbol that has bars, in order.
pub async fn palette(State(app): State<Arc<App>>) -> Result<Json<Vec<Place>>, PageError> {
    let series =
        queries::series(&app.config.pool).await.map_err(|error| PageError::ReadModel(error.to_string()))?;
    let mut symbols: Vec<String> = series.into_iter().map(|series| series.symbol).collect();
    symbols.sort();
    symbols.dedup();
    let pages = Page::ALL.iter().map(|page| Place {
        title: page.title.to_owned(),
        hint: format!("g {}", page.key),
        url: page.url.to_string(),
    });
    let symbols = symbols.iter().map(|symbol| Place {
        title: symbol.clone(),
        hint: "symbol".to_owned(),
        url: Url::Symbol(symbol).to_string(),
    });
    Ok(Json(pages.chain(symbols).collect()))
}
