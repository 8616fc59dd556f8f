//! What the official clients do not reach: faults byte by byte, streams under load, the control interface.

mod faults;
mod groups;
mod load;
mod same;
mod streams;

use futures::{SinkExt, StreamExt};
use serde_json::Value;
use std::time::Duration;
use tapedeck_vendors::ledger::Vendor;
use tapedeck_vendors::market::Script;
use tapedeck_vendors::{KEY, SECRET, Vendors};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

async fn start(script: Script) -> Vendors {
    Vendors::start(script).await.expect("ports on the loopback")
}

/// A client without a proxy. It never speaks TLS, and wants to know all the same who would do it.
fn client() -> reqwest::Client {
    let _known_already = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().expect("a client without a proxy")
}

/// A request to a vendor with the right key.
fn get(vendors: &Vendors, vendor: Vendor, path: &str) -> reqwest::RequestBuilder {
    let url = format!("{}{path}", vendors.addresses().http(vendor));
    client().get(url).header("APCA-API-KEY-ID", KEY).header("APCA-API-SECRET-KEY", SECRET).bearer_auth(KEY)
}

/// A client of a stream.
struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn open(vendors: &Vendors, vendor: Vendor, path: &str, packed: bool) -> Self {
        let url = format!("{}{path}", vendors.addresses().ws(vendor));
        let mut request = url.into_client_request().expect("an address");
        if packed {
            let kind = "application/msgpack".parse().expect("a header");
            request.headers_mut().insert("content-type", kind);
        }
        let (socket, _) = tokio_tungstenite::connect_async(request).await.expect("a connection");
        Self(socket)
    }

    async fn say(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).await.expect("a connection");
    }

    /// The next frame's bytes; `None` when the connection has ended.
    async fn frame(&mut self) -> Option<Vec<u8>> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("a frame in time");
            match next?.ok()? {
                Message::Text(text) => return Some(text.as_bytes().to_vec()),
                Message::Binary(bytes) => return Some(bytes.to_vec()),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    /// The next frame as JSON.
    async fn json(&mut self) -> Value {
        let frame = self.frame().await.expect("a frame");
        serde_json::from_slice(&frame).expect("JSON")
    }

    /// Says who it is to Alpaca's market data, and subscribes.
    async fn subscribe(&mut self, wanted: Value) -> Value {
        assert_eq!(self.json().await[0]["msg"], "connected");
        self.say(&serde_json::json!({"action": "auth", "key": KEY, "secret": SECRET})).await;
        assert_eq!(self.json().await[0]["msg"], "authenticated");
        let mut message = wanted;
        message["action"] = "subscribe".into();
        self.say(&message).await;
        self.json().await
    }
}
