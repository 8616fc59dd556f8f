//! Alpaca's shapes of bars, trades, quotes and everything else on its streams.

use crate::market::{Article, Bar, Event, Quote, Trade, What, dollars};
use crate::wire::{Cell, Record};

/// The exchange that quotes name on both sides.
const QUOTED_AT: &str = "V";

/// A bar.
#[must_use]
pub fn bar(bar: &Bar) -> Record {
    vec![
        ("t", Cell::Time(bar.start_ns)),
        ("o", dollars(bar.open).into()),
        ("h", dollars(bar.high).into()),
        ("l", dollars(bar.low).into()),
        ("c", dollars(bar.close).into()),
        ("v", bar.volume.into()),
        ("n", bar.trades.into()),
        ("vw", dollars(bar.vwap).into()),
    ]
}

/// A trade.
#[must_use]
pub fn trade(trade: &Trade) -> Record {
    vec![
        ("t", Cell::Time(trade.at_ns)),
        ("x", trade.exchange.as_str().into()),
        ("p", dollars(trade.price).into()),
        ("s", trade.size.into()),
        ("c", trade.conditions.as_slice().into()),
        ("i", trade.id.into()),
        ("z", trade.tape.as_str().into()),
    ]
}

/// A quote.
#[must_use]
pub fn quote(quote: &Quote) -> Record {
    vec![
        ("t", Cell::Time(quote.at_ns)),
        ("ax", QUOTED_AT.into()),
        ("ap", dollars(quote.ask).into()),
        ("as", quote.ask_size.into()),
        ("bx", QUOTED_AT.into()),
        ("bp", dollars(quote.bid).into()),
        ("bs", quote.bid_size.into()),
        ("c", Cell::Texts(vec!["R".into()])),
        ("z", quote.tape.as_str().into()),
    ]
}

/// An article as a stream tells it.
#[must_use]
pub fn article(article: &Article) -> Record {
    vec![
        ("id", article.id.into()),
        ("headline", article.headline.as_str().into()),
        ("summary", article.summary.as_str().into()),
        ("author", article.author.as_str().into()),
        ("created_at", Cell::Time(article.created_ns)),
        ("updated_at", Cell::Time(article.updated_ns)),
        ("content", article.content.as_str().into()),
        ("url", article.url.as_str().into()),
        ("symbols", article.symbols.as_slice().into()),
        ("source", article.source.as_str().into()),
    ]
}

/// The list of a subscription that an event belongs to.
#[must_use]
pub const fn channel(what: &What) -> &'static str {
    match what {
        What::Bar { .. } => "bars",
        What::UpdatedBar { .. } => "updatedBars",
        What::DailyBar { .. } => "dailyBars",
        What::Trade { .. } => "trades",
        What::Quote { .. } => "quotes",
        What::Correction { .. } => "corrections",
        What::CancelError { .. } => "cancelErrors",
        What::Status { .. } => "statuses",
        What::Bands { .. } => "lulds",
        What::Imbalance { .. } => "imbalances",
        What::News { .. } => "news",
    }
}

/// The letter that an event's message begins with.
#[must_use]
pub const fn letter(what: &What) -> &'static str {
    match what {
        What::Bar { .. } => "b",
        What::UpdatedBar { .. } => "u",
        What::DailyBar { .. } => "d",
        What::Trade { .. } => "t",
        What::Quote { .. } => "q",
        What::Correction { .. } => "c",
        What::CancelError { .. } => "x",
        What::Status { .. } => "s",
        What::Bands { .. } => "l",
        What::Imbalance { .. } => "i",
        What::News { .. } => "n",
    }
}

/// An event as a stream tells it.
#[must_use]
pub fn message(event: &Event) -> Record {
    let mut record: Record = vec![("T", letter(&event.what).into())];
    if !matches!(event.what, What::News { .. }) {
        record.push(("S", event.symbol.as_str().into()));
    }
    record.extend(match &event.what {
        What::Bar { bar: told, .. } | What::UpdatedBar { bar: told } | What::DailyBar { bar: told } => {
            bar(told)
        }
        What::Trade { trade: told } => trade(told),
        What::Quote { quote: told } => quote(told),
        What::Correction { original, corrected } => vec![
            ("x", original.exchange.as_str().into()),
            ("oi", original.id.into()),
            ("op", dollars(original.price).into()),
            ("os", original.size.into()),
            ("oc", original.conditions.as_slice().into()),
            ("ci", corrected.id.into()),
            ("cp", dollars(corrected.price).into()),
            ("cs", corrected.size.into()),
            ("cc", corrected.conditions.as_slice().into()),
            ("t", Cell::Time(corrected.at_ns)),
            ("z", corrected.tape.as_str().into()),
        ],
        What::CancelError { trade, action } => vec![
            ("i", trade.id.into()),
            ("x", trade.exchange.as_str().into()),
            ("p", dollars(trade.price).into()),
            ("s", trade.size.into()),
            ("a", action.as_str().into()),
            ("t", Cell::Time(trade.at_ns)),
            ("z", trade.tape.as_str().into()),
        ],
        What::Status { code, message, reason_code, reason } => vec![
            ("sc", code.as_str().into()),
            ("sm", message.as_str().into()),
            ("rc", reason_code.as_str().into()),
            ("rm", reason.as_str().into()),
            ("t", Cell::Time(event.at_ns)),
            ("z", "C".into()),
        ],
        What::Bands { up, down, indicator } => vec![
            ("u", dollars(*up).into()),
            ("d", dollars(*down).into()),
            ("i", indicator.as_str().into()),
            ("t", Cell::Time(event.at_ns)),
            ("z", "C".into()),
        ],
        What::Imbalance { price } => {
            vec![("p", dollars(*price).into()), ("t", Cell::Time(event.at_ns)), ("z", "C".into())]
        }
        What::News { article: told } => article(told),
    });
    record
}
