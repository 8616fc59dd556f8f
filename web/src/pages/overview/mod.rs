//! The Overview: how the account stands, what just happened, and the kill switch.

mod account;
mod activity;
mod market;
mod news;
mod past;
mod positions;
mod status;
mod strategies;

use std::sync::Arc;

use askama::Template;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::timeline::Control;
use super::{Layout, Of, Page, Panel, Params, Rendering, Visit, account_names, chosen};
use crate::app::App;
use crate::error::PageError;
use crate::url::Url;

pub use market::{clock, market_now};

/// The Overview.
pub static PAGE: Page = Page { title: "Overview", url: Url::Overview, key: 'h', panels: PANELS };

/// Its panels.
pub const PANELS: &[&Panel] = &[
    &CHECKLIST,
    &TILES,
    &EQUITY,
    &MARKET,
    &KILL,
    &ALERTS,
    &STRATEGIES,
    &POSITIONS,
    &ORDERS,
    &PRICES,
    &FILLS,
    &EVENTS,
    &NEWS,
];

/// First steps of a new tape.
static CHECKLIST: Panel =
    Panel::pushed("checklist", &["backtests", "bars", "trading"], |scope| Box::pin(status::checklist(scope)))
        .every_ms(250);
/// Equity, P&L, drawdown, exposure, Sharpe.
static TILES: Panel = Panel::pushed("tiles", &["trading"], |scope| Box::pin(account::tiles(scope)));
/// Newest points of the equity line, and the line as a table.
static EQUITY: Panel =
    Panel::pushed("equity", &["trading"], |scope| Box::pin(account::equity(scope))).every_ms(250);
/// Market status, next open and close.
static MARKET: Panel =
    Panel::pushed("market", &["bars", "trading", "calendar"], |scope| Box::pin(market::market(scope)));
/// The kill switch.
static KILL: Panel = Panel::pushed("kill", &["trading"], |scope| Box::pin(status::kill(scope)));
/// What needs attention.
static ALERTS: Panel = Panel::pushed("alerts", &["trading", "calendar", "services", "parked"], |scope| {
    Box::pin(status::alerts(scope))
});
/// Strategies with their switches.
static STRATEGIES: Panel =
    Panel::pushed("strategies", &["trading"], |scope| Box::pin(strategies::strategies(scope)));
/// Open positions.
static POSITIONS: Panel =
    Panel::pushed("positions", &["bars", "trading"], |scope| Box::pin(positions::positions(scope)));
/// Recent orders and denials.
static ORDERS: Panel = Panel::pushed("orders", &["trading"], |scope| Box::pin(activity::orders(scope)));
/// Last price per symbol.
static PRICES: Panel =
    Panel::pushed("prices", &["bars"], |scope| Box::pin(market::prices(scope))).every_ms(250);
/// Recent fills.
static FILLS: Panel = Panel::pushed("fills", &["trading"], |scope| Box::pin(activity::fills(scope)));
/// Last events of TRADING.
static EVENTS: Panel = Panel::pushed("events", &["trading"], |scope| Box::pin(activity::events(scope)));
/// Newest articles, whatever account is looked at.
static NEWS: Panel =
    Panel::pushed("news", &["reference"], |scope| Box::pin(news::news(scope))).of(Of::Deck).every_ms(1_000);

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'a> {
    layout: Layout<'a>,
    timeline: Control,
    accounts: &'a [String],
    account: &'a str,
    equity_source: String,
    exchange: &'static str,
    checklist: String,
    tiles: String,
    equity: String,
    market: String,
    kill: String,
    alerts: String,
    strategies: String,
    positions: String,
    orders: String,
    prices: String,
    fills: String,
    events: String,
    news: String,
}

/// `GET /`
pub async fn page(
    State(app): State<Arc<App>>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let visit = Visit::begin(&app, &PAGE, &params, &headers).await?;
    let timeline = Control::of(&app, &params, "/").await?;
    if timeline.is_past() {
        let html = Box::pin(past::page(&visit, timeline)).await?;
        return visit.respond(Ok(html));
    }
    // Thirteen panels at once are a large future; it belongs on the heap.
    let html = Box::pin(assemble(&visit, timeline)).await;
    visit.respond(html)
}

async fn assemble(visit: &Visit<'_>, timeline: Control) -> Rendering {
    let scope = &visit.scope();
    let layout = visit.layout(scope, PANELS).await?;
    let (checklist, tiles, equity, market, kill, alerts) = tokio::try_join!(
        CHECKLIST.render(scope),
        TILES.render(scope),
        EQUITY.render(scope),
        MARKET.render(scope),
        KILL.render(scope),
        ALERTS.render(scope),
    )?;
    let (strategies, positions, orders, prices, fills, events, news) = tokio::try_join!(
        STRATEGIES.render(scope),
        POSITIONS.render(scope),
        ORDERS.render(scope),
        PRICES.render(scope),
        FILLS.render(scope),
        EVENTS.render(scope),
        NEWS.render(scope),
    )?;
    let equity_source = Url::EquityPoints(scope.account).to_string();
    let account = scope.account;
    Overview {
        layout,
        timeline,
        accounts: &visit.accounts,
        account,
        equity_source,
        exchange: market::exchange(visit.app.config.calendar),
        checklist,
        tiles,
        equity,
        market,
        kill,
        alerts,
        strategies,
        positions,
        orders,
        prices,
        fills,
        events,
        news,
    }
    .render()
}

/// `GET /overview/equity.json`: the equity line, oldest first, as `[unix seconds, equity]`.
pub async fn equity_points(
    State(app): State<Arc<App>>,
    Query(params): Query<Params>,
) -> Result<Json<account::EquityLine>, PageError> {
    let accounts = account_names(&app).await?;
    let account = chosen(&accounts, params.get("account").unwrap_or_default())?;
    account::equity_line(&app, account).await.map(Json)
}
