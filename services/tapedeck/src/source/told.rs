//! What vendors tell of the market, as the port of `ingest` takes it.

use contracts::v1;
use ingest::import::Quote;
use ingest::live::{Amended, Heard, Minute, Status};
use ingest::quality::Unapplied;
use vendors::{MarketMessage, Quoted};

/// What is heard of a stream of the market.
pub fn heard(heard: vendors::Heard<MarketMessage>) -> Heard {
    match heard {
        vendors::Heard::Live => Heard::Live,
        vendors::Heard::Told(told) => message(told),
        vendors::Heard::Unreadable(what) => Heard::Unreadable(what),
        vendors::Heard::Lost { why, again_in } => Heard::Lost { why, again_in },
        vendors::Heard::Refused(error) => Heard::Refused(error.to_string()),
    }
}

fn message(told: MarketMessage) -> Heard {
    match told {
        MarketMessage::Minute(told) => Heard::Minute(minute(told)),
        MarketMessage::Day(told) => Heard::Day(minute(told)),
        MarketMessage::Quote(told) => {
            let at_ns = told.at_ns;
            let quote = v1::Quote {
                symbol: told.symbol,
                bid_e9: told.bid.0,
                ask_e9: told.ask.0,
                bid_size_e3: told.bid_size.0,
                ask_size_e3: told.ask_size.0,
                bid_exchange: told.bid_exchange,
                ask_exchange: told.ask_exchange,
                told: told.told,
            };
            Heard::Quote(quote, at_ns)
        }
        MarketMessage::Trade(told) => {
            let at_ns = told.at_ns;
            let trade = v1::Trade {
                symbol: told.symbol,
                price_e9: told.price.0,
                size_e3: told.size.0,
                exchange: told.exchange,
                trade_id: told.id,
                told: told.told,
                told_size_e3: told.told_size.0,
            };
            Heard::Trade(trade, at_ns)
        }
        MarketMessage::Amended(vendors::Amended { symbol, cancelled, words, at_ns }) => {
            Heard::Amended(Amended { symbol, cancelled, words, at_ns })
        }
        MarketMessage::Status(vendors::Status { symbol, halted, words, at_ns }) => {
            Heard::Status(Status { symbol, halted, words, at_ns })
        }
    }
}

fn minute(vendors::Minute { symbol, quoted, revised }: vendors::Minute) -> Minute {
    Minute { symbol, quote: quote(quoted), revised }
}

/// An action of a symbol that changes nothing here.
pub fn unapplied(symbol: &str, told: vendors::Unapplied) -> Unapplied {
    Unapplied { symbol: symbol.to_owned(), date: told.date, words: told.words }
}

/// Prices and volume of an interval.
pub fn quote(quoted: Quoted) -> Quote {
    let Quoted { start_ns, open, high, low, close, volume } = quoted;
    Quote { start_ns, open, high, low, close, volume }
}
