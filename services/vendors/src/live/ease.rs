//! What may wait while whoever listens is busy. Of the quotes and the trades of each symbol the newest one waits, with how
//! many it stands for, so that thousands a second fill no queue and what cannot be told again, the bars, finds room.
//!
//! Nothing is lost without a word: every one that was told is counted in the one that comes through. Articles do not wait.

use std::collections::BTreeMap;

use super::{MarketMessage, Quote, Trade};
use crate::news::Told;
use crate::socket::Tell;

/// The newest quote and trade of each symbol that found no room.
#[derive(Debug, Default)]
pub(crate) struct Ease {
    quotes: BTreeMap<String, Quote>,
    trades: BTreeMap<String, Trade>,
}

impl Tell for MarketMessage {
    type Waiting = Ease;

    fn wait(self, ease: &mut Ease) -> Option<Self> {
        match self {
            Self::Quote(mut quote) => {
                if let Some(known) = ease.quotes.get(&quote.symbol) {
                    quote.told = quote.told.saturating_add(known.told);
                }
                ease.quotes.insert(quote.symbol.clone(), quote);
            }
            Self::Trade(mut trade) => {
                if let Some(known) = ease.trades.get(&trade.symbol) {
                    trade.told = trade.told.saturating_add(known.told);
                    trade.told_size.0 = trade.told_size.0.saturating_add(known.told_size.0);
                }
                ease.trades.insert(trade.symbol.clone(), trade);
            }
            other => return Some(other),
        }
        None
    }

    fn take(ease: &mut Ease) -> Vec<Self> {
        let quotes = std::mem::take(&mut ease.quotes).into_values().map(Self::Quote);
        let trades = std::mem::take(&mut ease.trades).into_values().map(Self::Trade);
        quotes.chain(trades).collect()
    }
}

impl Tell for Told {
    type Waiting = ();

    fn wait(self, _: &mut ()) -> Option<Self> {
        Some(self)
    }

    fn take(_: &mut ()) -> Vec<Self> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use domain::money::{Price, Volume};

    use super::*;
    use crate::live::Status;

    #[test]
    fn the_newest_of_a_symbol_stands_for_all_that_were_told() {
        let mut ease = Ease::default();
        for price in [1, 2, 3] {
            let trade = Trade {
                symbol: "SPY".into(),
                price: Price(price),
                size: Volume(10),
                exchange: String::new(),
                id: String::new(),
                told: 1,
                told_size: Volume(10),
                at_ns: price,
            };
            assert_eq!(MarketMessage::Trade(trade).wait(&mut ease), None);
        }
        let halt = Status { symbol: "SPY".into(), halted: Some(true), words: String::new(), at_ns: 4 };
        let halt = MarketMessage::Status(halt);
        assert_eq!(halt.clone().wait(&mut ease), Some(halt));
        let kept = MarketMessage::take(&mut ease);
        let [MarketMessage::Trade(trade)] = kept.as_slice() else { panic!("{kept:?}") };
        assert_eq!((trade.price, trade.told, trade.told_size), (Price(3), 3, Volume(30)));
        assert_eq!(MarketMessage::take(&mut ease), []);
    }

    #[test]
    fn an_article_does_not_wait() {
        let article = Told { headline: "One".into(), ..Told::default() };
        assert_eq!(article.clone().wait(&mut ()), Some(article));
        assert_eq!(Told::take(&mut ()), []);
    }
}
