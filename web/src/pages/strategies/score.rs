//! Signals held against later prices: one strategy, and another one beside it, for example its next version.
//!
//! Computed when it is asked for and not pushed: a score is looked at, not watched.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use domain::performance::SignalScore;
use projections::queries::{self, StrategyRow, StrategyScore};

use super::detail::missing;
use super::{PAGE, barred};
use crate::app::App;
use crate::error::PageError;
use crate::pages::{Layout, Params, Visit};
use crate::url::Url;
use crate::view::Instant;

/// One line of the table: a figure of one or two strategies.
struct Line {
    name: String,
    values: Vec<String>,
}

/// Which signals both gave.
struct Shared {
    since: Option<Instant>,
    both: u64,
    first_only: u64,
    second_only: u64,
}

#[derive(Template)]
#[template(path = "strategies/score.html")]
struct ScorePage<'a> {
    layout: Layout<'a>,
    name: String,
    url: String,
    /// The other one; empty without.
    other: String,
    others: Vec<String>,
    names: Vec<String>,
    lines: Vec<Line>,
    shared: Option<Shared>,
    barred: String,
    replace_url: String,
}

/// `GET /strategies/{name}/score?with=OTHER`
pub async fn page(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let pool = &app.config.pool;
    let rows = queries::strategies(pool).await?;
    let of = |name: &str| -> Result<&StrategyRow, PageError> {
        rows.iter().find(|row| row.strategy == name).ok_or_else(|| missing(name))
    };
    let own = of(&name)?;
    let other = params.get("with").unwrap_or_default().to_owned();
    let (scores, shared) = if other.is_empty() || other == name {
        (vec![queries::signal_score(pool, own).await?], None)
    } else {
        let found = queries::compare_signals(pool, own, of(&other)?).await?;
        let shared = Shared {
            since: found.from_ns.map(Instant),
            both: found.both,
            first_only: found.first_only,
            second_only: found.second_only,
        };
        (found.strategies.into(), Some(shared))
    };
    let visit = Visit::begin(&app, &PAGE, &params, &headers).await?;
    let scope = &visit.scope();
    let html = ScorePage {
        layout: visit.layout(scope, &[]).await?,
        url: Url::Strategy(&name).to_string(),
        others: rows.iter().filter(|row| row.strategy != name).map(|row| row.strategy.clone()).collect(),
        names: scores.iter().map(|score| score.strategy.clone()).collect(),
        lines: lines(&scores),
        barred: if shared.is_some() { barred(&app, &headers) } else { String::new() },
        replace_url: Url::StrategyReplace(&name).to_string(),
        shared,
        other,
        name,
    };
    visit.respond(html.render())
}

fn lines(scores: &[StrategyScore]) -> Vec<Line> {
    let columns: Vec<Vec<(String, String)>> = scores.iter().map(facts).collect();
    let names = columns.first().into_iter().flatten().enumerate();
    names
        .map(|(place, (name, _))| Line {
            name: name.clone(),
            values: columns
                .iter()
                .filter_map(|column| column.get(place))
                .map(|fact| fact.1.clone())
                .collect(),
        })
        .collect()
}

fn facts(found: &StrategyScore) -> Vec<(String, String)> {
    let score: &SignalScore = &found.score;
    let mut facts: Vec<(String, String)> = [
        ("State", found.state.clone()),
        ("Signals", score.signals.to_string()),
        ("Entries", score.entries.to_string()),
        ("No bar since", score.waiting.to_string()),
        ("Trips ended", score.trips.to_string()),
        ("Hit rate", percent(score.hit_rate)),
        ("Mean return", percent(score.mean_return)),
        ("Sum of returns", percent(score.total_return)),
        ("Worst", percent(score.worst)),
        ("Best", percent(score.best)),
        ("Trips open", score.open.to_string()),
        ("Return of those", percent(score.open_return)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    for horizon in &score.horizons {
        let value = format!("{} ({} right)", percent(horizon.mean_return), percent(horizon.hit_rate));
        facts.push((format!("After {} bars", horizon.bars), value));
    }
    facts
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.2} %", share * 100.0))
}
