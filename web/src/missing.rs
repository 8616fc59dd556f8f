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
    /// How many sessions of the tape's calendar are missing in a series; `None` where the calendar does not reach.
    pub async fn of(
        &self,
        pool: &PgPool,
        calendar: &Calendar,
        series: &Series,
        now_ns: i64,
    ) -> Result<Option<u64>, QueryError> {
        let key = (series.symbol.clone(), series.timeframe.clone());
        let known = self.0.lock().await.get(&key).copied();
        if let Some((_, missing)) = known.filter(|(at_ns, _)| now_ns.saturating_sub(*at_ns) < KEPT_NS) {
            return Ok(missing);
        }
        let missing = match spans(calendar, series) {
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
fn spans(calendar: &Calendar, series: &Series) -> Option<Vec<(i64, i64)>> {
    // Around the clock a session closes as the next one begins.
    let date = |close_ns: i64| calendar.date_of(close_ns - 1);
    let (first, last) = (date(series.first_close_ns), date(series.last_close_ns));
    let is_day = series.timeframe == Timeframe::D1.name();
    let sessions = calendar.sessions(first, last).ok()?.iter().filter(|session| session.date < last);
    let span = |session: &domain::calendar::Session| {
        let from_ns = if is_day { session.open_ns + 1 } else { session.close_ns };
        let next_ns = calendar.start_of(session.date.succ_opt()?);
        Some((from_ns, next_ns.max(session.close_ns + 1)))
    };
    Some(sessions.filter_map(span).collect())
}

#[cfg(test)]
mod tests {
    use domain::calendar::Market;

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
        let minutes = spans(calendar, &series("1m")).unwrap();
        assert_eq!(minutes.iter().map(|(from_ns, _)| *from_ns).collect::<Vec<_>>(), expected.map(close_ns));
        let days = spans(calendar, &series("1d")).unwrap();
        let reached =
            |date: &str| days.iter().any(|(from_ns, to_ns)| (*from_ns..*to_ns).contains(&close_ns(date)));
        assert!(expected.into_iter().all(reached) && days.len() == 3, "{days:?}");
    }

    #[test]
    fn around_the_clock_every_day_is_a_session_and_its_last_bar_closes_as_the_next_one_begins() {
        let calendar = Market::TwentyFourSeven.calendar();
        let close_ns = |date: &str| calendar.session(date.parse().unwrap()).unwrap().unwrap().close_ns;
        let dates = ["2025-12-26", "2025-12-27", "2025-12-28"];
        for timeframe in ["1m", "1d"] {
            let series = Series {
                symbol: "BTC-USD".to_owned(),
                timeframe: timeframe.to_owned(),
                bars: 4,
                first_close_ns: close_ns("2025-12-26"),
                last_close_ns: close_ns("2025-12-29"),
                sequence: 1,
            };
            let spans = spans(calendar, &series).unwrap();
            let closes_in: Vec<Vec<&str>> = spans
                .iter()
                .map(|(from_ns, to_ns)| {
                    let inside = |date: &&str| (*from_ns..*to_ns).contains(&close_ns(date));
                    dates.into_iter().filter(inside).collect()
                })
                .collect();
            assert_eq!(closes_in, dates.map(|date| vec![date]), "{timeframe}");
        }
    }
}
