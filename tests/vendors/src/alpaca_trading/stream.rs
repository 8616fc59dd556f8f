//! `trade_updates`: what becomes of the account's orders, as it becomes.
//!
//! Nothing is said twice: who was away asks over HTTP.

use std::sync::Arc;

use axum::extract::{State, WebSocketUpgrade};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::desk::Update;
use crate::ledger::Vendor;
use crate::socket::{Gone, Item, Speaker, Style};
use crate::stand::Stand;

const STREAM: &str = "trade_updates";

/// `/stream`
pub async fn open(State(stand): State<Arc<Stand>>, upgrade: WebSocketUpgrade) -> Response {
    let style = if stand.settings().alpaca_trading.binary { Style::BinaryJson } else { Style::Text };
    upgrade.on_upgrade(move |socket| async move {
        let speaker = Speaker::new(socket, stand.clone(), (Vendor::AlpacaTrading, "/stream"), style, false);
        // A client that left is no failure.
        let _ = Client { stand, speaker, known: false, listens: false }.serve().await;
    })
}

struct Client {
    stand: Arc<Stand>,
    speaker: Speaker,
    known: bool,
    listens: bool,
}

impl Client {
    async fn serve(&mut self) -> Result<(), Gone> {
        let mut updates = self.stand.updates();
        let mut hang_ups = self.stand.hang_ups();
        loop {
            tokio::select! {
                heard = self.speaker.hear() => match heard {
                    Some(message) => self.answer(&message).await?,
                    None => return Ok(()),
                },
                hang_up = hang_ups.recv() => if let Ok(hang_up) = hang_up
                    && hang_up.vendor == Vendor::AlpacaTrading
                {
                    self.speaker.hang_up(&hang_up).await;
                    return Err(Gone);
                },
                update = updates.recv() => match update {
                    Ok(update) => self.tell(&update).await?,
                    Err(RecvError::Lagged(_)) => {
                        self.speaker.close(1008, "slow client").await;
                        return Err(Gone);
                    }
                    Err(RecvError::Closed) => return Err(Gone),
                },
            }
        }
    }

    async fn answer(&mut self, message: &Value) -> Result<(), Gone> {
        match message["action"].as_str() {
            // The key stands in the message, or in its data as in the older form.
            Some("auth") => self.admit(self.takes(message, ["key", "secret"])).await,
            Some("authenticate") => {
                let data = &message["data"];
                self.admit(self.takes(data, ["key_id", "secret_key"])).await
            }
            Some("listen") if self.known => {
                // The list takes the place of the one before.
                let streams: Vec<&str> = message["data"]["streams"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                self.listens = streams.contains(&STREAM);
                let heard: Vec<&str> = streams.into_iter().filter(|stream| *stream == STREAM).collect();
                self.speaker.control(&json!({"stream": "listening", "data": {"streams": heard}})).await
            }
            Some("listen") => self.fail("not authenticated").await,
            _ => self.fail("invalid command").await,
        }
    }

    /// Whether a message holds the right key and secret.
    fn takes(&self, message: &Value, [key, secret]: [&str; 2]) -> bool {
        let text = |field: &str| message[field].as_str().unwrap_or_default();
        self.stand.admits(text(key), text(secret))
    }

    async fn admit(&mut self, right: bool) -> Result<(), Gone> {
        self.known = right;
        let status = if right { "authorized" } else { "unauthorized" };
        let data = json!({"status": status, "action": "authenticate"});
        self.speaker.control(&json!({"stream": "authorization", "data": data})).await
    }

    async fn fail(&mut self, message: &str) -> Result<(), Gone> {
        self.speaker.control(&json!({"action": "error", "data": {"error_message": message}})).await?;
        Err(Gone)
    }

    async fn tell(&mut self, update: &Update) -> Result<(), Gone> {
        if !self.listens {
            return Ok(());
        }
        let bytes = json!({"stream": STREAM, "data": update.data}).to_string().into_bytes();
        self.speaker.data(vec![Item { kind: STREAM, sequence: update.sequence, bytes: &bytes }]).await
    }
}
