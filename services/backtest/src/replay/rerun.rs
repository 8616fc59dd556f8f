//! A stretch of the tape run again: the state at its beginning, the same market and the same inputs, and everything
//! else decided anew, each decision standing on the ones before it and not on what was recorded.
//!
//! What differs from [`super::replay`]: there each recorded event is held against what follows from the recorded
//! past; here nothing recorded is looked at after the beginning but the inputs. Without changes both come to the
//! same events; with changes (another parameter, another limit) the stretch goes its own way.
//!
//! An input is met after the marks of the instant in which, or after which, it was recorded. Deliberately absent:
//! comparing (`super::comparison`), printing.

use std::collections::VecDeque;

use contracts::v1::event::Body;
use contracts::v1::{EntryKind, Event};
use contracts::{Subject, from_timestamp, stream};
use domain::book::Book;
use event_log::{Append, Delivery, Recorded, Tape};
use execution::Follower;
use runtime::{Instant, Instants};

use super::decisions::Decisions;
use super::market::Market;
use super::strategies::Strategies;
use super::{BATCH, Options, Replay, ReplayError, Watch, basis_of};

/// Most events that one instant may make; more would be a loop.
const INSTANT_MAX: usize = 100_000;

/// A recorded stretch of TRADING.
#[derive(Debug, Default)]
pub struct Recording {
    /// Everything in it.
    pub events: Vec<Event>,
    /// What of it was taken as it is, with the MARKET sequence after whose instant it came.
    inputs: VecDeque<(u64, Event)>,
    /// Last MARKET sequence of its last instant.
    market: u64,
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
        while at < to {
            for delivery in reader.batch(BATCH).await? {
                at = delivery.sequence();
                if let Delivery::Event(Recorded { event, .. }) = delivery
                    && at <= to
                {
                    if matches!(event.body, Some(Body::AccountMarked(_))) {
                        recording.market = recording.market.max(basis_of(&event, stream::MARKET));
                    }
                    if self.is_input(&event) {
                        recording.inputs.push_back((recording.market, event.clone()));
                    }
                    recording.events.push(event);
                }
            }
        }
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
        self.inputs(&mut inputs, self.read)?;
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
        Ok(std::mem::take(&mut self.events))
    }

    async fn instant(
        &mut self,
        instant: Instant,
        inputs: &mut VecDeque<(u64, Event)>,
    ) -> Result<(), ReplayError> {
        let through = instant.last_sequence();
        self.follower.begin(instant);
        for _ in 0..INSTANT_MAX {
            let Some(owed) = self.follower.missing().map_err(ReplayError::broker)? else { break };
            self.append(owed)?;
        }
        self.inputs(inputs, through)?;
        self.strategies.start_all(&mut self.market).await?;
        for signal in self.strategies.signals(through, &mut self.market).await? {
            self.add(signal)?;
        }
        self.decisions.read(through, &mut self.market).await?;
        for signal in in_order(self.follower.book()) {
            if let Some(decision) = self.decisions.missing(&signal, self.follower.book()) {
                self.add(decision)?;
            }
        }
        for _ in 0..INSTANT_MAX {
            let next = self.follower.next_for_orders().await.map_err(ReplayError::broker)?;
            let Some(next) = next else { break };
            self.append(next)?;
        }
        Ok(())
    }

    /// Takes the inputs recorded in or after instants through a MARKET sequence.
    fn inputs(&mut self, inputs: &mut VecDeque<(u64, Event)>, through: u64) -> Result<(), ReplayError> {
        while let Some((_, input)) = inputs.pop_front_if(|(market, _)| *market <= through) {
            self.fold(input)?;
        }
        Ok(())
    }

    fn append(&mut self, append: Append) -> Result<(), ReplayError> {
        self.add(append.event)
    }

    /// Adds an event of its own.
    fn add(&mut self, event: Event) -> Result<(), ReplayError> {
        self.events.push(event.clone());
        self.fold(event)
    }

    fn fold(&mut self, event: Event) -> Result<(), ReplayError> {
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
            return Ok(());
        }
        self.decisions.note(&recorded);
        Ok(())
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
