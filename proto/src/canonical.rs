//! The canonical encoding and the chain hash: one number for all that a system decided.
//!
//! Each stored signal, risk decision, order event and fill counts as (id, event time, body), fields in
//! tag order, sorted by (instant, stage, strategy, symbol, leg, index). Recorded time, basis, headers
//! and instance ids do not count, so a backtest, a rehearsal and a simulation of the same data give
//! the same hash. A duplicate id is an error, never collapsed, but for signals: a strategy outside may send one again,
//! or under the id of another strategy's. Risk parks what is such, and it does not count.

use std::collections::{BTreeSet, HashSet};

use prost::Message as _;

use crate::chain_id::is_foreign;
use crate::from_timestamp;
use crate::id::id_digest;
use crate::v1::Event;
use crate::v1::event::Body;

/// Where an event stands in the chain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChainKey {
    /// Event time in UTC nanoseconds.
    pub instant_ns: i64,
    /// 1 fills, 2 signals, 3 risk decisions, 4 order events.
    pub stage: u8,
    /// Strategy's name; empty where the body does not carry it.
    pub strategy: String,
    /// Symbol; empty where the body does not carry it.
    pub symbol: String,
    /// Leg of the signal.
    pub leg: u32,
    /// Number of a fill, or tag of an order event.
    pub index: u32,
    /// Last resort, so that the order is total.
    pub id: String,
}

/// Two stored events share one id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event id {0} is stored twice")]
pub struct DuplicateId(pub String);

/// The place of `event` in the chain; `None` when it does not count.
#[must_use]
pub fn chain_key(event: &Event) -> Option<ChainKey> {
    let (stage, strategy, symbol, leg, index) = match event.body.as_ref()? {
        Body::Fill(fill) => (1, fill.strategy.as_str(), fill.symbol.as_str(), fill.leg, fill.number),
        Body::Signal(signal) => {
            let symbol = signal.legs.first().map_or("", |leg| leg.symbol.as_str());
            (2, signal.strategy.as_str(), symbol, 0, 0)
        }
        Body::RiskDecision(decision) => {
            let symbol = decision.inputs.first().map_or("", |input| input.symbol.as_str());
            (3, decision.strategy.as_str(), symbol, 0, 0)
        }
        Body::OrderSubmitted(submitted) => {
            let order = submitted.order.as_ref()?;
            (4, order.strategy.as_str(), order.symbol.as_str(), order.leg, 50)
        }
        Body::OrderAccepted(event) => (4, "", event.order_id.as_str(), 0, 51),
        Body::OrderRejected(event) => (4, "", event.order_id.as_str(), 0, 52),
        Body::OrderCancelRequested(event) => (4, "", event.order_id.as_str(), 0, 53),
        Body::OrderCancelled(event) => (4, "", event.order_id.as_str(), 0, 54),
        Body::OrderCancelRejected(event) => (4, "", event.order_id.as_str(), 0, 55),
        Body::OrderReplaceRequested(event) => (4, "", event.order_id.as_str(), 0, 56),
        Body::OrderReplaced(event) => (4, "", event.order_id.as_str(), 0, 57),
        Body::OrderReplaceRejected(event) => (4, "", event.order_id.as_str(), 0, 58),
        Body::OrderExpired(event) => (4, "", event.order_id.as_str(), 0, 59),
        Body::OrderSuspended(event) => (4, "", event.order_id.as_str(), 0, 60),
        Body::OrderAdjusted(event) => (4, "", event.order_id.as_str(), 0, 61),
        Body::OrderTriggered(event) => (4, "", event.order_id.as_str(), 0, 62),
        Body::OrderTrailed(event) => (4, "", event.order_id.as_str(), 0, 63),
        Body::OrderUnresolved(event) => (4, "", event.order_id.as_str(), 0, 140),
        Body::FillCorrected(event) => (4, "", event.order_id.as_str(), event.number, 141),
        Body::FillBusted(event) => (4, "", event.order_id.as_str(), event.number, 142),
        _ => return None,
    };
    Some(ChainKey {
        instant_ns: event.event_time.as_ref().and_then(from_timestamp)?,
        stage,
        strategy: strategy.to_owned(),
        symbol: symbol.to_owned(),
        leg,
        index,
        id: event.id.clone(),
    })
}

/// Collects events in any order and hashes them in chain order.
#[derive(Debug, Default)]
pub struct ChainHash {
    entries: Entries,
    /// Digests of the signals' ids, which stand in the entries.
    signals: HashSet<u128>,
}

impl ChainHash {
    /// Adds an event; one that does not count is passed over.
    pub fn add(&mut self, event: &Event) {
        if let Some(Body::Signal(signal)) = &event.body
            && (is_foreign(event, &signal.strategy) || !self.signals.insert(id_digest(&event.id)))
        {
            return;
        }
        self.entries.add(event);
    }

    /// Number of events that count so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.entries.events
    }

    /// Number of orders submitted and of fills so far.
    #[must_use]
    pub fn orders_and_fills(&self) -> (u64, u64) {
        (self.entries.orders, self.entries.fills)
    }

    /// The hash as 64 hex digits. Fails when an id was added twice, other than a signal's.
    pub fn finish(mut self) -> Result<String, DuplicateId> {
        let mut hasher = blake3::Hasher::new();
        let mut seen = BTreeSet::new();
        for key in self.entries.sorted() {
            if !seen.insert(key) {
                return Err(DuplicateId(key.to_owned()));
            }
        }
        self.entries.drain_into(&mut hasher);
        Ok(hasher.finalize().to_hex().to_string())
    }
}

/// The same hash for events that come instant by instant: each one's memory is freed when it is over.
///
/// An id that occurs twice is seen within an instant; across instants the maker of the ids answers for them.
#[derive(Clone, Debug, Default)]
pub struct ChainStream {
    entries: Entries,
    hasher: blake3::Hasher,
    instant_ns: Option<i64>,
}

/// An instant that was over, or an id that occurs twice in one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// Two events share one id.
    #[error(transparent)]
    Duplicate(#[from] DuplicateId),
    /// An event of an earlier instant came after its end.
    #[error("event {id} of {instant_ns} came after that instant was over")]
    Late {
        /// The event.
        id: String,
        /// Its time.
        instant_ns: i64,
    },
}

impl ChainStream {
    /// Adds an event of the present instant.
    pub fn add(&mut self, event: &Event) {
        self.entries.add(event);
    }

    /// Hashes the instant's events.
    pub fn end_instant(&mut self) -> Result<(), StreamError> {
        let mut before = "";
        let mut latest = self.instant_ns;
        for (key, _) in self.entries.sort() {
            if key.id == before {
                return Err(DuplicateId(key.id.clone()).into());
            }
            if latest.is_some_and(|latest| key.instant_ns < latest) {
                return Err(StreamError::Late { id: key.id.clone(), instant_ns: key.instant_ns });
            }
            latest = Some(key.instant_ns);
            before = &key.id;
        }
        self.instant_ns = latest;
        self.entries.drain_into(&mut self.hasher);
        Ok(())
    }

    /// Whether nothing was added yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.events == 0
    }

    /// Hashes `events` events of whole instants that end with `instant_ns`, in chain order and framed by
    /// [`frame`]; for an engine that encodes without [`Event`]s.
    pub fn add_framed(&mut self, instant_ns: i64, events: u64, framed: &[u8]) {
        self.hasher.update(framed);
        self.instant_ns = Some(instant_ns);
        self.entries.events += events;
    }

    /// Number of events that count so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.entries.events
    }

    /// The hash as 64 hex digits.
    #[must_use]
    pub fn finish(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }
}

/// What stands before an event of `length` encoded bytes.
#[must_use]
pub fn frame(length: usize) -> [u8; 8] {
    (length as u64).to_be_bytes()
}

/// Appends the encoding of an event that has nothing but what counts: id, event time and body.
pub fn encode_counted(event: &Event, out: &mut Vec<u8>) {
    event.encode_raw(out);
}

#[derive(Clone, Debug, Default)]
struct Entries {
    entries: Vec<(ChainKey, Vec<u8>)>,
    events: u64,
    orders: u64,
    fills: u64,
}

impl Entries {
    fn add(&mut self, event: &Event) {
        let Some(key) = chain_key(event) else { return };
        match event.body {
            Some(Body::OrderSubmitted(_)) => self.orders += 1,
            Some(Body::Fill(_)) => self.fills += 1,
            _ => {}
        }
        self.events += 1;
        let counted = Event {
            id: event.id.clone(),
            event_time: event.event_time,
            body: event.body.clone(),
            ..Event::default()
        };
        self.entries.push((key, counted.encode_to_vec()));
    }

    fn sort(&mut self) -> &[(ChainKey, Vec<u8>)] {
        self.entries.sort();
        &self.entries
    }

    fn sorted(&mut self) -> impl Iterator<Item = &str> {
        self.sort().iter().map(|(key, _)| key.id.as_str())
    }

    fn drain_into(&mut self, hasher: &mut blake3::Hasher) {
        for (_, bytes) in self.entries.drain(..) {
            hasher.update(&frame(bytes.len()));
            hasher.update(&bytes);
        }
    }
}
