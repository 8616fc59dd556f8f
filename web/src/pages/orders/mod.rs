//! Orders: open ones, all, and fills, now or as of a moment of the past; filtered, part by part, as a file;
//! one order with all that led to it.

mod detail;
mod export;
mod filter;
pub mod place;
mod table;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use projections::queries;

use super::table::{Tab, tabs};
use super::timeline::{self, Control};
use super::{Layout, Page, Panel, Params, Rendering, Visit};
use crate::app::App;
use crate::error::PageError;
use crate::url::Url;

pub use detail::{cancel, decision_of, missing, page as detail, request_cancel};
pub use export::download;
pub use filter::{SIDES, STATUSES, time};

/// The Orders page.
pub static PAGE: Page =
    Page { title: "Orders", url: Url::Orders, key: 'o', panels: &[&TABLE, &detail::ORDER] };

/// The list: which one follows from the field `tab`.
static TABLE: Panel = Panel::fetched("orders-table", &["trading"], |scope| Box::pin(table::table(scope)));

/// Path of the page.
const PATH: &str = "/orders";
/// Values of the field `tab` with their titles.
const TABS: [(&str, &str); 3] = [("open", "Open"), ("all", "All"), ("fills", "Fills")];

/// The values that a choice offers, with the one chosen.
#[derive(Debug)]
struct Choice {
    values: Vec<String>,
    chosen: String,
}

impl Choice {
    fn of(values: impl IntoIterator<Item = String>, params: &Params, name: &str) -> Self {
        let mut values: Vec<String> = values.into_iter().collect();
        let chosen = params.owned(name).unwrap_or_default();
        // What filters the list stands in its field, be it of a strategy that was removed.
        if !chosen.is_empty() && !values.contains(&chosen) {
            values.push(chosen.clone());
        }
        Self { values, chosen }
    }
}

#[derive(Template)]
#[template(path = "orders.html")]
struct OrdersPage<'a> {
    layout: Layout<'a>,
    timeline: Control,
    tab: &'static str,
    tabs: Vec<Tab>,
    accounts: Choice,
    strategies: Choice,
    statuses: Choice,
    sides: Choice,
    symbol: String,
    from: String,
    to: String,
    clear: Option<String>,
    csv: String,
    table: String,
}

/// `GET /orders`
pub async fn page(
    State(app): State<Arc<App>>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    // A wrong filter is an answer of its own, not an empty list.
    filter::Filter::of(&params)?;
    let visit = Visit::begin(&app, &PAGE, &params, &headers).await?;
    let timeline = Control::of(&app, &params, PATH).await?;
    let html = assemble(&visit, timeline).await;
    visit.respond(html)
}

async fn assemble(visit: &Visit<'_>, timeline: Control) -> Rendering {
    let scope = &visit.scope();
    let params = visit.params;
    let live: &[&Panel] = if timeline.is_past() { &[] } else { &[&TABLE] };
    let mut layout = visit.layout(scope, live).await?;
    if timeline.is_past() {
        layout.set_past();
    }
    let table = TABLE.render(scope).await?;
    let tab = filter::tab(params);
    // Without names the choice of strategies is empty; the table says what cannot be read.
    let strategies = queries::strategies(&visit.app.config.pool).await.unwrap_or_default();
    let strategies = strategies.into_iter().map(|row| row.strategy);
    let owned = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect::<Vec<_>>();
    let statuses = if tab == "open" { &filter::OPEN[..] } else { &filter::STATUSES[..] };
    let kept = params.without(&["tab", "before", "after", "limit"]);
    let filtered = filter::FIELDS.iter().any(|name| kept.get(name).is_some());
    let text = |name: &str| params.owned(name).unwrap_or_default();
    let clear = Params::default().with("tab", tab);
    let clear = match params.get(timeline::FIELD) {
        Some(moment) => clear.with(timeline::FIELD, moment),
        None => clear,
    };
    OrdersPage {
        layout,
        timeline,
        tab,
        tabs: tabs(PATH, params, &TABS, tab),
        accounts: Choice::of(visit.accounts.iter().cloned(), params, "account"),
        strategies: Choice::of(strategies.chain([contracts::MANUAL.to_owned()]), params, "strategy"),
        statuses: Choice::of(owned(statuses), params, "status"),
        sides: Choice::of(owned(&filter::SIDES), params, "side"),
        symbol: text("symbol"),
        from: text("from"),
        to: text("to"),
        clear: filtered.then(|| clear.link(PATH)),
        csv: params.without(&["before", "after", "limit"]).link("/orders.csv"),
        table,
    }
    .render()
}
