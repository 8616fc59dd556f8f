//! Ordered reads: a push consumer of the server's that is replaced whenever anything is amiss.
//!
//! The server numbers what it delivers to a consumer. A gap in the numbers, a missing heartbeat or a
//! reconnect makes the reader open a new consumer behind the last message it took, so that nothing is
//! lost, doubled or reordered; where that message is no longer on the tape, the read ends. Decoding runs in
//! a task of its own, a bounded distance ahead of the caller.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, StatusCode, Subscriber};
use async_trait::async_trait;
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch as signal};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::ack_subject::AckSubject;
use super::api::{self, ApiError, code};
use super::lookup::{content_type, traceparent};
use super::shared::Line;
use super::watch::at_hand;
use super::{Connection, TIMEOUT};
use crate::wire;
use crate::{Bookmark, Delivery, LogError, Reader};

/// Most messages decoded in one go.
const CHUNK: usize = 256;
/// Chunks that may wait for the caller.
const CHUNKS_AHEAD: usize = 32;
/// How often the server says that it is there while it has nothing to deliver.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Silence after which a consumer counts as lost.
const SILENCE: Duration = Duration::from_secs(6);
/// Longest pause between attempts to open a consumer.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// An ordered read as its caller holds it.
pub(super) struct JetStreamReader {
    decoded: mpsc::Receiver<Result<Vec<Delivery>, LogError>>,
    at_hand: VecDeque<Delivery>,
    /// Why the read has ended, to be told when nothing is left at hand.
    ended: Option<LogError>,
    task: JoinHandle<()>,
}

impl JetStreamReader {
    pub async fn open(
        connection: &Connection,
        stream: &str,
        filters: &[String],
        after: Bookmark,
    ) -> Result<Self, LogError> {
        let mut ordered = Ordered::new(connection, stream, filters, after);
        // The first opening is the caller's to know about: the stream may not exist.
        let doing = || format!("read stream {stream}");
        // Within bounds: the queue of a connection that is lost may be full.
        let opened = tokio::time::timeout(TIMEOUT * 2, ordered.open()).await;
        opened.map_err(|error| LogError::new(doing(), error))?.map_err(|error| error.into_log(doing()))?;
        let (sender, decoded) = mpsc::channel(CHUNKS_AHEAD);
        let task = tokio::spawn(ordered.run(sender));
        Ok(Self { decoded, at_hand: VecDeque::new(), ended: None, task })
    }
}

impl Drop for JetStreamReader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[async_trait]
impl Reader for JetStreamReader {
    async fn batch(&mut self, max: usize) -> Result<Vec<Delivery>, LogError> {
        let max = max.max(1);
        if self.at_hand.is_empty() {
            if let Some(error) = self.ended.take() {
                return Err(error);
            }
            let chunk = self.decoded.recv().await;
            let chunk = chunk.ok_or_else(|| LogError::new("read the tape", "the reader ended"))??;
            if chunk.len() <= max && self.decoded.is_empty() {
                return Ok(chunk);
            }
            self.at_hand.extend(chunk);
        }
        while self.at_hand.len() < max {
            match self.decoded.try_recv() {
                Ok(Ok(chunk)) => self.at_hand.extend(chunk),
                Ok(Err(error)) => {
                    self.ended = Some(error);
                    break;
                }
                Err(_) => break,
            }
        }
        let count = max.min(self.at_hand.len());
        Ok(self.at_hand.drain(..count).collect())
    }
}

/// What a message of the subscription turned out to be.
#[expect(clippy::large_enum_variant, reason = "nearly every step delivers; a box would cost each of them")]
enum Step {
    /// An event or an undecodable message.
    Deliver(Delivery),
    /// The server asks for a sign of life before it sends more.
    Answer(async_nats::Subject),
    /// Nothing to do.
    Pass,
    /// Messages are missing: open a new consumer.
    Lost,
}

/// The reading side.
pub(super) struct Ordered {
    connection: Connection,
    losses: signal::Receiver<u64>,
    stream: String,
    filters: Vec<String>,
    /// The last message of the last chunk.
    read: Bookmark,
    /// Next stream sequence wanted.
    next: u64,
    /// Number of the last delivery of the present consumer.
    delivered: u64,
    consumer: Option<(String, Subscriber)>,
    heard: Instant,
}

impl Ordered {
    pub fn new(connection: &Connection, stream: &str, filters: &[String], after: Bookmark) -> Self {
        let mut filters = filters.to_vec();
        filters.sort();
        filters.dedup();
        Self {
            connection: connection.clone(),
            losses: connection.losses(),
            stream: stream.to_owned(),
            filters,
            next: after.next(),
            read: after,
            delivered: 0,
            consumer: None,
            heard: Instant::now(),
        }
    }

    /// Opens a consumer from the next sequence on, where the stream still holds what was read before it.
    pub async fn open(&mut self) -> Result<(), ApiError> {
        self.losses.mark_unchanged();
        let client = &self.connection.client;
        let inbox = client.new_inbox();
        let name = format!("read-{}", inbox.rsplit('.').next().unwrap_or(&inbox));
        let subscriber = client
            .subscribe(inbox.clone())
            .await
            .map_err(|error| LogError::new("subscribe to an inbox", error))?;
        let mut config = json!({
            "name": name,
            "deliver_subject": inbox,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": self.next,
            "ack_policy": "none",
            "max_deliver": 1,
            "replay_policy": "instant",
            "flow_control": true,
            "idle_heartbeat": u64::try_from(HEARTBEAT.as_nanos()).unwrap_or(u64::MAX),
            "inactive_threshold": 30_000_000_000_u64,
            "num_replicas": 1,
            "mem_storage": true,
        });
        match self.filters.as_slice() {
            [] => {}
            [one] => config["filter_subject"] = json!(one),
            many => config["filter_subjects"] = json!(many),
        }
        let body = json!({ "stream_name": self.stream, "config": config, "action": "create" });
        api::request::<Value>(client, &format!("CONSUMER.CREATE.{}.{name}", self.stream), &body).await?;
        self.delivered = 0;
        self.heard = Instant::now();
        self.consumer = Some((name, subscriber));
        // Behind the opening: if the server changes again, this consumer is lost with it.
        match self.connection.check(&self.stream, &self.read).await {
            Ok(read) => self.read = read,
            Err(error) => {
                self.forget();
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Opens a new consumer, however long it takes; ends when `gone` says that nobody wants it any more. An error
    /// says that what was read is no longer there.
    async fn reopen(&mut self, gone: impl Fn() -> bool + Send) -> Result<(), LogError> {
        self.forget();
        let mut pause = Duration::from_millis(20);
        while !gone() {
            match tokio::time::timeout(TIMEOUT * 2, self.open()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(ApiError::Log(error))) if error.is_taken_back() => return Err(error),
                Ok(Err(error)) if error.is(code::STREAM_NOT_FOUND) => {
                    tracing::error!(stream = %self.stream, %error, "the stream is gone; waiting for it");
                }
                Ok(Err(error)) => tracing::debug!(stream = %self.stream, %error, "cannot read yet"),
                Err(elapsed) => tracing::debug!(stream = %self.stream, error = %elapsed, "cannot read yet"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Ok(())
    }

    /// Drops the present consumer; the server would otherwise keep it for its idle time.
    fn forget(&mut self) {
        let Some((name, _)) = self.consumer.take() else { return };
        let client = self.connection.client.clone();
        let subject = format!("$JS.API.CONSUMER.DELETE.{}.{name}", self.stream);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { client.publish(subject, Vec::new().into()).await.ok() });
        }
    }

    async fn run(mut self, sender: mpsc::Sender<Result<Vec<Delivery>, LogError>>) {
        while !sender.is_closed() {
            match self.chunk().await {
                Some(chunk) if chunk.is_empty() => {}
                Some(chunk) => {
                    if sender.send(Ok(chunk)).await.is_err() {
                        break;
                    }
                }
                None => {
                    tracing::debug!(stream = %self.stream, next = self.next, "ordered read starts again");
                    if let Err(error) = self.reopen(|| sender.is_closed()).await {
                        sender.send(Err(error)).await.ok();
                        break;
                    }
                }
            }
        }
        self.forget();
    }

    /// Hands on to all who follow, until it is dropped or what it has handed on is no longer on the tape.
    pub async fn run_shared(mut self, line: Arc<Line>) {
        loop {
            match self.chunk().await {
                Some(chunk) => line.send(chunk),
                None => {
                    if let Err(error) = self.reopen(|| false).await {
                        tracing::warn!(stream = %self.stream, %error, "whoever follows reads by itself");
                        line.end();
                        break;
                    }
                }
            }
        }
        self.forget();
    }

    /// Waits for messages and decodes those at hand; `None` when the consumer must be replaced.
    async fn chunk(&mut self) -> Option<Vec<Delivery>> {
        let silent = self.heard + SILENCE;
        let (_, subscriber) = self.consumer.as_mut()?;
        let first = tokio::select! {
            biased;
            message = subscriber.next() => message?,
            Ok(()) = self.losses.changed() => return None,
            () = tokio::time::sleep_until(silent) => return None,
        };
        self.heard = Instant::now();
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut message = Some(first);
        while let Some(current) = message {
            match self.step(&current) {
                Step::Deliver(delivery) => chunk.push(delivery),
                Step::Answer(subject) => {
                    self.connection.client.publish(subject, Vec::new().into()).await.ok();
                }
                Step::Pass => {}
                Step::Lost => {
                    self.forget();
                    break;
                }
            }
            let (_, subscriber) = self.consumer.as_mut()?;
            message = if chunk.len() < CHUNK { at_hand(subscriber) } else { None };
        }
        if let Some(last) = chunk.last() {
            self.read = Bookmark::at(last);
        }
        Some(chunk)
    }

    fn step(&mut self, message: &Message) -> Step {
        match message.status {
            Some(StatusCode::IDLE_HEARTBEAT) => self.heartbeat(message),
            Some(status) => {
                tracing::debug!(stream = %self.stream, %status, "the server ended an ordered consumer");
                Step::Lost
            }
            None => {
                let ack = message.reply.as_ref().and_then(|reply| AckSubject::parse(reply));
                let Some(ack) = ack else { return Step::Pass };
                if ack.consumer_sequence != self.delivered + 1 || ack.stream_sequence < self.next {
                    return Step::Lost;
                }
                self.delivered = ack.consumer_sequence;
                self.next = ack.stream_sequence + 1;
                let content_type = message.headers.as_ref().and_then(content_type);
                let delivery =
                    wire::delivery(ack.stream_sequence, &message.subject, content_type, &message.payload);
                self.connection.hook.delivered(&self.stream, &delivery, || traceparent(message));
                Step::Deliver(delivery)
            }
        }
    }

    /// A heartbeat tells how far the server has delivered; a flow control request wants an answer, and
    /// names its subject in a header when it had to ask again.
    fn heartbeat(&self, message: &Message) -> Step {
        if let Some(reply) = &message.reply {
            return Step::Answer(reply.clone());
        }
        let header = |name: &str| message.headers.as_ref().and_then(|headers| headers.get(name));
        if let Some(stalled) = header("Nats-Consumer-Stalled") {
            return Step::Answer(stalled.as_str().into());
        }
        let last = header("Nats-Last-Consumer").and_then(|value| value.as_str().parse::<u64>().ok());
        if last.is_some_and(|last| last != self.delivered) { Step::Lost } else { Step::Pass }
    }
}

impl Drop for Ordered {
    fn drop(&mut self) {
        self.forget();
    }
}
