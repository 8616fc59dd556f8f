//! Simulated matching of orders against bars: every type, time in force and group.
//!
//! A decision is known at its bar's close, so an order accepted at instant T trades on bars whose first
//! tradable moment is not before T: a market order at the next bar's open of its symbol, plus slippage;
//! a limit order when a bar trades through its limit, at the open when that is already better, otherwise
//! at the limit, without slippage. Only bars that overlap the regular session count; the first tradable
//! moment of a bar is its start or the session's open, whichever is later.
//!
//! A day order ends with the session in which it could trade: one accepted at or after a close belongs to
//! the next session. `docs/orders.md` states the conventions of the other types.
//!
//! Within a bar, orders trade by (accepted, order id); those of one group trade together. A bar for a symbol
//! without orders costs one look at an empty list.
//!
//! [`kernel`] is one order against one bar, [`queue`] the orders of one symbol, both on plain numbers; the
//! [`Matcher`] gives them their names.
//!
//! Deliberately absent: the tape, the calendar (an argument).

pub mod kernel;
pub mod queue;
mod bounds;
mod costs;
mod end;
mod working;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use costs::{
    CostError, CostTable, US_SALE_FEE_PER_SHARE_E9, US_SALE_FEE_PER_SHARE_MOST, US_SALE_FEE_RATE_E9, charge,
    commission, outlay, slip, slip_volume, us_sale_fees, volume_most,
};
pub use working::{Terms, Unsupported, WorkingOrder, check_terms, reducing_most, tradable};

use crate::bar::Bar;
use crate::calendar::Session;
use crate::order::{BrokerReport, Execution, OrderState};
use kernel::{Bounds, End, Outcome};
use queue::{Link, Queue};

/// What happened to a working order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Order.
    pub order_id: String,
    /// What a broker says of it.
    pub report: BrokerReport,
    /// Whether the order works no longer.
    pub ended: bool,
}

/// Working orders by symbol.
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    slots: BTreeMap<String, usize>,
    queues: Vec<Queue<Arc<str>>>,
    worked: BTreeMap<Arc<str>, Worked>,
}

#[derive(Clone, Debug)]
struct Worked {
    slot: usize,
    account: String,
}

impl Matcher {
    /// The number of a symbol, by which [`Matcher::on_bar`] finds its orders without comparing text.
    pub fn slot(&mut self, symbol: &str) -> usize {
        if let Some(slot) = self.slots.get(symbol) {
            return *slot;
        }
        let slot = self.queues.len();
        self.queues.push(Queue::default());
        self.slots.insert(symbol.to_owned(), slot);
        slot
    }

    /// Works an order. The same order again changes nothing.
    pub fn accept(&mut self, order: WorkingOrder) {
        if self.worked.contains_key(order.order_id.as_str()) {
            return;
        }
        let slot = self.slot(&order.symbol);
        let key: Arc<str> = order.order_id.as_str().into();
        let link =
            order.group.as_ref().map(|(group, role)| Link { group: group.as_str().into(), role: *role });
        self.worked.insert(Arc::clone(&key), Worked { slot, account: order.account.clone() });
        let priority = order.priority();
        self.queues[slot].insert(Arc::clone(&key), order.resting, link, |known| {
            (known.order.accepted_ns, known.key.as_ref()) >= priority
        });
    }

    /// Stops working an order; false when it is not worked. Exits that have nothing to close without it end
    /// through `out`.
    pub fn remove(&mut self, order_id: &str, out: &mut Vec<Match>) -> bool {
        let Some(worked) = self.worked.remove(order_id) else { return false };
        let key: Arc<str> = order_id.into();
        self.queues[worked.slot].remove(&key, &mut |key, outcome| tell(&key, outcome, out));
        self.forget(out);
        true
    }

    /// Whether an order is worked.
    #[must_use]
    pub fn works(&self, order_id: &str) -> bool {
        self.worked.contains_key(order_id)
    }

    /// What has become of a worked order.
    #[must_use]
    pub fn get(&self, order_id: &str) -> Option<&kernel::Resting> {
        let worked = self.worked.get(order_id)?;
        self.queues[worked.slot].get(&Arc::from(order_id)).map(|queued| &queued.order)
    }

    /// Restates a worked order after a split, to what the book says of it.
    pub fn restate(&mut self, order: &OrderState) {
        let Some(worked) = self.worked.get(order.id()) else { return };
        if let (Ok(Some(restated)), Some(queued)) =
            (WorkingOrder::resume(order), self.queues[worked.slot].get_mut(&Arc::from(order.id())))
        {
            let accepted_ns = queued.order.accepted_ns;
            queued.order = restated.resting;
            queued.order.accepted_ns = accepted_ns;
        }
    }

    /// Works an order under the terms that replace its own, behind what was accepted before `now_ns`. False when it is
    /// not worked, or cannot be under these terms.
    pub fn replace(&mut self, order: &OrderState, now_ns: i64) -> bool {
        let (Some(worked), Some(replace)) = (self.worked.get(order.id()), &order.replace) else {
            return false;
        };
        let mut new = order.clone();
        new.spec = replace.apply(&order.spec);
        new.accepted_ns = Some(now_ns);
        let Ok(Some(working)) = WorkingOrder::resume(&new) else { return false };
        if working.resting.remaining <= crate::money::Quantity::ZERO {
            return false;
        }
        let key: Arc<str> = Arc::from(order.id());
        let priority = working.priority();
        self.queues[worked.slot].replace(&key, working.resting, |known| {
            (known.order.accepted_ns, known.key.as_ref()) >= priority
        });
        true
    }

    /// Number of orders worked.
    #[must_use]
    pub fn working(&self) -> usize {
        self.worked.len()
    }

    /// Bars whose outcome for a group of orders was not certain, so that the worse was taken.
    #[must_use]
    pub fn ambiguous_bars(&self) -> u64 {
        self.queues.iter().map(Queue::ambiguous_bars).sum()
    }

    /// Trades a symbol's orders against a bar. `session` is the regular session that the bar overlaps;
    /// without one nothing trades. What happened is appended to `out`; what ended is worked no longer.
    pub fn on_bar(
        &mut self,
        slot: usize,
        bar: &Bar,
        session: Option<&Session>,
        costs: &CostTable,
        out: &mut Vec<Match>,
    ) {
        let Some(queue) = self.queues.get_mut(slot).filter(|queue| !queue.is_empty()) else { return };
        let worked = &self.worked;
        let costs_of = |key: &Arc<str>| costs.get(worked.get(key).map_or("", |worked| &worked.account));
        let Some(session) = session.filter(|session| session.overlaps(bar.start_ns, bar.close_ns)) else {
            queue.on_extended_bar(bar, costs_of, |key, outcome| tell(&key, outcome, out));
            self.forget(out);
            return;
        };
        queue.on_bar(bar, session.into(), costs_of, |key, outcome| tell(&key, outcome, out));
        self.forget(out);
    }

    /// Ends what the close of a session ends, by order id. An order accepted at the close or later belongs
    /// to the next session and stays.
    pub fn on_session_closed(&mut self, session: Bounds) -> Vec<Match> {
        let mut out = Vec::new();
        for queue in &mut self.queues {
            queue.on_session_closed(session, |key, outcome| tell(&key, outcome, &mut out));
        }
        out.sort_by(|one, other| one.order_id.cmp(&other.order_id));
        self.forget(&out);
        out
    }

    fn forget(&mut self, out: &[Match]) {
        for matched in out.iter().filter(|matched| matched.ended) {
            self.worked.remove(matched.order_id.as_str());
        }
    }
}

/// What a broker says of an outcome.
fn tell(order_id: &str, outcome: Outcome, out: &mut Vec<Match>) {
    let mut say = |report, ended| out.push(Match { order_id: order_id.to_owned(), report, ended });
    if let Some(triggered) = outcome.triggered {
        let (stop, at_ns) = (triggered.stop, triggered.at_ns);
        say(BrokerReport::Triggered { stop, at_ns }, false);
    }
    if let Some(filled) = outcome.filled {
        let execution = Execution {
            execution_id: format!("sim-{order_id}-{}", filled.number),
            quantity: filled.quantity,
            price: filled.price,
            commission: filled.commission,
            slippage: filled.slippage,
            executed_ns: filled.executed_ns,
            ambiguous: filled.ambiguous,
        };
        say(BrokerReport::Filled(execution), outcome.ended == Some(End::Filled));
    }
    if let Some(trailed) = outcome.trailed {
        say(BrokerReport::Trailed { extreme: trailed.extreme, stop: trailed.stop }, false);
    }
    match outcome.ended {
        None | Some(End::Filled) => {}
        Some(End::Costs(field)) => {
            let reason = CostError { order_id: order_id.to_owned(), field }.to_string();
            say(BrokerReport::Cancelled { reason }, true);
        }
        Some(end) if end.is_expiry() => say(BrokerReport::Expired { reason: end.reason().to_owned() }, true),
        Some(end) => say(BrokerReport::Cancelled { reason: end.reason().to_owned() }, true),
    }
}
