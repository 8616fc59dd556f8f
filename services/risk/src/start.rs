//! Starting: what the read models answer in time, and the prices that decisions stand on.
//!
//! A read model that does not answer, or is behind, is no reason to wait: the tape has everything. But a tape may hold
//! years of bars, so that no more of MARKET is read than the read models lack.

use std::time::Duration;

use contracts::v1::event::Body;
use contracts::{from_timestamp, stream};
use event_log::{Delivery, LogError, Tape};
use runtime::{AsOf, ReadError};

use crate::pricing::Pricing;
use crate::read_model::{PastAction, ReadModel};

/// How long the read models may take to answer before the tape alone has to do.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Corporate actions.
const ACTIONS: &str = "market.action.>";
/// Messages taken from a stream at once.
const BATCH: usize = 512;

/// The answer of a read model; `None` when it has none in time.
pub(crate) async fn answered<Answer>(
    question: impl Future<Output = Result<Answer, ReadError>>,
) -> Option<Answer> {
    match runtime::clock::timeout(ANSWER_MAX, question).await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(error)) => {
            tracing::warn!(%error, "going on without a read model: {error}");
            None
        }
        Err(_) => {
            tracing::warn!("going on without a read model: it did not answer in time");
            None
        }
    }
}

/// Last prices, as far as the read models have folded MARKET's bars. What follows has to be read from the tape.
pub(crate) async fn pricing(tape: &Tape, read_model: &dyn ReadModel) -> Result<Pricing, LogError> {
    let prices = answered(read_model.prices()).await.unwrap_or_default();
    let history = answered(read_model.history()).await.unwrap_or_default();
    let mut actions = answered(read_model.actions()).await.unwrap_or_default();
    complete(&mut actions, prices.checkpoint.min(history.checkpoint), tape).await?;
    Ok(Pricing::new(prices, history, actions))
}

/// Adds the actions through `through` that their read model has not folded: it looks at nothing else of MARKET, and
/// may stand far behind bars that do not concern it.
async fn complete(actions: &mut AsOf<PastAction>, through: u64, tape: &Tape) -> Result<(), LogError> {
    if actions.checkpoint >= through {
        return Ok(());
    }
    let last = tape.last_sequence(stream::MARKET, ACTIONS).await?.min(through);
    if last > actions.checkpoint {
        let mut reader = tape.read(stream::MARKET, &[ACTIONS.to_owned()], actions.checkpoint + 1).await?;
        let mut read = actions.checkpoint;
        while read < last {
            for delivery in reader.batch(BATCH).await? {
                read = delivery.sequence();
                if let Delivery::Event(recorded) = delivery
                    && read <= through
                    && let Some(Body::CorporateAction(action)) = recorded.event.body
                    && let Some(event_ns) = recorded.event.event_time.as_ref().and_then(from_timestamp)
                {
                    actions.rows.push(PastAction { event_ns, action });
                }
            }
        }
    }
    actions.checkpoint = through;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use contracts::v1::{ActionKind, CorporateAction, Event, Origin};
    use contracts::{Subject, to_timestamp};
    use domain::money::Price;
    use event_log::{Append, Expect, MemoryLog};

    use super::*;
    use crate::read_model::{LastPrice, Snapshot};

    /// Bars folded through 4; of actions nothing.
    struct Behind;

    #[async_trait]
    impl ReadModel for Behind {
        async fn snapshot(&self, _: &[String]) -> Result<Snapshot, ReadError> {
            Ok(Snapshot::default())
        }

        async fn prices(&self) -> Result<AsOf<LastPrice>, ReadError> {
            let last = LastPrice { symbol: "A".to_owned(), price: Price(100_000_000_000), close_ns: 1 };
            Ok(AsOf { checkpoint: 4, rows: vec![last] })
        }

        async fn actions(&self) -> Result<AsOf<PastAction>, ReadError> {
            Ok(AsOf::default())
        }
    }

    #[tokio::test]
    async fn bars_that_are_folded_are_not_read_again_for_want_of_an_action() {
        let tape: Tape = Arc::new(MemoryLog::new());
        for sequence in 1..=5_u8 {
            let split = CorporateAction {
                symbol: if sequence == 2 || sequence == 5 { "A" } else { "B" }.to_owned(),
                kind: ActionKind::Split.into(),
                ex_date: format!("2024-01-0{sequence}"),
                value_e9: 2_000_000_000,
                origin: Origin::Live.into(),
            };
            let subject = Subject::of(&["market", "action", &split.symbol]);
            let event = Event {
                id: format!("{sequence:032x}"),
                event_time: Some(to_timestamp(i64::from(sequence))),
                source: "test".to_owned(),
                body: Some(Body::CorporateAction(split)),
                ..Event::default()
            };
            tape.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
        }
        let pricing = pricing(&tape, &Behind).await.unwrap();
        // The rest of MARKET is read by whoever asked: the second split of A is there.
        assert_eq!(pricing.sequence(), 4);
        assert_eq!(pricing.prices().get("A").map(|last| last.price), Some(Price(50_000_000_000)));
    }
}
