//! `GET /live`: one event per element that changed.
//!
//! `event` is the topic, `id` the version to resume after, `data` the element. A `beat` each second says
//! that the connection lives, `resync` that the client must take its page again.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use futures::Stream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::hub::{Caught, Message, Subscription};
use crate::access::Standing;
use crate::holders::Held;

const BEAT: Duration = Duration::from_secs(1);
/// Least time between two rounds to one client: at most 10 a second, whatever the feed does.
const PAUSE: Duration = Duration::from_millis(100);
/// Topics of one client, which is a browser with all its pages: a chart alone has ten, and whoever watches keeps many open.
/// So many, of the longest symbols, still fit into an address.
pub const TOPICS_MAX: usize = 512;
/// Most streams of one user or token. A browser has one, whatever is open in it.
pub const OWN_STREAMS_MAX: usize = 128;

/// Query of `/live`.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LiveQuery {
    /// Topics, comma-separated.
    pub topics: String,
    /// Version that the page holds; `Last-Event-ID` wins over it.
    #[serde(default)]
    #[param(default = 0)]
    pub after: u64,
}

impl LiveQuery {
    /// The topics asked for; `None` when there are none or too many.
    #[must_use]
    pub fn topics(&self) -> Option<BTreeSet<String>> {
        let topics: BTreeSet<String> =
            self.topics.split(',').filter(|topic| !topic.is_empty()).map(str::to_owned).collect();
        (1..=TOPICS_MAX).contains(&topics.len()).then_some(topics)
    }

    /// The version to go on from.
    #[must_use]
    pub fn version(&self, headers: &HeaderMap) -> u64 {
        let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
        last.and_then(|id| id.parse().ok()).unwrap_or(self.after)
    }
}

struct Client {
    subscription: Subscription,
    standing: Standing,
    _held: Held,
    shutdown: CancellationToken,
    version: u64,
    waiting: std::collections::VecDeque<Event>,
    // Not before then is the next round sent.
    not_before: Instant,
    next_beat: Instant,
}

/// What happens to one client until it leaves, is no longer signed in, or the server stops.
pub fn stream(
    subscription: Subscription,
    standing: Standing,
    held: Held,
    version: u64,
    shutdown: CancellationToken,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let now = Instant::now();
    let client = Client {
        subscription,
        standing,
        _held: held,
        shutdown,
        version,
        waiting: std::collections::VecDeque::new(),
        not_before: now,
        next_beat: now,
    };
    Sse::new(futures::stream::unfold(client, |mut client| async move {
        let event = client.next().await?;
        Some((Ok(event), client))
    }))
}

impl Client {
    async fn next(&mut self) -> Option<Event> {
        let mut changes = self.subscription.changes();
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            changes.borrow_and_update();
            let now = Instant::now();
            if now >= self.not_before {
                self.take();
                if !self.waiting.is_empty() {
                    self.not_before = now + PAUSE;
                    continue;
                }
            }
            if now >= self.next_beat {
                if self.standing.has_ended() {
                    return None;
                }
                self.next_beat = now + BEAT;
                return Some(self.beat());
            }
            let until =
                if now < self.not_before { self.not_before.min(self.next_beat) } else { self.next_beat };
            tokio::select! {
                () = self.shutdown.cancelled() => return None,
                () = tokio::time::sleep_until(until) => {}
                changed = changes.changed(), if now >= self.not_before => { changed.ok()?; }
            }
        }
    }

    fn take(&mut self) {
        match self.subscription.after(self.version) {
            Caught::Up(messages) => {
                if let Some(last) = messages.last() {
                    self.version = last.version;
                }
                self.waiting.extend(messages.iter().map(element));
            }
            Caught::Lost(version) => {
                self.version = version;
                self.waiting.push_back(
                    Event::default().event("resync").id(version.to_string()).data(version.to_string()),
                );
            }
        }
    }

    fn beat(&self) -> Event {
        Event::default().event("beat").id(self.version.to_string()).data(self.version.to_string())
    }
}

fn element(message: &Arc<Message>) -> Event {
    // Line breaks would only cost bytes: HTML treats them as spaces.
    let html = message.html.replace(['\r', '\n'], " ");
    Event::default().event(&message.topic).id(message.version.to_string()).data(html)
}
