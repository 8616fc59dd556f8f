//! Starting: what the read models answer in time, and the prices that decisions stand on.
//!
//! A read model that does not answer, or is behind, is no reason to wait: the tape has everything. But a tape may hold
//! years of bars, so that no more of MARKET is read than the read models lack.

use std::time::Duration;

use contracts::v1::Event;
use contracts::v1::event::Body;
use contracts::{from_timestamp, stream};
use domain::book::KnownFinding;
use event_log::{LogError, Tape, events_under};
use runtime::{AsOf, ReadError};

use crate::pricing::Pricing;
use crate::read_model::{PastAction, PastFinding, ReadModel};

/// How long the read models may take to answer before the tape alone has to do.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Corporate actions, and findings about data.
const ACTIONS: &str = "market.action.>";
const FINDINGS: &str = "market.quality.>";

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
    let mut findings = answered(read_model.findings()).await.unwrap_or_default();
    let through = prices.checkpoint.min(history.checkpoint);
    complete(&mut actions, ACTIONS, through, tape, |event| match &event.body {
        Some(Body::CorporateAction(action)) => {
            let event_ns = event.event_time.as_ref().and_then(from_timestamp)?;
            Some(PastAction { event_ns, action: action.clone() })
        }
        _ => None,
    })
    .await?;
    complete(&mut findings, FINDINGS, through, tape, |event| {
        let (symbol, finding) = KnownFinding::of(event)?;
        Some(PastFinding { symbol: symbol.to_owned(), finding })
    })
    .await?;
    Ok(Pricing::new(prices, history, actions, findings))
}

/// Adds the rows under `filter` through `through` that their read model has not folded: it looks at nothing else of
/// MARKET, and may stand far behind bars that do not concern it.
async fn complete<Row>(
    rows: &mut AsOf<Row>,
    filter: &str,
    through: u64,
    tape: &Tape,
    row: impl Fn(&Event) -> Option<Row>,
) -> Result<(), LogError> {
    if rows.checkpoint >= through {
        return Ok(());
    }
    let lacking = rows.checkpoint + 1..=through;
    let found = events_under(tape, stream::MARKET, &[filter.to_owned()], lacking).await?;
    rows.rows.extend(found.iter().filter_map(|recorded| row(&recorded.event)));
    rows.checkpoint = through;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use contracts::v1::{ActionKind, CorporateAction, Origin, QualityFinding, Severity};
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

    #[tokio::test]
    async fn findings_that_are_not_folded_are_read_from_the_tape_and_the_newest_counts() {
        let tape: Tape = Arc::new(MemoryLog::new());
        let severities = [Severity::Warning, Severity::Error, Severity::Info, Severity::Warning];
        for (sequence, severity) in (1_u8..).zip(severities) {
            let body = QualityFinding {
                symbol: "A".to_owned(),
                // A halt counts whatever its severity.
                rule: if sequence == 3 { "halt".to_owned() } else { format!("rule{sequence}") },
                severity: severity.into(),
                ..QualityFinding::default()
            };
            let subject = Subject::of(&["market", "quality", "A"]);
            let event = Event {
                id: format!("{sequence:032x}"),
                // The last one is about the past.
                event_time: Some(to_timestamp(if sequence == 4 { 1 } else { i64::from(sequence) })),
                source: "test".to_owned(),
                body: Some(Body::QualityFinding(body)),
                ..Event::default()
            };
            tape.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
        }
        let pricing = pricing(&tape, &Behind).await.unwrap();
        let finding = pricing.prices().finding("A").unwrap();
        assert_eq!((finding.rule.as_str(), finding.time_ns), ("rule2", 2));
        assert_eq!(pricing.prices().halt("A").map(|halt| halt.time_ns), Some(3));
    }
}
