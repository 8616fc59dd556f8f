//! Decisions that stand beyond what a book has folded, and those of which it has folded too much.
//!
//! The decisions of one round stand on one snapshot. Each knows of those before it what their fold will know, and of
//! nothing that came of them since.

use contracts::from_timestamp;
use contracts::v1::event::Body;
use contracts::v1::{Event, RiskDecision};

use super::Book;
use super::shared::Shared;
use crate::money::{Price, Quantity};
use crate::order::{OrderState, Replacement};

impl Book {
    /// Counts a decision that is not folded yet, as its fold will: the orders that it approves, new terms with the order
    /// and the fills that they are of, what is to be cancelled, and the rates. What no book can fold counts for nothing.
    pub fn foresee(&mut self, wire: &Event) {
        if let Some((decision, event_ns)) = decision_of(wire) {
            let _unfoldable = self.decided(decision, wire, event_ns);
        }
    }

    /// Puts the orders of a decision that is folded back to how it left them, whatever has become of them since: what it
    /// approved is approved just now, and of new terms the ones before stand with the fills of then.
    pub fn restore(&mut self, wire: &Event) {
        let Some((decision, event_ns)) = decision_of(wire) else { return };
        for spec in &decision.orders {
            let replaced = decision.inputs.iter().find_map(|input| {
                let terms = input.replaced.as_ref().filter(|terms| terms.order_id == spec.order_id)?;
                Some((terms, Quantity(input.replaced_filled_e9), Price(input.price_e9)))
            });
            let order = match replaced {
                Some((terms, filled, price)) => {
                    // It was open then. One that has ended since may have left memory, and is told from none.
                    let known = self.orders.get(&spec.order_id).map(Shared::own);
                    let known = known.unwrap_or_else(|| OrderState::approved(terms.clone(), price, event_ns));
                    let mut order = OrderState { spec: terms.clone(), filled, ..known };
                    order.ask(Replacement::of(spec, &wire.id));
                    order
                }
                None => self.approved(decision, wire, event_ns, spec),
            };
            self.admit(order);
        }
        decision.cancels.iter().for_each(|order_id| self.expect_cancel(order_id));
    }
}

fn decision_of(wire: &Event) -> Option<(&RiskDecision, i64)> {
    let Some(Body::RiskDecision(decision)) = &wire.body else { return None };
    Some((decision, wire.event_time.as_ref().and_then(from_timestamp)?))
}
