//! Parking: nothing is dropped silently.

use contracts::v1::event::Body;
use contracts::v1::{Event, Parked};
use contracts::{Subject, event_id, to_timestamp};
use event_log::{Append, AppendError, Expect, Tape};

use crate::clock::now_ns;

/// Most bytes of a message that are kept.
const PAYLOAD_BYTES_MAX: usize = 256 * 1024;

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
    tracing::warn!(service, stream, sequence, subject, "parked {stream} {sequence}: {reason}");
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
        sequence,
        subject: subject.to_owned(),
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
    let subject = Subject::of(&["parked", service]);
    tape.append(Append { subject, event, expect: Expect::Nothing }).await.map(|_| ())
}
