//! The Overview as of a moment of the past: what the fold of the tape up to it says of the account.
//!
//! Deliberately absent: what is not state but happening (events, fills, prices, alerts), which other pages
//! show by sequence and time.

use askama::Template;
use domain::book::{Book, StrategyState};
use domain::order::OrderState;
use projections::as_of::Past;
use projections::queries;

use super::account::Tiles;
use super::positions::Positions;
use super::{Layout, PANELS};
use crate::api::risk::{stopped, strictest};
use crate::error::PageError;
use crate::history::History;
use crate::pages::Visit;
use crate::pages::timeline::{self, Control};
use crate::view::{Instant, price, quantity};

/// Orders and strategies listed at most.
const ROWS_MAX: usize = 50;

#[derive(Clone, Debug)]
struct StrategyRow {
    name: String,
    mode: String,
    last: Option<Instant>,
}

#[derive(Clone, Debug)]
struct OrderRow {
    id: String,
    url: String,
    what: String,
    filled: String,
    status: &'static str,
    strategy: String,
}

#[derive(Template)]
#[template(path = "overview/past.html")]
struct PastPage<'a> {
    layout: Layout<'a>,
    timeline: Control,
    account: &'a str,
    /// `NORMAL`, `REDUCE-ONLY` or `HALTED`.
    state: &'static str,
    tiles: Option<Tiles>,
    positions: Option<Positions>,
    strategies: Vec<StrategyRow>,
    orders: Vec<OrderRow>,
}

/// Renders the page.
pub async fn page(visit: &Visit<'_>, control: Control) -> Result<String, PageError> {
    let scope = visit.scope();
    let Some(past) = timeline::past(&scope).await? else {
        return Err(PageError::Missing("moment".to_owned()));
    };
    let mut layout = visit.layout(&scope, PANELS).await?;
    layout.set_past();
    let account = visit.account.as_str();
    let stopped = stopped(&past.book)
        .into_iter()
        .filter(|row| row.strategy.is_empty() && (row.account.is_empty() || row.account == account));
    let page = PastPage {
        layout,
        timeline: control,
        account,
        state: strictest(stopped.map(|row| row.state)),
        tiles: tiles(visit, &past).await?,
        positions: Positions::of(&past.positions(Some(account), false)),
        strategies: strategies(&past.book, account),
        orders: orders(&past.book, account),
    };
    Ok(page.render()?)
}

/// The five numbers; none before the account's first mark. The peak is that of the marks up to then.
async fn tiles(visit: &Visit<'_>, past: &Past) -> Result<Option<Tiles>, PageError> {
    let Some(row) = past.accounts().into_iter().find(|row| row.account == visit.account) else {
        return Ok(None);
    };
    let (Some(equity), Some(marked_ns)) = (row.equity, row.marked_ns) else { return Ok(None) };
    let peak = queries::peak_equity(&visit.app.config.pool, &row.account, 0, past.sequence()).await;
    let peak = peak.map_err(|error| PageError::ReadModel(error.to_string()))?;
    let history = History::with_peak(peak.unwrap_or(equity).max(equity));
    let tiles = Tiles::of(&row, equity, marked_ns, &history);
    Ok(Some(Tiles { sharpe_note: "of the present only".to_owned(), ..tiles }))
}

fn strategies(book: &Book, account: &str) -> Vec<StrategyRow> {
    let own = book.strategies().filter(|row| row.registered && row.account == account);
    own.take(ROWS_MAX).map(StrategyRow::of).collect()
}

fn orders(book: &Book, account: &str) -> Vec<OrderRow> {
    let own = book.open_orders().filter(|order| order.spec.account == account);
    own.take(ROWS_MAX).map(OrderRow::of).collect()
}

impl StrategyRow {
    fn of(row: &StrategyState) -> Self {
        let mode = if row.enabled { row.mode.name() } else { "disabled" };
        Self { name: row.strategy.clone(), mode: mode.to_owned(), last: row.last_signal_ns.map(Instant) }
    }
}

impl OrderRow {
    fn of(order: &OrderState) -> Self {
        let side = if order.spec.side() == contracts::v1::Side::Buy { "BUY" } else { "SELL" };
        let limit =
            order.spec.limit_price_e9.map(|limit| format!(" limit {}", price(domain::money::Price(limit))));
        let shares = domain::money::Quantity(order.spec.quantity_e9);
        Self {
            id: order.id().to_owned(),
            url: crate::url::Url::Order(order.id()).to_string(),
            what: format!("{side} {} {}{}", quantity(shares), order.spec.symbol, limit.unwrap_or_default()),
            filled: quantity(order.filled),
            status: order.status.name(),
            strategy: order.spec.strategy.clone(),
        }
    }
}
