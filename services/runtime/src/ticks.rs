//! The last best bid and offer and the last trade of a symbol, as the stream QUOTES has them.

use contracts::stream::QUOTES;
use contracts::v1::event::Body;
use contracts::v1::{Quote, Trade};
use contracts::{Subject, from_timestamp};
use event_log::{EventLog, LogError};

/// What was told last, with the time it is of in UTC nanoseconds; nothing where none was told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LastTick {
    /// Best bid and offer.
    pub quote: Option<(Quote, i64)>,
    /// Trade.
    pub trade: Option<(Trade, i64)>,
}

impl LastTick {
    /// Reads what QUOTES holds last of a symbol. What is no event of its kind counts as absent.
    pub async fn of(tape: &dyn EventLog, symbol: &str) -> Result<Self, LogError> {
        let mut last = Self::default();
        for kind in ["quote", "trade"] {
            let subject = Subject::of(&[kind, symbol]);
            let recorded = match tape.last(QUOTES, subject.as_str()).await {
                Err(error) if error.is_undecodable() => None,
                other => other?,
            };
            let Some(event) = recorded.map(|recorded| recorded.event) else { continue };
            let Some(at_ns) = event.event_time.as_ref().and_then(from_timestamp) else { continue };
            match event.body {
                Some(Body::Quote(quote)) => last.quote = Some((quote, at_ns)),
                Some(Body::Trade(trade)) => last.trade = Some((trade, at_ns)),
                _ => {}
            }
        }
        Ok(last)
    }
}
