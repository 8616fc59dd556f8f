//! Exits at a broker that takes them only once their entry is done.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use broker::{Broker, BrokerError, BrokerOrder, Brokers, Report, StateAtBroker};
use contracts::child_order_id;
use contracts::v1::{GroupKind, OrderSpec, OrderType, Side, TimeInForce, TradingMode};
use domain::book::Book;
use domain::money::{Amount, Price, Quantity};
use domain::order::{BrokerReport, Execution, OrderStatus};
use event_log::MemoryLog;
use runtime::ClockMode;
use tokio_util::sync::CancellationToken;

use crate::support::{E9, OPEN_NS, Script, Staleness, book, config, context, limit, order};

/// A broker that notes what it is sent, in words.
#[derive(Clone, Debug)]
struct Noting(Arc<Mutex<World>>);

#[derive(Debug)]
struct World {
    mode: TradingMode,
    sent: Vec<String>,
    said: Vec<Report>,
    known: Vec<String>,
}

impl Brokers for Noting {
    fn resume(&self, _book: &Book) -> Result<Box<dyn Broker>, BrokerError> {
        Ok(Box::new(self.clone()))
    }
}

fn accepted(order: &OrderSpec) -> Report {
    let broker_order_id = format!("b-{}", order.order_id);
    Report { order_id: order.order_id.clone(), report: BrokerReport::Accepted { broker_order_id } }
}

impl Noting {
    fn new(mode: TradingMode) -> Self {
        let world = World { mode, sent: Vec::new(), said: Vec::new(), known: Vec::new() };
        Self(Arc::new(Mutex::new(world)))
    }

    fn say(&self, order: &OrderSpec, report: BrokerReport) {
        self.0.lock().unwrap().said.push(Report { order_id: order.order_id.clone(), report });
    }

    fn fill(&self, order: &OrderSpec, shares: i64) {
        let execution = Execution {
            execution_id: format!("e-{shares}"),
            quantity: Quantity(shares * E9),
            price: Price(50 * E9),
            commission: Amount::ZERO,
            slippage: Price::ZERO,
            executed_ns: OPEN_NS,
            ambiguous: false,
        };
        self.say(order, BrokerReport::Filled(execution));
    }

    fn sent(&self) -> Vec<String> {
        self.0.lock().unwrap().sent.clone()
    }
}

fn words(order: &OrderSpec) -> String {
    let side = if order.side() == Side::Buy { "buy" } else { "sell" };
    format!("{side} {} {}", order.quantity_e9 / E9, order.order_type().as_str_name())
}

#[async_trait]
impl Broker for Noting {
    fn name(&self) -> &'static str {
        broker::ALPACA
    }

    fn mode_of(&self, _account: &str) -> TradingMode {
        self.0.lock().unwrap().mode
    }

    fn is_remote(&self) -> bool {
        true
    }

    async fn submit(&mut self, order: &OrderSpec, client: &str, _: i64) -> Result<Vec<Report>, BrokerError> {
        let mut world = self.0.lock().unwrap();
        world.sent.push(words(order));
        world.known.push(client.to_owned());
        Ok(vec![accepted(order)])
    }

    async fn submit_pair(
        &mut self,
        [target, stop]: [&OrderSpec; 2],
        _: i64,
    ) -> Result<Option<Vec<Report>>, BrokerError> {
        self.0.lock().unwrap().sent.push(format!("{} and {}", words(target), words(stop)));
        Ok(Some(vec![accepted(target), accepted(stop)]))
    }

    async fn cancel(&mut self, _: &OrderSpec, _: &str, _: i64) -> Result<Vec<Report>, BrokerError> {
        Ok(Vec::new())
    }

    async fn lookup(&mut self, order: &OrderSpec, client: &str) -> Result<Option<BrokerOrder>, BrokerError> {
        let known = self.0.lock().unwrap().known.iter().any(|known| known == client);
        Ok(known.then(|| BrokerOrder {
            broker_order_id: format!("b-{}", order.order_id),
            state: StateAtBroker::Working,
            reports: vec![accepted(order)],
        }))
    }

    async fn reports(&mut self) -> Result<Vec<Report>, BrokerError> {
        loop {
            let said = std::mem::take(&mut self.0.lock().unwrap().said);
            if !said.is_empty() {
                return Ok(said);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

fn bracket(name: &str) -> [OrderSpec; 3] {
    let entry = limit(order(name, "paper", "A", Side::Buy, 30), 50, TimeInForce::Day);
    let id = entry.order_id.clone();
    let entry = OrderSpec { group: GroupKind::Bracket.into(), group_id: id.clone(), ..entry };
    let exit = |index| OrderSpec {
        order_id: child_order_id(&id, index),
        parent_id: id.clone(),
        side: Side::Sell.into(),
        time_in_force: TimeInForce::Gtc.into(),
        reducing: true,
        ..entry.clone()
    };
    let target = OrderSpec { limit_price_e9: Some(60 * E9), ..exit(0) };
    let stop = OrderSpec {
        order_type: OrderType::Stop.into(),
        limit_price_e9: None,
        stop_price_e9: Some(40 * E9),
        ..exit(1)
    };
    [entry, target, stop]
}

async fn running(outside: &Noting) -> (Script, CancellationToken, tokio::task::JoinHandle<()>) {
    let script = Script { tape: MemoryLog::default(), framed: true };
    script.setup_accounts(&crate::support::ACCOUNTS, contracts::v1::Costs::default()).await;
    let shutdown = CancellationToken::new();
    let mut config = config(&script.tape, Staleness::Behind(0));
    config.brokers = Arc::new(outside.clone());
    let context = context(Arc::new(script.tape.clone()), ClockMode::Tape, shutdown.clone());
    let task = tokio::spawn(async move { execution::run(context, config).await.unwrap() });
    (script, shutdown, task)
}

#[tokio::test(flavor = "multi_thread")]
async fn exits_go_together_when_the_entry_is_over_and_close_what_it_filled() {
    let outside = Noting::new(TradingMode::Paper);
    let (script, shutdown, task) = running(&outside).await;
    let orders = bracket("whole");
    script.approve("whole", OPEN_NS, &orders, &[&["accepted"], &[], &[]]).await;
    outside.fill(&orders[0], 12);
    script.order_event(&orders[0], "accepted").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(outside.sent(), ["buy 30 ORDER_TYPE_LIMIT"], "the entry is still open");
    outside.say(&orders[0], BrokerReport::Expired { reason: "the day is over".into() });
    for exit in &orders[1..] {
        script.order_event(exit, "accepted").await;
        script.order_event(exit, "replaced").await;
    }
    assert_eq!(outside.sent()[1..], ["sell 12 ORDER_TYPE_LIMIT and sell 12 ORDER_TYPE_STOP"]);
    let after = book(&script.tape).await;
    for exit in &orders[1..] {
        assert_eq!(after.order(&exit.order_id).unwrap().remaining(), Quantity(12 * E9));
    }
    shutdown.cancel();
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn exits_for_less_than_their_entry_close_what_it_opened() {
    // 30 are bought while 10 are short: the exits are for 20.
    let turned = |name: &str| {
        let [entry, target, stop] = bracket(name);
        let [target, stop] = [target, stop].map(|exit| OrderSpec { quantity_e9: 20 * E9, ..exit });
        [entry, target, stop]
    };
    let outside = Noting::new(TradingMode::Paper);
    let (script, shutdown, task) = running(&outside).await;
    for (name, filled, outcome) in [("closes", 8, "cancelled"), ("opens", 12, "replaced")] {
        let orders = turned(name);
        script.approve(name, OPEN_NS, &orders, &[&["accepted"], &[], &[]]).await;
        outside.fill(&orders[0], filled);
        outside.say(&orders[0], BrokerReport::Expired { reason: "the day is over".into() });
        for exit in &orders[1..] {
            script.order_event(exit, outcome).await;
        }
    }
    let sent = outside.sent();
    assert_eq!(sent[2..], ["sell 2 ORDER_TYPE_LIMIT and sell 2 ORDER_TYPE_STOP"], "{sent:?}");
    shutdown.cancel();
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn exits_of_an_entry_that_filled_nothing_are_never_sent() {
    let outside = Noting::new(TradingMode::Paper);
    let (script, shutdown, task) = running(&outside).await;
    let orders = bracket("nothing");
    script.approve("nothing", OPEN_NS, &orders, &[&["accepted"], &[], &[]]).await;
    outside.say(&orders[0], BrokerReport::Cancelled { reason: "by hand".into() });
    for exit in &orders[1..] {
        script.order_event(exit, "cancelled").await;
    }
    assert_eq!(outside.sent().len(), 1);
    shutdown.cancel();
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_money_a_strategy_opens_nothing() {
    let outside = Noting::new(TradingMode::Live);
    let (script, shutdown, task) = running(&outside).await;
    let entry = order("strategy", "paper", "A", Side::Buy, 10);
    script.approve("strategy", OPEN_NS, std::slice::from_ref(&entry), &[&["rejected"]]).await;
    let by_hand =
        OrderSpec { strategy: contracts::MANUAL.into(), ..order("hand", "paper", "A", Side::Buy, 10) };
    script.approve("hand", OPEN_NS, std::slice::from_ref(&by_hand), &[&["accepted"]]).await;
    let closing = OrderSpec { reducing: true, ..order("closing", "paper", "A", Side::Sell, 10) };
    script.approve("closing", OPEN_NS, std::slice::from_ref(&closing), &[&["accepted"]]).await;
    let after = book(&script.tape).await;
    let refused = after.order(&entry.order_id).unwrap();
    assert_eq!(refused.status, OrderStatus::Rejected);
    assert!(refused.reason.contains("is not enabled live"), "{}", refused.reason);
    assert_eq!(outside.sent().len(), 2);
    shutdown.cancel();
    task.await.unwrap();
}
