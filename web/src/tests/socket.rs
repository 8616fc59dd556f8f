//! Programs at the other end of a socket.

use std::sync::Arc;
use std::time::Duration;

use contracts::stream;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message, client::IntoClientRequest as _};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{Deck, config, cookie, script};
use crate::access::Role;
use crate::{WebConfig, server};

type Handshake = tokio_tungstenite::tungstenite::handshake::client::Request;
type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Serves the deck on a port of its own; gives the socket's address.
async fn served(deck: &Deck) -> String {
    let access = Arc::clone(&deck.app.config.access);
    let own = WebConfig {
        bind: "127.0.0.1:0".parse().unwrap(),
        ..config(deck.pool.clone(), access, Arc::clone(&deck.server))
    };
    let server = server::bind(deck.app.context.clone(), own).await.unwrap();
    let address = server.address();
    tokio::spawn(server.serve());
    format!("ws://{address}/api/v1/ws")
}

/// The handshake of somebody who is signed in.
fn handshake(deck: &Deck, url: &str) -> Handshake {
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("cookie", cookie(&deck.session).parse().unwrap());
    request
}

async fn open(deck: &Deck, url: &str) -> Client {
    connect_async(handshake(deck, url)).await.unwrap().0
}

/// The next message that is text, within bounded time.
async fn next(client: &mut Client) -> Value {
    loop {
        let message = tokio::time::timeout(Duration::from_secs(20), client.next()).await.unwrap();
        match message.unwrap().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("expected text, got {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_filter_is_followed_from_a_sequence_on() {
    let deck = Deck::traded().await;
    let url = served(&deck).await;
    let mut client = open(&deck, &format!("{url}?subject=account.%3E&from_sequence=1")).await;
    let first = next(&mut client).await;
    assert_eq!(first["stream"], "TRADING");
    assert!(first["subject"].as_str().unwrap().starts_with("account.paper."), "{first}");
    assert!(
        first["event"]["id"].is_string() && first["event"]["eventTime"].as_str().unwrap().ends_with('Z'),
        "{first}"
    );
    let mut sequence = first["sequence"].as_u64().unwrap();
    let head = deck.tape.last(stream::TRADING, "account.>").await.unwrap().unwrap().sequence;
    while sequence < head {
        let event = next(&mut client).await;
        assert!(event["sequence"].as_u64().unwrap() > sequence, "in order: {event}");
        sequence = event["sequence"].as_u64().unwrap();
    }
    // Caught up: what comes is sent as it comes, also what cannot be read.
    let mark = script::mark(950, script::NOW_NS + 1, 101_000, false, false);
    deck.append(vec![mark]).await;
    let fresh = next(&mut client).await;
    assert_eq!(fresh["event"]["accountMarked"]["account"], "paper", "{fresh}");
    client.close(None).await.unwrap();
}

#[tokio::test]
async fn a_program_that_follows_live_gets_only_what_comes() {
    let deck = Deck::traded().await;
    let url = served(&deck).await;
    let mut client = open(&deck, &format!("{url}?subject=audit.%3E")).await;
    client.send(Message::Ping(Vec::new().into())).await.unwrap();
    // The socket is open before the first look at the tape: ask until the first event arrives.
    let memory = deck.memory.clone();
    let writer = tokio::spawn(async move {
        loop {
            memory.publish_raw("audit.ada.unknown", b"nonsense", None);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let event = next(&mut client).await;
    writer.abort();
    assert_eq!(event["stream"], "AUDIT");
    assert!(event["unreadable"].as_str().unwrap().contains("not a protobuf"), "{event}");
    assert_eq!(event["payload"], "bm9uc2Vuc2U=");
}

#[tokio::test]
async fn a_socket_is_refused_for_a_wrong_subject_and_a_foreign_page() {
    let deck = Deck::empty().await;
    let url = served(&deck).await;
    let status = async |request: Handshake| match connect_async(request).await {
        Err(Error::Http(answer)) => answer.status().as_u16(),
        other => panic!("expected a refusal, got {other:?}"),
    };
    for subject in ["", "nowhere.a", "order..x", "*.a"] {
        let request = handshake(&deck, &format!("{url}?subject={subject}"));
        assert_eq!(status(request).await, 422, "{subject}");
    }
    let nobody = format!("{url}?subject=audit.a").into_client_request().unwrap();
    assert_eq!(status(nobody).await, 401);
    let mut request = handshake(&deck, &format!("{url}?subject=audit.a"));
    request.headers_mut().insert("origin", "http://evil.example".parse().unwrap());
    assert_eq!(status(request).await, 403);
}

/// The code with which a socket is closed, whatever comes before.
async fn closed(client: &mut Client) -> u16 {
    loop {
        let message = tokio::time::timeout(Duration::from_secs(20), client.next()).await.unwrap();
        match message {
            Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
            Some(Ok(Message::Ping(_) | Message::Text(_))) => {}
            other => panic!("expected a close, got {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_socket_is_closed_when_its_token_is_revoked() {
    let deck = Deck::empty().await;
    let url = served(&deck).await;
    let access = &deck.app.config.access;
    let expires_ns = runtime::now_ns() + 3_600_000_000_000;
    let secret = access.create_token("bot", Role::Viewer, "test", expires_ns).unwrap().secret;
    let mut request = format!("{url}?subject=audit.%3E").into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {secret}").parse().unwrap());
    let mut client = connect_async(request).await.unwrap().0;
    access.revoke_token("bot").unwrap();
    assert_eq!(closed(&mut client).await, 1008);
}

#[tokio::test]
async fn sockets_close_when_the_server_stops() {
    let deck = Deck::empty().await;
    let url = served(&deck).await;
    let mut client = open(&deck, &format!("{url}?subject=audit.%3E")).await;
    deck.app.context.shutdown.cancel();
    assert_eq!(closed(&mut client).await, 1001);
}
