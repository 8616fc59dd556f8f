//! Folding a batch of deliveries: what cannot be folded is set aside, the same way every time.

use contracts::from_timestamp;
use event_log::{Bookmark, Delivery};
use sqlx::PgConnection;

use crate::projection::{FoldError, Name, Poison, Projection, Stopped};

/// What a batch comes to.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    /// Last message of the batch.
    pub reached: Bookmark,
    /// Event time of its last readable event.
    pub event_time_ns: Option<i64>,
    /// Messages set aside.
    pub poison: Vec<Poison>,
    /// Messages in all.
    pub messages: u64,
}

/// Folds deliveries in order. Only an order that has left memory is read from Postgres.
pub(crate) async fn fold(
    projection: &mut dyn Projection,
    name: Name,
    connection: &mut PgConnection,
    schema: &str,
    deliveries: Vec<Delivery>,
) -> Result<Folded, sqlx::Error> {
    let reached = deliveries.last().map(Bookmark::at).unwrap_or_default();
    let mut folded = Folded { reached, ..Folded::default() };
    for delivery in deliveries {
        let sequence = delivery.sequence();
        folded.messages += 1;
        let mut recorded = match delivery {
            Delivery::Event(recorded) if !name.concerns(&recorded.subject) => {
                projection.skip(sequence);
                continue;
            }
            Delivery::Undecodable { subject, .. } if !name.concerns(&subject) => {
                projection.skip(sequence);
                continue;
            }
            Delivery::Event(recorded) => recorded,
            Delivery::Undecodable { subject, payload, error, .. } => {
                projection.skip(sequence);
                folded.poison.push(poison(name, sequence, subject, payload, &error.into()));
                continue;
            }
        };
        let mut outcome = projection.fold(&mut recorded);
        if let Err(Stopped::Needs { order_id, .. }) = &outcome
            && projection.bring(connection, schema, order_id).await?
        {
            outcome = projection.fold(&mut recorded);
        }
        match outcome {
            Ok(()) => {
                folded.event_time_ns = recorded.event.event_time.as_ref().and_then(from_timestamp);
            }
            Err(Stopped::Poison(error) | Stopped::Needs { poison: error, .. }) => {
                projection.skip(sequence);
                let payload = contracts::encode(&recorded.event);
                folded.poison.push(poison(name, sequence, recorded.subject, payload, &error));
            }
        }
    }
    Ok(folded)
}

fn poison(name: Name, sequence: u64, subject: String, payload: Vec<u8>, error: &FoldError) -> Poison {
    Poison {
        projection: name,
        stream: name.stream(),
        sequence,
        subject,
        payload,
        reason: format!("projection {name}: {error}"),
    }
}
