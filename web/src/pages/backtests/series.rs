//! The lines of charts: equity, benchmark and drawdown of one run, or the equity of several.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use chrono::NaiveDate;
use serde::Serialize;

use super::{COMPARED_MAX, chosen};
use crate::api::backtests::report::{read, short};
use crate::app::App;
use crate::error::PageError;
use crate::pages::Params;

/// A point: unix seconds of the session's date, and a value.
type Point = (i64, f64);

/// A line of a chart.
#[derive(Debug, Serialize)]
pub struct Line {
    name: String,
    /// `equity`, `benchmark` or `drawdown`.
    kind: &'static str,
    points: Vec<Point>,
}

/// `GET /backtests/lines.json?compare=ID,ID`: of one run equity, benchmark and drawdown; of several the equity of
/// each, as a share of what it began with.
pub async fn lines(
    State(app): State<Arc<App>>,
    Query(params): Query<Params>,
) -> Result<Json<Vec<Line>>, PageError> {
    params.only(&["compare"])?;
    let ids = chosen(&params)?;
    let mut lines = Vec::new();
    for id in ids.iter().take(COMPARED_MAX) {
        let daily = read(&app, id).await?.sheet.daily;
        let number = |text: &String| text.parse::<f64>().ok();
        let equity: Vec<Point> = daily
            .dates
            .iter()
            .zip(&daily.equity)
            .filter_map(|(date, value)| Some((seconds(*date), number(value)?)))
            .collect();
        if ids.len() > 1 {
            let first = equity.first().map_or(1.0, |(_, value)| *value);
            let share = |(time, value): &Point| (*time, value / first * 100.0);
            lines.push(Line { name: short(id), kind: "equity", points: equity.iter().map(share).collect() });
            continue;
        }
        let column = |values: &[Option<f64>], scale: f64| -> Vec<Point> {
            let points = daily.dates.iter().zip(values);
            points.filter_map(|(date, value)| Some((seconds(*date), (*value)? * scale))).collect()
        };
        let benchmark = column(&daily.benchmark, 1.0);
        lines.push(Line { name: "Equity".to_owned(), kind: "equity", points: equity });
        if !benchmark.is_empty() {
            lines.push(Line { name: "Benchmark".to_owned(), kind: "benchmark", points: benchmark });
        }
        let below = column(&daily.drawdown, 100.0);
        lines.push(Line { name: "Drawdown %".to_owned(), kind: "drawdown", points: below });
    }
    Ok(Json(lines))
}

/// Noon in UTC on the session's date, so that every zone shows that date.
fn seconds(date: NaiveDate) -> i64 {
    date.and_hms_opt(12, 0, 0).map_or(0, |noon| noon.and_utc().timestamp())
}
