//! The simulated broker: accepts orders of every type at once and fills them from the tape's bars.
//!
//! All it knows follows from the tape: what it works is rebuilt from the book's open orders
//! ([`SimulatedBroker::resume`]), costs from the accounts' configuration. An order whose submission is on
//! the tape without an answer is not worked after a restart; sending it again gives the answer that it would
//! have had, and of an exit it is known what its entry has come to meanwhile. What a trailing stop, a stop that was reached, a partial fill or a group has come to is
//! in the book's orders, because each is an event.

use std::collections::{BTreeMap, VecDeque};

use async_trait::async_trait;
use contracts::v1::{Costs, OrderSpec};
use contracts::{child_order_id, client_order_id};
use domain::book::Book;
use domain::matching::kernel::End;
use domain::matching::{CostTable, Match, Matcher, WorkingOrder};
use domain::money::Quantity;
use domain::order::{BrokerReport, OrderState, OrderStatus, Terms};

use crate::exits::SIMULATED;
use crate::port::{Broker, BrokerError, BrokerOrder, Brokers, MarketEvent, Report, StateAtBroker};

const NAME: &str = SIMULATED;

/// Orders that have ended and are still known here, so that sending one again works nothing twice.
const ENDED_MAX: usize = 1024;

/// A broker without a world outside.
#[derive(Debug, Default)]
pub struct SimulatedBroker {
    matcher: Matcher,
    costs: CostTable,
    /// What was said of each known order, by client order id.
    known: BTreeMap<String, Known>,
    /// Client order ids of ended orders, oldest first.
    ended: VecDeque<String>,
    /// Exits whose submission had no answer when the tape was taken over, by order id.
    unanswered: BTreeMap<String, Unanswered>,
    matches: Vec<Match>,
}

/// What the tape says of an exit that nobody answered.
#[derive(Clone, Copy, Debug)]
struct Unanswered {
    /// What its entry lets it close.
    tradable: Option<Quantity>,
    worked_ns: Option<i64>,
    /// How its entry stands, where that is in memory.
    entry: Option<OrderStatus>,
}

/// How the entry of an exit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    /// It works, filled something that is left to close, or there is none.
    Stands,
    /// It ended, and nothing of it is left to close.
    Over,
    /// It was never worked.
    Unworked,
}

/// Makes simulated brokers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Simulated;

impl Brokers for Simulated {
    fn resume(&self, book: &Book) -> Result<Box<dyn Broker>, BrokerError> {
        Ok(Box::new(SimulatedBroker::resume(book)?))
    }
}

#[derive(Clone, Debug)]
struct Known {
    state: StateAtBroker,
    /// Shares that it was sent for; none of one that was never worked.
    ordered: Quantity,
    reports: Vec<Report>,
}

impl SimulatedBroker {
    /// The broker that works exactly the accepted open orders of `book`, at the costs it states.
    pub fn resume(book: &Book) -> Result<Self, BrokerError> {
        let mut broker = Self::default();
        for account in book.accounts() {
            if let Some(config) = &account.config {
                broker.set_costs(&account.account, config.costs);
            }
        }
        for order in book.open_orders().filter(|order| order.broker == NAME) {
            let working = WorkingOrder::resume(order).map_err(|unsupported| BrokerError::Refused {
                broker: NAME.to_owned(),
                doing: "resume".to_owned(),
                problem: unsupported.to_string(),
            })?;
            if let Some(working) = working {
                broker.work(&client_order_id(order.id()), working);
            } else if !order.spec.parent_id.is_empty() {
                // One that was never sent is nothing that a broker could know of.
                let entry = book.order(&order.spec.parent_id).filter(|entry| entry.submitted_ns.is_some());
                let entry = entry.map(|entry| entry.status);
                let (tradable, worked_ns) = (order.tradable, order.worked_ns);
                broker.unanswered.insert(order.id().to_owned(), Unanswered { tradable, worked_ns, entry });
            }
        }
        Ok(broker)
    }

    /// States an account's costs, from its configuration.
    pub fn set_costs(&mut self, account: &str, costs: Costs) {
        self.costs.set(account, costs);
    }

    /// Number of orders worked.
    #[must_use]
    pub fn working(&self) -> usize {
        self.matcher.working()
    }

    fn work(&mut self, client_order_id: &str, order: WorkingOrder) -> Report {
        let accepted = Report {
            order_id: order.order_id.clone(),
            report: BrokerReport::Accepted { broker_order_id: broker_order_id(&order.order_id) },
        };
        let ordered = order.resting.remaining;
        let known = Known { state: StateAtBroker::Working, ordered, reports: vec![accepted.clone()] };
        self.known.insert(client_order_id.to_owned(), known);
        self.matcher.accept(order);
        accepted
    }

    /// Notes a report of an order, whether or not it was known before.
    fn note(&mut self, order_id: String, report: BrokerReport, ended: bool) -> Report {
        let client_order_id = client_order_id(&order_id);
        let report = Report { order_id, report };
        let known = self.known.entry(client_order_id.clone());
        let known = known.or_insert(Known {
            state: StateAtBroker::Working,
            ordered: Quantity::ZERO,
            reports: Vec::new(),
        });
        // Where a trailing stop stands is said by its last move.
        if matches!(report.report, BrokerReport::Trailed { .. }) {
            known.reports.retain(|said| !matches!(said.report, BrokerReport::Trailed { .. }));
        }
        known.reports.push(report.clone());
        if ended && known.state == StateAtBroker::Working {
            known.state = StateAtBroker::Ended;
            self.ended.push_back(client_order_id);
        }
        if self.ended.len() > ENDED_MAX
            && let Some(oldest) = self.ended.pop_front()
        {
            self.known.remove(&oldest);
        }
        report
    }

    /// Ends an order; those that have nothing to do without it end after it.
    fn end(&mut self, order_id: String, report: BrokerReport) -> Vec<Report> {
        let mut others = std::mem::take(&mut self.matches);
        self.matcher.remove(&order_id, &mut others);
        self.matches = others;
        let mut reports = vec![self.note(order_id, report, true)];
        reports.extend(self.tell());
        reports
    }

    /// How the entry stands that `order` depends on; `working` learns what the entry has filled.
    fn entry(&self, order: &OrderSpec, working: &mut WorkingOrder) -> Entry {
        if order.parent_id.is_empty() {
            return Entry::Stands;
        }
        let known = self.known.get(&client_order_id(&order.parent_id));
        let unanswered = self.unanswered.get(&order.order_id);
        if let Some(unanswered) = unanswered {
            working.resting.tradable = unanswered.tradable;
            working.resting.seen_ns = unanswered.worked_ns.unwrap_or(i64::MIN);
        } else {
            working.resting.tradable = Some(self.open_of_entry(order));
        }
        if self.matcher.works(&order.parent_id) || working.resting.wanted() > Quantity::ZERO {
            return Entry::Stands;
        }
        // Here an order that was never worked is known by its refusal alone.
        let refused = |known: &Known| {
            matches!(known.reports.as_slice(), [Report { report: BrokerReport::Rejected { .. }, .. }])
        };
        let ended = |status: OrderStatus| status.is_ended() && status != OrderStatus::Rejected;
        let over = known.is_some_and(|known| !refused(known))
            || unanswered.and_then(|unanswered| unanswered.entry).is_some_and(ended);
        if over { Entry::Over } else { Entry::Unworked }
    }

    /// What the entry of `exit` has opened, less what the exits of its group have closed. One for more shares than the exit
    /// closes a position before it opens anything, so that it is below zero until it has.
    fn open_of_entry(&self, exit: &OrderSpec) -> Quantity {
        let filled = |order_id: &str| {
            let known = self.known.get(&client_order_id(order_id));
            let reports = known.into_iter().flat_map(|known| &known.reports);
            let quantities = reports.map(|said| match &said.report {
                BrokerReport::Filled(execution) => execution.quantity.0,
                _ => 0,
            });
            quantities.fold(0_i64, i64::saturating_add)
        };
        let entry = self.known.get(&client_order_id(&exit.parent_id));
        let closes = entry.map_or(0, |entry| entry.ordered.0.saturating_sub(exit.quantity_e9).max(0));
        let exits = [0, 1].map(|index| filled(&child_order_id(&exit.parent_id, index)));
        let opened = filled(&exit.parent_id).saturating_sub(closes);
        Quantity(exits.into_iter().fold(opened, i64::saturating_sub))
    }

    /// Notes what the matcher says; what it ended is worked no longer.
    fn tell(&mut self) -> Vec<Report> {
        let matches = std::mem::take(&mut self.matches);
        matches
            .into_iter()
            .map(|Match { order_id, report, ended }| self.note(order_id, report, ended))
            .collect()
    }
}

fn broker_order_id(order_id: &str) -> String {
    format!("sim-{order_id}")
}

#[async_trait]
impl Broker for SimulatedBroker {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn submit(
        &mut self,
        order: &OrderSpec,
        client_order_id: &str,
        now_ns: i64,
    ) -> Result<Vec<Report>, BrokerError> {
        if let Some(known) = self.known.get(client_order_id) {
            return Ok(known.reports.clone());
        }
        let mut working = match WorkingOrder::new(order, now_ns) {
            Ok(working) => working,
            Err(unsupported) => {
                let report = BrokerReport::Rejected { reason: unsupported.to_string() };
                return Ok(vec![self.note(order.order_id.clone(), report, true)]);
            }
        };
        let report = match self.entry(order, &mut working) {
            Entry::Stands => return Ok(vec![self.work(client_order_id, working)]),
            Entry::Over => BrokerReport::Cancelled { reason: End::EntryOver.reason().to_owned() },
            Entry::Unworked => {
                let (id, parent) = (&order.order_id, &order.parent_id);
                let reason = format!("order {id}: `parent_id` is {parent}, expected an order that is worked");
                BrokerReport::Rejected { reason }
            }
        };
        Ok(vec![self.note(order.order_id.clone(), report, true)])
    }

    async fn cancel(
        &mut self,
        order: &OrderSpec,
        _client_order_id: &str,
        _now_ns: i64,
    ) -> Result<Vec<Report>, BrokerError> {
        let order_id = order.order_id.clone();
        if !self.matcher.works(&order_id) {
            let reason = "the order is not working".to_owned();
            return Ok(vec![Report { order_id, report: BrokerReport::CancelRejected { reason } }]);
        }
        let reason = "cancelled on request".to_owned();
        Ok(self.end(order_id, BrokerReport::Cancelled { reason }))
    }

    async fn replace(&mut self, order: &OrderState, now_ns: i64) -> Result<Vec<Report>, BrokerError> {
        let order_id = order.id().to_owned();
        let refused = |reason: &str| {
            let report = BrokerReport::ReplaceRejected { reason: reason.to_owned() };
            Ok(vec![Report { order_id: order_id.clone(), report }])
        };
        let Some(replace) = &order.replace else { return refused("no new terms are stated") };
        let known = self.known.get(&client_order_id(&order_id));
        let said = known.into_iter().flat_map(|known| &known.reports).find(|said| match &said.report {
            BrokerReport::Replaced(terms) => terms.client_order_id == replace.client_order_id,
            _ => false,
        });
        if let Some(said) = said {
            return Ok(vec![said.clone()]);
        }
        if !self.matcher.replace(order, now_ns) {
            return refused("the order is not working");
        }
        let terms = Terms {
            client_order_id: replace.client_order_id.clone(),
            broker_order_id: format!("{}-r{}", broker_order_id(&order_id), replace.revision),
            quantity: replace.quantity,
            limit: replace.limit,
            stop: replace.stop,
        };
        Ok(vec![self.note(order_id, BrokerReport::Replaced(terms), false)])
    }

    async fn lookup(
        &mut self,
        _order: &OrderSpec,
        client_order_id: &str,
    ) -> Result<Option<BrokerOrder>, BrokerError> {
        // The terms of a replaced order are known under the id of the first.
        let first = client_order_id.rsplit_once("-r").map_or(client_order_id, |(first, _)| first);
        let replaced = |known: &&Known| {
            first == client_order_id
                || known.reports.iter().any(|said| match &said.report {
                    BrokerReport::Replaced(terms) => terms.client_order_id == client_order_id,
                    _ => false,
                })
        };
        let known = self.known.get(first).filter(replaced);
        Ok(known.and_then(|known| {
            let order_id = known.reports.first().map(|report| report.order_id.as_str())?;
            Some(BrokerOrder {
                broker_order_id: broker_order_id(order_id),
                state: known.state,
                reports: known.reports.clone(),
            })
        }))
    }

    async fn reports(&mut self) -> Result<Vec<Report>, BrokerError> {
        std::future::pending().await
    }

    fn on_market(&mut self, event: MarketEvent<'_>) -> Vec<Report> {
        match event {
            MarketEvent::Bar { symbol, bar, session } => {
                let slot = self.matcher.slot(symbol);
                self.matcher.on_bar(slot, bar, session, &self.costs, &mut self.matches);
            }
            MarketEvent::SessionClosed { session } => self.matches = self.matcher.on_session_closed(session),
        }
        self.tell()
    }

    fn set_costs(&mut self, account: &str, costs: Costs) {
        self.costs.set(account, costs);
    }

    fn on_adjusted(&mut self, order: &OrderState) {
        self.matcher.restate(order);
    }

    fn refresh(&mut self, book: &Book) -> Result<(), BrokerError> {
        *self = Self::resume(book)?;
        Ok(())
    }

    fn forget(&mut self, order_id: &str) -> Vec<Report> {
        if !self.matcher.works(order_id) {
            return Vec::new();
        }
        let reason = "ended on the tape".to_owned();
        let mut reports = self.end(order_id.to_owned(), BrokerReport::Cancelled { reason });
        reports.remove(0);
        reports
    }
}
