//! Events of the host: the metadata of signals, their order, and what can be read at all.

use contracts::v1::event::Body;
use contracts::v1::{Basis, Event, Signal};
use contracts::{Subject, chain_id, from_timestamp, stream, to_timestamp};
use domain::bar::{Bar, Timeframe};

/// A signal that is to be appended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// Where it goes; also the aggregate that it is the next one of.
    pub subject: Subject,
    /// The signal's event.
    pub event: Event,
}

/// Whether the host can take the event at all; why not, otherwise.
pub(crate) fn check(event: &Event) -> Result<(), String> {
    let event_ns = event.event_time.as_ref().and_then(from_timestamp);
    let Some(event_ns) = event_ns else {
        return Err("field `event_time`: missing or out of range".to_owned());
    };
    if let Some(Body::Bar(bar)) = &event.body {
        bar.timeframe.parse::<Timeframe>().map_err(|error| format!("field `timeframe`: {error}"))?;
        Bar::from_wire(bar, event_ns).ok_or("field `start`: missing or out of range")?;
    }
    Ok(())
}

/// The order of an instant's signals: by strategy, then symbol.
pub(crate) fn order_key(outgoing: &Outgoing) -> (&str, &str) {
    match &outgoing.event.body {
        Some(Body::Signal(signal)) => {
            (signal.strategy.as_str(), signal.legs.first().map_or("", |leg| leg.symbol.as_str()))
        }
        _ => ("", ""),
    }
}

/// What a decision knew of MARKET and TRADING.
pub(crate) fn basis([market, trading]: [u64; 2]) -> Vec<Basis> {
    let of = |stream: &str, sequence| Basis { stream: stream.to_owned(), sequence };
    vec![of(stream::MARKET, market), of(stream::TRADING, trading)]
}

/// The events of the signals that `cause` made `strategy` give, at `at_ns` or at the cause's time.
pub(crate) fn outgoing(
    strategy: &str,
    signals: Vec<Signal>,
    cause: &Event,
    at_ns: Option<i64>,
    read: [u64; 2],
) -> Vec<Outgoing> {
    let event_time = at_ns.map(to_timestamp).or(cause.event_time);
    let event = |(index, signal): (u32, Signal)| {
        let event = Event {
            id: chain_id::signal(&cause.id, strategy, index),
            event_time,
            source: strategy.to_owned(),
            correlation_id: if cause.correlation_id.is_empty() {
                cause.id.clone()
            } else {
                cause.correlation_id.clone()
            },
            causation_id: cause.id.clone(),
            basis: basis(read),
            body: Some(Body::Signal(signal)),
            ..Event::default()
        };
        let subject = Subject::for_event(&event, None)?;
        Some(Outgoing { subject, event })
    };
    (0u32..).zip(signals).filter_map(event).collect()
}
