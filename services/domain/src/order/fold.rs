//! The fold of an order: what each event on the tape makes of it.
//!
//! The tape is the truth, so an event that comes at an odd moment (an acceptance after the fill, a fill
//! after the cancel) is folded for what it says. Refused is only what cannot be true.

use contracts::from_timestamp;
use contracts::v1::event::Body;
use contracts::v1::{Fill, OrderAdjusted, OrderSubmitted};

use super::{CENT, Executed, OrderState, OrderStatus, REOPENED, Replacement};
use crate::money::{Amount, E9, Price, Quantity, div_half_even};

/// An event that contradicts the order it names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvolveError {
    /// More would be filled than was ordered.
    #[error("order {order_id}: fill {number} of {quantity} exceeds the {unfilled} not filled yet")]
    Overfilled {
        /// Order.
        order_id: String,
        /// Number of the fill.
        number: u32,
        /// Quantity of the fill.
        quantity: Quantity,
        /// What was left.
        unfilled: Quantity,
    },
    /// A value that must be positive is not.
    #[error("order {order_id}: field `{field}` is {value}, expected a positive value")]
    NotPositive {
        /// Order.
        order_id: String,
        /// Field of the event.
        field: &'static str,
        /// Its value in decimal.
        value: Quantity,
    },
    /// A sum left its range.
    #[error("order {order_id}: field `{field}` overflows")]
    Overflow {
        /// Order.
        order_id: String,
        /// Field of the state.
        field: &'static str,
    },
}

impl OrderState {
    /// Folds `body`, an order event or a fill of this order, with event time `event_ns`, stored at
    /// `sequence` of TRADING. Other bodies change nothing. On an error the state is as it was.
    pub fn evolve(&mut self, sequence: u64, event_ns: i64, body: &Body) -> Result<(), EvolveError> {
        match body {
            Body::OrderSubmitted(event) => self.submitted(event, event_ns),
            Body::OrderAccepted(event) => {
                self.broker_order_id.clone_from(&event.broker_order_id);
                self.accepted_ns.get_or_insert(event_ns);
                if event.reopened && self.status.is_ended() {
                    (self.status, self.ended_ns) = (OrderStatus::Accepted, None);
                    REOPENED.clone_into(&mut self.reason);
                }
                self.resolving.clear();
                if matches!(self.status, OrderStatus::Submitted | OrderStatus::Suspended) {
                    self.status = OrderStatus::Accepted;
                }
            }
            Body::OrderRejected(event) => self.end(OrderStatus::Rejected, &event.reason, event_ns),
            Body::OrderCancelRequested(_) => self.cancel_requested = !self.status.is_ended(),
            Body::OrderCancelled(event) => self.end(OrderStatus::Cancelled, &event.reason, event_ns),
            Body::OrderCancelRejected(_) => {
                self.cancel_requested = false;
                self.cancel_refused_ns = Some(event_ns);
                self.settled("cancel");
            }
            Body::OrderReplaced(event) => {
                self.positive("quantity_e9", event.quantity_e9)?;
                self.take_revision(event, event_ns);
                if self.unfilled() == Quantity::ZERO {
                    self.end(OrderStatus::Filled, "", event_ns);
                }
            }
            Body::OrderExpired(event) => self.end(OrderStatus::Expired, &event.reason, event_ns),
            Body::OrderSuspended(event) => {
                if !self.status.is_ended() {
                    self.status = OrderStatus::Suspended;
                    self.reason.clone_from(&event.reason);
                }
            }
            Body::OrderAdjusted(event) => self.adjusted(event)?,
            Body::OrderTriggered(event) => {
                let at_ns = event.triggered_at.as_ref().and_then(from_timestamp).unwrap_or(event_ns);
                self.triggered_ns.get_or_insert(at_ns);
            }
            Body::OrderTrailed(event) => {
                self.extreme = Some(Price(event.extreme_price_e9));
                self.spec.stop_price_e9 = Some(event.stop_price_e9);
            }
            Body::Fill(fill) => self.fill(fill, event_ns)?,
            // A replacement asked for or refused leaves the terms as they are.
            Body::OrderReplaceRequested(event) => {
                let asked = self.replace.as_mut().filter(|replace| replace.revision == event.revision);
                if let Some(replace) = asked {
                    replace.requested = true;
                }
            }
            // One that names no revision is of before they were numbered.
            Body::OrderReplaceRejected(event) => {
                let refused =
                    |asked: &mut Replacement| event.revision == 0 || asked.revision <= event.revision;
                self.replace.take_if(refused);
                self.settled("replace");
            }
            Body::OrderUnresolved(event) => {
                if !self.status.is_ended() {
                    self.resolving.clone_from(&event.doing);
                }
            }
            Body::FillCorrected(event) => {
                let commission = Amount::from_wire(event.commission.as_ref());
                let (quantity, price) = (Quantity(event.quantity_e9), Price(event.price_e9));
                let ids = (&event.execution_id, &event.correction_id);
                self.restate_execution(ids.0, ids.1, quantity, price, commission);
            }
            Body::FillBusted(event) => {
                let (price, ids) = (Price(event.price_e9), (&event.execution_id, &event.correction_id));
                self.restate_execution(ids.0, ids.1, Quantity::ZERO, price, Amount::ZERO);
            }
            _ => return Ok(()),
        }
        if matches!(body, Body::Fill(_) | Body::OrderTriggered(_) | Body::OrderTrailed(_)) {
            self.worked_ns = Some(event_ns);
        }
        self.last_sequence = sequence;
        self.updated_ns = event_ns;
        Ok(())
    }

    fn submitted(&mut self, event: &OrderSubmitted, event_ns: i64) {
        self.client_order_id.clone_from(&event.client_order_id);
        self.broker.clone_from(&event.broker);
        self.submitted_ns.get_or_insert(event_ns);
        if self.status == OrderStatus::Approved {
            self.status = OrderStatus::Submitted;
        }
    }

    fn end(&mut self, status: OrderStatus, reason: &str, event_ns: i64) {
        if self.status.is_ended() {
            return;
        }
        self.status = status;
        self.cancel_requested = false;
        self.resolving.clear();
        self.ended_ns = Some(event_ns);
        reason.clone_into(&mut self.reason);
    }

    /// Takes note that the broker answered what it was asked.
    pub(super) fn settled(&mut self, doing: &str) {
        if self.resolving == doing {
            self.resolving.clear();
        }
    }

    /// Shares not filled any more after an execution; `None` when it would fill more than was ordered.
    pub(super) fn after(&self, quantity: Quantity, price: Price) -> Option<Quantity> {
        let Some(unspent) = self.unspent() else {
            let left = self.unfilled().checked_sub(quantity)?;
            return (left >= Quantity::ZERO).then_some(left);
        };
        let left = unspent.checked_sub(Amount::notional(price, quantity))?;
        if left < -CENT {
            return None;
        }
        let shares = left.0.saturating_mul(i128::from(E9)) / i128::from(price.0.max(1));
        let left = if left < CENT { 0 } else { i64::try_from(shares).unwrap_or(i64::MAX) };
        let most = self.most_left().map_or(left, |most| most.0.saturating_sub(quantity.0).max(0));
        Some(Quantity(left.min(most)))
    }

    /// A split restates the whole order, so what was filled is restated in the same proportion, and the
    /// reference price against it.
    fn adjusted(&mut self, event: &OrderAdjusted) -> Result<(), EvolveError> {
        let new = self.positive("quantity_e9", event.quantity_e9)?;
        let old = self.positive("quantity_e9", self.spec.quantity_e9)?;
        let scale = |value: i64, numerator: i64, denominator: i64, field| {
            let scaled = div_half_even(i128::from(value) * i128::from(numerator), i128::from(denominator));
            i64::try_from(scaled)
                .map_err(|_| EvolveError::Overflow { order_id: self.spec.order_id.clone(), field })
        };
        let mut filled = Quantity(scale(self.filled.0, new, old, "filled")?);
        // Of an order for whole shares whole shares are left, no more than the split makes of what was left.
        if self.filled == self.filled.whole() && new % E9 == 0 {
            filled = Quantity(filled.0.saturating_add(E9 - 1)).whole();
        }
        let reference = scale(self.reference_price.0, old, new, "reference_price")?;
        let tradable = self.tradable.map(|tradable| scale(tradable.0, new, old, "tradable")).transpose()?;
        for executed in &mut self.executions {
            executed.quantity.0 = scale(executed.quantity.0, new, old, "executions")?;
            executed.price.0 = scale(executed.price.0, old, new, "executions")?;
        }
        self.filled = filled.min(Quantity(new));
        self.tradable = tradable.map(|tradable| Quantity(tradable).whole());
        self.spec.trail_price_e9 = event.trail_price_e9.or(self.spec.trail_price_e9);
        self.extreme = event.extreme_price_e9.map(Price).or(self.extreme);
        self.reference_price = Price(reference);
        self.adjusted_by.clone_from(&event.action_id);
        self.spec.quantity_e9 = new;
        self.spec.limit_price_e9 = event.limit_price_e9.or(self.spec.limit_price_e9);
        self.spec.stop_price_e9 = event.stop_price_e9.or(self.spec.stop_price_e9);
        Ok(())
    }

    fn fill(&mut self, fill: &Fill, event_ns: i64) -> Result<(), EvolveError> {
        let quantity = Quantity(self.positive("quantity_e9", fill.quantity_e9)?);
        let price = Price(self.positive("price_e9", fill.price_e9)?);
        if self.after(quantity, price).is_none() {
            return Err(EvolveError::Overfilled {
                order_id: self.spec.order_id.clone(),
                number: fill.number,
                quantity,
                unfilled: self.unfilled(),
            });
        }
        let overflow = |field| EvolveError::Overflow { order_id: self.spec.order_id.clone(), field };
        let filled_value = self
            .filled_value
            .checked_add(Amount::notional(price, quantity))
            .ok_or_else(|| overflow("filled_value"))?;
        let commission = self
            .commission
            .checked_add(Amount::from_wire(fill.commission.as_ref()))
            .ok_or_else(|| overflow("commission"))?;
        self.filled = self.filled.checked_add(quantity).ok_or_else(|| overflow("filled"))?;
        if let Some(tradable) = self.tradable.as_mut() {
            tradable.0 = tradable.0.saturating_sub(quantity.0);
        }
        self.filled_value = filled_value;
        self.commission = commission;
        self.fills = self.fills.max(fill.number);
        if !fill.execution_id.is_empty() {
            self.executions.push(Executed {
                id: fill.execution_id.clone(),
                number: fill.number,
                quantity,
                price,
                commission: Amount::from_wire(fill.commission.as_ref()),
                corrections: Vec::new(),
            });
        }
        self.settled("submit");
        if self.unfilled() == Quantity::ZERO {
            // A late fill of an order that was thought to have ended otherwise: it is filled after all.
            if self.status.is_ended() {
                self.status = OrderStatus::Filled;
                self.reason.clear();
            }
            self.end(OrderStatus::Filled, "", event_ns);
        } else if self.status == OrderStatus::Submitted {
            // A fill proves that the broker works the order, whether or not it said so before.
            self.status = OrderStatus::Accepted;
            self.accepted_ns.get_or_insert(event_ns);
        }
        Ok(())
    }

    fn positive(&self, field: &'static str, value: i64) -> Result<i64, EvolveError> {
        if value > 0 {
            return Ok(value);
        }
        let order_id = self.spec.order_id.clone();
        Err(EvolveError::NotPositive { order_id, field, value: Quantity(value) })
    }
}
