//! The list of strategies: registered ones by name, then those that were removed, first the ones that still hold
//! something.

use askama::Template;
use projections::queries::QueryError;

use super::TABLE;
use super::row::Row;
use crate::pages::{Body, Rendering, Scope, Shown};
use crate::session::FormKeys;

/// Most strategies shown; the API lists them all.
const ROWS_MAX: usize = 200;

#[derive(Clone, Debug)]
struct Table {
    rows: Vec<Row>,
    /// Strategies not listed.
    more: usize,
    keys: FormKeys,
}

#[derive(Template)]
#[template(path = "strategies/list.html")]
struct TablePanel {
    v: u64,
    body: Body<Table>,
}

/// Every strategy.
pub async fn table(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &TABLE, read(scope)).await;
    TablePanel { v: scope.version, body }.render()
}

async fn read(scope: &Scope<'_>) -> Result<Option<Table>, QueryError> {
    let reports = scope.app.fleet.reports(scope.app).await?;
    let (registered, mut removed): (Vec<_>, Vec<_>) =
        reports.iter().partition(|report| report.row.registered);
    // What somebody still has to do something about stands before what is over.
    removed.sort_by_key(|report| report.row.open_positions == 0);
    let rows: Vec<Row> = registered.into_iter().chain(removed).take(ROWS_MAX).map(Row::of).collect();
    let more = reports.len().saturating_sub(rows.len());
    Ok((!rows.is_empty()).then(|| Table { rows, more, keys: scope.keys.clone() }))
}
