//! The last event of each open order: what a broker answers when it is asked to cancel.
//!
//! Deliberately absent: orders that have ended, which nobody cancels.

use std::collections::BTreeMap;

use contracts::order_of;
use contracts::v1::Event;
use contracts::v1::event::Body;

/// Ids of the last events of open orders, by the order's id.
#[derive(Debug, Default)]
pub(crate) struct LastEvents(BTreeMap<String, String>);

impl LastEvents {
    /// Takes note of an event where causes are recorded.
    pub fn note(&mut self, recorded: bool, event: &Event) {
        let Some(body) = event.body.as_ref().filter(|_| recorded) else { return };
        let Some(order_id) = order_of(body) else { return };
        if is_end(body) {
            self.0.remove(order_id);
        } else {
            self.0.insert(order_id.to_owned(), event.id.clone());
        }
    }

    /// Id of the last event of an open order; nothing where causes are not recorded.
    pub fn of(&self, order_id: &str) -> Option<String> {
        self.0.get(order_id).cloned()
    }
}

fn is_end(body: &Body) -> bool {
    match body {
        Body::OrderRejected(_) | Body::OrderCancelled(_) | Body::OrderExpired(_) => true,
        Body::Fill(fill) => fill.remaining_e9 == 0,
        _ => false,
    }
}
