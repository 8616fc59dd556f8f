//! Quotes and trades on their way to the stream QUOTES: of each symbol the newest one, now and then, with how many were
//! told since the one before.
//!
//! Nothing is folded from them and nothing waits for them: what cannot be stored is counted and told by the next one.
//! They are appended beside the bars, so that a bar is not late because of them.

use std::collections::BTreeMap;
use std::time::Duration;

use contracts::v1::event::Body;
use contracts::v1::{Event, Quote, Trade};
use contracts::{Subject, event_id};
use event_log::{Append, Expect, Tape};
use futures::StreamExt as _;
use runtime::clock;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::event;

/// Appends under way at the same time.
const AT_ONCE: usize = 64;

/// The newest of each symbol that is not on the tape.
pub(super) struct Ticks {
    tape: Tape,
    source: String,
    every: Duration,
    due_at: Instant,
    quotes: BTreeMap<String, (Quote, i64)>,
    trades: BTreeMap<String, (Trade, i64)>,
    /// Those that are on their way, and how many of them were stored.
    under_way: Option<JoinHandle<u64>>,
    stored: u64,
}

impl Drop for Ticks {
    fn drop(&mut self) {
        if let Some(under_way) = &self.under_way {
            under_way.abort();
        }
    }
}

impl Ticks {
    /// Of each symbol one quote and one trade in `every`.
    pub(super) fn new(tape: Tape, source: &str, every: Duration) -> Self {
        Self {
            tape,
            source: source.to_owned(),
            every,
            due_at: clock::now() + every,
            quotes: BTreeMap::new(),
            trades: BTreeMap::new(),
            under_way: None,
            stored: 0,
        }
    }

    /// Takes a quote as of `at_ns`.
    pub(super) fn quote(&mut self, mut quote: Quote, at_ns: i64) {
        match self.quotes.get_mut(&quote.symbol) {
            Some((known, known_ns)) => {
                quote.told = quote.told.saturating_add(known.told);
                if at_ns >= *known_ns {
                    (*known, *known_ns) = (quote, at_ns);
                } else {
                    known.told = quote.told;
                }
            }
            None => {
                self.quotes.insert(quote.symbol.clone(), (quote, at_ns));
            }
        }
    }

    /// Takes a trade of `at_ns`.
    pub(super) fn trade(&mut self, trade: Trade, at_ns: i64) {
        match self.trades.get_mut(&trade.symbol) {
            Some((known, known_ns)) => {
                let told = known.told.saturating_add(trade.told);
                let size = known.told_size_e3.saturating_add(trade.told_size_e3);
                if at_ns >= *known_ns {
                    (*known, *known_ns) = (trade, at_ns);
                }
                (known.told, known.told_size_e3) = (told, size);
            }
            None => {
                self.trades.insert(trade.symbol.clone(), (trade, at_ns));
            }
        }
    }

    /// Sends what is due, unless what was sent before is still on its way.
    pub(super) async fn tick(&mut self) {
        if let Some(under_way) = self.under_way.take_if(|under_way| under_way.is_finished()) {
            self.stored += under_way.await.unwrap_or_default();
        }
        if self.under_way.is_some() || clock::now() < self.due_at {
            return;
        }
        self.due_at = clock::now() + self.every;
        let events = self.take();
        if !events.is_empty() {
            self.under_way = Some(tokio::spawn(store(self.tape.clone(), events)));
        }
    }

    /// How many were stored so far.
    pub(super) fn stored(&self) -> u64 {
        self.stored
    }

    fn take(&mut self) -> Vec<Event> {
        let quotes = std::mem::take(&mut self.quotes).into_iter();
        let trades = std::mem::take(&mut self.trades).into_iter();
        let source = &self.source;
        let tick = |kind: &str, symbol: &str, at_ns: i64, body: Body| {
            let id = event_id(&format!("{source}/{symbol}/{at_ns}"), kind, 0);
            event::first_cause(source, id, at_ns, body)
        };
        let quotes = quotes.map(|(symbol, (quote, at_ns))| tick("quote", &symbol, at_ns, Body::Quote(quote)));
        let trades = trades.map(|(symbol, (trade, at_ns))| tick("trade", &symbol, at_ns, Body::Trade(trade)));
        quotes.chain(trades).collect()
    }
}

/// Appends, a few at a time; answers how many were stored.
async fn store(tape: Tape, events: Vec<Event>) -> u64 {
    let appends = events.into_iter().filter_map(|event| {
        let subject = Subject::for_event(&event, None)?;
        Some(Append { subject, event, expect: Expect::Nothing })
    });
    let outcomes = futures::stream::iter(appends).map(|append| tape.append(append)).buffer_unordered(AT_ONCE);
    let (stored, problem) = outcomes
        .fold((0, None), async |(stored, problem), outcome| match outcome {
            Ok(_) => (stored + 1, problem),
            Err(error) => (stored, Some(error)),
        })
        .await;
    if let Some(error) = problem {
        tracing::warn!(%error, "quotes or trades not stored: {error}");
    }
    stored
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use contracts::stream::QUOTES;
    use event_log::MemoryLog;

    use super::*;

    fn quote(symbol: &str, bid_e9: i64) -> Quote {
        Quote { symbol: symbol.to_owned(), bid_e9, told: 1, ..Quote::default() }
    }

    #[tokio::test]
    async fn the_newest_of_each_symbol_is_stored_with_how_many_there_were() {
        let tape: Tape = Arc::new(MemoryLog::new());
        let mut ticks = Ticks::new(Arc::clone(&tape), "vendor", Duration::ZERO);
        for (symbol, bid, at_ns) in [("A", 1, 10), ("A", 2, 30), ("A", 3, 20), ("B", 4, 10)] {
            ticks.quote(quote(symbol, bid), at_ns);
        }
        for (price_e9, size_e3) in [(5, 100), (6, 50)] {
            let symbol = "A".to_owned();
            let (told, told_size_e3) = (1, size_e3);
            let trade = Trade { symbol, price_e9, size_e3, told, told_size_e3, ..Trade::default() };
            ticks.trade(trade, price_e9);
        }
        ticks.tick().await;
        while ticks.under_way.is_some() {
            tokio::task::yield_now().await;
            ticks.tick().await;
        }
        assert_eq!(ticks.stored(), 3);
        let last = async |subject: &str| tape.last(QUOTES, subject).await.unwrap().unwrap().event;
        let Some(Body::Quote(stored)) = last("quote.A").await.body else { panic!("no quote") };
        assert_eq!((stored.bid_e9, stored.told), (2, 3));
        let Some(Body::Trade(stored)) = last("trade.A").await.body else { panic!("no trade") };
        assert_eq!((stored.price_e9, stored.told, stored.told_size_e3), (6, 2, 150));
        // What is told again counts anew.
        ticks.quote(quote("A", 7), 40);
        assert_eq!(ticks.quotes["A"].0.told, 1);
    }
}
