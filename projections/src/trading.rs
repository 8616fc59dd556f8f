//! The projection `trading`: the domain's book as rows, and the history beside it.
//!
//! Every event goes through [`Book::apply`] and nothing else decides what it means. The book says which
//! keys changed; exactly those rows are written. The tables that only grow are read off the event.

pub(crate) mod load;
pub(crate) mod names;
mod history;
mod requests;
mod state;
pub(crate) mod summary;
mod tables;
pub(crate) mod at_broker;

use std::collections::BTreeMap;

use async_trait::async_trait;
use contracts::v1::AccountEntry;
use contracts::v1::event::Body;
use domain::book::{Book, PositionKey, Scope};
use domain::money::Quantity;
use domain::order::OrderState;
use event_log::Recorded;
use sqlx::PgConnection;

pub(crate) use tables::TABLES;

use crate::calendar::{event_time, taken};
use crate::projection::{FoldError, Projection, Stopped};
use crate::table::{Cell, Rows, Table};

/// What is counted per strategy beside the book.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signalled {
    pub signals: u64,
    pub last_sequence: Option<u64>,
    pub last: String,
}

/// The fold.
pub(crate) struct Trading {
    book: Book,
    signalled: BTreeMap<String, Signalled>,
    rows: Vec<Rows>,
    accounts: BTreeMap<String, u64>,
    positions: BTreeMap<PositionKey, u64>,
    strategies: BTreeMap<String, u64>,
    limits: BTreeMap<Scope, u64>,
    tallies: BTreeMap<(String, String), u64>,
    /// Orders changed since rows were taken, where one is found that ended and has left the book
    /// meanwhile.
    orders: BTreeMap<String, OrderState>,
}

impl Default for Trading {
    fn default() -> Self {
        Self {
            book: Book::default(),
            signalled: BTreeMap::new(),
            rows: TABLES.iter().map(|table| Rows::new(table)).collect(),
            accounts: BTreeMap::new(),
            positions: BTreeMap::new(),
            strategies: BTreeMap::new(),
            limits: BTreeMap::new(),
            tallies: BTreeMap::new(),
            orders: BTreeMap::new(),
        }
    }
}

/// Shares of the position that an entry is about, pending fractions included.
pub(crate) fn shares(book: &Book, entry: &AccountEntry) -> Quantity {
    let position = book.position(&entry.account, &entry.strategy, &entry.symbol);
    position.and_then(|row| row.quantity.checked_add(row.fraction)).unwrap_or_default()
}

impl Trading {
    fn push(&mut self, table: &'static Table, cells: Vec<Cell>) {
        if let Some(rows) = self.rows.iter_mut().find(|rows| std::ptr::eq(rows.table, table)) {
            rows.push(cells);
        }
    }

    pub(super) fn realized(&self, account: &str, strategy: &str, symbol: &str) -> domain::money::Amount {
        let position = self.book.position(account, strategy, symbol);
        position.map(|position| position.realized_pnl).unwrap_or_default()
    }

    /// Turns the keys that the book changed into rows, as the book holds them now.
    fn write_state(&mut self) {
        for (account, sequence) in std::mem::take(&mut self.accounts) {
            if let Some(row) = self.book.account(&account) {
                let cells = state::account(row, sequence);
                self.push(&tables::ACCOUNTS, cells);
            }
        }
        for (key, sequence) in std::mem::take(&mut self.positions) {
            if let Some(row) = self.book.position(&key.account, &key.strategy, &key.symbol) {
                let cells = state::position(row, self.book.lots(&key), sequence);
                self.push(&tables::POSITIONS, cells);
            }
        }
        for (strategy, sequence) in std::mem::take(&mut self.strategies) {
            if let Some(row) = self.book.strategy(&strategy) {
                let signalled = self.signalled.get(&strategy).cloned().unwrap_or_default();
                let cells = state::strategy(row, &signalled, sequence);
                self.push(&tables::STRATEGIES, cells);
            }
        }
        for (scope, sequence) in std::mem::take(&mut self.limits) {
            if let Some(row) = self.book.limit_set(&scope) {
                let cells = state::limit_set(row, sequence);
                self.push(&tables::LIMIT_SETS, cells);
            }
        }
        for ((account, strategy), sequence) in std::mem::take(&mut self.tallies) {
            if let Some(row) = self.book.tally(&account, &strategy) {
                let cells = state::tally(row, sequence);
                self.push(&tables::RISK_TALLIES, cells);
            }
        }
    }
}

#[async_trait]
impl Projection for Trading {
    async fn load(
        &mut self,
        connection: &mut PgConnection,
        schema: &str,
        sequence: u64,
    ) -> Result<(), sqlx::Error> {
        let loaded = load::loaded(connection, schema).await?;
        self.signalled = loaded.signalled;
        // The caller's checkpoint counts: when another instance moves it meanwhile, the guard of the next
        // batch refuses and everything is loaded again.
        self.book = Book::from_parts(domain::book::Parts { sequence, ..loaded.parts });
        Ok(())
    }

    async fn bring(
        &mut self,
        connection: &mut PgConnection,
        schema: &str,
        order_id: &str,
    ) -> Result<bool, sqlx::Error> {
        let changed = self.orders.get(order_id).cloned();
        let order = match changed {
            Some(order) => Some(order),
            None => load::order(connection, schema, order_id).await?,
        };
        let found = order.is_some();
        if let Some(order) = order {
            self.book.admit(order);
        }
        Ok(found)
    }

    fn fold(&mut self, recorded: &mut Recorded) -> Result<(), Stopped> {
        let sequence = recorded.sequence;
        let event_time_ns = event_time(recorded)?;
        let realized_before = match recorded.event.body.as_ref() {
            Some(Body::Fill(fill)) => self.realized(&fill.account, &fill.strategy, &fill.symbol),
            Some(Body::FillCorrected(fill)) => self.realized(&fill.account, &fill.strategy, &fill.symbol),
            Some(Body::FillBusted(fill)) => self.realized(&fill.account, &fill.strategy, &fill.symbol),
            _ => domain::money::Amount::ZERO,
        };
        // What an operator asked for, before risk's answer takes it out of the book.
        let asked = match recorded.event.body.as_ref() {
            Some(Body::RiskDecision(decision)) => self.book.pending_signal(&decision.signal_id).cloned(),
            _ => None,
        };
        let shares_before = match recorded.event.body.as_ref() {
            Some(Body::AccountEntry(entry)) => shares(&self.book, entry),
            _ => Quantity::ZERO,
        };
        let changes = self.book.apply(sequence, &recorded.event).map_err(stopped)?;
        self.accounts.extend(changes.accounts.into_iter().map(|account| (account, sequence)));
        self.positions.extend(changes.positions.into_iter().map(|position| (position, sequence)));
        self.strategies.extend(changes.strategies.into_iter().map(|strategy| (strategy, sequence)));
        self.limits.extend(changes.limits.into_iter().map(|scope| (scope, sequence)));
        self.tallies.extend(changes.tallies.into_iter().map(|key| (key, sequence)));
        for order_id in changes.orders {
            let Some(order) = self.book.order(&order_id).cloned() else { continue };
            let cells = state::order(&order, sequence);
            self.push(&tables::ORDERS, cells);
            self.orders.insert(order_id, order);
        }
        for signal_id in changes.signals {
            let pending = self.book.pending_signal(&signal_id);
            let cells = state::pending(&signal_id, pending, sequence);
            self.push(&tables::PENDING_SIGNALS, cells);
        }
        self.requests(recorded, asked.as_ref().map(|asked| &asked.event));
        if let Some(asked) = &asked {
            self.denied_terms(recorded, &asked.event, event_time_ns);
        }
        self.history(recorded, event_time_ns, realized_before, shares_before);
        Ok(())
    }

    fn skip(&mut self, sequence: u64) {
        self.book.skip(sequence);
    }

    fn take(&mut self) -> Vec<Rows> {
        self.write_state();
        self.orders.clear();
        self.rows.iter_mut().map(taken).collect()
    }
}

fn stopped(error: domain::book::FoldError) -> Stopped {
    if let domain::book::FoldError::OrderNotLoaded { order_id } = &error {
        return Stopped::Needs { order_id: order_id.clone(), poison: FoldError::Book(error) };
    }
    Stopped::Poison(FoldError::Book(error))
}
