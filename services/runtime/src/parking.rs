//! Parking: nothing is dropped silently.

use std::collections::BTreeSet;

use contracts::v1::event::Body;
use contracts::v1::{Event, Parked};
use contracts::{Subject, event_id, to_timestamp};
use event_log::{Append, AppendError, Delivery, Expect, LogError, Recorded, Tape};

use crate::clock::now_ns;

/// Most bytes of a message that are kept.
const PAYLOAD_BYTES_MAX: usize = 256 * 1024;

/// Most messages that are stored together: all of them are in memory meanwhile.
const AT_ONCE: usize = 64;

/// A message that a service could not handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// Where it stands on its stream.
    pub sequence: u64,
    /// Under what.
    pub subject: String,
    /// What it holds.
    pub payload: Vec<u8>,
    /// Why it could not be handled.
    pub reason: String,
}

/// Records that `service` could not handle the message at `sequence` of `stream`, and why.
///
/// Parking the same message twice changes nothing: the id follows from service, stream and sequence.
pub async fn park(
    tape: &Tape,
    service: &str,
    stream: &str,
    sequence: u64,
    subject: &str,
    payload: &[u8],
    reason: &str,
) -> Result<(), AppendError> {
    let (subject, payload, reason) = (subject.to_owned(), payload.to_vec(), reason.to_owned());
    let message = Unfit { sequence, subject, payload, reason };
    say(service, stream, std::slice::from_ref(&message));
    tape.append(entry(service, stream, &message)).await.map(|_| ())
}

/// The same of many messages, without waiting for one before the next and with one line in the log: whoever sends such
/// messages by the thousand must not keep the service from its work.
pub async fn park_all(
    tape: &Tape,
    service: &str,
    stream: &str,
    messages: &[Unfit],
) -> Result<(), AppendError> {
    for some in messages.chunks(AT_ONCE) {
        say(service, stream, some);
        let entries = some.iter().map(|message| entry(service, stream, message)).collect();
        for stored in tape.append_pipelined(entries).await {
            stored?;
        }
    }
    Ok(())
}

/// Sequences of `stream` that `service` has parked; without a service, that anybody has.
pub async fn parked(tape: &Tape, service: Option<&str>, stream: &str) -> Result<BTreeSet<u64>, LogError> {
    let filter = service.map_or_else(
        || "parked.>".to_owned(),
        |service| Subject::of(&["parked", service]).as_str().to_owned(),
    );
    let last = tape.last_sequence(contracts::stream::PARKED, &filter).await?;
    let mut sequences = BTreeSet::new();
    if last == 0 {
        return Ok(sequences);
    }
    let mut reader = tape.read(contracts::stream::PARKED, &[filter], 1).await?;
    let mut read = 0;
    while read < last {
        for delivery in reader.batch(AT_ONCE).await? {
            read = delivery.sequence();
            if let Delivery::Event(Recorded { event, .. }) = delivery
                && let Some(Body::Parked(parked)) = event.body
                && parked.stream == stream
            {
                sequences.insert(parked.sequence);
            }
        }
    }
    Ok(sequences)
}

fn say(service: &str, stream: &str, messages: &[Unfit]) {
    let Some(Unfit { sequence, subject, reason, .. }) = messages.first() else { return };
    let more = match messages.len() - 1 {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let subject = subject.as_str();
    tracing::warn!(service, stream, sequence, subject, "parked {stream} {sequence}: {reason}{more}");
}

fn entry(service: &str, stream: &str, message: &Unfit) -> Append {
    let Unfit { sequence, subject, payload, reason } = message;
    // A message may be as large as the server takes; what is parked must fit into one with all about it.
    let kept = payload.get(..PAYLOAD_BYTES_MAX).unwrap_or(payload);
    let cut = if kept.len() < payload.len() {
        format!(" (the first {} of {} bytes are kept)", kept.len(), payload.len())
    } else {
        String::new()
    };
    let parked = Parked {
        service: service.to_owned(),
        stream: stream.to_owned(),
        sequence: *sequence,
        subject: subject.clone(),
        reason: format!("{reason}{cut}"),
        payload: kept.to_vec(),
    };
    let event = Event {
        id: event_id(&format!("{stream}/{sequence}"), &format!("park/{service}"), 0),
        event_time: Some(to_timestamp(now_ns())),
        source: service.to_owned(),
        body: Some(Body::Parked(parked)),
        ..Event::default()
    };
    Append { subject: Subject::of(&["parked", service]), event, expect: Expect::Nothing }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use contracts::stream;
    use event_log::{EventLog as _, MemoryLog};

    use super::*;

    #[tokio::test]
    async fn many_are_parked_together_and_each_once() {
        let log = MemoryLog::new();
        let tape: Tape = Arc::new(log.clone());
        let unfit = |sequence| Unfit {
            sequence,
            subject: "signal.alpha.SPY".to_owned(),
            payload: b"{}".to_vec(),
            reason: "no event".to_owned(),
        };
        let messages: Vec<Unfit> = (1..=150).map(unfit).collect();
        for _ in 0..2 {
            park_all(&tape, "risk", stream::TRADING, &messages).await.unwrap();
        }
        park(&tape, "risk", stream::TRADING, 7, "signal.alpha.SPY", b"{}", "no event").await.unwrap();
        assert_eq!(log.state(stream::PARKED).await.unwrap().messages, 150);
        let last = log.get(stream::PARKED, 150).await.unwrap().unwrap();
        let Some(Body::Parked(parked)) = last.event.body else { panic!("nothing is parked") };
        assert_eq!((parked.sequence, parked.reason.as_str()), (150, "no event"));
    }

    #[tokio::test]
    async fn who_parked_what_of_a_stream_is_known() {
        let tape: Tape = Arc::new(MemoryLog::new());
        assert!(parked(&tape, None, stream::TRADING).await.unwrap().is_empty());
        for (service, of, sequence) in
            [("risk", stream::TRADING, 7), ("execution", stream::TRADING, 8), ("risk", stream::MARKET, 9)]
        {
            park(&tape, service, of, sequence, "signal.alpha.SPY", b"{}", "no event").await.unwrap();
        }
        let of = async |service| parked(&tape, service, stream::TRADING).await.unwrap();
        assert_eq!(of(Some("risk")).await, BTreeSet::from([7]));
        assert_eq!(of(None).await, BTreeSet::from([7, 8]));
        assert!(of(Some("strategy")).await.is_empty());
    }
}
