//! Why? The whole chain of an event: the bar, the signal, the decision, the order's events and the fills,
//! each as it stands on the tape.
//!
//! The read model knows which events of TRADING belong together; MARKET is not in it, and a bar is found
//! by its id shortly before the place up to which its signal had read MARKET. Deliberately absent: any
//! judgement of the chain.

use std::collections::BTreeSet;

use contracts::stream::{MARKET, TRADING};
use contracts::v1::Event;
use event_log::{LogError, STORED_MAX, Stored, Tape};
use futures::StreamExt as _;
use sqlx::PgPool;

use crate::queries::{self, QueryError};

/// Messages of MARKET before a signal's basis among which its bar is searched for. An instant is smaller.
const LOOK_BACK_MAX: usize = 5 * STORED_MAX;
/// Messages read from the tape at a time.
const READS: usize = 16;

/// One event of a chain.
#[derive(Clone, Debug)]
pub struct Link {
    /// Stream it stands on.
    pub stream: &'static str,
    /// The message.
    pub stored: Stored,
    /// The event.
    pub event: Event,
}

/// A chain could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The read model could not be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The tape could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// The chain of an event of TRADING, or of one of MARKET: its causes down to the bar, and everything that
/// followed, in the order in which it happened. Empty when there is no such event, or when it is one of
/// MARKET and nothing followed from it.
pub async fn trace(pool: &PgPool, tape: &Tape, event_id: &str) -> Result<Vec<Link>, TraceError> {
    let rows = queries::chain(pool, event_id).await?;
    let sequences: Vec<u64> = rows.into_iter().map(|row| row.sequence).collect();
    let capacity = sequences.len();
    let reads = sequences.into_iter().map(|sequence| read(tape, sequence));
    let reads: Vec<_> = futures::stream::iter(reads).buffered(READS).collect().await;
    let mut trading = Vec::with_capacity(capacity);
    for link in reads {
        trading.extend(link?);
    }
    let known: BTreeSet<&str> = trading.iter().map(|link| link.event.id.as_str()).collect();
    let mut missing = BTreeSet::new();
    for Link { event, .. } in &trading {
        if let Some(basis) = contracts::basis_of(event, MARKET).filter(|_| !event.causation_id.is_empty())
            && !known.contains(event.causation_id.as_str())
        {
            missing.insert((event.causation_id.clone(), basis));
        }
    }
    let mut chain = Vec::new();
    let mut found = BTreeSet::new();
    for (id, basis) in missing {
        if !found.contains(&id)
            && let Some(link) = of_market(tape, &id, basis).await?
        {
            found.insert(id);
            chain.push(link);
        }
    }
    chain.append(&mut trading);
    Ok(chain)
}

async fn read(tape: &Tape, sequence: u64) -> Result<Option<Link>, LogError> {
    let stored = tape.stored_from(TRADING, ">", sequence, 1).await?.pop();
    // An index that is ahead of the tape points nowhere; the chain is what can be shown.
    let Some(stored) = stored.filter(|stored| stored.sequence == sequence) else { return Ok(None) };
    Ok(stored.decode().ok().map(|event| Link { stream: TRADING, stored, event }))
}

/// The event `id` of MARKET at or shortly before `basis`.
async fn of_market(tape: &Tape, id: &str, basis: u64) -> Result<Option<Link>, LogError> {
    let mut before = basis.saturating_add(1);
    let mut looked = 0;
    let mut step = 64;
    while looked < LOOK_BACK_MAX {
        let page = tape.stored_before(MARKET, ">", before, step).await?;
        let Some(last) = page.last() else { return Ok(None) };
        before = last.sequence;
        looked += page.len();
        step = STORED_MAX;
        for stored in page {
            // The header spares decoding everything that is passed over.
            if stored.header("Nats-Msg-Id").is_some_and(|header| header != id) {
                continue;
            }
            if let Ok(event) = stored.decode()
                && event.id == id
            {
                return Ok(Some(Link { stream: MARKET, stored, event }));
            }
        }
    }
    Ok(None)
}
