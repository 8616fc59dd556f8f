//! The tape for programs: events under a subject filter over a WebSocket, as JSON.
//!
//! Each socket has a producer that reads the tape with single requests (no consumer is left on the
//! server) into a bounded queue. A program that named where to begin gets everything from there, as fast
//! as it reads. One that follows live and reads too slowly is told how many it missed, never left behind
//! silently.
//!
//! Deliberately absent: writing. What a program sends is ignored, except for the protocol's own frames.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::HeaderMap;
use axum::response::Response;
use base64::Engine as _;
use event_log::{Hints, LogError, Stored, Tape};
use futures::stream::SplitSink;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::access::{Actor, Standing};
use crate::api::fields::{Asked, Field, Fields, Kind, field};
use crate::api::{Details, Problem, Problems};
use crate::app::App;
use crate::error::PageError;
use crate::holders::{Held, Holders};

/// Largest message taken from a program; it has nothing to say.
const MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// Most sockets at the same time.
const SOCKETS_MAX: usize = 64;
/// Most of one user or token.
const OWN_SOCKETS_MAX: usize = 32;
/// Events that wait for a slow program.
const QUEUE: usize = 1_000;
/// Events read from the tape at a time.
const BATCH: usize = 250;
/// The tape is looked at this often, in case a hint was lost; and whoever reads, in case they no longer may.
const LOOK: Duration = Duration::from_secs(1);
/// A ping this often.
const PING: Duration = Duration::from_secs(20);
/// A program that neither reads nor answers for this long is let go.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How many sockets may still be opened.
#[derive(Clone, Debug)]
pub struct Sockets {
    free: Arc<Semaphore>,
    holders: Holders,
}

/// The place of a socket; given back when dropped.
#[derive(Debug)]
pub struct Place {
    _free: OwnedSemaphorePermit,
    _held: Held,
}

impl Default for Sockets {
    fn default() -> Self {
        let free = Arc::new(Semaphore::new(SOCKETS_MAX));
        Self { free, holders: Holders::of_at_most(OWN_SOCKETS_MAX) }
    }
}

impl Sockets {
    /// A place for one more of `who`.
    pub fn admit(&self, who: &str) -> Result<Place, PageError> {
        let held = self.holders.admit(who).ok_or_else(|| {
            PageError::Busy(format!("{who} has {OWN_SOCKETS_MAX} sockets open, the most for one"))
        })?;
        let free = Arc::clone(&self.free).try_acquire_owned();
        let free = free.map_err(|_| PageError::Busy("too many sockets are open".to_owned()))?;
        Ok(Place { _free: free, _held: held })
    }
}

/// What a program asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Following {
    /// Stream.
    pub stream: &'static str,
    /// Subject or filter.
    pub filter: String,
    /// First sequence wanted; `None` to follow from now on.
    pub from: Option<u64>,
}

/// What a socket is asked for by.
#[derive(Debug)]
pub struct SocketFields;

impl Fields for SocketFields {
    const FIELDS: &'static [Field] = &[
        field("subject", Kind::Subject, "Subject or filter of one stream, for example signal.>").needed(),
        field("from_sequence", Kind::Sequence, "First sequence wanted; left out, from now on"),
    ];
}

/// Events under a subject as they are stored, as JSON, one per message of a WebSocket.
///
/// A message is `{stream, sequence, subject, event}`; of one that cannot be read `{stream, sequence, subject,
/// unreadable, payload}` with the reason and the payload in base64. `{skipped: N}` tells a program that
/// follows live how many it was too slow for. Close codes: 1001 the server stops, 1008 no answer to pings, or the token
/// or session is no longer good, 1011 the tape cannot be read.
#[utoipa::path(get, path = "/api/v1/ws", tag = "events", operation_id = "follow_events",
    params(Asked<SocketFields>),
    responses((status = 101, description = "The socket is open"),
        (status = 426, body = Details, content_type = "application/problem+json",
            description = "The request does not ask for a WebSocket"), Problems))]
pub async fn open(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    query: Asked<SocketFields>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let subject = query.get("subject").unwrap_or_default();
    let stream = contracts::stream_of(subject).filter(|_| event_log::is_well_formed(subject));
    let stream = stream.ok_or_else(|| {
        PageError::field(
            "subject",
            subject,
            "a subject or filter of one stream such as signal.> or order.paper.>",
        )
    })?;
    let place = app.sockets.admit(&actor.name)?;
    let from = query.get("from_sequence").and_then(|text| text.parse().ok());
    let following = Following { stream, filter: subject.to_owned(), from };
    let (tape, shutdown) = (Arc::clone(&app.context.tape), app.context.shutdown.clone());
    let standing = Standing::of(&app, &headers);
    let serving = move |socket| serve(socket, tape, following, standing, shutdown, place);
    Ok(upgrade.max_message_size(MESSAGE_BYTES_MAX).on_upgrade(serving))
}

/// One message of the queue.
#[derive(Clone, Debug, PartialEq)]
enum Item {
    Event(Value),
    Skipped(u64),
}

impl Item {
    fn text(self) -> String {
        match self {
            Self::Event(value) => value.to_string(),
            Self::Skipped(number) => json!({ "skipped": number }).to_string(),
        }
    }
}

/// Serves one socket until the program leaves, falls silent, is no longer let in, or the server stops.
pub async fn serve(
    socket: WebSocket,
    tape: Tape,
    following: Following,
    standing: Standing,
    shutdown: CancellationToken,
    _place: Place,
) {
    let (mut sink, mut source) = socket.split();
    let (sender, mut queue) = mpsc::channel(QUEUE);
    let producer = tokio::spawn(async move { produce(&tape, &following, &sender).await });
    let mut ping = tokio::time::interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = tokio::time::Instant::now();
    let goodbye = loop {
        let sent = tokio::select! {
            () = shutdown.cancelled() => break Some((close_code::AWAY, "the server stops")),
            item = queue.recv() => match item {
                Some(item) => send(&mut sink, Message::Text(item.text().into())).await,
                None => break Some((close_code::ERROR, "the tape cannot be read")),
            },
            _ = ping.tick() => {
                if heard.elapsed() > SILENCE_MAX {
                    break Some((close_code::POLICY, "no answer to pings"));
                }
                send(&mut sink, Message::Ping(Vec::new().into())).await
            }
            _ = look.tick() => {
                if standing.has_ended() {
                    break Some((close_code::POLICY, "the token or session is no longer good"));
                }
                true
            }
            message = source.next() => match message {
                Some(Ok(Message::Close(_)) | Err(_)) | None => break None,
                Some(Ok(_)) => {
                    heard = tokio::time::Instant::now();
                    true
                }
            },
        };
        if !sent {
            break None;
        }
    };
    producer.abort();
    if let Some((code, reason)) = goodbye {
        let frame = CloseFrame { code, reason: reason.into() };
        send(&mut sink, Message::Close(Some(frame))).await;
    }
}

/// False when the program is gone or does not take it in time.
async fn send(sink: &mut SplitSink<WebSocket, Message>, message: Message) -> bool {
    matches!(tokio::time::timeout(SILENCE_MAX, sink.send(message)).await, Ok(Ok(())))
}

/// Reads the tape into the queue until nobody takes from it any more.
async fn produce(tape: &Tape, following: &Following, queue: &mpsc::Sender<Item>) -> Result<(), LogError> {
    let Following { stream, filter, from } = following;
    // Listening begins before the first look, so that nothing passes in between.
    let mut hints = tape.hints(filter).await?;
    let mut next = match from {
        Some(from) => (*from).max(1),
        None => tape.state(stream).await?.last_sequence + 1,
    };
    let mut skipped = 0;
    loop {
        let batch = tape.stored_from(stream, filter, next, BATCH).await?;
        let Some(last) = batch.last() else {
            // Everything there is has passed: say what was missed, as soon as there is room.
            if skipped > 0 && queue.send(Item::Skipped(std::mem::take(&mut skipped))).await.is_err() {
                return Ok(());
            }
            wait(hints.as_mut()).await;
            continue;
        };
        next = last.sequence + 1;
        for stored in &batch {
            let taken = match from {
                Some(_) => queue.send(Item::Event(item(stream, stored))).await.is_ok(),
                None => offer(queue, stream, stored, &mut skipped),
            };
            if !taken {
                return Ok(());
            }
        }
    }
}

/// Queues an event, or counts it as skipped when the queue is full. False when nobody reads any more.
fn offer(queue: &mpsc::Sender<Item>, stream: &str, stored: &Stored, skipped: &mut u64) -> bool {
    // What was skipped is told before whatever comes after it, so two places are needed.
    let places = if *skipped > 0 { 2 } else { 1 };
    match queue.try_reserve_many(places) {
        Ok(mut permits) => {
            if *skipped > 0
                && let Some(permit) = permits.next()
            {
                permit.send(Item::Skipped(std::mem::take(skipped)));
            }
            if let Some(permit) = permits.next() {
                permit.send(Item::Event(item(stream, stored)));
            }
            true
        }
        Err(mpsc::error::TrySendError::Full(())) => {
            *skipped += 1;
            true
        }
        Err(mpsc::error::TrySendError::Closed(())) => false,
    }
}

/// Waits until there may be something new.
async fn wait(hints: &mut dyn Hints) {
    tokio::select! {
        // An error says that some may have been missed: looking again is all that it takes.
        _ = hints.next() => {}
        () = tokio::time::sleep(LOOK) => {}
    }
    while hints.ready().is_some() {}
}

fn item(stream: &str, stored: &Stored) -> Value {
    let (sequence, subject) = (stored.sequence, &stored.subject);
    let event = stored.decode().map_err(|error| error.to_string());
    let event = event.and_then(|event| serde_json::to_value(event).map_err(|error| error.to_string()));
    match event {
        Ok(event) => json!({ "stream": stream, "sequence": sequence, "subject": subject, "event": event }),
        Err(reason) => json!({
            "stream": stream, "sequence": sequence, "subject": subject, "unreadable": reason,
            "payload": base64::engine::general_purpose::STANDARD.encode(&stored.payload),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(sequence: u64) -> Stored {
        Stored {
            sequence,
            subject: "signal.a.B".into(),
            headers: Vec::new(),
            payload: vec![0xff, 0x00],
            stored_ns: 0,
        }
    }

    #[tokio::test]
    async fn a_full_queue_says_how_many_were_skipped_before_it_goes_on() {
        let (sender, mut queue) = mpsc::channel(3);
        let mut skipped = 0;
        for sequence in 1..=8 {
            assert!(offer(&sender, "TRADING", &stored(sequence), &mut skipped));
        }
        assert_eq!(skipped, 5);
        // One place is not enough for the number and the next event.
        queue.recv().await.unwrap();
        assert!(offer(&sender, "TRADING", &stored(9), &mut skipped));
        assert_eq!(skipped, 6);
        queue.recv().await.unwrap();
        assert!(offer(&sender, "TRADING", &stored(10), &mut skipped));
        assert_eq!(skipped, 0);
        let mut seen = Vec::new();
        while let Ok(item) = queue.try_recv() {
            seen.push(match item {
                Item::Event(event) => format!("event {}", event["sequence"]),
                Item::Skipped(number) => format!("skipped {number}"),
            });
        }
        assert_eq!(seen, ["event 3", "skipped 6", "event 10"]);
        drop(queue);
        assert!(!offer(&sender, "TRADING", &stored(11), &mut skipped));
    }

    #[test]
    fn an_unreadable_message_comes_as_it_is_with_the_reason() {
        let text = Item::Event(item("TRADING", &stored(7))).text();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((value["sequence"].as_u64(), value["payload"].as_str()), (Some(7), Some("/wA=")));
        assert!(value["unreadable"].as_str().unwrap().contains("not a protobuf"), "{value}");
        assert_eq!(Item::Skipped(3).text(), r#"{"skipped":3}"#);
    }
}
