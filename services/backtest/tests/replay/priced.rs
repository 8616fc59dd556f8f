//! A holding that no bar prices, at a broker outside on the wall clock: without its price the account is not marked, with it
//! marks go on. Both follow from the tape, whatever was restarted in between.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use backtest::replay::{Options, replay};
use broker::{Broker, BrokerError, BrokerOrder, BrokerPosition, Brokers, Report};
use contracts::v1::event::Body;
use contracts::v1::{Bar, Event, OrderSpec, Origin, TradingMode};
use contracts::{Subject, event_id, stream, to_timestamp};
use domain::book::Book;
use domain::calendar::{Calendar, Market};
use domain::money::{Amount, Price, Quantity};
use event_log::{Append, EventLog as _, Expect, MemoryLog, Tape};
use runtime::{ClockMode, Context, Health};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::rehearsal::{ACCOUNTS, Folded, everything, prepared};

const E9: i64 = 1_000_000_000;
const MINUTE_NS: i64 = 60 * E9;
/// 2024-01-08 09:30 New York, a Monday.
const OPEN_NS: i64 = 1_704_724_200 * E9;
const SHARES: i64 = 60;

#[derive(Debug, Default)]
struct World {
    held: bool,
    price: Option<i64>,
    /// Whether it is to be asked how everything stands.
    missed: bool,
}

/// A broker at which somebody holds something that nobody streams.
#[derive(Clone, Debug, Default)]
struct Elsewhere(Arc<Mutex<World>>);

impl Brokers for Elsewhere {
    fn resume(&self, _book: &Book) -> Result<Box<dyn Broker>, BrokerError> {
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl Broker for Elsewhere {
    fn name(&self) -> &'static str {
        broker::ALPACA
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn mode_of(&self, _account: &str) -> TradingMode {
        TradingMode::Paper
    }

    async fn submit(&mut self, _: &OrderSpec, _: &str, _: i64) -> Result<Vec<Report>, BrokerError> {
        Ok(Vec::new())
    }

    async fn cancel(&mut self, _: &OrderSpec, _: &str, _: i64) -> Result<Vec<Report>, BrokerError> {
        Ok(Vec::new())
    }

    async fn positions(&mut self, account: &str) -> Result<Option<Vec<BrokerPosition>>, BrokerError> {
        let world = self.0.lock().unwrap();
        let position = BrokerPosition {
            symbol: "HELD".into(),
            quantity: Quantity(SHARES * E9),
            cost: Amount(i128::from(SHARES * 160) * i128::from(E9)),
            price: world.price.map(|dollars| Price(dollars * E9)),
            unread: None,
        };
        Ok(Some(if world.held && account == "paper" { vec![position] } else { Vec::new() }))
    }

    async fn lookup(&mut self, _: &OrderSpec, _: &str) -> Result<Option<BrokerOrder>, BrokerError> {
        Ok(None)
    }

    async fn reports(&mut self) -> Result<Vec<Report>, BrokerError> {
        loop {
            if std::mem::take(&mut self.0.lock().unwrap().missed) {
                return Err(BrokerError::Missed { broker: "elsewhere".into() });
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

struct Stage {
    log: MemoryLog,
    elsewhere: Elsewhere,
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Stage {
    async fn new() -> Self {
        let mut stage = Self { log: prepared().await, elsewhere: Elsewhere::default(), running: None };
        stage.start().await;
        stage
    }

    async fn stop(&mut self) {
        if let Some((shutdown, task)) = self.running.take() {
            shutdown.cancel();
            task.await.unwrap();
        }
    }

    /// Starts execution, anew where it runs, and waits until it has compared everything.
    async fn start(&mut self) {
        self.stop().await;
        let compared = self.compared().await;
        let shutdown = CancellationToken::new();
        let context = Context {
            tape: Arc::new(self.log.clone()),
            clock: ClockMode::Wall,
            health: Health::default(),
            shutdown: shutdown.clone(),
        };
        let config = execution::Config {
            accounts: ACCOUNTS.map(str::to_owned).to_vec(),
            read_model: Arc::new(Folded(self.log.clone())),
            brokers: Arc::new(self.elsewhere.clone()),
            calendar: Calendar::xnys(),
        };
        let task = tokio::spawn(async move { execution::run(context, config).await.unwrap() });
        self.running = Some((shutdown, task));
        self.until("it is compared", async |stage| stage.compared().await > compared).await;
    }

    async fn until(&self, what: &str, condition: impl AsyncFn(&Self) -> bool) {
        let wait = async {
            while !condition(self).await {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("never: {what}"));
    }

    /// Comparisons of the account `paper` that are on the tape.
    async fn compared(&self) -> usize {
        let all = everything(&self.log, stream::TRADING).await;
        let of_paper = |body: &Option<Body>| {
            matches!(body, Some(Body::BrokerReconciled(event))
                if event.account == "paper")
        };
        all.iter().filter(|recorded| of_paper(&recorded.event.body)).count()
    }

    fn say(&self, held: bool, price: Option<i64>) {
        let mut world = self.elsewhere.0.lock().unwrap();
        (world.held, world.price) = (held, price);
    }

    /// Somebody else trades, or the price changes; it is compared at once.
    async fn compare(&self, held: bool, price: Option<i64>) {
        let compared = self.compared().await;
        self.say(held, price);
        self.elsewhere.0.lock().unwrap().missed = true;
        self.until("it is compared", async |stage| stage.compared().await > compared).await;
    }

    /// A live bar of something else, handled.
    async fn bar(&self, minute: i64) {
        let close_ns = OPEN_NS + minute * MINUTE_NS;
        let bar = Bar {
            symbol: "ACMEX".into(),
            timeframe: "1m".into(),
            start: Some(to_timestamp(close_ns - MINUTE_NS)),
            open_e9: 100 * E9,
            high_e9: 101 * E9,
            low_e9: 99 * E9,
            close_e9: 100 * E9,
            volume_e3: 1_000_000,
            origin: Origin::Live.into(),
            ..Bar::default()
        };
        let event = Event {
            id: event_id("bar", "test", u32::try_from(minute).unwrap()),
            event_time: Some(to_timestamp(close_ns)),
            source: "test".into(),
            body: Some(Body::Bar(bar)),
            ..Event::default()
        };
        let subject = Subject::for_event(&event, None).unwrap();
        self.log.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
        let head = self.log.state(stream::MARKET).await.unwrap().last_sequence;
        self.until("the bar is handled", async |stage| {
            stage.log.ack_floor(stream::MARKET, execution::SERVICE).await.unwrap() >= head
        })
        .await;
    }

    async fn book(&self) -> Book {
        let mut book = Book::default();
        for recorded in everything(&self.log, stream::TRADING).await {
            book.apply(recorded.sequence, &recorded.event).unwrap();
        }
        book
    }

    async fn marks(&self, account: &str) -> usize {
        let all = everything(&self.log, stream::TRADING).await;
        let of_account =
            |body: &Option<Body>| matches!(body, Some(Body::AccountMarked(mark)) if mark.account == account);
        all.iter().filter(|recorded| of_account(&recorded.event.body)).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holding_that_no_bar_prices_follows_with_and_without_its_brokers_price() {
    let mut stage = Stage::new().await;
    stage.bar(1).await;
    // Nobody knows what it is worth: no marks, until it is gone.
    stage.compare(true, None).await;
    stage.bar(2).await;
    stage.bar(3).await;
    stage.compare(false, None).await;
    stage.bar(4).await;
    assert_eq!(stage.marks("paper").await, 2);
    // The same, and it is gone while nobody looks.
    stage.compare(true, None).await;
    stage.bar(5).await;
    stage.stop().await;
    stage.say(false, None);
    stage.start().await;
    stage.bar(6).await;
    assert_eq!(stage.marks("paper").await, 3);
    // The broker says what it is worth: marks go on, over a restart too.
    stage.compare(true, Some(160)).await;
    stage.bar(7).await;
    stage.compare(true, Some(150)).await;
    stage.start().await;
    stage.bar(8).await;
    let marked = stage.book().await.account("paper").unwrap().clone();
    let dollars = |amount: Amount| amount.0 / i128::from(E9);
    assert_eq!(dollars(marked.mark.as_ref().unwrap().equity), 100_000 + i128::from(SHARES) * 150);
    assert_eq!(dollars(marked.day_pnl().unwrap()), -600);
    stage.compare(false, None).await;
    stage.bar(9).await;
    assert_eq!((stage.marks("paper").await, stage.marks("second").await), (6, 9));
    stage.stop().await;

    let tape: Tape = Arc::new(stage.log.clone());
    let options = Options {
        clock: ClockMode::Wall,
        calendar: Market::Xnys,
        fallback_account: "paper".into(),
        from: 1,
        to: None,
        read_model: Some(stage.book().await),
    };
    let report = Box::pin(replay(&tape, options, |_, _| {})).await.unwrap();
    assert!(report.divergence.is_none(), "{:#?}", report.divergence);
    assert_eq!(report.counts.marks, 15);
}
