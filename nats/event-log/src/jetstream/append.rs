//! Appending one event exactly once, and many without waiting for each other.
//!
//! An append is sent until the server has answered or the attempts are used up. That is safe: with an
//! expectation a second copy is refused as stale, without one the server drops it by its id within the
//! dedupe window. A refusal is not yet an answer, because the copy before it may have taken effect; so
//! the event that took the expected place is looked up and compared by id. Nor is it one that the id is
//! known: a strategy may have published a signal under it, and then the event goes under another name.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::Duration;

use async_nats::{HeaderMap, HeaderValue, Message, RequestErrorKind, StatusCode};
use contracts::stream::TRADING;
use serde::Deserialize;

use super::api::{ApiError, ServerError, answer, code};
use super::{JetStreamLog, TIMEOUT};
use crate::observer::TRACEPARENT;
use crate::wire::{self, Encoded};
use crate::{AppendError, Appended, LogError};

/// Most times that one append is sent.
const ATTEMPTS: u32 = 5;
/// Most appends of one call that are unanswered at a time.
const WINDOW: usize = 2_048;

/// Header with the filter of an expectation; async-nats has no constant for it.
const EXPECTED_FILTER: &str = "Nats-Expected-Last-Subject-Sequence-Subject";

/// The server's answer to a publish.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct PublishAck {
    pub seq: u64,
    #[serde(default)]
    pub duplicate: bool,
}

/// Why a publish was not acknowledged, by what to do about it.
#[derive(Debug)]
pub(super) enum Failure {
    /// A message may be in the way, perhaps our own: look.
    Occupied,
    /// The server knows the id of an event of a batch, perhaps of our own earlier copy: look.
    Taken,
    /// The message in front of it is not the one that it was to stand behind.
    Detached,
    /// It can never succeed.
    Refused(String),
    /// No answer, or one that says to try again.
    Unavailable(LogError),
}

impl Failure {
    fn of_server(error: ServerError, doing: &str) -> Self {
        match error.err_code {
            code::WRONG_LAST_SEQUENCE | code::WRONG_LAST_SEQUENCE_IN_FLIGHT => Self::Occupied,
            code::BATCH_HAS_DUPLICATE => Self::Taken,
            code::WRONG_LAST_MESSAGE_ID => Self::Detached,
            code::MESSAGE_TOO_LARGE
            | code::HEADERS_TOO_LARGE
            | code::BATCH_DISABLED
            | code::BATCH_TOO_LARGE => Self::Refused(error.to_string()),
            _ => Self::Unavailable(LogError::new(doing, error)),
        }
    }
}

/// What holds the entries of one call together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Nothing: each is stored or not.
    None,
    /// Each is taken only directly behind the one in front of it. Where something else came between, or that one was
    /// not taken, it is refused, and sent again once that one is stored.
    BehindTheLast,
}

/// Reads the answer to a publish.
pub(super) fn acknowledged(doing: &str, message: &Message) -> Result<PublishAck, Failure> {
    if message.status == Some(StatusCode::NO_RESPONDERS) {
        return Err(Failure::Unavailable(LogError::new(doing, "no stream listens to the subject")));
    }
    answer(doing, &message.payload).map_err(|error| match error {
        ApiError::Server(error) => Failure::of_server(error, doing),
        ApiError::Log(error) => Failure::Unavailable(error),
    })
}

/// Headers every append carries. With a `tag` the server knows the event by its id with the tag behind it.
pub(super) fn headers(entry: &Encoded, tag: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    match tag {
        None => headers.insert(async_nats::header::NATS_MESSAGE_ID, entry.id.as_str()),
        Some(tag) => {
            headers.insert(async_nats::header::NATS_MESSAGE_ID, format!("{}.{tag}", entry.id).as_str());
        }
    }
    if let Some((filter, sequence)) = entry.expected() {
        headers.insert(async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, HeaderValue::from(sequence));
        if filter != entry.subject.as_str() {
            headers.insert(EXPECTED_FILTER, filter);
        }
    }
    if let Some(trace) = entry.trace {
        headers.insert(TRACEPARENT, trace.to_string());
    }
    headers
}

/// What is put behind the id of an event where somebody else has taken the id: nobody can foretell it.
pub(super) fn tag() -> String {
    format!("{:016x}", RandomState::new().hash_one("tag"))
}

/// Waits before attempt `attempt` (from 1): 20 ms, doubling.
pub(super) async fn pause(attempt: u32) {
    tokio::time::sleep(Duration::from_millis(10) * 2_u32.saturating_pow(attempt.min(8))).await;
}

impl JetStreamLog {
    /// Sends a request and waits at most [`TIMEOUT`] in all, also when the connection is down and its
    /// queue is full.
    pub(super) async fn publish(&self, entry: &Encoded, headers: HeaderMap) -> Result<PublishAck, Failure> {
        let subject = entry.subject.as_str();
        let request = async_nats::Request::new().payload(entry.payload.clone()).headers(headers);
        let sent = self.client().send_request(subject.to_owned(), request);
        let reply = match tokio::time::timeout(TIMEOUT, sent).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) if error.kind() == RequestErrorKind::MaxPayloadExceeded => {
                return Err(Failure::Refused(error.to_string()));
            }
            Ok(Err(error)) => return Err(Failure::Unavailable(LogError::new(doing(subject), error))),
            Err(elapsed) => return Err(Failure::Unavailable(LogError::new(doing(subject), elapsed))),
        };
        acknowledged(subject, &reply)
    }

    pub(super) async fn append_encoded(&self, entry: &Encoded) -> Result<Appended, AppendError> {
        let first = self.publish(entry, headers(entry, None)).await;
        self.settle(entry, first).await
    }

    /// Turns the outcome of a first publish into the answer, publishing again where that helps.
    async fn settle(
        &self,
        entry: &Encoded,
        first: Result<PublishAck, Failure>,
    ) -> Result<Appended, AppendError> {
        let mut renamed = None;
        let mut outcome = first;
        let mut attempt = 1;
        loop {
            match outcome {
                Ok(ack) if !ack.duplicate => return Ok(Appended { sequence: ack.seq, duplicate: false }),
                Ok(ack) => match self.copy_of(entry, ack.seq).await {
                    Ok(Some(sequence)) => return Ok(Appended { sequence, duplicate: true }),
                    Ok(None) => {
                        renamed = Some(tag());
                        outcome = self.publish(entry, headers(entry, renamed.as_deref())).await;
                        continue;
                    }
                    Err(error) if attempt >= ATTEMPTS => return Err(error.into()),
                    Err(_) => {}
                },
                Err(Failure::Refused(reason)) => return Err(AppendError::Refused(reason)),
                // Whoever settles in order has the one in front of it stored by now: it may stand anywhere behind.
                Err(Failure::Detached) => {
                    outcome = self.publish(entry, headers(entry, renamed.as_deref())).await;
                    continue;
                }
                Err(Failure::Occupied | Failure::Taken) => match self.occupied(entry).await {
                    Ok(Some(outcome)) => return outcome,
                    // Refused because of an append in flight that did not take effect after all.
                    Ok(None) if attempt < ATTEMPTS => {}
                    Ok(None) => return Err(self.conflict(entry).await),
                    Err(error) if attempt >= ATTEMPTS => return Err(error.into()),
                    Err(_) => {}
                },
                Err(Failure::Unavailable(error)) if attempt >= ATTEMPTS => return Err(error.into()),
                Err(Failure::Unavailable(error)) => {
                    tracing::debug!(id = %entry.id, attempt, %error, "append is sent again");
                }
            }
            pause(attempt).await;
            attempt += 1;
            outcome = self.publish(entry, headers(entry, renamed.as_deref())).await;
        }
    }

    /// Where the copy of an entry stands by whose id the server found `sequence`; `None` where that is a message of
    /// somebody else, and there is no copy.
    async fn copy_of(&self, entry: &Encoded, sequence: u64) -> Result<Option<u64>, LogError> {
        // Strategies publish to no other stream.
        if entry.stream != TRADING {
            return Ok(Some(sequence));
        }
        let stored = self.inner.main.subject_at(entry.stream, sequence).await?;
        let Some(stored) = stored.filter(|stored| !wire::is_of_one_author(stored, entry.subject.as_str()))
        else {
            return Ok(Some(sequence));
        };
        tracing::warn!(id = %entry.id, %stored, sequence, "an id was taken by a message of somebody else");
        self.locate(entry).await
    }

    /// Who took the expected place: our own earlier copy (a duplicate), another event (a conflict) or
    /// nobody.
    async fn occupied(&self, entry: &Encoded) -> Result<Option<Result<Appended, AppendError>>, LogError> {
        let Some((filter, expected)) = entry.expected() else { return Ok(None) };
        // Had our copy taken effect, it would be the first event behind the expected one: nothing else
        // can have come between. This stays true however many events followed.
        match self.first_behind(entry.stream, filter, expected).await? {
            Some((sequence, Some(id))) if id == entry.id => {
                Ok(Some(Ok(Appended { sequence, duplicate: true })))
            }
            Some(_) => Ok(Some(Err(self.conflict(entry).await))),
            // Nothing is behind: the expectation is higher than what is there, unless it holds by now.
            None => match self.identity_of_last(entry.stream, filter).await? {
                last if last.as_ref().map_or(0, |(sequence, _)| *sequence) == expected => Ok(None),
                _ => Ok(Some(Err(self.conflict(entry).await))),
            },
        }
    }

    pub(super) async fn conflict(&self, entry: &Encoded) -> AppendError {
        let (filter, expected) = entry.expected().unwrap_or((entry.subject.as_str(), 0));
        match self.last_place(entry.stream, filter).await {
            Ok((last, actual)) => {
                let (filter, actual) = (filter.to_owned(), actual.map(Box::new));
                AppendError::Conflict { filter, expected, last, actual }
            }
            Err(error) => AppendError::Unavailable(error),
        }
    }

    /// Publishes all entries in order, at most [`WINDOW`] of them unanswered, then settles each; where they are linked,
    /// up to the first that is not stored.
    pub(super) async fn append_many(
        &self,
        entries: Vec<Result<Encoded, AppendError>>,
        link: Link,
    ) -> Vec<Result<Appended, AppendError>> {
        let mut outcomes = Vec::with_capacity(entries.len());
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            let window: Vec<_> = entries.by_ref().take(WINDOW).collect();
            let replies = self.publish_window(&window, link).await;
            for (entry, reply) in window.into_iter().zip(replies) {
                let outcome = match entry {
                    Ok(entry) => self.settle(&entry, reply).await,
                    Err(refused) => Err(refused),
                };
                let ends = link == Link::BehindTheLast && outcome.is_err();
                outcomes.push(outcome);
                if ends {
                    return outcomes;
                }
            }
        }
        outcomes
    }

    /// Publishes under one inbox, so that the order of sending is the order of the entries,
    /// and collects the answers.
    async fn publish_window(
        &self,
        window: &[Result<Encoded, AppendError>],
        link: Link,
    ) -> Vec<Result<PublishAck, Failure>> {
        let unanswered = || Failure::Unavailable(LogError::new("publish", "no answer in time"));
        let mut replies: Vec<_> = window.iter().map(|_| Err(unanswered())).collect();
        let lane = tokio::time::timeout(TIMEOUT, self.inner.lanes.take(self.client())).await;
        let Ok(Ok(mut lane)) = lane else { return replies };
        let mut waiting = 0;
        let mut in_front: Option<&Encoded> = None;
        for (index, entry) in window.iter().enumerate() {
            let Ok(entry) = entry else {
                if link == Link::BehindTheLast {
                    break;
                }
                continue;
            };
            let mut headers = headers(entry, None);
            if let (Link::BehindTheLast, Some(in_front)) = (link, in_front.replace(entry)) {
                headers.insert(async_nats::header::NATS_EXPECTED_LAST_MESSAGE_ID, in_front.id.as_str());
            }
            let sent = self.client().publish_with_reply_and_headers(
                entry.subject.as_str().to_owned(),
                lane.reply(index),
                headers,
                entry.payload.clone(),
            );
            match tokio::time::timeout(TIMEOUT, sent).await {
                Ok(Ok(())) => waiting += 1,
                Ok(Err(error)) => {
                    replies[index] = Err(Failure::Unavailable(LogError::new("publish", error)));
                    break;
                }
                Err(_) => break,
            }
        }
        while waiting > 0 {
            let Some((index, message)) = lane.next().await else { break };
            if let Some(reply) = replies.get_mut(index) {
                *reply = acknowledged("publish", &message);
                waiting -= 1;
            }
        }
        if waiting == 0 {
            self.inner.lanes.put_back(lane);
        }
        replies
    }
}

fn doing(subject: &str) -> String {
    format!("publish {subject}")
}
