//! Single events: by sequence, the last one under a filter, the first one behind a sequence.

use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{DirectGetErrorKind, RawMessageError, RawMessageErrorKind};

use super::{Connection, JetStreamLog, TIMEOUT};
use crate::observer::TRACEPARENT;
use crate::wire;
use crate::{Bookmark, LogError, Recorded};

/// How long a stream may be shorter than what was read of it: a leader that has just become one may not have come to
/// the end of what a follower has already handed on.
const SHORT_FOR: Duration = Duration::from_secs(2);
/// How often it is looked at meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The `Content-Type` of a message, where it has one.
pub(super) fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get("Content-Type").map(async_nats::HeaderValue::as_str)
}

/// The `traceparent` of a message, where it has one.
pub(super) fn traceparent(message: &async_nats::Message) -> Option<&str> {
    message.headers.as_ref()?.get(TRACEPARENT).map(async_nats::HeaderValue::as_str)
}

fn recorded(message: &StreamMessage) -> Result<Recorded, LogError> {
    wire::recorded(message.sequence, &message.subject, content_type(&message.headers), &message.payload)
}

impl Connection {
    async fn stream(&self, name: &str) -> Result<async_nats::jetstream::stream::Stream<()>, LogError> {
        let mut context = async_nats::jetstream::new(self.client.clone());
        context.set_timeout(TIMEOUT);
        context
            .get_stream_no_info(name)
            .await
            .map_err(|error| LogError::new(format!("open stream {name}"), error))
    }

    /// Sequence and id of the message at a sequence, from the stream's leader.
    pub(super) async fn identity_at(
        &self,
        stream: &str,
        sequence: u64,
    ) -> Result<Option<(u64, Option<String>)>, LogError> {
        let message = self.stream(stream).await?.get_raw_message(sequence).await;
        Ok(found(message, || format!("event {sequence} of {stream}"))?.as_ref().map(identity))
    }

    /// The subject of the message at a sequence, from the stream's leader.
    pub(super) async fn subject_at(&self, stream: &str, sequence: u64) -> Result<Option<String>, LogError> {
        let message = self.stream(stream).await?.get_raw_message(sequence).await;
        let message = found(message, || format!("event {sequence} of {stream}"))?;
        Ok(message.map(|message| message.subject.to_string()))
    }

    /// Whether the stream still holds what a reader has taken last. Answers the bookmark with the id that is there,
    /// so that a reader which began at a sequence knows from then on what stood before it.
    pub(super) async fn check(&self, stream: &str, bookmark: &Bookmark) -> Result<Bookmark, LogError> {
        if bookmark.sequence == 0 {
            return Ok(bookmark.clone());
        }
        let taken_back = |taken_back| LogError::new("compare with what was read", taken_back);
        let until = Instant::now() + SHORT_FOR;
        loop {
            if let Some((sequence, id)) = self.identity_at(stream, bookmark.sequence).await? {
                bookmark.compare(stream, id.as_deref()).map_err(taken_back)?;
                return Ok(Bookmark { sequence, id });
            }
            match bookmark.compare_end(stream, self.stream_state(stream).await?.last_sequence) {
                Ok(()) => return Ok(bookmark.clone()),
                Err(short) if Instant::now() > until => return Err(taken_back(short)),
                Err(short) => tracing::debug!(%short, "looking again"),
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

impl JetStreamLog {
    async fn stream(&self, name: &str) -> Result<async_nats::jetstream::stream::Stream<()>, LogError> {
        self.inner.main.stream(name).await
    }

    /// The last event under a filter, from the stream's leader: on a cluster a replica may not know it yet.
    pub(super) async fn last_under(&self, stream: &str, filter: &str) -> Result<Option<Recorded>, LogError> {
        let doing = || format!("last event under {filter} of {stream}");
        match self.last_message(stream, filter, doing).await? {
            Some(message) => recorded(&message).map(Some),
            None => Ok(None),
        }
    }

    /// Sequence of the last message under a filter, event or not, from the stream's leader; 0 when there is none.
    pub(super) async fn last_sequence_under(&self, stream: &str, filter: &str) -> Result<u64, LogError> {
        let doing = || format!("last message under {filter} of {stream}");
        Ok(self.last_message(stream, filter, doing).await?.map_or(0, |message| message.sequence))
    }

    /// Sequence of the last message under a filter, from the stream's leader, and its event where it is one; 0 when
    /// there is none.
    pub(super) async fn last_place(
        &self,
        stream: &str,
        filter: &str,
    ) -> Result<(u64, Option<Recorded>), LogError> {
        let doing = || format!("last message under {filter} of {stream}");
        let message = self.last_message(stream, filter, doing).await?;
        Ok(message.map_or((0, None), |message| (message.sequence, recorded(&message).ok())))
    }

    async fn last_message(
        &self,
        stream: &str,
        filter: &str,
        doing: impl Fn() -> String,
    ) -> Result<Option<StreamMessage>, LogError> {
        let stream = self.stream(stream).await?;
        found(stream.raw_message_builder().last_by_subject(filter.to_owned()).send().await, doing)
    }

    /// The event at a sequence: from any replica, which never has another one there, and from the stream's leader
    /// where a replica has none.
    pub(super) async fn at(&self, stream: &str, sequence: u64) -> Result<Option<Recorded>, LogError> {
        if sequence == 0 {
            return Ok(None);
        }
        let doing = || format!("event {sequence} of {stream}");
        let of_stream = self.stream(stream).await?;
        let message = match of_stream.direct_get(sequence).await {
            Ok(message) => Some(message),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => {
                found(of_stream.get_raw_message(sequence).await, doing)?
            }
            Err(error) => return Err(LogError::new(doing(), error)),
        };
        message.as_ref().map(recorded).transpose()
    }

    /// Sequence and id of the first event under a filter behind `after`, from the stream's leader. A
    /// message that is no event has no id.
    pub(super) async fn first_behind(
        &self,
        stream: &str,
        filter: &str,
        after: u64,
    ) -> Result<Option<(u64, Option<String>)>, LogError> {
        let first = self.stream(stream).await?.get_first_raw_message_by_subject(filter, after + 1).await;
        let first = found(first, || format!("first event under {filter} behind {after}"))?;
        Ok(first.as_ref().map(identity))
    }

    /// Sequence and id of the last message under a subject, from the stream's leader.
    pub(super) async fn identity_of_last(
        &self,
        stream: &str,
        subject: &str,
    ) -> Result<Option<(u64, Option<String>)>, LogError> {
        let last = self.last_message(stream, subject, || format!("last event under {subject}")).await?;
        Ok(last.as_ref().map(identity))
    }
}

/// What was found, or that there is nothing.
fn found(
    answer: Result<StreamMessage, RawMessageError>,
    doing: impl Fn() -> String,
) -> Result<Option<StreamMessage>, LogError> {
    match answer {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(LogError::new(doing(), error)),
    }
}

fn identity(message: &StreamMessage) -> (u64, Option<String>) {
    (message.sequence, wire::id(content_type(&message.headers), &message.payload))
}
