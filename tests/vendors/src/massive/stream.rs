//! The stream of stocks: minutes, trades, quotes, price bands, imbalances.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{State, WebSocketUpgrade};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::ticks::tape;
use crate::calendar::MINUTE;
use crate::ledger::Vendor;
use crate::market::{Event, What, dollars};
use crate::socket::{Gone, Item, Speaker, Style};
use crate::stand::{Stand, Step, Written};

const PATH: &str = "/stocks";
/// Nanoseconds of a millisecond.
const MS: i64 = 1_000_000;
/// The place of this encoding among those of a step.
const PLACE: usize = 2;
/// What can be subscribed.
const TOPICS: [&str; 5] = ["AM", "T", "Q", "LULD", "NOI"];

/// `/stocks`
pub async fn open(State(stand): State<Arc<Stand>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(move |socket| async move {
        let speaker = Speaker::new(socket, stand.clone(), (Vendor::Massive, PATH), Style::Text, true);
        // A client that left is no failure.
        let _ = Client { stand, speaker, known: false, wanted: BTreeMap::new() }.serve().await;
    })
}

struct Client {
    stand: Arc<Stand>,
    speaker: Speaker,
    known: bool,
    /// Symbols by topic.
    wanted: BTreeMap<String, BTreeSet<String>>,
}

impl Client {
    async fn serve(&mut self) -> Result<(), Gone> {
        let mut steps = self.stand.steps();
        let mut hang_ups = self.stand.hang_ups();
        self.status("connected", "Connected Successfully").await?;
        loop {
            tokio::select! {
                heard = self.speaker.hear() => match heard {
                    Some(message) => self.answer(&message).await?,
                    None => return Ok(()),
                },
                hang_up = hang_ups.recv() => if let Ok(hang_up) = hang_up
                    && hang_up.vendor == Vendor::Massive
                {
                    self.speaker.hang_up(&hang_up).await;
                    return Err(Gone);
                },
                step = steps.recv() => match step {
                    Ok(step) => self.tell(&step).await?,
                    Err(RecvError::Lagged(_)) => {
                        self.status("slow_consumer", "Your connection is too slow").await?;
                        self.speaker.close(1008, "slow consumer").await;
                        return Err(Gone);
                    }
                    Err(RecvError::Closed) => return Err(Gone),
                },
            }
        }
    }

    async fn status(&mut self, status: &str, message: &str) -> Result<(), Gone> {
        self.speaker.control(&json!([{"ev": "status", "status": status, "message": message}])).await
    }

    async fn answer(&mut self, message: &Value) -> Result<(), Gone> {
        let params = message["params"].as_str().unwrap_or_default().to_owned();
        match message["action"].as_str() {
            Some("auth") => self.admit(self.stand.knows(&params)).await,
            Some("subscribe") if self.known => self.subscribe(&params, true).await,
            Some("unsubscribe") if self.known => self.subscribe(&params, false).await,
            Some("subscribe" | "unsubscribe") => {
                self.status("auth_required", "You must authenticate before subscribing").await
            }
            _ => self.status("error", "unknown action").await,
        }
    }

    async fn admit(&mut self, right: bool) -> Result<(), Gone> {
        let settings = self.stand.settings().massive;
        if !right || !settings.streams {
            let message =
                if right { "Your plan doesn't include websocket access" } else { "authentication failed" };
            self.status("auth_failed", message).await?;
            self.speaker.close(1008, "policy violation").await;
            return Err(Gone);
        }
        if self.stand.ledger.open_connections(Vendor::Massive, PATH) > settings.connections_max {
            let message =
                "Maximum number of websocket connections exceeded. You have reached the connection limit.";
            self.status("max_connections", message).await?;
            self.speaker.close(1008, "max connections").await;
            return Err(Gone);
        }
        self.known = true;
        self.status("auth_success", "authenticated").await
    }

    async fn subscribe(&mut self, params: &str, add: bool) -> Result<(), Gone> {
        for param in params.split(',').map(str::trim).filter(|param| !param.is_empty()) {
            let Some((topic, symbol)) = param.split_once('.').filter(|(topic, _)| TOPICS.contains(topic))
            else {
                self.status("error", &format!("invalid subscription: {param}")).await?;
                continue;
            };
            let symbols = self.wanted.entry(topic.to_owned()).or_default();
            if add {
                symbols.insert(symbol.to_owned());
                self.status("success", &format!("subscribed to: {param}")).await?;
            } else {
                symbols.remove(symbol);
                self.status("success", &format!("unsubscribed to: {param}")).await?;
            }
        }
        Ok(())
    }

    async fn tell(&mut self, step: &Step) -> Result<(), Gone> {
        let wanted: Vec<usize> = (0..step.events.len())
            .filter(|index| {
                let event = &step.events[*index];
                topic(&event.what)
                    .and_then(|topic| self.wanted.get(topic))
                    .is_some_and(|symbols| symbols.contains("*") || symbols.contains(&event.symbol))
            })
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let written = step.written[PLACE].get_or_init(|| step.events.iter().map(write).collect());
        let item = |index: usize| Item {
            kind: written[index].kind,
            sequence: step.events[index].sequence,
            bytes: &written[index].bytes,
        };
        self.speaker.data(wanted.into_iter().map(item).collect()).await
    }
}

/// The topic of an event, if this vendor tells it.
const fn topic(what: &What) -> Option<&'static str> {
    match what {
        What::Bar { .. } | What::UpdatedBar { .. } => Some("AM"),
        What::Trade { .. } => Some("T"),
        What::Quote { .. } => Some("Q"),
        What::Bands { .. } => Some("LULD"),
        What::Imbalance { .. } => Some("NOI"),
        What::DailyBar { .. }
        | What::Correction { .. }
        | What::CancelError { .. }
        | What::Status { .. }
        | What::News { .. } => None,
    }
}

fn write(event: &Event) -> Written {
    let kind = topic(&event.what).unwrap_or_default();
    Written { kind, bytes: message(event, kind).to_string().into_bytes() }
}

fn message(event: &Event, kind: &str) -> Value {
    let sym = &event.symbol;
    match &event.what {
        What::Bar { bar, .. } | What::UpdatedBar { bar } => {
            let so_far = match &event.what {
                What::Bar { session, .. } => *session,
                // A minute that is told again knows nothing of the day.
                _ => crate::market::SessionSoFar { open: bar.open, volume: bar.volume, vwap: bar.vwap },
            };
            json!({
                "ev": kind,
                "sym": sym,
                "v": bar.volume,
                "av": so_far.volume,
                "op": dollars(so_far.open),
                "vw": dollars(bar.vwap),
                "o": dollars(bar.open),
                "c": dollars(bar.close),
                "h": dollars(bar.high),
                "l": dollars(bar.low),
                "a": dollars(so_far.vwap),
                "z": bar.volume / bar.trades.max(1),
                "s": bar.start_ns / MS,
                "e": (bar.start_ns + MINUTE) / MS,
            })
        }
        What::Trade { trade } => json!({
            "ev": kind,
            "sym": sym,
            "x": 15,
            "i": trade.id.to_string(),
            "z": tape(&trade.tape),
            "p": dollars(trade.price),
            "s": trade.size,
            "c": [12],
            "t": trade.at_ns / MS,
            "q": event.sequence,
        }),
        What::Quote { quote } => json!({
            "ev": kind,
            "sym": sym,
            "bx": 15,
            "bp": dollars(quote.bid),
            "bs": quote.bid_size,
            "ax": 15,
            "ap": dollars(quote.ask),
            "as": quote.ask_size,
            "c": 1,
            "i": [604],
            "t": quote.at_ns / MS,
            "q": event.sequence,
            "z": tape(&quote.tape),
        }),
        What::Bands { up, down, indicator } => json!({
            "ev": kind,
            "T": sym,
            "h": dollars(*up),
            "l": dollars(*down),
            "i": [indicator.bytes().map(i64::from).sum::<i64>() % 32],
            "z": 3,
            // Microseconds here, milliseconds elsewhere.
            "t": event.at_ns / 1_000,
            "q": event.sequence,
        }),
        What::Imbalance { price } => json!({
            "ev": kind,
            "T": sym,
            "t": event.at_ns / MS,
            "at": 930,
            "a": "M",
            "i": event.sequence,
            "x": 10,
            "o": 480,
            "p": 440,
            "b": dollars(*price),
        }),
        _ => Value::Null,
    }
}
