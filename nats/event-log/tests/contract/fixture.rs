//! A tape to test, and events to put on it.

use std::sync::Arc;
use std::time::Duration;

use contracts::Subject;
use contracts::v1::event::Body;
use contracts::v1::{Bar, Event, Fill, OrderAccepted, OrderSpec, Signal, SignalLeg};
use event_log::{
    Append, Auth, Clock, ConnectOptions, Consumer, Delivery, Expect, JetStreamLog, MemoryLog, Reader, Tape,
    connect, definitions,
};
use local_servers::testing::TestNats;

/// Longest wait for anything that should happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A durable consumer that acknowledges each message by itself, as those outside the program do. The
/// program's own acknowledge all messages up to one.
pub const EXTERNAL: &str = "external";

/// A tape under test.
pub enum Fixture {
    Memory(MemoryLog),
    JetStream { server: Box<TestNats>, log: JetStreamLog },
}

impl Fixture {
    pub fn memory() -> Self {
        let log = MemoryLog::new();
        log.add_consumer(contracts::stream::MARKET, EXTERNAL, &[], 10_000).unwrap();
        Self::Memory(log)
    }

    pub async fn jetstream() -> Self {
        let server = TestNats::start().await.unwrap();
        let log = client(&server).await;
        definitions::apply(&log).await.unwrap();
        let context = async_nats::jetstream::new(plain_client(&server).await);
        let external = async_nats::jetstream::consumer::pull::Config {
            durable_name: Some(EXTERNAL.to_owned()),
            max_ack_pending: 10_000,
            ..Default::default()
        };
        let market = context.get_stream(contracts::stream::MARKET).await.unwrap();
        market.create_consumer(external).await.unwrap();
        Self::JetStream { server: Box::new(server), log }
    }

    /// The tape through one handle.
    pub fn tape(&self) -> Tape {
        match self {
            Self::Memory(log) => Arc::new(log.clone()),
            Self::JetStream { log, .. } => Arc::new(log.clone()),
        }
    }

    /// The same tape through a handle of another program.
    pub async fn other(&self) -> Tape {
        match self {
            Self::Memory(log) => Arc::new(log.clone()),
            Self::JetStream { server, .. } => Arc::new(client(server).await),
        }
    }

    /// Publishes a payload as a plain client would.
    pub async fn publish_raw(&self, subject: &str, payload: &[u8], content_type: Option<&str>) {
        match self {
            Self::Memory(log) => {
                log.publish_raw(subject, payload, content_type).unwrap();
            }
            Self::JetStream { server, .. } => {
                let header = content_type.map(|value| ("Content-Type", value));
                publish(server, subject, payload, header).await;
            }
        }
    }

    /// Publishes a payload as a plain client would, under an id of its choice.
    pub async fn publish_under(&self, subject: &str, payload: &[u8], id: &str) {
        match self {
            Self::Memory(log) => {
                log.publish_under(subject, payload, id).unwrap();
            }
            Self::JetStream { server, .. } => {
                publish(server, subject, payload, Some(("Nats-Msg-Id", id))).await;
            }
        }
    }

    /// Lets go of a stream's messages up to the sequence `through`, as their age does in time.
    pub async fn let_go(&self, stream: &str, through: u64) {
        match self {
            Self::Memory(log) => log.let_go(stream, through).unwrap(),
            Self::JetStream { server, .. } => {
                let subject = format!("$JS.API.STREAM.PURGE.{stream}");
                let body = format!("{{\"seq\":{}}}", through + 1);
                let answer = plain_client(server).await.request(subject, body.into()).await.unwrap();
                let answer = String::from_utf8_lossy(&answer.payload).into_owned();
                assert!(answer.contains("\"success\":true"), "{answer}");
            }
        }
    }

    /// The same, with a trace context in whatever form.
    pub async fn publish_traced(&self, subject: &str, payload: &[u8], traceparent: Option<&str>) {
        match self {
            Self::Memory(log) => {
                log.publish_traced(subject, payload, traceparent).unwrap();
            }
            Self::JetStream { server, .. } => {
                publish(server, subject, payload, traceparent.map(|value| ("traceparent", value))).await;
            }
        }
    }
}

async fn publish(server: &TestNats, subject: &str, payload: &[u8], header: Option<(&str, &str)>) {
    let context = async_nats::jetstream::new(plain_client(server).await);
    let mut headers = async_nats::HeaderMap::new();
    if let Some((name, value)) = header {
        headers.insert(name, value);
    }
    let payload = payload.to_vec().into();
    let sent = context.publish_with_headers(subject.to_owned(), headers, payload).await.unwrap();
    sent.await.unwrap();
}

pub fn options(url: String) -> ConnectOptions {
    ConnectOptions { url: url.into(), auth: Auth::None, name: "contract".into(), clock: Clock::wall() }
}

pub async fn client(server: &TestNats) -> JetStreamLog {
    connect(options(server.url())).await.unwrap()
}

/// A client that knows nothing of the event log. The library takes no password from an address.
pub async fn plain_client(server: &TestNats) -> async_nats::Client {
    let address: async_nats::ServerAddr = server.url().parse().unwrap();
    let (user, password) = (address.username().unwrap().to_owned(), address.password().unwrap().to_owned());
    async_nats::ConnectOptions::with_user_and_password(user, password).connect(address).await.unwrap()
}

/// A bar event; its id follows from symbol and number.
pub fn bar(symbol: &str, number: u32) -> Append {
    let close_ns = i64::from(number) * 3_600_000_000_000;
    let body = Bar {
        symbol: symbol.into(),
        timeframe: "1h".into(),
        start: Some(contracts::to_timestamp(close_ns - 3_600_000_000_000)),
        close_e9: i64::from(number) * 1_000_000_000,
        ..Bar::default()
    };
    let event = event(&contracts::bar_id("test", symbol, "1h", close_ns), close_ns, Body::Bar(body));
    Append { subject: Subject::bar("1h", symbol), event, expect: Expect::Nothing }
}

/// A signal event.
pub fn signal(strategy: &str, symbol: &str, number: u32) -> Append {
    let legs = vec![SignalLeg { symbol: symbol.into(), ..SignalLeg::default() }];
    let body = Signal { strategy: strategy.into(), legs, ..Signal::default() };
    let event = event(&contracts::event_id(strategy, symbol, number), 1, Body::Signal(body));
    Append { subject: Subject::signal(strategy, symbol), event, expect: Expect::Nothing }
}

/// The specification of order `number` of symbol `symbol`.
pub fn order(symbol: &str, number: u32) -> OrderSpec {
    OrderSpec {
        order_id: contracts::order_id("signal", number),
        account: "main".into(),
        strategy: "sma".into(),
        symbol: symbol.into(),
        ..OrderSpec::default()
    }
}

/// An order event that expects `last` under the order's filter.
pub fn accepted(order: &OrderSpec, cause: &str, last: u64) -> Append {
    let body =
        OrderAccepted { order_id: order.order_id.clone(), broker_order_id: cause.into(), reopened: false };
    let event = event(&contracts::event_id(cause, "accepted", 0), 1, Body::OrderAccepted(body));
    let expect = Expect::Last { filter: Subject::order_filter(order), sequence: last };
    Append { subject: Subject::order(order, "accepted"), event, expect }
}

/// A fill of an order that expects `last` under the order's filter.
pub fn fill(order: &OrderSpec, number: u32, last: u64) -> Append {
    let body = Fill {
        order_id: order.order_id.clone(),
        account: order.account.clone(),
        strategy: order.strategy.clone(),
        symbol: order.symbol.clone(),
        number,
        ..Fill::default()
    };
    let event = event(&contracts::event_id(&order.order_id, "fill", number), 1, Body::Fill(body));
    let subject = Subject::for_event(&event, None).unwrap();
    let expect = Expect::Last { filter: Subject::order_filter(order), sequence: last };
    Append { subject, event, expect }
}

pub fn event(id: &str, event_ns: i64, body: Body) -> Event {
    Event {
        id: id.into(),
        event_time: Some(contracts::to_timestamp(event_ns)),
        source: "contract".into(),
        body: Some(body),
        ..Event::default()
    }
}

/// Expects the last sequence under the entry's own subject.
pub fn expecting(mut entry: Append, sequence: u64) -> Append {
    entry.expect = Expect::Last { filter: entry.subject.as_str().to_owned(), sequence };
    entry
}

/// Reads exactly `count` deliveries.
pub async fn take(reader: &mut Box<dyn Reader>, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let batch = tokio::time::timeout(PATIENCE, reader.batch(count - taken.len()));
        taken.extend(batch.await.expect("messages in time").unwrap());
    }
    taken
}

/// Consumes exactly `count` deliveries without acknowledging them.
pub async fn consume(consumer: &mut Box<dyn Consumer>, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let batch = tokio::time::timeout(PATIENCE, consumer.batch(count - taken.len()));
        taken.extend(batch.await.expect("messages in time").unwrap());
    }
    taken
}

pub fn sequences(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries.iter().map(Delivery::sequence).collect()
}

/// Waits until a condition holds.
pub async fn until<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    let holds = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, holds).await.expect("the condition in time");
}
