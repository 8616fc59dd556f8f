//! A tape in memory, a script that plays source, risk and execution, and read models as stale as told.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contracts::v1::event::Body;
use contracts::v1::{
    AccountMarked, Bar, Event, Fill, Instant, Intent, OrderAccepted, OrderSpec, OrderSubmitted, OrderType,
    Origin, Parameter, RiskDecision, Side, StrategyDisabled, StrategyEnabled, StrategyMode,
    StrategyRegistered, TimeInForce, Verdict,
};
use contracts::{Subject, event_id, from_timestamp, stream, to_timestamp};
use domain::book::Book;
use domain::calendar::Calendar;
use domain::order::OrderState;
use event_log::{Append, EventLog as _, Expect, MemoryLog, Recorded, Tape};
use runtime::{AsOf, ClockMode, Context, Health, ReadError};
use strategy::{Config, PastAction, PastBar, ReadModel, Wanted};
use tokio_util::sync::CancellationToken;

pub const E9: i64 = 1_000_000_000;
pub const HOUR_NS: i64 = 3_600_000_000_000;
/// 2024-01-08 10:30 New York, the close of the first hourly bar of a Monday.
pub const FIRST_NS: i64 = 1_704_727_800_000_000_000;
pub const ACCOUNTS: [&str; 2] = ["paper", "second"];

/// A strategy whose orders nobody makes.
pub const SHADOW: &str = "shade";

/// How far behind the tape a read model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staleness {
    /// It does not answer at all.
    Failing,
    /// It lacks the last so many events.
    Behind(u64),
}

/// Read models folded from the tape.
pub struct FoldedReadModel {
    pub tape: MemoryLog,
    pub staleness: Staleness,
}

impl FoldedReadModel {
    async fn folded(&self, stream: &str) -> Result<Vec<Recorded>, ReadError> {
        let Staleness::Behind(behind) = self.staleness else {
            return Err(ReadError { doing: "anything", source: "no connection".into() });
        };
        let mut events = everything(&self.tape, stream).await;
        events.truncate(events.len().saturating_sub(usize::try_from(behind).unwrap()));
        Ok(events)
    }
}

#[async_trait]
impl ReadModel for FoldedReadModel {
    async fn book(&self) -> Result<Book, ReadError> {
        let mut book = Book::default();
        for recorded in self.folded(stream::TRADING).await? {
            book.apply(recorded.sequence, &recorded.event).unwrap();
        }
        Ok(book)
    }

    async fn order(&self, _order_id: &str) -> Result<Option<OrderState>, ReadError> {
        Ok(None)
    }

    async fn bars(&self, wanted: &Wanted, at_sequence: u64) -> Result<AsOf<PastBar>, ReadError> {
        let events = self.folded(stream::MARKET).await?;
        let mut rows = Vec::new();
        for recorded in events.iter().filter(|recorded| recorded.sequence <= at_sequence) {
            let close_ns = from_timestamp(&recorded.event.event_time.unwrap()).unwrap();
            if let Some(Body::Bar(bar)) = &recorded.event.body
                && (wanted.symbols.is_empty() || wanted.symbols.contains(&bar.symbol))
            {
                let timeframe = bar.timeframe.parse().unwrap();
                let past = domain::bar::Bar::from_wire(bar, close_ns).unwrap();
                rows.push(PastBar { symbol: bar.symbol.clone(), timeframe, bar: past });
            }
        }
        Ok(AsOf { checkpoint: events.last().map_or(0, |last| last.sequence), rows })
    }

    async fn actions(&self, at_sequence: u64) -> Result<AsOf<PastAction>, ReadError> {
        let events = self.folded(stream::MARKET).await?;
        let rows = events.iter().filter(|recorded| recorded.sequence <= at_sequence).filter_map(|recorded| {
            match &recorded.event.body {
                Some(Body::CorporateAction(action)) => {
                    Some(PastAction { sequence: recorded.sequence, action: action.clone() })
                }
                _ => None,
            }
        });
        Ok(AsOf { checkpoint: events.last().map_or(0, |last| last.sequence), rows: rows.collect() })
    }
}

/// Everything on a stream.
pub async fn everything(tape: &MemoryLog, stream: &str) -> Vec<Recorded> {
    let head = tape.state(stream).await.unwrap().last_sequence;
    let mut events = Vec::new();
    for sequence in 1..=head {
        events.push(tape.get(stream, sequence).await.unwrap().unwrap());
    }
    events
}

pub fn context(tape: Tape, clock: ClockMode, shutdown: CancellationToken) -> Context {
    Context { tape, clock, health: Health::default(), shutdown }
}

pub fn config(tape: &MemoryLog, staleness: Staleness) -> Config {
    let read_model = FoldedReadModel { tape: tape.clone(), staleness };
    Config {
        accounts: ACCOUNTS.map(str::to_owned).to_vec(),
        read_model: Arc::new(read_model),
        calendar: Calendar::xnys(),
    }
}

pub fn registered(name: &str, kind: &str, parameters: &[(&str, &str)]) -> Body {
    let parameter = |(name, value): &(&str, &str)| Parameter { name: (*name).into(), value: (*value).into() };
    Body::StrategyRegistered(StrategyRegistered {
        strategy: name.into(),
        kind: kind.into(),
        parameters: parameters.iter().map(parameter).collect(),
        account: "paper".into(),
        ..StrategyRegistered::default()
    })
}

pub fn enabled(name: &str) -> Body {
    enabled_in(name, StrategyMode::Paper)
}

pub fn enabled_in(name: &str, mode: StrategyMode) -> Body {
    let mode = mode.into();
    Body::StrategyEnabled(StrategyEnabled { strategy: name.into(), mode, ..StrategyEnabled::default() })
}

pub fn disabled(name: &str) -> Body {
    Body::StrategyDisabled(StrategyDisabled { strategy: name.into(), ..StrategyDisabled::default() })
}

/// An hourly bar that opens and closes at `price`.
pub fn bar(symbol: &str, close_ns: i64, price: i64, origin: Origin) -> Body {
    Body::Bar(Bar {
        symbol: symbol.into(),
        timeframe: "1h".into(),
        start: Some(to_timestamp(close_ns - HOUR_NS)),
        open_e9: price * E9,
        high_e9: price * E9,
        low_e9: price * E9,
        close_e9: price * E9,
        origin: origin.into(),
        ..Bar::default()
    })
}

/// One who plays everybody but the strategy service.
pub struct Script {
    pub tape: MemoryLog,
    pub clock: ClockMode,
    /// Orders that wait for the next bar of their symbol.
    working: Vec<OrderSpec>,
    controls: u32,
}

impl Script {
    pub fn new(tape: MemoryLog, clock: ClockMode) -> Self {
        Self { tape, clock, working: Vec::new(), controls: 0 }
    }

    /// Appends a control event, at a time when no instant is under way.
    pub async fn control(&mut self, body: Body) {
        self.controls += 1;
        self.append(&event_id("control", "script", self.controls), FIRST_NS - HOUR_NS, body, None, None)
            .await;
    }

    async fn append(
        &self,
        id: &str,
        event_ns: i64,
        body: Body,
        instant: Option<Instant>,
        order: Option<&OrderSpec>,
    ) {
        let event = Event {
            id: id.into(),
            event_time: Some(to_timestamp(event_ns)),
            source: "script".into(),
            instant,
            body: Some(body),
            ..Event::default()
        };
        let subject = Subject::for_event(&event, order).unwrap();
        self.tape.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
    }

    /// Imports history: single events that are no instant of the clock.
    pub async fn import(&self, bars: Vec<(i64, Body)>) {
        for (index, (close_ns, body)) in (0u32..).zip(bars) {
            self.append(&event_id(&close_ns.to_string(), "import", index), close_ns, body, None, None).await;
        }
        self.acknowledged().await;
    }

    /// Publishes an instant, fills what waited for it, marks the accounts, and approves its signals once
    /// the strategy service has acknowledged it.
    pub async fn instant(&mut self, event_ns: i64, bodies: Vec<Body>) {
        let size = u32::try_from(bodies.len()).unwrap();
        let fills = self.fills(&bodies, event_ns);
        if self.clock == ClockMode::Wall {
            // Nobody waits for marks there, so what happened in the bar must be known before it.
            self.fill(event_ns, fills.clone()).await;
        }
        for (position, body) in (0u32..).zip(bodies) {
            let frame =
                (self.clock == ClockMode::Tape).then_some(Instant { position, size, ..Instant::default() });
            let id = event_id(&event_ns.to_string(), "market", position);
            self.append(&id, event_ns, body, frame, None).await;
        }
        if self.clock == ClockMode::Tape {
            self.fill(event_ns, fills).await;
        }
        for account in ACCOUNTS {
            let mark = AccountMarked { account: account.into(), ..AccountMarked::default() };
            let id = event_id(&format!("{account}@{event_ns}"), "mark", 0);
            self.append(&id, event_ns, Body::AccountMarked(mark), None, None).await;
        }
        self.acknowledged().await;
        self.approve(event_ns).await;
    }

    fn fills(&mut self, bodies: &[Body], _event_ns: i64) -> Vec<OrderSpec> {
        let (filled, working) =
            std::mem::take(&mut self.working).into_iter().partition(|order: &OrderSpec| {
                bodies.iter().any(|body| matches!(body, Body::Bar(bar) if bar.symbol == order.symbol))
            });
        self.working = working;
        filled
    }

    async fn fill(&self, event_ns: i64, orders: Vec<OrderSpec>) {
        for order in orders {
            let fill = Fill {
                order_id: order.order_id.clone(),
                account: order.account.clone(),
                strategy: order.strategy.clone(),
                symbol: order.symbol.clone(),
                side: order.side,
                number: 1,
                quantity_e9: order.quantity_e9,
                price_e9: 100 * E9,
                ..Fill::default()
            };
            let id = event_id(&order.order_id, "fill", 0);
            self.append(&id, event_ns, Body::Fill(fill), None, None).await;
        }
    }

    /// Approves the signals of the instant but for those in shadow mode: ten shares in, everything out.
    async fn approve(&mut self, event_ns: i64) {
        for recorded in everything(&self.tape, stream::TRADING).await {
            let Some(Body::Signal(signal)) = &recorded.event.body else { continue };
            let signalled_ns = from_timestamp(&recorded.event.event_time.unwrap()).unwrap();
            if signalled_ns != event_ns || signal.strategy == SHADOW {
                continue;
            }
            let side = if signal.legs[0].intent() == Intent::Exit { Side::Sell } else { Side::Buy };
            let order = OrderSpec {
                order_id: contracts::order_id(&recorded.event.id, 0),
                account: "paper".into(),
                strategy: signal.strategy.clone(),
                symbol: signal.legs[0].symbol.clone(),
                side: side.into(),
                order_type: OrderType::Market.into(),
                time_in_force: TimeInForce::Day.into(),
                quantity_e9: 10 * E9,
                ..OrderSpec::default()
            };
            let decision = RiskDecision {
                account: "paper".into(),
                strategy: signal.strategy.clone(),
                signal_id: recorded.event.id.clone(),
                verdict: Verdict::Approved.into(),
                orders: vec![order.clone()],
                ..RiskDecision::default()
            };
            let submitted = OrderSubmitted { order: Some(order.clone()), ..OrderSubmitted::default() };
            let accepted = OrderAccepted { order_id: order.order_id.clone(), ..OrderAccepted::default() };
            let bodies = [
                Body::RiskDecision(decision),
                Body::OrderSubmitted(submitted),
                Body::OrderAccepted(accepted),
            ];
            for (index, body) in (0u32..).zip(bodies) {
                let id = event_id(&recorded.event.id, "approve", index);
                self.append(&id, event_ns, body, None, Some(&order)).await;
            }
            self.working.push(order);
        }
    }

    async fn acknowledged(&self) {
        let head = self.tape.state(stream::MARKET).await.unwrap().last_sequence;
        let wait = async {
            while self.tape.ack_floor(stream::MARKET, strategy::SERVICE).await.unwrap() < head {
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait).await.expect("MARKET is acknowledged");
    }

    /// Waits until a strategy has been warmed up so many times.
    pub async fn warmed(&self, strategy: &str, times: usize) {
        let filter = format!("control.strategy.{strategy}.warmed");
        let wait = async {
            loop {
                let events = everything(&self.tape, stream::TRADING).await;
                if events.iter().filter(|recorded| recorded.subject == filter).count() >= times {
                    return;
                }
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait).await.expect("the strategy is warmed up");
    }
}
