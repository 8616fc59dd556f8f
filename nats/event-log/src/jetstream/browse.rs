//! Browsing by direct get: single requests that any replica answers and that leave nothing behind.
//!
//! A batched direct get answers with the messages themselves, then with an end that says how many more
//! stand behind them under the filter. That number is what makes reading backwards possible: the server
//! reads forwards only, so the beginning of the page before is searched for by counting.

use std::collections::{BTreeMap, VecDeque};

use async_nats::{HeaderMap, Message, StatusCode};
use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::json;

use super::api;
use super::{JetStreamLog, TIMEOUT};
use crate::filter::is_well_formed;
use crate::{LogError, STORED_MAX, Stored, SubjectCount, Subjects};

/// Most bytes of one answer; a page of ordinary events is far below.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// By how much the stretch that is searched backwards grows while it holds too little.
const STRETCH_FACTOR: u64 = 8;

/// Status of the message that ends a batch.
const END_OF_BATCH: u16 = 204;

/// Messages of one answer.
struct Answer {
    messages: Vec<Stored>,
    /// Messages under the filter behind the last of them.
    pending: u64,
}

impl JetStreamLog {
    /// Messages under `filter` from `from_sequence` on, ascending.
    pub(super) async fn browse_from(
        &self,
        stream: &str,
        filter: &str,
        from_sequence: u64,
        max: usize,
    ) -> Result<Vec<Stored>, LogError> {
        Ok(self.direct_batch(stream, filter, from_sequence, max.clamp(1, STORED_MAX)).await?.messages)
    }

    /// Messages under `filter` before `before`, descending.
    pub(super) async fn browse_before(
        &self,
        stream: &str,
        filter: &str,
        before: u64,
        max: usize,
    ) -> Result<Vec<Stored>, LogError> {
        let max = max.clamp(1, STORED_MAX);
        let end = match before {
            u64::MAX => self.inner.main.stream_state(stream).await?.last_sequence.saturating_add(1),
            before => before,
        };
        // Most often what stands right before is wanted, and one request is enough.
        let from = end.saturating_sub(max as u64).max(1);
        let Answer { messages: mut nearest, pending } = self.direct_batch(stream, filter, from, max).await?;
        // An answer that was cut off by its size lacks the newest.
        let whole = nearest.len() == max || pending == 0;
        nearest.retain(|stored| stored.sequence < end);
        if whole && (nearest.len() == max || from == 1) {
            nearest.reverse();
            return Ok(nearest);
        }
        let (from, count) = self.page_start(stream, filter, end, max as u64).await?;
        self.newest_of(stream, filter, from, end, count, max).await
    }

    /// The last `max` of the `count` messages that stand under `filter` from `from` to before `end`,
    /// descending. An answer may be cut off by its size, so it takes one or more.
    async fn newest_of(
        &self,
        stream: &str,
        filter: &str,
        mut from: u64,
        end: u64,
        mut count: u64,
        max: usize,
    ) -> Result<Vec<Stored>, LogError> {
        let mut newest = VecDeque::with_capacity(max);
        while count > 0 && from < end {
            let asked = usize::try_from(count).unwrap_or(STORED_MAX).min(STORED_MAX);
            let messages = self.direct_batch(stream, filter, from, asked).await?.messages;
            let Some(last) = messages.last() else { break };
            from = last.sequence + 1;
            count = count.saturating_sub(messages.len() as u64);
            newest.extend(messages.into_iter().filter(|stored| stored.sequence < end));
            newest.drain(..newest.len().saturating_sub(max));
        }
        Ok(newest.into_iter().rev().collect())
    }

    /// Where to begin so that at least `wanted` messages stand under `filter` before `end`, or all there
    /// are; and how many do. Not many more than wanted, so that reading them costs little.
    async fn page_start(
        &self,
        stream: &str,
        filter: &str,
        end: u64,
        wanted: u64,
    ) -> Result<(u64, u64), LogError> {
        let behind = self.count_from(stream, filter, end).await?;
        let mut stretch = wanted.saturating_mul(STRETCH_FACTOR);
        // Too little stands from here on.
        let mut too_late = end;
        let (mut from, mut count) = loop {
            let from = end.saturating_sub(stretch).max(1);
            let count = self.count_from(stream, filter, from).await?.saturating_sub(behind);
            if count >= wanted || from == 1 {
                break (from, count);
            }
            too_late = from;
            stretch = stretch.saturating_mul(STRETCH_FACTOR);
        };
        let most = (wanted * 2).min(STORED_MAX as u64).max(wanted);
        while count > most && too_late - from > 1 {
            let middle = from + (too_late - from) / 2;
            let there = self.count_from(stream, filter, middle).await?.saturating_sub(behind);
            if there >= wanted {
                (from, count) = (middle, there);
            } else {
                too_late = middle;
            }
        }
        Ok((from, count))
    }

    /// Messages under `filter` from `from_sequence` on.
    async fn count_from(&self, stream: &str, filter: &str, from_sequence: u64) -> Result<u64, LogError> {
        let answer = self.direct_batch(stream, filter, from_sequence, 1).await?;
        Ok(answer.pending + answer.messages.len() as u64)
    }

    async fn direct_batch(
        &self,
        stream: &str,
        filter: &str,
        from_sequence: u64,
        max: usize,
    ) -> Result<Answer, LogError> {
        let doing = || format!("browse {filter} of {stream} from {from_sequence}");
        if !is_well_formed(filter) {
            return Err(LogError::new(doing(), "the filter is malformed"));
        }
        let client = &self.inner.bulk.client;
        let inbox = client.new_inbox();
        let mut replies =
            client.subscribe(inbox.clone()).await.map_err(|error| LogError::new(doing(), error))?;
        let body = json!({
            "seq": from_sequence.max(1), "next_by_subj": filter, "batch": max, "max_bytes": ANSWER_BYTES_MAX,
        });
        let subject = format!("$JS.API.DIRECT.GET.{stream}");
        let asked = client.publish_with_reply(subject, inbox, body.to_string().into());
        asked.await.map_err(|error| LogError::new(doing(), error))?;
        let mut answer = Answer { messages: Vec::new(), pending: 0 };
        loop {
            let reply = tokio::time::timeout(TIMEOUT, replies.next())
                .await
                .map_err(|elapsed| LogError::new(doing(), elapsed))?
                .ok_or_else(|| LogError::new(doing(), "the connection was closed"))?;
            match reply.status {
                None => answer.messages.push(stored(&reply).map_err(|why| LogError::new(doing(), why))?),
                // The end of a batch, with what stands behind it.
                Some(status) if status.as_u16() == END_OF_BATCH => {
                    let headers = reply.headers.as_ref();
                    answer.pending = headers.and_then(|h| number(h, "Nats-Num-Pending")).unwrap_or_default();
                    return Ok(answer);
                }
                Some(StatusCode::NOT_FOUND) => return Ok(answer),
                Some(StatusCode::NO_RESPONDERS) => {
                    return Err(LogError::new(doing(), "the tape has no such stream"));
                }
                Some(status) => {
                    let why = reply.description.unwrap_or_default();
                    return Err(LogError::new(doing(), format!("the server answered {status}: {why}")));
                }
            }
        }
    }

    /// Counts of the subjects under `filter`.
    pub(super) async fn subject_counts(&self, stream: &str, filter: &str) -> Result<Subjects, LogError> {
        #[derive(Deserialize)]
        struct Info {
            #[serde(default)]
            total: u64,
            state: State,
        }
        #[derive(Deserialize)]
        struct State {
            #[serde(default)]
            subjects: Option<BTreeMap<String, u64>>,
        }
        let doing = || format!("subjects under {filter} of {stream}");
        if !is_well_formed(filter) {
            return Err(LogError::new(doing(), "the filter is malformed"));
        }
        let body = json!({ "subjects_filter": filter });
        let info: Info = api::request(&self.inner.bulk.client, &format!("STREAM.INFO.{stream}"), &body)
            .await
            .map_err(|error| error.into_log(doing()))?;
        let subjects = info.state.subjects.unwrap_or_default().into_iter();
        let counts: Vec<_> = subjects.map(|(subject, messages)| SubjectCount { subject, messages }).collect();
        Ok(Subjects { total: info.total.max(counts.len() as u64), counts })
    }
}

/// Headers with which the server describes a message; the rest is its sender's.
const DESCRIBING: [&str; 6] = [
    "Nats-Stream",
    "Nats-Subject",
    "Nats-Sequence",
    "Nats-Time-Stamp",
    "Nats-Num-Pending",
    "Nats-Last-Sequence",
];

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(async_nats::HeaderValue::as_str)
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.parse().ok()
}

fn stored(message: &Message) -> Result<Stored, &'static str> {
    let headers = message.headers.as_ref().ok_or("the server's description is missing")?;
    let sequence = number(headers, "Nats-Sequence").ok_or("Nats-Sequence is missing")?;
    let subject = text(headers, "Nats-Subject").ok_or("Nats-Subject is missing")?.to_owned();
    let stored_ns =
        text(headers, "Nats-Time-Stamp").and_then(nanoseconds).ok_or("Nats-Time-Stamp is missing")?;
    let mut own = Vec::new();
    for (name, values) in headers.iter() {
        let name: &str = name.as_ref();
        if DESCRIBING.contains(&name) {
            continue;
        }
        own.extend(values.iter().map(|value| (name.to_owned(), value.as_str().to_owned())));
    }
    own.sort();
    Ok(Stored { sequence, subject, headers: own, payload: message.payload.to_vec(), stored_ns })
}

/// UTC nanoseconds of the server's time, RFC 3339 with up to nine digits of a fraction and `Z`.
fn nanoseconds(text: &str) -> Option<i64> {
    let stamp: contracts::Timestamp =
        serde_json::from_value(serde_json::Value::String(text.to_owned())).ok()?;
    contracts::from_timestamp(&stamp)
}
