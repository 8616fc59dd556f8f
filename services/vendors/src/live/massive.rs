//! Massive's stream: minutes. One that is corrected is told again.
//!
//! The vendor greets, is told the key, then the topics, each of which it confirms. A plan without streams, and a key
//! that is none, end with the vendor's words.

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{MarketMessage, Minute};
use crate::clock::Clock;
use crate::error::{Refusal, VendorError};
use crate::http::Credentials;
use crate::massive::{Massive, NAME};
use crate::port::Quoted;
use crate::socket::{self, Dialect, LiveStream, Said, Say, StreamConfig};
use crate::wire;

const MS: i64 = 1_000_000;

/// One connection's side of the conversation.
struct Conversation {
    credentials: Credentials,
    symbols: Vec<String>,
    /// Topics that were confirmed.
    confirmed: usize,
}

#[derive(Deserialize)]
struct Aggregate {
    sym: String,
    o: f64,
    h: f64,
    l: f64,
    c: f64,
    v: f64,
    /// Start, UTC milliseconds.
    s: i64,
}

impl Massive {
    /// The stream of minutes at `config.url`.
    pub fn stream(
        config: StreamConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<LiveStream<MarketMessage>, VendorError> {
        socket::start(NAME, config, clock, |config| {
            let (credentials, symbols) = (config.credentials.clone(), config.symbols.clone());
            Conversation { credentials, symbols, confirmed: 0 }
        })
    }
}

impl Conversation {
    fn message(&mut self, message: Value) -> Option<Said<MarketMessage>> {
        match message.get("ev").and_then(Value::as_str).unwrap_or_default() {
            "status" => self.status(&message),
            "AM" => {
                let minute = minute(message).map(MarketMessage::Minute);
                Some(minute.map_or_else(Said::Unreadable, Said::Told))
            }
            // Kinds that were not asked for are no mistakes.
            _ => None,
        }
    }

    fn status(&mut self, message: &Value) -> Option<Said<MarketMessage>> {
        let of = |name: &str| message.get(name).and_then(Value::as_str).unwrap_or_default();
        let (status, words) = (of("status"), of("message").to_owned());
        Some(match status {
            "connected" => {
                let key = match &self.credentials {
                    Credentials::Bearer(key) => key.expose_secret(),
                    Credentials::Alpaca { .. } | Credentials::ApiKey(_) | Credentials::None => "",
                };
                Said::Send(Say::Text(json!({"action": "auth", "params": key}).to_string()))
            }
            "auth_success" => {
                let topics: Vec<String> = self.symbols.iter().map(|symbol| format!("AM.{symbol}")).collect();
                let subscribe = json!({"action": "subscribe", "params": topics.join(",")});
                Said::Send(Say::Text(subscribe.to_string()))
            }
            "success" => {
                self.confirmed += 1;
                return (self.confirmed == self.symbols.len()).then_some(Said::Subscribed);
            }
            "auth_failed" | "auth_required" => Said::Refused(401, Refusal::Credentials, words),
            "max_connections" => Said::Busy(words),
            "error" | "not_authorized" => Said::Refused(400, Refusal::Request, words),
            "slow_consumer" | "auth_timeout" | "force_disconnect" => Said::Over(format!("{status}: {words}")),
            _ => return None,
        })
    }
}

impl Dialect for Conversation {
    type Told = MarketMessage;

    fn read(&mut self, frame: &[u8]) -> Vec<Said<MarketMessage>> {
        match serde_json::from_slice::<Vec<Value>>(frame) {
            Ok(messages) => messages.into_iter().filter_map(|message| self.message(message)).collect(),
            Err(error) => vec![Said::Unreadable(format!("a frame of {} bytes: {error}", frame.len()))],
        }
    }
}

fn minute(message: Value) -> Result<Minute, String> {
    let bar: Aggregate = serde_path_to_error::deserialize(message).map_err(|error| {
        let field = error.path().to_string();
        format!("{field}: {}", error.into_inner())
    })?;
    let wrong = |field: &str, value: f64| format!("{} {field}: {value} at {}", bar.sym, bar.s);
    let price = |field: &str, value: f64| wire::price(value).ok_or_else(|| wrong(field, value));
    let quoted = Quoted {
        start_ns: bar.s.checked_mul(MS).ok_or_else(|| format!("s: {} is no time", bar.s))?,
        open: price("o", bar.o)?,
        high: price("h", bar.h)?,
        low: price("l", bar.l)?,
        close: price("c", bar.c)?,
        volume: wire::volume(bar.v).ok_or_else(|| wrong("v", bar.v))?,
    };
    Ok(Minute { symbol: bar.sym, quoted, revised: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_subscribed_when_every_topic_is_confirmed() {
        let credentials = Credentials::Bearer("planted".to_owned().into());
        let symbols = vec!["SPY".to_owned(), "AAPL".to_owned()];
        let mut conversation = Conversation { credentials, symbols, confirmed: 0 };
        let mut said = |status: &str| {
            let frame = json!([{"ev": "status", "status": status, "message": "words"}]).to_string();
            format!("{:?}", conversation.read(frame.as_bytes()))
        };
        assert!(said("connected").contains("auth"));
        assert!(said("auth_success").contains("AM.SPY,AM.AAPL"));
        assert_eq!(said("success"), "[]");
        assert_eq!(said("success"), "[Subscribed]");
        assert_eq!(said("max_connections"), r#"[Busy("words")]"#);
        assert_eq!(said("auth_failed"), r#"[Refused(401, Credentials, "words")]"#);
    }
}
