//! Atomic batches: up to 1,000 events that take effect together or not at all.
//!
//! All messages but the last are sent without a reply subject; the server keeps them aside and judges the
//! whole batch when the last one commits it, so that a batch costs one round trip and one sync.
//!
//! One batch is sent at a time, and the next as soon as it is sent, not when it is answered: the server then takes in one
//! batch while it stores another.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use async_nats::HeaderValue;
use contracts::stream::TRADING;
use futures::future::try_join_all;
use tokio::sync::MutexGuard;

use super::append::{Failure, PublishAck, acknowledged, headers, pause, tag};
use super::lane::Lane;
use super::{JetStreamLog, TIMEOUT};
use crate::wire::Encoded;
use crate::{AppendError, Appended, LogError, Tape, events_under};

/// Most times that one batch is sent.
const ATTEMPTS: u32 = 5;
/// Most events by which a stored batch is looked for.
const ANCHORS: usize = 16;
/// Most lookups under way at a time.
const LOOKUPS: usize = 64;

impl JetStreamLog {
    /// `turn` is that of the first attempt.
    pub(super) async fn append_batch_encoded(
        &self,
        batch: &[Encoded],
        turn: MutexGuard<'_, ()>,
    ) -> Result<Vec<Appended>, AppendError> {
        if let [only] = batch {
            drop(turn);
            return Ok(vec![self.append_encoded(only).await?]);
        }
        let mut attempt = 1;
        let mut first = Some(turn);
        let mut renamed = None;
        let mut unanswered = false;
        loop {
            let turn = match first.take() {
                Some(turn) => turn,
                None => self.inner.turn.lock().await,
            };
            let outcome = self.publish_batch(batch, turn, renamed.as_deref()).await;
            match outcome {
                Ok(ack) => return Ok(spread(batch.len(), ack.seq)),
                Err(Failure::Refused(reason)) => return Err(AppendError::Refused(reason)),
                // The events of a batch are never linked.
                Err(failure @ (Failure::Occupied | Failure::Detached | Failure::Taken)) => {
                    match self.batch_occupied(batch).await {
                        Ok(Some(outcome)) => return outcome,
                        Ok(None) if attempt >= ATTEMPTS => return Err(self.conflict(&batch[0]).await),
                        Err(error) if attempt >= ATTEMPTS => return Err(error.into()),
                        // While an answer is missing, the id may be known by an attempt that takes effect yet.
                        Ok(None) if matches!(failure, Failure::Taken) && !unanswered => {
                            if batch[0].stream == TRADING
                                && self.stands_nowhere(batch).await.unwrap_or_default()
                            {
                                renamed = renamed.or_else(|| Some(tag()));
                            }
                        }
                        Ok(None) | Err(_) => {}
                    }
                }
                Err(Failure::Unavailable(error)) if attempt >= ATTEMPTS => return Err(error.into()),
                Err(Failure::Unavailable(error)) => {
                    unanswered = true;
                    tracing::debug!(size = batch.len(), attempt, %error, "batch is sent again");
                }
            }
            pause(attempt).await;
            attempt += 1;
        }
    }

    /// Sends the batch and waits for its answer, which others need not wait for with what they send.
    async fn publish_batch(
        &self,
        batch: &[Encoded],
        turn: MutexGuard<'_, ()>,
        tag: Option<&str>,
    ) -> Result<PublishAck, Failure> {
        let unavailable = |problem| Failure::Unavailable(LogError::new("publish batch", problem));
        // All of it within bounds, for others wait for their turn: the queue of a lost connection may be full.
        let sent = async {
            let lane = self.inner.lanes.take(self.client()).await.map_err(Failure::Unavailable)?;
            self.send_batch(batch, &lane, tag).await.map(|()| lane)
        };
        let sent = tokio::time::timeout(TIMEOUT, sent).await;
        drop(turn);
        let mut lane = sent.unwrap_or_else(|_| Err(unavailable("not sent in time")))?;
        let Some((_, answer)) = lane.next().await else { return Err(unavailable("no answer in time")) };
        self.inner.lanes.put_back(lane);
        acknowledged("publish batch", &answer)
    }

    /// Sends the batch under a fresh batch id: what is left of an earlier attempt is never completed. Only the last
    /// message is answered. With a `tag` the server knows them by other names than their ids.
    async fn send_batch(&self, batch: &[Encoded], lane: &Lane, tag: Option<&str>) -> Result<(), Failure> {
        let inbox = self.client().new_inbox();
        let batch_id = inbox.rsplit('.').next().unwrap_or(&inbox);
        for (entry, number) in batch.iter().zip(1..) {
            let mut headers = headers(entry, tag);
            headers.insert(async_nats::header::NATS_BATCH_ID, batch_id);
            headers.insert(async_nats::header::NATS_BATCH_SEQUENCE, HeaderValue::from(number));
            let (subject, payload) = (entry.subject.as_str().to_owned(), entry.payload.clone());
            let sent = if number < batch.len() {
                self.client().publish_with_headers(subject, headers, payload).await
            } else {
                let commit = async_nats::header::NATS_BATCH_COMMIT_FINAL;
                headers.insert(async_nats::header::NATS_BATCH_COMMIT, commit);
                let reply = lane.reply(number);
                self.client().publish_with_reply_and_headers(subject, reply, headers, payload).await
            };
            sent.map_err(|error| Failure::Unavailable(LogError::new("publish batch", error)))?;
        }
        Ok(())
    }

    /// Whether the batch, or another event, stands where it should go. `None`: neither, send it again.
    async fn batch_occupied(
        &self,
        batch: &[Encoded],
    ) -> Result<Option<Result<Vec<Appended>, AppendError>>, LogError> {
        let stored = |sequence| Appended { sequence, duplicate: true };
        if let Some(first) = self.batch_start(batch).await? {
            return Ok(Some(Ok((first..).take(batch.len()).map(stored).collect())));
        }
        let mut found = Vec::with_capacity(batch.len());
        for entry in batch {
            let Some(sequence) = self.locate(entry).await? else { break };
            found.push(stored(sequence));
        }
        if found.len() == batch.len() {
            return Ok(Some(Ok(found)));
        }
        for entry in batch {
            let Some((filter, expected)) = entry.expected() else { continue };
            let last = self.identity_of_last(entry.stream, filter).await?;
            if last.map_or(0, |(sequence, _)| sequence) != expected {
                return Ok(Some(Err(self.conflict(entry).await)));
            }
        }
        for entry in batch {
            if let Some(sequence) = self.locate(entry).await? {
                let actual = self.at(entry.stream, sequence).await?.map(Box::new);
                let (filter, last) = (entry.subject.as_str().to_owned(), sequence);
                return Ok(Some(Err(AppendError::Conflict { filter, expected: 0, last, actual })));
            }
        }
        Ok(None)
    }

    /// Whether no event of the batch stands under its subject, however long ago it came: then their ids are known by messages
    /// of somebody else.
    async fn stands_nowhere(&self, batch: &[Encoded]) -> Result<bool, LogError> {
        let subjects: BTreeSet<&str> = batch.iter().map(|entry| entry.subject.as_str()).collect();
        let subjects: Vec<String> = subjects.into_iter().map(str::to_owned).collect();
        let tape: Tape = Arc::new(self.clone());
        let there = events_under(&tape, batch[0].stream, &subjects, 1..=u64::MAX).await?;
        let ids: HashSet<&str> = batch.iter().map(|entry| entry.id.as_str()).collect();
        Ok(!there.iter().any(|recorded| ids.contains(recorded.event.id.as_str())))
    }

    /// Where the batch stands as a whole. It is stored without a gap, so one event of it that is found
    /// tells where all the others must be.
    async fn batch_start(&self, batch: &[Encoded]) -> Result<Option<u64>, LogError> {
        // The last event of each subject is found most easily, and one with an expectation always.
        let mut subjects = HashSet::new();
        let anchors = batch.iter().enumerate().rev();
        let anchors = anchors
            .filter(|(_, entry)| subjects.insert(entry.subject.as_str()) || entry.expected().is_some());
        for (index, entry) in anchors.take(ANCHORS) {
            let Some(sequence) = self.locate(entry).await? else { continue };
            let Some(first) = sequence.checked_sub(index as u64).filter(|first| *first > 0) else { continue };
            if self.stands_at(batch, first).await? {
                return Ok(Some(first));
            }
        }
        Ok(None)
    }

    /// Whether the events of the batch stand one after the other from `first` on.
    async fn stands_at(&self, batch: &[Encoded], first: u64) -> Result<bool, LogError> {
        let mut sequence = first;
        for chunk in batch.chunks(LOOKUPS) {
            let mut lookups = Vec::with_capacity(chunk.len());
            for entry in chunk {
                lookups.push(self.inner.main.identity_at(entry.stream, sequence));
                sequence += 1;
            }
            for (entry, found) in chunk.iter().zip(try_join_all(lookups).await?) {
                if found.is_none_or(|(_, id)| id.as_deref() != Some(entry.id.as_str())) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Where an entry's event stands: behind the sequence it expects, or last under its subject.
    pub(super) async fn locate(&self, entry: &Encoded) -> Result<Option<u64>, LogError> {
        let ours = |found: Option<(u64, Option<String>)>| {
            found.filter(|(_, id)| id.as_deref() == Some(entry.id.as_str())).map(|(sequence, _)| sequence)
        };
        if let Some((filter, expected)) = entry.expected()
            && let Some(sequence) = ours(self.first_behind(entry.stream, filter, expected).await?)
        {
            return Ok(Some(sequence));
        }
        Ok(ours(self.identity_of_last(entry.stream, entry.subject.as_str()).await?))
    }
}

/// A batch is stored without a gap and acknowledged with the sequence of its last event.
fn spread(size: usize, last: u64) -> Vec<Appended> {
    let first = (last + 1).saturating_sub(size as u64);
    (first..=last).map(|sequence| Appended { sequence, duplicate: false }).collect()
}
