//! A stream's connection: what is said goes through the armed faults and is counted.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use serde_json::Value;

use crate::fault::{StreamFault, Verdict};
use crate::ledger::{self, Vendor};
use crate::stand::{HangUp, Stand};
use crate::wire;

/// Messages in one frame at most; clients limit frames to a mebibyte.
const MESSAGES_MAX: usize = 500;

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// JSON in text frames.
    Text,
    /// JSON in binary frames.
    BinaryJson,
    /// MessagePack in binary frames.
    Packed,
}

/// The connection is over.
#[derive(Debug)]
pub struct Gone;

/// A message of data that is to be sent.
#[derive(Clone, Debug)]
pub struct Item<'a> {
    /// Its kind, as the vendor calls it.
    pub kind: &'a str,
    /// The market's sequence.
    pub sequence: u64,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// A message that later ones overtake.
struct Late {
    by: u32,
    kind: String,
    sequence: u64,
    bytes: Vec<u8>,
}

/// A connection to a stream.
pub struct Speaker {
    socket: WebSocket,
    stand: Arc<Stand>,
    vendor: Vendor,
    path: String,
    style: Style,
    /// Whether several messages share a frame as an array.
    bundled: bool,
    connection: u64,
    mute: bool,
    late: Vec<Late>,
}

impl Speaker {
    /// A connection that is counted from now on.
    #[must_use]
    pub fn new(
        socket: WebSocket,
        stand: Arc<Stand>,
        (vendor, path): (Vendor, &str),
        style: Style,
        bundled: bool,
    ) -> Self {
        let connection = stand.ledger.connect(vendor, path, style != Style::Text);
        let late = Vec::new();
        Self { socket, stand, vendor, path: path.into(), style, bundled, connection, mute: false, late }
    }

    /// The next message of the client, decoded; `None` when it left.
    pub async fn hear(&mut self) -> Option<Value> {
        loop {
            let (binary, body) = match self.socket.recv().await?.ok()? {
                Message::Text(text) => (false, serde_json::from_str(text.as_str()).ok()),
                Message::Binary(bytes) if self.style == Style::Packed => {
                    (true, rmp_serde::from_slice(&bytes).ok())
                }
                Message::Binary(bytes) => (true, serde_json::from_slice(&bytes).ok()),
                Message::Close(_) => return None,
                Message::Ping(_) | Message::Pong(_) => continue,
            };
            let body = body.unwrap_or(Value::Null);
            let (connection, vendor) = (self.connection, self.vendor);
            self.stand.ledger.message(ledger::Message { connection, vendor, binary, body: body.clone() });
            return Some(body);
        }
    }

    /// Says something that is no data.
    ///
    /// # Errors
    /// When the connection is over.
    pub async fn control(&mut self, message: &Value) -> Result<(), Gone> {
        if self.mute {
            return Ok(());
        }
        let bytes = match self.style {
            Style::Packed => rmp_serde::to_vec(message).unwrap_or_default(),
            Style::Text | Style::BinaryJson => message.to_string().into_bytes(),
        };
        self.frame(bytes).await
    }

    async fn frame(&mut self, bytes: Vec<u8>) -> Result<(), Gone> {
        let message = match self.style {
            Style::Text => Message::Text(String::from_utf8(bytes).map_err(|_| Gone)?.into()),
            Style::BinaryJson | Style::Packed => Message::Binary(bytes.into()),
        };
        self.socket.send(message).await.map_err(|_| Gone)
    }

    /// Closes the connection with a code.
    pub async fn close(&mut self, code: u16, reason: &str) {
        let frame = CloseFrame { code, reason: reason.to_owned().into() };
        // The client may have left already.
        let _ = self.socket.send(Message::Close(Some(frame))).await;
    }

    /// Ends the connection as a control call wants it ended.
    pub async fn hang_up(&mut self, hang_up: &HangUp) {
        if let Some(code) = hang_up.code {
            self.close(code, "").await;
        }
    }

    /// Sends data, each message through the faults.
    ///
    /// # Errors
    /// When the connection is over.
    pub async fn data(&mut self, items: Vec<Item<'_>>) -> Result<(), Gone> {
        let mut out: Vec<(String, u64, Vec<u8>)> = Vec::with_capacity(items.len());
        for item in items {
            let message = || (item.kind.to_owned(), item.sequence, item.bytes.to_vec());
            match self.stand.faults.judge(self.vendor, &self.path, item.kind) {
                Verdict::Send => out.push(message()),
                Verdict::Fault(StreamFault::Drop) => continue,
                Verdict::Fault(StreamFault::Duplicate) => out.extend([message(), message()]),
                Verdict::Fault(StreamFault::Late { by }) => {
                    let (kind, sequence, bytes) = message();
                    self.late.push(Late { by, kind, sequence, bytes });
                    continue;
                }
                Verdict::Fault(fault) => {
                    self.flush(&mut out).await?;
                    self.meet(fault).await?;
                    out.push(message());
                }
            }
            self.overtake(&mut out);
        }
        self.flush(&mut out).await
    }

    /// One more message has been sent: those that it was to overtake come now.
    fn overtake(&mut self, out: &mut Vec<(String, u64, Vec<u8>)>) {
        for late in &mut self.late {
            late.by = late.by.saturating_sub(1);
        }
        let due = self.late.extract_if(.., |late| late.by == 0);
        out.extend(due.map(|late| (late.kind, late.sequence, late.bytes)));
    }

    async fn meet(&mut self, fault: StreamFault) -> Result<(), Gone> {
        match fault {
            StreamFault::Delay { ms } => tokio::time::sleep(Duration::from_millis(ms)).await,
            StreamFault::Cut => return Err(Gone),
            StreamFault::Close { code, reason } => {
                self.close(code, &reason).await;
                return Err(Gone);
            }
            StreamFault::Mute => self.mute = true,
            StreamFault::Interject { message } => self.control(&message).await?,
            StreamFault::Garbage => {
                // No JSON, and the one byte that MessagePack never uses.
                let bytes = if self.style == Style::Packed { vec![0xC1] } else { b"{\"half\":".to_vec() };
                self.frame(bytes).await?;
            }
            StreamFault::Drop | StreamFault::Duplicate | StreamFault::Late { .. } => {}
        }
        Ok(())
    }

    async fn flush(&mut self, out: &mut Vec<(String, u64, Vec<u8>)>) -> Result<(), Gone> {
        if self.mute {
            out.clear();
        }
        let size = if self.bundled { MESSAGES_MAX } else { 1 };
        for messages in out.chunks(size) {
            let bytes = if self.bundled {
                let values = messages.iter().map(|(_, _, bytes)| bytes.as_slice());
                wire::array(values, self.style == Style::Packed)
            } else {
                messages.first().map(|(_, _, bytes)| bytes.clone()).unwrap_or_default()
            };
            // Counted before it is sent, so that nobody sees a message that is not counted yet.
            let counted = messages.iter().map(|(kind, sequence, _)| (kind.as_str(), *sequence));
            self.stand.ledger.sent(self.connection, counted);
            self.frame(bytes).await?;
        }
        out.clear();
        Ok(())
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.stand.ledger.disconnect(self.connection);
    }
}
