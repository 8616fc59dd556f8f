//! What is remembered of Alpaca's ids: which order of ours one names, and which execution on the tape.
//!
//! Bounded: what is forgotten is asked for. Nothing here is a truth, the tape and Alpaca are.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use contracts::order_of_client;
use domain::money::Quantity;

use crate::wire::Order;

/// Ids remembered of each kind.
const IDS_MAX: usize = 65_536;

/// A map that forgets what it learned first.
#[derive(Debug)]
struct Recent<K, V> {
    values: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Clone + Eq + Hash, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { values: HashMap::new(), order: VecDeque::new() }
    }
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    fn put(&mut self, key: K, value: V) {
        if self.values.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > IDS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.values.remove(&oldest);
        }
    }
}

/// An execution on the tape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OnTape {
    pub order_id: String,
    pub execution_id: String,
}

#[derive(Debug, Default)]
struct Ids {
    /// Our order by Alpaca's id.
    orders: Recent<String, String>,
    /// Alpaca's newest id by our order.
    newest: Recent<String, String>,
    /// The tape's execution by the id that `trade_updates` gave.
    executions: Recent<String, OnTape>,
}

/// The memory.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<Ids>);

impl Known {
    fn ids(&self) -> MutexGuard<'_, Ids> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Learns that Alpaca's order `id` is our `order_id`.
    pub(crate) fn learn(&self, id: &str, order_id: &str) {
        if !id.is_empty() {
            let mut ids = self.ids();
            ids.orders.put(id.to_owned(), order_id.to_owned());
            ids.newest.put(order_id.to_owned(), id.to_owned());
        }
    }

    /// Learns it of one that may have been replaced meanwhile.
    pub(crate) fn learn_old(&self, id: &str, order_id: &str) {
        let mut ids = self.ids();
        ids.orders.put(id.to_owned(), order_id.to_owned());
        if !ids.newest.values.contains_key(order_id) {
            ids.newest.put(order_id.to_owned(), id.to_owned());
        }
    }

    /// Whether it is known which of our orders Alpaca's `id` is.
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.ids().orders.values.contains_key(id)
    }

    /// Our order that one of Alpaca's is; `None` for an order that is not this program's.
    pub(crate) fn order_of(&self, order: &Order) -> Option<String> {
        if let Some(known) = self.ids().orders.values.get(&order.id) {
            return Some(known.clone());
        }
        order_of_client(&order.client_order_id).map(|(order_id, _)| order_id.to_owned())
    }

    /// Alpaca's newest id of our order, where it is known.
    pub(crate) fn id_of(&self, order_id: &str) -> Option<String> {
        self.ids().newest.values.get(order_id).cloned()
    }

    /// Learns which execution on the tape one of `trade_updates` is.
    pub(crate) fn executed(&self, told: &str, on_tape: OnTape) {
        if !told.is_empty() {
            self.ids().executions.put(told.to_owned(), on_tape);
        }
    }

    /// The execution on the tape that `trade_updates` told under this id.
    pub(crate) fn execution(&self, told: &str) -> Option<OnTape> {
        self.ids().executions.values.get(told).cloned()
    }
}

/// The id of an execution on the tape. Both `trade_updates` and the list of activities say of which order it is and how
/// much of that was filled with it, and under no other id that both know.
pub(crate) fn execution_id(broker_order_id: &str, filled: Quantity) -> String {
    format!("{broker_order_id}/{filled}")
}
