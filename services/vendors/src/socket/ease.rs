//! Quotes and trades while whoever listens is busy: of each symbol the newest one waits, with how many it stands for, so
//! that thousands a second fill no queue and what cannot be told again, the bars, finds room.
//!
//! Nothing is lost without a word: every one that was told is counted in the one that comes through.

use std::collections::BTreeMap;

use crate::live::{Heard, Quote, Trade};

/// The newest quote and trade of each symbol that found no room.
#[derive(Debug, Default)]
pub(super) struct Ease {
    quotes: BTreeMap<String, Quote>,
    trades: BTreeMap<String, Trade>,
}

impl Ease {
    /// Keeps a quote or a trade; gives back everything else.
    pub(super) fn keep(&mut self, heard: Heard) -> Option<Heard> {
        match heard {
            Heard::Quote(mut quote) => {
                if let Some(known) = self.quotes.get(&quote.symbol) {
                    quote.told = quote.told.saturating_add(known.told);
                }
                self.quotes.insert(quote.symbol.clone(), quote);
            }
            Heard::Trade(mut trade) => {
                if let Some(known) = self.trades.get(&trade.symbol) {
                    trade.told = trade.told.saturating_add(known.told);
                    trade.told_size.0 = trade.told_size.0.saturating_add(known.told_size.0);
                }
                self.trades.insert(trade.symbol.clone(), trade);
            }
            other => return Some(other),
        }
        None
    }

    /// What was kept.
    pub(super) fn take(&mut self) -> Vec<Heard> {
        let quotes = std::mem::take(&mut self.quotes).into_values().map(Heard::Quote);
        let trades = std::mem::take(&mut self.trades).into_values().map(Heard::Trade);
        quotes.chain(trades).collect()
    }
}

/// Whether something may be told later in another one's name.
pub(super) fn may_wait(heard: &Heard) -> bool {
    matches!(heard, Heard::Quote(_) | Heard::Trade(_))
}

#[cfg(test)]
mod tests {
    use domain::money::{Price, Volume};

    use super::*;

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
            assert_eq!(ease.keep(Heard::Trade(trade)), None);
        }
        assert_eq!(ease.keep(Heard::Live), Some(Heard::Live));
        let kept = ease.take();
        let [Heard::Trade(trade)] = kept.as_slice() else { panic!("{kept:?}") };
        assert_eq!((trade.price, trade.told, trade.told_size), (Price(3), 3, Volume(30)));
        assert_eq!(ease.take(), []);
    }
}
