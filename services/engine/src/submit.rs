//! Approved orders on their way to the broker, and those that are taken back.

use contracts::chain_id;
use domain::matching::WorkingOrder;
use domain::order::{BrokerReport, OrderState, OrderStatus, decide};

use crate::recorder::Recorder;
use crate::run::{BROKER, Error, Run, submitted_id};

impl<R: Recorder> Run<'_, R> {
    pub(crate) fn submit(&mut self, order_id: &str, event_ns: i64) -> Result<(), Error> {
        let Some(order) = self.book.order(order_id) else { return Ok(()) };
        let Some(body) = decide::submit(order, BROKER)? else { return Ok(()) };
        let (id, decision, correlation) =
            (submitted_id(order), order.decision_id.clone(), order.correlation_id.clone());
        let (spec, tradable) = (order.spec.clone(), order.tradable);
        let event = self.event(id, event_ns, "execution", &decision, &correlation, body);
        self.apply(&event, event_ns)?;
        self.counts.orders += 1;
        let refused = match WorkingOrder::new(&spec, event_ns) {
            Ok(mut working) if spec.parent_id.is_empty() || self.matcher.works(&spec.parent_id) => {
                working.resting.tradable = tradable;
                self.matcher.accept(working);
                let accepted = BrokerReport::Accepted { broker_order_id: format!("sim-{order_id}") };
                return self.report(order_id, &accepted, event_ns);
            }
            Ok(_) => {
                let parent = &spec.parent_id;
                format!("order {order_id}: `parent_id` is {parent}, expected an order that is worked")
            }
            Err(unsupported) => unsupported.to_string(),
        };
        self.report(order_id, &BrokerReport::Rejected { reason: refused }, event_ns)
    }

    /// Ends an order whose end was asked for; those that have nothing to do without it end after it.
    pub(crate) fn cancel(&mut self, order_id: &str, event_ns: i64) -> Result<(), Error> {
        let mut others = Vec::new();
        if !self.matcher.remove(order_id, &mut others) {
            return Ok(());
        }
        // As execution states it: the broker answers to the last event of the order, for those that end with it too.
        let cause = self.last_events.of(order_id);
        let reason = "cancelled on request".to_owned();
        self.answer(order_id, &BrokerReport::Cancelled { reason }, event_ns, cause.as_deref())?;
        for other in &others {
            self.answer(&other.order_id, &other.report, event_ns, cause.as_deref())?;
        }
        Ok(())
    }

    /// Takes back what is left of a decision's orders when one of them was refused: never a half position.
    pub(crate) fn unwind(&mut self, orders: &[String], event_ns: i64) -> Result<(), Error> {
        let is_refused = |order: &&OrderState| order.status == OrderStatus::Rejected;
        let refused = orders.iter().find_map(|id| self.book.order(id).filter(is_refused));
        let Some((failed, cause)) = refused
            .map(|order| (order.id().to_owned(), chain_id::order_event(&submitted_id(order), "rejected")))
        else {
            return Ok(());
        };
        for order_id in orders.iter().filter(|id| **id != failed) {
            let Some(order) = self.book.order(order_id).filter(|order| !order.status.is_ended()) else {
                continue;
            };
            let reason = format!("leg {failed} of the same group was rejected");
            let Some(body) = decide::request_cancel(order, "execution", &reason)? else { continue };
            let id = chain_id::unwind(&cause, &order.spec);
            let correlation_id = order.correlation_id.clone();
            let event = self.event(id, event_ns, "execution", &cause, &correlation_id, body);
            self.apply(&event, event_ns)?;
            self.cancel(order_id, event_ns)?;
        }
        Ok(())
    }
}
