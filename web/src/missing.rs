//! Sessions that are missing in a series, as `tapedeck ingest status` counts them: between the first and the last bar those
//! without any, and of a timeframe below a day also those whose bars do not reach the close.
//!
//! Counted of the read model, so of whatever source told a bar. A look costs a step into the table's index for each
//! session, so that what was counted is kept for a while.

use std::collections::HashMap;

use domain::bar::Timeframe;
use domain::calendar::Calendar;
use projections::queries::{self, QueryError, Series};
use sqlx::PgPool;
use tokio::sync::Mutex;

/// For how long a count is told again.
const KEPT_NS: i64 = 60_000_000_000;

/// When it was counted, and how many there were.
type Counted = (i64, Option<u64>);

/// Counts by symbol and timeframe; as many as there are series.
#[derive(Debug, Default)]
pub struct Missing(Mutex<HashMap<(String, String), Counted>>);

impl Missing {
    /// How many sessions are missing in a series; `None` where the calendar does not reach.
    pub async fn of(&self, pool: &PgPool, series: &Series, now_ns: i64) -> Result<Option<u64>, QueryError> {
        let key = (series.symbol.clone(), series.timeframe.clone());
        let known = self.0.lock().await.get(&key).copied();
        if let Some((_, missing)) = known.filter(|(at_ns, _)| now_ns.saturating_sub(*at_ns) < KEPT_NS) {
            return Ok(missing);
        }
        let missing = match spans(series) {
            Some(spans) => {
                Some(queries::spans_without_bars(pool, &series.symbol, &series.timeframe, &spans).await?)
            }
            None => None,
        };
        self.0.lock().await.insert(key, (now_ns, missing));
        Ok(missing)
    }
}

/// Where a bar has to close, session by session; the last one may be in progress.
fn spans(series: &Series) -> Option<Vec<(i64, i64)>> {
    let calendar = Calendar::xnys();
    let (first, last) = (calendar.date_of(series.first_close_ns), calendar.date_of(series.last_close_ns));
    let is_day = series.timeframe == Timeframe::D1.name();
    let sessions = calendar.sessions(first, last).ok()?.iter().filter(|session| session.date < last);
    let span = |session: &domain::calendar::Session| {
        let from_ns = if is_day { session.open_ns + 1 } else { session.close_ns };
        Some((from_ns, calendar.start_of(session.date.succ_opt()?)))
    };
    Some(sessions.filter_map(span).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_expected_in_each_session_but_the_last() {
        let calendar = Calendar::xnys();
        let close_ns = |date: &str| calendar.session(date.parse().unwrap()).unwrap().unwrap().close_ns;
        let series = |timeframe: &str| Series {
            symbol: "AAPL".to_owned(),
            timeframe: timeframe.to_owned(),
            bars: 2,
            first_close_ns: close_ns("2025-12-23"),
            last_close_ns: close_ns("2025-12-29"),
            sequence: 1,
        };
        // 2025-12-24 closes at 13:00, Christmas and the weekend are none.
        let expected = ["2025-12-23", "2025-12-24", "2025-12-26"];
        let minutes = spans(&series("1m")).unwrap();
        assert_eq!(minutes.iter().map(|(from_ns, _)| *from_ns).collect::<Vec<_>>(), expected.map(close_ns));
        let days = spans(&series("1d")).unwrap();
        let reached =
            |date: &str| days.iter().any(|(from_ns, to_ns)| (*from_ns..*to_ns).contains(&close_ns(date)));
        assert!(expected.into_iter().all(reached) && days.len() == 3, "{days:?}");
    }
}
