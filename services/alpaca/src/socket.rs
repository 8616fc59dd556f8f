//! One connection of `trade_updates`: opened, introduced, subscribed.
//!
//! Paper accounts send JSON in binary frames, live ones in text; both are read.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Bytes, Message};
use vendors::Target;
use vendors::http::Credentials;

/// Longest wait for each step of the beginning.
const STEP_MAX: Duration = Duration::from_secs(10);
const STREAM: &str = "trade_updates";

/// An open connection that tells what happens to orders.
pub(crate) struct Socket {
    inner: vendors::Socket,
}

/// What came over it.
#[derive(Debug)]
pub(crate) enum Frame {
    /// A message.
    Json(Value),
    /// Something that is no message: whatever it was is missed.
    Garbage,
    /// A sign of life.
    Alive,
}

/// Where the stream is, beside the interface over HTTP.
fn target(base_url: &str) -> Result<Target, String> {
    let beside = base_url.strip_prefix("http").map(|rest| format!("ws{rest}/stream"));
    let url = beside.ok_or_else(|| format!("{base_url} is no address"))?;
    Target::parse(broker::ALPACA, &url).map_err(|error| error.to_string())
}

async fn within<T>(what: &str, step: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    match tokio::time::timeout(STEP_MAX, step).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("{what}: no answer within {} s", STEP_MAX.as_secs())),
    }
}

impl Socket {
    /// Connects to `base_url`, says who it is and subscribes; an error says what did not work.
    pub(crate) async fn open(base_url: &str, credentials: &Credentials) -> Result<Self, String> {
        let target = target(base_url)?;
        let inner = within("connection", target.connect()).await?;
        let mut socket = Self { inner };
        within("authorization", socket.introduce(credentials)).await?;
        within("subscription", socket.subscribe()).await?;
        Ok(socket)
    }

    async fn introduce(&mut self, credentials: &Credentials) -> Result<(), String> {
        let Credentials::Alpaca { key, secret } = credentials else {
            return Err("no key and secret are set".to_owned());
        };
        let who = json!({"action": "auth", "key": key.expose_secret(), "secret": secret.expose_secret()});
        self.say(&who).await?;
        let answer = self.until("authorization").await?;
        match answer["data"]["status"].as_str() {
            Some("authorized") => Ok(()),
            _ => Err("Alpaca does not accept the key and the secret".to_owned()),
        }
    }

    async fn subscribe(&mut self) -> Result<(), String> {
        self.say(&json!({"action": "listen", "data": {"streams": [STREAM]}})).await?;
        let answer = self.until("listening").await?;
        let streams = answer["data"]["streams"].as_array();
        let listens = streams.is_some_and(|streams| streams.iter().any(|stream| stream == STREAM));
        if listens { Ok(()) } else { Err(format!("Alpaca does not tell {STREAM}")) }
    }

    async fn say(&mut self, message: &Value) -> Result<(), String> {
        self.inner.send(Message::text(message.to_string())).await.map_err(|error| error.to_string())
    }

    /// The next message of `stream`; what else comes before it is passed over.
    async fn until(&mut self, stream: &str) -> Result<Value, String> {
        loop {
            let Frame::Json(message) = self.next().await? else { continue };
            if message["stream"] == stream {
                return Ok(message);
            }
            if let Some(error) = message["data"]["error_message"].as_str() {
                return Err(error.to_owned());
            }
        }
    }

    /// What comes next. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Frame, String> {
        let read = |bytes: &[u8]| match serde_json::from_slice(bytes) {
            Ok(message) => Frame::Json(message),
            Err(_) => Frame::Garbage,
        };
        match self.inner.next().await {
            None => Err("the connection ended".to_owned()),
            Some(Err(error)) => Err(error.to_string()),
            Some(Ok(Message::Text(text))) => Ok(read(text.as_bytes())),
            Some(Ok(Message::Binary(bytes))) => Ok(read(&bytes)),
            Some(Ok(Message::Close(frame))) => Err(match frame {
                Some(frame) => format!("closed with {} {}", u16::from(frame.code), frame.reason),
                None => "closed".to_owned(),
            }),
            Some(Ok(_)) => Ok(Frame::Alive),
        }
    }

    /// Asks for a sign of life.
    pub(crate) async fn ping(&mut self) -> Result<(), String> {
        self.inner.send(Message::Ping(Bytes::new())).await.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_stream_is_beside_the_interface() {
        for good in ["https://api.alpaca.markets", "http://127.0.0.1:9101", "http://[::1]:9101"] {
            super::target(good).unwrap();
        }
        let error = super::target("http://api.alpaca.markets").unwrap_err();
        assert!(error.contains("ws://api.alpaca.markets/stream"), "{error}");
        assert!(super::target("nowhere").is_err());
    }
}
