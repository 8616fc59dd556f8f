//! Parking: nothing is dropped silently.

use contracts::v1::event::Body;
use contracts::v1::{Event, Parked};
use contracts::{Subject, event_id, to_timestamp};
use event_log::{Append, AppendError, Expect, Tape};

use crate::clock::now_ns;

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
    let parked = Parked {
        service: service.to_owned(),
        stream: stream.to_owned(),
        sequence,
        subject: subject.to_owned(),
        reason: reason.to_owned(),
        payload: payload.to_vec(),
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
