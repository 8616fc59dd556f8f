//! Durable consumers: a continuous pull under one inbox.
//!
//! On opening, the consumer is reset to its acknowledged floor, so that whatever a dead client left
//! unacknowledged comes again at once and in order. The deliveries are numbered from then on; a gap, a
//! reconnect or a missing heartbeat opens it again. A message that the caller still holds is then not
//! given to it a second time; only the subject that acknowledges it is renewed. One that the caller has
//! acknowledged is acknowledged again. So one handle sees each message once and in order, whatever happens
//! to the server.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use async_nats::{Message, StatusCode, Subject, Subscriber};
use async_trait::async_trait;
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::watch as signal;
use tokio::time::Instant;

use super::ack_subject::AckSubject;
use super::api::{self, ApiError, code};
use super::lookup::{content_type, traceparent};
use super::watch::at_hand;
use super::{Connection, TIMEOUT};
use crate::wire;
use crate::{Consumer, Delivery, LogError};

/// Messages asked for at a time; more are asked for when half of them have come.
const PULL: u64 = 1_000;
/// How long one pull stays open.
const EXPIRES: Duration = Duration::from_secs(30);
/// How often the server says that a pull is open while it has nothing to deliver.
const HEARTBEAT: Duration = Duration::from_secs(3);
/// Silence after which a pull counts as lost.
const SILENCE: Duration = Duration::from_secs(9);
/// Acknowledgements remembered: more than any consumer may have unacknowledged.
const REMEMBERED: usize = 1 << 16;
/// Longest pause between attempts to open.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A durable consumer as its caller holds it.
pub(super) struct JetStreamConsumer {
    connection: Connection,
    losses: signal::Receiver<u64>,
    stream: String,
    durable: String,
    open: Option<Open>,
    /// Where to acknowledge what the caller holds, by stream sequence.
    held: HashMap<u64, Subject>,
    /// What the caller has acknowledged lately; the server may not have heard.
    acknowledged: BTreeSet<u64>,
    /// Where to acknowledge what was acknowledged before.
    again: Vec<Subject>,
    at_hand: VecDeque<Delivery>,
    /// Deliveries went elsewhere: wait before taking them back.
    contended: bool,
}

/// An open pull.
struct Open {
    inbox: String,
    subscriber: Subscriber,
    /// Messages asked for and not yet delivered.
    asked: u64,
    /// Number of the last delivery since the reset.
    delivered: u64,
    heard: Instant,
}

impl JetStreamConsumer {
    pub async fn open(connection: &Connection, stream: &str, durable: &str) -> Result<Self, LogError> {
        let mut consumer = Self {
            connection: connection.clone(),
            losses: connection.losses(),
            stream: stream.to_owned(),
            durable: durable.to_owned(),
            open: None,
            held: HashMap::new(),
            acknowledged: BTreeSet::new(),
            again: Vec::new(),
            at_hand: VecDeque::new(),
            contended: false,
        };
        consumer.reset().await.map_err(|error| error.into_log(consumer.doing()))?;
        consumer.ask().await?;
        Ok(consumer)
    }

    fn doing(&self) -> String {
        format!("consume {}.{}", self.stream, self.durable)
    }

    /// Subscribes to a fresh inbox and sets the consumer back to its floor.
    async fn reset(&mut self) -> Result<(), ApiError> {
        self.losses.mark_unchanged();
        let client = &self.connection.client;
        let inbox = client.new_inbox();
        let subscriber = client
            .subscribe(inbox.clone())
            .await
            .map_err(|error| LogError::new("subscribe to an inbox", error))?;
        let subject = format!("CONSUMER.RESET.{}.{}", self.stream, self.durable);
        api::request::<Value>(client, &subject, &Value::Null).await?;
        let heard = Instant::now();
        self.open = Some(Open { inbox, subscriber, asked: 0, delivered: 0, heard });
        Ok(())
    }

    /// Opens again, however long it takes, unless the consumer or its stream is gone.
    async fn reopen(&mut self) -> Result<(), LogError> {
        self.open = None;
        if self.contended {
            // Two clients that take the consumer from each other must not do so all the time.
            tokio::time::sleep(PAUSE_MAX).await;
            self.contended = false;
        }
        let mut pause = Duration::from_millis(20);
        loop {
            match tokio::time::timeout(TIMEOUT * 2, self.reset()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) if error.is(code::CONSUMER_NOT_FOUND) || error.is(code::STREAM_NOT_FOUND) => {
                    return Err(error.into_log(self.doing()));
                }
                Ok(Err(error)) => tracing::debug!(consumer = %self.durable, %error, "cannot consume yet"),
                Err(elapsed) => {
                    tracing::debug!(consumer = %self.durable, error = %elapsed, "cannot consume yet");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Asks for more messages when half of those asked for have come.
    async fn ask(&mut self) -> Result<(), LogError> {
        let doing = self.doing();
        let Some(open) = &mut self.open else { return Ok(()) };
        if open.asked > PULL / 2 {
            return Ok(());
        }
        let batch = PULL - open.asked;
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let body = json!({ "batch": batch, "expires": nanos(EXPIRES), "idle_heartbeat": nanos(HEARTBEAT) });
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", self.stream, self.durable);
        let asked = self.connection.client.publish_with_reply(
            subject,
            open.inbox.clone(),
            body.to_string().into_bytes().into(),
        );
        asked.await.map_err(|error| LogError::new(doing, error))?;
        open.asked += batch;
        Ok(())
    }

    /// Waits for one message of the subscription; `None` when the consumer must be opened again.
    async fn arrival(&mut self) -> Option<Message> {
        let open = self.open.as_mut()?;
        let message = tokio::select! {
            biased;
            message = open.subscriber.next() => message?,
            Ok(()) = self.losses.changed() => return None,
            () = tokio::time::sleep_until(open.heard + SILENCE) => return None,
        };
        open.heard = Instant::now();
        Some(message)
    }

    /// Takes in one message. False when the consumer must be opened again.
    fn take(&mut self, message: &Message) -> bool {
        let Some(open) = &mut self.open else { return false };
        match message.status {
            None => {}
            Some(StatusCode::IDLE_HEARTBEAT) => return true,
            Some(status) => return ended(open, message, status),
        }
        let Some(reply) = &message.reply else { return true };
        let Some(ack) = AckSubject::parse(reply) else { return true };
        if ack.consumer_sequence != open.delivered + 1 {
            tracing::warn!(
                consumer = %self.durable,
                expected = open.delivered + 1,
                found = ack.consumer_sequence,
                "deliveries are missing; is another client using this consumer?"
            );
            self.contended = true;
            return false;
        }
        open.delivered = ack.consumer_sequence;
        open.asked = open.asked.saturating_sub(1);
        if self.acknowledged.contains(&ack.stream_sequence) {
            self.again.push(reply.clone());
        } else if self.held.insert(ack.stream_sequence, reply.clone()).is_none() {
            let content_type = message.headers.as_ref().and_then(content_type);
            let (sequence, subject) = (ack.stream_sequence, &message.subject);
            let delivery = wire::delivery(sequence, subject, content_type, &message.payload);
            self.connection.hook.delivered(&self.stream, &delivery, || traceparent(message));
            self.at_hand.push_back(delivery);
        }
        true
    }
}

/// A status message ends one pull. True when the others go on.
fn ended(open: &mut Open, message: &Message, status: StatusCode) -> bool {
    let headers = message.headers.as_ref();
    let unused = headers
        .and_then(|headers| headers.get("Nats-Pending-Messages"))
        .and_then(|value| value.as_str().parse::<u64>().ok());
    match (status, unused) {
        // Expired, or served in part: the rest is no longer asked for.
        (StatusCode::TIMEOUT | StatusCode::REQUEST_TERMINATED, Some(unused)) => {
            open.asked = open.asked.saturating_sub(unused);
            status == StatusCode::TIMEOUT
        }
        (StatusCode::NOT_FOUND, _) => true,
        _ => {
            tracing::debug!(%status, description = ?message.description, "the server ended a pull");
            false
        }
    }
}

/// Sends the plain acknowledgement that watchers of the acknowledgement subjects see.
async fn send_ack(connection: &Connection, reply: Subject) -> Result<(), LogError> {
    let sent = connection.client.publish(reply, bytes::Bytes::from_static(b"+ACK"));
    match tokio::time::timeout(TIMEOUT, sent).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(LogError::new("acknowledge", error)),
        Err(elapsed) => Err(LogError::new("acknowledge", elapsed)),
    }
}

#[async_trait]
impl Consumer for JetStreamConsumer {
    async fn batch(&mut self, max: usize) -> Result<Vec<Delivery>, LogError> {
        let max = max.max(1);
        while self.at_hand.is_empty() {
            if self.open.is_none() {
                self.reopen().await?;
            }
            self.ask().await?;
            while let Some(reply) = self.again.last() {
                send_ack(&self.connection, reply.clone()).await?;
                self.again.pop();
            }
            let Some(message) = self.arrival().await else {
                self.open = None;
                continue;
            };
            let mut fine = self.take(&message);
            while fine && self.at_hand.len() < max {
                let Some(message) = self.open.as_mut().and_then(|open| at_hand(&mut open.subscriber)) else {
                    break;
                };
                fine = self.take(&message);
            }
            if !fine {
                self.open = None;
            }
        }
        let count = max.min(self.at_hand.len());
        Ok(self.at_hand.drain(..count).collect())
    }

    async fn ack(&mut self, sequence: u64) -> Result<(), LogError> {
        let Some(reply) = self.held.get(&sequence).cloned() else { return Ok(()) };
        send_ack(&self.connection, reply).await?;
        self.held.remove(&sequence);
        self.acknowledged.insert(sequence);
        if self.acknowledged.len() > REMEMBERED {
            self.acknowledged.pop_first();
        }
        Ok(())
    }
}
