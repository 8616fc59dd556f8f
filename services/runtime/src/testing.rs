//! A tape on which a process dies: for tests that kill a service at every effect it has.
//!
//! [`MortalLog`] passes everything on until its `life` is used up. An effect is an event stored, a message
//! acknowledged or a hint sent. From then on nothing answers any more, as for a process that is gone; the
//! test sees [`MortalLog::died`], drops the service's future and starts it again on the same tape.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use event_log::{
    Acks, Append, AppendError, Appended, Consumer, Delivery, DurableState, EventLog, Hints, LogError, Reader,
    Recorded, Stored, StreamState, Subjects, Tape,
};
use tokio_util::sync::CancellationToken;

/// On which side of its last effect a process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// The effect did not happen.
    Before,
    /// The effect happened, and nobody was told.
    After,
}

/// Runs a service that dies at its `life`-th effect and is then started again on the same tape, until it
/// ends. Answers whether it died at all.
pub async fn killed_once<E, Running>(
    tape: Tape,
    life: i64,
    death: Death,
    run: impl Fn(Tape) -> Running,
) -> Result<bool, E>
where
    Running: Future<Output = Result<(), E>>,
{
    let mortal = MortalLog::new(Arc::clone(&tape), life, death);
    let died = mortal.died();
    tokio::select! {
        () = died.cancelled() => {}
        ended = run(Arc::new(mortal)) => return ended.map(|()| died.is_cancelled()),
    }
    run(tape).await?;
    Ok(true)
}

/// Kills at the first effect, then at the second, and so on, before it and after it, until a life outlasts the
/// script, and holds what came of each life against `expected`. `play` is told life, death and a number that
/// varies; it answers the facts and whether the service died.
///
/// # Panics
///
/// When the facts differ, or when the script has fewer than `least` effects.
pub async fn at_every_effect<Fact: PartialEq + std::fmt::Debug>(
    expected: &[Fact],
    least: i64,
    play: impl AsyncFn(i64, Death, usize) -> (Vec<Fact>, bool),
) {
    for (turn, death) in [Death::Before, Death::After].into_iter().enumerate() {
        for (life, round) in (1i64..).zip(turn..) {
            let (got, died) = play(life, death, round).await;
            let place = format!("killed {death:?} effect {life}, round {round}");
            for (got, expected) in got.iter().zip(expected) {
                assert_eq!(got, expected, "{place}");
            }
            assert_eq!(got.len(), expected.len(), "{place}");
            if !died {
                assert!(life > least, "the script has too few effects to be worth killing at: {life}");
                break;
            }
        }
    }
}

#[derive(Clone, Debug)]
struct Life {
    left: Arc<AtomicI64>,
    death: Death,
    died: CancellationToken,
}

impl Life {
    /// Runs an effect, or dies at it.
    async fn effect<Answer>(&self, effect: impl Future<Output = Answer>) -> Answer {
        let left = self.left.fetch_sub(1, Ordering::SeqCst) - 1;
        if left < 0 || (left == 0 && self.death == Death::Before) {
            return self.die().await;
        }
        let answer = effect.await;
        if left == 0 { self.die().await } else { answer }
    }

    /// Runs a question; the dead ask nothing.
    async fn question<Answer>(&self, question: impl Future<Output = Answer>) -> Answer {
        if self.died.is_cancelled() {
            return std::future::pending().await;
        }
        question.await
    }

    async fn die<Answer>(&self) -> Answer {
        self.died.cancel();
        std::future::pending().await
    }
}

/// A tape that lasts for so many effects.
#[derive(Debug)]
pub struct MortalLog {
    inner: Tape,
    life: Life,
}

impl MortalLog {
    /// Wraps `inner`; the process dies at its `life`-th effect, counted from 1.
    #[must_use]
    pub fn new(inner: Tape, life: i64, death: Death) -> Self {
        let left = Arc::new(AtomicI64::new(life));
        Self { inner, life: Life { left, death, died: CancellationToken::new() } }
    }

    /// Cancelled when the process is dead.
    #[must_use]
    pub fn died(&self) -> CancellationToken {
        self.life.died.clone()
    }
}

#[async_trait]
impl EventLog for MortalLog {
    async fn append(&self, entry: Append) -> Result<Appended, AppendError> {
        self.life.effect(self.inner.append(entry)).await
    }

    async fn append_batch(&self, entries: Vec<Append>) -> Result<Vec<Appended>, AppendError> {
        self.life.effect(self.inner.append_batch(entries)).await
    }

    async fn append_pipelined(&self, entries: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        let mut outcomes = Vec::with_capacity(entries.len());
        for entry in entries {
            outcomes.push(self.append(entry).await);
        }
        outcomes
    }

    async fn last(&self, stream: &str, filter: &str) -> Result<Option<Recorded>, LogError> {
        self.life.question(self.inner.last(stream, filter)).await
    }

    async fn last_sequence(&self, stream: &str, filter: &str) -> Result<u64, LogError> {
        self.life.question(self.inner.last_sequence(stream, filter)).await
    }

    async fn get(&self, stream: &str, sequence: u64) -> Result<Option<Recorded>, LogError> {
        self.life.question(self.inner.get(stream, sequence)).await
    }

    async fn stored_from(
        &self,
        stream: &str,
        filter: &str,
        from_sequence: u64,
        max: usize,
    ) -> Result<Vec<Stored>, LogError> {
        self.life.question(self.inner.stored_from(stream, filter, from_sequence, max)).await
    }

    async fn stored_before(
        &self,
        stream: &str,
        filter: &str,
        before: u64,
        max: usize,
    ) -> Result<Vec<Stored>, LogError> {
        self.life.question(self.inner.stored_before(stream, filter, before, max)).await
    }

    async fn subjects(&self, stream: &str, filter: &str) -> Result<Subjects, LogError> {
        self.life.question(self.inner.subjects(stream, filter)).await
    }

    async fn state(&self, stream: &str) -> Result<StreamState, LogError> {
        self.life.question(self.inner.state(stream)).await
    }

    async fn read(
        &self,
        stream: &str,
        filters: &[String],
        from_sequence: u64,
    ) -> Result<Box<dyn Reader>, LogError> {
        self.life.question(self.inner.read(stream, filters, from_sequence)).await
    }

    async fn consume(&self, stream: &str, durable: &str) -> Result<Box<dyn Consumer>, LogError> {
        let inner = self.life.question(self.inner.consume(stream, durable)).await?;
        Ok(Box::new(MortalConsumer { inner, life: self.life.clone() }))
    }

    async fn ack_floor(&self, stream: &str, durable: &str) -> Result<u64, LogError> {
        self.life.question(self.inner.ack_floor(stream, durable)).await
    }

    async fn durable_state(&self, stream: &str, durable: &str) -> Result<Option<DurableState>, LogError> {
        self.life.question(self.inner.durable_state(stream, durable)).await
    }

    async fn acks(&self, stream: &str) -> Result<Box<dyn Acks>, LogError> {
        self.life.question(self.inner.acks(stream)).await
    }

    async fn hint(&self, subject: &str, payload: Vec<u8>) -> Result<(), LogError> {
        self.life.effect(self.inner.hint(subject, payload)).await
    }

    async fn hints(&self, filter: &str) -> Result<Box<dyn Hints>, LogError> {
        self.life.question(self.inner.hints(filter)).await
    }
}

struct MortalConsumer {
    inner: Box<dyn Consumer>,
    life: Life,
}

#[async_trait]
impl Consumer for MortalConsumer {
    async fn batch(&mut self, max: usize) -> Result<Vec<Delivery>, LogError> {
        self.life.question(self.inner.batch(max)).await
    }

    async fn ack(&mut self, sequence: u64) -> Result<(), LogError> {
        self.life.effect(self.inner.ack(sequence)).await
    }

    async fn ack_through(&mut self, sequence: u64) -> Result<(), LogError> {
        self.life.effect(self.inner.ack_through(sequence)).await
    }
}
