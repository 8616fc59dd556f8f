//! A tape in memory, a source and a risk that follow a script, and a read model that is as stale as told.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contracts::v1::event::Body;
use contracts::v1::{
    AccountConfigured, AccountEntry, ActionKind, Bar, CorporateAction, Costs, EntryKind, Event, Instant,
    Money, OrderCancelRequested, OrderSpec, OrderType, Origin, RiskDecision, RiskInput, SessionChange,
    SessionPhase, Side, TimeInForce, Verdict,
};
use contracts::{Subject, event_id, from_timestamp, stream, to_timestamp};
use domain::book::Book;
use domain::calendar::Calendar;
use domain::order::OrderState;
use event_log::{Append, EventLog as _, Expect, MemoryLog, Recorded, Tape};
use execution::{Config, ReadModel};
use runtime::{ClockMode, Context, Health, ReadError};
use tokio_util::sync::CancellationToken;

pub const E9: i64 = 1_000_000_000;
pub const HOUR_NS: i64 = 3_600_000_000_000;
/// 2024-01-08 09:30 New York, a Monday.
pub const OPEN_NS: i64 = 1_704_724_200_000_000_000;

/// How far behind the tape a read model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staleness {
    /// It does not answer at all.
    Failing,
    /// It lacks the last so many events.
    Behind(u64),
}

/// A read model folded from the tape.
pub struct FoldedReadModel {
    pub tape: MemoryLog,
    pub staleness: Staleness,
}

#[async_trait]
impl ReadModel for FoldedReadModel {
    async fn book(&self) -> Result<Book, ReadError> {
        let Staleness::Behind(behind) = self.staleness else {
            return Err(ReadError { doing: "the book", source: "no connection".into() });
        };
        let mut book = Book::default();
        let events = everything(&self.tape).await;
        let kept = events.len().saturating_sub(usize::try_from(behind).unwrap());
        for recorded in &events[..kept] {
            book.apply(recorded.sequence, &recorded.event).unwrap();
        }
        // As a read model does, it loses the ended orders, but for those of which something is to be recorded.
        let mut parts = book.to_parts();
        let is_kept = |order: &OrderState| order.group_stage.is_active() || order.replace.is_some();
        parts.orders.retain(|order| !order.status.is_ended() || is_kept(order));
        Ok(Book::from_parts(parts))
    }

    async fn order(&self, order_id: &str) -> Result<Option<OrderState>, ReadError> {
        let mut book = Book::default();
        for recorded in everything(&self.tape).await {
            book.apply(recorded.sequence, &recorded.event).unwrap();
        }
        Ok(book.order(order_id).cloned())
    }
}

/// Everything on TRADING.
pub async fn everything(tape: &MemoryLog) -> Vec<Recorded> {
    let head = tape.state(stream::TRADING).await.unwrap().last_sequence;
    let mut events = Vec::new();
    for sequence in 1..=head {
        events.push(tape.get(stream::TRADING, sequence).await.unwrap().unwrap());
    }
    events
}

/// Folds everything on TRADING.
pub async fn book(tape: &MemoryLog) -> Book {
    let mut book = Book::default();
    for recorded in everything(tape).await {
        book.apply(recorded.sequence, &recorded.event).unwrap();
    }
    book
}

pub fn context(tape: Tape, clock: ClockMode, shutdown: CancellationToken) -> Context {
    Context { tape, clock, health: Health::default(), shutdown }
}

pub fn config(tape: &MemoryLog, staleness: Staleness) -> Config {
    let read_model = FoldedReadModel { tape: tape.clone(), staleness };
    Config {
        accounts: ACCOUNTS.map(str::to_owned).to_vec(),
        read_model: Arc::new(read_model),
        brokers: Arc::new(broker::Simulated),
        calendar: Calendar::xnys(),
    }
}

pub const ACCOUNTS: [&str; 2] = ["paper", "second"];

/// One who writes what execution reads, and waits for what it writes.
pub struct Script {
    pub tape: MemoryLog,
    /// False under the wall clock, where nobody numbers instants.
    pub framed: bool,
}

impl Script {
    /// Configures the accounts and funds them.
    pub async fn setup(&self) {
        let costs = Costs {
            commission_per_share_e9: 5_000_000,
            commission_minimum: Some(Money { units: 1, nanos: 0 }),
            slippage_rate_e9: 100_000,
            ..Costs::default()
        };
        self.setup_accounts(&ACCOUNTS, costs).await;
    }

    /// Configures these accounts and funds them.
    pub async fn setup_accounts(&self, accounts: &[&str], costs: Costs) {
        for account in accounts {
            let account = *account;
            let configured = AccountConfigured {
                account: account.into(),
                version: 1,
                broker: "simulated".into(),
                costs: Some(costs),
                ..AccountConfigured::default()
            };
            self.append("setup", account, Body::AccountConfigured(configured)).await;
            let deposit = AccountEntry {
                account: account.into(),
                kind: EntryKind::Deposit.into(),
                amount: Some(Money { units: 100_000, nanos: 0 }),
                ..AccountEntry::default()
            };
            self.append("deposit", account, Body::AccountEntry(deposit)).await;
        }
    }

    async fn append(&self, handler: &str, cause: &str, body: Body) {
        let event = Event {
            id: event_id(cause, handler, 0),
            event_time: Some(to_timestamp(OPEN_NS - HOUR_NS)),
            source: "script".into(),
            body: Some(body),
            ..Event::default()
        };
        let subject = Subject::for_event(&event, None).unwrap();
        self.tape.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
    }

    /// Publishes an instant and waits until it is marked and acknowledged.
    pub async fn instant(&self, event_ns: i64, bodies: Vec<Body>) {
        self.publish(event_ns, bodies).await;
        self.marked(event_ns).await;
    }

    /// Publishes an instant.
    pub async fn publish(&self, event_ns: i64, bodies: Vec<Body>) {
        let trading_sequence = self.tape.state(stream::TRADING).await.unwrap().last_sequence;
        self.publish_behind(trading_sequence, event_ns, bodies).await;
    }

    /// Publishes an instant that says how far TRADING had come before it.
    pub async fn publish_behind(&self, trading_sequence: u64, event_ns: i64, bodies: Vec<Body>) {
        let size = u32::try_from(bodies.len()).unwrap();
        for (position, body) in (0u32..).zip(bodies) {
            let event = Event {
                id: event_id(&event_ns.to_string(), "market", position),
                event_time: Some(to_timestamp(event_ns)),
                source: "script".into(),
                instant: self.framed.then_some(Instant { position, size, trading_sequence }),
                body: Some(body),
                ..Event::default()
            };
            let subject = Subject::for_event(&event, None).unwrap();
            self.tape.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
        }
    }

    /// Waits until the last instant is marked and acknowledged.
    pub async fn marked(&self, event_ns: i64) {
        let head = self.tape.state(stream::MARKET).await.unwrap().last_sequence;
        self.until("the instant is acknowledged", async || {
            self.tape.ack_floor(stream::MARKET, execution::SERVICE).await.unwrap() >= head
        })
        .await;
        for account in ACCOUNTS {
            let filter = format!("account.{account}.marked");
            let mark = self.tape.last(stream::TRADING, &filter).await.unwrap().unwrap();
            assert_eq!(from_timestamp(&mark.event.event_time.unwrap()).unwrap(), event_ns);
        }
    }

    /// Approves orders, as one group, and waits until each of them has had the named events.
    pub async fn approve(&self, name: &str, event_ns: i64, orders: &[OrderSpec], expect: &[&[&str]]) {
        let signal_id = event_id(name, "signal", 0);
        let input = |spec: &OrderSpec| RiskInput {
            symbol: spec.symbol.clone(),
            leg: spec.leg,
            price_e9: 100 * E9,
            ..RiskInput::default()
        };
        let decision = RiskDecision {
            account: orders[0].account.clone(),
            strategy: orders[0].strategy.clone(),
            signal_id: signal_id.clone(),
            verdict: Verdict::Approved.into(),
            orders: orders.to_vec(),
            inputs: orders.iter().map(input).collect(),
            ..RiskDecision::default()
        };
        let event = Event {
            id: event_id(&signal_id, "risk", 0),
            event_time: Some(to_timestamp(event_ns)),
            source: "script".into(),
            correlation_id: name.into(),
            causation_id: signal_id,
            body: Some(Body::RiskDecision(decision)),
            ..Event::default()
        };
        let subject = Subject::for_event(&event, None).unwrap();
        self.tape.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
        for (order, events) in orders.iter().zip(expect) {
            for name in *events {
                self.order_event(order, name).await;
            }
        }
    }

    /// Asks for a cancel and waits for the named outcome.
    pub async fn cancel(&self, order: &OrderSpec, outcome: &str) {
        self.ask_to_cancel(order).await;
        self.order_event(order, outcome).await;
    }

    /// Asks for a cancel.
    pub async fn ask_to_cancel(&self, order: &OrderSpec) {
        let body = Body::OrderCancelRequested(OrderCancelRequested {
            order_id: order.order_id.clone(),
            actor: "script".into(),
            reason: "as the script says".into(),
        });
        let event = Event {
            id: event_id(&order.order_id, "cancel", 0),
            event_time: Some(to_timestamp(OPEN_NS)),
            source: "script".into(),
            body: Some(body),
            ..Event::default()
        };
        let subject = Subject::order(order, "cancel_requested");
        self.tape.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
    }

    pub async fn order_event(&self, order: &OrderSpec, name: &str) {
        let subject = Subject::order(order, name);
        self.until(subject.as_str(), async || {
            self.tape.last(stream::TRADING, subject.as_str()).await.unwrap().is_some()
        })
        .await;
    }

    /// Waits for something that comes sooner or later.
    pub async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let wait = async {
            while !condition().await {
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap_or_else(|_| panic!("never: {what}"));
    }
}

pub fn order(name: &str, account: &str, symbol: &str, side: Side, shares: i64) -> OrderSpec {
    OrderSpec {
        order_id: contracts::order_id(&event_id(name, "signal", 0), 0),
        account: account.into(),
        strategy: "momentum".into(),
        symbol: symbol.into(),
        side: side.into(),
        order_type: OrderType::Market.into(),
        time_in_force: TimeInForce::Day.into(),
        quantity_e9: shares * E9,
        ..OrderSpec::default()
    }
}

pub fn limit(spec: OrderSpec, price: i64, time_in_force: TimeInForce) -> OrderSpec {
    OrderSpec {
        order_type: OrderType::Limit.into(),
        limit_price_e9: Some(price * E9),
        time_in_force: time_in_force.into(),
        ..spec
    }
}

pub fn leg(name: &str, leg: u32, spec: OrderSpec) -> OrderSpec {
    OrderSpec { order_id: contracts::order_id(&event_id(name, "signal", 0), leg), leg, ..spec }
}

/// An hourly bar that closes at `close_ns`.
pub fn bar(symbol: &str, close_ns: i64, open: i64, close: i64) -> Body {
    Body::Bar(Bar {
        symbol: symbol.into(),
        timeframe: "1h".into(),
        start: Some(to_timestamp(close_ns - HOUR_NS)),
        open_e9: open * E9,
        high_e9: open.max(close) * E9 + E9,
        low_e9: open.min(close) * E9 - E9,
        close_e9: close * E9,
        volume_e3: 1_000_000,
        origin: Origin::Rehearsal.into(),
        ..Bar::default()
    })
}

pub fn action(symbol: &str, kind: ActionKind, value_e9: i64, ex_date: &str) -> Body {
    Body::CorporateAction(CorporateAction {
        symbol: symbol.into(),
        ex_date: ex_date.into(),
        kind: kind.into(),
        value_e9,
        origin: Origin::Rehearsal.into(),
    })
}

pub fn session(phase: SessionPhase, open_ns: i64) -> Body {
    let close_ns = open_ns + 13 * HOUR_NS / 2;
    Body::SessionChange(SessionChange {
        exchange: "XNYS".into(),
        phase: phase.into(),
        open: Some(to_timestamp(open_ns)),
        close: Some(to_timestamp(close_ns)),
        ..SessionChange::default()
    })
}
