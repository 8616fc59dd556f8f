//! The events of the dense loop, for the hash alone: bodies whose memory is used again, encoded into one buffer
//! and hashed in chain order, in long pieces.
//!
//! Without `CHAIN` nothing is formed.

use contracts::v1::event::Body;
use contracts::v1::{
    Event, Fill, OrderAccepted, OrderExpired, OrderSpec, OrderSubmitted, RiskDecision, RiskInput, Signal,
};
use contracts::{ChainStream, ShortEventId, ShortOrderId, encode_counted, frame, to_timestamp};

use super::{Stop, require};
use crate::run::BROKER;

/// Bytes that are hashed at a time.
const PIECE: usize = 1 << 16;

/// Place of an event among those of its instant, as `contracts::ChainKey`; names are numbers, 0 is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    stage: u8,
    strategy: usize,
    symbol: usize,
    order: ShortOrderId,
    index: u32,
}

impl Place {
    fn of(stage: u8, strategy: usize, symbol: usize, index: u32) -> Self {
        Self { stage, strategy: strategy + 1, symbol, order: ShortOrderId::default(), index }
    }

    fn of_order(order: ShortOrderId, index: u32) -> Self {
        Self { stage: 4, strategy: 0, symbol: 0, order, index }
    }
}

#[derive(Debug, Default)]
pub(super) struct Chain<const CHAIN: bool> {
    stream: ChainStream,
    framed: Vec<u8>,
    framed_events: u64,
    /// Encoded events of the instant, and where each lies.
    encoded: Vec<u8>,
    entries: Vec<(Place, ShortEventId, usize, usize)>,
    event: Event,
    /// Bodies that wait to be used again.
    decision: RiskDecision,
    submitted: OrderSubmitted,
    accepted: OrderAccepted,
}

/// Writes `value` over `text`, in its memory.
pub(super) fn write(text: &mut String, value: &str) {
    text.clear();
    text.push_str(value);
}

/// Writes the two parts over `text`.
pub(super) fn write_two(text: &mut String, one: &str, two: &str) {
    write(text, one);
    text.push_str(two);
}

/// What an order is named after and known by.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ids {
    pub signal: ShortEventId,
    pub decision: ShortEventId,
    pub submitted: ShortEventId,
    pub order: ShortOrderId,
}

impl<const CHAIN: bool> Chain<CHAIN> {
    fn add(&mut self, place: Place, id: ShortEventId, ns: i64, body: Body) {
        write(&mut self.event.id, id.as_str());
        self.event.event_time = Some(to_timestamp(ns));
        self.event.body = Some(body);
        let from = self.encoded.len();
        encode_counted(&self.event, &mut self.encoded);
        self.entries.push((place, id, from, self.encoded.len()));
    }

    pub fn signal(&mut self, host: usize, symbol: usize, id: ShortEventId, ns: i64, signal: Signal) {
        self.add(Place::of(2, host, symbol, 0), id, ns, Body::Signal(signal));
    }

    /// The decision on a signal; `change` states what is not alike in all of an account's.
    pub fn decision(
        &mut self,
        host: usize,
        symbol: usize,
        ids: &Ids,
        ns: i64,
        change: impl FnOnce(&mut RiskDecision),
    ) {
        let mut decision = std::mem::take(&mut self.decision);
        write(&mut decision.signal_id, ids.signal.as_str());
        decision.inputs.resize_with(1, RiskInput::default);
        change(&mut decision);
        self.add(Place::of(3, host, symbol, 0), ids.decision, ns, Body::RiskDecision(decision));
        if let Some(Body::RiskDecision(decision)) = self.event.body.take() {
            self.decision = decision;
        }
    }

    /// The submission of the order of the last decision, and its acceptance.
    pub fn submitted(&mut self, host: usize, symbol: usize, ids: &Ids, ns: i64, spec: &OrderSpec) {
        let mut submitted = std::mem::take(&mut self.submitted);
        let order = submitted.order.get_or_insert_default();
        copy_spec(order, spec);
        write_two(&mut submitted.client_order_id, "td-", ids.order.as_str());
        write(&mut submitted.broker, BROKER);
        self.add(Place::of(4, host, symbol, 50), ids.submitted, ns, Body::OrderSubmitted(submitted));
        if let Some(Body::OrderSubmitted(submitted)) = self.event.body.take() {
            self.submitted = submitted;
        }
        let mut accepted = std::mem::take(&mut self.accepted);
        write(&mut accepted.order_id, ids.order.as_str());
        write_two(&mut accepted.broker_order_id, "sim-", ids.order.as_str());
        let id = ShortEventId::event(ids.submitted.as_str(), "execution/accepted", 0);
        self.add(Place::of_order(ids.order, 51), id, ns, Body::OrderAccepted(accepted));
        if let Some(Body::OrderAccepted(accepted)) = self.event.body.take() {
            self.accepted = accepted;
        }
    }

    /// Takes a fill and gives it back.
    pub fn fill(&mut self, host: usize, symbol: usize, id: ShortEventId, ns: i64, fill: Fill) -> Fill {
        let place = Place::of(1, host, symbol, fill.number);
        self.add(place, id, ns, Body::Fill(fill));
        match self.event.body.take() {
            Some(Body::Fill(fill)) => fill,
            _ => Fill::default(),
        }
    }

    pub fn expired(&mut self, ids: &Ids, ns: i64, reason: &str) {
        let body = OrderExpired { order_id: ids.order.as_str().to_owned(), reason: reason.to_owned() };
        let id = ShortEventId::event(ids.submitted.as_str(), "execution/expired", 0);
        self.add(Place::of_order(ids.order, 59), id, ns, Body::OrderExpired(body));
    }

    /// Puts the instant's events in order, and hashes what has gathered.
    pub fn end_instant(&mut self, ns: i64) -> Result<(), Stop> {
        if !CHAIN || self.entries.is_empty() {
            return Ok(());
        }
        self.entries.sort_unstable();
        require(self.entries.windows(2).all(|pair| pair[0].1 != pair[1].1))?;
        for &(_, _, from, to) in &self.entries {
            self.framed.extend_from_slice(&frame(to - from));
            self.framed.extend_from_slice(&self.encoded[from..to]);
        }
        self.framed_events += self.entries.len() as u64;
        self.entries.clear();
        self.encoded.clear();
        if self.framed.len() >= PIECE {
            self.flush(ns);
        }
        Ok(())
    }

    fn flush(&mut self, ns: i64) {
        self.stream.add_framed(ns, self.framed_events, &self.framed);
        self.framed.clear();
        self.framed_events = 0;
    }

    pub fn finish(&mut self, last_ns: i64) -> Option<ChainStream> {
        if !CHAIN {
            return None;
        }
        if self.framed_events > 0 {
            self.flush(last_ns);
        }
        Some(std::mem::take(&mut self.stream))
    }
}

/// Copies what a plain order states; all else of `order` is as it is by default.
pub(super) fn copy_spec(order: &mut OrderSpec, spec: &OrderSpec) {
    order.order_id.clone_from(&spec.order_id);
    order.account.clone_from(&spec.account);
    order.strategy.clone_from(&spec.strategy);
    order.symbol.clone_from(&spec.symbol);
    order.side = spec.side;
    order.order_type = spec.order_type;
    order.time_in_force = spec.time_in_force;
    order.quantity_e9 = spec.quantity_e9;
    order.leg = spec.leg;
    order.reducing = spec.reducing;
}
