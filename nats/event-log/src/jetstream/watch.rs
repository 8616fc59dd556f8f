//! Acknowledgements and plain messages as they pass, on one connection.
//!
//! Order: the server writes to a connection in the order in which a publisher's messages reached it, and
//! one read loop of the client hands each message to its subscription's queue before it looks at the
//! next. So whoever has received an acknowledgement finds everything that came before it already in the
//! queues of the other subscriptions, and `ready()` sees it. Two things would break this and are ruled
//! out here: separate connections, and Tokio's cooperative budget, which makes a queue look empty when a
//! task has polled a lot (so `ready()` polls outside it).
//!
//! Plain messages are not stored. After a disconnect or an overflow each subscription says once that it
//! may have missed some; its caller then compares with the tape.

use async_nats::{Message, RequestErrorKind, Subscriber};
use async_trait::async_trait;
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::watch as signal;
use tokio::task::coop::unconstrained;

use super::ack_subject::{AckSubject, filters};
use super::{Connection, TIMEOUT};
use crate::{AckSeen, Acks, Hint, Hints, LogError};

/// Takes a message that has already arrived, whatever the task's cooperative budget says.
pub(super) fn at_hand(subscriber: &mut Subscriber) -> Option<Message> {
    unconstrained(subscriber.next()).now_or_never().flatten()
}

impl Connection {
    /// Subscribes and returns when the server knows.
    pub(super) async fn subscribe(&self, filter: &str) -> Result<Subscriber, LogError> {
        let doing = || format!("subscribe to {filter}");
        let subscribed = self.client.subscribe(filter.to_owned());
        let subscriber = tokio::time::timeout(TIMEOUT, subscribed)
            .await
            .map_err(|elapsed| LogError::new(doing(), elapsed))?
            .map_err(|error| LogError::new(doing(), error))?;
        self.round_trip().await?;
        Ok(subscriber)
    }

    /// Waits until the server has handled everything sent so far: it answers a request to a subject that
    /// nobody serves at once, and in order.
    pub(super) async fn round_trip(&self) -> Result<(), LogError> {
        let asked = self.client.request(self.client.new_inbox(), Vec::new().into());
        match tokio::time::timeout(TIMEOUT, asked).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => Ok(()),
            Ok(Err(error)) => Err(LogError::new("wait for the server", error)),
            Err(elapsed) => Err(LogError::new("wait for the server", elapsed)),
        }
    }

    /// The counter of losses, marked as seen.
    pub(super) fn losses(&self) -> signal::Receiver<u64> {
        let mut losses = self.losses.clone();
        losses.mark_unchanged();
        losses
    }
}

fn closed(doing: &'static str) -> LogError {
    LogError::new(doing, "the connection was closed")
}

fn missed(doing: &'static str) -> LogError {
    LogError::new(doing, "the connection was interrupted or overrun: messages may be missing")
}

pub(super) struct JetStreamHints {
    subscriber: Subscriber,
    losses: signal::Receiver<u64>,
}

impl JetStreamHints {
    pub async fn subscribe(connection: &Connection, filter: &str) -> Result<Self, LogError> {
        let losses = connection.losses();
        Ok(Self { subscriber: connection.subscribe(filter).await?, losses })
    }
}

fn hint(message: Message) -> Hint {
    Hint { subject: message.subject.into_string(), payload: message.payload.into() }
}

#[async_trait]
impl Hints for JetStreamHints {
    async fn next(&mut self) -> Result<Hint, LogError> {
        const DOING: &str = "watch plain messages";
        tokio::select! {
            biased;
            Ok(()) = self.losses.changed() => Err(missed(DOING)),
            message = self.subscriber.next() => message.map(hint).ok_or_else(|| closed(DOING)),
        }
    }

    fn ready(&mut self) -> Option<Hint> {
        at_hand(&mut self.subscriber).map(hint)
    }
}

pub(super) struct JetStreamAcks {
    versions: [Subscriber; 2],
    losses: signal::Receiver<u64>,
}

impl JetStreamAcks {
    pub async fn subscribe(connection: &Connection, stream: &str) -> Result<Self, LogError> {
        let losses = connection.losses();
        let [first, second] = filters(stream);
        let versions = [connection.subscribe(&first).await?, connection.subscribe(&second).await?];
        Ok(Self { versions, losses })
    }
}

/// Reads an acknowledgement; `None` for a negative one, or one that only asks for more time.
fn ack_seen(message: &Message) -> Option<AckSeen> {
    let payload: &[u8] = &message.payload;
    if !(payload.is_empty() || payload.starts_with(b"+ACK") || payload.starts_with(b"+NXT")) {
        return None;
    }
    let ack = AckSubject::parse(&message.subject)?;
    Some(AckSeen { consumer: ack.consumer.to_owned(), sequence: ack.stream_sequence })
}

#[async_trait]
impl Acks for JetStreamAcks {
    async fn next(&mut self) -> Result<AckSeen, LogError> {
        const DOING: &str = "watch acknowledgements";
        loop {
            let [first, second] = &mut self.versions;
            let message = tokio::select! {
                biased;
                Ok(()) = self.losses.changed() => return Err(missed(DOING)),
                message = first.next() => message,
                message = second.next() => message,
            };
            let message = message.ok_or_else(|| closed(DOING))?;
            if let Some(ack) = ack_seen(&message) {
                return Ok(ack);
            }
        }
    }
}
