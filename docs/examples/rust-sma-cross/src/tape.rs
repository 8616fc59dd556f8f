//! What is read from the tape and written to it. The types are generated from the schema.

use prost::Message as _;
use prost_types::Timestamp;
use sha2::{Digest as _, Sha256};

/// The event types.
#[expect(clippy::all, reason = "generated code")]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/tapedeck.v1.rs"));
}

use v1::event::Body;
use v1::{Basis, Event, IndicatorValue, Intent, OrderType, Signal, SignalLeg, TimeInForce};

/// A wish of a strategy for one symbol.
pub struct Wish {
    /// Symbol to trade.
    pub symbol: String,
    /// What is wanted of the position.
    pub intent: Intent,
    /// What the strategy looked at, for the chain behind a fill.
    pub indicators: Vec<(&'static str, f64)>,
    /// The reason in words.
    pub reason: String,
}

/// UTC nanoseconds of a wire timestamp.
pub fn ns(timestamp: Option<&Timestamp>) -> i64 {
    timestamp.map_or(0, |time| time.seconds * 1_000_000_000 + i64::from(time.nanos))
}

/// The id of the `index`-th signal that one event causes: a retry has the same id and changes nothing.
pub fn signal_id(strategy: &str, causation_id: &str, index: usize) -> String {
    let digest = Sha256::digest(format!("signal/{strategy}/{causation_id}/{index}"));
    digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The event of a wish. `cause` is the bar's event, `sequence` its place on MARKET.
pub fn signal_event(strategy: &str, cause: &Event, sequence: u64, index: usize, wish: Wish) -> Event {
    let first = if cause.correlation_id.is_empty() { &cause.id } else { &cause.correlation_id };
    let leg = SignalLeg {
        symbol: wish.symbol,
        intent: wish.intent.into(),
        order_type: OrderType::Market.into(),
        time_in_force: TimeInForce::Day.into(),
        ..SignalLeg::default()
    };
    let indicators = wish.indicators.into_iter();
    let indicators = indicators.map(|(name, value)| IndicatorValue { name: name.to_owned(), value });
    let signal = Signal {
        strategy: strategy.to_owned(),
        legs: vec![leg],
        indicators: indicators.collect(),
        reason: wish.reason,
        ..Signal::default()
    };
    Event {
        id: signal_id(strategy, &cause.id, index),
        event_time: cause.event_time,
        source: strategy.to_owned(),
        correlation_id: first.clone(),
        causation_id: cause.id.clone(),
        basis: vec![Basis { stream: "MARKET".to_owned(), sequence }],
        body: Some(Body::Signal(signal)),
        ..Event::default()
    }
}

/// The protobuf form of an event.
pub fn encode(event: &Event) -> Vec<u8> {
    event.encode_to_vec()
}

/// A symbol as one token of a subject: BRK.B is BRK%2EB.
pub fn escape(symbol: &str) -> String {
    let mut token = String::new();
    for letter in symbol.chars() {
        match letter {
            '.' | '*' | '>' | '%' | '$' | ' ' => token.push_str(&format!("%{:02X}", u32::from(letter))),
            other => token.push(other),
        }
    }
    token
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_those_of_the_samples() {
        // From proto/ids.json of the repository.
        let id = super::signal_id("sma_python", "273354875995dea827a5cea428507e69", 1);
        assert_eq!(id, "a98682f60e9bd9a6c1ec77b0d92fd977");
    }
}
