//! Streams and durable consumers, defined by the JSON files beside this crate in exactly the form that
//! `nats stream add --config` accepts; the files are part of the program.
//!
//! Applying creates what is missing and changes nothing that runs: a difference is reported as drift, and
//! whoever operates the server decides.

use std::fmt;

use serde_json::Value;

use crate::LogError;
use crate::jetstream::JetStreamLog;

/// The definition file of a stream.
#[derive(Clone, Copy, Debug)]
pub struct StreamFile {
    /// Stream's name, also the file's.
    pub name: &'static str,
    /// The file.
    pub json: &'static str,
}

/// The definition file of a durable consumer.
#[derive(Clone, Copy, Debug)]
pub struct ConsumerFile {
    /// Stream it consumes.
    pub stream: &'static str,
    /// Its durable name; the file is `<stream>.<name>.json`.
    pub name: &'static str,
    /// The file.
    pub json: &'static str,
}

macro_rules! stream_file {
    ($name:literal) => {
        StreamFile { name: $name, json: include_str!(concat!("../../streams/", $name, ".json")) }
    };
}

macro_rules! consumer_file {
    ($stream:literal, $name:literal) => {
        ConsumerFile {
            stream: $stream,
            name: $name,
            json: include_str!(concat!("../../consumers/", $stream, ".", $name, ".json")),
        }
    };
}

/// What the market did; its metadata say what the tape is.
pub(crate) const MARKET: StreamFile = stream_file!("MARKET");

/// Every stream of the tape.
pub const STREAMS: &[StreamFile] = &[
    MARKET,
    stream_file!("REFERENCE"),
    stream_file!("TRADING"),
    stream_file!("AUDIT"),
    stream_file!("PARKED"),
    stream_file!("LOGS"),
    stream_file!("QUOTES"),
];

/// Every durable consumer of the tape.
pub const CONSUMERS: &[ConsumerFile] =
    &[consumer_file!("MARKET", "strategy"), consumer_file!("MARKET", "execution")];

impl StreamFile {
    /// The file as JSON.
    pub fn config(&self) -> Result<Value, LogError> {
        parse(self.json, self.name)
    }
}

impl ConsumerFile {
    /// The file as JSON.
    pub fn config(&self) -> Result<Value, LogError> {
        parse(self.json, self.name)
    }

    /// Filters it states; none means everything.
    pub(crate) fn filters(&self) -> Vec<String> {
        let config = self.config().unwrap_or_default();
        let one = config.get("filter_subject").and_then(Value::as_str);
        let many = config.get("filter_subjects").and_then(Value::as_array);
        let many = many.into_iter().flatten().filter_map(Value::as_str);
        one.into_iter().chain(many).map(str::to_owned).collect()
    }

    /// Whether acknowledging a message acknowledges all before it.
    pub(crate) fn acks_all(&self) -> bool {
        self.config().is_ok_and(|config| config.get("ack_policy").is_some_and(|policy| policy == "all"))
    }

    /// Most messages that may be delivered and unacknowledged.
    pub(crate) fn max_ack_pending(&self) -> usize {
        let stated = self.config().ok().and_then(|config| config.get("max_ack_pending")?.as_u64());
        stated.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX)
    }
}

fn parse(json: &str, name: &str) -> Result<Value, LogError> {
    serde_json::from_str(json).map_err(|error| LogError::new(format!("read the definition of {name}"), error))
}

/// The permissions file of a service's user, in the form of the server's configuration.
#[derive(Clone, Copy, Debug)]
pub struct PermissionFile {
    /// Service's name, also the file's.
    pub service: &'static str,
    /// The file.
    pub json: &'static str,
}

macro_rules! permission_file {
    ($name:literal) => {
        PermissionFile { service: $name, json: include_str!(concat!("../../permissions/", $name, ".json")) }
    };
}

/// What each service may do on the server.
pub const PERMISSIONS: &[PermissionFile] = &[
    permission_file!("ingest"),
    permission_file!("strategy"),
    permission_file!("risk"),
    permission_file!("execution"),
    permission_file!("backtest"),
    permission_file!("projector"),
    permission_file!("checker"),
    permission_file!("web"),
];

impl PermissionFile {
    /// Name of the service's user. Its inboxes begin with `_INBOX_` and this name.
    #[must_use]
    pub fn user(&self) -> String {
        format!("{SERVICE_USER}{}", self.service)
    }

    /// The file as JSON.
    pub fn permissions(&self) -> Result<Value, LogError> {
        parse(self.json, self.service)
    }

    /// Whether the user may publish under `subject`.
    pub fn may_publish(&self, subject: &str) -> Result<bool, LogError> {
        let permissions = self.permissions()?;
        let covered = |list: &str| {
            let filters = permissions["publish"][list].as_array().into_iter().flatten();
            filters.filter_map(Value::as_str).any(|filter| crate::covers(filter, subject))
        };
        Ok(covered("allow") && !covered("deny"))
    }
}

/// What the names of services' users begin with.
pub(crate) const SERVICE_USER: &str = "service-";

/// Something that [`apply`] created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A stream.
    CreatedStream(String),
    /// A durable consumer.
    CreatedConsumer {
        /// Stream it consumes.
        stream: String,
        /// Its name.
        consumer: String,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreatedStream(stream) => write!(formatter, "created stream {stream}"),
            Self::CreatedConsumer { stream, consumer } => {
                write!(formatter, "created consumer {consumer} on {stream}")
            }
        }
    }
}

/// A field that the file and the server state differently.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Drift {
    /// Stream concerned.
    pub stream: String,
    /// Consumer concerned; `None` for the stream itself.
    pub consumer: Option<String>,
    /// Field as the file names it; `.` when the whole stream or consumer is missing on the server.
    pub field: String,
    /// What the file says.
    pub file_value: Value,
    /// What the server says; null when it says nothing.
    pub server_value: Value,
}

impl fmt::Display for Drift {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let consumer = self.consumer.as_deref().map_or_else(String::new, |name| format!(" consumer {name}"));
        write!(
            formatter,
            "{}{consumer} {}: file {}, server {}",
            self.stream, self.field, self.file_value, self.server_value
        )
    }
}

/// Creates the streams and consumers that are missing and leaves the others as they are.
pub async fn apply(log: &JetStreamLog) -> Result<Vec<Change>, LogError> {
    let mut changes = Vec::new();
    for file in STREAMS {
        if log.stream_config(file.name).await?.is_none() {
            log.create_stream(file.name, &file.config()?).await?;
            changes.push(Change::CreatedStream(file.name.to_owned()));
        }
    }
    for file in CONSUMERS {
        if log.consumer_config(file.stream, file.name).await?.is_none() {
            log.create_consumer(file.stream, file.name, &file.config()?).await?;
            let (stream, consumer) = (file.stream.to_owned(), file.name.to_owned());
            changes.push(Change::CreatedConsumer { stream, consumer });
        }
    }
    Ok(changes)
}

/// What differs between the files and the server; nothing is changed.
pub async fn diff(log: &JetStreamLog) -> Result<Vec<Drift>, LogError> {
    let mut drifts = Vec::new();
    for file in STREAMS {
        let server = log.stream_config(file.name).await?;
        compare(file.name, None, &file.config()?, server.as_ref(), &mut drifts);
    }
    for file in CONSUMERS {
        let server = log.consumer_config(file.stream, file.name).await?;
        compare(file.stream, Some(file.name), &file.config()?, server.as_ref(), &mut drifts);
    }
    Ok(drifts)
}

fn compare(
    stream: &str,
    consumer: Option<&str>,
    file: &Value,
    server: Option<&Value>,
    drifts: &mut Vec<Drift>,
) {
    let mut differ = |field: &str, file_value: &Value, server_value: &Value| {
        drifts.push(Drift {
            stream: stream.to_owned(),
            consumer: consumer.map(str::to_owned),
            field: field.to_owned(),
            file_value: file_value.clone(),
            server_value: server_value.clone(),
        });
    };
    let Some(server) = server else {
        differ(".", file, &Value::Null);
        return;
    };
    for (field, file_value) in file.as_object().into_iter().flatten() {
        let server_value = server.get(field).unwrap_or(&Value::Null);
        let agrees = file_value == server_value
            || (is_default(file_value) && is_default(server_value))
            || is_safer(field, file_value, server_value);
        if !agrees {
            differ(field, file_value, server_value);
        }
    }
    let unstated = if consumer.is_some() { &UNSTATED_OF_A_CONSUMER[..] } else { &UNSTATED_OF_A_STREAM[..] };
    for field in unstated.iter().filter(|field| file.get(**field).is_none()) {
        let server_value = server.get(*field).unwrap_or(&Value::Null);
        if !is_default(server_value) {
            differ(field, &Value::Null, server_value);
        }
    }
}

/// Whether the server keeps more than the file asks for: more copies, as on a cluster, where it also waits for each write of
/// every stream.
fn is_safer(field: &str, file_value: &Value, server_value: &Value) -> bool {
    match field {
        "num_replicas" => server_value.as_u64() > file_value.as_u64(),
        "persist_mode" => is_default(server_value),
        _ => false,
    }
}

/// What a file leaves out because a stream of the tape must not have it: with it the server acknowledges what is not on
/// disk, lets messages go, takes others in or changes them. Other fields that a server adds are its own.
const UNSTATED_OF_A_STREAM: [&str; 11] = [
    "persist_mode",
    "no_ack",
    "sealed",
    "mirror",
    "sources",
    "subject_transform",
    "republish",
    "allow_rollup_hdrs",
    "allow_msg_ttl",
    "allow_msg_counter",
    "allow_msg_schedules",
];

/// What a file leaves out because a durable consumer of the tape must not have it: it would be given less, by other
/// means, or lose its place.
const UNSTATED_OF_A_CONSUMER: [&str; 6] =
    ["headers_only", "deliver_subject", "backoff", "inactive_threshold", "mem_storage", "priority_policy"];

/// A value that the server may leave out.
fn is_default(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => matches!(text.as_str(), "" | "default" | "none"),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_file_is_json_and_names_what_its_name_says() {
        for file in STREAMS {
            assert_eq!(file.config().unwrap()["name"], file.name);
        }
        for file in CONSUMERS {
            assert_eq!(file.config().unwrap()["durable_name"], file.name);
            assert!(STREAMS.iter().any(|stream| stream.name == file.stream), "{}", file.stream);
        }
    }

    #[test]
    fn every_subject_of_a_stream_belongs_to_it_by_the_grammar() {
        for file in STREAMS {
            let config = file.config().unwrap();
            for subject in config["subjects"].as_array().unwrap() {
                assert_eq!(contracts::stream_of(subject.as_str().unwrap()), Some(file.name));
            }
        }
    }

    #[test]
    fn event_streams_deny_delete_and_purge() {
        let passing = [contracts::stream::LOGS, contracts::stream::QUOTES];
        for file in STREAMS.iter().filter(|file| !passing.contains(&file.name)) {
            let config = file.config().unwrap();
            for field in ["deny_delete", "deny_purge", "allow_atomic", "allow_direct"] {
                assert_eq!(config[field], Value::Bool(true), "{} {field}", file.name);
            }
        }
    }

    #[test]
    fn a_changed_field_and_a_missing_stream_are_drift() {
        let file = STREAMS[0].config().unwrap();
        let mut server = file.clone();
        server["max_age"] = Value::from(5);
        let mut drifts = Vec::new();
        compare("MARKET", None, &file, Some(&server), &mut drifts);
        assert_eq!(drifts.len(), 1);
        assert_eq!((drifts[0].field.as_str(), &drifts[0].server_value), ("max_age", &Value::from(5)));
        drifts.clear();
        compare("MARKET", None, &file, None, &mut drifts);
        assert_eq!(drifts[0].field, ".");
    }

    #[test]
    fn what_a_file_does_not_state_must_not_be_there() {
        let differing = |name: &str, consumer: Option<&str>, file: &Value, changes: Value| {
            let mut server = file.clone();
            for (field, value) in changes.as_object().unwrap() {
                server[field] = value.clone();
            }
            let mut drifts = Vec::new();
            compare(name, consumer, file, Some(&server), &mut drifts);
            drifts.iter().map(|drift| drift.field.clone()).collect::<Vec<_>>()
        };
        let stream = |name: &str, changes: Value| {
            let file = STREAMS.iter().find(|file| file.name == name).unwrap().config().unwrap();
            differing(name, None, &file, changes)
        };
        assert_eq!(stream("TRADING", json!({"persist_mode": "async"})), ["persist_mode"]);
        assert_eq!(stream("LOGS", json!({"persist_mode": "async", "num_replicas": 0})), ["num_replicas"]);
        let changes = json!({"allow_msg_ttl": true, "sources": [{"name": "OTHER"}]});
        assert_eq!(stream("MARKET", changes), ["sources", "allow_msg_ttl"]);
        // A server's own, or safer than asked.
        let own = json!({"compression": "none", "metadata": {"_nats.level": "4"}, "persist_mode": "default",
            "allow_rollup_hdrs": false, "num_replicas": 3});
        assert_eq!(stream("TRADING", own.clone()), [""; 0]);
        assert_eq!(stream("LOGS", own), [""; 0]);
        let file = CONSUMERS[0].config().unwrap();
        assert_eq!(
            differing("MARKET", Some("strategy"), &file, json!({"headers_only": true, "num_replicas": 3})),
            ["headers_only"]
        );
    }
}
