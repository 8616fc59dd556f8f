//! Appending exactly once, and for as long as the tape needs to come back.
//!
//! A service that cannot reach the tape has nothing better to do than to try again: the ids of its events
//! follow from their causes, so a repeated append changes nothing. Deliberately absent: deciding again
//! after a conflict, which is the service's business.

use std::time::Duration;

use contracts::stream_of;
use event_log::{Append, AppendError, Appended, Delivery, Expect, LogError, Tape};
use tokio_util::sync::CancellationToken;

use crate::clock;

/// Shortest and longest pause between two attempts.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Messages looked at in one read while searching an aggregate.
const SEARCH_BATCH: usize = 256;

/// Appends `entry`; repeats it while the tape is unavailable, until `shutdown`.
///
/// A conflict whose aggregate already holds this very event is success: an earlier attempt, perhaps of a
/// process that was killed before it saw the answer, stored it. Every other conflict is returned.
pub async fn append(
    tape: &Tape,
    shutdown: &CancellationToken,
    entry: Append,
) -> Result<Appended, AppendError> {
    let first = tape.append(entry.clone()).await;
    settle(tape, shutdown, entry, first).await
}

/// Appends many events of one stream without waiting for each other, each as [`append`] would.
pub async fn append_all(
    tape: &Tape,
    shutdown: &CancellationToken,
    entries: Vec<Append>,
) -> Vec<Result<Appended, AppendError>> {
    let firsts = tape.append_pipelined(entries.clone()).await;
    let mut outcomes = Vec::with_capacity(entries.len());
    for (entry, first) in entries.into_iter().zip(firsts) {
        outcomes.push(settle(tape, shutdown, entry, first).await);
    }
    outcomes
}

async fn settle(
    tape: &Tape,
    shutdown: &CancellationToken,
    entry: Append,
    first: Result<Appended, AppendError>,
) -> Result<Appended, AppendError> {
    let mut outcome = first;
    let mut pause = PAUSE_MIN;
    loop {
        let error = match outcome {
            Err(AppendError::Conflict { filter, expected, last, actual }) => {
                match stored_at(tape, &entry, &filter, expected, last).await {
                    Ok(Some(sequence)) => return Ok(Appended { sequence, duplicate: true }),
                    Ok(None) => return Err(AppendError::Conflict { filter, expected, last, actual }),
                    Err(error) => error,
                }
            }
            Err(AppendError::Unavailable(error)) => error,
            answered => return answered,
        };
        tracing::warn!(subject = entry.subject.as_str(), "append not answered, repeating: {error}");
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Err(AppendError::Unavailable(error)),
            () = clock::sleep(pause) => {}
        }
        pause = (pause * 2).min(PAUSE_MAX);
        outcome = tape.append(entry.clone()).await;
    }
}

/// Where the event of `entry` stands under `filter` after `expected` and up to `last`, if it does.
async fn stored_at(
    tape: &Tape,
    entry: &Append,
    filter: &str,
    expected: u64,
    last: u64,
) -> Result<Option<u64>, LogError> {
    debug_assert!(matches!(entry.expect, Expect::Last { .. }), "only an expectation can conflict");
    let Some(stream) = stream_of(entry.subject.as_str()) else { return Ok(None) };
    if last <= expected {
        return Ok(None);
    }
    let mut reader = tape.read(stream, &[filter.to_owned()], expected + 1).await?;
    loop {
        for delivery in reader.batch(SEARCH_BATCH).await? {
            let sequence = delivery.sequence();
            if let Delivery::Event(recorded) = delivery
                && recorded.event.id == entry.event.id
            {
                return Ok(Some(sequence));
            }
            if sequence >= last {
                return Ok(None);
            }
        }
    }
}
