//! What an event says of how far its writer had read.

use crate::v1::Event;

/// Sequence through which the writer of `event` had read `stream`; `None` where the event does not say.
#[must_use]
pub fn basis_of(event: &Event, stream: &str) -> Option<u64> {
    event.basis.iter().find(|basis| basis.stream == stream).map(|basis| basis.sequence)
}
