//! A tape, a read model and a risk service that can be started, killed and started again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use contracts::v1::event::Body;
use contracts::v1::{Event, Intent, Origin, RiskDecision, RiskLimits, StrategyMode};
use contracts::{Subject, stream};
use domain::calendar::Calendar;
use event_log::{Append, EventLog as _, Expect, MemoryLog, Recorded, Tape};
use risk::{Config, Error, ReadModel};
use runtime::{ClockMode, Context, Health, HealthState};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::events::{self, ACCOUNT, T0};
use crate::read_model::FoldedReadModel;

const PATIENCE: Duration = Duration::from_secs(10);

pub struct World {
    pub log: MemoryLog,
    pub model: Arc<FoldedReadModel>,
    pub mode: ClockMode,
    pub health: Health,
}

pub struct Running {
    pub shutdown: CancellationToken,
    pub task: JoinHandle<Result<(), Error>>,
}

impl Running {
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

impl World {
    /// An account with 1,000,000 and the strategies `alpha` and `beta`, enabled on paper.
    pub async fn new(mode: ClockMode, limits: RiskLimits) -> Self {
        let log = MemoryLog::new();
        let model = Arc::new(FoldedReadModel::new(&log));
        let world = Self { log, model, mode, health: Health::default() };
        world.put(events::configured(limits)).await;
        world.put(events::deposit(1_000_000)).await;
        for strategy in ["alpha", "beta"] {
            world.put(events::registered(strategy)).await;
            world.put(events::enabled(strategy, StrategyMode::Paper)).await;
        }
        world
    }

    pub async fn put(&self, event: Event) -> u64 {
        let subject = Subject::for_event(&event, None).unwrap();
        self.put_under(subject, event).await
    }

    pub async fn put_under(&self, subject: Subject, event: Event) -> u64 {
        let append = Append { subject, event, expect: Expect::Nothing };
        self.log.append(append).await.unwrap().sequence
    }

    /// Bars of 100 and the mark of the instant, after which its signals may come.
    pub async fn instant(&self, event_ns: i64, symbols: &[&str]) {
        for symbol in symbols {
            self.put(events::bar(symbol, event_ns, 100, Origin::Rehearsal)).await;
        }
        self.put(events::mark(event_ns, 1_000_000)).await;
    }

    pub async fn market(&self) -> u64 {
        self.log.state(stream::MARKET).await.unwrap().last_sequence
    }

    pub async fn market_event(&self, sequence: u64) -> Recorded {
        self.log.get(stream::MARKET, sequence).await.unwrap().unwrap()
    }

    pub async fn trading(&self) -> u64 {
        self.log.state(stream::TRADING).await.unwrap().last_sequence
    }

    /// A signal of the instant at [`T0`] to buy.
    pub async fn buy(&self, strategy: &str, symbol: &str) -> u64 {
        let market = self.market().await;
        self.put(events::signal(strategy, symbol, T0, Intent::EnterLong, market)).await
    }

    pub fn start(&self) -> Running {
        self.start_on(Arc::new(self.log.clone()))
    }

    pub fn start_on(&self, tape: Tape) -> Running {
        self.start_with(tape, Arc::clone(&self.model) as _)
    }

    pub fn start_with(&self, tape: Tape, read_model: Arc<dyn ReadModel>) -> Running {
        let shutdown = CancellationToken::new();
        let context =
            Context { tape, clock: self.mode, health: self.health.clone(), shutdown: shutdown.clone() };
        let calendar = Calendar::xnys();
        let config = Config { fallback_account: ACCOUNT.to_owned(), read_model, calendar };
        Running { shutdown, task: tokio::spawn(risk::run(context, config)) }
    }

    /// What the clock says when the instant's signals are complete.
    pub async fn say_decide(&self, event_ns: i64) {
        let last = self.log.last(stream::TRADING, "signal.>").await.unwrap();
        let sequence = last.map_or(0, |last| last.sequence);
        let payload = format!("{{\"instant_ns\":{event_ns},\"trading_sequence\":{sequence}}}");
        self.log.hint("clock.decide", payload.into_bytes()).await.unwrap();
    }

    pub async fn events(&self) -> Vec<Recorded> {
        let mut events = Vec::new();
        for sequence in 1..=self.trading().await {
            if let Ok(Some(recorded)) = self.log.get(stream::TRADING, sequence).await {
                events.push(recorded);
            }
        }
        events
    }

    /// The decisions on the tape with their events, in order.
    pub async fn decisions(&self) -> Vec<(Event, RiskDecision)> {
        let decision = |recorded: Recorded| match recorded.event.body.clone() {
            Some(Body::RiskDecision(decision)) => Some((recorded.event, decision)),
            _ => None,
        };
        self.events().await.into_iter().filter_map(decision).collect()
    }

    /// Says `clock.decide` for [`T0`] again and again until `count` decisions are on the tape.
    pub async fn decided(&self, count: usize) -> Vec<(Event, RiskDecision)> {
        let wait = async {
            loop {
                self.say_decide(T0).await;
                let decisions = self.decisions().await;
                if decisions.len() >= count {
                    return decisions;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap()
    }

    /// Runs risk until `count` decisions are on the tape, then stops it.
    pub async fn decide(&self, count: usize) -> Vec<RiskDecision> {
        let running = self.start();
        let decisions = self.decided(count).await;
        running.stop().await;
        decisions.into_iter().map(|(_, decision)| decision).collect()
    }

    /// Lets the read model see TRADING up to `sequence` only.
    pub fn limit(&self, sequence: u64) {
        self.model.limit.store(sequence, Ordering::SeqCst);
    }

    pub async fn health_is(&self, state: HealthState) -> String {
        let wait = async {
            loop {
                let all = self.health.all();
                if let Some(service) = all.get("risk").filter(|service| service.state == state) {
                    return service.detail.clone();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap()
    }
}

/// Verdict and rule of each decision, for comparing.
pub fn verdicts(decisions: &[RiskDecision]) -> Vec<(String, &'static str, String)> {
    use contracts::v1::Verdict;

    let row = |decision: &RiskDecision| {
        let verdict = match decision.verdict() {
            Verdict::Approved => "approved",
            Verdict::Denied => "denied",
            Verdict::Shadowed => "shadowed",
            Verdict::Unspecified => "unspecified",
        };
        let symbol = decision.inputs.first().map_or("", |input| input.symbol.as_str());
        (format!("{} {symbol}", decision.strategy), verdict, decision.rule.clone())
    };
    decisions.iter().map(row).collect()
}
