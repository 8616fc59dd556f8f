//! The universe: groups of symbols of the configuration, and whether their symbols are listed and told of.

use askama::Template;
use projections::queries::SymbolStanding;

use super::UNIVERSE;
use crate::api::universe::{Group, grouped, groups, standings};
use crate::app::App;
use crate::error::PageError;
use crate::pages::{Body, Rendering, Scope, Shown};
use crate::url::Url;
use crate::view::Instant;

/// Symbols that are shown at most, those that have ended first; the API and `tapedeck universe check` have all.
const SHOWN: usize = 200;

#[derive(Clone, Debug)]
struct Row {
    url: String,
    badge: &'static str,
    last: Option<Instant>,
    since: String,
    standing: SymbolStanding,
}

#[derive(Clone, Debug)]
struct Told {
    groups: Vec<Group>,
    rows: Vec<Row>,
    /// Symbols that are not shown.
    more: usize,
}

#[derive(Template)]
#[template(path = "system/universe.html")]
struct UniversePanel {
    v: u64,
    body: Body<Told>,
}

/// Every group, and the symbols of all.
pub async fn table(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &UNIVERSE, read(scope.app)).await;
    UniversePanel { v: scope.version, body }.render()
}

async fn read(app: &App) -> Result<Option<Told>, PageError> {
    let groups = groups(app);
    if groups.is_empty() {
        return Ok(None);
    }
    let mut rows: Vec<Row> = standings(app, &grouped(app)).await?.into_iter().map(Row::of).collect();
    // What somebody may have to do something about stands first.
    rows.sort_by_key(|row| rank(row.standing.state));
    let more = rows.len().saturating_sub(SHOWN);
    rows.truncate(SHOWN);
    Ok(Some(Told { groups, rows, more }))
}

fn rank(state: &str) -> u8 {
    match state {
        "delisted" => 0,
        "stale" => 1,
        "unknown" => 2,
        _ => 3,
    }
}

impl Row {
    fn of(standing: SymbolStanding) -> Self {
        let badge = match standing.state {
            "delisted" => "badge-loss",
            "stale" | "unknown" => "badge-warn",
            "listed" => "badge-gain",
            _ => "badge-flat",
        };
        Self {
            url: Url::Symbol(&standing.symbol).to_string(),
            badge,
            last: standing.last_close_ns.map(Instant),
            since: standing.sessions_since.map_or_else(|| "–".to_owned(), |since| since.to_string()),
            standing,
        }
    }
}
