//! Faults of streams.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ledger::Vendor;

const fn once() -> u32 {
    1
}

/// Which messages meet a fault, and when.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StreamRule {
    /// Whose.
    pub vendor: Vendor,
    /// Streams whose path begins so; every one when left out.
    #[serde(default)]
    pub path: String,
    /// Messages of this kind (`t`, `AM`, `trade_updates`); every kind when left out.
    #[serde(default)]
    pub kind: Option<String>,
    /// How many messages pass before.
    #[serde(default)]
    pub after: u32,
    /// How many messages meet it.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens to them.
    #[serde(flatten)]
    pub fault: StreamFault,
}

/// What happens to a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum StreamFault {
    /// It is not sent.
    Drop,
    /// It is sent twice.
    Duplicate,
    /// It is sent after as many later ones of its connection.
    Late {
        /// How many messages overtake it.
        by: u32,
    },
    /// It and everything after it waits.
    Delay {
        /// How long.
        ms: u64,
    },
    /// The connection ends without a word.
    Cut,
    /// The connection is closed with a code.
    Close {
        /// 1000, 1001, 1011 and so on.
        code: u16,
        /// The reason.
        #[serde(default)]
        reason: String,
    },
    /// The connection stays and says nothing more.
    Mute,
    /// A message of the test's own is sent before it.
    Interject {
        /// Sent as this vendor encodes its control messages.
        message: Value,
    },
    /// Bytes that are no message are sent before it.
    Garbage,
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It is sent.
    Send,
    /// It meets a fault.
    Fault(StreamFault),
}

impl StreamRule {
    /// Whether a message is meant.
    #[must_use]
    pub fn fits(&self, vendor: Vendor, path: &str, kind: &str) -> bool {
        self.vendor == vendor
            && path.starts_with(&self.path)
            && self.kind.as_deref().is_none_or(|wanted| wanted == kind)
    }
}
