//! The last quote and the last trade of a symbol.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::money::{Price, Volume};
use runtime::{LastTick, SizedPrice};
use serde::Serialize;
use utoipa::ToSchema;

use super::fields::{Asked, At, NoFields, SymbolName, Word};
use super::{Problem, Problems};
use crate::app::App;
use crate::error::PageError;
use crate::pages::chart::symbol;

/// Best bid and offer.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuoteNow {
    /// Highest price that somebody pays, a decimal in US dollars; null when nobody does.
    bid: Option<String>,
    /// How many shares of it, a decimal; 0 when nobody does.
    bid_size: String,
    /// Lowest price that somebody sells at, a decimal in US dollars; null when nobody does.
    ask: Option<String>,
    /// How many shares of it, a decimal; 0 when nobody does.
    ask_size: String,
    /// When, UTC nanoseconds.
    at_ns: i64,
}

/// A trade at an exchange.
#[derive(Debug, Serialize, ToSchema)]
pub struct TradeNow {
    /// A decimal in US dollars.
    price: String,
    /// Shares, a decimal.
    size: String,
    /// When, UTC nanoseconds.
    at_ns: i64,
}

/// What was told last about a symbol, where quotes and trades are streamed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ticks {
    /// Symbol.
    symbol: String,
    /// Null when none is on the tape.
    quote: Option<QuoteNow>,
    /// Null when none is on the tape.
    trade: Option<TradeNow>,
}

/// The last quote and the last trade of a symbol.
#[utoipa::path(get, path = "/api/v1/quotes/{symbol}", tag = "market", operation_id = "get_quote",
    params(SymbolName), responses((status = 200, body = Ticks), Problems))]
pub async fn last(
    State(app): State<Arc<App>>,
    At(Word(name)): At<Word>,
    _: Asked<NoFields>,
) -> Result<Json<Ticks>, Problem> {
    let symbol = symbol(&name)?;
    let LastTick { quote, trade } =
        LastTick::of(app.context.tape.as_ref(), &symbol).await.map_err(PageError::from)?;
    let price = |told: SizedPrice| Price(told.price_e9).to_string();
    let size = |told: SizedPrice| Volume(told.size_e3).to_string();
    let none = || Volume::ZERO.to_string();
    let quote = quote.map(|quote| QuoteNow {
        bid: quote.bid.map(price),
        bid_size: quote.bid.map_or_else(none, size),
        ask: quote.ask.map(price),
        ask_size: quote.ask.map_or_else(none, size),
        at_ns: quote.at_ns,
    });
    let trade = trade.map(|trade| TradeNow {
        price: price(trade.traded),
        size: size(trade.traded),
        at_ns: trade.at_ns,
    });
    Ok(Json(Ticks { symbol, quote, trade }))
}
