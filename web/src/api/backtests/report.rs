//! What a backtest came to, as a document and as files.

use std::sync::Arc;

use analytics::sheet::{Daily, TradeRow};
use analytics::{Report, TearSheet};
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use projections::queries;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::fields::{Asked, At, BacktestId, NoFields, Word};
use super::super::{Problem, Problems};
use super::found;
use crate::app::App;
use crate::error::PageError;
use crate::pages::csv;

/// The report of a backtest.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BacktestReport)]
pub struct Reported {
    /// Id.
    run_id: String,
    /// The tear sheet: of a sweep that of its best run, of a walk-forward test that of the joined windows.
    #[schema(value_type = Object)]
    sheet: TearSheet,
    /// Runs of a sweep, the best first.
    #[schema(value_type = Vec<Object>)]
    trials: Vec<analytics::report::TrialRow>,
    /// Windows of a walk-forward test.
    #[schema(value_type = Vec<Object>)]
    windows: Vec<analytics::report::WindowRow>,
    /// What was left out because the tape holds at most 700,000 bytes of it.
    left_out: Vec<String>,
}

/// The report of a backtest: tear sheet, runs of a sweep, windows of a walk-forward test.
#[utoipa::path(get, path = "/api/v1/backtests/{id}/sheet", tag = "research", operation_id = "get_backtest_sheet",
    params(BacktestId), responses((status = 200, body = Reported), Problems))]
pub async fn sheet(
    State(app): State<Arc<App>>,
    At(Word(id)): At<Word>,
    _: Asked<NoFields>,
) -> Result<Json<Reported>, Problem> {
    let Report { sheet, trials, windows, left_out } = read(&app, &id).await?;
    Ok(Json(Reported { run_id: id, sheet, trials, windows, left_out }))
}

/// The tear sheet as one HTML file that needs nothing else.
#[utoipa::path(get, path = "/api/v1/backtests/{id}/sheet.html", tag = "research",
    operation_id = "get_backtest_page",
    params(BacktestId), responses((status = 200, body = String, content_type = "text/html"), Problems))]
pub async fn html(
    State(app): State<Arc<App>>,
    At(Word(id)): At<Word>,
    _: Asked<NoFields>,
) -> Result<Response, Problem> {
    let html = read(&app, &id).await?.sheet.to_html().map_err(PageError::from)?;
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", name(&id, ".html"))),
    ];
    Ok((headers, html).into_response())
}

/// Closed trades as CSV; the newest ones, at most 1,000, where the tape holds not all of them, as the file's name says.
/// `tapedeck backtest --trades` writes all.
#[utoipa::path(get, path = "/api/v1/backtests/{id}/trades.csv", tag = "research",
    operation_id = "get_backtest_trades",
    params(BacktestId), responses((status = 200, body = String, content_type = "text/csv"), Problems))]
pub async fn trades(
    State(app): State<Arc<App>>,
    At(Word(id)): At<Word>,
    _: Asked<NoFields>,
) -> Result<Response, Problem> {
    let TearSheet { trades, trades_total, .. } = read(&app, &id).await?.sheet;
    let kept = trades.len();
    // A part says in its name that it is one.
    let rest = if kept < trades_total {
        format!("-trades-newest-{kept}-of-{trades_total}.csv")
    } else {
        "-trades.csv".to_owned()
    };
    let rows = trades.into_iter().map(|trade| trade.cells().to_vec());
    Ok(csv::whole(&name(&id, &rest), &TradeRow::COLUMNS, rows.collect()))
}

/// Equity, cash and exposure at the session closes as CSV; `tapedeck backtest --equity` writes every instant.
#[utoipa::path(get, path = "/api/v1/backtests/{id}/equity.csv", tag = "research",
    operation_id = "get_backtest_equity",
    params(BacktestId), responses((status = 200, body = String, content_type = "text/csv"), Problems))]
pub async fn equity(
    State(app): State<Arc<App>>,
    At(Word(id)): At<Word>,
    _: Asked<NoFields>,
) -> Result<Response, Problem> {
    let rows = read(&app, &id).await?.sheet.daily.cells().into_iter().map(Vec::from);
    Ok(csv::whole(&name(&id, "-equity-by-session.csv"), &Daily::COLUMNS, rows.collect()))
}

/// The report of a backtest; an error says why there is none.
pub async fn read(app: &App, id: &str) -> Result<Report, PageError> {
    let row = found(app, id).await?;
    match queries::backtest_document(&app.config.pool, id).await? {
        Some(bytes) => Report::unpack(&bytes).map_err(|error| PageError::ReadModel(error.to_string())),
        None => Err(PageError::Missing(format!("report of backtest {id:?}, which is {}", row.status))),
    }
}

fn name(id: &str, rest: &str) -> String {
    format!("backtest-{}{rest}", short(id))
}

/// The beginning of an id, as files and pages call a run. An id holds letters and digits alone where this
/// program made it; a quote or a line's end cannot get into a header.
pub fn short(id: &str) -> String {
    id.chars().filter(char::is_ascii_alphanumeric).take(8).collect()
}
