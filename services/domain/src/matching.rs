//! Simulated matching of market and limit orders against bars.
//!
//! A decision is known at its bar's close, so an order accepted at instant T trades on bars whose first
//! tradable moment is not before T: a market order at the next bar's open of its symbol, plus slippage;
//! a limit order when a bar trades through its limit, at the open when that is already better, otherwise
//! at the limit, without slippage. Only bars that overlap the regular session count; the first tradable
//! moment of a bar is its start or the session's open, whichever is later. Orders are filled whole.
//!
//! A day order ends with the session in which it could trade: one accepted at or after a close belongs to
//! the next session.
//!
//! Within a bar, orders trade by (accepted, order id). A bar for a symbol without orders costs one look
//! at an empty list.
//!
//! Deliberately absent: stops, partial fills, volume limits, the tape, the calendar (an argument).

mod costs;
mod working;

use std::collections::BTreeMap;

use contracts::v1::TimeInForce;

pub use costs::{CostError, CostTable, commission, slip};
pub use working::{Unsupported, WorkingOrder};

use crate::bar::Bar;
use crate::calendar::Session;
use crate::money::{Price, Quantity};
use crate::order::Execution;

/// An execution of a working order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Order that traded.
    pub order_id: String,
    /// How it traded.
    pub execution: Execution,
}

/// An order whose session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Order.
    pub order_id: String,
    /// Why.
    pub reason: String,
}

/// Working orders by symbol.
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    slots: BTreeMap<String, usize>,
    working: Vec<Vec<WorkingOrder>>,
    slot_of_order: BTreeMap<String, usize>,
}

impl Matcher {
    /// The number of a symbol, by which [`Matcher::on_bar`] finds its orders without comparing text.
    pub fn slot(&mut self, symbol: &str) -> usize {
        if let Some(slot) = self.slots.get(symbol) {
            return *slot;
        }
        let slot = self.working.len();
        self.working.push(Vec::new());
        self.slots.insert(symbol.to_owned(), slot);
        slot
    }

    /// Works an order. The same order again changes nothing.
    pub fn accept(&mut self, order: WorkingOrder) {
        if self.slot_of_order.contains_key(&order.order_id) {
            return;
        }
        let slot = self.slot(&order.symbol);
        self.slot_of_order.insert(order.order_id.clone(), slot);
        let orders = &mut self.working[slot];
        let place = orders.partition_point(|known| known.priority() < order.priority());
        orders.insert(place, order);
    }

    /// Stops working an order and returns it; `None` when it is not worked.
    pub fn remove(&mut self, order_id: &str) -> Option<WorkingOrder> {
        let slot = self.slot_of_order.remove(order_id)?;
        let orders = self.working.get_mut(slot)?;
        let place = orders.iter().position(|order| order.order_id == order_id)?;
        Some(orders.remove(place))
    }

    /// A worked order.
    #[must_use]
    pub fn get(&self, order_id: &str) -> Option<&WorkingOrder> {
        let slot = *self.slot_of_order.get(order_id)?;
        self.working.get(slot)?.iter().find(|order| order.order_id == order_id)
    }

    /// Restates a worked order after a split.
    pub fn restate(&mut self, order_id: &str, remaining: Quantity, limit: Option<Price>) {
        let Some(orders) = self.slot_of_order.get(order_id).and_then(|slot| self.working.get_mut(*slot))
        else {
            return;
        };
        if let Some(order) = orders.iter_mut().find(|order| order.order_id == order_id) {
            order.remaining = remaining;
            order.limit = limit.or(order.limit);
        }
    }

    /// Every worked order, by symbol slot, then by (accepted, order id).
    pub fn orders(&self) -> impl Iterator<Item = &WorkingOrder> {
        self.working.iter().flatten()
    }

    /// Trades a symbol's orders against a bar. `session` is the regular session that the bar overlaps;
    /// without one nothing trades. Matches are appended to `out`; what traded is worked no longer.
    ///
    /// An error names the order whose costs leave their range; that order and those after it still wait.
    pub fn on_bar(
        &mut self,
        slot: usize,
        bar: &Bar,
        session: Option<&Session>,
        costs: &CostTable,
        out: &mut Vec<Match>,
    ) -> Result<(), CostError> {
        let Some(orders) = self.working.get_mut(slot).filter(|orders| !orders.is_empty()) else {
            return Ok(());
        };
        let Some(session) = session.filter(|session| session.overlaps(bar.start_ns, bar.close_ns)) else {
            return Ok(());
        };
        let first_ns = bar.start_ns.max(session.open_ns);
        let mut place = 0;
        while let Some(order) = orders.get(place) {
            match order.trade(bar, first_ns, costs)? {
                None => place += 1,
                Some(execution) => {
                    let order = orders.remove(place);
                    self.slot_of_order.remove(&order.order_id);
                    out.push(Match { order_id: order.order_id, execution });
                }
            }
        }
        Ok(())
    }

    /// Ends the day orders of a session that closed at `close_ns`, by order id. An order accepted at the
    /// close or later belongs to the next session and stays.
    pub fn on_session_closed(&mut self, close_ns: i64) -> Vec<Expiry> {
        let over =
            |order: &&WorkingOrder| order.time_in_force == TimeInForce::Day && order.accepted_ns < close_ns;
        let mut ended: Vec<_> = self.orders().filter(over).map(|order| order.order_id.clone()).collect();
        ended.sort_unstable();
        let expiries = ended.into_iter().filter_map(|order_id| {
            self.remove(&order_id)?;
            Some(Expiry { order_id, reason: "day order: the session closed".to_owned() })
        });
        expiries.collect()
    }
}
