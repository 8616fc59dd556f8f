//! A stretch of the tape run again: the state at its beginning, the same market and the same inputs, and everything
//! else decided anew, each decision standing on the ones before it and not on what was recorded.
//!
//! What differs from [`super::replay`]: there each recorded event is held against what follows from the recorded
//! past; here nothing recorded is looked at after the beginning but the inputs. Without changes both come to the
//! same events; with changes (another parameter, another limit) the stretch goes its own way.
//!
//! An input is met after the marks of the instant in which, or after which, it was recorded; an order by hand in the
//! instant in which risk decided it, and a change of a strategy after those of its signals and decisions that were made
//! before it was read. Deliberately absent: comparing (`super::comparison`), printing.

use std::collections::VecDeque;

use contracts::v1::event::Body;
use contracts::v1::{EntryKind, Event};
use contracts::{Subject, chain_key, from_timestamp, stream};
use domain::book::Book;
use event_log::{Append, Delivery, Recorded, Tape};
use execution::Follower;
use runtime::{Instant, Instants};

use super::decisions::Decisions;
use super::market::Market;
use super::strategies::Strategies;
use super::{BATCH, Options, Replay, ReplayError, Watch, basis_of, is_by_hand};

/// Most events that one instant may make; more would be a loop.
const INSTANT_MAX: usize = 100_000;

/// A recorded stretch of TRADING.
#[derive(Debug, Default)]
pub struct Recording {
    /// Everything in it.
    pub events: Vec<Event>,
    /// What of it was taken as it is.
    inputs: VecDeque<Input>,
    /// Orders by hand that nobody decided in it.
    undecided: Vec<Event>,
    /// Last MARKET sequence of its last instant.
    market: u64,
}

/// The part of an instant after which an input is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Marks,
    Signals,
    Decisions,
}

/// Something that is taken as it is.
#[derive(Clone, Debug)]
struct Input {
    /// MARKET sequence after whose instant it came.
    market: u64,
    after: Stage,
    /// Sequence on the recorded tape.
    sequence: u64,
    event: Event,
}

impl Recording {
    /// Goes on to the instant of this MARKET sequence where nothing that was recorded leads there.
    pub(super) fn reach(&mut self, market: u64) {
        self.market = self.market.max(market);
    }

    /// Takes note of a decision: an order by hand belongs to the instant in which it was decided.
    fn decided(&mut self, signal_id: &str) {
        let Some(place) = self.undecided.iter().position(|event| event.id == signal_id) else { return };
        self.undecided.remove(place);
        let input = self.inputs.iter().position(|input| input.event.id == signal_id);
        if let Some(input) = input.and_then(|place| self.inputs.remove(place)) {
            self.inputs.push_back(Input { market: self.market, ..input });
        }
    }
}

/// A stretch run again.
pub struct Rerun {
    market: Market,
    strategies: Strategies,
    decisions: Decisions,
    follower: Follower,
    instants: Instants,
    read: u64,
    sequence: u64,
    events: Vec<Event>,
}

impl Rerun {
    /// The state after `sequence` of TRADING, which must end an instant.
    pub async fn at(
        tape: &Tape,
        options: &Options,
        sequence: u64,
        watch: Watch<'_>,
    ) -> Result<Self, ReplayError> {
        // What went apart before is no concern of what comes after.
        let options = Options { from: u64::MAX, to: Some(sequence), ..options.clone() };
        let clock = options.clock;
        let mut replay = Replay::new(tape, options, sequence).await?;
        if sequence > 0 {
            let mut reader = tape.read(stream::TRADING, &[], 1).await?;
            let mut at = 0;
            while at < sequence {
                for delivery in reader.batch(BATCH).await? {
                    at = delivery.sequence();
                    if at <= sequence {
                        replay.take(delivery).await?;
                    }
                }
                ReplayError::unless(watch(at.min(sequence) as f64 / sequence as f64))?;
            }
        }
        replay.strategies.finish(&mut replay.market).await?;
        let read = replay.orders.market_sequence();
        Ok(Self {
            market: replay.market,
            strategies: replay.strategies,
            decisions: replay.decisions,
            follower: replay.orders.follower,
            instants: Instants::new(clock),
            read,
            sequence,
            events: Vec::new(),
        })
    }

    /// The book as it stands.
    #[must_use]
    pub fn book(&self) -> &Book {
        self.follower.book()
    }

    /// What TRADING holds after this rerun's beginning and through `to`.
    pub async fn recording(&self, tape: &Tape, to: u64) -> Result<Recording, ReplayError> {
        let mut recording = Recording { market: self.read, ..Recording::default() };
        if to <= self.sequence {
            return Ok(recording);
        }
        let mut reader = tape.read(stream::TRADING, &[], self.sequence + 1).await?;
        let mut at = self.sequence;
        // Of each signal and decision: its strategy, its instant, and how far its service had read TRADING.
        let mut read: Vec<(Stage, String, u64, u64)> = Vec::new();
        while at < to {
            for delivery in reader.batch(BATCH).await? {
                at = delivery.sequence();
                if let Delivery::Event(Recorded { sequence, event, .. }) = delivery
                    && at <= to
                {
                    if matches!(event.body, Some(Body::AccountMarked(_))) {
                        recording.market = recording.market.max(basis_of(&event, stream::MARKET));
                    }
                    match &event.body {
                        Some(Body::Signal(signal)) => {
                            let trading = basis_of(&event, stream::TRADING);
                            read.push((Stage::Signals, signal.strategy.clone(), recording.market, trading));
                        }
                        Some(Body::RiskDecision(decision)) => {
                            let trading = basis_of(&event, stream::TRADING);
                            read.push((
                                Stage::Decisions,
                                decision.strategy.clone(),
                                recording.market,
                                trading,
                            ));
                            recording.decided(&decision.signal_id);
                        }
                        _ => {}
                    }
                    if self.is_input(&event) {
                        let (market, after) = (recording.market, Stage::Marks);
                        let input = Input { market, after, sequence, event: event.clone() };
                        if is_by_hand(&event) {
                            recording.undecided.push(event.clone());
                        }
                        recording.inputs.push_back(input);
                    }
                    recording.events.push(event);
                }
            }
        }
        for input in &mut recording.inputs {
            let Some(changed) = changed_strategy(&input.event) else { continue };
            let unread = read.iter().filter(|(_, strategy, market, trading)| {
                strategy == changed && *market == input.market && *trading < input.sequence
            });
            input.after = unread.map(|(stage, ..)| *stage).max().unwrap_or(Stage::Marks);
        }
        recording.inputs.make_contiguous().sort_by_key(|input| (input.market, input.after));
        let undecided = &recording.undecided;
        recording.inputs.retain(|input| undecided.iter().all(|event| event.id != input.event.id));
        Ok(recording)
    }

    /// Runs the stretch of `recording`, with `changes` stated before its first instant. Answers what was decided.
    pub async fn run(
        &mut self,
        recording: &Recording,
        changes: Vec<Event>,
        watch: Watch<'_>,
    ) -> Result<Vec<Event>, ReplayError> {
        for change in changes {
            self.add(change)?;
        }
        let mut inputs = recording.inputs.clone();
        self.inputs(&mut inputs, self.read, Stage::Decisions)?;
        self.strategies.start_all(&mut self.market).await?;
        for recorded in self.market.between(self.read, recording.market).await? {
            self.instants.push(recorded);
        }
        let (first, last) = (self.read, recording.market);
        self.read = last;
        while let Some(instant) = self.instants.next_complete() {
            let through = instant.last_sequence();
            self.instant(instant, &mut inputs).await?;
            let done = through.saturating_sub(first) as f64 / last.saturating_sub(first).max(1) as f64;
            ReplayError::unless(watch(done.min(1.0)))?;
            self.market.forget(self.strategies.market_sequence().min(self.decisions.market_sequence()));
        }
        self.events.extend(recording.undecided.iter().cloned());
        Ok(std::mem::take(&mut self.events))
    }

    async fn instant(&mut self, instant: Instant, inputs: &mut VecDeque<Input>) -> Result<(), ReplayError> {
        let through = instant.last_sequence();
        self.follower.begin(instant);
        for _ in 0..INSTANT_MAX {
            let Some(owed) = self.follower.missing().map_err(ReplayError::broker)? else { break };
            self.append(owed)?;
        }
        self.inputs(inputs, through, Stage::Marks)?;
        self.strategies.start_all(&mut self.market).await?;
        for signal in self.strategies.signals(through, &mut self.market).await? {
            self.add(signal)?;
        }
        self.inputs(inputs, through, Stage::Signals)?;
        self.decisions.read(through, &mut self.market).await?;
        for signal in in_order(self.follower.book()) {
            if let Some(decision) = self.decisions.missing(&signal, self.follower.book()) {
                self.add(decision)?;
            }
        }
        self.inputs(inputs, through, Stage::Decisions)?;
        for _ in 0..INSTANT_MAX {
            let next = self.follower.next_for_orders().await.map_err(ReplayError::broker)?;
            let Some(next) = next else { break };
            self.append(next)?;
        }
        Ok(())
    }

    /// Takes the inputs of instants through a MARKET sequence, of the last one those met after `stage`.
    fn inputs(
        &mut self,
        inputs: &mut VecDeque<Input>,
        through: u64,
        stage: Stage,
    ) -> Result<(), ReplayError> {
        let due = |input: &mut Input| input.market <= through && input.after <= stage;
        while let Some(Input { event, .. }) = inputs.pop_front_if(due) {
            // It stands on both sides, so that what is compared is what was decided.
            if self.fold(event.clone())? && chain_key(&event).is_some() {
                self.events.push(event);
            }
        }
        Ok(())
    }

    fn append(&mut self, append: Append) -> Result<(), ReplayError> {
        self.add(append.event)
    }

    /// Adds an event of its own.
    fn add(&mut self, event: Event) -> Result<(), ReplayError> {
        self.events.push(event.clone());
        self.fold(event).map(|_| ())
    }

    /// Answers whether the event has a place in this run.
    fn fold(&mut self, event: Event) -> Result<bool, ReplayError> {
        self.sequence += 1;
        let order =
            order_id(&event).and_then(|id| self.follower.book().order(id)).map(|order| order.spec.clone());
        let subject = Subject::for_event(&event, order.as_ref());
        let subject = subject.map_or_else(String::new, |subject| subject.as_str().to_owned());
        let recorded = Recorded { sequence: self.sequence, subject, event };
        // A request for an order that this run never made has no place in it.
        if self.follower.fold(&recorded).is_err() || self.strategies.fold(&recorded).is_err() {
            self.follower.skip(self.sequence);
            self.strategies.skip(self.sequence);
            return Ok(false);
        }
        self.decisions.note(&recorded);
        Ok(true)
    }

    /// Whether an event is nothing that the services of trading decide.
    fn is_input(&self, event: &Event) -> bool {
        match &event.body {
            Some(Body::Signal(signal)) => {
                let known = self.follower.book().strategy(&signal.strategy);
                known.is_none_or(|strategy| strategy.kind.is_empty())
            }
            Some(Body::OrderCancelRequested(request)) => request.actor != execution::SERVICE,
            // Execution's own follow from the marks; the monitor's and an operator's are inputs.
            Some(Body::BreakerTripped(_) | Body::BreakerReset(_)) => event.source != execution::SERVICE,
            Some(Body::AccountEntry(entry)) => entry.kind() == EntryKind::Deposit,
            Some(
                Body::OrderReplaceRequested(_)
                | Body::AccountConfigured(_)
                | Body::LimitsSet(_)
                | Body::TradingKilled(_)
                | Body::TradingHalted(_)
                | Body::TradingResumed(_)
                | Body::StrategyRegistered(_)
                | Body::StrategyEnabled(_)
                | Body::StrategyDisabled(_)
                | Body::StrategyRemoved(_),
            ) => true,
            _ => false,
        }
    }
}

/// The strategy whose registration an event changes.
fn changed_strategy(event: &Event) -> Option<&str> {
    match event.body.as_ref()? {
        Body::StrategyRegistered(registered) => Some(&registered.strategy),
        Body::StrategyEnabled(enabled) => Some(&enabled.strategy),
        Body::StrategyDisabled(disabled) => Some(&disabled.strategy),
        Body::StrategyRemoved(removed) => Some(&removed.strategy),
        _ => None,
    }
}

/// The order that an event is about, where its subject needs it.
fn order_id(event: &Event) -> Option<&str> {
    Some(match event.body.as_ref()? {
        Body::OrderAccepted(event) => &event.order_id,
        Body::OrderRejected(event) => &event.order_id,
        Body::OrderCancelRequested(event) => &event.order_id,
        Body::OrderCancelled(event) => &event.order_id,
        Body::OrderCancelRejected(event) => &event.order_id,
        Body::OrderExpired(event) => &event.order_id,
        Body::OrderAdjusted(event) => &event.order_id,
        _ => return None,
    })
}

/// Signals without a decision, as risk takes those of an instant: by time, strategy, symbols of the legs, sequence.
fn in_order(book: &Book) -> Vec<Event> {
    let mut pending: Vec<_> = book.pending_signals().collect();
    pending.sort_by_cached_key(|pending| {
        let time_ns = pending.event.event_time.as_ref().and_then(from_timestamp).unwrap_or_default();
        match &pending.event.body {
            Some(Body::Signal(signal)) => {
                let symbols: Vec<String> = signal.legs.iter().map(|leg| leg.symbol.clone()).collect();
                (time_ns, signal.strategy.clone(), symbols, pending.sequence)
            }
            _ => (time_ns, String::new(), Vec::new(), pending.sequence),
        }
    });
    pending.into_iter().map(|pending| pending.event.clone()).collect()
}
