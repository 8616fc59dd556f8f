//! Alpaca's streams, as JSON or MessagePack: minutes, corrected minutes, days, halts, and quotes and trades where they
//! are wanted; articles on a stream of their own.
//!
//! The vendor greets, is told key and secret, then the lists; it confirms with the complete lists. One connection per
//! endpoint is allowed: another one is refused with 406 until the first is gone.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{MarketMessage, Minute, Status, packed, ticks};
use crate::alpaca::{Alpaca, Article, At, NAME};
use crate::clock::Clock;
use crate::error::{Refusal, VendorError};
use crate::http::Credentials;
use crate::news;
use crate::port::Quoted;
use crate::socket::{self, Dialect, LiveStream, Said, Say, StreamConfig, Tell, Wanted};
use crate::wire;

/// The list of articles.
const NEWS: &str = "news";

/// Reads the data of a message by its kind; `None` for kinds that were not asked for, which are no mistakes.
type Data<T> = fn(&str, Value) -> Option<Result<T, String>>;

/// One connection's side of the conversation.
struct Conversation<T> {
    credentials: Credentials,
    symbols: Vec<String>,
    /// What is asked for of each symbol.
    lists: Vec<&'static str>,
    packed: bool,
    data: Data<T>,
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
    t: At,
}

#[derive(Deserialize)]
struct Told {
    #[serde(rename = "S")]
    symbol: String,
    sc: Option<String>,
    sm: Option<String>,
    rc: Option<String>,
    rm: Option<String>,
    t: At,
}

impl Alpaca {
    /// The stream of minutes at `config.url`, which ends with the feed.
    pub fn stream(
        config: StreamConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<LiveStream<MarketMessage>, VendorError> {
        socket::start(NAME, config, clock, |config| {
            Conversation::new(config, market_lists(config.wanted), market)
        })
    }

    /// The stream of articles at `config.url`, each as it comes out or is changed. It owes nothing, however long the
    /// market is open: `config.silence` does not count.
    pub fn news_stream(
        config: StreamConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<LiveStream<news::Told>, VendorError> {
        let config = StreamConfig { silence: Duration::MAX, ..config };
        socket::start(NAME, config, clock, |config| Conversation::new(config, vec![NEWS], articles))
    }
}

/// The lists of what is wanted of the market. Corrections and cancellations come with the trades.
fn market_lists(Wanted { quotes, trades }: Wanted) -> Vec<&'static str> {
    let more = [("quotes", quotes), ("trades", trades)].into_iter().filter(|(_, wanted)| *wanted);
    ["bars", "updatedBars", "dailyBars", "statuses"].into_iter().chain(more.map(|(list, _)| list)).collect()
}

impl<T> Conversation<T> {
    fn new(config: &StreamConfig, lists: Vec<&'static str>, data: Data<T>) -> Self {
        Self {
            credentials: config.credentials.clone(),
            symbols: config.symbols.clone(),
            lists,
            packed: config.packed,
            data,
        }
    }

    fn say(&self, message: &Value) -> Said<T> {
        Said::Send(if self.packed {
            Say::Binary(packed::encode(message))
        } else {
            Say::Text(message.to_string())
        })
    }

    fn auth(&self) -> Said<T> {
        let (key, secret) = match &self.credentials {
            Credentials::Alpaca { key, secret } => (key.expose_secret(), secret.expose_secret()),
            Credentials::Bearer(_) | Credentials::ApiKey(_) | Credentials::None => ("", ""),
        };
        self.say(&json!({"action": "auth", "key": key, "secret": secret}))
    }

    fn subscribe(&self) -> Said<T> {
        let mut message = json!({"action": "subscribe"});
        for list in &self.lists {
            message[*list] = json!(self.symbols);
        }
        self.say(&message)
    }

    fn message(&self, message: Value) -> Option<Said<T>> {
        let kind = message.get("T").and_then(Value::as_str).unwrap_or_default().to_owned();
        let text = message.get("msg").and_then(Value::as_str).unwrap_or_default().to_owned();
        Some(match kind.as_str() {
            "success" if text == "connected" => self.auth(),
            "success" if text == "authenticated" => self.subscribe(),
            "subscription" => self.confirmed(&message),
            "error" => error(&message, text),
            kind => (self.data)(kind, message)?.map_or_else(Said::Unreadable, Said::Told),
        })
    }

    fn confirmed(&self, message: &Value) -> Said<T> {
        let needed = self.lists.iter().filter(|list| matches!(**list, "bars" | "quotes" | "trades" | NEWS));
        for list in needed {
            let told = message.get(*list).and_then(Value::as_array);
            let told: HashSet<&str> = told.into_iter().flatten().filter_map(Value::as_str).collect();
            if let Some(missing) = self.symbols.iter().find(|symbol| !told.contains(symbol.as_str())) {
                return Said::Over(format!("the subscription lacks {list} of {missing}"));
            }
        }
        Said::Subscribed
    }
}

impl<T: Tell> Dialect for Conversation<T> {
    type Told = T;

    fn read(&mut self, frame: &[u8]) -> Vec<Said<T>> {
        let read = if self.packed {
            packed::decode(frame).map_err(|error| error.to_string())
        } else {
            serde_json::from_slice(frame).map_err(|error| error.to_string())
        };
        match read {
            Ok(Value::Array(messages)) => {
                messages.into_iter().filter_map(|message| self.message(message)).collect()
            }
            Ok(_) => vec![Said::Unreadable(format!("a frame of {} bytes: no list", frame.len()))],
            Err(error) => vec![Said::Unreadable(format!("a frame of {} bytes: {error}", frame.len()))],
        }
    }
}

/// What an error of the vendor's means for the connection.
fn error<T>(message: &Value, text: String) -> Said<T> {
    let code = message.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let code = code.unwrap_or_default();
    let words = format!("{text} ({code})");
    match code {
        406 => Said::Busy(format!("{words}: another connection holds the place")),
        402 | 408 | 409 | 411 => Said::Refused(code, Refusal::Credentials, text),
        400 | 405 | 410 | 412 | 413 => Said::Refused(code, Refusal::Request, text),
        // 401, 403 and 404 are of this conversation, 407 says that this program is slow, 500 is the vendor's.
        _ => Said::Over(words),
    }
}

/// What the market's stream tells.
fn market(kind: &str, message: Value) -> Option<Result<MarketMessage, String>> {
    Some(match kind {
        "b" => bar(message, false).map(MarketMessage::Minute),
        "u" => bar(message, true).map(MarketMessage::Minute),
        "d" => bar(message, false).map(MarketMessage::Day),
        "q" => ticks::quote(message).map(MarketMessage::Quote),
        "t" => ticks::trade(message).map(MarketMessage::Trade),
        "c" => ticks::correction(message).map(MarketMessage::Amended),
        "x" => ticks::cancelled(message).map(MarketMessage::Amended),
        "s" => status(message).map(MarketMessage::Status),
        _ => return None,
    })
}

/// What the stream of articles tells; one without a headline or a time is left out, as in pages.
fn articles(kind: &str, message: Value) -> Option<Result<news::Told, String>> {
    if kind != "n" {
        return None;
    }
    decoded::<Article>(message).map(Article::told).transpose()
}

pub(super) fn decoded<T: serde::de::DeserializeOwned>(message: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(message).map_err(|error| {
        let field = error.path().to_string();
        format!("{field}: {}", error.into_inner())
    })
}

fn bar(message: Value, revised: bool) -> Result<Minute, String> {
    let bar: Bar = decoded(message)?;
    let start_ns = time(&bar.t)?;
    let wrong = |field: &str, value: f64| format!("{} {field}: {value} at {start_ns} ns", bar.symbol);
    let price = |field: &str, value: f64| wire::price(value).ok_or_else(|| wrong(field, value));
    let quoted = Quoted {
        start_ns,
        open: price("o", bar.o)?,
        high: price("h", bar.h)?,
        low: price("l", bar.l)?,
        close: price("c", bar.c)?,
        volume: wire::volume(bar.v).ok_or_else(|| wrong("v", bar.v))?,
    };
    Ok(Minute { symbol: bar.symbol, quoted, revised })
}

/// The time of a message.
pub(super) fn time(at: &At) -> Result<i64, String> {
    at.ns().map_err(|wrong| format!("t: {wrong}"))
}

fn status(message: Value) -> Result<Status, String> {
    let told: Told = decoded(message)?;
    let at_ns = time(&told.t)?;
    // The tapes A and B say 2 and 3 or H and T, the tape C says H or P, then Q and T: with Q there are quotes and no trades.
    let halted = match told.sc.as_deref() {
        Some("H" | "P" | "2") => Some(true),
        Some("T" | "3") => Some(false),
        _ => None,
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let stated = [("", text(&told.sm), text(&told.sc)), (": ", text(&told.rm), text(&told.rc))];
    let parts = stated.map(|(before, words, code)| {
        if words.is_empty() && code.is_empty() { String::new() } else { format!("{before}{words} ({code})") }
    });
    Ok(Status { symbol: told.symbol, halted, words: parts.concat(), at_ns })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Tell + std::fmt::Debug>(lists: Vec<&'static str>, data: Data<T>, frame: &str) -> String {
        let credentials = Credentials::Alpaca {
            key: "planted-key".to_owned().into(),
            secret: "planted-secret".to_owned().into(),
        };
        let symbols = vec!["SPY".to_owned()];
        let mut conversation = Conversation { credentials, symbols, lists, packed: false, data };
        let said = conversation.read(frame.as_bytes());
        said.iter().map(|said| format!("{said:?}")).collect::<Vec<_>>().join("\n")
    }

    fn said(frame: &str) -> String {
        read(market_lists(Wanted { quotes: true, trades: false }), market, frame)
    }

    fn said_of_news(frame: &str) -> String {
        read(vec![NEWS], articles, frame)
    }

    #[test]
    fn articles_are_a_list_of_their_own() {
        let asked = said_of_news(r#"[{"T":"success","msg":"authenticated"}]"#);
        assert!(asked.contains("news") && !asked.contains("bars"), "{asked}");
        assert_eq!(said_of_news(r#"[{"T":"subscription","news":["SPY"]}]"#), "Subscribed");
        let lacking = said_of_news(r#"[{"T":"subscription","news":["AAPL"]}]"#);
        assert_eq!(lacking, r#"Over("the subscription lacks news of SPY")"#);
        let bad = said_of_news(r#"[{"T":"n","headline":"One","created_at":"soon"}]"#);
        assert_eq!(bad, r#"Unreadable("created_at: \"soon\" is no time")"#);
        assert_eq!(said_of_news(r#"[{"T":"n","headline":" ","created_at":"2026-01-06T15:00:00Z"}]"#), "");
        assert_eq!(said_of_news(r#"[{"T":"n","headline":"One","created_at":null}]"#), "", "no time");
        let changed = said_of_news(r#"[{"T":"n","headline":"One","updated_at":"2026-01-06T15:00:00Z"}]"#);
        assert!(changed.contains("published_ns: 1767711600000000000"), "{changed}");
    }

    #[test]
    fn a_stream_tells_what_it_is_there_for_and_nothing_else() {
        let article = r#"[{"T":"n","headline":"One","created_at":"2026-01-06T15:00:00Z"}]"#;
        let bar = r#"[{"T":"b","S":"SPY","o":1,"h":2,"l":0.5,"c":1.5,"v":10,"t":"2026-01-06T15:00:00Z"}]"#;
        assert!(said_of_news(article).starts_with("Told(") && said(bar).starts_with("Told("));
        assert_eq!((said(article), said_of_news(bar)), (String::new(), String::new()));
    }

    #[test]
    fn errors_say_whether_to_come_back() {
        let error = |code: u16| said(&format!(r#"[{{"T":"error","code":{code},"msg":"words"}}]"#));
        assert_eq!(error(406), r#"Busy("words (406): another connection holds the place")"#);
        assert_eq!(error(402), r#"Refused(402, Credentials, "words")"#);
        assert_eq!(error(405), r#"Refused(405, Request, "words")"#);
        // A version of streams that the plan lacks, and what streams of options alone say.
        assert_eq!(error(408), r#"Refused(408, Credentials, "words")"#);
        assert_eq!(error(412), r#"Refused(412, Request, "words")"#);
        assert_eq!(error(413), r#"Refused(413, Request, "words")"#);
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
        let confirmed = r#"[{"T":"subscription","bars":["SPY","AAPL"],"quotes":["SPY"]}]"#;
        assert_eq!(said(confirmed), "Subscribed");
        let lacking = r#"[{"T":"subscription","bars":["SPY"],"quotes":[]}]"#;
        assert_eq!(said(lacking), r#"Over("the subscription lacks quotes of SPY")"#);
        let lacking = r#"[{"T":"subscription","bars":[]}]"#;
        assert_eq!(said(lacking), r#"Over("the subscription lacks bars of SPY")"#);
    }

    #[test]
    fn a_halt_is_told_with_its_reason() {
        let told = said(
            r#"[{"T":"s","S":"SPY","sc":"H","sm":"Trading Halt","rc":"T12","rm":"News pending",
                "t":"2026-01-06T15:00:00Z","z":"C"}]"#,
        );
        assert!(told.contains("halted: Some(true)"), "{told}");
        assert!(told.contains("Trading Halt (H): News pending (T12)"), "{told}");
        let told = |code: &str| {
            said(&format!(
                r#"[{{"T":"s","S":"SPY","sc":"{code}","sm":"","rc":"","rm":"","t":"2026-01-06T15:00:00Z"}}]"#
            ))
        };
        assert!(told("P").contains("halted: Some(true)"), "a pause");
        assert!(told("Q").contains("halted: None"), "quotes alone");
        assert!(told("T").contains("halted: Some(false)"), "trades");
        // A code says enough: what explains it may be null or missing.
        let bare = said(r#"[{"T":"s","S":"SPY","sc":"H","sm":null,"t":"2026-01-06T15:00:00Z"}]"#);
        assert!(bare.contains("halted: Some(true)") && bare.contains(r#"words: " (H)""#), "{bare}");
    }
}
