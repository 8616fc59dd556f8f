//! One connection of `trade_updates`: opened, introduced, subscribed.
//!
//! Paper accounts send JSON in binary frames, live ones in text; both are read.

use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use vendors::http::{Credentials, tls_config};

/// Longest wait for each step of the beginning.
const STEP_MAX: Duration = Duration::from_secs(10);
const STREAM: &str = "trade_updates";

/// What carries the connection.
trait Carrier: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Carrier for T {}

/// An open connection that tells what happens to orders.
pub(crate) struct Socket {
    inner: WebSocketStream<Box<dyn Carrier>>,
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

/// The parts of an address that a connection needs.
fn address(base_url: &str) -> Option<(bool, String, u16)> {
    let (scheme, rest) = base_url.split_once("://")?;
    let secure = matches!(scheme, "https" | "wss");
    let authority = rest.split('/').next()?;
    let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (authority, if secure { 443 } else { 80 }),
    };
    Some((secure, host.trim_matches(['[', ']']).to_owned(), port))
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
        let (secure, host, port) = address(base_url).ok_or_else(|| format!("{base_url} is no address"))?;
        let carrier: Box<dyn Carrier> = within("connect", async {
            let tcp = TcpStream::connect((host.as_str(), port)).await.map_err(|error| error.to_string())?;
            tcp.set_nodelay(true).map_err(|error| error.to_string())?;
            if !secure {
                return Ok(Box::new(tcp) as Box<dyn Carrier>);
            }
            let connector = TlsConnector::from(Arc::new(tls_config(base_url)?));
            let name = ServerName::try_from(host.clone()).map_err(|error| error.to_string())?;
            let tls = connector.connect(name, tcp).await.map_err(|error| error.to_string())?;
            Ok(Box::new(tls) as Box<dyn Carrier>)
        })
        .await?;
        let scheme = if secure { "wss" } else { "ws" };
        let url = format!("{scheme}://{host}:{port}/stream");
        let inner = within("handshake", async {
            let opened = tokio_tungstenite::client_async(url, carrier).await;
            opened.map(|(stream, _)| stream).map_err(|error| error.to_string())
        })
        .await?;
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
    use super::address;

    #[test]
    fn an_address_says_where_to_connect() {
        let is = |host: &str, secure, port| Some((secure, host.to_owned(), port));
        assert_eq!(address("https://api.alpaca.markets"), is("api.alpaca.markets", true, 443));
        assert_eq!(address("http://127.0.0.1:9101"), is("127.0.0.1", false, 9101));
        assert_eq!(address("http://[::1]:9101"), is("::1", false, 9101));
        assert_eq!(address("nowhere"), None);
    }
}
