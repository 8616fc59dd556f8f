//! What vendors tell, as the ports of `ingest` take it.

use contracts::{to_timestamp, v1};
use ingest::import::Quote;
use ingest::live::{Amended, Heard, Minute, Status};
use ingest::news::{self, AskError};
use vendors::{Quoted, Refusal, Told, VendorError};

/// What a stream of the market tells; articles come by one of their own.
pub fn heard(heard: vendors::Heard) -> Option<Heard> {
    Some(match heard {
        vendors::Heard::Article(_) => return None,
        vendors::Heard::Live => Heard::Live,
        vendors::Heard::Minute(told) => Heard::Minute(minute(told)),
        vendors::Heard::Day(told) => Heard::Day(minute(told)),
        vendors::Heard::Quote(told) => {
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
        vendors::Heard::Trade(told) => {
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
        vendors::Heard::Amended(vendors::Amended { symbol, cancelled, words, at_ns }) => {
            Heard::Amended(Amended { symbol, cancelled, words, at_ns })
        }
        vendors::Heard::Status(vendors::Status { symbol, halted, words, at_ns }) => {
            Heard::Status(Status { symbol, halted, words, at_ns })
        }
        vendors::Heard::Unreadable(what) => Heard::Unreadable(what),
        vendors::Heard::Lost { why, again_in } => Heard::Lost { why, again_in },
        vendors::Heard::Refused(error) => Heard::Refused(error.to_string()),
    })
}

/// What a stream of articles tells.
pub fn news(heard: vendors::Heard) -> Option<news::Heard> {
    Some(match heard {
        vendors::Heard::Live => news::Heard::Live,
        vendors::Heard::Article(told) => news::Heard::Article(Box::new(article(*told))),
        vendors::Heard::Unreadable(what) => news::Heard::Unreadable(what),
        vendors::Heard::Lost { why, again_in } => news::Heard::Lost { why, again_in },
        vendors::Heard::Refused(error) => news::Heard::Refused(error.to_string()),
        vendors::Heard::Minute(_)
        | vendors::Heard::Day(_)
        | vendors::Heard::Quote(_)
        | vendors::Heard::Trade(_)
        | vendors::Heard::Amended(_)
        | vendors::Heard::Status(_) => return None,
    })
}

/// An article as its event states it; what follows from the tape is left out.
pub fn article(told: Told) -> v1::NewsArticle {
    v1::NewsArticle {
        source_article_id: told.source_id,
        publisher: told.publisher,
        author: told.author,
        url: told.url,
        headline: told.headline,
        summary: told.summary,
        published: Some(to_timestamp(told.published_ns)),
        updated: Some(to_timestamp(told.updated_ns)),
        symbols: told.symbols,
        ..v1::NewsArticle::default()
    }
}

/// Why there is no page of articles.
pub fn ask_error(error: VendorError) -> AskError {
    let words = error.to_string();
    match error {
        VendorError::Transient { .. } | VendorError::Limited { .. } => AskError::Passing(words),
        VendorError::Refused { kind: Refusal::Credentials, .. } | VendorError::Setup { .. } => {
            AskError::Refused(words)
        }
        VendorError::Refused { kind: Refusal::Unknown | Refusal::Request, .. }
        | VendorError::Broken { .. } => AskError::Symbol(words),
    }
}

fn minute(vendors::Minute { symbol, quoted, revised }: vendors::Minute) -> Minute {
    Minute { symbol, quote: quote(quoted), revised }
}

/// Prices and volume of an interval.
pub fn quote(quoted: Quoted) -> Quote {
    let Quoted { start_ns, open, high, low, close, volume } = quoted;
    Quote { start_ns, open, high, low, close, volume }
}
