//! The market: clock, session, last prices.

use askama::Template;
use domain::calendar::{self, Calendar, OutOfRange};
use projections::queries::{self, LastPrice, QueryError};
use runtime::ClockMode;

use crate::app::App;
use crate::pages::{Body, Rendering, Scope, Shown};
use crate::view::{Instant, Signed, duration_words, market_time, price, signed_percent};

const PRICES_MAX: usize = 16;

#[derive(Template)]
#[template(path = "clock.html")]
struct ClockPanel {
    v: u64,
    iso: String,
    text: String,
    speed: String,
}

/// The session at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Market {
    open: bool,
    status: &'static str,
    hint: String,
    next_open: String,
    next_close: String,
}

impl Market {
    /// What the exchange calendar says at `now_ns`.
    fn at(now_ns: i64, calendar: &Calendar) -> Result<Self, OutOfRange> {
        let current = calendar.current_or_next(now_ns)?;
        let following = calendar.next_session_after(now_ns)?;
        let open = current.contains(now_ns);
        let next = if open { current.close_ns } else { current.open_ns };
        let verb = if open { "closes" } else { "opens" };
        let early = if open && current.early_close { ", early" } else { "" };
        Ok(Self {
            open,
            status: if open { "Open" } else { "Closed" },
            hint: format!("{verb} in {}{early}", duration_words(next - now_ns)),
            next_open: market_time(following.open_ns),
            next_close: market_time(current.close_ns),
        })
    }
}

#[derive(Template)]
#[template(path = "overview/market.html")]
struct MarketPanel {
    v: u64,
    body: Body<Market>,
}

/// Last prices.
#[derive(Clone, Debug)]
struct Prices {
    rows: Vec<PriceRow>,
    /// Symbols not listed.
    more: usize,
}

#[derive(Clone, Debug)]
struct PriceRow {
    symbol: String,
    timeframe: String,
    time: Instant,
    close: String,
    change: Signed,
    seq: u64,
}

#[derive(Template)]
#[template(path = "overview/prices.html")]
struct PricesPanel {
    v: u64,
    body: Body<Prices>,
}

/// The clock that decisions follow: the wall's, or the tape's, which is the newest instant at which
/// accounts were marked and, before the first, that of the newest bar or session.
pub async fn market_now(app: &App) -> Result<Option<i64>, QueryError> {
    if app.context.clock == ClockMode::Wall {
        return Ok(Some(runtime::now_ns()));
    }
    let pool = &app.config.pool;
    let marked = queries::accounts(pool).await?.into_iter().filter_map(|account| account.marked_ns).max();
    if marked.is_some() {
        return Ok(marked);
    }
    let projections = queries::checkpoints(pool).await?;
    let market = projections.into_iter().filter(|row| row.stream == contracts::stream::MARKET);
    Ok(market.filter_map(|row| row.event_time_ns).max())
}

/// Market time in the header.
pub async fn clock(scope: &Scope<'_>) -> Rendering {
    let now = market_now(scope.app).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "market time not read: {error}");
        None
    });
    ClockPanel {
        v: scope.version,
        iso: now.map(|now| Instant(now).iso()).unwrap_or_default(),
        text: now.map_or_else(|| "–".to_owned(), market_time),
        speed: scope.app.config.speed.text(),
    }
    .render()
}

/// Whose sessions the panel tells.
pub fn exchange(calendar: &Calendar) -> &'static str {
    match calendar.market() {
        calendar::Market::Xnys => "NYSE",
        other => other.name(),
    }
}

/// Market status.
pub async fn market(scope: &Scope<'_>) -> Rendering {
    let read = async {
        let Some(now) = market_now(scope.app).await.map_err(|error| error.to_string())? else {
            return Ok(None);
        };
        Market::at(now, scope.app.config.calendar).map(Some).map_err(|error| error.to_string())
    };
    let body = Body::read(scope, &super::MARKET, read).await;
    MarketPanel { v: scope.version, body }.render()
}

/// Last price per symbol.
pub async fn prices(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &super::PRICES, read_prices(scope)).await;
    PricesPanel { v: scope.version, body }.render()
}

async fn read_prices(scope: &Scope<'_>) -> Result<Option<Prices>, QueryError> {
    let prices = queries::last_prices(&scope.app.config.pool).await?.prices;
    Ok((!prices.is_empty()).then(|| Prices {
        rows: prices.iter().take(PRICES_MAX).map(PriceRow::of).collect(),
        more: prices.len().saturating_sub(PRICES_MAX),
    }))
}

impl PriceRow {
    fn of(bar: &LastPrice) -> Self {
        let before = bar.previous_close.filter(|before| before.0 > 0);
        let change = before.map(|before| bar.close.to_f64() / before.to_f64() - 1.0);
        Self {
            symbol: bar.symbol.clone(),
            timeframe: bar.timeframe.clone(),
            time: Instant(bar.close_ns),
            close: price(bar.close),
            change: signed_percent(change),
            seq: bar.sequence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn the_calendar_tells_open_closed_and_early_close() -> Result<(), OutOfRange> {
        let calendar = Calendar::xnys();
        // Tuesday 2026-01-06 14:30 ET.
        let market = Market::at(1_767_727_800 * SECOND, calendar)?;
        assert_eq!((market.status, market.hint.as_str()), ("Open", "closes in 1 h 30 min"));
        assert_eq!(market.next_open, "Wed 7 Jan 2026, 09:30 ET");
        // The evening of Thanksgiving 2025: the next session closes early.
        let market = Market::at(1_764_288_000 * SECOND, calendar)?;
        assert_eq!(market.status, "Closed");
        assert_eq!(market.next_close, "Fri 28 Nov 2025, 13:00 ET");
        // A market that never rests was open then, and stays so.
        let market = Market::at(1_764_288_000 * SECOND, calendar::Market::TwentyFourSeven.calendar())?;
        assert_eq!((market.status, market.next_close.as_str()), ("Open", "Fri 28 Nov 2025, 19:00 ET"));
        Ok(())
    }
}
