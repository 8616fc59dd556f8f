//! The Overview: how the account stands, what just happened, and the kill switch.

mod account;
mod activity;
mod market;
mod positions;
mod status;
mod strategies;

use std::sync::Arc;

use askama::Template;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{Html, IntoResponse, Response};

use super::{Layout, Page, Panel, Rendering, Scope, Topic};
use crate::app::App;
use crate::error::PageError;
use crate::url::Url;

pub use account::account_names;
pub use strategies::strategy_names;

/// Query of the Overview and of its parts.
#[derive(Debug, Default, serde::Deserialize)]
pub struct AccountQuery {
    /// Account shown; the first one when absent.
    #[serde(default)]
    account: String,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'a> {
    layout: Layout<'a>,
    accounts: &'a [String],
    account: &'a str,
    equity_source: String,
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
}

/// `GET /`
pub async fn page(
    State(app): State<Arc<App>>,
    Query(query): Query<AccountQuery>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    // Read before any data, so that whatever changes meanwhile has a newer version.
    let version = app.hub.version();
    let (accounts, account) = match account_names(&app).await {
        Ok(accounts) => {
            let account = chosen(&accounts, &query.account)?.to_owned();
            (accounts, account)
        }
        // Every panel then says that it cannot be read, and offers to try again.
        Err(error) => {
            tracing::warn!(%error, "accounts not read: {error}");
            (Vec::new(), query.account)
        }
    };
    let account = account.as_str();
    let (session, cookie) = app.sessions.of(&headers);
    let keys = app.sessions.form_keys(&session);
    let scope = Scope { app: &app, account, version, keys: keys.clone() };
    let mut layout = Layout::new(&app, Page::Overview, version, &headers, keys);
    layout.topics = Topic::all(account);
    // Thirteen panels at once are a large future; it belongs on the heap.
    let html = Box::pin(assemble(&scope, layout, &accounts)).await?;
    let mut response = Html(html).into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

async fn assemble(scope: &Scope<'_>, mut layout: Layout<'_>, accounts: &[String]) -> Rendering {
    let part = |panel| render(panel, scope);
    let (clock, checklist, tiles, equity, market, kill, alerts) = tokio::try_join!(
        part(Panel::Clock),
        part(Panel::Checklist),
        part(Panel::Tiles),
        part(Panel::Equity),
        part(Panel::Market),
        part(Panel::Kill),
        part(Panel::Alerts),
    )?;
    let (strategies, positions, orders, prices, fills, events) = tokio::try_join!(
        part(Panel::Strategies),
        part(Panel::Positions),
        part(Panel::Orders),
        part(Panel::Prices),
        part(Panel::Fills),
        part(Panel::Events),
    )?;
    layout.clock = clock;
    let equity_source = Url::EquityPoints(scope.account).to_string();
    let account = scope.account;
    Overview {
        layout,
        accounts,
        account,
        equity_source,
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
    }
    .render()
}

/// `GET /overview/panels/{panel}`: one panel again, after an error or when it was slow.
pub async fn panel(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(query): Query<AccountQuery>,
    headers: HeaderMap,
) -> Result<Html<String>, PageError> {
    let panel = Panel::named(&name).ok_or_else(|| PageError::Missing(format!("panel {name:?}")))?;
    let account = query.account.as_str();
    let (session, _) = app.sessions.of(&headers);
    // Rendered as the live stream renders it: with all the time it takes.
    let scope = Scope { app: &app, account, version: 0, keys: app.sessions.form_keys(&session) };
    Ok(Html(render(panel, &scope).await?))
}

/// `GET /overview/equity.json`: the equity line, oldest first, as `[unix seconds, equity]`.
pub async fn equity_points(
    State(app): State<Arc<App>>,
    Query(query): Query<AccountQuery>,
) -> Result<Json<account::EquityLine>, PageError> {
    let accounts = account_names(&app).await?;
    let account = chosen(&accounts, &query.account)?;
    account::equity_line(&app, account).await.map(Json)
}

/// Renders a panel, whatever state its content is in. The empty account stands for the first one, so that
/// a page that was opened on an empty tape fills as the tape does.
pub async fn render(panel: Panel, scope: &Scope<'_>) -> Rendering {
    if !scope.account.is_empty() {
        return render_for(panel, scope).await;
    }
    // Names that cannot be read leave it empty; the panel's own reading fails then and says so.
    let names = account_names(scope.app).await.unwrap_or_default();
    let account = names.first().map_or("", String::as_str);
    render_for(panel, &Scope { account, ..scope.clone() }).await
}

async fn render_for(panel: Panel, scope: &Scope<'_>) -> Rendering {
    match panel {
        Panel::Clock => market::clock(scope).await,
        Panel::Checklist => status::checklist(scope).await,
        Panel::Tiles => account::tiles(scope).await,
        Panel::Equity => account::equity(scope).await,
        Panel::Market => market::market(scope).await,
        Panel::Kill => status::kill(scope).await,
        Panel::Alerts => status::alerts(scope).await,
        Panel::Strategies => strategies::strategies(scope).await,
        Panel::Positions => positions::positions(scope).await,
        Panel::Orders => activity::orders(scope).await,
        Panel::Prices => market::prices(scope).await,
        Panel::Fills => activity::fills(scope).await,
        Panel::Events => activity::events(scope).await,
    }
}

/// The account asked for, or the first; empty while there is none.
fn chosen<'a>(accounts: &'a [String], asked: &str) -> Result<&'a str, PageError> {
    if asked.is_empty() {
        return Ok(accounts.first().map_or("", String::as_str));
    }
    let found = accounts.iter().find(|account| *account == asked);
    found.map(String::as_str).ok_or_else(|| PageError::Missing(format!("account {asked:?}")))
}
