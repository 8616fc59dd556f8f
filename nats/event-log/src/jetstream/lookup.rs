//! Single events: by sequence, the last one under a filter, the first one behind a sequence.

use async_nats::HeaderMap;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{DirectGetErrorKind, RawMessageError, RawMessageErrorKind};

use super::JetStreamLog;
use crate::observer::TRACEPARENT;
use crate::wire;
use crate::{LogError, Recorded};

/// The `Content-Type` of a message, where it has one.
pub(super) fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get("Content-Type").map(async_nats::HeaderValue::as_str)
}

/// The `traceparent` of a message, where it has one.
pub(super) fn traceparent(message: &async_nats::Message) -> Option<&str> {
    message.headers.as_ref()?.get(TRACEPARENT).map(async_nats::HeaderValue::as_str)
}

fn recorded(message: &StreamMessage) -> Result<Recorded, LogError> {
    let event = wire::decode(content_type(&message.headers), &message.payload).map_err(|error| {
        LogError::new(format!("decode sequence {} ({})", message.sequence, message.subject), error)
    })?;
    Ok(Recorded { sequence: message.sequence, subject: message.subject.to_string(), event })
}

impl JetStreamLog {
    async fn stream(&self, name: &str) -> Result<async_nats::jetstream::stream::Stream<()>, LogError> {
        let mut context = async_nats::jetstream::new(self.client().clone());
        context.set_timeout(super::TIMEOUT);
        context
            .get_stream_no_info(name)
            .await
            .map_err(|error| LogError::new(format!("open stream {name}"), error))
    }

    /// The last event under a filter, from any replica: a stale answer costs its caller one conflict.
    pub(super) async fn last_under(&self, stream: &str, filter: &str) -> Result<Option<Recorded>, LogError> {
        let found = self.stream(stream).await?.direct_get_last_for_subject(filter).await;
        match found {
            Ok(message) => recorded(&message).map(Some),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(error) => Err(LogError::new(format!("last event under {filter} of {stream}"), error)),
        }
    }

    /// The event at a sequence.
    pub(super) async fn at(&self, stream: &str, sequence: u64) -> Result<Option<Recorded>, LogError> {
        if sequence == 0 {
            return Ok(None);
        }
        match self.stream(stream).await?.direct_get(sequence).await {
            Ok(message) => recorded(&message).map(Some),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(error) => Err(LogError::new(format!("event {sequence} of {stream}"), error)),
        }
    }

    /// Sequence and id of the first event under a filter behind `after`, from the stream's leader. A
    /// message that is no event has no id.
    pub(super) async fn first_behind(
        &self,
        stream: &str,
        filter: &str,
        after: u64,
    ) -> Result<Option<(u64, Option<String>)>, LogError> {
        let found = self.stream(stream).await?.get_first_raw_message_by_subject(filter, after + 1).await;
        identity(found, || format!("first event under {filter} behind {after}"))
    }

    /// Sequence and id of the message at a sequence, from the stream's leader.
    pub(super) async fn identity_at(
        &self,
        stream: &str,
        sequence: u64,
    ) -> Result<Option<(u64, Option<String>)>, LogError> {
        let found = self.stream(stream).await?.get_raw_message(sequence).await;
        identity(found, || format!("event {sequence} of {stream}"))
    }

    /// Sequence and id of the last message under a subject, from the stream's leader.
    pub(super) async fn identity_of_last(
        &self,
        stream: &str,
        subject: &str,
    ) -> Result<Option<(u64, Option<String>)>, LogError> {
        let stream = self.stream(stream).await?;
        let found = stream.raw_message_builder().last_by_subject(subject.to_owned()).send().await;
        identity(found, || format!("last event under {subject}"))
    }
}

fn identity(
    found: Result<StreamMessage, RawMessageError>,
    doing: impl Fn() -> String,
) -> Result<Option<(u64, Option<String>)>, LogError> {
    match found {
        Ok(message) => Ok(Some((message.sequence, recorded(&message).ok().map(|found| found.event.id)))),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(LogError::new(doing(), error)),
    }
}
