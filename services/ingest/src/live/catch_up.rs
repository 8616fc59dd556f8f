//! What a stream did not tell is asked for: after every connection the span since the last one, once more a while
//! later because history may be behind the stream, and from time to time a little, to compare.

use std::time::Duration;

use runtime::{clock, now_ns};
use tokio::time::Instant;

use super::desk::{Desk, Via, nanos};
use super::gauge::State;
use super::port::LiveMarket;
use super::service::LiveError;

const MINUTE_NS: i64 = 60_000_000_000;
/// How far before the last thing heard a gap begins: minutes are told some time after they end.
const BEFORE_NS: i64 = 2 * MINUTE_NS;
/// How long history may be behind the stream.
const BEHIND: Duration = Duration::from_secs(20);
/// Minutes that ended longer ago history holds for sure.
const SETTLED_NS: i64 = 5 * MINUTE_NS;
/// Longest time for one span, and the pause before it is tried again.
const ASK_MAX: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_secs(10);
/// How far back a comparison begins before the last one, and how old a minute has to be to be missed.
const OVERLAP_NS: i64 = 3 * MINUTE_NS;
const MISSED_AFTER_NS: i64 = 90_000_000_000;

/// Which spans are to be asked for, and when.
#[derive(Debug)]
pub(super) struct CatchUp {
    /// Everything before is on the tape.
    covered_ns: i64,
    /// Start of the span that is not.
    gap_from_ns: Option<i64>,
    /// When a span that could not be had is asked for again.
    retry_at: Option<Instant>,
    /// A span that was filled and is asked for once more.
    again: Option<(Instant, i64)>,
    recheck: Duration,
    recheck_at: Instant,
}

impl CatchUp {
    /// The tape holds everything up to `from_ns`.
    pub(super) fn new(from_ns: i64, recheck: Duration) -> Self {
        Self {
            covered_ns: from_ns,
            gap_from_ns: Some(from_ns),
            retry_at: None,
            again: None,
            recheck,
            recheck_at: clock::now() + recheck,
        }
    }

    /// The stream has told everything up to now.
    pub(super) fn covered(&mut self, now_ns: i64) {
        if self.gap_from_ns.is_none() {
            self.covered_ns = now_ns;
        }
    }

    /// The stream tells nothing any more.
    pub(super) fn lost(&mut self) {
        let from_ns = self.covered_ns.saturating_sub(BEFORE_NS);
        self.gap_from_ns.get_or_insert(from_ns - from_ns.rem_euclid(MINUTE_NS));
    }
}

impl Desk {
    /// Asks for what is missing, and stores it. Where that fails, the stream goes on and the span is asked for again.
    pub(super) async fn fill(&mut self, market: &mut dyn LiveMarket) -> Result<(), LiveError> {
        let Some(from_ns) = self.catch_up.gap_from_ns else {
            self.say(State::Live, "");
            return Ok(());
        };
        match self.ask(market, from_ns, now_ns(), Via::Gap).await? {
            Ok(bars) => {
                self.gauge.filled();
                self.gauge.gap_bars(bars);
                self.catch_up.gap_from_ns = None;
                self.catch_up.retry_at = None;
                let newest_ns = now_ns().saturating_sub(SETTLED_NS);
                self.catch_up.again = Some((clock::now() + BEHIND, from_ns.max(newest_ns)));
                self.catch_up.covered(now_ns());
                self.say(State::Live, "");
            }
            Err(why) => {
                self.catch_up.retry_at = Some(clock::now() + PAUSE);
                self.say(State::Live, format!("a gap is not filled: {why}"));
            }
        }
        Ok(())
    }

    /// Asks for what is due.
    pub(super) async fn fill_again(&mut self, market: &mut dyn LiveMarket) -> Result<(), LiveError> {
        let moment = clock::now();
        if self.catch_up.retry_at.is_some_and(|at| at <= moment) {
            return self.fill(market).await;
        }
        if let Some((at, from_ns)) = self.catch_up.again
            && at <= moment
        {
            self.catch_up.again = None;
            if let Ok(bars) = self.ask(market, from_ns, now_ns(), Via::Gap).await? {
                self.gauge.gap_bars(bars);
            }
            return Ok(());
        }
        if self.catch_up.recheck.is_zero() || self.catch_up.recheck_at > moment {
            return Ok(());
        }
        self.catch_up.recheck_at = moment + self.catch_up.recheck;
        let to_ns = now_ns().saturating_sub(MISSED_AFTER_NS);
        let from_ns = to_ns.saturating_sub(nanos(self.catch_up.recheck)).saturating_sub(OVERLAP_NS);
        // What cannot be compared now is so the next time; the failure is counted.
        self.ask(market, from_ns, to_ns, Via::Recheck).await.map(drop)
    }

    /// Asks for the minutes of a span and stores them; the inner error is the vendor's, in words.
    async fn ask(
        &mut self,
        market: &mut dyn LiveMarket,
        from_ns: i64,
        to_ns: i64,
        from: Via,
    ) -> Result<Result<u64, String>, LiveError> {
        let shutdown = self.context.shutdown.clone();
        let symbols = self.config.symbols.clone();
        let asked = clock::timeout(ASK_MAX, market.minutes(&symbols, from_ns, to_ns, now_ns()));
        let answer = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(Err("shutdown".to_owned())),
            answer = asked => answer,
        };
        let minutes =
            match answer.unwrap_or_else(|_| Err(format!("no answer within {} s", ASK_MAX.as_secs()))) {
                Ok(minutes) => minutes,
                Err(why) => {
                    tracing::warn!(source = self.source, "{}: {why}", self.source);
                    self.gauge.failed(why.clone());
                    return Ok(Err(why));
                }
            };
        Ok(Ok(self.minutes(minutes, from).await?))
    }
}
