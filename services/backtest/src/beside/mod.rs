//! A run beside a tape: its events are written there, and external strategies on that tape take part in lock-step.
//!
//! The rule is a rehearsal's: the instant's bars and everything that the account made of them are on the tape; each
//! external strategy publishes its signals, awaits their acknowledgements and then acknowledges the instant's last
//! event that it reads; then the signals are read back and the instant is decided. The strategies' programs are the
//! same that trade. Bars before the range have the origin `import`, which warms up and never trades.
//!
//! Invariants: the tape is fresh and nobody else but those strategies writes to it; a signal is judged by the same
//! checks as on a tape clock (`risk::problem_at_instant`); what is no signal is parked.
//!
//! Deliberately absent: servers, users and processes (the binary's), read models.

mod articles;
mod market;
mod script;
mod writer;

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use contracts::stream::{MARKET, TRADING};
use contracts::v1::event::Body;
use contracts::v1::{Event, StrategyWarmed};
use contracts::{Subject, Timestamp, basis_of, chain_id, event_id};
use domain::series::MarketData;
use engine::{Config, Given, Outside, OutsideError, Shown};
use event_log::{Acks, AppendError, Delivery, Hints, LogError, Reader, Recorded, Tape};
use runtime::ExternalStrategy;
use tokio::runtime::Handle;

pub use articles::copy_articles;
pub use script::Script;
use writer::Writer;

/// Messages taken at once.
const BATCH: usize = 1_000;
/// Time between two looks at whoever is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Most signals of one strategy at one instant; more are denied.
const SIGNALS_MAX: usize = 1_000;
const SIGNALS: &str = "signal.>";
/// Who states that a strategy is warmed up.
const SOURCE_OF_WARM_UPS: &str = strategy::SERVICE;

/// Looks after those that a run waits for.
pub trait Watch: Send {
    /// The run has waited so long for a strategy's acknowledgement; an error ends the run.
    fn waiting(&mut self, strategy: &str, waited: Duration) -> Result<(), OutsideError>;

    /// Whether the run is to end.
    fn is_cancelled(&self) -> bool;
}

/// What came of messages that were no good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Signals that risk denied as invalid, by strategy.
    pub invalid: BTreeMap<String, u64>,
    /// Messages that were parked.
    pub parked: u64,
    /// Signals of another time than their instant's: they are not in the run's own hash.
    pub strays: u64,
}

/// A tape beside a run.
pub struct Desk {
    handle: Handle,
    tape: Tape,
    writer: Writer,
    followed: Vec<Followed>,
    wire: Option<Wire>,
    watch: Box<dyn Watch>,
    seen: HashSet<String>,
    refusals: Refusals,
    script: Script,
}

/// An external strategy, as far as it is waited for.
struct Followed {
    strategy: ExternalStrategy,
    acknowledged: u64,
    wanted: u64,
}

/// What passes on the tape while the run goes on.
struct Wire {
    acks: Box<dyn Acks>,
    passing: Box<dyn Hints>,
    signals: Box<dyn Reader>,
    read: u64,
    unsure: bool,
}

impl Desk {
    /// Takes a fresh tape and states there what a run begins with. Consumers and users are made after this, before
    /// the run.
    pub async fn open(
        tape: &Tape,
        config: &Config,
        data: &MarketData,
        externals: Vec<ExternalStrategy>,
        watch: Box<dyn Watch>,
    ) -> Result<Self, OutsideError> {
        let mut desk = Self {
            handle: Handle::current(),
            tape: Tape::clone(tape),
            writer: Writer::fresh(Tape::clone(tape)).await?,
            followed: Vec::new(),
            wire: None,
            watch,
            seen: HashSet::new(),
            refusals: Refusals::default(),
            script: Script::default(),
        };
        let opening = config.opening(data).map_err(|error| OutsideError::Failed(error.to_string()))?;
        let at = opening.last().and_then(|(_, event)| event.event_time);
        for (subject, mut event) in opening {
            if let Some(Body::StrategyRegistered(body)) = &mut event.body
                && let Some(one) = externals.iter().find(|one| one.name == body.strategy)
            {
                body.subjects.clone_from(&one.subjects);
                body.consumer = one.consumer();
            }
            desk.writer.trading(subject, event);
        }
        // As the service states it that runs them: nothing is known before the first bar.
        for strategy in config.strategies.iter().filter(|strategy| strategy.kind != engine::OUTSIDE) {
            let (subject, event) = warmed(&strategy.name, at);
            desk.writer.trading(subject, event);
        }
        desk.writer.flush().await?;
        if !externals.is_empty() {
            desk.wire = Some(Wire {
                acks: tape.acks(MARKET).await.map_err(lost)?,
                passing: tape.hints(SIGNALS).await.map_err(lost)?,
                signals: tape.read(TRADING, &[SIGNALS.to_owned()], 1).await.map_err(lost)?,
                read: 0,
                unsure: false,
            });
        }
        let followed = |strategy| Followed { strategy, acknowledged: 0, wanted: 0 };
        desk.followed = externals.into_iter().map(followed).collect();
        Ok(desk)
    }

    /// What came of messages that were no good.
    #[must_use]
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// The signals of the run under the ids of built-in strategies; once.
    pub fn take_script(&mut self) -> Script {
        std::mem::take(&mut self.script)
    }

    async fn pass(&mut self, shown: Shown<'_>) -> Result<Vec<Given>, OutsideError> {
        if self.watch.is_cancelled() {
            return Err(OutsideError::Cancelled);
        }
        let (ns, live) = (shown.ns, shown.live);
        let news = market::events(&shown);
        let placed = self.writer.instant(ns, news, shown.events);
        if self.followed.is_empty() {
            self.writer.flush_when_full().await?;
            return Ok(Vec::new());
        }
        for one in &mut self.followed {
            let read = placed.iter().filter(|(subject, _)| one.strategy.reads(subject));
            let last = read.map(|(_, sequence)| *sequence);
            one.wanted = last.max().unwrap_or(one.wanted).max(one.wanted);
        }
        self.writer.flush_at_once().await?;
        if !live {
            return Ok(Vec::new());
        }
        self.acknowledged().await?;
        let given = self.collect(ns).await?;
        self.script.note(ns, &given);
        Ok(given)
    }

    /// Waits until every strategy has acknowledged what it reads of the instant.
    async fn acknowledged(&mut self) -> Result<(), OutsideError> {
        let Some(wire) = &mut self.wire else { return Ok(()) };
        let began = Instant::now();
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.tick().await;
        while let Some(late) = self.followed.iter().position(|one| one.acknowledged < one.wanted) {
            let ask = tokio::select! {
                ack = wire.acks.next() => match ack {
                    Ok(ack) => {
                        let of = |one: &&mut Followed| one.strategy.consumer() == ack.consumer;
                        if let Some(one) = self.followed.iter_mut().find(of) {
                            one.acknowledged = one.acknowledged.max(ack.sequence);
                        }
                        false
                    }
                    Err(_) => true,
                },
                _ = look.tick() => true,
            };
            if !ask {
                continue;
            }
            wire.unsure = true;
            for one in &mut self.followed {
                let floor = self.tape.ack_floor(MARKET, &one.strategy.consumer()).await.map_err(lost)?;
                one.acknowledged = one.acknowledged.max(floor);
            }
            if self.watch.is_cancelled() {
                return Err(OutsideError::Cancelled);
            }
            self.watch.waiting(&self.followed[late].strategy.name, began.elapsed())?;
        }
        Ok(())
    }

    /// Reads the signals that came.
    async fn collect(&mut self, ns: i64) -> Result<Vec<Given>, OutsideError> {
        let Some(wire) = &mut self.wire else { return Ok(Vec::new()) };
        let mut passed = std::mem::take(&mut wire.unsure);
        while wire.passing.ready().is_some() {
            passed = true;
        }
        if !passed {
            return Ok(Vec::new());
        }
        let end = self.tape.last_sequence(TRADING, SIGNALS).await.map_err(lost)?;
        let mut found = Vec::new();
        while wire.read < end {
            for delivery in wire.signals.batch(BATCH).await.map_err(lost)? {
                wire.read = delivery.sequence();
                found.push(delivery);
            }
        }
        self.writer.saw(end);
        let mut given: Vec<Given> = Vec::new();
        for delivery in found {
            match delivery {
                Delivery::Event(recorded) => given.extend(self.take(recorded, ns, &given).await?),
                Delivery::Undecodable { sequence, subject, payload, error } => {
                    self.park(sequence, &subject, &payload, &error.to_string()).await?;
                }
            }
        }
        Ok(given)
    }

    async fn take(
        &mut self,
        recorded: Recorded,
        ns: i64,
        earlier: &[Given],
    ) -> Result<Option<Given>, OutsideError> {
        let Some(Body::Signal(signal)) = &recorded.event.body else { return Ok(None) };
        // Those of built-in strategies were written by the run itself.
        if !self.followed.iter().any(|one| one.strategy.name == signal.strategy) {
            return Ok(None);
        }
        let (signal, event) = (signal.clone(), &recorded.event);
        let Some(stated) = event.event_time.as_ref().and_then(contracts::from_timestamp) else {
            self.refuse(&recorded, "field `event_time`: missing or out of range").await?;
            return Ok(None);
        };
        if chain_id::is_foreign(event, &signal.strategy) {
            self.refuse(&recorded, risk::FOREIGN_ID).await?;
            return Ok(None);
        }
        if !self.seen.insert(event.id.clone()) {
            let reason = format!("field `id`: {:?}, a signal of this id was decided before", event.id);
            self.refuse(&recorded, &reason).await?;
            return Ok(None);
        }
        self.refusals.strays += u64::from(stated != ns);
        let of_strategy = earlier.iter().filter(|given| given.signal.strategy == signal.strategy).count();
        let problem = self.problem(&recorded, ns, of_strategy);
        if problem.is_some() {
            *self.refusals.invalid.entry(signal.strategy.clone()).or_default() += 1;
        }
        Ok(Some(Given { event: recorded.event, signal, problem }))
    }

    fn problem(&self, recorded: &Recorded, ns: i64, earlier: usize) -> Option<String> {
        let event = &recorded.event;
        if event.causation_id.is_empty() {
            return Some("field `causation_id`: empty, expected an event's id on the tape clock".to_owned());
        }
        let (market, end) = (basis_of(event, MARKET).unwrap_or_default(), self.writer.market_end());
        if market > end {
            return Some(format!("field `basis`: {MARKET} {market}, expected at most {end}, its end"));
        }
        if earlier >= SIGNALS_MAX {
            return Some(format!("more than {SIGNALS_MAX} signals of one strategy at one instant"));
        }
        risk::problem_at_instant(recorded, ns)
    }

    async fn refuse(&mut self, recorded: &Recorded, reason: &str) -> Result<(), OutsideError> {
        let payload = contracts::encode(&recorded.event);
        self.park(recorded.sequence, &recorded.subject, &payload, reason).await
    }

    async fn park(
        &mut self,
        sequence: u64,
        subject: &str,
        payload: &[u8],
        reason: &str,
    ) -> Result<(), OutsideError> {
        self.refusals.parked += 1;
        let parked = runtime::park(&self.tape, risk::SERVICE, TRADING, sequence, subject, payload, reason);
        parked.await.map_err(|error| OutsideError::Failed(error.to_string()))
    }
}

impl Outside for Desk {
    fn instant(&mut self, shown: Shown<'_>) -> Result<Vec<Given>, OutsideError> {
        let handle = self.handle.clone();
        handle.block_on(self.pass(shown))
    }

    fn end(&mut self, events: Vec<(Subject, Event)>) -> Result<(), OutsideError> {
        self.writer.instant(i64::MAX, Vec::new(), events);
        let handle = self.handle.clone();
        handle.block_on(self.writer.flush())
    }
}

fn warmed(strategy: &str, at: Option<Timestamp>) -> (Subject, Event) {
    let body = StrategyWarmed { strategy: strategy.to_owned(), ..StrategyWarmed::default() };
    let event = Event {
        id: event_id(&format!("{strategy}@0"), "strategy/warmed", 0),
        event_time: at,
        source: SOURCE_OF_WARM_UPS.to_owned(),
        body: Some(Body::StrategyWarmed(body)),
        ..Event::default()
    };
    (Subject::of(&["control", "strategy", strategy, "warmed"]), event)
}

fn lost(error: LogError) -> OutsideError {
    OutsideError::Failed(error.to_string())
}

fn refused(error: AppendError) -> OutsideError {
    OutsideError::Failed(error.to_string())
}
