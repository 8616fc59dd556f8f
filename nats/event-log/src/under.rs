//! What stands under filters now: a read that ends, unlike [`crate::EventLog::read`], which follows.

use std::ops::RangeInclusive;

use crate::{Delivery, LogError, Recorded, Tape};

/// Messages taken from a reader at once.
const BATCH: usize = 512;

/// The events of a stream under `filters` whose sequences lie in `span`, in order, as far as they are there. A message that
/// is no event is left out: whoever follows the stream parks it.
pub async fn events_under(
    tape: &Tape,
    stream: &str,
    filters: &[String],
    span: RangeInclusive<u64>,
) -> Result<Vec<Recorded>, LogError> {
    let (first, mut last) = (*span.start(), 0);
    for filter in filters {
        last = last.max(tape.last_sequence(stream, filter).await?);
    }
    // A reader comes to the last message, or to the first one behind the span; it would wait for more.
    let until = last.min(*span.end());
    let (mut all, mut read) = (Vec::new(), first.saturating_sub(1));
    if until <= read {
        return Ok(all);
    }
    let mut reader = tape.read(stream, filters, first).await?;
    while read < until {
        for delivery in reader.batch(BATCH).await? {
            read = delivery.sequence();
            if let Delivery::Event(recorded) = delivery
                && read <= until
            {
                all.push(recorded);
            }
        }
    }
    Ok(all)
}
