//! Reconciliation: two hundred generated scenarios of what a broker outside did while it was not heard.
//!
//! The broker is a small one in memory with a truth of its own: executions that were told, told twice or never, taken
//! back and restated, orders that ended or were changed by hand, shares that others traded. After one comparison the
//! tape says what the broker says, a second one adds nothing, and no order was ever sent twice.

mod booked;
mod priced;
mod stops;
mod timers;
mod world;

use std::sync::Arc;
use std::time::Duration;

use broker::Broker as _;
use contracts::v1::event::Body;
use contracts::v1::{BrokerAttached, OrderSpec, Side, TimeInForce};
use domain::calendar::Market;
use domain::money::Quantity;
use domain::order::{OrderState, OrderStatus, Standing, decide, reconcile};
use event_log::MemoryLog;
use proptest::prelude::*;
use proptest::test_runner::{Config as ProptestConfig, RngAlgorithm, TestRng, TestRunner};
use runtime::ClockMode;
use tokio_util::sync::CancellationToken;

use crate::support::{E9, OPEN_NS, Script, Staleness, book, config, context, everything, limit, order};
use world::{Answer, Outside, SYMBOLS, Step, Told};

const SCENARIOS: u32 = 200;
const SHARES: i64 = 100;
const ACCEPTED: &[&str] = &["submitted", "accepted"];

/// Execution over a tape, which can die.
struct Stage {
    script: Script,
    outside: Outside,
    clock: ClockMode,
    market: Market,
    running: Option<(CancellationToken, tokio::task::JoinHandle<()>)>,
}

impl Stage {
    async fn new(clock: ClockMode) -> Self {
        Self::of(clock, Market::Xnys).await
    }

    /// On a tape of this market's calendar.
    async fn of(clock: ClockMode, market: Market) -> Self {
        let script = Script { tape: MemoryLog::default(), framed: clock == ClockMode::Tape };
        script.setup_accounts(&crate::support::ACCOUNTS, contracts::v1::Costs::default()).await;
        let mut stage = Self { script, outside: Outside::default(), clock, market, running: None };
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
        config.calendar = self.market.calendar();
        let context = context(Arc::new(self.script.tape.clone()), self.clock, shutdown.clone());
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

    /// Approves an order and waits for what follows.
    async fn order(&self, number: usize, answer: Answer, events: &[&str]) {
        let name = format!("order {number}");
        let side = if number % 3 == 2 { Side::Sell } else { Side::Buy };
        let spec = limit(order(&name, "paper", SYMBOLS[number % 2], side, SHARES), 50, TimeInForce::Gtc);
        self.outside.0.lock().unwrap().next_answer = Some(answer);
        self.script.approve(&name, OPEN_NS, std::slice::from_ref(&spec), &[events]).await;
    }

    /// What was stated of the account and its broker, oldest first.
    async fn attached(&self) -> Vec<BrokerAttached> {
        let all = everything(&self.script.tape).await.into_iter();
        all.filter_map(|recorded| match recorded.event.body {
            Some(Body::BrokerAttached(attached)) if attached.account == "paper" => Some(attached),
            _ => None,
        })
        .collect()
    }

    async fn until_rejected(&self, reason: &str) {
        self.until("the order is rejected", async |stage| {
            let all = everything(&stage.script.tape).await;
            all.iter().any(|recorded| {
                matches!(&recorded.event.body, Some(Body::OrderRejected(event)) if event.reason.contains(reason))
            })
        })
        .await;
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
                    self.order(orders, *answer, ACCEPTED).await;
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
            matches!(&recorded.event.body, Some(Body::BrokerReconciled(event))
                if event.differences == 0 && event.prices.is_empty())
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
            let mut stage = Stage::new(ClockMode::Tape).await;
            stage.outside.0.lock().unwrap().price = Some(51);
            stage.play(&steps).await;
            stage.check().await
        })
    });
    outcome.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_is_found_when_the_broker_is_heard_again() {
    let mut stage = Stage::new(ClockMode::Tape).await;
    stage.order(0, Answer::Given, ACCEPTED).await;
    stage.outside.0.lock().unwrap().apply(Step::Fill { order: 0, shares: 5, told: Told::Never });
    // The first time is that of the connection, the second one an interruption.
    stage.outside.0.lock().unwrap().missed = 2;
    stage
        .until("it was compared after the interruption", async |stage| {
            let all = everything(&stage.script.tape).await;
            let again = |body: &Option<Body>| {
                matches!(body, Some(Body::BrokerReconciled(event)) if event.occasion == "reconnect")
            };
            all.iter().any(|recorded| again(&recorded.event.body))
        })
        .await;
    assert_eq!(book(&stage.script.tape).await.net_quantity("paper", "A"), Quantity(5 * E9));
    let all = everything(&stage.script.tape).await;
    let differed: Vec<_> = all
        .iter()
        .filter_map(|recorded| match &recorded.event.body {
            Some(Body::BrokerDiffered(event)) => Some((event.at_broker.as_str(), event.on_tape.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(differed, [("5 at 50", "nothing")]);
    let (shutdown, task) = stage.running.take().unwrap();
    shutdown.cancel();
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_checked_is_refused_and_not_sent_later() {
    let mut stage = Stage::new(ClockMode::Wall).await;
    stage.order(0, Answer::Unchecked, &["submitted", "rejected"]).await;
    stage.until_rejected("nothing was sent, because the broker cannot be asked: no answer").await;
    stage.restart().await;
    assert!(stage.outside.0.lock().unwrap().landed.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_closes_and_could_not_be_sent_is_sent_later() {
    let stage = Stage::new(ClockMode::Wall).await;
    let closing = order("closing", "paper", SYMBOLS[0], Side::Sell, SHARES);
    let closing = OrderSpec { reducing: true, ..limit(closing, 50, TimeInForce::Gtc) };
    stage.outside.0.lock().unwrap().next_answer = Some(Answer::Unchecked);
    stage.script.approve("closing", OPEN_NS, std::slice::from_ref(&closing), &[&["submitted"]]).await;
    stage.until("it is sent", async |stage| stage.outside.0.lock().unwrap().landed.len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_did_not_arrive_opens_nothing_when_it_is_late() {
    let mut stage = Stage::new(ClockMode::Wall).await;
    // The script's decisions are years old; the broker is asked for the order a second later.
    stage.order(0, Answer::LostBefore, &["submitted"]).await;
    stage.until_rejected("it did not arrive at the broker, and opens nothing").await;
    stage.restart().await;
    assert!(stage.outside.0.lock().unwrap().landed.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn that_an_account_takes_no_orders_is_stated_when_it_changes() {
    let mut stage = Stage::new(ClockMode::Wall).await;
    // First the quiet look at a connection, then an interruption.
    for (before, why) in ["trading is blocked", ""].into_iter().enumerate() {
        {
            let mut world = stage.outside.0.lock().unwrap();
            world.blocked = Some(why.to_owned()).filter(|why| !why.is_empty());
            world.missed = 1;
        }
        stage.until("it is stated", async |stage| stage.attached().await.len() > 1 + before).await;
    }
    let said: Vec<String> = stage.attached().await.into_iter().map(|attached| attached.blocked).collect();
    assert_eq!(said, ["", "trading is blocked", ""]);
    let (shutdown, task) = stage.running.take().unwrap();
    shutdown.cancel();
    task.await.unwrap();
}
