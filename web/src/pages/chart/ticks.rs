//! The last quote and the last trade, where they are streamed.

use askama::Template;
use domain::money::{Price, Volume};
use event_log::LogError;
use runtime::LastTick;

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
    let mut side = |title, price_e9, size_e3| {
        // Nobody on this side.
        let told = (price_e9 != 0).then(|| (price(Price(price_e9)), volume(Volume(size_e3))));
        let (price, size) = told.unwrap_or_else(|| ("–".to_owned(), "–".to_owned()));
        sides.push(Side { title, price, size });
    };
    let mut at = Vec::new();
    if let Some((quote, at_ns)) = quote {
        side("Bid", quote.bid_e9, quote.bid_size_e3);
        side("Ask", quote.ask_e9, quote.ask_size_e3);
        at.push(Instant(at_ns));
    }
    if let Some((trade, at_ns)) = trade {
        side("Trade", trade.price_e9, trade.size_e3);
        at.push(Instant(at_ns));
    }
    Ok((!sides.is_empty()).then_some(Ticks { sides, at }))
}
