//! A rehearsal in memory: the tape clock, the services of trading, and read models that fold the tape themselves.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::v1::event::Body;
use contracts::v1::{
    AccountConfigured, AccountEntry, Costs, EntryKind, Event, Money, Parameter, RiskLimits, Sizing,
    SizingKind, StrategyEnabled, StrategyMode, StrategyRegistered,
};
use contracts::{Subject, event_id, stream, to_timestamp};
use domain::bar::Timeframe;
use domain::book::Book;
use domain::calendar::Calendar;
use domain::order::OrderState;
use event_log::{Append, EventLog as _, Expect, MemoryLog, Recorded, Tape};
use ingest::clock::{ClockConfig, Speed};
use ingest::source::{Instant, SimulatedConfig, SimulatedSource, Source};
use runtime::{AsOf, ClockMode, Context, Health, ReadError};
use tokio_util::sync::CancellationToken;

pub const ACCOUNTS: [&str; 2] = ["paper", "second"];

/// Statements of people, each made between two instants: behind as many instants as it says.
pub type Between = Vec<(usize, fn(&Tape))>;

/// The first instants of a simulated market, the same ones wherever it is taken up.
struct Limited {
    inner: SimulatedSource,
    until_ns: i64,
    passed: usize,
    between: Between,
    tape: Tape,
}

impl Limited {
    fn new(tape: Tape, instants: usize, between: Between) -> Self {
        let until_ns = market(instants).last().map_or(i64::MIN, |last| last.ns);
        Self { inner: source(), until_ns, passed: 0, between, tape }
    }
}

fn source() -> SimulatedSource {
    let config =
        SimulatedConfig { symbols: 6, timeframe: Timeframe::H1, seed: 7, ..SimulatedConfig::default() };
    SimulatedSource::new(config).unwrap()
}

/// The first instants of the market that rehearsals play.
pub fn market(instants: usize) -> Vec<Instant> {
    let mut ahead = source();
    (0..instants).map_while(|_| ahead.next()).collect()
}

impl Source for Limited {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn subjects(&self) -> Vec<Subject> {
        self.inner.subjects()
    }

    fn next(&mut self) -> Option<Instant> {
        for (_, state) in self.between.iter().filter(|(passed, _)| *passed == self.passed) {
            state(&self.tape);
        }
        self.passed += 1;
        self.inner.next().filter(|instant| instant.ns <= self.until_ns)
    }

    fn seek(&mut self, from_ns: i64) {
        self.inner.seek(from_ns);
    }
}

#[derive(Clone)]
pub struct Folded(pub MemoryLog);

impl Folded {
    async fn fold(&self) -> Book {
        let mut book = Book::default();
        for recorded in everything(&self.0, stream::TRADING).await {
            book.apply(recorded.sequence, &recorded.event).unwrap();
        }
        book
    }
}

fn away() -> ReadError {
    ReadError { doing: "nothing", source: "the tape alone has to do".into() }
}

#[async_trait]
impl risk::ReadModel for Folded {
    async fn snapshot(&self, signal_ids: &[String]) -> Result<risk::Snapshot, ReadError> {
        let mut decided = Vec::new();
        for recorded in everything(&self.0, stream::TRADING).await {
            if let Some(Body::RiskDecision(decision)) = recorded.event.body {
                decided.push(decision.signal_id);
            }
        }
        decided.retain(|id| signal_ids.contains(id));
        Ok(risk::Snapshot { book: self.fold().await, decided })
    }

    async fn prices(&self) -> Result<AsOf<risk::LastPrice>, ReadError> {
        Ok(AsOf::default())
    }

    async fn actions(&self) -> Result<AsOf<risk::PastAction>, ReadError> {
        Ok(AsOf::default())
    }
}

#[async_trait]
impl execution::ReadModel for Folded {
    async fn book(&self) -> Result<Book, ReadError> {
        Err(away())
    }

    async fn order(&self, _order_id: &str) -> Result<Option<OrderState>, ReadError> {
        Err(away())
    }
}

#[async_trait]
impl strategy::ReadModel for Folded {
    async fn book(&self) -> Result<Book, ReadError> {
        Err(away())
    }

    async fn order(&self, _order_id: &str) -> Result<Option<OrderState>, ReadError> {
        Err(away())
    }

    async fn bars(&self, _: &strategy::Wanted, _: u64) -> Result<AsOf<strategy::PastBar>, ReadError> {
        Err(away())
    }

    async fn actions(&self, _: u64) -> Result<AsOf<strategy::PastAction>, ReadError> {
        Err(away())
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

/// A tape with `instants` of a simulated market, in as many runs of all services as `runs` says: each run takes
/// its share, and the next one starts from the tape.
pub async fn rehearse(instants: usize, runs: usize) -> MemoryLog {
    rehearse_with(instants, runs, Vec::new()).await
}

/// The same with further statements before the first instant.
pub async fn rehearse_with(instants: usize, runs: usize, stated: Vec<Body>) -> MemoryLog {
    let tape = MemoryLog::new();
    setup(&tape).await;
    for (index, body) in stated.into_iter().enumerate() {
        append(&tape, "stated", &index.to_string(), body).await;
    }
    for run in 1..=runs {
        one_run(&tape, instants * run / runs, Vec::new()).await;
    }
    tape
}

/// A tape whose market is still to come, and on which nobody runs.
pub async fn prepared() -> MemoryLog {
    let tape = MemoryLog::new();
    setup(&tape).await;
    tape
}

/// A rehearsal on a tape that was prepared, with further statements before the first instant, and people who speak between
/// instants.
pub async fn rehearse_on(tape: &MemoryLog, instants: usize, stated: Vec<Body>, between: Between) {
    for (index, body) in stated.into_iter().enumerate() {
        append(tape, "stated", &index.to_string(), body).await;
    }
    one_run(tape, instants, between).await;
}

/// A tape on which people spoke between instants.
pub async fn rehearse_between(instants: usize, between: Between) -> MemoryLog {
    let tape = MemoryLog::new();
    setup(&tape).await;
    one_run(&tape, instants, between).await;
    tape
}

async fn one_run(log: &MemoryLog, instants: usize, between: Between) {
    let shutdown = CancellationToken::new();
    let tape: Tape = Arc::new(log.clone());
    let context =
        Context { tape, clock: ClockMode::Tape, health: Health::default(), shutdown: shutdown.clone() };
    let accounts = ACCOUNTS.map(str::to_owned).to_vec();
    let read_model = Arc::new(Folded(log.clone()));
    let calendar = Calendar::xnys();
    let strategies = tokio::spawn(strategy::run(
        context.clone(),
        strategy::Config { accounts: accounts.clone(), read_model: read_model.clone(), calendar },
    ));
    let risks = tokio::spawn(risk::run(
        context.clone(),
        risk::Config { fallback_account: "paper".into(), read_model: read_model.clone(), calendar },
    ));
    let executions = tokio::spawn(execution::run(
        context.clone(),
        execution::Config {
            accounts: accounts.clone(),
            read_model,
            brokers: Arc::new(broker::Simulated),
            calendar,
        },
    ));
    let mut source = Limited::new(context.tape.clone(), instants, between);
    let clock = ClockConfig { accounts, consumers: vec!["strategy".into()] };
    let (_handle, control) = ingest::clock::control(Speed::Max);
    ingest::clock::run(&context, &mut source, &clock, control).await.unwrap();
    shutdown.cancel();
    strategies.await.unwrap().unwrap();
    risks.await.unwrap().unwrap();
    executions.await.unwrap().unwrap();
}

async fn setup(tape: &MemoryLog) {
    for account in ACCOUNTS {
        let limits = RiskLimits {
            max_position_fraction_e9: 300_000_000,
            max_exposure_fraction_e9: 1_000_000_000,
            max_order_value: Some(Money { units: 20_000, nanos: 0 }),
            max_daily_loss_fraction_e9: 500_000_000,
            price_collar_fraction_e9: 200_000_000,
            max_price_age_ms: 86_400_000,
            allow_short: false,
        };
        let costs = Costs {
            commission_per_share_e9: 5_000_000,
            commission_minimum: Some(Money { units: 1, nanos: 0 }),
            slippage_rate_e9: 100_000,
            ..Costs::default()
        };
        let configured = AccountConfigured {
            account: account.into(),
            version: 1,
            broker: "simulated".into(),
            limits: Some(limits),
            costs: Some(costs),
            ..AccountConfigured::default()
        };
        append(tape, "setup", account, Body::AccountConfigured(configured)).await;
        let deposit = AccountEntry {
            account: account.into(),
            kind: EntryKind::Deposit.into(),
            amount: Some(Money { units: 100_000, nanos: 0 }),
            ..AccountEntry::default()
        };
        append(tape, "deposit", account, Body::AccountEntry(deposit)).await;
    }
    register(tape, "cross", "sma_cross", "paper", &[("fast", "2"), ("slow", "4")]).await;
    register(tape, "surge", "momentum", "paper", &[("lookback", "3"), ("threshold", "0.002")]).await;
    register(tape, "other", "sma_cross", "second", &[("fast", "3"), ("slow", "5")]).await;
}

async fn register(tape: &MemoryLog, name: &str, kind: &str, account: &str, parameters: &[(&str, &str)]) {
    let parameter = |(name, value): &(&str, &str)| Parameter { name: (*name).into(), value: (*value).into() };
    let registered = StrategyRegistered {
        strategy: name.into(),
        kind: kind.into(),
        parameters: parameters.iter().map(parameter).collect(),
        sizing: Some(Sizing {
            kind: SizingKind::Fraction.into(),
            value_e9: 100_000_000,
            ..Sizing::default()
        }),
        account: account.into(),
        ..StrategyRegistered::default()
    };
    append(tape, "register", name, Body::StrategyRegistered(registered)).await;
    let mode = StrategyMode::Paper.into();
    let enabled = StrategyEnabled { strategy: name.into(), mode, ..StrategyEnabled::default() };
    append(tape, "enable", name, Body::StrategyEnabled(enabled)).await;
}

async fn append(tape: &MemoryLog, handler: &str, cause: &str, body: Body) {
    let event = Event {
        id: event_id(cause, handler, 0),
        event_time: Some(to_timestamp(1_704_100_000_000_000_000)),
        source: "script".into(),
        body: Some(body),
        ..Event::default()
    };
    let subject = Subject::for_event(&event, None).unwrap();
    tape.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
}

/// The tape once more, with TRADING as `change` leaves it: it may alter an event, or drop it by answering false.
pub async fn copy(tape: &MemoryLog, mut change: impl FnMut(u64, &mut Event) -> bool) -> MemoryLog {
    let copy = MemoryLog::new();
    for stream in [stream::MARKET, stream::TRADING] {
        for Recorded { sequence, subject, mut event } in everything(tape, stream).await {
            if stream == stream::TRADING && !change(sequence, &mut event) {
                continue;
            }
            let subject = Subject::parse(&subject).unwrap();
            copy.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
        }
    }
    copy
}
