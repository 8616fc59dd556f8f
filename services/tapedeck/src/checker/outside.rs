//! What the checker asks of brokers outside, and what is at fault only when it stays: a difference between the tape and a
//! broker, a group that is half open.
//!
//! Execution reconciles every minute and settles what it finds. So a difference counts when it was found in several looks
//! in a row, a minute apart: whatever was under way is through by then. A broker that does not answer was not compared, and
//! that is said. The simulated broker has nothing of its own to compare: its orders are made of the tape.
//!
//! Deliberately absent: sending anything. The clients are the checker's own and only ask.

use std::collections::BTreeMap;

use broker::{Broker, BrokerError, StateAtBroker};
use contracts::order_of_client;
use domain::invariant::{AtBroker, Invariant, Violation, Watch, compare_open, half_open};
use domain::money::{Price, Quantity};
use domain::order::{BrokerReport, OrderState, Standing};

/// Looks in a row in which a difference has to be found.
pub const LOOKS: u32 = 3;

/// Clients of brokers outside by account; where one cannot be had, why.
pub type Clients = BTreeMap<String, Result<Box<dyn Broker>, String>>;

/// Brokers outside, and what was found of late.
pub struct Outside {
    clients: Clients,
    /// What was found in the last look, and in how many in a row.
    suspects: BTreeMap<(Invariant, String), u32>,
    /// Looks so far.
    pub looks: u32,
    /// Orders that the last look compared.
    pub orders: usize,
    /// Why brokers could not be asked in the last look, by account.
    pub unasked: BTreeMap<String, String>,
}

impl Outside {
    /// Asks through `clients`.
    pub fn new(clients: Clients) -> Self {
        let (suspects, unasked) = (BTreeMap::new(), BTreeMap::new());
        Self { clients, suspects, looks: 0, orders: 0, unasked }
    }

    /// Whether any account is traded at a broker outside.
    pub fn is_any(&self) -> bool {
        !self.clients.is_empty()
    }

    /// Whether the last look found anything that has to stay to be at fault.
    pub fn suspects(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// Looks once, and says what has stayed.
    pub async fn look(&mut self, watch: &Watch) -> Vec<Violation> {
        let mut found: Vec<Violation> = half_open(watch).into_iter().collect();
        self.unasked.clear();
        self.orders = 0;
        for (account, client) in &mut self.clients {
            let asked = match client {
                Ok(client) => ask(client.as_mut(), account, watch).await.map_err(|error| error.to_string()),
                Err(why) => Err(why.clone()),
            };
            match asked {
                Ok(orders) => {
                    self.orders += orders.len();
                    found.extend(compare_open(watch, account, &orders));
                }
                Err(why) => {
                    self.unasked.insert(account.clone(), why);
                }
            }
        }
        self.looks = self.looks.saturating_add(1);
        self.stay(found)
    }

    fn stay(&mut self, found: Vec<Violation>) -> Vec<Violation> {
        let before = std::mem::take(&mut self.suspects);
        let mut stayed = Vec::new();
        for violation in found {
            let key = (violation.invariant, violation.detail.clone());
            let times = before.get(&key).copied().unwrap_or_default().saturating_add(1);
            self.suspects.insert(key, times);
            if times >= LOOKS {
                stayed.push(violation);
            }
        }
        stayed
    }
}

/// The account's open orders as its broker knows them, and what it lists as open under ids of this program.
async fn ask(broker: &mut dyn Broker, account: &str, watch: &Watch) -> Result<Vec<AtBroker>, BrokerError> {
    let book = watch.book();
    let sent =
        book.open_orders().filter(|order| order.spec.account == account && order.submitted_ns.is_some());
    let mut wanted: BTreeMap<&str, &OrderState> = sent.map(|order| (order.id(), order)).collect();
    let mut found = Vec::new();
    let listed = broker.listed_orders(account).await?.unwrap_or_default();
    for order in listed.into_iter().filter(|order| order.open) {
        // Orders of others are execution's to state.
        let Some((order_id, _)) = order_of_client(&order.client_order_id) else { continue };
        match book.order(order_id) {
            Some(known) if known.submitted_ns.is_some() => {
                wanted.insert(known.id(), known);
            }
            _ => found.push(AtBroker {
                client_order_id: order.client_order_id,
                working: true,
                ..AtBroker::default()
            }),
        }
    }
    for order in wanted.into_values() {
        found.extend(stands(broker, order).await?);
    }
    Ok(found)
}

/// How an order stands at its broker; `None` when it does not know it.
async fn stands(broker: &mut dyn Broker, order: &OrderState) -> Result<Option<AtBroker>, BrokerError> {
    let client_order_id = order.client_order_id.clone();
    if let Some(truth) = broker.truth(order).await? {
        let working = matches!(truth.standing, Standing::Working | Standing::Suspended(_));
        let executions = truth.executions.into_iter();
        let executions = executions.map(|one| (one.execution_id, (one.quantity, one.price))).collect();
        return Ok(Some(AtBroker { client_order_id, working, executions }));
    }
    let Some(known) = broker.lookup(&order.spec, &order.client_order_id).await? else { return Ok(None) };
    let mut executions: BTreeMap<String, (Quantity, Price)> = BTreeMap::new();
    for report in known.reports {
        match report.report {
            BrokerReport::Filled(one) | BrokerReport::Corrected { execution: one, .. } => {
                executions.insert(one.execution_id, (one.quantity, one.price));
            }
            BrokerReport::Busted { execution_id, .. } => {
                executions.remove(&execution_id);
            }
            _ => {}
        }
    }
    Ok(Some(AtBroker { client_order_id, working: known.state == StateAtBroker::Working, executions }))
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use broker::{BrokerOrder, ListedOrder, Report};
    use contracts::v1::event::Body;
    use contracts::v1::{
        Event, OrderSpec, OrderSubmitted, OrderType, RiskDecision, Side, TimeInForce, Verdict,
    };
    use contracts::{client_order_id, order_id, to_timestamp};

    use super::*;

    /// A broker that knows what it is told to know.
    struct Stated {
        known: Option<StateAtBroker>,
        lists: Vec<String>,
        silent: bool,
    }

    impl Stated {
        fn error() -> BrokerError {
            let (broker, doing) = ("stated".to_owned(), "look up".to_owned());
            BrokerError::Unknown { broker, doing, source: "it is silent".into() }
        }
    }

    #[async_trait]
    impl Broker for Stated {
        fn name(&self) -> &'static str {
            "stated"
        }

        async fn submit(&mut self, _: &OrderSpec, _: &str, _: i64) -> Result<Vec<Report>, BrokerError> {
            Err(Self::error())
        }

        async fn cancel(&mut self, _: &OrderSpec, _: &str, _: i64) -> Result<Vec<Report>, BrokerError> {
            Err(Self::error())
        }

        async fn lookup(&mut self, _: &OrderSpec, _: &str) -> Result<Option<BrokerOrder>, BrokerError> {
            let known = |state| BrokerOrder { broker_order_id: "1".to_owned(), state, reports: Vec::new() };
            Ok(self.known.map(known))
        }

        async fn listed_orders(&mut self, _: &str) -> Result<Option<Vec<ListedOrder>>, BrokerError> {
            let listed = |client: &String| ListedOrder {
                client_order_id: client.clone(),
                broker_order_id: "1".to_owned(),
                symbol: "SPY".to_owned(),
                terms: "buy 1".to_owned(),
                open: true,
            };
            if self.silent { Err(Self::error()) } else { Ok(Some(self.lists.iter().map(listed).collect())) }
        }

        async fn reports(&mut self) -> Result<Vec<Report>, BrokerError> {
            std::future::pending().await
        }
    }

    /// The tape of one order that was sent.
    fn sent() -> Watch {
        let spec = OrderSpec {
            order_id: order_id("signal", 0),
            account: "paper".to_owned(),
            strategy: "trend".to_owned(),
            symbol: "SPY".to_owned(),
            side: Side::Buy.into(),
            order_type: OrderType::Market.into(),
            time_in_force: TimeInForce::Day.into(),
            quantity_e9: 1_000_000_000,
            reducing: true,
            ..OrderSpec::default()
        };
        let decision = RiskDecision {
            account: "paper".to_owned(),
            strategy: "trend".to_owned(),
            signal_id: "signal".to_owned(),
            verdict: Verdict::Approved.into(),
            orders: vec![spec.clone()],
            ..RiskDecision::default()
        };
        let submitted = OrderSubmitted {
            client_order_id: client_order_id(&spec.order_id),
            broker: "stated".to_owned(),
            order: Some(spec),
        };
        let mut watch = Watch::default();
        for (sequence, body) in (1..).zip([Body::RiskDecision(decision), Body::OrderSubmitted(submitted)]) {
            let event = Event {
                id: format!("{sequence:032x}"),
                event_time: Some(to_timestamp(1)),
                body: Some(body),
                ..Event::default()
            };
            assert_eq!(watch.fold(sequence, &event), []);
        }
        watch
    }

    fn outside(known: Option<StateAtBroker>, lists: &[&str], silent: bool) -> Outside {
        let lists = lists.iter().map(|client| (*client).to_owned()).collect();
        let broker: Box<dyn Broker> = Box::new(Stated { known, lists, silent });
        Outside::new(BTreeMap::from([("paper".to_owned(), Ok(broker))]))
    }

    /// What the last of as many looks as it takes finds; those before find nothing.
    async fn found(outside: &mut Outside) -> Vec<Invariant> {
        let watch = sent();
        for _ in 1..LOOKS {
            assert_eq!(outside.look(&watch).await, []);
        }
        outside.look(&watch).await.into_iter().map(|violation| violation.invariant).collect()
    }

    #[tokio::test]
    async fn a_difference_counts_when_it_stays() {
        let mut agrees = outside(Some(StateAtBroker::Working), &[], false);
        assert_eq!(found(&mut agrees).await, []);
        assert_eq!((agrees.orders, agrees.suspects(), agrees.unasked.len()), (1, false, 0));
        let mut lost = outside(None, &[], false);
        assert_eq!(found(&mut lost).await, [Invariant::OrdersEnd]);
        let mut ended = outside(Some(StateAtBroker::Ended), &[], false);
        assert_eq!(found(&mut ended).await, [Invariant::OrdersEnd]);
    }

    #[tokio::test]
    async fn an_order_of_this_program_without_an_intent_is_found_and_one_of_others_is_not() {
        let known = client_order_id(&order_id("signal", 0));
        let stray = client_order_id(&order_id("another", 0));
        let mut both = outside(Some(StateAtBroker::Working), &[&known, &stray, "by hand"], false);
        assert_eq!(found(&mut both).await, [Invariant::NoOrderTwice]);
    }

    #[tokio::test]
    async fn a_broker_that_does_not_answer_was_not_compared_and_says_why() {
        let mut silent = outside(None, &[], true);
        assert_eq!(found(&mut silent).await, []);
        assert!(silent.unasked["paper"].contains("it is silent"), "{:?}", silent.unasked);
        let mut keyless = Outside::new(BTreeMap::from([("paper".to_owned(), Err("no key".to_owned()))]));
        assert_eq!(found(&mut keyless).await, []);
        assert_eq!(keyless.unasked["paper"], "no key");
    }
}
