//! What arrived and what was sent, counted and kept, so that a test can say what a client did.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::locked;

/// The newest requests are kept, so that a long run does not fill the memory.
const REQUESTS_MAX: usize = 20_000;
/// The newest messages of clients on sockets.
const MESSAGES_MAX: usize = 5_000;

/// A vendor's server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vendor {
    /// Orders, positions, the account.
    AlpacaTrading,
    /// Bars, quotes, trades, news, corporate actions.
    AlpacaData,
    /// Massive, which was Polygon.
    Massive,
    /// Yahoo.
    Yahoo,
    /// NewsAPI.
    News,
}

/// Every vendor.
pub const VENDORS: [Vendor; 5] =
    [Vendor::AlpacaTrading, Vendor::AlpacaData, Vendor::Massive, Vendor::Yahoo, Vendor::News];

/// A request as it arrived.
#[derive(Clone, Debug, Serialize)]
pub struct Request {
    /// Counts from 1 on, over all vendors.
    pub number: u64,
    /// Milliseconds since the stand-in started.
    pub at_ms: u64,
    /// To whom.
    pub vendor: Vendor,
    /// GET and so on.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// The query as it was written.
    pub query: String,
    /// Headers by their small names.
    pub headers: BTreeMap<String, String>,
    /// The body; JSON where it is JSON, else text.
    pub body: Value,
    /// What was answered; 0 while there is no answer and when there was none.
    pub status: u16,
}

/// A message of a client on a socket.
#[derive(Clone, Debug, Serialize)]
pub struct Message {
    /// The connection.
    pub connection: u64,
    /// To whom.
    pub vendor: Vendor,
    /// Whether the frame was binary.
    pub binary: bool,
    /// The message, decoded.
    pub body: Value,
}

/// A socket and what was sent over it.
#[derive(Clone, Debug, Serialize)]
pub struct Connection {
    /// Counts from 1 on, over all vendors.
    pub number: u64,
    /// To whom.
    pub vendor: Vendor,
    /// Which of its streams.
    pub path: String,
    /// Frames hold MessagePack, or JSON in binary frames.
    pub binary: bool,
    /// Not closed yet.
    pub open: bool,
    /// Messages of data, by kind, without those that a fault kept back.
    pub sent: BTreeMap<String, u64>,
    /// Frames with data.
    pub frames: u64,
    /// The market's sequence in the first message.
    pub first_sequence: u64,
    /// The market's sequence in the last message.
    pub last_sequence: u64,
}

#[derive(Default)]
struct Kept {
    requests: VecDeque<Request>,
    messages: VecDeque<Message>,
    connections: BTreeMap<u64, Connection>,
    request_count: u64,
    connection_count: u64,
}

/// Requests, messages and connections.
pub struct Ledger {
    started: std::time::Instant,
    kept: Mutex<Kept>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { started: std::time::Instant::now(), kept: Mutex::default() }
    }
}

impl Ledger {
    /// Keeps a request and numbers it.
    pub fn request(&self, mut request: Request) -> u64 {
        let mut kept = locked(&self.kept);
        kept.request_count += 1;
        request.number = kept.request_count;
        request.at_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        kept.requests.push_back(request);
        if kept.requests.len() > REQUESTS_MAX {
            kept.requests.pop_front();
        }
        kept.request_count
    }

    /// Notes what was answered.
    pub fn answered(&self, number: u64, status: u16) {
        let mut kept = locked(&self.kept);
        if let Some(request) = kept.requests.iter_mut().rev().find(|request| request.number == number) {
            request.status = status;
        }
    }

    /// Requests to a vendor whose path begins so, oldest first.
    #[must_use]
    pub fn requests(&self, vendor: Option<Vendor>, path: &str) -> Vec<Request> {
        let kept = locked(&self.kept);
        let wanted = |request: &&Request| {
            vendor.is_none_or(|vendor| request.vendor == vendor) && request.path.starts_with(path)
        };
        kept.requests.iter().filter(wanted).cloned().collect()
    }

    /// Keeps a message.
    pub fn message(&self, message: Message) {
        let mut kept = locked(&self.kept);
        kept.messages.push_back(message);
        if kept.messages.len() > MESSAGES_MAX {
            kept.messages.pop_front();
        }
    }

    /// Messages of clients to a vendor, oldest first.
    #[must_use]
    pub fn messages(&self, vendor: Option<Vendor>) -> Vec<Message> {
        let kept = locked(&self.kept);
        let wanted = |message: &&Message| vendor.is_none_or(|vendor| message.vendor == vendor);
        kept.messages.iter().filter(wanted).cloned().collect()
    }

    /// Opens a connection and numbers it.
    pub fn connect(&self, vendor: Vendor, path: &str, binary: bool) -> u64 {
        let mut kept = locked(&self.kept);
        kept.connection_count += 1;
        let number = kept.connection_count;
        let connection = Connection {
            number,
            vendor,
            path: path.to_owned(),
            binary,
            open: true,
            sent: BTreeMap::new(),
            frames: 0,
            first_sequence: 0,
            last_sequence: 0,
        };
        kept.connections.insert(number, connection);
        number
    }

    /// Counts a frame with messages of these kinds and sequences.
    pub fn sent<'a>(&self, connection: u64, messages: impl Iterator<Item = (&'a str, u64)>) {
        let mut kept = locked(&self.kept);
        let Some(connection) = kept.connections.get_mut(&connection) else { return };
        connection.frames += 1;
        for (kind, sequence) in messages {
            match connection.sent.get_mut(kind) {
                Some(count) => *count += 1,
                None => {
                    connection.sent.insert(kind.to_owned(), 1);
                }
            }
            if connection.first_sequence == 0 {
                connection.first_sequence = sequence;
            }
            connection.last_sequence = sequence;
        }
    }

    /// Notes that a connection is closed.
    pub fn disconnect(&self, connection: u64) {
        if let Some(connection) = locked(&self.kept).connections.get_mut(&connection) {
            connection.open = false;
        }
    }

    /// Connections, oldest first.
    #[must_use]
    pub fn connections(&self) -> Vec<Connection> {
        locked(&self.kept).connections.values().cloned().collect()
    }

    /// How many connections to a vendor's stream are open.
    #[must_use]
    pub fn open_connections(&self, vendor: Vendor, path: &str) -> usize {
        let kept = locked(&self.kept);
        let open = |connection: &&Connection| {
            connection.open && connection.vendor == vendor && connection.path == path
        };
        kept.connections.values().filter(open).count()
    }

    /// Forgets what has been; open connections stay, with their counts at nought.
    pub fn forget(&self) {
        let mut kept = locked(&self.kept);
        kept.requests.clear();
        kept.messages.clear();
        kept.connections.retain(|_, connection| connection.open);
        for connection in kept.connections.values_mut() {
            connection.sent.clear();
            connection.frames = 0;
            connection.first_sequence = 0;
            connection.last_sequence = 0;
        }
    }
}
