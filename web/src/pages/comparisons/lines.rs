//! Both sides on one timeline: the equity of an account as recorded and as run again, with the fills of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use analytics::Comparison;
use analytics::comparison::{FillMark, Outcome, Point};
use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Serialize;

use crate::api::comparisons::report::read;
use crate::app::App;
use crate::error::PageError;
use crate::pages::Params;

/// Most fills marked on one line.
const MARKS_MAX: usize = 500;

/// A fill on a line: unix seconds of a point, `buy` or `sell`, and a word for it.
type Mark = (i64, String, String);

/// A line of the chart.
#[derive(Debug, Serialize)]
pub struct Line {
    name: &'static str,
    /// How it is drawn: `equity` or, for the side that was run again, `benchmark`.
    kind: &'static str,
    /// Unix seconds and equity.
    points: Vec<(i64, f64)>,
    /// Fills.
    marks: Vec<Mark>,
}

/// `GET /comparisons/{id}/lines.json?account=NAME`
pub async fn lines(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(params): Query<Params>,
) -> Result<Json<Vec<Line>>, PageError> {
    params.only(&["account"])?;
    let comparison = read(&app, &id).await?;
    Ok(Json(of(&comparison, params.get("account").unwrap_or_default())))
}

/// The lines of an account; the empty name stands for the first.
fn of(comparison: &Comparison, account: &str) -> Vec<Line> {
    let found = comparison.equity.iter().find(|line| account.is_empty() || line.account == account);
    let Some(line) = found else { return Vec::new() };
    let own = |absent: Outcome| {
        let fills = comparison.fills.iter();
        fills.filter(move |fill| fill.account == line.account && fill.outcome != absent)
    };
    let side = |name, kind, points: &[Point], fills: Vec<&FillMark>| {
        let points = seconds(points);
        Line { marks: marks(&points, &fills), name, kind, points }
    };
    vec![
        side("Recorded", "equity", &line.recorded, own(Outcome::OnlyDerived).collect()),
        side("Run again", "benchmark", &line.derived, own(Outcome::OnlyRecorded).collect()),
    ]
}

/// The last value of each second, so that times are unique and ascend.
fn seconds(points: &[Point]) -> Vec<(i64, f64)> {
    let by_second: BTreeMap<i64, f64> =
        points.iter().map(|(ns, value)| (ns.div_euclid(1_000_000_000), *value)).collect();
    by_second.into_iter().collect()
}

/// Each fill on the first point at or after it; one that comes after the last point has none.
fn marks(points: &[(i64, f64)], fills: &[&FillMark]) -> Vec<Mark> {
    let mark = |fill: &&&FillMark| {
        let second = fill.time_ns.div_euclid(1_000_000_000);
        let place = points.partition_point(|(time, _)| *time < second);
        let (time, _) = points.get(place)?;
        let word = format!("{} {} {}", fill.quantity, fill.symbol, fill.outcome.words());
        Some((*time, fill.side.clone(), word))
    };
    // Those that are on one side only are what the chart is looked at for.
    let (same, other): (Vec<_>, Vec<_>) = fills.iter().partition(|fill| fill.outcome == Outcome::Same);
    let mut marks: Vec<Mark> = other.iter().chain(&same).filter_map(mark).take(MARKS_MAX).collect();
    marks.sort_by_key(|(time, _, _)| *time);
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fill_stands_on_the_first_point_that_is_not_before_it() {
        let fill = |second: i64, outcome| FillMark {
            time_ns: second * 1_000_000_000,
            account: "paper".into(),
            strategy: "cross".into(),
            symbol: "SPY".into(),
            side: "buy".into(),
            quantity: "3".into(),
            price: "10".into(),
            outcome,
        };
        let points = [(10, 1.0), (20, 2.0)];
        let (one, two, late) =
            (fill(10, Outcome::Same), fill(11, Outcome::OnlyDerived), fill(21, Outcome::Same));
        let found: Vec<(i64, String)> =
            marks(&points, &[&one, &two, &late]).into_iter().map(|(time, _, word)| (time, word)).collect();
        assert_eq!(found, [(10, "3 SPY same".to_owned()), (20, "3 SPY only derived".to_owned())]);
    }

    #[test]
    fn one_second_has_one_point() {
        assert_eq!(seconds(&[(1_100_000_000, 1.0), (1_900_000_000, 2.0)]), [(1, 2.0)]);
    }
}
