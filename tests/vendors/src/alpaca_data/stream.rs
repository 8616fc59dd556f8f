//! The streams of market data and of news.
//!
//! `/v2/test` tells the market's own symbols, not one of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::shape;
use crate::alpaca::check;
use crate::ledger::Vendor;
use crate::market::What;
use crate::socket::{Gone, Item, Speaker, Style};
use crate::stand::{Stand, Step, Written};
use crate::wire;

/// The lists of a subscription to market data, as they are confirmed.
const MARKET: [&str; 10] = [
    "trades",
    "quotes",
    "bars",
    "updatedBars",
    "dailyBars",
    "statuses",
    "lulds",
    "imbalances",
    "corrections",
    "cancelErrors",
];
/// The streams of market data.
const FEEDS: [&str; 4] = ["iex", "sip", "delayed_sip", "test"];

/// `/v2/iex` and its like.
pub async fn market(
    State(stand): State<Arc<Stand>>,
    Path(feed): Path<String>,
    upgrade: WebSocketUpgrade,
    headers: HeaderMap,
) -> Response {
    if !FEEDS.contains(&feed.as_str()) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let path = format!("/v2/{feed}");
    open(stand, upgrade, &headers, path, &MARKET)
}

/// `/v1beta1/news`.
pub fn news(stand: Arc<Stand>, upgrade: WebSocketUpgrade, headers: &HeaderMap) -> Response {
    open(stand, upgrade, headers, "/v1beta1/news".into(), &["news"])
}

fn open(
    stand: Arc<Stand>,
    upgrade: WebSocketUpgrade,
    headers: &HeaderMap,
    path: String,
    lists: &'static [&'static str],
) -> Response {
    let packed = headers.get("content-type").is_some_and(|kind| kind == "application/msgpack");
    let style = if packed { Style::Packed } else { Style::Text };
    // Who sends the key in headers need not say it again.
    let known = check(&stand, headers).is_ok();
    upgrade.on_upgrade(move |socket| async move {
        let speaker = Speaker::new(socket, stand.clone(), (Vendor::AlpacaData, &path), style, true);
        let mut client = Client { stand, speaker, path, style, known, lists, wanted: BTreeMap::new() };
        // A client that left is no failure.
        let _ = client.serve().await;
    })
}

/// A connection and what it has subscribed to.
struct Client {
    stand: Arc<Stand>,
    speaker: Speaker,
    path: String,
    style: Style,
    known: bool,
    lists: &'static [&'static str],
    wanted: BTreeMap<String, BTreeSet<String>>,
}

impl Client {
    async fn serve(&mut self) -> Result<(), Gone> {
        let settings = self.stand.settings().alpaca_data;
        let mut steps = self.stand.steps();
        let mut hang_ups = self.stand.hang_ups();
        self.success("connected").await?;
        if self.known {
            self.admit().await?;
        }
        let patience = tokio::time::sleep(Duration::from_millis(settings.auth_timeout_ms));
        tokio::pin!(patience);
        loop {
            tokio::select! {
                heard = self.speaker.hear() => match heard {
                    Some(message) => self.answer(&message).await?,
                    None => return Ok(()),
                },
                () = &mut patience, if !self.known => {
                    self.error(404, "auth timeout").await?;
                    return Err(Gone);
                }
                hang_up = hang_ups.recv() => if let Ok(hang_up) = hang_up
                    && hang_up.vendor == Vendor::AlpacaData
                {
                    self.speaker.hang_up(&hang_up).await;
                    return Err(Gone);
                },
                step = steps.recv() => match step {
                    Ok(step) => self.tell(&step).await?,
                    Err(RecvError::Lagged(_)) => {
                        self.error(407, "slow client").await?;
                        return Err(Gone);
                    }
                    Err(RecvError::Closed) => return Err(Gone),
                },
            }
        }
    }

    async fn success(&mut self, message: &str) -> Result<(), Gone> {
        self.speaker.control(&json!([{"T": "success", "msg": message}])).await
    }

    async fn error(&mut self, code: u16, message: &str) -> Result<(), Gone> {
        self.speaker.control(&json!([{"T": "error", "code": code, "msg": message}])).await
    }

    /// Says that the client is known, unless there is no room for it.
    async fn admit(&mut self) -> Result<(), Gone> {
        let settings = self.stand.settings().alpaca_data;
        if self.path == "/v2/sip" && !settings.sip {
            self.error(409, "insufficient subscription").await?;
            return Err(Gone);
        }
        if self.stand.ledger.open_connections(Vendor::AlpacaData, &self.path) > settings.connections_max {
            self.error(406, "connection limit exceeded").await?;
            return Err(Gone);
        }
        self.known = true;
        self.success("authenticated").await
    }

    async fn answer(&mut self, message: &Value) -> Result<(), Gone> {
        let text = |field: &str| message[field].as_str().unwrap_or_default();
        let action = text("action");
        match action {
            "auth" if self.known => self.error(403, "already authenticated").await,
            "auth" if self.stand.admits(text("key"), text("secret")) => self.admit().await,
            "auth" => self.error(402, "auth failed").await,
            "subscribe" | "unsubscribe" if !self.known => self.error(401, "not authenticated").await,
            "subscribe" | "unsubscribe" => self.subscribe(message, action == "subscribe").await,
            _ => self.error(400, "invalid syntax").await,
        }
    }

    /// Adds to what is wanted or takes from it, and says all that is wanted now.
    async fn subscribe(&mut self, message: &Value, add: bool) -> Result<(), Gone> {
        let mut wanted = self.wanted.clone();
        let named = message.as_object().into_iter().flatten().filter(|(name, _)| *name != "action");
        for (name, symbols) in named {
            let known = self.lists.contains(&name.as_str());
            let symbols: Option<Vec<&str>> =
                symbols.as_array().and_then(|list| list.iter().map(Value::as_str).collect());
            let symbols = symbols.filter(|symbols| symbols.iter().copied().all(is_symbol));
            let (true, Some(symbols)) = (known, symbols) else {
                return self.error(400, "invalid syntax").await;
            };
            let change = |list: &mut BTreeSet<String>| {
                for symbol in &symbols {
                    if add {
                        list.insert((*symbol).to_owned());
                    } else {
                        list.remove(*symbol);
                    }
                }
            };
            change(wanted.entry(name.clone()).or_default());
            if name == "trades" {
                change(wanted.entry("corrections".into()).or_default());
                change(wanted.entry("cancelErrors".into()).or_default());
            }
        }
        let limit = self.stand.settings().alpaca_data.symbols_max;
        let symbols: BTreeSet<&String> =
            ["trades", "quotes", "bars"].iter().filter_map(|list| wanted.get(*list)).flatten().collect();
        if limit.is_some_and(|limit| symbols.len() > limit) {
            return self.error(405, "symbol limit exceeded").await;
        }
        self.wanted = wanted;
        let mut confirmed = json!({"T": "subscription"});
        for list in self.lists {
            let symbols: Vec<&String> = self.wanted.get(*list).into_iter().flatten().collect();
            confirmed[*list] = json!(symbols);
        }
        self.speaker.control(&json!([confirmed])).await
    }

    fn wants(&self, what: &What, symbol: &str) -> bool {
        let Some(list) = self.wanted.get(shape::channel(what)) else { return false };
        if list.contains("*") {
            return true;
        }
        match what {
            What::News { article } => article.symbols.iter().any(|symbol| list.contains(symbol)),
            _ => list.contains(symbol),
        }
    }

    async fn tell(&mut self, step: &Step) -> Result<(), Gone> {
        let wanted: Vec<usize> = (0..step.events.len())
            .filter(|index| self.wants(&step.events[*index].what, &step.events[*index].symbol))
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let place = usize::from(self.style == Style::Packed);
        let written = step.written[place].get_or_init(|| write(step, self.style));
        let item = |index: usize| Item {
            kind: written[index].kind,
            sequence: step.events[index].sequence,
            bytes: &written[index].bytes,
        };
        self.speaker.data(wanted.into_iter().map(item).collect()).await
    }
}

/// Whether it can be a symbol, or stands for all of them.
fn is_symbol(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b".-/".contains(&byte);
    text == "*" || (!text.is_empty() && text.bytes().all(plain))
}

/// Every event of a step in Alpaca's shape.
fn write(step: &Step, style: Style) -> Vec<Written> {
    let one = |event| {
        let record = shape::message(event);
        let bytes = match style {
            Style::Packed => wire::msgpack(&record),
            Style::Text | Style::BinaryJson => wire::json(&record).to_string().into_bytes(),
        };
        Written { kind: shape::letter(&event.what), bytes }
    };
    step.events.iter().map(one).collect()
}
