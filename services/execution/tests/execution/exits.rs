//! Exits at a broker that takes them only once their entry is done.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use broker::{Broker, BrokerError, BrokerOrder, Brokers, Outgoing, Report, StateAtBroker};
use contracts::v1::{GroupKind, OrderSpec, OrderType, Side, TimeInForce, TradingMode};
use contracts::{child_order_id, client_order_id};
use domain::book::Book;
use domain::money::{Amount, Price, Quantity};
use domain::order::{BrokerReport, Execution, OrderStatus};
use event_log::MemoryLog;
use runtime::ClockMode;
use tokio_util::sync::CancellationToken;

use crate::support::{E9, OPEN_NS, Script, Staleness, book, config, context, limit, order};

/// A broker that notes what it is sent, in words.
#[derive(Clone, Debug)]
pub struct Noting(Arc<Mutex<World>>);

#[derive(Debug)]
struct World {
    mode: TradingMode,
    sent: Vec<String>,
    said: Vec<Report>,
    known: Vec<String>,
    /// What was not heard of orders that it knows.
    unheard: Vec<Report>,
    /// Exits that it holds until their entry is filled whole.
    held: Vec<String>,
    /// Why it takes no entries with exits.
    refuses: Option<&'static str>,
    /// How many requests with exits are lost.
    silent: u32,
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
    pub fn new(mode: TradingMode) -> Self {
        let world = World {
            mode,
            sent: Vec::new(),
            said: Vec::new(),
            known: Vec::new(),
            unheard: Vec::new(),
            held: Vec::new(),
            refuses: None,
            silent: 0,
        };
        Self(Arc::new(Mutex::new(world)))
    }

    pub fn refuse(&self, why: &'static str) {
        self.0.lock().unwrap().refuses = Some(why);
    }

    /// Loses the next so many entries with exits: they do not arrive.
    pub fn lose(&self, times: u32) {
        self.0.lock().unwrap().silent = times;
    }

    pub fn say(&self, order: &OrderSpec, report: BrokerReport) {
        self.0.lock().unwrap().said.push(Report { order_id: order.order_id.clone(), report });
    }

    /// Exits that it held work from now on.
    pub fn activate(&self, exits: &[OrderSpec]) {
        let mut world = self.0.lock().unwrap();
        world.held.clear();
        world.known.extend(exits.iter().map(|exit| client_order_id(&exit.order_id)));
    }

    /// Fills an order while nobody listens.
    pub fn fill_unheard(&self, order: &OrderSpec, shares: i64) {
        self.fill(order, shares);
        let mut world = self.0.lock().unwrap();
        let unheard = world.said.pop();
        world.unheard.extend(unheard);
    }

    pub fn fill(&self, order: &OrderSpec, shares: i64) {
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

    pub fn sent(&self) -> Vec<String> {
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

    async fn submit_with_exits(
        &mut self,
        entry: &Outgoing,
        exits: &[&OrderSpec],
    ) -> Result<Option<Vec<Report>>, BrokerError> {
        let mut world = self.0.lock().unwrap();
        if world.silent > 0 {
            world.silent -= 1;
            let (broker, doing) = ("alpaca".to_owned(), "submit".to_owned());
            return Err(BrokerError::Unknown { broker, doing, source: "no answer".into() });
        }
        if let Some(why) = world.refuses {
            let report = BrokerReport::Rejected { reason: why.to_owned() };
            return Ok(Some(vec![Report { order_id: entry.order.order_id.clone(), report }]));
        }
        let exits_in_words: Vec<String> = exits.iter().map(|exit| words(exit)).collect();
        world.sent.push(format!("{} with {}", words(&entry.order), exits_in_words.join(" and ")));
        world.known.push(entry.client_order_id.clone());
        world.held.extend(exits.iter().map(|exit| exit.order_id.clone()));
        Ok(Some(vec![accepted(&entry.order)]))
    }

    async fn cancel(&mut self, order: &OrderSpec, client: &str, _: i64) -> Result<Vec<Report>, BrokerError> {
        let world = self.0.lock().unwrap();
        let held = world.held.contains(&order.order_id);
        if !held && world.known.iter().any(|known| known == client) {
            return Ok(Vec::new());
        }
        let report = match held {
            true => BrokerReport::Cancelled { reason: "on request".to_owned() },
            false => BrokerReport::CancelRejected { reason: "it is not known".to_owned() },
        };
        Ok(vec![Report { order_id: order.order_id.clone(), report }])
    }

    async fn lookup(&mut self, order: &OrderSpec, client: &str) -> Result<Option<BrokerOrder>, BrokerError> {
        let world = self.0.lock().unwrap();
        let (broker_order_id, state) = (format!("b-{}", order.order_id), StateAtBroker::Working);
        if world.held.contains(&order.order_id) {
            return Ok(Some(BrokerOrder { broker_order_id, state, reports: Vec::new() }));
        }
        let known = world.known.iter().any(|known| known == client);
        let unheard = world.unheard.iter().filter(|report| report.order_id == order.order_id).cloned();
        let reports = std::iter::once(accepted(order)).chain(unheard).collect();
        Ok(known.then_some(BrokerOrder { broker_order_id, state, reports }))
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

pub fn bracket(name: &str) -> [OrderSpec; 3] {
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

pub type Running = (Script, CancellationToken, tokio::task::JoinHandle<()>);

pub async fn running(outside: &Noting) -> Running {
    let script = Script { tape: MemoryLog::default(), framed: true };
    script.setup_accounts(&crate::support::ACCOUNTS, contracts::v1::Costs::default()).await;
    started(script, outside)
}

/// A process on the script's tape.
pub fn started(script: Script, outside: &Noting) -> Running {
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
