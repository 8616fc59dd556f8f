//! The market as the Overview shows it: the session, last prices, what was found about the data.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::calendar::Calendar;
use projections::queries;
use serde::Serialize;
use utoipa::ToSchema;

use super::fields::{Asked, NoFields};
use super::{Problem, Problems};
use crate::app::App;
use crate::error::PageError;
use crate::pages::overview::market_now;

/// The session of the tape's market at the market's own time.
#[derive(Debug, Serialize, ToSchema)]
pub struct Session {
    /// The calendar of the tape: `XNYS`, `24x5` or `24x7`.
    calendar: &'static str,
    /// Market time, UTC nanoseconds: that of the last bar or mark.
    now_ns: i64,
    /// Whether the exchange is open.
    open: bool,
    /// Next open, UTC nanoseconds.
    next_open_ns: i64,
    /// Next close, UTC nanoseconds.
    next_close_ns: i64,
    /// Whether the session that closes next closes early.
    early_close: bool,
}

/// The bar of a symbol that closed last.
#[derive(Debug, Serialize, ToSchema)]
pub struct Price {
    /// Symbol.
    symbol: String,
    /// Timeframe of the bar.
    timeframe: String,
    /// Its close, a decimal in US dollars.
    close: String,
    /// Its close's time, UTC nanoseconds.
    close_ns: i64,
    /// Close of the bar before it; null when there is none.
    previous_close: Option<String>,
}

/// How many findings about the data there are.
#[derive(Debug, Serialize, ToSchema)]
pub struct Findings {
    /// `info`, `warning` or `error`.
    severity: String,
    /// How many.
    findings: u64,
}

/// The market.
#[derive(Debug, Serialize, ToSchema)]
pub struct Market {
    /// Null before the market's first event.
    session: Option<Session>,
    /// By symbol.
    prices: Vec<Price>,
    /// By severity.
    findings: Vec<Findings>,
}

/// Session, last prices, and how many findings about the data there are.
#[utoipa::path(get, path = "/api/v1/market", tag = "market", operation_id = "get_market",
    responses((status = 200, body = Market), Problems))]
pub async fn market(State(app): State<Arc<App>>, _: Asked<NoFields>) -> Result<Json<Market>, Problem> {
    let pool = &app.config.pool;
    let calendar = app.config.calendar;
    let session = market_now(&app).await?.map(|now_ns| session(now_ns, calendar)).transpose()?;
    let prices = queries::last_prices(pool).await?.prices.into_iter().map(|price| Price {
        symbol: price.symbol,
        timeframe: price.timeframe,
        close: price.close.to_string(),
        close_ns: price.close_ns,
        previous_close: price.previous_close.map(|close| close.to_string()),
    });
    let prices = prices.collect();
    let findings = queries::quality_counts(pool).await?.into_iter();
    let findings =
        findings.map(|count| Findings { severity: count.severity, findings: count.findings }).collect();
    Ok(Json(Market { session, prices, findings }))
}

fn session(now_ns: i64, calendar: &Calendar) -> Result<Session, PageError> {
    let unknown = |error: domain::calendar::OutOfRange| PageError::Unknown(error.to_string());
    let current = calendar.current_or_next(now_ns).map_err(unknown)?;
    let following = calendar.next_session_after(now_ns).map_err(unknown)?;
    Ok(Session {
        calendar: calendar.exchange(),
        now_ns,
        open: current.contains(now_ns),
        next_open_ns: following.open_ns,
        next_close_ns: current.close_ns,
        early_close: current.early_close,
    })
}
