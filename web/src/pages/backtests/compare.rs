//! Two to four runs side by side: what was asked, and every metric.

use std::collections::BTreeSet;

use analytics::metrics::{METRICS, Unit};
use askama::Template;
use projections::queries::{self, BacktestRow};

use super::{COMPARE, chosen};
use crate::api::backtests::report::short;
use crate::error::PageError;
use crate::pages::{Body, Rendering, Scope, Shown};
use crate::url::Url;
use crate::view::{count, money_about, percent, ratio};

/// A run at the head of its column.
#[derive(Clone, Debug)]
struct Head {
    short: String,
    url: String,
}

/// One line of the comparison.
#[derive(Clone, Debug)]
struct Line {
    name: String,
    /// One per run, with whether it differs from the first one's.
    values: Vec<(String, bool)>,
}

#[derive(Clone, Debug)]
struct Comparison {
    heads: Vec<Head>,
    asked: Vec<Line>,
    metrics: Vec<Line>,
    /// Ids that no run has.
    unknown: Vec<String>,
}

#[derive(Template)]
#[template(path = "backtests/compare.html")]
struct ComparePanel {
    v: u64,
    body: Body<Comparison>,
    one: bool,
}

/// The runs that the field `compare` names.
pub async fn table(scope: &Scope<'_>) -> Rendering {
    let one = chosen(scope.params).is_ok_and(|ids| ids.len() == 1);
    let body = Body::read(scope, &COMPARE, read(scope)).await;
    ComparePanel { v: scope.version, body, one }.render()
}

async fn read(scope: &Scope<'_>) -> Result<Option<Comparison>, PageError> {
    let ids = chosen(scope.params)?;
    if ids.len() < 2 {
        return Ok(None);
    }
    let (mut rows, mut unknown) = (Vec::new(), Vec::new());
    for id in ids {
        match queries::backtest(&scope.app.config.pool, &id).await? {
            Some(row) => rows.push(row),
            None => unknown.push(id),
        }
    }
    let heads = rows
        .iter()
        .map(|row| Head { short: short(&row.run_id), url: Url::Backtest(&row.run_id).to_string() });
    Ok(Some(Comparison { heads: heads.collect(), asked: asked(&rows), metrics: metrics(&rows), unknown }))
}

fn line(name: &str, values: Vec<String>) -> Line {
    let first = values.first().cloned().unwrap_or_default();
    let values = values.into_iter().map(|value| (value.clone(), value != first));
    Line { name: name.to_owned(), values: values.collect() }
}

fn asked(rows: &[BacktestRow]) -> Vec<Line> {
    let of =
        |name: &str, value: &dyn Fn(&BacktestRow) -> String| line(name, rows.iter().map(value).collect());
    vec![
        of("Status", &|row| row.status.clone()),
        of("Strategies", &|row| row.strategies.clone()),
        of("Symbols", &|row| row.symbols.clone()),
        of("Timeframe", &|row| row.timeframe.clone()),
        of("Range", &|row| super::run::range(&row.request)),
        of("Data hash", &|row| row.data_hash.clone().unwrap_or_default()),
        of("Result hash", &|row| row.result_hash.clone().unwrap_or_default()),
    ]
}

fn metrics(rows: &[BacktestRow]) -> Vec<Line> {
    let stated: BTreeSet<&str> = rows
        .iter()
        .filter_map(|row| row.statistics.as_ref())
        .flat_map(|all| all.keys().map(String::as_str))
        .collect();
    let known = METRICS.iter().filter(|metric| stated.contains(metric.name));
    known
        .map(|metric| {
            let value = |row: &BacktestRow| {
                let found = row
                    .statistics
                    .as_ref()
                    .and_then(|all| all.get(metric.name))
                    .and_then(serde_json::Value::as_f64);
                shown(metric.unit, found)
            };
            line(metric.label, rows.iter().map(value).collect())
        })
        .collect()
}

/// A metric as a page writes it.
pub(super) fn shown(unit: Unit, value: Option<f64>) -> String {
    let Some(number) = value.filter(|value| value.is_finite()) else { return "–".to_owned() };
    match unit {
        Unit::Percent => percent(value),
        Unit::Ratio => ratio(value),
        Unit::Money => money_about(number),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, not negative")]
        Unit::Count => count(number.max(0.0) as u64),
        Unit::Days => match format!("{number:.0}").as_str() {
            "1" => "1 day".to_owned(),
            days => format!("{days} days"),
        },
        #[expect(clippy::cast_possible_truncation, reason = "a cast saturates")]
        Unit::Seconds => crate::view::duration_words((number * 1e9) as i64),
    }
}
