//! Stand-ins for execution, strategy and risk, as the clock sees them: they keep the protocol and nothing
//! else. What they append has deterministic ids, so that doing it again changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use contracts::stream::{MARKET, TRADING};
use contracts::v1::event::Body;
use contracts::v1::{
    AccountMarked, Event, Fill, OrderAccepted, OrderSpec, OrderSubmitted, Origin, RiskDecision,
};
use contracts::v1::{Signal, SignalLeg, Verdict};
use contracts::{Subject, event_id, from_timestamp, order_id, to_timestamp};
use event_log::{Append, Consumer, Delivery, Expect, Recorded, Tape};
use runtime::{ClockMode, Instants};
use tokio::task::JoinHandle;

pub const ACCOUNT: &str = "paper";

/// Every so many bars of the strategy one signal.
pub const SIGNAL_EVERY: u64 = 5;

/// The running stand-ins; dropped, they end at whatever they were doing.
pub struct Fakes(Vec<JoinHandle<()>>);

impl Drop for Fakes {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

pub fn all(tape: &Tape) -> Fakes {
    Fakes(vec![spawn_execution(tape), spawn_broker(tape), spawn_strategy(tape), spawn_risk(tape)])
}

pub fn execution(tape: &Tape) -> Fakes {
    Fakes(vec![spawn_execution(tape), spawn_broker(tape)])
}

pub fn marks(tape: &Tape) -> Fakes {
    Fakes(vec![spawn_execution(tape)])
}

/// An operator whose order stands before the instant's mark, and the mark.
pub fn order_before_the_mark(tape: &Tape) -> Fakes {
    let tape = tape.clone();
    Fakes(vec![tokio::spawn(async move {
        let mut market = Market::open(&tape, "execution").await;
        loop {
            let (ns, events) = market.next().await;
            let leg = SignalLeg { symbol: "AAPL".into(), ..SignalLeg::default() };
            let signal = Signal { strategy: contracts::MANUAL.into(), legs: vec![leg], ..Signal::default() };
            put(&tape, event_id(&ns.to_string(), "order", 0), ns, "", Body::Signal(signal), None).await;
            let mark = AccountMarked { account: ACCOUNT.into(), ..AccountMarked::default() };
            put(&tape, event_id(&ns.to_string(), "mark", 0), ns, "", Body::AccountMarked(mark), None).await;
            market.ack(&events).await;
        }
    })])
}

pub fn broker(tape: &Tape) -> Fakes {
    Fakes(vec![spawn_broker(tape)])
}

/// An execution that can fold no decision.
pub fn parking(tape: &Tape) -> Fakes {
    let tape = tape.clone();
    Fakes(vec![tokio::spawn(async move {
        let mut reader = tape.read(TRADING, &["risk.>".to_owned()], 0).await.unwrap();
        loop {
            for delivery in reader.batch(64).await.unwrap() {
                let (sequence, subject) = (delivery.sequence(), "risk.paper.approved");
                runtime::park(&tape, "execution", TRADING, sequence, subject, b"", "no").await.unwrap();
            }
        }
    })])
}

pub fn risk(tape: &Tape) -> Fakes {
    Fakes(vec![spawn_risk(tape)])
}

pub fn strategy(tape: &Tape) -> Fakes {
    Fakes(vec![spawn_strategy(tape), spawn_risk(tape)])
}

/// Acknowledges everything and signals nothing.
pub fn silent_strategy(tape: &Tape) -> Fakes {
    let tape = tape.clone();
    Fakes(vec![tokio::spawn(async move {
        let mut market = Market::open(&tape, "strategy").await;
        loop {
            let (_, events) = market.next().await;
            market.ack(&events).await;
        }
    })])
}

/// Services of which none reads signals, so that none minds one that is no event.
pub fn blind(tape: &Tape) -> Vec<Fakes> {
    vec![marks(tape), silent_strategy(tape)]
}

pub fn strategy_without_risk(tape: &Tape) -> Fakes {
    Fakes(vec![spawn_strategy(tape)])
}

fn spawn_execution(tape: &Tape) -> JoinHandle<()> {
    let tape = tape.clone();
    tokio::spawn(async move {
        let mut market = Market::open(&tape, "execution").await;
        loop {
            let (ns, events) = market.next().await;
            let mark = AccountMarked { account: ACCOUNT.into(), ..AccountMarked::default() };
            let id = event_id(&ns.to_string(), "mark", 0);
            put(&tape, id, ns, "", Body::AccountMarked(mark), None).await;
            market.ack(&events).await;
        }
    })
}

/// Answers approved decisions; the first order of an instant is filled at once, the others are accepted.
fn spawn_broker(tape: &Tape) -> JoinHandle<()> {
    let tape = tape.clone();
    tokio::spawn(async move {
        let mut reader = tape.read(TRADING, &["risk.>".to_owned()], 0).await.unwrap();
        loop {
            for delivery in reader.batch(64).await.unwrap() {
                let Delivery::Event(Recorded { event, .. }) = delivery else { panic!("undecodable") };
                let ns = time(&event);
                let Some(Body::RiskDecision(decision)) = &event.body else { panic!("not a decision") };
                for (index, order) in decision.orders.iter().enumerate() {
                    let id = |what: &str| event_id(&order.order_id, what, 0);
                    let submitted =
                        OrderSubmitted { order: Some(order.clone()), ..OrderSubmitted::default() };
                    put(&tape, id("submit"), ns, &event.id, Body::OrderSubmitted(submitted), Some(order))
                        .await;
                    let order_id = order.order_id.clone();
                    let answer = if index == 0 {
                        let (account, strategy) = (order.account.clone(), order.strategy.clone());
                        let symbol = order.symbol.clone();
                        Body::Fill(Fill { order_id, account, strategy, symbol, number: 1, ..Fill::default() })
                    } else {
                        Body::OrderAccepted(OrderAccepted { order_id, ..OrderAccepted::default() })
                    };
                    put(&tape, id("answer"), ns, &event.id, answer, Some(order)).await;
                }
            }
        }
    })
}

/// Signals on every fifth bar, two legs a signal; acknowledges when the signals are stored.
fn spawn_strategy(tape: &Tape) -> JoinHandle<()> {
    let tape = tape.clone();
    tokio::spawn(async move {
        let mut market = Market::open(&tape, "strategy").await;
        loop {
            let (ns, events) = market.next().await;
            for recorded in &events {
                let Some(Body::Bar(bar)) = &recorded.event.body else { continue };
                if bar.origin() != Origin::Rehearsal {
                    continue;
                }
                if u64::try_from(bar.close_e9 / 10_000_000).unwrap() % SIGNAL_EVERY != 0 {
                    continue;
                }
                let leg = SignalLeg { symbol: bar.symbol.clone(), ..SignalLeg::default() };
                let signal =
                    Signal { strategy: "fake".into(), legs: vec![leg.clone(), leg], ..Signal::default() };
                let id = event_id(&recorded.event.id, "fake", 0);
                put(&tape, id, ns, &recorded.event.id, Body::Signal(signal), None).await;
            }
            market.ack(&events).await;
        }
    })
}

/// Decides when the clock says that an instant's signals are complete, never before.
fn spawn_risk(tape: &Tape) -> JoinHandle<()> {
    let tape = tape.clone();
    tokio::spawn(async move {
        let mut hints = tape.hints("clock.decide").await.unwrap();
        let mut reader = tape.read(TRADING, &[], 0).await.unwrap();
        let mut read: BTreeMap<u64, Event> = BTreeMap::new();
        loop {
            let hint = hints.next().await.unwrap();
            let hint: BTreeMap<String, i64> = serde_json::from_slice(&hint.payload).unwrap();
            let (ns, wanted) = (hint["instant_ns"], u64::try_from(hint["trading_sequence"]).unwrap());
            while read.last_key_value().is_none_or(|(last, _)| *last < wanted) {
                for delivery in reader.batch(64).await.unwrap() {
                    let Delivery::Event(recorded) = delivery else { panic!("undecodable") };
                    read.insert(recorded.sequence, recorded.event);
                }
            }
            let is_due = |event: &&Event| matches!(event.body, Some(Body::Signal(_))) && time(event) == ns;
            for event in read.range(..=wanted).map(|(_, event)| event).filter(is_due) {
                decide(&tape, event, ns).await;
            }
        }
    })
}

async fn decide(tape: &Tape, event: &Event, ns: i64) {
    let Some(Body::Signal(signal)) = &event.body else { panic!("not a signal") };
    let orders = (0_u32..).zip(&signal.legs).map(|(index, leg)| OrderSpec {
        order_id: order_id(&event.id, index),
        account: ACCOUNT.into(),
        strategy: signal.strategy.clone(),
        symbol: leg.symbol.clone(),
        leg: index,
        ..OrderSpec::default()
    });
    let decision = RiskDecision {
        account: ACCOUNT.into(),
        strategy: signal.strategy.clone(),
        signal_id: event.id.clone(),
        verdict: Verdict::Approved.into(),
        orders: orders.collect(),
        ..RiskDecision::default()
    };
    let id = event_id(&event.id, "risk", 0);
    put(tape, id, ns, &event.id, Body::RiskDecision(decision), None).await;
}

/// The instants of MARKET through a durable consumer.
struct Market {
    consumer: Box<dyn Consumer>,
    instants: Instants,
}

impl Market {
    async fn open(tape: &Tape, durable: &str) -> Self {
        let consumer = tape.consume(MARKET, durable).await.unwrap();
        Self { consumer, instants: Instants::new(ClockMode::Tape) }
    }

    /// The next instant of a source. What belongs to none (imported bars) is acknowledged by itself.
    async fn next(&mut self) -> (i64, Vec<Recorded>) {
        loop {
            while let Some(instant) = self.instants.next_complete() {
                if instant.framed {
                    return (instant.event_ns, instant.events);
                }
                self.ack(&instant.events).await;
            }
            for delivery in self.consumer.batch(64).await.unwrap() {
                let Delivery::Event(recorded) = delivery else { panic!("undecodable") };
                self.instants.push(recorded);
            }
        }
    }

    async fn ack(&mut self, events: &[Recorded]) {
        for recorded in events {
            self.consumer.ack(recorded.sequence).await.unwrap();
        }
    }
}

fn time(event: &Event) -> i64 {
    event.event_time.as_ref().and_then(from_timestamp).unwrap()
}

async fn put(tape: &Tape, id: String, ns: i64, cause: &str, body: Body, order: Option<&OrderSpec>) {
    let event = Event {
        id,
        event_time: Some(to_timestamp(ns)),
        source: "fake".into(),
        causation_id: cause.into(),
        body: Some(body),
        ..Event::default()
    };
    let subject = Subject::for_event(&event, order).unwrap();
    let append = Append { subject, event, expect: Expect::Nothing };
    tokio::time::timeout(Duration::from_secs(5), tape.append(append)).await.unwrap().unwrap();
}
