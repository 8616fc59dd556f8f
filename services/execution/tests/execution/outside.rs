//! Reconciliation: two hundred generated scenarios of what a broker outside did while it was not heard.
//!
//! The broker is a small one in memory with a truth of its own: executions that were told, told twice or never, taken
//! back and restated, orders that ended or were changed by hand, shares that others traded. After one comparison the
//! tape says what the broker says, a second one adds nothing, and no order was ever sent twice.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use broker::{Broker, BrokerError, BrokerOrder, BrokerPosition, Brokers, ListedOrder, Report, StateAtBroker};
use contracts::v1::event::Body;
use contracts::v1::{OrderSpec, Side, TimeInForce, TradingMode};
use domain::book::Book;
use domain::money::{Amount, Price, Quantity};
use domain::order::{
    BrokerReport, BrokerTruth, Execution, OrderState, OrderStatus, Standing, decide, reconcile,
};
use event_log::MemoryLog;
use proptest::prelude::*;
use proptest::test_runner::{Config as ProptestConfig, RngAlgorithm, TestRng, TestRunner};
use runtime::ClockMode;
use tokio_util::sync::CancellationToken;

use crate::support::{E9, OPEN_NS, Script, Staleness, book, config, context, everything, limit, order};

const SCENARIOS: u32 = 200;
const SHARES: i64 = 100;
const SYMBOLS: [&str; 2] = ["A", "B"];

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// An order is approved; its answer may be lost, before or after the order landed.
    Order { answer: Answer },
    /// A part of the order of this number is executed.
    Fill { order: usize, shares: i64, told: Told },
    /// The broker ends it by itself.
    End { order: usize, told: Told },
    /// Its last execution was another one.
    Correct { order: usize, shares: i64 },
    /// Its first execution never was.
    Bust { order: usize },
    /// Somebody changes its size at the broker.
    Resize { order: usize, shares: i64 },
    /// Somebody else trades.
    Others { symbol: usize, shares: i64 },
    /// Execution dies and comes back.
    Restart,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Given,
    LostBefore,
    LostAfter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Once,
    Twice,
    Never,
}

/// An order at the broker.
#[derive(Clone, Debug)]
struct Held {
    spec: OrderSpec,
    standing: Standing,
    quantity: i64,
    executions: Vec<(String, i64)>,
}

impl Held {
    fn filled(&self) -> i64 {
        self.executions.iter().map(|(_, shares)| shares).sum()
    }

    fn works(&self) -> bool {
        self.standing == Standing::Working
    }

    fn executions(&self) -> Vec<Execution> {
        self.executions.iter().map(|(id, shares)| execution(id, *shares)).collect()
    }
}

fn execution(id: &str, shares: i64) -> Execution {
    Execution {
        execution_id: id.to_owned(),
        quantity: Quantity(shares * E9),
        price: Price(50 * E9),
        commission: Amount::ZERO,
        slippage: Price::ZERO,
        executed_ns: OPEN_NS,
        ambiguous: false,
    }
}

#[derive(Debug, Default)]
struct World {
    next_answer: Option<Answer>,
    orders: BTreeMap<String, Held>,
    names: Vec<String>,
    said: VecDeque<Report>,
    others: [i64; 2],
    executed: usize,
    /// Submissions by client order id that reached the broker.
    landed: BTreeMap<String, usize>,
}

impl World {
    fn held(&mut self, order: usize) -> Option<&mut Held> {
        let name = self.names.get(order % self.names.len().max(1))?.clone();
        self.orders.get_mut(&name)
    }

    fn say(&mut self, order_id: &str, report: &BrokerReport, told: Told) {
        let times = match told {
            Told::Once => 1,
            Told::Twice => 2,
            Told::Never => 0,
        };
        for _ in 0..times {
            self.said.push_back(Report { order_id: order_id.to_owned(), report: report.clone() });
        }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Fill { order, shares, told } => {
                self.executed += 1;
                let id = format!("e-{}", self.executed);
                let Some(held) = self.held(order).filter(|held| held.works()) else { return };
                let shares = shares.min(held.quantity - held.filled());
                if shares == 0 {
                    return;
                }
                held.executions.push((id.clone(), shares));
                if held.filled() == held.quantity {
                    held.standing = Standing::Filled;
                }
                let order_id = held.spec.order_id.clone();
                self.say(&order_id, &BrokerReport::Filled(execution(&id, shares)), told);
            }
            Step::End { order, told } => {
                let Some(held) = self.held(order).filter(|held| held.works()) else { return };
                held.standing = Standing::Cancelled("by hand".to_owned());
                let order_id = held.spec.order_id.clone();
                let reason = "by hand".to_owned();
                self.say(&order_id, &BrokerReport::Cancelled { reason }, told);
            }
            Step::Correct { order, shares } => {
                let Some(held) = self.held(order) else { return };
                let room = held.quantity - held.filled();
                if let Some((_, last)) = held.executions.last_mut() {
                    *last = shares.min(*last + room).max(1);
                }
            }
            Step::Bust { order } => {
                let Some(held) = self.held(order) else { return };
                if !held.executions.is_empty() {
                    held.executions.remove(0);
                }
            }
            Step::Resize { order, shares } => {
                let Some(held) = self.held(order).filter(|held| held.works()) else { return };
                if shares > held.filled() {
                    held.quantity = shares;
                }
            }
            Step::Others { symbol, shares } => self.others[symbol] += shares,
            Step::Order { .. } | Step::Restart => {}
        }
    }

    fn position(&self, symbol: usize) -> i64 {
        let own = self.orders.values().filter(|held| held.spec.symbol == SYMBOLS[symbol]);
        let own: i64 =
            own.map(|held| if held.spec.side() == Side::Buy { held.filled() } else { -held.filled() }).sum();
        own + self.others[symbol]
    }
}

#[derive(Clone, Debug, Default)]
struct Outside(Arc<Mutex<World>>);

impl Brokers for Outside {
    fn resume(&self, _book: &Book) -> Result<Box<dyn Broker>, BrokerError> {
        Ok(Box::new(self.clone()))
    }
}

fn silence(doing: &str) -> BrokerError {
    BrokerError::Unknown { broker: "outside".into(), doing: doing.into(), source: "no answer".into() }
}

fn accepted(spec: &OrderSpec) -> Report {
    let broker_order_id = format!("b-{}", spec.order_id);
    Report { order_id: spec.order_id.clone(), report: BrokerReport::Accepted { broker_order_id } }
}

#[async_trait]
impl Broker for Outside {
    fn name(&self) -> &'static str {
        "outside"
    }

    fn mode_of(&self, _account: &str) -> TradingMode {
        TradingMode::Paper
    }

    fn is_remote(&self) -> bool {
        true
    }

    async fn submit(&mut self, order: &OrderSpec, client: &str, _: i64) -> Result<Vec<Report>, BrokerError> {
        let mut world = self.0.lock().unwrap();
        let answer = world.next_answer.take().unwrap_or(Answer::Given);
        if answer == Answer::LostBefore {
            return Err(silence("submit"));
        }
        *world.landed.entry(client.to_owned()).or_default() += 1;
        world.names.push(client.to_owned());
        let quantity = order.quantity_e9 / E9;
        let held =
            Held { spec: order.clone(), standing: Standing::Working, quantity, executions: Vec::new() };
        world.orders.insert(client.to_owned(), held);
        if answer == Answer::LostAfter { Err(silence("submit")) } else { Ok(vec![accepted(order)]) }
    }

    async fn cancel(&mut self, _: &OrderSpec, _: &str, _: i64) -> Result<Vec<Report>, BrokerError> {
        Ok(Vec::new())
    }

    async fn truth(&mut self, order: &OrderState) -> Result<Option<BrokerTruth>, BrokerError> {
        let world = self.0.lock().unwrap();
        Ok(world.orders.get(&order.client_order_id).map(|held| BrokerTruth {
            client_order_id: order.client_order_id.clone(),
            broker_order_id: format!("b-{}", held.spec.order_id),
            standing: held.standing.clone(),
            quantity: Quantity(held.quantity * E9),
            limit: held.spec.limit_price_e9.map(Price),
            stop: None,
            executions: held.executions(),
        }))
    }

    async fn positions(&mut self, account: &str) -> Result<Option<Vec<BrokerPosition>>, BrokerError> {
        let world = self.0.lock().unwrap();
        let all = (0..SYMBOLS.len()).filter(|_| account == "paper").map(|symbol| {
            let shares = world.position(symbol);
            let (quantity, cost) = (Quantity(shares * E9), Amount(i128::from(shares * 50 * E9)));
            BrokerPosition { symbol: SYMBOLS[symbol].to_owned(), quantity, cost }
        });
        Ok(Some(all.filter(|position| position.quantity != Quantity::ZERO).collect()))
    }

    async fn listed_orders(&mut self, account: &str) -> Result<Option<Vec<ListedOrder>>, BrokerError> {
        let world = self.0.lock().unwrap();
        let own = world.orders.iter().filter(|_| account == "paper");
        let listed = own.map(|(client, held)| ListedOrder {
            client_order_id: client.clone(),
            broker_order_id: format!("b-{}", held.spec.order_id),
            symbol: held.spec.symbol.clone(),
            terms: String::new(),
            open: held.works(),
        });
        Ok(Some(listed.collect()))
    }

    async fn lookup(&mut self, _: &OrderSpec, client: &str) -> Result<Option<BrokerOrder>, BrokerError> {
        let world = self.0.lock().unwrap();
        Ok(world.orders.get(client).map(|held| {
            let fill = |execution| Report {
                order_id: held.spec.order_id.clone(),
                report: BrokerReport::Filled(execution),
            };
            let fills = held.executions().into_iter().map(fill);
            BrokerOrder {
                broker_order_id: format!("b-{}", held.spec.order_id),
                state: if held.works() { StateAtBroker::Working } else { StateAtBroker::Ended },
                reports: std::iter::once(accepted(&held.spec)).chain(fills).collect(),
            }
        }))
    }

    async fn reports(&mut self) -> Result<Vec<Report>, BrokerError> {
        loop {
            if let Some(report) = self.0.lock().unwrap().said.pop_front() {
                return Ok(vec![report]);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Execution over a tape, which can die.
struct Stage {
    script: Script,
    outside: Outside,
    running: Option<(CancellationToken, tokio::task::JoinHandle<()>)>,
}

impl Stage {
    async fn new() -> Self {
        let script = Script { tape: MemoryLog::default(), framed: true };
        script.setup_accounts(&crate::support::ACCOUNTS, contracts::v1::Costs::default()).await;
        let mut stage = Self { script, outside: Outside::default(), running: None };
        stage.restart().await;
        stage
    }

    /// Comparisons on start so far.
    async fn starts(&self) -> usize {
        let all = everything(&self.script.tape).await;
        let start = |body: &Option<Body>| {
            matches!(body, Some(Body::BrokerReconciled(event))
                if event.occasion == "start" && event.account == "paper")
        };
        all.iter().filter(|recorded| start(&recorded.event.body)).count()
    }

    /// Dies, comes back, and waits until it has compared everything.
    async fn restart(&mut self) {
        if let Some((shutdown, task)) = self.running.take() {
            shutdown.cancel();
            task.await.unwrap();
        }
        let before = self.starts().await;
        let shutdown = CancellationToken::new();
        let mut config = config(&self.script.tape, Staleness::Behind(0));
        config.brokers = Arc::new(self.outside.clone());
        let context = context(Arc::new(self.script.tape.clone()), ClockMode::Tape, shutdown.clone());
        let task = tokio::spawn(async move { execution::run(context, config).await.unwrap() });
        self.running = Some((shutdown, task));
        self.until("it has compared everything", async |stage| stage.starts().await > before).await;
    }

    async fn until(&self, what: &str, condition: impl AsyncFn(&Self) -> bool) {
        for _ in 0..20_000 {
            if condition(self).await {
                return;
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        panic!("never: {what}");
    }

    async fn order(&self, number: usize, answer: Answer) {
        let name = format!("order {number}");
        let side = if number % 3 == 2 { Side::Sell } else { Side::Buy };
        let spec = limit(order(&name, "paper", SYMBOLS[number % 2], side, SHARES), 50, TimeInForce::Gtc);
        self.outside.0.lock().unwrap().next_answer = Some(answer);
        self.script.approve(&name, OPEN_NS, std::slice::from_ref(&spec), &[&["submitted", "accepted"]]).await;
    }

    /// Everything said was taken.
    async fn heard(&self) {
        self.until("what was said is taken", async |stage| stage.outside.0.lock().unwrap().said.is_empty())
            .await;
    }

    async fn play(&mut self, steps: &[Step]) {
        let mut orders = 0;
        for step in steps {
            match step {
                Step::Order { answer } => {
                    self.order(orders, *answer).await;
                    orders += 1;
                }
                Step::Restart => self.restart().await,
                other => self.outside.0.lock().unwrap().apply(*other),
            }
        }
        self.heard().await;
        // What works on is ended without a word, so that positions can be compared.
        let mut world = self.outside.0.lock().unwrap();
        for held in world.orders.values_mut().filter(|held| held.works()) {
            held.standing = Standing::Cancelled("in the end".to_owned());
        }
    }

    async fn check(&mut self) -> Result<(), TestCaseError> {
        self.restart().await;
        let tape = book(&self.script.tape).await;
        domain::book::identity::check_identity(&tape)
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        let orders: Vec<OrderState> = {
            let ids = self.outside.0.lock().unwrap();
            let ids = ids.orders.values().map(|held| held.spec.order_id.clone());
            ids.filter_map(|id| tape.order(&id).cloned()).collect()
        };
        for order in &orders {
            let truth = self.outside.clone().truth(order).await.unwrap().unwrap();
            let missing: Vec<_> = reconcile(order, &truth)
                .into_iter()
                .filter(|report| decide::report(order, report) != Ok(None))
                .collect();
            prop_assert_eq!(missing, Vec::new(), "order {:?}", order);
            let shares: i64 = truth.executions.iter().map(|execution| execution.quantity.0).sum();
            prop_assert_eq!(order.filled.0, shares);
            prop_assert!(order.status.is_ended() && order.status != OrderStatus::Rejected);
        }
        let world = self.outside.0.lock().unwrap().orders.len();
        prop_assert_eq!(orders.len(), world, "every order is on the tape");
        for (symbol, name) in SYMBOLS.iter().enumerate() {
            let there = self.outside.0.lock().unwrap().position(symbol) * E9;
            prop_assert_eq!(tape.net_quantity("paper", name).0, there, "position in {}", name);
        }
        let twice = self.outside.0.lock().unwrap().landed.values().filter(|times| **times > 1).count();
        prop_assert_eq!(twice, 0, "an order was sent twice");
        // Nothing was opened or closed to make both sides agree.
        let before = everything(&self.script.tape).await.len();
        self.restart().await;
        let after = everything(&self.script.tape).await;
        let more: Vec<_> = after[before..].iter().map(|recorded| recorded.subject.clone()).collect();
        prop_assert!(more.iter().all(|subject| subject.ends_with(".reconciled")), "again: {:?}", more);
        let none = after[before..].iter().all(|recorded| {
            matches!(&recorded.event.body, Some(Body::BrokerReconciled(event)) if event.differences == 0)
        });
        prop_assert!(none, "a second comparison finds nothing");
        let (shutdown, task) = self.running.take().unwrap();
        shutdown.cancel();
        task.await.unwrap();
        Ok(())
    }
}

fn told() -> impl Strategy<Value = Told> {
    prop_oneof![Just(Told::Once), Just(Told::Twice), Just(Told::Never)]
}

fn step() -> impl Strategy<Value = Step> {
    let number = 0..4_usize;
    let answer =
        prop_oneof![3 => Just(Answer::Given), 1 => Just(Answer::LostBefore), 1 => Just(Answer::LostAfter)];
    prop_oneof![
        2 => answer.prop_map(|answer| Step::Order { answer }),
        4 => (number.clone(), 1..60_i64, told())
            .prop_map(|(order, shares, told)| Step::Fill { order, shares, told }),
        1 => (number.clone(), told()).prop_map(|(order, told)| Step::End { order, told }),
        1 => (number.clone(), 1..60_i64).prop_map(|(order, shares)| Step::Correct { order, shares }),
        1 => number.clone().prop_map(|order| Step::Bust { order }),
        1 => (number, 1..150_i64).prop_map(|(order, shares)| Step::Resize { order, shares }),
        1 => (0..2_usize, -40..40_i64).prop_map(|(symbol, shares)| Step::Others { symbol, shares }),
        1 => Just(Step::Restart),
    ]
}

#[test]
fn one_comparison_brings_the_tape_to_the_brokers_truth_and_a_second_finds_nothing() {
    let executor =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let settings =
        ProptestConfig { cases: SCENARIOS, failure_persistence: None, ..ProptestConfig::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(settings, rng);
    let outcome = runner.run(&prop::collection::vec(step(), 1..14), |steps| {
        executor.block_on(async {
            let mut stage = Stage::new().await;
            stage.play(&steps).await;
            stage.check().await
        })
    });
    outcome.unwrap();
}
