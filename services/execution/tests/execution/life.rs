//! The life of an order at a broker outside: no answer, new terms, corrections, shares that nobody here bought; and a
//! group that is unwound.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use broker::{
    Broker, BrokerAccount, BrokerError, BrokerOrder, BrokerPosition, Brokers, Report, StateAtBroker,
};
use contracts::v1::event::Body;
use contracts::v1::{
    GroupPolicy, OrderSpec, RiskDecision, SessionPhase, Side, TimeInForce, TradingKilled, Verdict,
};
use contracts::{Subject, event_id, stream, to_timestamp};
use domain::book::Book;
use domain::money::{Amount, Price, Quantity};
use domain::order::{BrokerReport, Execution, OrderStage, OrderState, Terms};
use event_log::{Append, EventLog as _, Expect, MemoryLog};
use runtime::{ClockMode, Health, HealthState, ServiceHealth};
use tokio_util::sync::CancellationToken;

use crate::support::{
    E9, HOUR_NS, OPEN_NS, Script, Staleness, bar, book, config, context, everything, leg, limit, order,
    session,
};

/// What the broker outside does next, and what it knows.
#[derive(Debug, Default)]
struct World {
    /// Whether the next submission is taken and its answer lost.
    silent: bool,
    /// Whether it answers nothing at all.
    mute: bool,
    known: Vec<(String, String)>,
    unasked: VecDeque<Report>,
    positions: Vec<BrokerPosition>,
    submissions: usize,
    /// How many closings it still refuses.
    refusals: usize,
    /// How often it was asked whether it knows an order.
    lookups: usize,
    /// Why the account takes no orders.
    blocked: Option<String>,
}

#[derive(Clone, Debug, Default)]
struct Outside(Arc<Mutex<World>>);

impl Brokers for Outside {
    fn resume(&self, _book: &Book) -> Result<Box<dyn Broker>, BrokerError> {
        Ok(Box::new(self.clone()))
    }
}

fn timeout(doing: &str) -> BrokerError {
    BrokerError::Unknown { broker: "outside".to_owned(), doing: doing.to_owned(), source: "timeout".into() }
}

fn accepted(order_id: &str) -> Report {
    let report = BrokerReport::Accepted { broker_order_id: format!("b-{order_id}") };
    Report { order_id: order_id.to_owned(), report }
}

#[async_trait]
impl Broker for Outside {
    fn name(&self) -> &'static str {
        "outside"
    }

    fn is_remote(&self) -> bool {
        true
    }

    async fn submit(&mut self, order: &OrderSpec, client: &str, _: i64) -> Result<Vec<Report>, BrokerError> {
        let mut world = self.0.lock().unwrap();
        world.submissions += 1;
        if order.reducing && world.refusals > 0 {
            world.refusals -= 1;
            let report = BrokerReport::Rejected { reason: "wash trade".to_owned() };
            return Ok(vec![Report { order_id: order.order_id.clone(), report }]);
        }
        world.known.push((client.to_owned(), order.order_id.clone()));
        if std::mem::take(&mut world.silent) || world.mute {
            return Err(timeout("submit"));
        }
        Ok(vec![accepted(&order.order_id)])
    }

    async fn cancel(&mut self, order: &OrderSpec, _: &str, _: i64) -> Result<Vec<Report>, BrokerError> {
        let report = BrokerReport::Cancelled { reason: "asked".to_owned() };
        Ok(vec![Report { order_id: order.order_id.clone(), report }])
    }

    async fn replace(&mut self, order: &OrderState, _: i64) -> Result<Vec<Report>, BrokerError> {
        let replace = order.replace.as_ref().unwrap();
        let terms = Terms {
            client_order_id: replace.client_order_id.clone(),
            broker_order_id: format!("b-{}", replace.client_order_id),
            quantity: replace.quantity,
            limit: replace.limit,
            stop: replace.stop,
        };
        Ok(vec![Report { order_id: order.id().to_owned(), report: BrokerReport::Replaced(terms) }])
    }

    async fn lookup(&mut self, _order: &OrderSpec, client: &str) -> Result<Option<BrokerOrder>, BrokerError> {
        let mut world = self.0.lock().unwrap();
        world.lookups += 1;
        if world.mute {
            return Err(timeout("look up"));
        }
        let known = world.known.iter().find(|(known, _)| known == client);
        Ok(known.map(|(_, order_id)| BrokerOrder {
            broker_order_id: format!("b-{order_id}"),
            state: StateAtBroker::Working,
            reports: vec![accepted(order_id)],
        }))
    }

    async fn account(&mut self, account: &str) -> Result<Option<BrokerAccount>, BrokerError> {
        let blocked = self.0.lock().unwrap().blocked.clone();
        let found = BrokerAccount {
            number: "P1".to_owned(),
            cash: Amount::ZERO,
            equity: Amount::ZERO,
            buying_power: Amount::ZERO,
            blocked,
        };
        Ok((account == "paper").then_some(found))
    }

    async fn positions(&mut self, account: &str) -> Result<Option<Vec<BrokerPosition>>, BrokerError> {
        let none = account != "paper";
        Ok(Some(if none { Vec::new() } else { self.0.lock().unwrap().positions.clone() }))
    }

    async fn reports(&mut self) -> Result<Vec<Report>, BrokerError> {
        loop {
            if let Some(report) = self.0.lock().unwrap().unasked.pop_front() {
                return Ok(vec![report]);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Outside {
    fn say(&self, order_id: &str, report: BrokerReport) {
        self.0.lock().unwrap().unasked.push_back(Report { order_id: order_id.to_owned(), report });
    }
}

fn execution(id: &str, shares: i64, price: i64) -> Execution {
    Execution {
        execution_id: id.to_owned(),
        quantity: Quantity(shares * E9),
        price: Price(price * E9),
        commission: Amount::ZERO,
        slippage: Price::ZERO,
        executed_ns: OPEN_NS + HOUR_NS,
        ambiguous: false,
    }
}

async fn running(outside: Option<Outside>) -> (Script, CancellationToken, tokio::task::JoinHandle<()>) {
    let (script, shutdown, task, _) = watched(outside, ClockMode::Tape).await;
    (script, shutdown, task)
}

async fn watched(
    outside: Option<Outside>,
    clock: ClockMode,
) -> (Script, CancellationToken, tokio::task::JoinHandle<()>, Health) {
    let tape = MemoryLog::default();
    let script = Script { tape: tape.clone(), framed: clock == ClockMode::Tape };
    script.setup_accounts(&crate::support::ACCOUNTS, contracts::v1::Costs::default()).await;
    let shutdown = CancellationToken::new();
    let mut config = config(&tape, Staleness::Behind(0));
    if let Some(outside) = outside {
        config.brokers = Arc::new(outside);
    }
    let context = context(Arc::new(tape), clock, shutdown.clone());
    let health = context.health.clone();
    let task = tokio::spawn(async move { execution::run(context, config).await.unwrap() });
    (script, shutdown, task, health)
}

async fn stage(script: &Script, order_id: &str) -> OrderStage {
    book(&script.tape).await.order(order_id).unwrap().stage()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_lives_at_a_broker_outside() {
    let outside = Outside::default();
    outside.0.lock().unwrap().positions = vec![BrokerPosition {
        symbol: "OLD".into(),
        quantity: Quantity(7 * E9),
        cost: Amount(350 * i128::from(E9)),
        ..BrokerPosition::default()
    }];
    outside.0.lock().unwrap().silent = true;
    let (script, shutdown, task) = running(Some(outside.clone())).await;

    // No answer to the submission: recorded, then resolved by asking, never by sending again.
    let spec = limit(order("life", "paper", "A", Side::Buy, 100), 50, TimeInForce::Gtc);
    let id = spec.order_id.clone();
    script.approve("life", OPEN_NS, std::slice::from_ref(&spec), &[&["unresolved", "accepted"]]).await;
    assert_eq!((stage(&script, &id).await, outside.0.lock().unwrap().submissions), (OrderStage::Accepted, 1));

    // A fill, doubled; then new terms that risk approved.
    outside.say(&id, BrokerReport::Filled(execution("e-1", 40, 50)));
    outside.say(&id, BrokerReport::Filled(execution("e-1", 40, 50)));
    let terms =
        OrderSpec { quantity_e9: 150 * E9, limit_price_e9: Some(49 * E9), revision: 1, ..spec.clone() };
    let decision = RiskDecision {
        account: "paper".into(),
        strategy: contracts::MANUAL.into(),
        signal_id: "new-terms".into(),
        verdict: Verdict::Approved.into(),
        orders: vec![terms],
        ..RiskDecision::default()
    };
    let event = contracts::v1::Event {
        id: event_id("new-terms", "risk", 0),
        event_time: Some(to_timestamp(OPEN_NS)),
        body: Some(Body::RiskDecision(decision)),
        ..contracts::v1::Event::default()
    };
    let subject = Subject::for_event(&event, None).unwrap();
    script.tape.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
    script.order_event(&spec, "replace_requested").await;
    script.order_event(&spec, "replaced").await;

    // The first execution was 30 at 51; then it never was.
    let now = execution("e-1", 30, 51);
    outside.say(&id, BrokerReport::Corrected { correction_id: "c-1".into(), execution: now });
    script.order_event(&spec, "fill_corrected").await;
    let after = book(&script.tape).await;
    let position = after.position("paper", "momentum", "A").unwrap();
    assert_eq!((position.quantity, position.cost), (Quantity(30 * E9), Amount(1_530 * i128::from(E9))));
    let (correction_id, execution_id, reason) = ("b-1".to_owned(), "e-1".to_owned(), "erroneous".to_owned());
    outside.say(&id, BrokerReport::Busted { correction_id, execution_id, reason });
    script.order_event(&spec, "fill_busted").await;

    let after = book(&script.tape).await;
    domain::book::identity::check_identity(&after).unwrap();
    let order = after.order(&id).unwrap();
    assert_eq!(
        (order.filled, order.remaining(), order.spec.revision),
        (Quantity::ZERO, Quantity(150 * E9), 1)
    );
    assert_eq!(order.client_order_id, contracts::client_order_id_of(&id, 1));
    // What the broker holds and no order explains.
    let found = after.position("paper", contracts::MANUAL, "OLD").unwrap();
    assert_eq!((found.quantity, found.cost), (Quantity(7 * E9), Amount(350 * i128::from(E9))));
    shutdown.cancel();
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_in_words_what_an_order_waits_for() {
    let outside = Outside::default();
    outside.0.lock().unwrap().mute = true;
    let (script, shutdown, task, health) = watched(Some(outside), ClockMode::Tape).await;
    let spec = limit(order("mute", "paper", "A", Side::Buy, 100), 50, TimeInForce::Gtc);
    script.approve("mute", OPEN_NS, std::slice::from_ref(&spec), &[&["unresolved"]]).await;
    let words =
        format!("orders do not get further: order {} (buy A) has no answer of its broker", spec.order_id);
    let said = async {
        while health.all().get("execution").is_none_or(|service| service.detail != words) {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(10), said).await;
    assert!(in_time.is_ok(), "{words}: {:?}", health.all());
    shutdown.cancel();
    task.await.unwrap();
}

fn held(symbol: &str) -> BrokerPosition {
    let (quantity, cost) = (Quantity(7 * E9), Amount(350 * i128::from(E9)));
    BrokerPosition { symbol: symbol.into(), quantity, cost, ..BrokerPosition::default() }
}

async fn adopted(script: &Script, symbol: &str) {
    let found = async {
        while book(&script.tape).await.position("paper", contracts::MANUAL, symbol).is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), found).await.expect("the position is adopted");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_which_holding_has_no_price_until_it_has_one() {
    let outside = Outside::default();
    outside.0.lock().unwrap().positions = vec![held("B")];
    let (script, shutdown, task, health) = watched(Some(outside), ClockMode::Wall).await;
    adopted(&script, "B").await;
    let (first, second) = (OPEN_NS + HOUR_NS, OPEN_NS + 2 * HOUR_NS);
    script.publish(first, vec![bar("A", first, 100, 100)]).await;
    until_health(&health, "no price", |said| {
        said.state == HealthState::Degraded
            && said.detail
                == "account paper is not marked: it holds B, which has no price; \
                    add B to `symbols` of [live], or close the position"
    })
    .await;
    script.publish(second, vec![bar("B", second, 50, 50)]).await;
    until_health(&health, "all is well", |said| said.state == HealthState::Ready).await;
    let mark = book(&script.tape).await.account("paper").unwrap().mark.clone().unwrap();
    assert_eq!(mark.event_ns, second);
    shutdown.cancel();
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_cannot_be_read_is_stated_and_the_others_are_compared() {
    let outside = Outside::default();
    let unread = Some("position A: qty is no number".to_owned());
    let broken = BrokerPosition { symbol: "A".into(), unread, ..BrokerPosition::default() };
    outside.0.lock().unwrap().positions = vec![broken, held("B")];
    let (script, shutdown, task, health) = watched(Some(outside), ClockMode::Tape).await;
    adopted(&script, "B").await;
    let words = "to be looked at: a difference with a broker of account paper: position A: qty is no number, so that it is \
                 not compared";
    until_health(&health, words, |said| said.state == HealthState::Ready && said.detail == words).await;
    shutdown.cancel();
    task.await.unwrap();
    assert!(book(&script.tape).await.position("paper", contracts::MANUAL, "A").is_none());
    let all = everything(&script.tape).await.into_iter();
    let details: Vec<String> = all
        .filter_map(|recorded| match recorded.event.body {
            Some(Body::BrokerDiffered(event)) => Some(event.detail),
            _ => None,
        })
        .collect();
    assert_eq!(details.first().unwrap(), "position A: qty is no number, so that it is not compared");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holding_that_no_bar_prices_is_valued_at_its_brokers_price_and_health_says_so() {
    let outside = Outside::default();
    outside.0.lock().unwrap().positions = vec![BrokerPosition { price: Some(Price(60 * E9)), ..held("B") }];
    let (script, shutdown, task, health) = watched(Some(outside), ClockMode::Wall).await;
    adopted(&script, "B").await;
    let first = OPEN_NS + HOUR_NS;
    script.instant(first, vec![bar("A", first, 100, 100)]).await;
    until_health(&health, "the broker's price", |said| {
        said.state == HealthState::Ready
            && said.detail.starts_with("account paper values B (of 20")
            && said.detail.ends_with(") at its broker's price, because no newer bar prices it")
    })
    .await;
    let book = book(&script.tape).await;
    let account = book.account("paper").unwrap();
    // Seven shares that cost 50, beside the cash.
    let equity = account.mark.as_ref().unwrap().equity;
    assert_eq!((equity.to_string(), account.deposits.to_string()), ("100420".into(), "100350".into()));
    assert_eq!(account.day_pnl(), Some(Amount::ZERO), "what it gained before is not of this day");
    shutdown.cancel();
    task.await.unwrap();
}

async fn until_health(health: &Health, what: &str, wanted: impl Fn(&ServiceHealth) -> bool) {
    let said = async {
        while !health.all().get("execution").is_some_and(&wanted) {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(10), said).await;
    assert!(in_time.is_ok(), "{what}: {:?}", health.all());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_takes_no_orders_shows_in_health() {
    let outside = Outside::default();
    outside.0.lock().unwrap().blocked = Some("trading is blocked".to_owned());
    let (script, shutdown, task, health) = watched(Some(outside), ClockMode::Wall).await;
    let blocked = |said: &ServiceHealth| {
        said.state == HealthState::Degraded
            && said.detail == "account paper takes no orders: trading is blocked"
    };
    until_health(&health, "the block", blocked).await;
    // What gets on besides does not hide it.
    let t = OPEN_NS + HOUR_NS;
    script.publish(t, vec![bar("A", t, 50, 50)]).await;
    let head = script.tape.state(stream::MARKET).await.unwrap().last_sequence;
    let acked = async {
        while script.tape.ack_floor(stream::MARKET, execution::SERVICE).await.unwrap() < head {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), acked).await.expect("the bar is taken");
    until_health(&health, "still", blocked).await;
    shutdown.cancel();
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn closings_are_sent_without_being_asked_for_and_again_after_a_refusal_which_health_shows() {
    let outside = Outside::default();
    {
        let mut world = outside.0.lock().unwrap();
        world.positions = vec![held("A"), held("B")];
        // Both positions, and one of them once more.
        world.refusals = 3;
    }
    let (script, shutdown, task, health) = watched(Some(outside.clone()), ClockMode::Tape).await;
    adopted(&script, "B").await;
    let kill = TradingKilled { account: "paper".into(), flatten: true, ..TradingKilled::default() };
    let event = contracts::v1::Event {
        id: event_id("kill", "script", 0),
        event_time: Some(to_timestamp(OPEN_NS)),
        body: Some(Body::TradingKilled(kill)),
        ..contracts::v1::Event::default()
    };
    let subject = Subject::for_event(&event, None).unwrap();
    script.tape.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
    until_health(&health, "the refusal", |said| {
        said.state == HealthState::Degraded
            && said.detail.contains("the kill switch has not closed paper/manual/")
            && said.detail.contains("rejected (wash trade); it is tried again")
    })
    .await;
    until_health(&health, "all is well", |said| said.state == HealthState::Ready).await;
    let after = book(&script.tape).await;
    assert_eq!(after.open_orders().filter(|order| order.accepted_ns.is_some()).count(), 2);
    {
        let world = outside.0.lock().unwrap();
        assert_eq!((world.submissions, world.lookups), (5, 0));
    }
    shutdown.cancel();
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_of_which_one_leg_is_stuck_is_unwound_to_the_end() {
    let (script, shutdown, task) = running(None).await;
    let t = |hour: i64| OPEN_NS + hour * HOUR_NS;
    script.instant(OPEN_NS, vec![session(SessionPhase::Opened, OPEN_NS)]).await;
    script.instant(t(1), vec![bar("A", t(1), 50, 50), bar("B", t(1), 50, 50)]).await;
    let legs = [
        leg("pair", 0, order("pair", "paper", "A", Side::Buy, 10)),
        // A limit that no bar reaches.
        leg("pair", 1, limit(order("pair", "paper", "B", Side::Buy, 10), 10, TimeInForce::Day)),
    ]
    .map(|spec| OrderSpec { group_policy: GroupPolicy::Unwind.into(), ..spec });
    script.approve("pair", t(1), &legs, &[&["accepted"], &["accepted"]]).await;
    script.instant(t(2), vec![bar("A", t(2), 50, 50), bar("B", t(2), 50, 50)]).await;
    assert_eq!(stage(&script, &legs[0].order_id).await, OrderStage::Filled);
    // An hour on, the other leg is stuck: it is cancelled, and what this one bought is closed at the next bar.
    let signal = event_id("pair", "signal", 0);
    script.order_event(&legs[1], "cancelled").await;
    let closing = order_of(&script, &signal).await;
    script.order_event(&closing, "accepted").await;
    script.instant(t(3), vec![bar("A", t(3), 52, 52), bar("B", t(3), 50, 50)]).await;
    let subject = format!("control.group.{signal}.handled");
    let last = loop {
        let last = script.tape.last(stream::TRADING, &subject).await.unwrap().unwrap();
        let Some(Body::GroupHandled(handled)) = last.event.body else { panic!() };
        if handled.done {
            break handled;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    assert_eq!(last.open, "");
    let after = book(&script.tape).await;
    assert_eq!(after.position("paper", "momentum", "A").unwrap().quantity, Quantity::ZERO);
    assert_eq!(after.active_groups().count(), 0);
    shutdown.cancel();
    task.await.unwrap();
}

/// The order that closes the group, once there is one.
async fn order_of(script: &Script, signal: &str) -> OrderSpec {
    let id = contracts::order_id(signal, domain::book::CLOSING_LEG);
    let wait = async {
        loop {
            if let Some(order) = book(&script.tape).await.order(&id) {
                return order.spec.clone();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("a closing order")
}
