//! The universe: groups of symbols of the configuration, and whether symbols are listed and told of.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use projections::queries::{self, Standard, SymbolStanding};
use serde::Serialize;
use utoipa::ToSchema;

use super::backtests::terms::expanded;
use super::fields::{Asked, Field, Fields, Kind, field, symbol};
use super::{Problem, Problems};
use crate::app::App;
use crate::error::PageError;
use crate::pages::overview::market_now;

/// A group of symbols of the configuration.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = SymbolGroup)]
pub struct Group {
    /// Name; `@` before it wherever symbols are listed.
    pub name: String,
    /// Its symbols, those of the groups within it among them, each once.
    pub symbols: Vec<String>,
}

/// Groups, and symbols.
#[derive(Debug, Serialize, ToSchema)]
pub struct Universe {
    /// Every group, by name.
    groups: Vec<Group>,
    /// The symbols asked for, or those of every group, each once.
    symbols: Vec<SymbolStanding>,
}

/// Which symbols.
#[derive(Debug)]
pub struct UniverseFields;

impl Fields for UniverseFields {
    const FIELDS: &'static [Field] = &[field(
        "symbols",
        Kind::Symbols,
        "Symbols and groups such as `@tech`, with commas between; by default those of every group",
    )];
}

/// Groups of symbols, and of each symbol whether it is listed and has bars of late.
#[utoipa::path(get, path = "/api/v1/universe", tag = "market", operation_id = "get_universe",
    params(Asked<UniverseFields>), responses((status = 200, body = Universe), Problems))]
pub async fn universe(
    State(app): State<Arc<App>>,
    asked: Asked<UniverseFields>,
) -> Result<Json<Universe>, Problem> {
    let symbols = match asked.get("symbols") {
        Some(text) => listed(&app, text)?,
        None => grouped(&app),
    };
    Ok(Json(Universe { groups: groups(&app), symbols: standings(&app, &symbols).await? }))
}

/// Every group of the configuration, by name.
pub fn groups(app: &App) -> Vec<Group> {
    let groups = app.config.universe.iter();
    groups.map(|(name, symbols)| Group { name: name.clone(), symbols: symbols.clone() }).collect()
}

/// The symbols of every group, in their order.
pub fn grouped(app: &App) -> Vec<String> {
    once(app.config.universe.values().flatten().cloned())
}

/// What the read models have of symbols now: where a market of the past is played, now is where it stands.
pub async fn standings(app: &App, symbols: &[String]) -> Result<Vec<SymbolStanding>, PageError> {
    let standard = Standard {
        calendar: app.config.calendar,
        now_ns: market_now(app).await?.unwrap_or_else(runtime::now_ns),
        stale_sessions: app.config.stale_sessions,
    };
    Ok(queries::standings(&app.config.pool, symbols, standard).await?)
}

fn listed(app: &App, text: &str) -> Result<Vec<String>, PageError> {
    let entries: Vec<String> = text.split(',').map(|entry| entry.trim().to_owned()).collect();
    let is_unknown =
        |entry: &&String| entry.strip_prefix('@').is_some_and(|name| !app.config.universe.contains_key(name));
    if let Some(group) = entries.iter().find(is_unknown) {
        return Err(PageError::Missing(format!("group {group}")));
    }
    let symbols = expanded(&app.config.universe, &entries)?;
    let symbols: Result<Vec<String>, PageError> =
        symbols.iter().map(|text| symbol("symbols", text)).collect();
    Ok(once(symbols?.into_iter()))
}

/// Each symbol once, where it stands first.
fn once(symbols: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    symbols.filter(|symbol| seen.insert(symbol.clone())).collect()
}
