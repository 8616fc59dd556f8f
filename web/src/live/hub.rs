//! The hub: the newest message per element, each with a version that only grows.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use runtime::metrics::metrics;
use tokio::sync::watch;

/// What a page shows and a client asks for, for example `orders.paper`.
pub type Topic = String;

/// One element, as it was at a version.
#[derive(Debug)]
pub struct Message {
    /// Version, unique among messages.
    pub version: u64,
    /// Topic it belongs to.
    pub topic: Topic,
    /// The element as HTML.
    pub html: String,
}

/// What a client has missed.
#[derive(Debug)]
pub enum Caught {
    /// These messages, oldest first.
    Up(Vec<Arc<Message>>),
    /// More than the hub remembers: the client must take the page again, and then holds this version.
    Lost(u64),
}

/// Elements remembered; beyond it the oldest is forgotten, and whoever had not seen it must resync.
const ELEMENTS_MAX: usize = 4_096;
/// Clients served at once.
const CLIENTS_MAX: usize = 256;

/// See the module.
#[derive(Debug)]
pub struct Hub {
    state: Mutex<State>,
    version: watch::Sender<u64>,
    // Tells the feed that someone new wants to know something.
    wanted: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    version: u64,
    /// Versions up to here are no longer known one by one.
    forgotten: u64,
    elements: HashMap<String, Arc<Message>>,
    by_version: BTreeMap<u64, String>,
    topics: HashMap<Topic, usize>,
    clients: usize,
}

/// A client's interest; ends when dropped.
#[derive(Debug)]
pub struct Subscription {
    hub: Arc<Hub>,
    topics: BTreeSet<Topic>,
}

impl Hub {
    /// Begins at `version`, which must lie above every version of the process before.
    #[must_use]
    pub fn starting_at(version: u64) -> Arc<Self> {
        let state = State {
            version,
            forgotten: version,
            elements: HashMap::new(),
            by_version: BTreeMap::new(),
            topics: HashMap::new(),
            clients: 0,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            version: watch::Sender::new(version),
            wanted: watch::Sender::new(0),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest version. A page states the version read before its data.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.lock().version
    }

    /// Publishes an element, unless it is what it was. `render` is given the version to state in it.
    pub fn publish(&self, topic: &str, element: &str, fingerprint: &str, render: impl FnOnce(u64) -> String) {
        let mut state = self.lock();
        let key = format!("{topic}/{element}");
        // The element's text with version 0 tells whether anything changed.
        if state.elements.get(&key).is_some_and(|known| known.html_is(fingerprint)) {
            return;
        }
        state.version += 1;
        let version = state.version;
        let message = Message { version, topic: topic.to_owned(), html: render(version) };
        if let Some(old) = state.elements.insert(key.clone(), Arc::new(message)) {
            state.by_version.remove(&old.version);
        }
        state.by_version.insert(version, key);
        while state.elements.len() > ELEMENTS_MAX {
            let Some((oldest, key)) = state.by_version.pop_first() else { break };
            state.elements.remove(&key);
            state.forgotten = state.forgotten.max(oldest);
        }
        drop(state);
        self.version.send_replace(version);
    }

    /// Subscribes to `topics`; `None` when there are too many clients.
    pub fn subscribe(self: &Arc<Self>, topics: BTreeSet<Topic>) -> Option<Subscription> {
        let mut state = self.lock();
        if state.clients >= CLIENTS_MAX {
            return None;
        }
        state.clients += 1;
        for topic in &topics {
            *state.topics.entry(topic.clone()).or_default() += 1;
        }
        drop(state);
        metrics().live_clients.with(&[]).add(1.0);
        self.wanted.send_modify(|count| *count = count.wrapping_add(1));
        Some(Subscription { hub: Arc::clone(self), topics })
    }

    /// Topics that somebody wants.
    #[must_use]
    pub fn topics(&self) -> BTreeSet<Topic> {
        self.lock().topics.keys().cloned().collect()
    }

    /// Changes when somebody new wants something.
    #[must_use]
    pub fn wanted(&self) -> watch::Receiver<u64> {
        self.wanted.subscribe()
    }
}

impl Message {
    fn html_is(&self, fingerprint: &str) -> bool {
        self.html.replace(&format!("data-v=\"{}\"", self.version), "data-v=\"0\"") == fingerprint
    }
}

impl Subscription {
    /// What the subscriber has missed after `version`.
    #[must_use]
    pub fn after(&self, version: u64) -> Caught {
        let state = self.hub.lock();
        if version < state.forgotten || version > state.version {
            return Caught::Lost(state.version);
        }
        let newer = state.by_version.range(version + 1..).filter_map(|(_, key)| state.elements.get(key));
        Caught::Up(newer.filter(|message| self.topics.contains(&message.topic)).cloned().collect())
    }

    /// Changes with every version.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.hub.version.subscribe()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        state.clients = state.clients.saturating_sub(1);
        metrics().live_clients.with(&[]).add(-1.0);
        for topic in &self.topics {
            if let Some(count) = state.topics.get_mut(topic) {
                *count -= 1;
                if *count == 0 {
                    state.topics.remove(topic);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscribe(hub: &Arc<Hub>, topic: &str) -> Subscription {
        hub.subscribe(BTreeSet::from([topic.to_owned()])).expect("room for a client")
    }

    fn publish(hub: &Hub, topic: &str, element: &str, text: &str) {
        let html = |v: u64| format!("<p id=\"{element}\" data-v=\"{v}\">{text}</p>");
        hub.publish(topic, element, &html(0), html);
    }

    fn seen(caught: Caught) -> Vec<(String, u64)> {
        let id = |html: &str| html.split('"').nth(1).unwrap_or_default().to_owned();
        match caught {
            Caught::Up(messages) => messages.iter().map(|m| (id(&m.html), m.version)).collect(),
            Caught::Lost(version) => vec![("lost".to_owned(), version)],
        }
    }

    #[test]
    fn a_client_catches_up_with_the_newest_of_each_element_only() {
        let hub = Hub::starting_at(100);
        let client = subscribe(&hub, "t");
        publish(&hub, "t", "a", "1");
        publish(&hub, "t", "b", "1");
        publish(&hub, "t", "a", "2");
        publish(&hub, "other", "c", "1");
        assert_eq!(seen(client.after(100)), [("b".to_owned(), 102), ("a".to_owned(), 103)]);
        assert_eq!(seen(client.after(102)), [("a".to_owned(), 103)]);
        assert_eq!(seen(client.after(104)), []);
    }

    #[test]
    fn what_did_not_change_is_not_sent() {
        let hub = Hub::starting_at(0);
        publish(&hub, "t", "a", "same");
        publish(&hub, "t", "a", "same");
        assert_eq!(hub.version(), 1);
    }

    #[test]
    fn a_version_of_another_life_must_resync() {
        let hub = Hub::starting_at(100);
        let client = subscribe(&hub, "t");
        assert_eq!(seen(client.after(99)), [("lost".to_owned(), 100)]);
        assert_eq!(seen(client.after(101)), [("lost".to_owned(), 100)]);
    }

    #[test]
    fn memory_is_bounded_and_whoever_missed_the_forgotten_must_resync() {
        let hub = Hub::starting_at(0);
        let client = subscribe(&hub, "t");
        for index in 0..=ELEMENTS_MAX {
            publish(&hub, "t", &format!("row-{index}"), "x");
        }
        assert_eq!(hub.lock().elements.len(), ELEMENTS_MAX);
        assert!(matches!(client.after(0), Caught::Lost(_)));
        assert!(matches!(client.after(1), Caught::Up(messages) if messages.len() == ELEMENTS_MAX));
    }

    #[test]
    fn a_topic_ends_with_its_last_subscriber_and_clients_are_bounded() {
        let hub = Hub::starting_at(0);
        let clients: Vec<_> = (0..CLIENTS_MAX).map(|_| subscribe(&hub, "t")).collect();
        assert!(hub.subscribe(BTreeSet::new()).is_none());
        assert_eq!(hub.topics(), BTreeSet::from(["t".to_owned()]));
        drop(clients);
        assert_eq!(hub.topics(), BTreeSet::new());
    }
}
