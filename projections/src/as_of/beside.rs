//! What the read model counts beside the book: where an order began, what its fills slipped, a strategy's signals.
//!
//! Only of orders that the book still knows, so that it stays as small as the book.

use std::collections::BTreeMap;

use contracts::v1::Event;
use contracts::v1::event::Body;
use domain::book::{Book, Changes, SETTLED_ORDERS_MAX};
use serde::{Deserialize, Serialize};

use crate::trading::summary;

/// Orders beyond the book's that may be kept before those it has let go of are dropped.
const SLACK: usize = SETTLED_ORDERS_MAX;

/// Of an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct OrderSeen {
    /// TRADING sequence at which it began.
    pub first_sequence: u64,
    /// TRADING sequence that last changed it.
    pub sequence: u64,
    /// Σ slippage × quantity of the fills.
    #[serde(with = "domain::money::stored")]
    pub slipped: i128,
}

/// Of a strategy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct StrategySeen {
    /// TRADING sequence that last changed it.
    pub sequence: u64,
    /// Number of signals.
    pub signals: u64,
    /// TRADING sequence of the last signal.
    pub last_sequence: Option<u64>,
    /// Its event id.
    pub last_id: Option<String>,
    /// It in words.
    pub last: String,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Beside {
    orders: BTreeMap<String, OrderSeen>,
    strategies: BTreeMap<String, StrategySeen>,
    /// Orders kept when those that the book has let go of were dropped last.
    kept: usize,
}

impl Beside {
    /// Orders, by id.
    pub fn orders(&self) -> impl Iterator<Item = (&str, &OrderSeen)> {
        self.orders.iter().map(|(order_id, seen)| (order_id.as_str(), seen))
    }

    /// A strategy.
    pub fn strategy(&self, strategy: &str) -> StrategySeen {
        self.strategies.get(strategy).cloned().unwrap_or_default()
    }

    /// Takes note of what an event changed.
    pub fn note(&mut self, sequence: u64, event: &Event, changes: &Changes, book: &Book) {
        for order_id in &changes.orders {
            let new = OrderSeen { first_sequence: sequence, ..OrderSeen::default() };
            self.orders.entry(order_id.clone()).or_insert(new).sequence = sequence;
        }
        for strategy in &changes.strategies {
            self.strategies.entry(strategy.clone()).or_default().sequence = sequence;
        }
        match &event.body {
            Some(Body::Fill(fill)) => {
                let slipped = i128::from(fill.slippage_e9).saturating_mul(i128::from(fill.quantity_e9));
                if let Some(seen) = self.orders.get_mut(&fill.order_id) {
                    seen.slipped = seen.slipped.saturating_add(slipped);
                }
            }
            Some(body @ Body::Signal(signal)) => {
                let seen = self.strategies.entry(signal.strategy.clone()).or_default();
                seen.signals += 1;
                seen.last_sequence = Some(sequence);
                seen.last_id = Some(event.id.clone());
                seen.last = summary::of(body).text;
            }
            _ => {}
        }
        if self.orders.len() > self.kept + SLACK {
            self.orders.retain(|order_id, _| book.order(order_id).is_some());
            self.kept = self.orders.len();
        }
    }
}
