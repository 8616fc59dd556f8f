//! A database per test, a tape in memory, and scripts of events.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use contracts::v1::event::Body;
use contracts::v1::*;
use contracts::{Subject, event_id, to_timestamp};
use event_log::{Append, Expect, MemoryLog, Tape};
use local_servers::testing::TestPostgres;
use projections::{Name, Poison, Port, PortError, Projector, State};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, PgPool, Row as _};
use tokio_util::sync::CancellationToken;

pub const SECOND: i64 = 1_000_000_000;
pub const HOUR: i64 = 3_600 * SECOND;
/// 2024-01-02 15:00 UTC.
pub const START: i64 = 1_704_207_600 * SECOND;

pub type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Everything a test of projections needs.
pub struct World {
    pub tape: Tape,
    pub memory: MemoryLog,
    pub admin: PgPool,
    pub writer: PgPool,
    pub reader: PgPool,
    pub port: Arc<Recorder>,
    _server: Box<dyn Send>,
}

/// Remembers what was parked and how projections said they were.
#[derive(Default)]
pub struct Recorder {
    pub parked: Mutex<Vec<Poison>>,
    pub states: Mutex<Vec<(Name, State)>>,
}

#[async_trait]
impl Port for Recorder {
    async fn park(&self, poison: &Poison) -> Result<(), PortError> {
        self.parked.lock().unwrap().push(poison.clone());
        Ok(())
    }

    fn state(&self, projection: Name, state: &State) {
        self.states.lock().unwrap().push((projection, state.clone()));
    }
}

pub fn options(url: &str) -> PgConnectOptions {
    url.parse().unwrap()
}

impl World {
    pub async fn new() -> Self {
        let server = TestPostgres::shared().await.unwrap();
        let database = server
            .create_migrated(|url| async move {
                let pool = PgPool::connect(&url).await.unwrap();
                projections::migrate(&pool).await.unwrap();
                pool.close().await;
                Ok::<_, local_servers::ServerError>(())
            })
            .await
            .unwrap();
        let url = database.url().to_owned();
        Self::at(&url, Box::new((database, server))).await
    }

    /// In the empty database at `url`; `server` is kept as long as this is.
    pub async fn at(url: &str, server: Box<dyn Send>) -> Self {
        let admin = PgPool::connect(url).await.unwrap();
        projections::migrate(&admin).await.unwrap();
        let writer = projections::projector_pool(options(url), 16).await.unwrap();
        let reader = projections::reader_pool(options(url), 8).await.unwrap();
        let memory = MemoryLog::new();
        let tape: Tape = Arc::new(memory.clone());
        Self { tape, memory, admin, writer, reader, port: Arc::default(), _server: server }
    }

    /// Takes an empty tape in the place of the one that it had.
    pub fn on_another_tape(&mut self) {
        self.memory = MemoryLog::new();
        self.tape = Arc::new(self.memory.clone());
    }

    pub fn projector(&self) -> Projector {
        Projector { pool: self.writer.clone(), tape: self.tape.clone(), port: self.port.clone() }
    }

    /// Runs one projection until it has folded everything on the tape.
    pub async fn catch_up(&self, name: Name) {
        let running = Running::start(self, &[name]);
        self.wait(name).await;
        running.stop().await;
    }

    /// Waits until the checkpoint is at the head.
    pub async fn wait(&self, name: Name) {
        let head = projections::heads(&self.tape).await.unwrap()[&name];
        self.wait_for(name, head).await;
    }

    pub async fn wait_for(&self, name: Name, sequence: u64) {
        let mut found = 0;
        for _ in 0..2_000 {
            found = self.checkpoint(name).await;
            if found >= sequence {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{name} is at {found} after ten seconds, expected {sequence}; {:?}", self.port.states.lock());
    }

    pub async fn checkpoint(&self, name: Name) -> u64 {
        let row = sqlx::query("SELECT sequence FROM projection.checkpoints WHERE name = $1")
            .bind(name.name())
            .fetch_optional(&self.admin)
            .await
            .unwrap();
        row.map_or(0, |row| u64::try_from(row.get::<i64, _>(0)).unwrap())
    }

    /// Every row of a schema as text, in order.
    pub async fn rows(&self, schema: &str) -> Vec<String> {
        let tables = sqlx::query(
            "SELECT relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
             WHERE nspname = $1 AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname",
        )
        .bind(schema)
        .fetch_all(&self.admin)
        .await
        .unwrap();
        let mut all = Vec::new();
        for table in tables {
            let table: String = table.get(0);
            let statement = format!("SELECT to_jsonb(t)::text FROM {schema}.{table} t ORDER BY 1");
            for row in sqlx::query(AssertSqlSafe(statement)).fetch_all(&self.admin).await.unwrap() {
                all.push(format!("{table}: {}", row.get::<String, _>(0)));
            }
        }
        all
    }

    pub async fn count(&self, table: &str) -> i64 {
        let statement = format!("SELECT count(*) FROM {table}");
        sqlx::query(AssertSqlSafe(statement)).fetch_one(&self.admin).await.unwrap().get(0)
    }

    pub async fn append(&self, event: Event, order: Option<&OrderSpec>) -> u64 {
        let subject = Subject::for_event(&event, order).unwrap();
        let append = Append { subject, event, expect: Expect::Nothing };
        self.tape.append(append).await.unwrap().sequence
    }
}

/// Waits until a condition holds.
pub async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    for _ in 0..2_000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not within ten seconds: {what}");
}

/// Projections that run until stopped.
pub struct Running {
    shutdown: CancellationToken,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Running {
    pub fn start(world: &World, names: &[Name]) -> Self {
        let shutdown = CancellationToken::new();
        let tasks = names
            .iter()
            .map(|&name| {
                let (projector, shutdown) = (world.projector(), shutdown.clone());
                tokio::spawn(async move { projector.follow(name, &shutdown).await.unwrap() })
            })
            .collect();
        Self { shutdown, tasks }
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
    }

    /// Ends the tasks wherever they are, as a kill would.
    pub fn kill(self) {
        for task in self.tasks {
            task.abort();
        }
    }
}

pub fn event(cause: &str, event_time_ns: i64, body: Body) -> Event {
    Event {
        id: event_id(cause, "test", 0),
        event_time: Some(to_timestamp(event_time_ns)),
        source: "test".to_owned(),
        body: Some(body),
        ..Event::default()
    }
}

pub fn bar(symbol: &str, start_ns: i64, close_e9: i64) -> Event {
    let bar = Bar {
        symbol: symbol.to_owned(),
        timeframe: "1h".to_owned(),
        start: Some(to_timestamp(start_ns)),
        open_e9: close_e9 - 250_000_000,
        high_e9: close_e9 + 500_000_001,
        low_e9: close_e9 - 500_000_000,
        close_e9,
        volume_e3: 1_234_567,
        origin: Origin::Rehearsal.into(),
        vwap_e9: None,
        trade_count: None,
        made_of: String::new(),
    };
    event(&format!("bar/{symbol}/{start_ns}"), start_ns + HOUR, Body::Bar(bar))
}

pub fn money(units: i64) -> Option<Money> {
    Some(Money { units, nanos: 0 })
}

pub fn deposit(account: &str, units: i64) -> Event {
    let entry = AccountEntry {
        account: account.to_owned(),
        kind: EntryKind::Deposit.into(),
        amount: money(units),
        ..AccountEntry::default()
    };
    event(&format!("deposit/{account}/{units}"), START, Body::AccountEntry(entry))
}

pub fn configured(account: &str, version: u64) -> Event {
    let config = AccountConfigured {
        account: account.to_owned(),
        version,
        broker: "simulated".to_owned(),
        limits: Some(RiskLimits {
            max_position_fraction_e9: 100_000_000,
            max_exposure_fraction_e9: 1_000_000_000,
            max_order_value: money(25_000),
            max_daily_loss_fraction_e9: 50_000_000,
            price_collar_fraction_e9: 50_000_000,
            max_price_age_ms: 3_600_000,
            allow_short: false,
        }),
        costs: Some(Costs { commission_per_share_e9: 5_000_000, ..Costs::default() }),
        actor: "test".to_owned(),
        reason: "start".to_owned(),
        ..AccountConfigured::default()
    };
    event(&format!("configured/{account}/{version}"), START, Body::AccountConfigured(config))
}

pub fn registered(strategy: &str) -> Event {
    let registered = StrategyRegistered {
        strategy: strategy.to_owned(),
        kind: "sma_cross".to_owned(),
        parameters: vec![Parameter { name: "fast".to_owned(), value: "10".to_owned() }],
        timeframe: "1h".to_owned(),
        sizing: Some(Sizing {
            kind: SizingKind::Fraction.into(),
            value_e9: 100_000_000,
            ..Sizing::default()
        }),
        account: "paper".to_owned(),
        actor: "test".to_owned(),
        symbols: Vec::new(),
        ..StrategyRegistered::default()
    };
    event(&format!("registered/{strategy}"), START, Body::StrategyRegistered(registered))
}

pub fn enabled(strategy: &str) -> Event {
    let enabled = StrategyEnabled {
        strategy: strategy.to_owned(),
        mode: StrategyMode::Paper.into(),
        actor: "test".to_owned(),
    };
    event(&format!("enabled/{strategy}"), START, Body::StrategyEnabled(enabled))
}

pub fn signal(strategy: &str, symbol: &str, at_ns: i64) -> Event {
    let signal = Signal {
        strategy: strategy.to_owned(),
        legs: vec![SignalLeg {
            symbol: symbol.to_owned(),
            intent: Intent::EnterLong.into(),
            ..SignalLeg::default()
        }],
        indicators: vec![IndicatorValue { name: "sma_fast".to_owned(), value: 101.25 }],
        reason: "fast above slow".to_owned(),
        ..Signal::default()
    };
    let mut event = event(&format!("signal/{strategy}/{symbol}/{at_ns}"), at_ns, Body::Signal(signal));
    event.correlation_id.clone_from(&event.id);
    event.causation_id = event_id("bar", symbol, 0);
    event
}

pub fn spec(order_id: &str, symbol: &str, side: Side, shares: i64) -> OrderSpec {
    OrderSpec {
        order_id: order_id.to_owned(),
        account: "paper".to_owned(),
        strategy: "sma".to_owned(),
        symbol: symbol.to_owned(),
        side: side.into(),
        order_type: OrderType::Market.into(),
        time_in_force: TimeInForce::Day.into(),
        quantity_e9: shares * SECOND,
        ..OrderSpec::default()
    }
}

pub fn approved(signal: &Event, orders: Vec<OrderSpec>, at_ns: i64) -> Event {
    let inputs = orders
        .iter()
        .map(|order| RiskInput {
            symbol: order.symbol.clone(),
            leg: order.leg,
            price_e9: 100 * SECOND,
            price_time: Some(to_timestamp(at_ns)),
            equity: money(100_000),
            cash: money(100_000),
            ..RiskInput::default()
        })
        .collect();
    let decision = RiskDecision {
        account: "paper".to_owned(),
        strategy: "sma".to_owned(),
        signal_id: signal.id.clone(),
        verdict: Verdict::Approved.into(),
        orders,
        inputs,
        ..RiskDecision::default()
    };
    let mut event = event(&format!("decision/{}", signal.id), at_ns, Body::RiskDecision(decision));
    event.correlation_id.clone_from(&signal.correlation_id);
    event.causation_id.clone_from(&signal.id);
    event
}

pub fn of_order(order: &OrderSpec, name: &str, at_ns: i64, body: Body) -> Event {
    event(&format!("{name}/{}", order.order_id), at_ns, body)
}

pub fn submitted(order: &OrderSpec, at_ns: i64) -> Event {
    let body = OrderSubmitted {
        order: Some(order.clone()),
        client_order_id: contracts::client_order_id(&order.order_id),
        broker: "simulated".to_owned(),
    };
    of_order(order, "submitted", at_ns, Body::OrderSubmitted(body))
}

pub fn accepted(order: &OrderSpec, at_ns: i64) -> Event {
    let body = OrderAccepted {
        order_id: order.order_id.clone(),
        broker_order_id: format!("b-{}", order.order_id),
        reopened: false,
    };
    of_order(order, "accepted", at_ns, Body::OrderAccepted(body))
}

pub fn fill(order: &OrderSpec, number: u32, shares: i64, price_e9: i64, at_ns: i64) -> Event {
    let body = Fill {
        order_id: order.order_id.clone(),
        account: order.account.clone(),
        strategy: order.strategy.clone(),
        symbol: order.symbol.clone(),
        side: order.side,
        number,
        quantity_e9: shares * SECOND,
        price_e9,
        commission: Some(Money { units: 0, nanos: 50_000_000 }),
        execution_id: format!("x-{}-{number}", order.order_id),
        executed_at: Some(to_timestamp(at_ns)),
        remaining_e9: order.quantity_e9 - shares * SECOND,
        slippage_e9: 10_000_000,
        leg: 0,
        ..Fill::default()
    };
    of_order(order, &format!("fill/{number}"), at_ns, Body::Fill(body))
}

pub fn marked(account: &str, at_ns: i64, equity: i64, prices: &[(&str, i64)]) -> Event {
    let mark = AccountMarked {
        account: account.to_owned(),
        equity: money(equity),
        cash: money(equity / 2),
        gross_exposure: money(equity / 2),
        net_exposure: money(equity / 2),
        prices: prices
            .iter()
            .map(|&(symbol, price_e9)| MarkPrice {
                symbol: symbol.to_owned(),
                price_e9,
                time: Some(to_timestamp(at_ns)),
            })
            .collect(),
        session_start: false,
        ..AccountMarked::default()
    };
    event(&format!("marked/{account}/{at_ns}"), at_ns, Body::AccountMarked(mark))
}

/// A whole decision chain: set-up, a bought position, half of it sold, marks, a halt and its end.
pub async fn chain(world: &World) -> OrderSpec {
    for event in [configured("paper", 1), deposit("paper", 100_000), registered("sma"), enabled("sma")] {
        world.append(event, None).await;
    }
    world.append(marked("paper", START, 100_000, &[]), None).await;
    let signal = signal("sma", "BRK.B", START + HOUR);
    world.append(signal.clone(), None).await;
    let buy = spec("0123456789ab0123456789ab", "BRK.B", Side::Buy, 10);
    world.append(approved(&signal, vec![buy.clone()], START + HOUR), None).await;
    world.append(submitted(&buy, START + HOUR), None).await;
    world.append(accepted(&buy, START + HOUR), Some(&buy)).await;
    world.append(fill(&buy, 1, 4, 100 * SECOND, START + 2 * HOUR), None).await;
    world.append(fill(&buy, 2, 6, 101 * SECOND, START + 2 * HOUR), None).await;
    world.append(marked("paper", START + 2 * HOUR, 100_010, &[("BRK.B", 102 * SECOND)]), None).await;
    let second = self::signal("sma", "BRK.B", START + 3 * HOUR);
    world.append(second.clone(), None).await;
    let sell = spec("abcdef0123456789abcdef01", "BRK.B", Side::Sell, 5);
    world.append(approved(&second, vec![sell.clone()], START + 3 * HOUR), None).await;
    world.append(submitted(&sell, START + 3 * HOUR), None).await;
    world.append(fill(&sell, 1, 5, 110 * SECOND, START + 4 * HOUR), None).await;
    world.append(marked("paper", START + 4 * HOUR, 100_050, &[("BRK.B", 110 * SECOND)]), None).await;
    let halted = TradingHalted {
        account: "paper".into(),
        actor: "test".into(),
        reason: "drill".into(),
        ..TradingHalted::default()
    };
    world.append(event("halt", START + 5 * HOUR, Body::TradingHalted(halted)), None).await;
    let third = self::signal("sma", "IBM", START + 5 * HOUR);
    world.append(third, None).await;
    buy
}
