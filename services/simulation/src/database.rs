//! The read models in memory, and the projectors that fill them.
//!
//! A commit is rows and checkpoint together, guarded by the checkpoint that the projector expects, as in
//! Postgres. The database may be away, a projector behind, twice, or given a batch twice.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use contracts::v1::event::Body;
use contracts::v1::{CorporateAction, Event};
use contracts::{from_timestamp, stream};
use domain::bar::Bar;
use domain::book::Book;
use domain::money::Price;
use domain::order::OrderState;
use event_log::{Delivery, LogError, Tape};
use planted::Bug;
use runtime::{AsOf, ReadError, clock, is_live};
use tokio::time::Instant;

use crate::executor::yield_now;
use crate::fate::{Fate, Fault};

/// Messages that a projector takes at once.
const BATCH: usize = 64;

/// The database.
#[derive(Clone)]
pub struct Database {
    fate: Fate,
    tables: Arc<Mutex<Tables>>,
}

#[derive(Default)]
struct Tables {
    trading: Book,
    decided: HashSet<String>,
    orders: BTreeMap<String, OrderState>,
    market: u64,
    bars: Vec<(u64, strategy::PastBar)>,
    prices: BTreeMap<String, (Price, i64)>,
    actions: Vec<(u64, i64, CorporateAction)>,
    down_until: Option<Instant>,
}

/// Why a projector begins again.
#[derive(Debug, thiserror::Error)]
pub enum Interrupted {
    /// The tape.
    #[error(transparent)]
    Tape(#[from] LogError),
    /// The database.
    #[error(transparent)]
    Database(#[from] ReadError),
    /// Another projector was first.
    #[error("the checkpoint was moved")]
    Moved,
}

impl Database {
    /// An empty one.
    pub fn new(fate: Fate) -> Self {
        Self { fate, tables: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The book of the `trading` read model, as it is.
    pub fn book(&self) -> Book {
        self.lock().trading.clone()
    }

    /// Looks at the book of the `trading` read model.
    pub fn with_book<Answer>(&self, look: impl FnOnce(&Book) -> Answer) -> Answer {
        look(&self.lock().trading)
    }

    /// The last price of a symbol.
    pub fn price(&self, symbol: &str) -> Option<Price> {
        self.lock().prices.get(symbol).map(|(price, _)| *price)
    }

    /// Its checkpoint.
    pub fn checkpoint(&self) -> u64 {
        self.lock().trading.sequence()
    }

    async fn connect(&self, doing: &'static str) -> Result<(), ReadError> {
        yield_now().await;
        if self.fate.strikes(Fault::DatabaseDown, doing) {
            self.lock().down_until = Some(clock::now() + self.fate.while_ms(4_000));
        }
        if self.lock().down_until.is_some_and(|until| clock::now() < until) {
            return Err(ReadError { doing, source: "connection refused".into() });
        }
        Ok(())
    }

    /// Folds a batch of TRADING behind `expected`; false when the checkpoint stands elsewhere.
    async fn commit_trading(&self, expected: u64, batch: &[(u64, Option<Event>)]) -> Result<bool, ReadError> {
        self.connect("commit").await?;
        if planted::is(Bug::CheckpointOutsideTransaction) {
            let last = batch.last().map_or(expected, |(sequence, _)| *sequence);
            let before = self.lock().trading.clone();
            if before.sequence() != expected {
                return Ok(false);
            }
            self.lock().trading.skip(last);
            yield_now().await;
            self.lock().trading = before;
        }
        let tables = &mut *self.lock();
        if tables.trading.sequence() != expected && !planted::is(Bug::FillAppliedTwice) {
            return Ok(false);
        }
        for (sequence, event) in batch {
            let Some(event) = event else {
                tables.trading.skip(*sequence);
                continue;
            };
            if let Some(Body::RiskDecision(decision)) = &event.body {
                tables.decided.insert(decision.signal_id.clone());
            }
            match tables.trading.apply(*sequence, event) {
                Ok(changes) => {
                    for order_id in changes.orders {
                        if let Some(order) = tables.trading.order(&order_id) {
                            tables.orders.insert(order_id, order.clone());
                        }
                    }
                }
                Err(_) => tables.trading.skip(*sequence),
            }
        }
        Ok(true)
    }

    async fn commit_market(&self, expected: u64, batch: &[(u64, Option<Event>)]) -> Result<bool, ReadError> {
        self.connect("commit").await?;
        let tables = &mut *self.lock();
        if tables.market != expected {
            return Ok(false);
        }
        for (sequence, event) in batch {
            tables.market = *sequence;
            let Some(event) = event else { continue };
            let Some(event_ns) = event.event_time.as_ref().and_then(from_timestamp) else { continue };
            match &event.body {
                Some(Body::Bar(wire)) => {
                    let (Some(bar), Ok(timeframe)) = (Bar::from_wire(wire, event_ns), wire.timeframe.parse())
                    else {
                        continue;
                    };
                    let symbol = wire.symbol.clone();
                    if is_live(wire.origin()) {
                        tables.prices.insert(symbol.clone(), (bar.close, event_ns));
                    }
                    tables.bars.push((*sequence, strategy::PastBar { symbol, timeframe, bar }));
                }
                Some(Body::CorporateAction(action)) => {
                    tables.actions.push((*sequence, event_ns, action.clone()));
                }
                _ => {}
            }
        }
        Ok(true)
    }

    /// Follows TRADING.
    pub async fn project_trading(&self, tape: Tape) -> Result<(), Interrupted> {
        let mut expected = self.checkpoint();
        let mut reader = tape.read(stream::TRADING, &[], expected + 1).await?;
        loop {
            let batch = messages(reader.batch(BATCH).await?);
            self.lag().await;
            if !self.commit_trading(expected, &batch).await? {
                return Err(Interrupted::Moved);
            }
            if self.fate.strikes(Fault::ProjectorTwice, "trading") {
                self.commit_trading(expected, &batch).await?;
            }
            expected = batch.last().map_or(expected, |(sequence, _)| *sequence);
            let _lost = tape.hint("projection.trading.committed", expected.to_string().into_bytes()).await;
        }
    }

    /// Follows MARKET.
    pub async fn project_market(&self, tape: Tape) -> Result<(), Interrupted> {
        let mut expected = self.lock().market;
        let mut reader = tape.read(stream::MARKET, &[], expected + 1).await?;
        loop {
            let batch = messages(reader.batch(BATCH).await?);
            self.lag().await;
            if !self.commit_market(expected, &batch).await? {
                return Err(Interrupted::Moved);
            }
            if self.fate.strikes(Fault::ProjectorTwice, "market") {
                self.commit_market(expected, &batch).await?;
            }
            expected = batch.last().map_or(expected, |(sequence, _)| *sequence);
        }
    }

    async fn lag(&self) {
        if self.fate.strikes(Fault::ProjectorLag, "projector") {
            clock::sleep(self.fate.while_ms(5_000)).await;
        }
    }
}

fn messages(batch: Vec<Delivery>) -> Vec<(u64, Option<Event>)> {
    let message = |delivery| match delivery {
        Delivery::Event(recorded) => (recorded.sequence, Some(recorded.event)),
        Delivery::Undecodable { sequence, .. } => (sequence, None),
    };
    batch.into_iter().map(message).collect()
}

#[async_trait]
impl risk::ReadModel for Database {
    async fn snapshot(&self, signal_ids: &[String]) -> Result<risk::Snapshot, ReadError> {
        self.connect("the book and decisions").await?;
        let tables = self.lock();
        let decided = signal_ids.iter().filter(|id| tables.decided.contains(*id)).cloned().collect();
        Ok(risk::Snapshot { book: tables.trading.clone(), decided })
    }

    async fn prices(&self) -> Result<AsOf<risk::LastPrice>, ReadError> {
        self.connect("last prices").await?;
        let tables = self.lock();
        let row = |(symbol, (price, close_ns)): (&String, &(Price, i64))| risk::LastPrice {
            symbol: symbol.clone(),
            price: *price,
            close_ns: *close_ns,
        };
        Ok(AsOf { checkpoint: tables.market, rows: tables.prices.iter().map(row).collect() })
    }

    async fn history(&self) -> Result<AsOf<(String, Bar)>, ReadError> {
        self.connect("bars of late").await?;
        let tables = self.lock();
        // The simulation's bars are live or rehearsed, all of them.
        let rows = tables.bars.iter().map(|(_, past)| (past.symbol.clone(), past.bar));
        Ok(AsOf { checkpoint: tables.market, rows: rows.collect() })
    }

    async fn actions(&self) -> Result<AsOf<risk::PastAction>, ReadError> {
        self.connect("corporate actions").await?;
        let tables = self.lock();
        let row = |(_, event_ns, action): &(u64, i64, CorporateAction)| risk::PastAction {
            event_ns: *event_ns,
            action: action.clone(),
        };
        Ok(AsOf { checkpoint: tables.market, rows: tables.actions.iter().map(row).collect() })
    }
}

#[async_trait]
impl execution::ReadModel for Database {
    async fn book(&self) -> Result<Book, ReadError> {
        self.connect("the book").await?;
        Ok(self.book())
    }

    async fn order(&self, order_id: &str) -> Result<Option<OrderState>, ReadError> {
        self.connect("an order").await?;
        Ok(self.lock().orders.get(order_id).cloned())
    }
}

#[async_trait]
impl strategy::ReadModel for Database {
    async fn book(&self) -> Result<Book, ReadError> {
        self.connect("the book").await?;
        Ok(self.book())
    }

    async fn order(&self, order_id: &str) -> Result<Option<OrderState>, ReadError> {
        self.connect("an order").await?;
        Ok(self.lock().orders.get(order_id).cloned())
    }

    async fn bars(
        &self,
        wanted: &strategy::Wanted,
        at_sequence: u64,
    ) -> Result<AsOf<strategy::PastBar>, ReadError> {
        self.connect("bars").await?;
        let tables = self.lock();
        let rows = tables.bars.iter().filter(|(sequence, row)| {
            *sequence <= at_sequence && (wanted.symbols.is_empty() || wanted.symbols.contains(&row.symbol))
        });
        Ok(AsOf { checkpoint: tables.market, rows: rows.map(|(_, row)| row.clone()).collect() })
    }

    async fn actions(&self, at_sequence: u64) -> Result<AsOf<strategy::PastAction>, ReadError> {
        self.connect("corporate actions").await?;
        let tables = self.lock();
        let rows = tables.actions.iter().filter(|(sequence, ..)| *sequence <= at_sequence);
        let row = |(sequence, _, action): &(u64, i64, CorporateAction)| strategy::PastAction {
            sequence: *sequence,
            action: action.clone(),
        };
        Ok(AsOf { checkpoint: tables.market, rows: rows.map(row).collect() })
    }
}
