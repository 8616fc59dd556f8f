//! Positions & risk: what is held, by strategy and netted; how much of the limits is used; what risk
//! denied; halts. Now, or as of a moment of the past.

mod breaches;
mod halts;
mod held;
mod limits;
mod monitor;
mod scoped;
mod stops;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::timeline::Control;
use super::{Layout, Of, Page, Panel, Params, Visit};
use crate::app::App;
use crate::error::PageError;
use crate::url::Url;

pub use halts::{halt, resume};
pub use scoped::set_limits;
pub use stops::{Line as StopLine, kill, reset_breaker};

/// The Positions page.
pub static PAGE: Page = Page {
    title: "Positions",
    url: Url::Positions,
    key: 'p',
    panels: &[&NETTED, &HELD, &LIMITS, &SCOPED, &HALTS, &STOPS, &MONITOR, &BREACHES],
};

/// Positions netted over strategies.
static NETTED: Panel = Panel::pushed("positions-netted", &["trading"], |scope| Box::pin(held::netted(scope)));
/// Positions by strategy.
static HELD: Panel = Panel::pushed("positions-held", &["trading"], |scope| Box::pin(held::held(scope)));
/// How much of the limits is used.
static LIMITS: Panel = Panel::pushed("limits", &["trading"], |scope| Box::pin(limits::limits(scope)));
/// Halts, with their switches.
static HALTS: Panel = Panel::pushed("halts", &["trading"], |scope| Box::pin(halts::halts(scope)));
/// Limits by scope.
static SCOPED: Panel = Panel::pushed("scoped-limits", &["trading"], |scope| Box::pin(scoped::scoped(scope)));
/// Breakers and stops, with the kill switch.
static STOPS: Panel = Panel::pushed("stops", &["trading"], |scope| Box::pin(stops::stops(scope)));
/// What the monitor measured.
static MONITOR: Panel = Panel::pushed("monitor", &["trading"], |scope| Box::pin(monitor::monitor(scope)));
/// What risk denied.
static BREACHES: Panel =
    Panel::fetched("breaches", &["trading"], |scope| Box::pin(breaches::breaches(scope))).of(Of::Account);

/// Path of the page.
const PATH: &str = "/positions";

#[derive(Template)]
#[template(path = "positions.html")]
struct PositionsPage<'a> {
    layout: Layout<'a>,
    timeline: Control,
    accounts: &'a [String],
    account: &'a str,
    netted: String,
    held: String,
    limits: String,
    scoped: String,
    halts: String,
    stops: String,
    monitor: String,
    breaches: String,
}

/// `GET /positions`
pub async fn page(
    State(app): State<Arc<App>>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let visit = Visit::begin(&app, &PAGE, &params, &headers).await?;
    let timeline = Control::of(&app, &params, PATH).await?;
    let html = Box::pin(assemble(&visit, timeline)).await?;
    visit.respond(Ok(html))
}

async fn assemble(visit: &Visit<'_>, timeline: Control) -> Result<String, PageError> {
    let scope = &visit.scope();
    let live: &[&Panel] = if timeline.is_past() { &[] } else { PAGE.panels };
    let mut layout = visit.layout(scope, live).await?;
    if timeline.is_past() {
        layout.set_past();
    }
    let (netted, held, limits, halts, breaches) = tokio::try_join!(
        NETTED.render(scope),
        HELD.render(scope),
        LIMITS.render(scope),
        HALTS.render(scope),
        BREACHES.render(scope),
    )?;
    let (scoped, stops, monitor) =
        tokio::try_join!(SCOPED.render(scope), STOPS.render(scope), MONITOR.render(scope))?;
    let (accounts, account) = (visit.accounts.as_slice(), visit.account.as_str());
    let page = PositionsPage {
        layout,
        timeline,
        accounts,
        account,
        netted,
        held,
        limits,
        scoped,
        halts,
        stops,
        monitor,
        breaches,
    };
    Ok(page.render()?)
}
