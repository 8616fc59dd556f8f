//! One supervised connection to a vendor's stream: connect, say who it is, subscribe, watch, come back.
//!
//! The watch is on data, not only on answers to pings: a connection that lives and tells nothing while the market is
//! open is given up. Who connects again waits a random time of up to half a second, doubled after each failure up to
//! half a minute (full jitter); a place that is taken by another connection is left alone for at least three
//! seconds. What cannot pass, a wrong key for one, ends it with the vendor's words.
//!
//! Invariants: nothing is dropped silently: a queue that is full ends the connection, so that what follows is a gap
//! like any other; what may wait never fills it ([`Tell`]); every frame that cannot be read is told with what was expected; a
//! credential stands in no message; a stream tells what its dialect tells and nothing else.
//!
//! Deliberately absent: what was missed meanwhile (whoever listens asks for it), the shapes of vendors
//! ([`Dialect`]s), what they tell, reqwest.

mod backoff;
mod connect;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, timeout_at};
use tokio_tungstenite::tungstenite::Message;

use crate::clock::Clock;
use crate::error::{Refusal, VendorError};
use crate::http::Credentials;
use backoff::Backoff;
pub use connect::{Socket, Target};
use watch::Watch;

/// Longest time from the first packet to the confirmed subscription.
const HANDSHAKE_MAX: Duration = Duration::from_secs(15);
/// Time between two pings, and between two looks at the watch.
const PING_EVERY: Duration = Duration::from_secs(10);
/// Messages that may wait for whoever listens.
const QUEUE_MAX: usize = 65_536;
/// Places in the queue that what may wait leaves to what may not.
const ROOM_MIN: usize = QUEUE_MAX / 2;
/// Messages handed over at once.
const TOGETHER_MAX: usize = 512;

/// How a stream is connected to.
#[derive(Clone, Debug)]
pub struct StreamConfig {
    /// Address with its path, `wss://…`; `ws://` at a loopback address only.
    pub url: String,
    /// Who asks.
    pub credentials: Credentials,
    /// Symbols to tell of.
    pub symbols: Vec<String>,
    /// What it is to tell besides minutes.
    pub wanted: Wanted,
    /// Whether it is to speak MessagePack instead of JSON, where the vendor speaks both.
    pub packed: bool,
    /// How long a stream may tell nothing while the market is open; `Duration::MAX` where nothing is owed.
    pub silence: Duration,
}

/// What a stream is to tell besides minutes, where the vendor tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Quotes.
    pub quotes: bool,
    /// Trades, with what becomes of them.
    pub trades: bool,
}

/// What is heard of a stream that tells `T`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard<T> {
    /// It is connected and subscribed. What happened before is a gap.
    Live,
    /// What it is there to tell.
    Told(T),
    /// A message that cannot be read, and what was expected of it.
    Unreadable(String),
    /// The connection is gone and will be made again.
    Lost {
        /// Why.
        why: String,
        /// After this wait.
        again_in: Duration,
    },
    /// The vendor will not; nothing is tried again.
    Refused(VendorError),
}

/// What a stream is there to tell. Some of it may wait while whoever listens is busy.
pub(crate) trait Tell: Sized + Send + 'static {
    /// What waits.
    type Waiting: Default + Send;

    /// Has it wait; gives back what may not.
    fn wait(self, waiting: &mut Self::Waiting) -> Option<Self>;

    /// What waited.
    fn take(waiting: &mut Self::Waiting) -> Vec<Self>;
}

/// A message to the vendor.
#[derive(Debug)]
pub(crate) enum Say {
    /// In a text frame.
    Text(String),
    /// In a binary frame.
    Binary(Vec<u8>),
}

/// What a frame comes to.
#[derive(Debug)]
pub(crate) enum Said<T> {
    /// This is to be sent.
    Send(Say),
    /// The subscription is confirmed.
    Subscribed,
    /// Data.
    Told(T),
    /// Another connection holds the place.
    Busy(String),
    /// The connection is over, and may be made again.
    Over(String),
    /// The vendor will not.
    Refused(u16, Refusal, String),
    /// A message that cannot be read.
    Unreadable(String),
}

/// How a vendor speaks on its stream. It keeps what belongs to one connection and is made anew for each.
pub(crate) trait Dialect: Send + 'static {
    /// What is told in it.
    type Told: Tell;

    /// What a frame comes to, in order.
    fn read(&mut self, frame: &[u8]) -> Vec<Said<Self::Told>>;
}

/// How one connection ended.
enum Ended {
    /// It may be made again; `busy` when another one holds the place, `lived` for how long it told data.
    Passing { why: String, busy: bool, lived: Duration },
    /// It may not.
    Final(VendorError),
    /// Nobody listens any more.
    Unheard,
}

/// A stream that keeps itself connected. Dropping it ends the connection.
#[derive(Debug)]
pub struct LiveStream<T> {
    heard: mpsc::Receiver<Heard<T>>,
    last_frame_ns: Arc<AtomicI64>,
    task: tokio::task::JoinHandle<()>,
}

impl<T> Drop for LiveStream<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<T> LiveStream<T> {
    /// What was heard since the last call, in order, at least one thing. Cancel-safe. After [`Heard::Refused`] nothing
    /// comes any more.
    pub async fn next(&mut self) -> Vec<Heard<T>> {
        let mut heard = Vec::new();
        if self.heard.recv_many(&mut heard, TOGETHER_MAX).await == 0 {
            return std::future::pending().await;
        }
        heard
    }

    /// When a frame came last, answers to pings included, UTC nanoseconds; 0 before the first.
    #[must_use]
    pub fn last_frame_ns(&self) -> i64 {
        self.last_frame_ns.load(Ordering::Relaxed)
    }
}

/// Starts a stream; fails where no connection could ever be made. `dialect` makes one for each connection.
pub(crate) fn start<D: Dialect>(
    vendor: &'static str,
    config: StreamConfig,
    clock: Arc<dyn Clock>,
    dialect: impl Fn(&StreamConfig) -> D + Send + 'static,
) -> Result<LiveStream<D::Told>, VendorError> {
    let target = connect::Target::parse(vendor, &config.url)?.speaking(config.packed);
    let (sender, heard) = mpsc::channel(QUEUE_MAX);
    let last_frame_ns = Arc::new(AtomicI64::new(0));
    let supervisor =
        Supervisor { vendor, config, target, clock, out: sender, last_frame_ns: Arc::clone(&last_frame_ns) };
    let task = tokio::spawn(async move { supervisor.run(dialect).await });
    Ok(LiveStream { heard, last_frame_ns, task })
}

struct Supervisor<T> {
    vendor: &'static str,
    config: StreamConfig,
    target: connect::Target,
    clock: Arc<dyn Clock>,
    out: mpsc::Sender<Heard<T>>,
    last_frame_ns: Arc<AtomicI64>,
}

impl<T: Tell> Supervisor<T> {
    async fn run<D: Dialect<Told = T>>(self, dialect: impl Fn(&StreamConfig) -> D + Send + 'static) {
        let (mut backoff, mut waiting) = (Backoff::default(), T::Waiting::default());
        loop {
            let (why, wait) = match self.connection(&mut dialect(&self.config), &mut waiting).await {
                Ended::Passing { why, busy, lived } => {
                    let wait = backoff.wait(busy, lived, |most| self.clock.jitter(most));
                    (self.config.credentials.redact(&why), wait)
                }
                Ended::Final(error) => {
                    // Whoever listens may have gone.
                    let _ = self.out.send(Heard::Refused(error)).await;
                    return;
                }
                Ended::Unheard => return,
            };
            tracing::info!(vendor = self.vendor, "{}: stream ended, again in {wait:?}: {why}", self.vendor);
            if self.out.send(Heard::Lost { why, again_in: wait }).await.is_err() {
                return;
            }
            self.clock.sleep(wait).await;
        }
    }

    /// From the first packet of a connection to its last.
    async fn connection<D: Dialect<Told = T>>(&self, dialect: &mut D, waiting: &mut T::Waiting) -> Ended {
        let deadline = Instant::now() + HANDSHAKE_MAX;
        let passing = |why: String| Ended::Passing { why, busy: false, lived: Duration::ZERO };
        let mut socket = match timeout_at(deadline, self.target.connect()).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => return passing(error),
            Err(_) => return passing(format!("not connected within {} s", HANDSHAKE_MAX.as_secs())),
        };
        let mut watch = Watch::new(deadline);
        let mut looks = interval(PING_EVERY);
        looks.tick().await;
        loop {
            let late = tokio::time::sleep_until(watch.deadline);
            let frame = tokio::select! {
                frame = socket.next() => frame,
                () = late, if !watch.is_live() => {
                    return passing(format!("no subscription within {} s", HANDSHAKE_MAX.as_secs()));
                }
                _ = looks.tick() => {
                    if let Some(why) = watch.trouble(self.clock.now_ns(), self.config.silence) {
                        return watch.passing(why, false);
                    }
                    if let Err(error) = socket.send(Message::Ping(bytes::Bytes::new())).await {
                        return watch.passing(error.to_string(), false);
                    }
                    continue;
                }
            };
            let bytes = match frame {
                Some(Ok(Message::Text(text))) => bytes::Bytes::from(text),
                Some(Ok(Message::Binary(bytes))) => bytes,
                Some(Ok(Message::Close(frame))) => return watch.passing(closed(frame), false),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                    self.frame_came(&mut watch);
                    continue;
                }
                Some(Err(error)) => return watch.passing(format!("the connection broke: {error}"), false),
                None => return watch.passing("the connection ended".to_owned(), false),
            };
            self.frame_came(&mut watch);
            for said in dialect.read(&bytes) {
                if let Some(ended) = self.take(said, &mut socket, &mut watch, waiting).await {
                    return ended;
                }
            }
        }
    }

    fn frame_came(&self, watch: &mut Watch) {
        watch.frame_at = Instant::now();
        self.last_frame_ns.store(self.clock.now_ns(), Ordering::Relaxed);
    }

    /// Does what one message asks for; answers how the connection ended, if it did.
    async fn take(
        &self,
        said: Said<T>,
        socket: &mut Socket,
        watch: &mut Watch,
        waiting: &mut T::Waiting,
    ) -> Option<Ended> {
        let heard = match said {
            Said::Send(say) => {
                let message = match say {
                    Say::Text(text) => Message::text(text),
                    Say::Binary(bytes) => Message::binary(bytes),
                };
                let sent = socket.send(message).await;
                return sent.err().map(|error| watch.passing(error.to_string(), false));
            }
            Said::Subscribed => {
                watch.live(self.clock.now_ns());
                // The place in the queue is waited for: what follows has to know that it may be a gap.
                return self.out.send(Heard::Live).await.is_err().then_some(Ended::Unheard);
            }
            Said::Busy(why) => return Some(watch.passing(why, true)),
            Said::Over(why) => return Some(watch.passing(why, false)),
            Said::Refused(status, kind, message) => {
                let message = self.config.credentials.redact(&message);
                return Some(Ended::Final(VendorError::Refused {
                    vendor: self.vendor,
                    status,
                    kind,
                    message,
                }));
            }
            Said::Unreadable(what) => Heard::Unreadable(self.config.credentials.redact(&what)),
            Said::Told(told) => {
                watch.data_ns = self.clock.now_ns();
                Heard::Told(told)
            }
        };
        let room = self.out.capacity() >= ROOM_MIN;
        let heard = match heard {
            Heard::Told(told) if !room => Heard::Told(told.wait(waiting)?),
            heard => heard,
        };
        let waited = if room { T::take(waiting) } else { Vec::new() };
        for heard in waited.into_iter().map(Heard::Told).chain([heard]) {
            match self.out.try_send(heard) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Closed(_)) => return Some(Ended::Unheard),
                Err(mpsc::error::TrySendError::Full(_)) => {
                    let why = format!("{QUEUE_MAX} messages wait here to be taken");
                    return Some(watch.passing(why, false));
                }
            }
        }
        None
    }
}

fn closed(frame: Option<tokio_tungstenite::tungstenite::protocol::CloseFrame>) -> String {
    match frame {
        Some(frame) if frame.reason.is_empty() => format!("closed with {}", u16::from(frame.code)),
        Some(frame) => format!("closed with {}: {}", u16::from(frame.code), frame.reason),
        None => "closed without a word".to_owned(),
    }
}
