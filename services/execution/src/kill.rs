//! The kill switch: what has to be closed, and the orders that close it.
//!
//! The event that pulls the switch is the request to cancel whatever is open in its scope (the book's fold); what is
//! left to do follows from the book alone, so that a restarted execution goes on with it. A position is closed once
//! nothing of it is open at the broker any more, by one market order that stands until it fills.
//!
//! Deliberately absent: whether trading is stopped (`domain::book`), limits: closing is always possible.

use contracts::order_id;
use contracts::v1::{OrderSpec, OrderType, Side, TimeInForce};
use domain::book::{Kill, PositionState};
use domain::money::{Price, Quantity};
use domain::order::{OrderState, decide};
use event_log::Append;

use crate::event::{self, Meta};
use crate::machine::{Machine, Work};
use crate::step::StepError;

/// Most orders tried for one position; when the broker refuses them all, somebody has to look.
const ATTEMPTS_MAX: u32 = 5;

impl Machine {
    /// Positions to be closed by the kill switches in force, where nothing stands in the way.
    pub(crate) fn flattening(&self) -> Vec<Work> {
        let mut work = Vec::new();
        for kill in self.book.kills().filter(|kill| kill.ask.flatten) {
            for position in self.book.positions() {
                let key = &position.key;
                if position.quantity == Quantity::ZERO || !kill.covers(&key.account, &key.strategy) {
                    continue;
                }
                let mut open = self.book.open_orders().map(|order| &order.spec);
                let waits = open.any(|spec| {
                    spec.account == key.account && spec.strategy == key.strategy && spec.symbol == key.symbol
                });
                if !waits && let Some(order) = self.closing(&kill, position) {
                    work.push(Work::Flatten { kill_id: kill.id.clone(), order: Box::new(order) });
                }
            }
        }
        work
    }

    /// The order that closes a position; `None` when too many were refused.
    fn closing(&self, kill: &Kill, position: &PositionState) -> Option<OrderSpec> {
        let key = &position.key;
        let cause = format!("{}/{key}", kill.id);
        let known = |id: &String| self.book.order(id).is_some();
        let order_id = (0..ATTEMPTS_MAX).map(|attempt| order_id(&cause, attempt)).find(|id| !known(id))?;
        let side = if position.quantity > Quantity::ZERO { Side::Sell } else { Side::Buy };
        Some(OrderSpec {
            order_id,
            account: key.account.clone(),
            strategy: key.strategy.clone(),
            symbol: key.symbol.clone(),
            side: side.into(),
            order_type: OrderType::Market.into(),
            // Until it fills: what is closed after the session is closed at the next open.
            time_in_force: TimeInForce::Gtc.into(),
            quantity_e9: position.quantity.abs().0,
            reducing: true,
            ..OrderSpec::default()
        })
    }

    /// The intent to close a position; the order is nobody's decision, so that its own id names its events.
    pub(crate) fn decide_flatten(
        &self,
        kill_id: &str,
        spec: &OrderSpec,
        broker: &str,
    ) -> Result<Option<Append>, StepError> {
        // The switch may have been put back, or the position changed, since the work was looked for.
        let due = self.flattening().into_iter().any(
            |work| matches!(&work, Work::Flatten { kill_id: id, order } if id == kill_id && **order == *spec),
        );
        if !due {
            return Ok(None);
        }
        let killed_ns = self.book.kills().find(|kill| kill.id == kill_id).map_or(0, |kill| kill.since_ns);
        let mark = self.book.account(&spec.account).and_then(|row| row.mark.as_ref());
        let event_ns = mark.map_or(killed_ns, |mark| mark.event_ns);
        let order = OrderState::approved(spec.clone(), Price::ZERO, event_ns);
        let meta = Meta {
            id: event::submitted_id(&order),
            event_ns,
            causation_id: String::new(),
            correlation_id: kill_id.to_owned(),
            basis: self.basis(),
        };
        let Some(body) = decide::submit(&order, broker)? else { return Ok(None) };
        event::of_order(&order, meta, body).map(Some).ok_or(StepError::NoSubject)
    }
}
