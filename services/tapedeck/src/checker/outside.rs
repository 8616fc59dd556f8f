//! What the checker asks of brokers outside, and what is at fault only when it stays: a difference between the tape and a
//! broker, a group that is half open.
//!
//! Execution reconciles every minute and settles what it finds. So a difference counts when it was found in several looks
//! in a row, in which nothing new was recorded of the order, not for a minute: whatever was under way is through by then. A
//! broker that does not answer was not compared, and that is said. The simulated broker has nothing of its own to compare:
//! its orders are made of the tape.
//!
//! Orders wait in the same limit of requests as these questions. So the broker's one list judges, and only of a few orders
//! that it has otherwise than the tape the broker is asked more.
//!
//! Deliberately absent: sending anything. The clients are the checker's own and only ask.

use std::collections::BTreeMap;

use broker::{Broker, BrokerError, ListedOrder, StateAtBroker, come_to};
use contracts::order_of_client;
use domain::invariant::{AtBroker, Invariant, Violation, Watch, compare_open, half_open};
use domain::money::{Price, Quantity};
use domain::order::{BrokerReport, OrderState, Standing};

/// Looks in a row in which a difference has to be found.
pub const LOOKS: u32 = 3;
/// Orders of an account about which a look asks by themselves, at most. Of more of them the list alone tells.
const ASKED_MAX: usize = 3;

/// Clients of brokers outside by account; where one cannot be had, why.
pub type Clients = BTreeMap<String, Result<Box<dyn Broker>, String>>;

/// Brokers outside, and what was found of late.
pub struct Outside {
    clients: Clients,
    /// What was found in the last look, and in how many in a row.
    suspects: BTreeMap<(Invariant, String), u32>,
    /// Whether the last look found an order otherwise of which something was recorded a short while ago.
    waits: bool,
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
        Self { clients, suspects, waits: false, looks: 0, orders: 0, unasked }
    }

    /// Whether any account is traded at a broker outside.
    pub fn is_any(&self) -> bool {
        !self.clients.is_empty()
    }

    /// Whether the last look found anything of which a later one has to say whether it is at fault.
    pub fn is_undecided(&self) -> bool {
        self.waits || self.suspects.values().any(|times| *times < LOOKS)
    }

    /// Looks once, and says what has stayed. Orders with an event of their own from `young_from` on are not judged yet.
    pub async fn look(&mut self, watch: &Watch, young_from: u64) -> Vec<Violation> {
        let mut found: Vec<Violation> = half_open(watch).into_iter().collect();
        self.unasked.clear();
        (self.orders, self.waits) = (0, false);
        for (account, client) in &mut self.clients {
            let asked = match client {
                Ok(client) => {
                    let asked = ask(client.as_mut(), account, watch, young_from).await;
                    asked.map_err(|error| error.to_string())
                }
                Err(why) => Err(why.clone()),
            };
            match asked {
                Ok(Asked { orders, waits }) => {
                    self.waits |= waits;
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

/// What a broker says of an account.
#[derive(Default)]
struct Asked {
    orders: Vec<AtBroker>,
    /// Whether an order that differs is too young to be judged; it stands here as on the tape.
    waits: bool,
}

/// The account's open orders as its broker knows them, and what it lists as open under ids of this program.
async fn ask(
    broker: &mut dyn Broker,
    account: &str,
    watch: &Watch,
    young_from: u64,
) -> Result<Asked, BrokerError> {
    let book = watch.book();
    let sent =
        book.open_orders().filter(|order| order.spec.account == account && order.submitted_ns.is_some());
    let mut wanted: BTreeMap<&str, &OrderState> = sent.map(|order| (order.id(), order)).collect();
    let mut found = Asked::default();
    let listed = broker.listed_orders(account).await?;
    for order in listed.iter().flatten().filter(|order| order.open) {
        // Orders of others are execution's to state.
        let Some((order_id, _)) = order_of_client(&order.client_order_id) else { continue };
        match book.order(order_id) {
            Some(known) if known.submitted_ns.is_some() => {
                wanted.insert(known.id(), known);
            }
            _ => found.orders.push(AtBroker {
                client_order_id: order.client_order_id.clone(),
                working: true,
                ..AtBroker::default()
            }),
        }
    }
    let mut asked = 0;
    for order in wanted.into_values() {
        let word = listed.as_ref().and_then(|listed| entry(listed, order));
        if word.is_some_and(|word| agrees(order, word)) {
            found.orders.push(as_on_tape(order));
        } else if order.last_sequence >= young_from {
            found.waits = true;
            found.orders.push(as_on_tape(order));
        } else if asked < ASKED_MAX {
            asked += 1;
            found.orders.extend(stands(broker, order).await?);
        } else if listed.is_none() {
            found.orders.push(as_on_tape(order));
        } else {
            // The list names no executions.
            let told = word.map(|word| AtBroker { working: word.open, ..as_on_tape(order) });
            found.orders.extend(told);
        }
    }
    Ok(found)
}

/// The order in a broker's list: under the id that the broker gave it, or as it is worked under one of ours.
fn entry<'listed>(listed: &'listed [ListedOrder], order: &OrderState) -> Option<&'listed ListedOrder> {
    let by_broker = |entry: &&ListedOrder| {
        !entry.broker_order_id.is_empty() && entry.broker_order_id == order.broker_order_id
    };
    let ours = |entry: &&ListedOrder| {
        let of = order_of_client(&entry.client_order_id);
        entry.open && of.is_some_and(|(order_id, _)| order_id == order.id())
    };
    listed.iter().find(by_broker).or_else(|| listed.iter().find(ours))
}

/// Whether a broker's list has the order as the tape does.
fn agrees(order: &OrderState, entry: &ListedOrder) -> bool {
    let filled = entry.filled.is_some_and(|filled| come_to(&order.executions, filled, entry.average));
    entry.open && !order.status.is_ended() && filled
}

/// The order as the tape has it.
fn as_on_tape(order: &OrderState) -> AtBroker {
    let counts = order.executions.iter().filter(|known| !known.is_busted());
    AtBroker {
        client_order_id: order.client_order_id.clone(),
        working: !order.status.is_ended(),
        executions: counts.map(|known| (known.id.clone(), (known.quantity, known.price))).collect(),
    }
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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use broker::{BrokerOrder, Report};
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
        /// Orders that it was asked about by themselves.
        asked: Arc<AtomicUsize>,
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
            self.asked.fetch_add(1, Ordering::Relaxed);
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
                filled: Some(Quantity::ZERO),
                average: None,
            };
            if self.silent { Err(Self::error()) } else { Ok(Some(self.lists.iter().map(listed).collect())) }
        }

        async fn reports(&mut self) -> Result<Vec<Report>, BrokerError> {
            std::future::pending().await
        }
    }

    /// The tape of orders that were sent, one for each signal.
    fn sent(signals: &[&str]) -> Watch {
        let mut watch = Watch::default();
        for (sequence, body) in (1..).zip(signals.iter().flat_map(|signal| order_of(signal))) {
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

    fn order_of(signal: &str) -> [Body; 2] {
        let spec = OrderSpec {
            order_id: order_id(signal, 0),
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
            signal_id: signal.to_owned(),
            verdict: Verdict::Approved.into(),
            orders: vec![spec.clone()],
            ..RiskDecision::default()
        };
        let submitted = OrderSubmitted {
            client_order_id: client_order_id(&spec.order_id),
            broker: "stated".to_owned(),
            order: Some(spec),
        };
        [Body::RiskDecision(decision), Body::OrderSubmitted(submitted)]
    }

    fn outside(known: Option<StateAtBroker>, lists: &[&str], silent: bool) -> Outside {
        counted(known, lists, silent).0
    }

    /// The same, and how many orders the broker was asked about by themselves.
    fn counted(known: Option<StateAtBroker>, lists: &[&str], silent: bool) -> (Outside, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let lists = lists.iter().map(|client| (*client).to_owned()).collect();
        let broker: Box<dyn Broker> = Box::new(Stated { known, lists, silent, asked: Arc::clone(&asked) });
        (Outside::new(BTreeMap::from([("paper".to_owned(), Ok(broker))])), asked)
    }

    /// What the last of as many looks as it takes finds; those before find nothing.
    async fn found(outside: &mut Outside) -> Vec<Invariant> {
        let watch = sent(&["signal"]);
        for _ in 1..LOOKS {
            assert_eq!(outside.look(&watch, u64::MAX).await, []);
        }
        outside.look(&watch, u64::MAX).await.into_iter().map(|violation| violation.invariant).collect()
    }

    #[tokio::test]
    async fn a_difference_counts_when_it_stays() {
        let mut agrees = outside(Some(StateAtBroker::Working), &[], false);
        assert_eq!(found(&mut agrees).await, []);
        assert_eq!((agrees.orders, agrees.suspects.len(), agrees.unasked.len()), (1, 0, 0));
        let mut lost = outside(None, &[], false);
        assert_eq!(found(&mut lost).await, [Invariant::OrdersEnd]);
        let mut ended = outside(Some(StateAtBroker::Ended), &[], false);
        assert_eq!(found(&mut ended).await, [Invariant::OrdersEnd]);
    }

    #[tokio::test]
    async fn what_the_list_has_as_the_tape_is_not_asked_for() {
        let known = client_order_id(&order_id("signal", 0));
        // Asked, it would say that it does not know the order.
        let (mut listed, asked) = counted(None, &[&known], false);
        assert_eq!(found(&mut listed).await, []);
        assert_eq!((listed.orders, asked.load(Ordering::Relaxed)), (1, 0));
    }

    #[tokio::test]
    async fn of_many_orders_that_differ_a_look_asks_for_a_few_and_the_list_tells_of_the_others() {
        let watch = sent(&["a", "b", "c", "d", "e"]);
        let (mut outside, asked) = counted(Some(StateAtBroker::Working), &[], false);
        let mut stayed = Vec::new();
        for look in 1..=LOOKS as usize {
            stayed = outside.look(&watch, u64::MAX).await;
            assert_eq!(asked.load(Ordering::Relaxed), look * ASKED_MAX);
        }
        let invariants: Vec<Invariant> = stayed.iter().map(|violation| violation.invariant).collect();
        assert_eq!(invariants, [Invariant::OrdersEnd; 2], "{stayed:?}");
    }

    #[tokio::test]
    async fn an_order_that_changed_a_short_while_ago_is_waited_for() {
        let (mut outside, asked) = counted(None, &[], false);
        let watch = sent(&["signal"]);
        for _ in 0..=LOOKS {
            // It was submitted by the second event.
            assert_eq!(outside.look(&watch, 2).await, []);
            assert!(outside.is_undecided());
        }
        assert_eq!(asked.load(Ordering::Relaxed), 0);
        for _ in 1..LOOKS {
            assert_eq!(outside.look(&watch, 3).await, []);
            assert!(outside.is_undecided());
        }
        let stayed = outside.look(&watch, 3).await;
        assert_eq!((stayed.len(), stayed[0].invariant), (1, Invariant::OrdersEnd));
        assert!(!outside.is_undecided(), "it is judged");
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
