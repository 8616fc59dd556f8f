//! The faulty tape: what a service sees of the tape in memory.
//!
//! What JetStream promises holds: a reader gets every message once and in order, an event that is stored stays.
//! What it does not promise goes wrong: answers are lost, requests arrive twice or not at all, readers are
//! late, the disk is full. Every call lets others go first before and after its effect, so that a process can
//! die on either side of it.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use contracts::stream_of;
use domain::invariant::Acknowledged;
use event_log::{
    Acks, Append, AppendError, Appended, Consumer, Delivery, DurableState, EventLog, Expect, Hints, LogError,
    MemoryLog, Reader, Recorded, Stored, StreamState, Subjects,
};
use planted::Bug;
use runtime::clock;
use tokio::time::Instant;

use crate::executor::yield_now;
use crate::fate::{Fate, Fault};

/// The tape and what is wrong with it, shared by everybody.
#[derive(Clone)]
pub struct Tapes {
    /// The truth.
    pub log: MemoryLog,
    /// What goes wrong.
    pub fate: Fate,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    full_until: Option<Instant>,
    stalled_until: Option<Instant>,
    /// Events of TRADING of which a writer was told that they are stored.
    acknowledged: Vec<Acknowledged>,
}

impl Tapes {
    /// A faulty tape over `log`.
    pub fn new(log: MemoryLog, fate: Fate) -> Self {
        Self { log, fate, state: Arc::default() }
    }

    /// The tape as `whom` sees it.
    pub fn of(&self, whom: &str) -> Arc<FaultyLog> {
        Arc::new(FaultyLog { tapes: self.clone(), whom: whom.to_owned() })
    }

    /// What writers were told of TRADING so far.
    pub fn acknowledged(&self) -> Vec<Acknowledged> {
        self.with(|state| state.acknowledged.clone())
    }

    /// What writers were told of TRADING behind the first `from` that they were told.
    pub fn acknowledged_from(&self, from: usize) -> Vec<Acknowledged> {
        self.with(|state| state.acknowledged.get(from..).unwrap_or_default().to_vec())
    }

    fn with<Answer>(&self, change: impl FnOnce(&mut State) -> Answer) -> Answer {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The tape as one process sees it.
pub struct FaultyLog {
    tapes: Tapes,
    whom: String,
}

fn unavailable(doing: &str, why: &'static str) -> LogError {
    LogError::new(doing.to_owned(), why)
}

impl FaultyLog {
    fn strikes(&self, fault: Fault) -> bool {
        self.tapes.fate.strikes(fault, &self.whom)
    }

    /// What happens before anything reaches the server.
    async fn before(&self) {
        yield_now().await;
        let fate = &self.tapes.fate;
        if self.strikes(Fault::TapeStall) {
            let until = clock::now() + fate.while_ms(4_000);
            self.tapes.with(|state| state.stalled_until = Some(until));
        }
        if let Some(until) = self.tapes.with(|state| state.stalled_until) {
            clock::sleep_until(until).await;
        }
        if !fate.is_healed() && fate.below(4) == 0 {
            clock::sleep(fate.while_ms(3)).await;
        }
    }

    fn is_full(&self) -> bool {
        if self.strikes(Fault::DiskFull) {
            let until = clock::now() + self.tapes.fate.while_ms(5_000);
            self.tapes.with(|state| state.full_until = Some(until));
        }
        self.tapes.with(|state| state.full_until).is_some_and(|until| clock::now() < until)
    }

    async fn ask(&self, doing: &str) -> Result<(), LogError> {
        self.before().await;
        if self.strikes(Fault::QueryFailed) {
            return Err(unavailable(doing, "no answer in time"));
        }
        Ok(())
    }

    /// One append at the server; its answer may still be lost.
    async fn store(&self, entry: Append) -> Result<Appended, AppendError> {
        if self.is_full() {
            return Err(unavailable("append", "no space left on device").into());
        }
        let (subject, id) = (entry.subject.as_str().to_owned(), entry.event.id.clone());
        if planted::is(Bug::DedupeOff) && entry.expect == Expect::Nothing {
            let payload = contracts::encode(&entry.event);
            let sequence = self.tapes.log.publish_raw(&subject, &payload, None).unwrap_or_default();
            return Ok(Appended { sequence, duplicate: false });
        }
        let outcome = self.tapes.log.append(entry).await;
        if let Ok(stored) = &outcome {
            let sequence = stored.sequence;
            self.tapes.fate.note(|| format!("{} {subject} {sequence} {id}", self.whom));
        }
        outcome
    }

    fn told(&self, subject: &str, id: &str, sequence: u64) {
        if stream_of(subject) == Some(contracts::stream::TRADING) {
            let id = id.to_owned();
            self.tapes.with(|state| state.acknowledged.push(Acknowledged { sequence, id }));
        }
    }
}

#[async_trait]
impl EventLog for FaultyLog {
    async fn append(&self, entry: Append) -> Result<Appended, AppendError> {
        self.before().await;
        if self.strikes(Fault::AppendRefused) {
            return Err(unavailable("append", "no answer in time").into());
        }
        if self.strikes(Fault::AppendTwice) {
            let _first = self.store(entry.clone()).await;
        }
        let (subject, id) = (entry.subject.as_str().to_owned(), entry.event.id.clone());
        let outcome = self.store(entry).await;
        yield_now().await;
        if self.strikes(Fault::AckLost) {
            return Err(unavailable("append", "no answer in time").into());
        }
        if let Ok(stored) = &outcome {
            self.told(&subject, &id, stored.sequence);
        }
        outcome
    }

    async fn append_batch(&self, entries: Vec<Append>) -> Result<Vec<Appended>, AppendError> {
        self.before().await;
        if self.strikes(Fault::AppendRefused) || self.is_full() {
            return Err(unavailable("append a batch", "no answer in time").into());
        }
        if self.strikes(Fault::AppendTwice) {
            let _first = self.tapes.log.append_batch(entries.clone()).await;
        }
        let names: Vec<_> =
            entries.iter().map(|entry| (entry.subject.as_str().to_owned(), entry.event.id.clone())).collect();
        let outcome = self.tapes.log.append_batch(entries).await;
        if let Ok(stored) = &outcome {
            for ((subject, id), stored) in names.iter().zip(stored) {
                let sequence = stored.sequence;
                self.tapes.fate.note(|| format!("{} {subject} {sequence} {id}", self.whom));
            }
        }
        yield_now().await;
        if self.strikes(Fault::AckLost) {
            return Err(unavailable("append a batch", "no answer in time").into());
        }
        if let Ok(stored) = &outcome {
            for ((subject, id), stored) in names.iter().zip(stored) {
                self.told(subject, id, stored.sequence);
            }
        }
        outcome
    }

    async fn append_pipelined(&self, entries: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        self.before().await;
        // What is behind a cut may come again on a new connection: the hole can be anywhere.
        let below = |most: usize| usize::try_from(self.tapes.fate.below(most as u64)).unwrap_or(0);
        let lost = match self.strikes(Fault::PipelineCut) {
            true => {
                let from = below(entries.len());
                from..from + 1 + below(entries.len() - from)
            }
            false => 0..0,
        };
        let mut outcomes = Vec::with_capacity(entries.len());
        for (place, entry) in entries.into_iter().enumerate() {
            let (subject, id) = (entry.subject.as_str().to_owned(), entry.event.id.clone());
            if lost.contains(&place) {
                outcomes.push(Err(unavailable("append", "the connection was lost").into()));
                continue;
            }
            let outcome = self.store(entry).await;
            if self.strikes(Fault::AckLost) {
                outcomes.push(Err(unavailable("append", "no answer in time").into()));
                continue;
            }
            if let Ok(stored) = &outcome {
                self.told(&subject, &id, stored.sequence);
            }
            outcomes.push(outcome);
        }
        yield_now().await;
        outcomes
    }

    async fn last(&self, stream: &str, filter: &str) -> Result<Option<Recorded>, LogError> {
        self.ask("last").await?;
        self.tapes.log.last(stream, filter).await
    }

    async fn last_sequence(&self, stream: &str, filter: &str) -> Result<u64, LogError> {
        self.ask("last").await?;
        self.tapes.log.last_sequence(stream, filter).await
    }

    async fn get(&self, stream: &str, sequence: u64) -> Result<Option<Recorded>, LogError> {
        self.ask("get").await?;
        self.tapes.log.get(stream, sequence).await
    }

    async fn stored_from(
        &self,
        stream: &str,
        filter: &str,
        from_sequence: u64,
        max: usize,
    ) -> Result<Vec<Stored>, LogError> {
        self.ask("browse").await?;
        self.tapes.log.stored_from(stream, filter, from_sequence, max).await
    }

    async fn stored_before(
        &self,
        stream: &str,
        filter: &str,
        before: u64,
        max: usize,
    ) -> Result<Vec<Stored>, LogError> {
        self.ask("browse").await?;
        self.tapes.log.stored_before(stream, filter, before, max).await
    }

    async fn subjects(&self, stream: &str, filter: &str) -> Result<Subjects, LogError> {
        self.ask("subjects").await?;
        self.tapes.log.subjects(stream, filter).await
    }

    async fn state(&self, stream: &str) -> Result<StreamState, LogError> {
        self.ask("state").await?;
        self.tapes.log.state(stream).await
    }

    async fn read(
        &self,
        stream: &str,
        filters: &[String],
        from_sequence: u64,
    ) -> Result<Box<dyn Reader>, LogError> {
        self.ask("read").await?;
        let inner = self.tapes.log.read(stream, filters, from_sequence).await?;
        Ok(Box::new(FaultyReader { inner, pace: self.pace() }))
    }

    async fn consume(&self, stream: &str, durable: &str) -> Result<Box<dyn Consumer>, LogError> {
        self.ask("consume").await?;
        let inner = self.tapes.log.consume(stream, durable).await?;
        Ok(Box::new(FaultyConsumer { inner, pace: self.pace() }))
    }

    async fn ack_floor(&self, stream: &str, durable: &str) -> Result<u64, LogError> {
        self.ask("ack floor").await?;
        self.tapes.log.ack_floor(stream, durable).await
    }

    async fn durable_state(&self, stream: &str, durable: &str) -> Result<Option<DurableState>, LogError> {
        self.ask("consumer").await?;
        self.tapes.log.durable_state(stream, durable).await
    }

    async fn acks(&self, stream: &str) -> Result<Box<dyn Acks>, LogError> {
        self.ask("acks").await?;
        self.tapes.log.acks(stream).await
    }

    async fn hint(&self, subject: &str, payload: Vec<u8>) -> Result<(), LogError> {
        self.before().await;
        if self.strikes(Fault::HintLost) {
            return Ok(());
        }
        self.tapes.log.hint(subject, payload).await
    }

    async fn hints(&self, filter: &str) -> Result<Box<dyn Hints>, LogError> {
        self.ask("hints").await?;
        self.tapes.log.hints(filter).await
    }
}

impl FaultyLog {
    fn pace(&self) -> Pace {
        Pace { fate: self.tapes.fate.clone(), whom: self.whom.clone(), until: None }
    }
}

/// How fast one reader is served.
struct Pace {
    fate: Fate,
    whom: String,
    /// Nothing is delivered before; it survives a wait that was given up.
    until: Option<Instant>,
}

impl Pace {
    /// Waits where deliveries are late, and says how many there are at most.
    async fn wait(&mut self, max: usize) -> Result<usize, LogError> {
        if self.until.is_none() && self.fate.strikes(Fault::DeliveryDelayed, &self.whom) {
            self.until = Some(clock::now() + self.fate.while_ms(1_500));
        }
        if let Some(until) = self.until {
            clock::sleep_until(until).await;
            self.until = None;
        }
        if self.fate.strikes(Fault::ReadBroken, &self.whom) {
            return Err(unavailable("read", "the connection was lost"));
        }
        let few = !self.fate.is_healed() && self.fate.below(3) == 0;
        Ok(if few { usize::try_from(1 + self.fate.below(3)).unwrap_or(1).min(max) } else { max })
    }
}

struct FaultyReader {
    inner: Box<dyn Reader>,
    pace: Pace,
}

#[async_trait]
impl Reader for FaultyReader {
    async fn batch(&mut self, max: usize) -> Result<Vec<Delivery>, LogError> {
        let max = self.pace.wait(max).await?;
        self.inner.batch(max).await
    }
}

struct FaultyConsumer {
    inner: Box<dyn Consumer>,
    pace: Pace,
}

#[async_trait]
impl Consumer for FaultyConsumer {
    async fn batch(&mut self, max: usize) -> Result<Vec<Delivery>, LogError> {
        let max = self.pace.wait(max).await?;
        self.inner.batch(max).await
    }

    async fn ack(&mut self, sequence: u64) -> Result<(), LogError> {
        yield_now().await;
        self.inner.ack(sequence).await?;
        yield_now().await;
        Ok(())
    }

    async fn ack_through(&mut self, sequence: u64) -> Result<(), LogError> {
        yield_now().await;
        self.inner.ack_through(sequence).await?;
        yield_now().await;
        Ok(())
    }
}
