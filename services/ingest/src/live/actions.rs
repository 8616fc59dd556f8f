//! Splits and dividends of the day, asked for before the open, or at a start within the session: what is held is restated
//! and paid by actions with the origin `live` alone.
//!
//! Asking takes a request for each symbol, so that it goes on beside the stream.

use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use domain::calendar::{Calendar, OutOfRange};
use runtime::clock;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::port::{DayActions, LiveMarkets};

/// How long before the open the day's actions are asked for.
const BEFORE_OPEN_NS: i64 = 30 * 60 * 1_000_000_000;
/// Pause after a failure.
const PAUSE: Duration = Duration::from_secs(60);

/// The day's actions, or why they are not known, in words.
type Answer = Result<DayActions, String>;

/// What was asked for, and the question under way.
pub(super) struct Actions {
    markets: Arc<dyn LiveMarkets>,
    symbols: Vec<String>,
    asked: Option<NaiveDate>,
    asking: Option<(NaiveDate, JoinHandle<Answer>)>,
    not_before: Instant,
}

impl Drop for Actions {
    fn drop(&mut self) {
        if let Some((_, asking)) = &self.asking {
            asking.abort();
        }
    }
}

impl Actions {
    pub(super) fn new(markets: Arc<dyn LiveMarkets>, symbols: Vec<String>) -> Self {
        Self { markets, symbols, asked: None, asking: None, not_before: clock::now() }
    }

    /// Asks where it is time to.
    pub(super) fn tick(&mut self, now_ns: i64) -> Result<(), OutOfRange> {
        if self.asking.is_some() || clock::now() < self.not_before {
            return Ok(());
        }
        let Some(date) = due(now_ns)?.filter(|date| self.asked != Some(*date)) else { return Ok(()) };
        let (markets, symbols) = (Arc::clone(&self.markets), self.symbols.clone());
        let asking = tokio::spawn(async move { markets.actions(&symbols, date).await });
        self.asking = Some((date, asking));
        Ok(())
    }

    /// What came of the question under way; an error is in words, and it is asked again later. Cancel-safe.
    pub(super) async fn answer(&mut self) -> Answer {
        let Some((date, asking)) = &mut self.asking else { return std::future::pending().await };
        let (date, answer) = (*date, asking.await);
        self.asking = None;
        match answer.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(actions) => {
                self.asked = Some(date);
                Ok(actions)
            }
            Err(why) => {
                self.not_before = clock::now() + PAUSE;
                Err(format!("splits and dividends of {date}: {why}"))
            }
        }
    }
}

/// The date whose actions matter at `now_ns`: that of a session that is in progress or about to open.
fn due(now_ns: i64) -> Result<Option<NaiveDate>, OutOfRange> {
    let session = Calendar::xnys().current_or_next(now_ns)?;
    Ok((session.open_ns - BEFORE_OPEN_NS <= now_ns).then_some(session.date))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_asked_for_from_half_an_hour_before_its_open_until_its_close() {
        let date: NaiveDate = "2026-11-27".parse().unwrap();
        let session = Calendar::xnys().session(date).unwrap().unwrap();
        let check = |now_ns, expected| assert_eq!(due(now_ns).unwrap(), expected);
        check(session.open_ns - BEFORE_OPEN_NS - 1, None);
        check(session.open_ns - BEFORE_OPEN_NS, Some(date));
        check(session.close_ns - 1, Some(date));
        check(session.close_ns, None);
    }
}
