//! Durable consumers that are made while the system runs: those of external strategies.
//!
//! An external strategy has one consumer on MARKET, whose acknowledgements the tape clock follows, and one on
//! TRADING, which it only reads. Both begin with the first message, so that whoever starts can set them back
//! (`$JS.API.CONSUMER.RESET`) and read everything again in order.
//!
//! Deliberately absent: users and permissions, which are the server's configuration.

use serde_json::{Value, json};

use crate::LogError;
use crate::jetstream::JetStreamLog;

/// Time after which an unacknowledged message is delivered again, in nanoseconds.
const ACK_WAIT_NS: u64 = 30_000_000_000;
/// Most messages delivered and unacknowledged.
const MAX_ACK_PENDING: u64 = 1_000;

/// A durable consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurableSpec {
    /// Stream it consumes.
    pub stream: &'static str,
    /// Name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Subjects it delivers, wildcards included; they must not overlap.
    pub filters: Vec<String>,
    /// Whether messages are acknowledged one by one.
    pub acknowledged: bool,
}

impl DurableSpec {
    /// The definition in the form that the server and the `nats` CLI take.
    #[must_use]
    pub fn config(&self) -> Value {
        let mut config = json!({
            "durable_name": self.name,
            "name": self.name,
            "description": self.description,
            "deliver_policy": "all",
            "ack_policy": if self.acknowledged { "explicit" } else { "none" },
            "max_deliver": -1,
            "filter_subjects": self.filters,
            "replay_policy": "instant",
        });
        if self.acknowledged {
            config["ack_wait"] = ACK_WAIT_NS.into();
            config["max_ack_pending"] = MAX_ACK_PENDING.into();
        }
        config
    }
}

impl JetStreamLog {
    /// Makes a durable consumer, or gives the one that exists the filters of `spec`; it keeps its place.
    pub async fn ensure_durable(&self, spec: &DurableSpec) -> Result<(), LogError> {
        let wanted = spec.config();
        if let Some(present) = self.consumer_config(spec.stream, &spec.name).await? {
            if present.get("filter_subjects") == wanted.get("filter_subjects")
                && present.get("ack_policy") == wanted.get("ack_policy")
            {
                return Ok(());
            }
            return self.update_consumer(spec.stream, &spec.name, &wanted).await;
        }
        self.create_consumer(spec.stream, &spec.name, &wanted).await
    }

    /// Has a durable consumer go on with the message at `sequence`; what is before it counts as acknowledged.
    pub async fn set_durable(&self, stream: &str, name: &str, sequence: u64) -> Result<(), LogError> {
        self.reset_consumer(stream, name, sequence).await
    }

    /// Deletes a durable consumer; one that is gone already is no error.
    pub async fn drop_durable(&self, stream: &str, name: &str) -> Result<(), LogError> {
        self.delete_consumer(stream, name).await
    }
}
