//! The lines of charts: equity, benchmark and drawdown of one run, or the equity of several.

use std::collections::BTreeSet;
use std::sync::Arc;

use analytics::sheet::Daily;
use axum::Json;
use axum::extract::{Query, State};
use chrono::NaiveDate;
use serde::Serialize;

use super::{COMPARED_MAX, chosen};
use crate::api::backtests::report::{read, short};
use crate::app::App;
use crate::error::PageError;
use crate::pages::Params;
use crate::view::ratio;

/// A point: unix seconds of the session's date, and a value.
type Point = (i64, f64);
/// Sessions that the table under a chart lists.
const SESSIONS_MAX: usize = 20;

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
        if ids.len() > 1 {
            let points = from_100(&daily).into_iter().map(|(date, value)| (seconds(date), value));
            lines.push(Line { name: short(id), kind: "equity", points: points.collect() });
            continue;
        }
        let equity = equity(&daily).into_iter().map(|(date, value)| (seconds(date), value)).collect();
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

/// Equity at the close of each session.
fn equity(daily: &Daily) -> Vec<(NaiveDate, f64)> {
    let closes = daily.dates.iter().zip(&daily.equity);
    closes.filter_map(|(date, value)| Some((*date, value.parse().ok()?))).collect()
}

/// The same, the first one as 100.
fn from_100(daily: &Daily) -> Vec<(NaiveDate, f64)> {
    let equity = equity(daily);
    let first = equity.first().map_or(1.0, |(_, value)| *value);
    equity.into_iter().map(|(date, value)| (date, value / first * 100.0)).collect()
}

/// The newest sessions of runs side by side, as a table: what the chart of several runs draws.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// The runs.
    pub(super) heads: Vec<String>,
    /// Date and equity of each run, the start as 100; the newest session first.
    pub(super) rows: Vec<(NaiveDate, Vec<String>)>,
}

impl Sessions {
    /// Those of the runs of these ids. A run that has no report yet has no column.
    pub(super) async fn of(app: &App, ids: &[String]) -> Self {
        let mut runs = Vec::new();
        for id in ids {
            if let Ok(report) = read(app, id).await {
                runs.push((short(id), from_100(&report.sheet.daily)));
            }
        }
        let dates: BTreeSet<NaiveDate> =
            runs.iter().flat_map(|(_, equity)| equity.iter().map(|(date, _)| *date)).collect();
        let value = |date: NaiveDate, equity: &[(NaiveDate, f64)]| {
            let found = equity.binary_search_by_key(&date, |(known, _)| *known).ok();
            found.map_or_else(|| "–".to_owned(), |at| ratio(Some(equity[at].1)))
        };
        let row = |date: NaiveDate| (date, runs.iter().map(|(_, equity)| value(date, equity)).collect());
        let rows = dates.into_iter().rev().take(SESSIONS_MAX).map(row).collect();
        Self { heads: runs.into_iter().map(|(head, _)| head).collect(), rows }
    }
}

/// Noon in UTC on the session's date, so that every zone shows that date.
fn seconds(date: NaiveDate) -> i64 {
    date.and_hms_opt(12, 0, 0).map_or(0, |noon| noon.and_utc().timestamp())
}
