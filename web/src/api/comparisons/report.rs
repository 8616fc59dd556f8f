//! What a parity or a fork came to, as a document and as files.

use std::sync::Arc;

use analytics::Comparison;
use analytics::comparison::OrderSide;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use projections::queries;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::backtests::report::short;
use super::super::fields::{Asked, At, ComparisonId, NoFields, Word};
use super::super::{Problem, Problems};
use super::found;
use crate::app::App;
use crate::error::PageError;
use crate::pages::csv;
use crate::view::Instant;

/// Columns of the orders.
const ORDERS: [&str; 20] = [
    "time",
    "account",
    "strategy",
    "symbol",
    "verdict",
    "signal_id",
    "recorded_order_id",
    "recorded_order",
    "recorded_status",
    "recorded_filled",
    "recorded_average_price",
    "recorded_fees",
    "derived_order_id",
    "derived_order",
    "derived_status",
    "derived_filled",
    "derived_average_price",
    "derived_fees",
    "chain_of",
    "terms",
];
/// Columns of the events.
const EVENTS: [&str; 7] = ["time", "event", "verdict", "recorded", "derived", "event_id", "chain_of"];

/// What a parity or a fork came to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ComparisonReport)]
pub struct Reported {
    /// Id.
    run_id: String,
    /// First difference, order by order, event by event, equity and fills of both sides.
    #[schema(value_type = Object)]
    comparison: Comparison,
}

/// The comparison: the first difference, order by order, event by event, equity and fills of both sides.
#[utoipa::path(get, path = "/api/v1/comparisons/{id}/report", tag = "research",
    operation_id = "get_comparison_report",
    params(ComparisonId), responses((status = 200, body = Reported), Problems))]
pub async fn whole(
    State(app): State<Arc<App>>,
    At(Word(id)): At<Word>,
    _: Asked<NoFields>,
) -> Result<Json<Reported>, Problem> {
    let comparison = read(&app, &id).await?;
    Ok(Json(Reported { run_id: id, comparison }))
}

/// Orders of both sides as CSV.
#[utoipa::path(get, path = "/api/v1/comparisons/{id}/orders.csv", tag = "research",
    operation_id = "get_comparison_orders",
    params(ComparisonId), responses((status = 200, body = String, content_type = "text/csv"), Problems))]
pub async fn orders(
    State(app): State<Arc<App>>,
    At(Word(id)): At<Word>,
    _: Asked<NoFields>,
) -> Result<Response, Problem> {
    let side = |side: Option<OrderSide>| -> [String; 6] {
        let Some(side) = side else { return Default::default() };
        let ordered = format!("{} {}", side.side, side.quantity).trim().to_owned();
        [side.order_id, ordered, side.status, side.filled, side.average_price.unwrap_or_default(), side.fees]
    };
    let rows = read(&app, &id).await?.orders.into_iter().map(|row| {
        let terms = row.recorded.as_ref().or(row.derived.as_ref()).map(|side| side.terms.clone());
        let mut cells = vec![
            Instant(row.time_ns).iso(),
            row.account,
            row.strategy,
            row.symbol,
            row.outcome.words().to_owned(),
            row.signal_id,
        ];
        cells.extend(side(row.recorded));
        cells.extend(side(row.derived));
        cells.extend([row.chain_of, terms.unwrap_or_default()]);
        cells
    });
    Ok(csv::whole(&format!("comparison-{}-orders.csv", short(&id)), &ORDERS, rows.collect()))
}

/// Signals, decisions, order events and fills of both sides as CSV.
#[utoipa::path(get, path = "/api/v1/comparisons/{id}/events.csv", tag = "research",
    operation_id = "get_comparison_events",
    params(ComparisonId), responses((status = 200, body = String, content_type = "text/csv"), Problems))]
pub async fn events(
    State(app): State<Arc<App>>,
    At(Word(id)): At<Word>,
    _: Asked<NoFields>,
) -> Result<Response, Problem> {
    let rows = read(&app, &id).await?.rows.into_iter().map(|row| {
        let verdict = row.outcome.words().to_owned();
        vec![
            Instant(row.time_ns).iso(),
            row.kind,
            verdict,
            row.recorded,
            row.derived,
            row.event_id,
            row.chain_of,
        ]
    });
    Ok(csv::whole(&format!("comparison-{}-events.csv", short(&id)), &EVENTS, rows.collect()))
}

/// The comparison; an error says why there is none.
pub async fn read(app: &App, id: &str) -> Result<Comparison, PageError> {
    let row = found(app, id).await?;
    match queries::backtest_document(&app.config.pool, id).await? {
        Some(bytes) => Comparison::unpack(&bytes).map_err(|error| PageError::ReadModel(error.to_string())),
        None => Err(PageError::Missing(format!("report of {} {id:?}, which is {}", row.kind, row.status))),
    }
}
