//! Alpaca's stream: minutes, corrected minutes and halts, as JSON.
//!
//! The vendor greets, is told key and secret, then the lists; it confirms with the complete lists. One connection per
//! endpoint is allowed: another one is refused with 406 until the first is gone.

use std::sync::Arc;

use chrono::DateTime;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Heard, Minute, Status};
use crate::alpaca::{Alpaca, NAME};
use crate::clock::Clock;
use crate::error::{Refusal, VendorError};
use crate::http::Credentials;
use crate::port::Quoted;
use crate::socket::{Dialect, LiveStream, Said, StreamConfig};
use crate::wire;

/// One connection's side of the conversation.
struct Conversation {
    credentials: Credentials,
    symbols: Vec<String>,
}

#[derive(Deserialize)]
struct Bar {
    #[serde(rename = "S")]
    symbol: String,
    o: f64,
    h: f64,
    l: f64,
    c: f64,
    v: f64,
    t: String,
}

#[derive(Deserialize)]
struct Told {
    #[serde(rename = "S")]
    symbol: String,
    #[serde(default)]
    sc: String,
    #[serde(default)]
    sm: String,
    #[serde(default)]
    rc: String,
    #[serde(default)]
    rm: String,
    t: String,
}

impl Alpaca {
    /// The stream of minutes at `config.url`, which ends with the feed.
    pub fn stream(config: StreamConfig, clock: Arc<dyn Clock>) -> Result<LiveStream, VendorError> {
        LiveStream::start(NAME, config, clock, |config| {
            let (credentials, symbols) = (config.credentials.clone(), config.symbols.clone());
            Box::new(Conversation { credentials, symbols })
        })
    }
}

impl Conversation {
    fn auth(&self) -> String {
        let (key, secret) = match &self.credentials {
            Credentials::Alpaca { key, secret } => (key.expose_secret(), secret.expose_secret()),
            Credentials::Bearer(_) | Credentials::ApiKey(_) | Credentials::None => ("", ""),
        };
        json!({"action": "auth", "key": key, "secret": secret}).to_string()
    }

    fn subscribe(&self) -> String {
        let symbols = &self.symbols;
        json!({"action": "subscribe", "bars": symbols, "updatedBars": symbols, "statuses": symbols})
            .to_string()
    }

    fn message(&self, message: Value) -> Option<Said> {
        let kind = message.get("T").and_then(Value::as_str).unwrap_or_default().to_owned();
        let text = message.get("msg").and_then(Value::as_str).unwrap_or_default().to_owned();
        Some(match kind.as_str() {
            "success" if text == "connected" => Said::Send(self.auth()),
            "success" if text == "authenticated" => Said::Send(self.subscribe()),
            "subscription" => self.confirmed(&message),
            "error" => error(&message, text),
            "b" => bar(message, false).unwrap_or_else(Said::Unreadable),
            "u" => bar(message, true).unwrap_or_else(Said::Unreadable),
            "s" => status(message).unwrap_or_else(Said::Unreadable),
            // Kinds that were not asked for are no mistakes.
            _ => return None,
        })
    }

    fn confirmed(&self, message: &Value) -> Said {
        let bars = message.get("bars").and_then(Value::as_array);
        let has = |symbol: &&String| {
            bars.is_some_and(|bars| bars.iter().any(|bar| bar.as_str() == Some(symbol.as_str())))
        };
        match self.symbols.iter().find(|symbol| !has(symbol)) {
            None => Said::Subscribed,
            Some(missing) => Said::Over(format!("the subscription lacks {missing}")),
        }
    }
}

impl Dialect for Conversation {
    fn read(&mut self, frame: &[u8]) -> Vec<Said> {
        match serde_json::from_slice::<Vec<Value>>(frame) {
            Ok(messages) => messages.into_iter().filter_map(|message| self.message(message)).collect(),
            Err(error) => vec![Said::Unreadable(format!("a frame of {} bytes: {error}", frame.len()))],
        }
    }
}

/// What an error of the vendor's means for the connection.
fn error(message: &Value, text: String) -> Said {
    let code = message.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let code = code.unwrap_or_default();
    let words = format!("{text} ({code})");
    match code {
        406 => Said::Busy(format!("{words}: another connection holds the place")),
        402 | 409 | 411 => Said::Refused(code, Refusal::Credentials, text),
        400 | 405 | 410 => Said::Refused(code, Refusal::Request, text),
        // 401, 403 and 404 are of this conversation, 407 says that this program is slow, 500 is the vendor's.
        _ => Said::Over(words),
    }
}

fn decoded<T: serde::de::DeserializeOwned>(message: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(message).map_err(|error| {
        let field = error.path().to_string();
        format!("{field}: {}", error.into_inner())
    })
}

fn bar(message: Value, revised: bool) -> Result<Said, String> {
    let bar: Bar = decoded(message)?;
    let start_ns = time(&bar.t)?;
    let wrong = |field: &str, value: f64| format!("{} {field}: {value} at {}", bar.symbol, bar.t);
    let price = |field: &str, value: f64| wire::price(value).ok_or_else(|| wrong(field, value));
    let quoted = Quoted {
        start_ns,
        open: price("o", bar.o)?,
        high: price("h", bar.h)?,
        low: price("l", bar.l)?,
        close: price("c", bar.c)?,
        volume: wire::volume(bar.v).ok_or_else(|| wrong("v", bar.v))?,
    };
    Ok(Said::Told(Heard::Minute(Minute { symbol: bar.symbol, quoted, revised })))
}

fn status(message: Value) -> Result<Said, String> {
    let told: Told = decoded(message)?;
    let at_ns = time(&told.t)?;
    // The tapes A and B say H and T, the tape C says H, P and T or Q.
    let halted = match told.sc.as_str() {
        "H" | "P" | "2" => Some(true),
        "T" | "Q" | "3" => Some(false),
        _ => None,
    };
    let parts = [("", &told.sm, &told.sc), (": ", &told.rm, &told.rc)].map(|(before, words, code)| {
        if words.is_empty() && code.is_empty() { String::new() } else { format!("{before}{words} ({code})") }
    });
    Ok(Said::Told(Heard::Status(Status { symbol: told.symbol, halted, words: parts.concat(), at_ns })))
}

fn time(text: &str) -> Result<i64, String> {
    let time = DateTime::parse_from_rfc3339(text).ok().and_then(|time| time.timestamp_nanos_opt());
    time.ok_or_else(|| format!("t: {text:?} is no time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(frame: &str) -> String {
        let credentials = Credentials::Alpaca {
            key: "planted-key".to_owned().into(),
            secret: "planted-secret".to_owned().into(),
        };
        let mut conversation = Conversation { credentials, symbols: vec!["SPY".into()] };
        let said = conversation.read(frame.as_bytes());
        said.iter().map(|said| format!("{said:?}")).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn errors_say_whether_to_come_back() {
        let error = |code: u16| said(&format!(r#"[{{"T":"error","code":{code},"msg":"words"}}]"#));
        assert_eq!(error(406), r#"Busy("words (406): another connection holds the place")"#);
        assert_eq!(error(402), r#"Refused(402, Credentials, "words")"#);
        assert_eq!(error(405), r#"Refused(405, Request, "words")"#);
        assert_eq!(error(407), r#"Over("words (407)")"#);
        assert_eq!(error(500), r#"Over("words (500)")"#);
    }

    #[test]
    fn a_message_that_cannot_be_read_is_named_and_the_others_count() {
        let good = r#"{"T":"b","S":"SPY","o":1,"h":2,"l":0.5,"c":1.5,"v":10,"t":"2026-01-06T15:00:00Z"}"#;
        let bad = r#"{"T":"b","S":"SPY","o":"x","h":2,"l":0.5,"c":1.5,"v":10,"t":"2026-01-06T15:01:00Z"}"#;
        let told = said(&format!(r#"[{bad},{good},{{"T":"new"}}]"#));
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.len(), 2, "{told}");
        assert!(lines[0].starts_with(r#"Unreadable("o: invalid type"#), "{told}");
        assert!(lines[1].contains("Price(1500000000)") && lines[1].contains("revised: false"), "{told}");
        assert!(said("{\"half\":").starts_with("Unreadable"), "a frame that is none");
    }

    #[test]
    fn a_subscription_that_lacks_a_symbol_is_none() {
        assert_eq!(said(r#"[{"T":"subscription","bars":["SPY","AAPL"]}]"#), "Subscribed");
        assert_eq!(said(r#"[{"T":"subscription","bars":[]}]"#), r#"Over("the subscription lacks SPY")"#);
    }

    #[test]
    fn a_halt_is_told_with_its_reason() {
        let told = said(
            r#"[{"T":"s","S":"SPY","sc":"H","sm":"Trading Halt","rc":"T12","rm":"News pending",
                "t":"2026-01-06T15:00:00Z","z":"C"}]"#,
        );
        assert!(told.contains("halted: Some(true)"), "{told}");
        assert!(told.contains("Trading Halt (H): News pending (T12)"), "{told}");
    }
}
