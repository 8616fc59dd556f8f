//! The list of strategies: registered ones by name, then those that were removed, first the ones that still hold
//! something.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use domain::book::Book;
use projections::StrategyReport;
use projections::queries;

use super::TABLE;
use super::row::Row;
use crate::api::risk::{Stopped, of_tally};
use crate::error::PageError;
use crate::pages::{Body, Rendering, Scope, Shown, timeline};
use crate::session::FormKeys;

/// Most strategies shown; the API lists them all.
const ROWS_MAX: usize = 200;

#[derive(Clone, Debug)]
struct Table {
    rows: Vec<Row>,
    /// Strategies not listed.
    more: usize,
    /// Nothing is commanded from a page of the past.
    past: bool,
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

async fn read(scope: &Scope<'_>) -> Result<Option<Table>, PageError> {
    let past = timeline::past(scope).await?;
    let reports = match &past {
        Some(past) => scope.app.fleet.reports_of(scope.app, past).await?,
        None => scope.app.fleet.reports(scope.app).await?,
    };
    let (registered, mut removed): (Vec<_>, Vec<_>) =
        reports.iter().partition(|report| report.row.registered);
    // What somebody still has to do something about stands before what is over.
    removed.sort_by_key(|report| report.row.open_positions == 0);
    let stops = stops(scope, past.as_ref().map(|past| &past.book)).await?;
    let accounts: BTreeSet<&str> =
        registered.iter().copied().map(|report: &StrategyReport| report.row.account.as_str()).collect();
    let mut confirmed = BTreeSet::new();
    for account in accounts {
        // Where the tape cannot be read nothing is offered that needs somebody's word.
        if let Ok(true) = scope.app.attached.is_confirmed(&scope.app.context.tape, account).await {
            confirmed.insert(account);
        }
    }
    let row = |report: &StrategyReport| {
        let own = stops.get(&report.row.strategy).map(Vec::as_slice).unwrap_or_default();
        Row::of(report, own, confirmed.contains(report.row.account.as_str()))
    };
    let rows: Vec<Row> = registered.into_iter().chain(removed).take(ROWS_MAX).map(row).collect();
    let more = reports.len().saturating_sub(rows.len());
    let past = past.is_some();
    Ok((!rows.is_empty()).then(|| Table { rows, more, past, keys: scope.keys.clone() }))
}

/// The stops in force by strategy: those of a book, or of the present.
async fn stops(scope: &Scope<'_>, book: Option<&Book>) -> Result<BTreeMap<String, Vec<Stopped>>, PageError> {
    let tallies: Vec<_> = match book {
        Some(book) => book.tallies().cloned().collect(),
        None => queries::tallies(&scope.app.config.pool, None).await?,
    };
    let mut stops: BTreeMap<String, Vec<Stopped>> = BTreeMap::new();
    for tally in tallies {
        stops.entry(tally.strategy.clone()).or_default().extend(of_tally(&tally));
    }
    Ok(stops)
}
