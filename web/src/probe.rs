//! What the site asks of whoever started this service: how servers, disk and streams are, what is configured, whether
//! a connection works, which part of the tape can be run again. The binary answers; here are only the questions.
//!
//! No answer holds a secret: of those only whether they are set.

use async_trait::async_trait;
use contracts::v1::BacktestRequest;
use projections::as_of::Timeline;
use serde::Serialize;

/// A stream of the tape.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct StreamHealth {
    /// Name.
    pub name: String,
    /// Messages stored.
    pub messages: u64,
    /// First sequence stored.
    pub first_sequence: u64,
    /// Last sequence stored.
    pub last_sequence: u64,
    /// Bytes stored.
    pub bytes: u64,
    /// 95th percentile of this process's appends to it, in milliseconds: the upper bound of the bucket that
    /// holds it. `None` when it has appended nothing.
    pub append_p95_ms: Option<f64>,
    /// Where the server differs from the definition, in words.
    pub drifts: Vec<String>,
}

/// The NATS server and the streams on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct NatsHealth {
    /// Server version.
    pub version: String,
    /// Address without user and password.
    pub url: String,
    /// Time of a round trip, in milliseconds.
    pub round_trip_ms: f64,
    /// Every stream of the tape.
    pub streams: Vec<StreamHealth>,
}

/// How severe a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// All is well.
    Good,
    /// Something to look at.
    Warning,
    /// Something that has to be mended.
    Bad,
}

/// One thing looked at, as `tapedeck doctor` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// How it is.
    pub severity: Severity,
    /// In words.
    pub detail: String,
    /// The command that mends it; empty when there is nothing to mend.
    pub mend: String,
}

/// One value of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Setting {
    /// Field, for example `web.bind`.
    pub field: String,
    /// The value that takes effect.
    pub value: String,
    /// The default; `None` for what has none.
    pub default: Option<String>,
    /// `default`, `file`, or the option and variable that say it.
    pub source: String,
}

/// Something secret: whether it is set, never what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// Whether it is set.
    pub set: bool,
    /// Where it comes from.
    pub source: String,
}

/// Everything configured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Settings {
    /// The configuration file; `None` when there is none.
    pub file: Option<String>,
    /// Directory of the tapes.
    pub home: String,
    /// Values by field.
    pub values: Vec<Setting>,
    /// Secrets.
    pub secrets: Vec<Secret>,
    /// Connections that can be tested.
    pub connections: Vec<Connection>,
}

/// The NATS server, as a connection is named.
pub const NATS: &str = "nats";
/// The database, as a connection is named.
pub const POSTGRES: &str = "postgres";

/// A connection that can be tested.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Connection {
    /// Its name in addresses: `nats`, `postgres`, a vendor, or `broker.` and the name of an account.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// Where it leads, without user and password; empty where that is told elsewhere.
    pub url: String,
    /// Fields of the configuration whose credentials are not set, without which it is not tested.
    pub unset: Vec<String>,
}

/// Why a part of the tape cannot be run again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoStretch {
    /// A field names what the tape does not hold, or what cannot be changed there.
    Asked {
        /// Field of the request.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is expected.
        expected: String,
    },
    /// It could not be looked for.
    Unread(String),
}

/// Who answers.
#[async_trait]
pub trait Probe: std::fmt::Debug + Send + Sync {
    /// How the NATS server is; the error says why it cannot be told.
    async fn nats(&self) -> Result<NatsHealth, String>;

    /// What `tapedeck doctor` finds.
    async fn findings(&self) -> Vec<Finding>;

    /// What is configured.
    fn settings(&self) -> Result<Settings, String>;

    /// Connects anew by the name of a connection of [`Settings`]; answers what it found, or why it could not.
    async fn test(&self, connection: &str) -> Result<String, String>;

    /// Looks for what a parity or a fork, which is complete, wants to run again, as its run will. `past` is that of the
    /// tape.
    async fn stretch(&self, past: &Timeline, request: &BacktestRequest) -> Result<(), NoStretch>;
}
