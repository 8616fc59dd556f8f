//! The last quote and the last trade, where they are streamed.

use askama::Template;
use domain::money::{Price, Volume};
use event_log::LogError;
use runtime::{LastTick, SizedPrice};

use super::TICKS;
use crate::pages::{Body, Rendering, Scope, Shown};
use crate::view::{Instant, price, volume};

/// A price with its shares.
#[derive(Clone, Debug)]
struct Side {
    title: &'static str,
    price: String,
    size: String,
}

#[derive(Clone, Debug)]
struct Ticks {
    sides: Vec<Side>,
    /// Of when the quote is, and the trade.
    at: Vec<Instant>,
}

#[derive(Template)]
#[template(path = "chart/ticks.html")]
struct TicksPanel<'a> {
    v: u64,
    symbol: &'a str,
    body: Body<Ticks>,
}

/// Renders the last quote and trade.
pub async fn ticks(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &TICKS, read(scope)).await;
    TicksPanel { v: scope.version, symbol: scope.symbol, body }.render()
}

async fn read(scope: &Scope<'_>) -> Result<Option<Ticks>, LogError> {
    let LastTick { quote, trade } = LastTick::of(scope.app.context.tape.as_ref(), scope.symbol).await?;
    let mut sides = Vec::new();
    let mut side = |title, told: Option<SizedPrice>| {
        let texts = told.map(|told| (price(Price(told.price_e9)), volume(Volume(told.size_e3))));
        // Nobody on this side.
        let (price, size) = texts.unwrap_or_else(|| ("–".to_owned(), "–".to_owned()));
        sides.push(Side { title, price, size });
    };
    let mut at = Vec::new();
    if let Some(quote) = quote {
        side("Bid", quote.bid);
        side("Ask", quote.ask);
        at.push(Instant(quote.at_ns));
    }
    if let Some(trade) = trade {
        side("Trade", Some(trade.traded));
        at.push(Instant(trade.at_ns));
    }
    Ok((!sides.is_empty()).then_some(Ticks { sides, at }))
}
