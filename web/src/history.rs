//! What an account's past adds up to: its highest equity and its daily closes.
//!
//! Both follow from all marks, of which there may be hundreds of thousands, and are asked for many times
//! a second. So the peak is carried on from the last sequence seen, and the closes are read again only
//! when another day has begun or ended. Whatever is kept can be read again at any time.

use std::collections::HashMap;

use domain::calendar::Calendar;
use domain::money::Amount;
use projections::queries::{self, AccountRow, QueryError};
use sqlx::PgPool;
use tokio::sync::Mutex;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Highest equity, the present one included.
    pub peak: Amount,
    /// Equity before the first day, then at the end of every day that has ended.
    pub closes: Vec<Amount>,
    /// Sequence up to which the peak is known.
    sequence: u64,
    /// The day of the last mark, and whether its session has ended.
    day: Option<(String, bool)>,
}

impl History {
    /// Of which only the peak is known.
    #[must_use]
    pub fn with_peak(peak: Amount) -> Self {
        Self { peak, ..Self::default() }
    }
}

/// Histories by account.
#[derive(Debug, Default)]
pub struct Histories(Mutex<HashMap<String, History>>);

impl Histories {
    /// The history of an account that was marked with `equity` at `marked_ns`, by the days of `calendar`.
    pub async fn of(
        &self,
        pool: &PgPool,
        account: &AccountRow,
        equity: Amount,
        marked_ns: i64,
        calendar: &Calendar,
    ) -> Result<History, QueryError> {
        let mut known = self.0.lock().await;
        let mut history = known.get(&account.account).cloned().unwrap_or_default();
        if history.sequence > account.sequence {
            // The account was read before what is known here, or the read model is being rebuilt.
            history = History::default();
        }
        // Not past the account's own sequence: a newer peak would make a drawdown that never was.
        let peak = queries::peak_equity(pool, &account.account, history.sequence, account.sequence).await?;
        history.peak = history.peak.max(peak.unwrap_or(equity)).max(equity);
        history.sequence = account.sequence;
        let day = day_of(marked_ns, calendar);
        if history.day.as_ref() != Some(&day) {
            let days = queries::daily_equity(pool, &account.account, calendar).await?;
            history.closes = closes(account.deposits, &days, &day);
            history.day = Some(day);
        }
        known.insert(account.account.clone(), history.clone());
        Ok(history)
    }
}

/// The calendar's date at an instant, and whether the session of that date has ended by then.
fn day_of(marked_ns: i64, calendar: &Calendar) -> (String, bool) {
    // A close at midnight is of the day that ends there.
    let date = calendar.date_of(marked_ns.saturating_sub(1));
    let ended = match calendar.session(date) {
        Ok(Some(session)) => marked_ns >= session.close_ns,
        Ok(None) | Err(_) => true,
    };
    (date.to_string(), ended)
}

/// The first deposit and the equity of every day that has ended. A day in progress is not taken for a
/// day's result. After a further deposit the series begins there, so that it never counts as a gain.
fn closes(deposits: Amount, days: &[queries::DailyEquity], today: &(String, bool)) -> Vec<Amount> {
    let ended = days.iter().filter(|day| day.date < today.0 || (day.date == today.0 && today.1));
    let since = days.iter().rposition(|day| day.deposits != deposits);
    match since {
        Some(before) => ended.filter(|day| day.date > days[before].date).map(|day| day.equity).collect(),
        None => std::iter::once(deposits).chain(ended.map(|day| day.equity)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use domain::calendar::Market;

    use super::*;

    fn day(date: &str, equity: i128, deposits: i128) -> queries::DailyEquity {
        queries::DailyEquity { date: date.to_owned(), equity: Amount(equity), deposits: Amount(deposits) }
    }

    #[test]
    fn the_series_begins_with_the_deposit_and_leaves_out_the_day_in_progress() {
        let days = [day("2024-01-02", 101, 100), day("2024-01-03", 99, 100), day("2024-01-04", 105, 100)];
        let going = ("2024-01-04".to_owned(), false);
        assert_eq!(closes(Amount(100), &days, &going), [100, 101, 99].map(Amount));
        let ended = ("2024-01-04".to_owned(), true);
        assert_eq!(closes(Amount(100), &days, &ended), [100, 101, 99, 105].map(Amount));
    }

    #[test]
    fn a_later_deposit_is_no_gain() {
        let days = [day("2024-01-02", 101, 100), day("2024-01-03", 199, 200), day("2024-01-04", 205, 200)];
        let ended = ("2024-01-04".to_owned(), true);
        assert_eq!(closes(Amount(200), &days, &ended), [199, 205].map(Amount));
    }

    #[test]
    fn a_day_ends_with_its_session() {
        const SECOND: i64 = 1_000_000_000;
        let day = |at_s: i64, market: Market| day_of(at_s * SECOND, market.calendar());
        // 2026-01-06 14:30 and 16:00 ET, and a Saturday.
        assert_eq!(day(1_767_727_800, Market::Xnys), ("2026-01-06".to_owned(), false));
        assert_eq!(day(1_767_733_200, Market::Xnys), ("2026-01-06".to_owned(), true));
        assert_eq!(day(1_768_062_600, Market::Xnys), ("2026-01-10".to_owned(), true));
        // Around the clock that Saturday has a session, which ends at midnight UTC.
        assert_eq!(day(1_768_062_600, Market::TwentyFourSeven), ("2026-01-10".to_owned(), false));
        assert_eq!(day(1_768_089_600, Market::TwentyFourSeven), ("2026-01-10".to_owned(), true));
    }
}
