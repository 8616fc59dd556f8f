//! A broker outside: it lives on when execution dies, says things late, twice, in another order or not at all,
//! and what it did is the truth.
//!
//! Its market is the simulated broker's; it sees the bars by itself. Executions carry the bar's close as their
//! time, because that is when such a market says what it did.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use async_trait::async_trait;
use broker::{
    Broker, BrokerError, BrokerOrder, Brokers, MarketEvent, Report, SimulatedBroker, StateAtBroker,
};
use contracts::v1::{Costs, GroupKind, OrderSpec};
use domain::bar::Bar;
use domain::book::Book;
use domain::calendar::Session;
use domain::invariant::AtBroker;
use domain::matching::kernel::Bounds;
use domain::money::{Amount, Price, Quantity};
use domain::order::{BrokerReport, Execution};
use runtime::clock;
use tokio::time::Instant;

use crate::executor::{at_once, yield_now};
use crate::fate::{Fate, Fault};

/// Its name, as `order_submitted.broker` states it.
pub const NAME: &str = "exchange";

/// The exchange. Clones share it.
#[derive(Clone)]
pub struct Exchange {
    fate: Fate,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    inner: SimulatedBroker,
    orders: BTreeMap<String, Held>,
    /// Client order ids by order id.
    clients: BTreeMap<String, Vec<String>>,
    outbox: BTreeMap<(Instant, u64), Report>,
    sent: u64,
    prices: BTreeMap<String, (Price, i64)>,
    listener: Option<Waker>,
}

struct Held {
    spec: OrderSpec,
    history: Vec<Report>,
    working: bool,
    filled: i64,
}

impl Exchange {
    /// An exchange without orders.
    pub fn new(fate: Fate) -> Self {
        Self { fate, state: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// States an account's costs.
    pub fn set_costs(&self, account: &str, costs: Costs) {
        self.lock().inner.set_costs(account, costs);
    }

    /// Everything that it ever had.
    pub fn orders(&self) -> Vec<AtBroker> {
        let state = self.lock();
        let order = |(client, held): (&String, &Held)| AtBroker {
            client_order_id: client.clone(),
            working: held.working,
            executions: held
                .history
                .iter()
                .filter_map(|report| match &report.report {
                    BrokerReport::Filled(execution) => {
                        Some((execution.execution_id.clone(), (execution.quantity, execution.price)))
                    }
                    _ => None,
                })
                .collect(),
        };
        state.orders.iter().map(order).collect()
    }

    /// Number of reports that wait to be said.
    pub fn unsaid(&self) -> usize {
        self.lock().outbox.len()
    }

    /// A bar closed.
    pub fn on_bar(&self, symbol: &str, bar: &Bar, session: Option<&Session>) {
        let reports = {
            let mut state = self.lock();
            state.prices.insert(symbol.to_owned(), (bar.close, bar.close_ns));
            state.inner.on_market(MarketEvent::Bar { symbol, bar, session })
        };
        for Report { order_id, mut report } in reports {
            if let BrokerReport::Filled(execution) = &mut report {
                execution.executed_ns = bar.close_ns;
            }
            self.happened(Report { order_id, report });
        }
    }

    /// The regular session closed.
    pub fn on_session_closed(&self, session: Bounds) {
        let reports = self.lock().inner.on_market(MarketEvent::SessionClosed { session });
        reports.into_iter().for_each(|report| self.happened(report));
    }

    /// Something happened to an order: it is the truth from now on, and will be said.
    fn happened(&self, report: Report) {
        let ends = {
            let mut state = self.lock();
            let Some(client) =
                state.clients.get(&report.order_id).and_then(|clients| clients.first()).cloned()
            else {
                return;
            };
            let Some(held) = state.orders.get_mut(&client) else { return };
            let ends = match &report.report {
                BrokerReport::Filled(execution) => {
                    held.filled += execution.quantity.0;
                    held.filled >= held.spec.quantity_e9
                }
                BrokerReport::Cancelled { .. }
                | BrokerReport::Expired { .. }
                | BrokerReport::Rejected { .. } => true,
                _ => false,
            };
            held.working &= !ends;
            // Where a trailing stop stands is said by its last move.
            if matches!(report.report, BrokerReport::Trailed { .. }) {
                held.history.retain(|said| !matches!(said.report, BrokerReport::Trailed { .. }));
            }
            held.history.push(report.clone());
            ends
        };
        self.say(report.clone());
        if ends && self.fate.strikes(Fault::BrokerContradicts, &report.order_id) {
            let order_id = report.order_id;
            let reason = "said in error".to_owned();
            let report = match self.fate.below(4) {
                0 => BrokerReport::Expired { reason },
                1 => BrokerReport::Cancelled { reason },
                2 => BrokerReport::CancelRejected { reason },
                _ => BrokerReport::Accepted { broker_order_id: format!("sim-{order_id}") },
            };
            self.say(Report { order_id, report });
        }
    }

    /// Puts a report on its way to whoever listens.
    fn say(&self, report: Report) {
        if self.fate.strikes(Fault::BrokerSilent, &report.order_id) {
            return;
        }
        let mut times = vec![self.delay(&report)];
        if self.fate.strikes(Fault::BrokerDuplicate, &report.order_id) {
            times.push(self.delay(&report));
        }
        let mut state = self.lock();
        for at in times {
            state.sent += 1;
            let key = (at, state.sent);
            state.outbox.insert(key, report.clone());
        }
        if let Some(listener) = state.listener.take() {
            listener.wake();
        }
    }

    fn delay(&self, report: &Report) -> Instant {
        let late = self.fate.strikes(Fault::BrokerReordered, &report.order_id);
        clock::now() + self.fate.while_ms(if late { 3_000 } else { 20 })
    }

    fn submit(&self, spec: &OrderSpec, client: &str, now_ns: i64) -> Vec<Report> {
        if let Some(held) = self.lock().orders.get(client) {
            return held.history.clone();
        }
        let order_id = spec.order_id.clone();
        let mut held = Held { spec: spec.clone(), history: Vec::new(), working: true, filled: 0 };
        if self.fate.strikes(Fault::BrokerRejects, &order_id) {
            let report = BrokerReport::Rejected { reason: "not today".to_owned() };
            held.history.push(Report { order_id: order_id.clone(), report });
            held.working = false;
        } else {
            let mut state = self.lock();
            held.history =
                at_once(state.inner.submit(spec, client, now_ns)).and_then(Result::ok).unwrap_or_default();
            let refused = |report: &Report| !matches!(report.report, BrokerReport::Accepted { .. });
            held.working = !held.history.iter().any(refused);
        }
        let history = held.history.clone();
        let working = held.working;
        let mut state = self.lock();
        state.clients.entry(order_id.clone()).or_default().push(client.to_owned());
        state.orders.insert(client.to_owned(), held);
        drop(state);
        if working && self.fate.strikes(Fault::BrokerSuspends, &order_id) {
            let report = BrokerReport::Suspended { reason: "halted at the exchange".to_owned() };
            self.say(Report { order_id: order_id.clone(), report });
            self.say(history[0].clone());
        }
        history
    }

    fn cancel(&self, spec: &OrderSpec, client: &str, now_ns: i64) {
        let order_id = spec.order_id.clone();
        let Some((working, left, alone)) = self.lock().orders.get(client).map(|held| {
            let alone = held.spec.group() == GroupKind::Unspecified;
            (held.working, held.spec.quantity_e9 - held.filled, alone)
        }) else {
            let report = BrokerReport::CancelRejected { reason: "no such order".to_owned() };
            return self.say(Report { order_id, report });
        };
        let price = self.lock().prices.get(&spec.symbol).copied();
        let late = working && alone && left > 1 && self.fate.strikes(Fault::BrokerLateFill, &order_id);
        let fill = price.filter(|_| late).map(|(price, at_ns)| Report {
            order_id: order_id.clone(),
            report: BrokerReport::Filled(Execution {
                execution_id: format!("late-{order_id}"),
                quantity: Quantity(left / 2 / 1_000_000_000 * 1_000_000_000)
                    .max(Quantity(left.min(1_000_000_000))),
                price,
                commission: Amount::ZERO,
                slippage: Price(0),
                executed_ns: at_ns.max(now_ns),
                ambiguous: false,
            }),
        });
        let reports = at_once(self.lock().inner.cancel(spec, client, now_ns)).and_then(Result::ok);
        for report in reports.unwrap_or_default() {
            match report.report {
                BrokerReport::CancelRejected { .. } => self.say(report),
                _ => self.happened(report),
            }
        }
        if let Some(fill) = fill {
            self.happened(fill);
        }
    }
}

impl Brokers for Exchange {
    fn resume(&self, _book: &Book) -> Result<Box<dyn Broker>, BrokerError> {
        Ok(Box::new(Link { exchange: self.clone() }))
    }
}

/// One connection to the exchange.
struct Link {
    exchange: Exchange,
}

impl Link {
    async fn reach(&self, doing: &str) -> Result<(), BrokerError> {
        yield_now().await;
        if self.exchange.fate.strikes(Fault::BrokerTimeoutBefore, doing) {
            return Err(unknown(doing));
        }
        Ok(())
    }

    async fn back(&self, doing: &str) -> Result<(), BrokerError> {
        yield_now().await;
        if self.exchange.fate.strikes(Fault::BrokerTimeoutAfter, doing) {
            return Err(unknown(doing));
        }
        Ok(())
    }
}

fn unknown(doing: &str) -> BrokerError {
    BrokerError::Unknown {
        broker: NAME.to_owned(),
        doing: doing.to_owned(),
        source: "no answer in time".into(),
    }
}

#[async_trait]
impl Broker for Link {
    fn name(&self) -> &'static str {
        NAME
    }

    fn is_remote(&self) -> bool {
        true
    }

    async fn submit(
        &mut self,
        order: &OrderSpec,
        client_order_id: &str,
        now_ns: i64,
    ) -> Result<Vec<Report>, BrokerError> {
        self.reach("submit").await?;
        let reports = self.exchange.submit(order, client_order_id, now_ns);
        self.back("submit").await?;
        Ok(reports)
    }

    async fn cancel(
        &mut self,
        order: &OrderSpec,
        client_order_id: &str,
        now_ns: i64,
    ) -> Result<Vec<Report>, BrokerError> {
        self.reach("cancel").await?;
        self.exchange.cancel(order, client_order_id, now_ns);
        self.back("cancel").await?;
        Ok(Vec::new())
    }

    async fn lookup(
        &mut self,
        _order: &OrderSpec,
        client_order_id: &str,
    ) -> Result<Option<BrokerOrder>, BrokerError> {
        self.reach("lookup").await?;
        let state = self.exchange.lock();
        Ok(state.orders.get(client_order_id).map(|held| BrokerOrder {
            broker_order_id: format!("sim-{}", held.spec.order_id),
            state: if held.working { StateAtBroker::Working } else { StateAtBroker::Ended },
            reports: held.history.clone(),
        }))
    }

    async fn reports(&mut self) -> Result<Vec<Report>, BrokerError> {
        let exchange = self.exchange.clone();
        std::future::poll_fn(move |context| {
            let mut state = exchange.lock();
            let mut said = Vec::new();
            while let Some(entry) = state.outbox.first_entry().filter(|entry| entry.key().0 <= clock::now()) {
                said.push(entry.remove());
            }
            if !said.is_empty() {
                return Poll::Ready(Ok(said));
            }
            state.listener = Some(context.waker().clone());
            if let Some(((at, _), _)) = state.outbox.first_key_value() {
                clock::wake_at(*at, context.waker());
            }
            Poll::Pending
        })
        .await
    }
}
