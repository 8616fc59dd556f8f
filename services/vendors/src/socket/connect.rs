//! A WebSocket at an address, over TLS or, on this machine, without.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::header::CONTENT_TYPE;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Uri};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::error::VendorError;
use crate::http::tls;

/// The largest message that is read.
const MESSAGE_MAX: usize = 16 << 20;

/// Bytes both ways.
pub trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

/// A connection.
pub type Socket = WebSocketStream<Box<dyn Bytes>>;

/// Where a stream is.
#[derive(Debug)]
pub struct Target {
    url: String,
    host: String,
    port: u16,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    packed: bool,
}

impl Target {
    /// Reads an address; a key goes over TLS or stays on this machine.
    pub fn parse(vendor: &'static str, url: &str) -> Result<Self, VendorError> {
        let setup = |what: String| VendorError::Setup { vendor, what };
        let wrong =
            || setup(format!("stream {url:?}, expected wss://HOST/PATH, or ws:// at a loopback address"));
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let host = uri.host().ok_or_else(wrong)?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        let (tls, port) = match uri.scheme_str() {
            Some("wss") => {
                let name = ServerName::try_from(host.clone()).map_err(|_| wrong())?;
                let config = tls::config(&format!("https://{host}")).map_err(setup)?;
                (Some((Arc::new(config), name)), 443)
            }
            Some("ws") if local => (None, 80),
            _ => return Err(wrong()),
        };
        Ok(Self { port: uri.port_u16().unwrap_or(port), url: url.to_owned(), host, tls, packed: false })
    }

    /// Asks for MessagePack instead of JSON, where `packed` says so.
    pub(super) fn speaking(self, packed: bool) -> Self {
        Self { packed, ..self }
    }

    /// Connects; an error says what failed.
    pub async fn connect(&self) -> Result<Socket, String> {
        let no = |error: std::io::Error| format!("no connection: {error}");
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(no)?;
        stream.set_nodelay(true).map_err(no)?;
        let stream: Box<dyn Bytes> = match &self.tls {
            None => Box::new(stream),
            Some((config, name)) => {
                let connector = TlsConnector::from(Arc::clone(config));
                Box::new(connector.connect(name.clone(), stream).await.map_err(no)?)
            }
        };
        let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX));
        let no_request = |error| format!("no stream there: {error}");
        let mut request = self.url.as_str().into_client_request().map_err(no_request)?;
        if self.packed {
            let kind = HeaderValue::from_static("application/msgpack");
            request.headers_mut().insert(CONTENT_TYPE, kind);
        }
        let opened = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await;
        opened.map(|(socket, _)| socket).map_err(|error| format!("no stream there: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_over_tls_or_stays_here() {
        for bad in ["ws://stream.example/v2/iex", "https://stream.example", "stream.example", "wss://"] {
            let error = Target::parse("alpaca", bad).map(drop).unwrap_err().to_string();
            assert!(error.contains("expected wss://HOST/PATH"), "{bad}: {error}");
        }
        let target = Target::parse("alpaca", "ws://127.0.0.1:9102/v2/iex").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("127.0.0.1", 9102));
        assert_eq!(Target::parse("alpaca", "ws://[::1]/v2/iex").unwrap().host, "::1");
    }
}
