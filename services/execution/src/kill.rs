//! The kill switch: what has to be closed, and the orders that close it.
//!
//! The event that pulls the switch is the request to cancel whatever is open in its scope (the book's fold); what is
//! left to do follows from the book alone, so that a restarted execution goes on with it. A position is closed once
//! nothing of it is open at the broker any more, by one market order that stands until it fills.
//!
//! Deliberately absent: whether trading is stopped (`domain::book`), limits: closing is always possible.

use broker::SIMULATED;
use contracts::order_id;
use contracts::v1::event::Body;
use contracts::v1::{Event, OrderSpec, OrderType, Side, TimeInForce};
use domain::book::{PositionKey, PositionState};
use domain::money::{Price, Quantity};
use domain::order::{OrderState, OrderStatus, decide};
use event_log::Append;

use crate::event::{self, Meta};
use crate::machine::{Machine, Work};
use crate::step::StepError;
use crate::words::few;

/// Most orders tried for one position at the simulated broker: what it refuses it refuses for good.
const ATTEMPTS_MAX: u32 = 5;
/// Most orders tried at a broker outside, where what is in the way may go: with the pauses between them about a day.
const ATTEMPTS_OUTSIDE_MAX: u32 = 100;

/// What was tried for a position, kept beside the book: an order that has ended leaves memory at some time.
#[derive(Clone, Debug)]
pub(crate) struct Tried {
    /// How many orders.
    orders: u32,
    /// The last of them.
    last: OrderState,
}

impl Machine {
    /// Positions to be closed by the kill switches in force, where nothing stands in the way.
    pub(crate) fn flattening(&self) -> Vec<Work> {
        let due = self.to_close().into_iter();
        due.filter_map(|(kill_id, position)| {
            let (attempt, last) = self.tried(&kill_id, &position.key);
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
            let (tried, Some(last)) = self.tried(&kill_id, &position.key) else { continue };
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
        let all = words.len();
        (all > 0).then(|| few(words, all))
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

    /// Keeps how often a position was tried, as far as memory shows it, and answers that.
    pub(crate) fn keep_tried(&mut self, kill_id: &str, key: &PositionKey) -> u32 {
        let (orders, last) = self.tried(kill_id, key);
        if let Some(last) = last.cloned() {
            self.tried.insert(cause(kill_id, key), Tried { orders, last });
        }
        orders
    }

    /// Keeps that a closing changed: it is nobody's decision, and correlates with the event that pulled the switch.
    pub(crate) fn note_closing(&mut self, order_id: &str) {
        let Some(order) = self.book.order(order_id) else { return };
        if order.spec.reducing && order.decision_id.is_empty() {
            let (spec, kill_id) = (&order.spec, order.correlation_id.clone());
            let key = PositionKey::new(&spec.account, &spec.strategy, &spec.symbol);
            self.keep_tried(&kill_id, &key);
        }
    }

    /// Forgets what was tried for kill switches that were put back.
    pub(crate) fn forget_tried(&mut self) {
        if !self.tried.is_empty() {
            let kills: Vec<String> = self.book.kills().map(|kill| kill.id).collect();
            self.tried.retain(|cause, _| kills.iter().any(|id| cause.starts_with(id.as_str())));
        }
    }

    /// How many orders were tried for a position, and the last of them.
    fn tried(&self, kill_id: &str, key: &PositionKey) -> (u32, Option<&OrderState>) {
        let cause = cause(kill_id, key);
        let known = self.tried.get(&cause);
        let mut tried = known.map_or(0, |known| known.orders);
        // As it is in memory, where it still is: a late fill may have changed how it ended.
        let mut last = known.map(|known| self.book.order(known.last.id()).unwrap_or(&known.last));
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

/// Whether an event pulls a kill switch.
pub(crate) fn is_kill(event: &Event) -> bool {
    matches!(event.body, Some(Body::TradingKilled(_)))
}

fn cause(kill_id: &str, key: &PositionKey) -> String {
    format!("{kill_id}/{key}")
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
        order_id: order_id(&cause(kill_id, key), attempt),
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

#[cfg(test)]
mod tests {
    use contracts::v1::{
        AccountEntry, EntryKind, Money, OrderRejected, OrderSubmitted, TradingKilled, TradingResumed,
    };
    use contracts::{MANUAL, client_order_id, to_timestamp};
    use domain::book::{Book, SETTLED_ORDERS_MAX};
    use domain::calendar::Calendar;
    use event_log::Recorded;

    use super::*;

    const KILL: &str = "0123456789abcdef";
    /// So many that their refused orders are more than memory holds.
    const HELD: u32 = 11;

    struct Killed {
        machine: Machine,
        sequence: u64,
    }

    impl Killed {
        /// An account with positions that a kill switch wants closed.
        fn new() -> Self {
            let machine = Machine::new(Book::default(), &["paper".to_owned()], Calendar::xnys());
            let mut killed = Self { machine, sequence: 0 };
            for number in 0..HELD {
                let entry = AccountEntry {
                    account: "paper".into(),
                    kind: EntryKind::External.into(),
                    strategy: MANUAL.into(),
                    symbol: format!("S{number}"),
                    amount: Some(Money { units: 350, nanos: 0 }),
                    quantity_e9: 7_000_000_000,
                    ..AccountEntry::default()
                };
                killed.fold(Body::AccountEntry(entry));
            }
            let kill = TradingKilled { account: "paper".into(), flatten: true, ..TradingKilled::default() };
            killed.fold(Body::TradingKilled(kill));
            killed
        }

        fn fold(&mut self, body: Body) {
            self.sequence += 1;
            let is_kill = matches!(body, Body::TradingKilled(_));
            let event = Event {
                id: if is_kill { KILL.to_owned() } else { format!("{:032x}", self.sequence) },
                event_time: Some(to_timestamp(1)),
                correlation_id: KILL.to_owned(),
                body: Some(body),
                ..Event::default()
            };
            let recorded = Recorded { sequence: self.sequence, subject: String::new(), event };
            self.machine.fold(&recorded).unwrap();
        }

        /// Orders to close positions, with how many were tried before each.
        fn closings(&mut self) -> Vec<(OrderSpec, u32)> {
            let closing = |work| match work {
                Work::Flatten { order, attempt, .. } => Some((*order, attempt)),
                _ => None,
            };
            self.machine.work().into_iter().filter_map(closing).collect()
        }
    }

    fn is_more_than_memory_holds() -> bool {
        u64::from(HELD * ATTEMPTS_OUTSIDE_MAX) > SETTLED_ORDERS_MAX as u64
    }

    #[test]
    fn every_position_is_tried_to_the_end_though_memory_holds_fewer_orders() {
        assert!(is_more_than_memory_holds());
        let mut killed = Killed::new();
        for time in 0..ATTEMPTS_OUTSIDE_MAX {
            let closings = killed.closings();
            assert_eq!(closings.len() as u64, u64::from(HELD), "{time}");
            for (order, attempt) in closings {
                assert_eq!(attempt, time);
                let (order_id, reason) = (order.order_id.clone(), "wash trade".to_owned());
                killed.fold(Body::OrderSubmitted(OrderSubmitted {
                    client_order_id: client_order_id(&order_id),
                    order: Some(order),
                    broker: "alpaca".into(),
                }));
                killed.fold(Body::OrderRejected(OrderRejected { order_id, reason }));
            }
        }
        assert!(killed.closings().is_empty());
        assert!(killed.machine.unclosed().unwrap().contains("orders tried so far: 100"));
    }

    #[test]
    fn after_a_restart_it_goes_on_behind_all_that_was_tried() {
        assert!(is_more_than_memory_holds());
        let mut killed = Killed::new();
        for time in 0..ATTEMPTS_OUTSIDE_MAX {
            for (order, attempt) in killed.closings() {
                assert_eq!(attempt, time);
                let key = PositionKey::new(&order.account, &order.strategy, &order.symbol);
                let mut ended = OrderState::approved(order, Price::ZERO, 1);
                ended.status = OrderStatus::Rejected;
                ended.broker = "alpaca".to_owned();
                killed.machine.admit(ended);
                assert_eq!(killed.machine.keep_tried(KILL, &key), time + 1);
            }
        }
        assert!(killed.closings().is_empty());
    }

    #[test]
    fn what_was_tried_is_forgotten_with_its_switch() {
        let mut killed = Killed::new();
        let (order, _) = killed.closings().remove(0);
        killed.fold(Body::OrderSubmitted(OrderSubmitted {
            client_order_id: client_order_id(&order.order_id),
            order: Some(order),
            broker: "alpaca".into(),
        }));
        assert_eq!(killed.machine.tried.len(), 1);
        let resumed = TradingResumed { account: "paper".into(), ..TradingResumed::default() };
        killed.fold(Body::TradingResumed(resumed));
        killed.machine.work();
        assert!(killed.machine.tried.is_empty());
    }
}
