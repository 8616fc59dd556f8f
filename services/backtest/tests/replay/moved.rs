//! An account that the simulated broker traded goes on at a broker outside, which does not know its orders.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backtest::replay::{Problem, replay};
use broker::{Broker, BrokerError, BrokerOrder, Brokers, Report};
use contracts::stream;
use contracts::v1::event::Body;
use contracts::v1::{OrderSpec, TradingMode};
use domain::book::Book;
use domain::calendar::Calendar;
use domain::order::BrokerReport;
use event_log::{MemoryLog, Tape};
use runtime::command::cancel_order;
use runtime::{ClockMode, Context, Health};
use tokio_util::sync::CancellationToken;

use crate::by_hand::{buy, caller, options};
use crate::rehearsal::{ACCOUNTS, Folded, copy, everything, rehearse_between};

const INSTANTS: usize = 60;

/// A broker outside that never heard of anything.
struct Elsewhere;

impl Brokers for Elsewhere {
    fn resume(&self, _book: &Book) -> Result<Box<dyn Broker>, BrokerError> {
        Ok(Box::new(Self))
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

    async fn cancel(&mut self, order: &OrderSpec, _: &str, _: i64) -> Result<Vec<Report>, BrokerError> {
        let report = BrokerReport::CancelRejected { reason: "Alpaca does not know the order".to_owned() };
        Ok(vec![Report { order_id: order.order_id.clone(), report }])
    }

    async fn lookup(&mut self, _: &OrderSpec, _: &str) -> Result<Option<BrokerOrder>, BrokerError> {
        Ok(None)
    }

    async fn reports(&mut self) -> Result<Vec<Report>, BrokerError> {
        std::future::pending().await
    }
}

/// Does `work` while execution runs and nobody else.
pub async fn beside_execution(log: &MemoryLog, brokers: Arc<dyn Brokers>, work: impl Future<Output = ()>) {
    let shutdown = CancellationToken::new();
    let context = Context {
        tape: Arc::new(log.clone()),
        clock: ClockMode::Tape,
        health: Health::default(),
        shutdown: shutdown.clone(),
    };
    let config = execution::Config {
        accounts: ACCOUNTS.map(str::to_owned).to_vec(),
        read_model: Arc::new(Folded(log.clone())),
        brokers,
        calendar: Calendar::xnys(),
    };
    let execution = tokio::spawn(execution::run(context, config));
    work.await;
    shutdown.cancel();
    execution.await.unwrap().unwrap();
}

/// Cancels an order that the simulated broker works, on a tape whose accounts are elsewhere now.
async fn cancelled_elsewhere(log: &MemoryLog) {
    let tape: Tape = Arc::new(log.clone());
    let cancelled = async {
        until(&tape, "account.paper.reconciled").await;
        let mut book = Book::default();
        for recorded in everything(log, stream::TRADING).await {
            book.apply(recorded.sequence, &recorded.event).unwrap();
        }
        let open = book.open_orders().find(|order| order.accepted_ns.is_some()).expect("an order works");
        cancel_order(&tape, &caller("cancel"), &open.spec, "not wanted").await.unwrap();
        until(&tape, "order.*.*.*.*.cancel_rejected").await;
    };
    beside_execution(log, Arc::new(Elsewhere), cancelled).await;
}

pub async fn until(tape: &Tape, filter: &str) {
    let stored = async {
        while tape.last(stream::TRADING, filter).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), stored).await.unwrap_or_else(|_| panic!("never: {filter}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_broker_outside_says_of_an_order_it_never_had_is_an_answer() {
    // The last instant approves the order, so that no bar comes to fill it.
    let log = rehearse_between(INSTANTS, vec![(INSTANTS - 1, buy as fn(&Tape))]).await;
    cancelled_elsewhere(&log).await;
    let tape: Tape = Arc::new(log.clone());
    let report = Box::pin(replay(&tape, options(), |_, _| {})).await.unwrap();
    assert!(report.divergence.is_none(), "{:#?}", report.divergence);
    assert_eq!(report.counts.broker_answers, 1);

    // Without the word that the account is elsewhere it is the simulated broker that is asked, and it cancels.
    let unsaid = copy(&log, |_, event| !matches!(event.body, Some(Body::BrokerAttached(_)))).await;
    let tape: Tape = Arc::new(unsaid);
    let report = Box::pin(replay(&tape, options(), |_, _| {})).await.unwrap();
    let divergence = report.divergence.expect("it follows from nothing");
    assert_eq!(
        (divergence.kind.as_str(), divergence.problem),
        ("order_cancel_rejected", Problem::NotDerived)
    );
}
