//! A stretch of the tape run again: the state at its beginning, the same market and the same inputs, and everything
//! else decided anew, each decision standing on the ones before it and not on what was recorded.
//!
//! What differs from [`super::replay`]: there each recorded event is held against what follows from the recorded
//! past; here nothing recorded is looked at after the beginning but the inputs. Without changes both come to the
//! same events; with changes (another parameter, another limit) the stretch goes its own way.
//!
//! An input is met after the marks of the instant in which, or after which, it was recorded, and after what was decided and
//! sent there before it was read: a change of a strategy after the strategy's own signals, decisions and orders, any
//! other statement after everybody's. One that lets a strategy signal is met before its signals only where one of them had
//! read it. What execution had not read when it marked the next instant is of that one, unless somebody else had read it;
//! so is a request about an order that came when the next instant had begun. An order by hand belongs to the instant in which
//! risk decided it. What risk decided in several rounds is decided in their order, and what execution had done before one of
//! them is done before it. Deliberately absent: comparing (`super::comparison`), printing.

use std::collections::{HashMap, VecDeque};

use contracts::v1::event::Body;
use contracts::v1::{EntryKind, Event};
use contracts::{Subject, chain_key, from_timestamp, order_of, stream};
use domain::book::Book;
use event_log::{Append, Delivery, Recorded, Tape};
use execution::Follower;
use runtime::{Instant, Instants};

use super::decisions::Decisions;
use super::market::Market;
use super::recorded::{Input, Recorder, Recording, Stage};
use super::strategies::Strategies;
use super::{BATCH, Options, Replay, ReplayError, Watch};

/// Most events that one instant may make; more would be a loop.
const INSTANT_MAX: usize = 100_000;

/// A stretch run again.
pub struct Rerun {
    market: Market,
    strategies: Strategies,
    decisions: Decisions,
    follower: Follower,
    instants: Instants,
    read: u64,
    /// Last MARKET sequence of the instant before the present one.
    before: u64,
    /// Last recorded act of execution that has its counterpart here.
    acted: u64,
    sequence: u64,
    events: Vec<Event>,
}

impl Rerun {
    /// The state after `sequence` of TRADING, which must end an instant. The tape is followed from its first event: a book
    /// that is kept holds neither what strategies have made of their bars nor what the simulated broker's orders have met.
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
            before: read,
            acted: 0,
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
        let mut recorder = Recorder::behind(self.read);
        if to <= self.sequence {
            return Ok(recorder.finish());
        }
        let mut reader = tape.read(stream::TRADING, &[], self.sequence + 1).await?;
        let mut at = self.sequence;
        while at < to {
            for delivery in reader.batch(BATCH).await? {
                at = delivery.sequence();
                if let Delivery::Event(Recorded { sequence, event, .. }) = delivery
                    && at <= to
                {
                    let is_input = self.is_input(&event);
                    recorder.take(sequence, event, is_input);
                }
            }
        }
        Ok(recorder.finish())
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
        while self.input(&mut inputs, self.read, Stage::Orders)? {
            self.orders().await?;
        }
        self.strategies.start_all(&mut self.market).await?;
        for recorded in self.market.between(self.read, recording.market).await? {
            self.instants.push(recorded);
        }
        let (first, last) = (self.read, recording.market);
        (self.read, self.before) = (last, first);
        while let Some(instant) = self.instants.next_complete() {
            let through = instant.last_sequence();
            self.instant(instant, &mut inputs, recording).await?;
            let done = through.saturating_sub(first) as f64 / last.saturating_sub(first).max(1) as f64;
            ReplayError::unless(watch(done.min(1.0)))?;
            self.market.forget(self.strategies.market_sequence().min(self.decisions.market_sequence()));
        }
        let unmet = recording.unmet.iter().filter(|event| chain_key(event).is_some());
        self.events.extend(unmet.cloned());
        Ok(std::mem::take(&mut self.events))
    }

    async fn instant(
        &mut self,
        instant: Instant,
        inputs: &mut VecDeque<Input>,
        recording: &Recording,
    ) -> Result<(), ReplayError> {
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
        self.decide(through, inputs, recording).await?;
        while self.input(inputs, through, Stage::Decisions)? {
            self.decide(through, inputs, recording).await?;
        }
        self.orders().await?;
        while self.input(inputs, through, Stage::Orders)? {
            self.decide(through, inputs, recording).await?;
            self.orders().await?;
        }
        self.before = through;
        Ok(())
    }

    /// Decides what is pending, but for signals whose recorded decision had read an input that is still to be met in
    /// the instants through a MARKET sequence. What execution had done in the instant when a signal was decided comes first.
    async fn decide(
        &mut self,
        through: u64,
        inputs: &VecDeque<Input>,
        recording: &Recording,
    ) -> Result<(), ReplayError> {
        for signal in in_order(self.follower.book(), &recording.read) {
            let ahead = inputs.iter().take_while(|input| input.market <= through);
            let first = ahead.map(|input| input.sequence).min();
            let read = recording.read.get(&signal.id);
            if read.zip(first).is_some_and(|(read, first)| first <= *read) {
                continue;
            }
            let instant = self.before + 1..=through;
            if let Some(act) = read.and_then(|read| recording.last_act(instant, *read))
                && act > self.acted
            {
                self.acted = act;
                self.orders().await?;
            }
            if let Some(decision) = self.decisions.missing(&signal, self.follower.book()) {
                self.add(decision)?;
            }
        }
        Ok(())
    }

    /// Does what orders want by now.
    async fn orders(&mut self) -> Result<(), ReplayError> {
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
        while self.input(inputs, through, stage)? {}
        Ok(())
    }

    /// Takes the next one of them; answers whether there was one.
    fn input(
        &mut self,
        inputs: &mut VecDeque<Input>,
        through: u64,
        stage: Stage,
    ) -> Result<bool, ReplayError> {
        let due = |input: &mut Input| input.market <= through && input.after <= stage;
        let Some(Input { event, .. }) = inputs.pop_front_if(due) else { return Ok(false) };
        // It stands on both sides, so that what is compared is what was decided.
        if self.fold(event.clone())? && chain_key(&event).is_some() {
            self.events.push(event);
        }
        Ok(true)
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
        let named = event.body.as_ref().and_then(order_of);
        let order = named.and_then(|id| self.follower.book().order(id)).map(|order| order.spec.clone());
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
            Some(Body::OrderReplaceRequested(request)) => request.actor != execution::SERVICE,
            // Execution's own follow from the marks; the monitor's and an operator's are inputs.
            Some(Body::BreakerTripped(_) | Body::BreakerReset(_)) => event.source != execution::SERVICE,
            Some(Body::AccountEntry(entry)) => match entry.kind() {
                EntryKind::Deposit | EntryKind::Fee | EntryKind::Interest => true,
                // Execution pays those of the market; what a broker outside says of them is its own.
                EntryKind::Dividend => !entry.actor.is_empty(),
                _ => false,
            },
            Some(
                Body::AccountConfigured(_)
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

/// Signals without a decision, as risk takes them: by round, each of which had `read` TRADING as far as its decisions say, and
/// those of one by time, strategy, symbols of the legs, sequence. One that was never decided is of the first round.
fn in_order(book: &Book, read: &HashMap<String, u64>) -> Vec<Event> {
    let mut pending: Vec<_> = book.pending_signals().collect();
    let first = pending.iter().filter_map(|pending| read.get(&pending.event.id)).min().copied();
    pending.sort_by_cached_key(|pending| {
        let round = read.get(&pending.event.id).copied().or(first);
        let time_ns = pending.event.event_time.as_ref().and_then(from_timestamp).unwrap_or_default();
        let (strategy, symbols) = match &pending.event.body {
            Some(Body::Signal(signal)) => {
                let symbols: Vec<String> = signal.legs.iter().map(|leg| leg.symbol.clone()).collect();
                (signal.strategy.clone(), symbols)
            }
            _ => (String::new(), Vec::new()),
        };
        (round, time_ns, strategy, symbols, pending.sequence)
    });
    pending.into_iter().map(|pending| pending.event.clone()).collect()
}
