//! Signals held against later prices: one strategy, and two beside each other.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::performance::SignalScore;
use projections::queries::{self, StrategyRow, StrategyScore};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::fields::{Asked, At, NoFields};
use crate::api::{Problem, Problems};
use crate::app::App;
use crate::error::PageError;
use crate::pages::strategies::missing;

/// Forward returns over a number of bars.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignalHorizon)]
pub struct Horizon {
    /// Bars.
    bars: u64,
    /// Entries that are so old.
    entries: u64,
    /// Share of them that went the right way, from 0 to 1; null without any.
    hit_rate: Option<f64>,
    /// Their mean return in the direction of the entry: 0.01 is one per cent.
    mean_return: Option<f64>,
}

/// What a strategy's signals come to against later prices, as if nobody had traded them. A signal's price is the open of
/// the next bar; splits are counted, dividends and costs are not; every signal weighs the same.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignalScore)]
pub struct Score {
    /// Strategy.
    strategy: String,
    /// `removed`, `disabled`, or the mode that it is enabled in.
    state: String,
    /// Legs of its newest signals, at most 5,000 signals.
    signals: u64,
    /// Those that want a position.
    entries: u64,
    /// Those after which no bar has come yet.
    waiting: u64,
    /// Trips that have ended: from an entry to the next exit or turn in the same symbol.
    trips: u64,
    /// Those that gained.
    trips_won: u64,
    /// `trips_won` / `trips`; null without any.
    hit_rate: Option<f64>,
    /// Mean return of a trip.
    mean_return: Option<f64>,
    /// Sum of the trips' returns.
    total_return: Option<f64>,
    /// Lowest return of a trip.
    worst: Option<f64>,
    /// Highest return of a trip.
    best: Option<f64>,
    /// Trips that go on.
    open: u64,
    /// Their mean return at the last close.
    open_return: Option<f64>,
    /// Forward returns of the entries.
    horizons: Vec<Horizon>,
}

/// Two strategies beside each other.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StrategyComparison)]
pub struct Comparison {
    /// Both, in the order asked for.
    strategies: Vec<Score>,
    /// From when signals are matched: the later one's first signal, UTC nanoseconds.
    from_ns: Option<i64>,
    /// Signals that both gave: the same time, symbols and intents.
    both: u64,
    /// Signals of the first alone.
    first_only: u64,
    /// Signals of the second alone.
    second_only: u64,
}

impl Score {
    fn of(found: StrategyScore) -> Self {
        let StrategyScore { strategy, state, score } = found;
        let number = |value: usize| value as u64;
        let SignalScore { hit_rate, mean_return, total_return, worst, best, open_return, .. } = score;
        let horizon = |one: domain::performance::Horizon| Horizon {
            bars: number(one.bars),
            entries: number(one.entries),
            hit_rate: one.hit_rate,
            mean_return: one.mean_return,
        };
        Self {
            strategy,
            state,
            signals: number(score.signals),
            entries: number(score.entries),
            waiting: number(score.waiting),
            trips: number(score.trips),
            trips_won: number(score.trips_won),
            hit_rate,
            mean_return,
            total_return,
            worst,
            best,
            open: number(score.open),
            open_return,
            horizons: score.horizons.into_iter().map(horizon).collect(),
        }
    }
}

async fn row(app: &App, name: &str) -> Result<StrategyRow, PageError> {
    let rows = queries::strategies(&app.config.pool).await?;
    rows.into_iter().find(|row| row.strategy == name).ok_or_else(|| missing(name))
}

/// A strategy's signals against later prices.
#[utoipa::path(get, path = "/api/v1/strategies/{name}/score", tag = "strategies", operation_id = "score_strategy",
    params(("name" = String, Path, description = "Strategy's name")),
    responses((status = 200, body = Score), Problems))]
pub async fn score(
    State(app): State<Arc<App>>,
    At(name): At<String>,
    _: Asked<NoFields>,
) -> Result<Json<Score>, Problem> {
    let row = row(&app, &name).await?;
    let found = queries::signal_score(&app.config.pool, &row).await.map_err(PageError::from)?;
    Ok(Json(Score::of(found)))
}

/// Two strategies beside each other: their scores, and which signals both gave.
#[utoipa::path(get, path = "/api/v1/strategies/{name}/compare/{other}", tag = "strategies",
    operation_id = "compare_strategies",
    params(("name" = String, Path, description = "One strategy"), ("other" = String, Path, description = "The other")),
    responses((status = 200, body = Comparison), Problems))]
pub async fn compare(
    State(app): State<Arc<App>>,
    At((name, other)): At<(String, String)>,
    _: Asked<NoFields>,
) -> Result<Json<Comparison>, Problem> {
    let (first, second) = (row(&app, &name).await?, row(&app, &other).await?);
    let found = queries::compare_signals(&app.config.pool, &first, &second).await.map_err(PageError::from)?;
    Ok(Json(Comparison {
        strategies: found.strategies.into_iter().map(Score::of).collect(),
        from_ns: found.from_ns,
        both: found.both,
        first_only: found.first_only,
        second_only: found.second_only,
    }))
}
