//! The kill switch: what has to be closed, and the orders that close it.
//!
//! The event that pulls the switch is the request to cancel whatever is open in its scope (the book's fold); what is
//! left to do follows from the book alone, so that a restarted execution goes on with it. A position is closed once
//! nothing of it is open at the broker any more, by one market order that stands until it fills.
//!
//! Deliberately absent: whether trading is stopped (`domain::book`), limits: closing is always possible.

use broker::SIMULATED;
use contracts::order_id;
use contracts::v1::{OrderSpec, OrderType, Side, TimeInForce};
use domain::book::PositionState;
use domain::money::{Price, Quantity};
use domain::order::{OrderState, OrderStatus, decide};
use event_log::Append;

use crate::event::{self, Meta};
use crate::machine::{Machine, Work};
use crate::step::StepError;

/// Most orders tried for one position at the simulated broker: what it refuses it refuses for good.
const ATTEMPTS_MAX: u32 = 5;
/// Most orders tried at a broker outside, where what is in the way may go: with the pauses between them about a day.
pub(crate) const ATTEMPTS_OUTSIDE_MAX: u32 = 100;
/// Most positions that are named in words.
const NAMED_MAX: usize = 3;

impl Machine {
    /// Positions to be closed by the kill switches in force, where nothing stands in the way.
    pub(crate) fn flattening(&self) -> Vec<Work> {
        let due = self.to_close().into_iter();
        due.filter_map(|(kill_id, position)| {
            let (attempt, last) = self.tried(&kill_id, position);
            may_try(attempt, last).then(|| {
                let order = Box::new(closing(&kill_id, position, attempt));
                Work::Flatten { kill_id, order, attempt }
            })
        })
        .collect()
    }

    /// What the kill switches in force want closed and what came to nothing so far, in words.
    pub(crate) fn unclosed(&self) -> Option<String> {
        let mut words: Vec<String> = Vec::new();
        for (kill_id, position) in self.to_close() {
            let (tried, Some(last)) = self.tried(&kill_id, position) else { continue };
            // One that was filled closed what was held then.
            if last.status == OrderStatus::Filled {
                continue;
            }
            let next = if may_try(tried, Some(last)) { "it is tried again" } else { "close it by hand" };
            let (key, status, reason) = (&position.key, last.status.name(), &last.reason);
            words.push(format!(
                "the kill switch has not closed {key}: orders tried so far: {tried}, \
                 the last one was {status} ({reason}); {next}"
            ));
        }
        let more = words.len().saturating_sub(NAMED_MAX);
        words.truncate(NAMED_MAX);
        if more > 0 {
            words.push(format!("and {more} more"));
        }
        (!words.is_empty()).then(|| words.join("; "))
    }

    /// Positions that a kill switch wants closed and of which nothing is open, with the event that pulled it.
    fn to_close(&self) -> Vec<(String, &PositionState)> {
        let mut due = Vec::new();
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
                if !waits {
                    due.push((kill.id.clone(), position));
                }
            }
        }
        due
    }

    /// How many orders were tried for a position, and the last of them.
    fn tried(&self, kill_id: &str, position: &PositionState) -> (u32, Option<&OrderState>) {
        let cause = cause(kill_id, position);
        let (mut tried, mut last) = (0, None);
        while tried < ATTEMPTS_OUTSIDE_MAX
            && let Some(order) = self.book.order(&order_id(&cause, tried))
        {
            last = Some(order);
            tried += 1;
        }
        (tried, last)
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
            |work| matches!(&work, Work::Flatten { kill_id: id, order, .. } if id == kill_id && **order == *spec),
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

fn cause(kill_id: &str, position: &PositionState) -> String {
    format!("{kill_id}/{}", position.key)
}

/// Whether another order may be tried after so many, of which `last` was the last.
fn may_try(tried: u32, last: Option<&OrderState>) -> bool {
    let outside = last.is_some_and(|order| order.broker != SIMULATED);
    let most = if outside { ATTEMPTS_OUTSIDE_MAX } else { ATTEMPTS_MAX };
    tried < most
}

/// The order that closes a position, after so many others.
fn closing(kill_id: &str, position: &PositionState, attempt: u32) -> OrderSpec {
    let key = &position.key;
    let side = if position.quantity > Quantity::ZERO { Side::Sell } else { Side::Buy };
    OrderSpec {
        order_id: order_id(&cause(kill_id, position), attempt),
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
    }
}
