//! Writes a run to a fresh tape, instant by instant: in batches where nobody waits for it, at once where somebody does.
//!
//! The tape is fresh and the run its only writer but for signals, so that sequences are known before they are given,
//! and every event states how far MARKET and TRADING were when it was made.

use contracts::Subject;
use contracts::stream::{MARKET, TRADING};
use contracts::v1::event::Body;
use contracts::v1::{Basis, Event};
use engine::OutsideError;
use event_log::{Append, Expect, MAX_BATCH, Tape};

use super::{lost, refused};

/// Events of one stream that are written together.
const FULL: usize = 500;

pub(super) struct Writer {
    tape: Tape,
    market: Vec<Append>,
    trading: Vec<Append>,
    /// Last sequences, as they are once everything is written.
    market_end: u64,
    trading_end: u64,
}

impl Writer {
    /// Refuses a tape that holds anything.
    pub async fn fresh(tape: Tape) -> Result<Self, OutsideError> {
        for stream in [MARKET, TRADING] {
            let last = tape.state(stream).await.map_err(lost)?.last_sequence;
            if last > 0 {
                let why = format!("{stream} holds {last} events, expected a fresh tape");
                return Err(OutsideError::Failed(why));
            }
        }
        Ok(Self { tape, market: Vec::new(), trading: Vec::new(), market_end: 0, trading_end: 0 })
    }

    /// Last sequence of MARKET, once everything is written.
    pub fn market_end(&self) -> u64 {
        self.market_end
    }

    /// Somebody else wrote TRADING up to here.
    pub fn saw(&mut self, trading: u64) {
        self.trading_end = self.trading_end.max(trading);
    }

    /// Takes the instant `ns`: what was decided before it, its news, and what the account made of them. Answers the
    /// places of the news.
    pub fn instant(
        &mut self,
        ns: i64,
        news: Vec<(Subject, Event)>,
        events: Vec<(Subject, Event)>,
    ) -> Vec<(String, u64)> {
        let time_ns = |event: &Event| event.event_time.as_ref().and_then(contracts::from_timestamp);
        let (earlier, now): (Vec<_>, Vec<_>) =
            events.into_iter().partition(|(_, event)| time_ns(event).is_some_and(|time_ns| time_ns < ns));
        for (subject, event) in earlier {
            self.trading(subject, event);
        }
        let cause = news.last().map(|(_, event)| event.id.clone()).unwrap_or_default();
        let mut placed = Vec::with_capacity(news.len());
        for (subject, event) in news {
            self.market_end += 1;
            placed.push((subject.as_str().to_owned(), self.market_end));
            self.market.push(Append { subject, event, expect: Expect::Nothing });
        }
        for (subject, mut event) in now {
            let marks = matches!(
                event.body,
                Some(Body::AccountMarked(_) | Body::MarginCalled(_) | Body::MarginRestored(_))
            );
            if marks {
                // An account is marked because the instant is over.
                event.causation_id.clone_from(&cause);
                event.correlation_id.clone_from(&cause);
            }
            self.trading(subject, event);
        }
        placed
    }

    pub fn trading(&mut self, subject: Subject, mut event: Event) {
        let of = |stream: &str, sequence| Basis { stream: stream.to_owned(), sequence };
        event.basis = vec![of(MARKET, self.market_end), of(TRADING, self.trading_end)];
        event.basis.retain(|basis| basis.sequence > 0);
        self.trading_end += 1;
        self.trading.push(Append { subject, event, expect: Expect::Nothing });
    }

    pub async fn flush_when_full(&mut self) -> Result<(), OutsideError> {
        if self.market.len() >= FULL || self.trading.len() >= FULL { self.flush().await } else { Ok(()) }
    }

    /// Writes in batches.
    pub async fn flush(&mut self) -> Result<(), OutsideError> {
        for queue in [&mut self.market, &mut self.trading] {
            let mut entries = std::mem::take(queue).into_iter().peekable();
            while entries.peek().is_some() {
                let batch: Vec<Append> = entries.by_ref().take(MAX_BATCH).collect();
                self.tape.append_batch(batch).await.map_err(refused)?;
            }
        }
        Ok(())
    }

    /// Writes without waiting for a batch: the order of the streams is that of the calls.
    pub async fn flush_at_once(&mut self) -> Result<(), OutsideError> {
        let (market, trading) = (std::mem::take(&mut self.market), std::mem::take(&mut self.trading));
        let mut last = self.market_end;
        for stored in self.tape.append_pipelined(market).await {
            last = stored.map_err(refused)?.sequence;
        }
        if last != self.market_end {
            let why =
                format!("{MARKET} ends at {last}, expected {}: somebody else writes there", self.market_end);
            return Err(OutsideError::Failed(why));
        }
        for stored in self.tape.append_pipelined(trading).await {
            self.trading_end = stored.map_err(refused)?.sequence;
        }
        Ok(())
    }
}
