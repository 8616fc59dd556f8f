//! Requests to the server's JetStream API, in raw JSON: the definition files are in that form too.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Connection, JetStreamLog};
use crate::{DurableState, LogError, StreamState};

/// Error codes of the server that mean something to the adapter.
pub(super) mod code {
    pub const WRONG_LAST_MESSAGE_ID: u64 = 10_070;
    pub const WRONG_LAST_SEQUENCE: u64 = 10_071;
    pub const WRONG_LAST_SEQUENCE_IN_FLIGHT: u64 = 10_164;
    pub const BATCH_HAS_DUPLICATE: u64 = 10_201;
    pub const MESSAGE_TOO_LARGE: u64 = 10_054;
    pub const HEADERS_TOO_LARGE: u64 = 10_097;
    pub const BATCH_DISABLED: u64 = 10_174;
    pub const BATCH_TOO_LARGE: u64 = 10_199;
    pub const STREAM_NOT_FOUND: u64 = 10_059;
    pub const CONSUMER_NOT_FOUND: u64 = 10_014;
}

/// An error that the server answered.
#[derive(Clone, Debug, Deserialize, thiserror::Error)]
#[error("{description} (code {code}, error {err_code})")]
pub(super) struct ServerError {
    #[serde(default)]
    pub code: u64,
    #[serde(default)]
    pub err_code: u64,
    #[serde(default)]
    pub description: String,
}

/// Why a request has no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Log(#[from] LogError),
}

impl ApiError {
    pub fn is(&self, err_code: u64) -> bool {
        matches!(self, Self::Server(error) if error.err_code == err_code)
    }

    pub fn into_log(self, doing: impl Into<String>) -> LogError {
        match self {
            Self::Server(error) => LogError::new(doing, error),
            Self::Log(error) => error,
        }
    }
}

#[derive(Deserialize)]
struct Failure {
    error: Option<ServerError>,
}

/// Reads an answer: the server's error where it has one, else the result.
pub(super) fn answer<T: DeserializeOwned>(doing: &str, payload: &[u8]) -> Result<T, ApiError> {
    let failure: Failure = serde_json::from_slice(payload)
        .map_err(|error| LogError::new(format!("read the answer to {doing}"), error))?;
    if let Some(error) = failure.error {
        return Err(error.into());
    }
    let result = serde_json::from_slice(payload);
    Ok(result.map_err(|error| LogError::new(format!("read the answer to {doing}"), error))?)
}

/// Asks the API; `subject` is what follows `$JS.API.`.
pub(super) async fn request<T: DeserializeOwned>(
    client: &async_nats::Client,
    subject: &str,
    body: &Value,
) -> Result<T, ApiError> {
    let payload = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let asked = client.request(format!("$JS.API.{subject}"), payload.into());
    let reply = tokio::time::timeout(super::TIMEOUT, asked)
        .await
        .map_err(|elapsed| LogError::new(subject, elapsed))?
        .map_err(|error| LogError::new(subject, error))?;
    answer(subject, &reply.payload)
}

impl Connection {
    pub(super) async fn stream_state(&self, stream: &str) -> Result<StreamState, LogError> {
        #[derive(Deserialize)]
        struct Info {
            state: Counts,
        }
        #[derive(Deserialize)]
        struct Counts {
            messages: u64,
            bytes: u64,
            first_seq: u64,
            last_seq: u64,
        }
        let info: Info = request(&self.client, &format!("STREAM.INFO.{stream}"), &Value::Null)
            .await
            .map_err(|error| error.into_log(format!("state of stream {stream}")))?;
        Ok(StreamState {
            // The server's first sequence of an empty stream is the next one; the port's is 0.
            first_sequence: if info.state.messages == 0 { 0 } else { info.state.first_seq },
            last_sequence: info.state.last_seq,
            messages: info.state.messages,
            bytes: info.state.bytes,
        })
    }
}

impl JetStreamLog {
    pub(super) async fn consumer_ack_floor(&self, stream: &str, durable: &str) -> Result<u64, LogError> {
        #[derive(Deserialize)]
        struct Info {
            ack_floor: Floor,
        }
        #[derive(Deserialize)]
        struct Floor {
            stream_seq: u64,
        }
        let info: Info = request(self.client(), &format!("CONSUMER.INFO.{stream}.{durable}"), &Value::Null)
            .await
            .map_err(|error| error.into_log(format!("state of consumer {stream}.{durable}")))?;
        Ok(info.ack_floor.stream_seq)
    }

    /// How far a consumer is; `None` when there is no such consumer.
    pub(super) async fn consumer_state(
        &self,
        stream: &str,
        durable: &str,
    ) -> Result<Option<DurableState>, LogError> {
        #[derive(Deserialize)]
        struct Info {
            ack_floor: Floor,
            num_pending: u64,
            num_ack_pending: u64,
        }
        #[derive(Deserialize)]
        struct Floor {
            stream_seq: u64,
        }
        let subject = format!("CONSUMER.INFO.{stream}.{durable}");
        match request::<Info>(self.client(), &subject, &Value::Null).await {
            Ok(info) => Ok(Some(DurableState {
                ack_floor: info.ack_floor.stream_seq,
                pending: info.num_pending,
                ack_pending: info.num_ack_pending,
            })),
            Err(error) if error.is(code::CONSUMER_NOT_FOUND) => Ok(None),
            Err(error) => Err(error.into_log(format!("state of consumer {stream}.{durable}"))),
        }
    }

    /// The server's configuration of a stream; `None` when there is no such stream.
    pub(crate) async fn stream_config(&self, stream: &str) -> Result<Option<Value>, LogError> {
        self.config(&format!("STREAM.INFO.{stream}"), code::STREAM_NOT_FOUND).await
    }

    /// The server's configuration of a consumer; `None` when there is no such consumer.
    pub(crate) async fn consumer_config(
        &self,
        stream: &str,
        durable: &str,
    ) -> Result<Option<Value>, LogError> {
        self.config(&format!("CONSUMER.INFO.{stream}.{durable}"), code::CONSUMER_NOT_FOUND).await
    }

    async fn config(&self, subject: &str, not_found: u64) -> Result<Option<Value>, LogError> {
        match request::<Value>(self.client(), subject, &Value::Null).await {
            Ok(mut info) => Ok(Some(info.get_mut("config").map_or(Value::Null, Value::take))),
            Err(error) if error.is(not_found) || error.is(code::STREAM_NOT_FOUND) => Ok(None),
            Err(error) => Err(error.into_log(subject)),
        }
    }

    pub(crate) async fn create_stream(&self, stream: &str, config: &Value) -> Result<(), LogError> {
        request::<Value>(self.client(), &format!("STREAM.CREATE.{stream}"), config)
            .await
            .map_err(|error| error.into_log(format!("create stream {stream}")))?;
        Ok(())
    }

    /// Gives a stream that exists another configuration.
    pub(crate) async fn update_stream(&self, stream: &str, config: &Value) -> Result<(), LogError> {
        request::<Value>(self.client(), &format!("STREAM.UPDATE.{stream}"), config)
            .await
            .map_err(|error| error.into_log(format!("update stream {stream}")))?;
        Ok(())
    }

    /// Deletes a consumer, if it is there.
    pub(crate) async fn delete_consumer(&self, stream: &str, durable: &str) -> Result<(), LogError> {
        match request::<Value>(self.client(), &format!("CONSUMER.DELETE.{stream}.{durable}"), &Value::Null)
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if error.is(code::CONSUMER_NOT_FOUND) => Ok(()),
            Err(error) => Err(error.into_log(format!("delete consumer {stream}.{durable}"))),
        }
    }

    /// Sets a consumer to a sequence.
    pub(crate) async fn reset_consumer(
        &self,
        stream: &str,
        durable: &str,
        sequence: u64,
    ) -> Result<(), LogError> {
        let body = json!({ "seq": sequence });
        request::<Value>(self.client(), &format!("CONSUMER.RESET.{stream}.{durable}"), &body)
            .await
            .map_err(|error| error.into_log(format!("set consumer {stream}.{durable} to {sequence}")))?;
        Ok(())
    }

    pub(crate) async fn create_consumer(
        &self,
        stream: &str,
        durable: &str,
        config: &Value,
    ) -> Result<(), LogError> {
        self.define_consumer(stream, durable, config, "create").await
    }

    /// Gives a consumer that exists another configuration.
    pub(crate) async fn update_consumer(
        &self,
        stream: &str,
        durable: &str,
        config: &Value,
    ) -> Result<(), LogError> {
        self.define_consumer(stream, durable, config, "update").await
    }

    async fn define_consumer(
        &self,
        stream: &str,
        durable: &str,
        config: &Value,
        action: &str,
    ) -> Result<(), LogError> {
        // The long form names the filter in the subject, where permissions can see it.
        let filter = config.get("filter_subject").and_then(Value::as_str);
        let suffix = filter.map_or_else(String::new, |filter| format!(".{filter}"));
        let body = json!({ "stream_name": stream, "config": config, "action": action });
        request::<Value>(self.client(), &format!("CONSUMER.CREATE.{stream}.{durable}{suffix}"), &body)
            .await
            .map_err(|error| error.into_log(format!("{action} consumer {stream}.{durable}")))?;
        Ok(())
    }
}
