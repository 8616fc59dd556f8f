//! The simulated broker: accepts orders of every type at once and fills them from the tape's bars.
//!
//! All it knows follows from the tape: what it works is rebuilt from the book's open orders
//! ([`SimulatedBroker::resume`]), costs from the accounts' configuration. An order whose submission is on
//! the tape without an answer is not known here after a restart; sending it again gives the answer that
//! it would have had. What a trailing stop, a stop that was reached, a partial fill or a group has come to is
//! in the book's orders, because each is an event.

use std::collections::{BTreeMap, VecDeque};

use async_trait::async_trait;
use contracts::client_order_id;
use contracts::v1::{Costs, OrderSpec};
use domain::book::Book;
use domain::matching::{CostTable, Match, Matcher, WorkingOrder};
use domain::order::{BrokerReport, OrderState};

use crate::port::{Broker, BrokerError, BrokerOrder, MarketEvent, Report, StateAtBroker};

const NAME: &str = "simulated";

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
    matches: Vec<Match>,
}

#[derive(Clone, Debug)]
struct Known {
    state: StateAtBroker,
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
                broker.work(&order.client_order_id, working);
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
        let known = Known { state: StateAtBroker::Working, reports: vec![accepted.clone()] };
        self.known.insert(client_order_id.to_owned(), known);
        self.matcher.accept(order);
        accepted
    }

    /// Notes a report of an order, whether or not it was known before.
    fn note(&mut self, order_id: String, report: BrokerReport, ended: bool) -> Report {
        let client_order_id = client_order_id(&order_id);
        let report = Report { order_id, report };
        let known = self.known.entry(client_order_id.clone());
        let known = known.or_insert(Known { state: StateAtBroker::Working, reports: Vec::new() });
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

    /// Whether the entry that `order` depends on is worked, or was and has filled something.
    fn entry_stands(&self, order: &OrderSpec) -> bool {
        order.parent_id.is_empty() || self.matcher.works(&order.parent_id)
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
        let refused = match WorkingOrder::new(order, now_ns) {
            Ok(working) if self.entry_stands(order) => return Ok(vec![self.work(client_order_id, working)]),
            Ok(_) => {
                let parent = &order.parent_id;
                format!("order {}: `parent_id` is {parent}, expected an order that is worked", order.order_id)
            }
            Err(unsupported) => unsupported.to_string(),
        };
        Ok(vec![self.note(order.order_id.clone(), BrokerReport::Rejected { reason: refused }, true)])
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

    async fn lookup(&mut self, client_order_id: &str) -> Result<Option<BrokerOrder>, BrokerError> {
        let known = self.known.get(client_order_id);
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

    fn on_adjusted(&mut self, order: &OrderState) {
        self.matcher.restate(order);
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
