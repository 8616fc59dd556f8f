//! What a backtest came to, as a document and as files.

use std::sync::Arc;

use analytics::{Report, TearSheet};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use projections::queries;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::fields::{Asked, BacktestId, NoFields, Word};
use super::super::{Problem, Problems};
use super::found;
use crate::app::App;
use crate::error::PageError;
use crate::pages::csv;

/// Columns of the trades.
const TRADES: [&str; 10] = [
    "symbol",
    "side",
    "quantity",
    "entry_time",
    "entry_price",
    "exit_time",
    "exit_price",
    "commission",
    "pnl",
    "strategy",
];
/// Columns of the equity.
const EQUITY: [&str; 5] = ["date", "equity", "return", "drawdown", "benchmark"];

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
    Path(Word(id)): Path<Word>,
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
    Path(Word(id)): Path<Word>,
    _: Asked<NoFields>,
) -> Result<Response, Problem> {
    let html = read(&app, &id).await?.sheet.to_html().map_err(PageError::from)?;
    Ok(file(&id, "html", "text/html; charset=utf-8", html))
}

/// Closed trades as CSV; the newest ones where the tape holds not all of them.
#[utoipa::path(get, path = "/api/v1/backtests/{id}/trades.csv", tag = "research",
    operation_id = "get_backtest_trades",
    params(BacktestId), responses((status = 200, body = String, content_type = "text/csv"), Problems))]
pub async fn trades(
    State(app): State<Arc<App>>,
    Path(Word(id)): Path<Word>,
    _: Asked<NoFields>,
) -> Result<Response, Problem> {
    let sheet = read(&app, &id).await?.sheet;
    let rows = sheet.trades.into_iter().map(|trade| {
        vec![
            trade.symbol,
            trade.side,
            trade.quantity,
            trade.entry_time,
            trade.entry_price,
            trade.exit_time,
            trade.exit_price,
            trade.commission,
            trade.pnl,
            trade.strategy,
        ]
    });
    Ok(table(&id, "trades", &TRADES, rows.collect()))
}

/// Equity at the session closes as CSV, with return, drawdown and benchmark.
#[utoipa::path(get, path = "/api/v1/backtests/{id}/equity.csv", tag = "research",
    operation_id = "get_backtest_equity",
    params(BacktestId), responses((status = 200, body = String, content_type = "text/csv"), Problems))]
pub async fn equity(
    State(app): State<Arc<App>>,
    Path(Word(id)): Path<Word>,
    _: Asked<NoFields>,
) -> Result<Response, Problem> {
    let daily = read(&app, &id).await?.sheet.daily;
    let number = |column: &[Option<f64>], row: usize| {
        column.get(row).copied().flatten().map_or_else(String::new, |value| value.to_string())
    };
    let rows = daily.dates.iter().zip(&daily.equity).enumerate().map(|(row, (date, equity))| {
        vec![
            date.to_string(),
            equity.clone(),
            number(&daily.returns, row),
            number(&daily.drawdown, row),
            number(&daily.benchmark, row),
        ]
    });
    Ok(table(&id, "equity", &EQUITY, rows.collect()))
}

/// The report of a backtest; an error says why there is none.
pub async fn read(app: &App, id: &str) -> Result<Report, PageError> {
    let row = found(app, id).await?;
    match queries::backtest_document(&app.config.pool, id).await? {
        Some(bytes) => Report::unpack(&bytes).map_err(|error| PageError::ReadModel(error.to_string())),
        None => Err(PageError::Missing(format!("report of backtest {id:?}, which is {}", row.status))),
    }
}

fn table(id: &str, what: &str, head: &[&str], rows: Vec<csv::Row>) -> Response {
    let name = format!("backtest-{}-{what}.csv", short(id));
    csv::response(&name, head, futures::stream::once(async move { Ok::<_, std::io::Error>(rows) }))
}

fn file(id: &str, extension: &str, kind: &str, text: String) -> Response {
    let name = format!("attachment; filename=\"backtest-{}.{extension}\"", short(id));
    ([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, name)], text).into_response()
}

/// The beginning of an id, as files and pages call a run. An id holds letters and digits alone where this
/// program made it; a quote or a line's end cannot get into a header.
pub fn short(id: &str) -> String {
    id.chars().filter(char::is_ascii_alphanumeric).take(8).collect()
}
