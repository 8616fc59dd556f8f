//! The last best bid and offer and the last trade of a symbol, as the stream QUOTES has them.

use contracts::stream::QUOTES;
use contracts::v1::event::Body;
use contracts::{Subject, from_timestamp};
use event_log::{EventLog, LogError};

/// A price with the shares at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizedPrice {
    /// Price of a share, in 1e-9 of the currency; never 0.
    pub price_e9: i64,
    /// How many of them, in 1e-3 of a share.
    pub size_e3: i64,
}

/// Best bid and offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastQuote {
    /// What somebody buys at; nothing where nobody does.
    pub bid: Option<SizedPrice>,
    /// What somebody sells at; nothing where nobody does.
    pub ask: Option<SizedPrice>,
    /// Of when it is, UTC nanoseconds.
    pub at_ns: i64,
}

/// A trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastTrade {
    /// What was traded.
    pub traded: SizedPrice,
    /// Of when it is, UTC nanoseconds.
    pub at_ns: i64,
}

/// What was told last; nothing where none was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastTick {
    /// Best bid and offer.
    pub quote: Option<LastQuote>,
    /// Trade.
    pub trade: Option<LastTrade>,
}

impl SizedPrice {
    /// What a message states; a price of 0 says that there is none.
    fn of(price_e9: i64, size_e3: i64) -> Option<Self> {
        (price_e9 != 0).then_some(Self { price_e9, size_e3 })
    }
}

impl LastTick {
    /// Reads what QUOTES holds last of a symbol. What is no event of its kind counts as absent.
    pub async fn of(tape: &dyn EventLog, symbol: &str) -> Result<Self, LogError> {
        let (quote, trade) = tokio::try_join!(last(tape, "quote", symbol), last(tape, "trade", symbol))?;
        let quote = quote.and_then(|(body, at_ns)| match body {
            Body::Quote(told) => Some(LastQuote {
                bid: SizedPrice::of(told.bid_e9, told.bid_size_e3),
                ask: SizedPrice::of(told.ask_e9, told.ask_size_e3),
                at_ns,
            }),
            _ => None,
        });
        let trade = trade.and_then(|(body, at_ns)| match body {
            Body::Trade(told) => {
                SizedPrice::of(told.price_e9, told.size_e3).map(|traded| LastTrade { traded, at_ns })
            }
            _ => None,
        });
        Ok(Self { quote, trade })
    }
}

/// The last message of a kind, with its event time.
async fn last(tape: &dyn EventLog, kind: &str, symbol: &str) -> Result<Option<(Body, i64)>, LogError> {
    let recorded = match tape.last(QUOTES, Subject::of(&[kind, symbol]).as_str()).await {
        Err(error) if error.is_undecodable() => None,
        other => other?,
    };
    let Some(event) = recorded.map(|recorded| recorded.event) else { return Ok(None) };
    let at_ns = event.event_time.as_ref().and_then(from_timestamp);
    Ok(event.body.zip(at_ns))
}
