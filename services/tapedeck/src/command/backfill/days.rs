//! Days of many symbols, asked for by date where that takes fewer requests than by symbol: of the symbols that go on
//! from a late place, when they are more than the sessions since; and their splits and dividends in a list of all, when
//! that has fewer pages.
//!
//! What is told is what the vendor tells by symbol; what becomes of it is the same. All of it waits in memory: fewer
//! sessions than symbols, of the symbols that are wanted.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::bar::Timeframe;
use domain::calendar::{Calendar, Session};
use vendors::{BarsByDate, Quoted, Refusal, Skipped, VendorError};

use super::ask::Told;
use super::fill::Run;
use super::plan::Kept;
use super::{DAY_NS, Wanted};
use crate::exit::Failure;
use crate::source;

/// For how many days a page of the list of all dividends lasts: it holds a thousand, of about two hundred a day.
const DIVIDEND_PAGE_DAYS: i64 = 5;

/// The bars of some dates.
pub(super) struct Days {
    /// The start of the first date: who goes on from here or later finds all of its bars.
    from_ns: i64,
    bars: HashMap<String, Vec<Quoted>>,
    /// Splits and dividends; `None` where they are asked for by symbol.
    actions: Option<BTreeMap<String, Told>>,
    /// What was left out.
    pub(super) skipped: Skipped,
}

impl Days {
    /// Asks for the dates; `None` where nothing is saved by it. The symbols that it opens for that are kept.
    pub(super) async fn gather(run: &Run<'_>, kept: &mut Kept) -> Result<Option<Self>, Failure> {
        let (wanted, output) = (run.wanted, run.output);
        let Some(by_date) = run.vendor.by_date().filter(|_| wanted.timeframe == Timeframe::D1) else {
            return Ok(None);
        };
        let mut starts = Vec::with_capacity(wanted.symbols.len());
        for (index, symbol) in wanted.symbols.iter().enumerate() {
            starts.push((kept.look(run, index).await?, symbol));
        }
        let sessions = ended(wanted)?;
        let Some(from_ns) = cheaper(starts.iter().map(|(from_ns, _)| *from_ns).collect(), &sessions) else {
            return Ok(None);
        };
        let sessions: Vec<Session> =
            sessions.into_iter().filter(|session| session.open_ns >= from_ns).collect();
        let symbols: BTreeSet<String> = starts
            .into_iter()
            .filter(|(start_ns, _)| *start_ns >= from_ns)
            .map(|(_, symbol)| symbol.clone())
            .collect();
        let mut days = Self { from_ns, bars: HashMap::new(), actions: None, skipped: Skipped::default() };
        let actions_from_ns = wanted.actions_from(from_ns);
        if one_list_is_cheaper(symbols.len(), wanted.to_ns - actions_from_ns) {
            output.progress(&format!("splits and dividends: of {} symbols", symbols.len()));
            let told = by_date.actions(&symbols, actions_from_ns, wanted.to_ns).await;
            days.actions = Some(Told::by_symbol(told.map_err(source::failure)?));
        }
        for (index, session) in sessions.iter().enumerate() {
            let (date, count) = (session.date, sessions.len());
            output.progress(&format!("{date} ({} of {count}): of {} symbols", index + 1, symbols.len()));
            days.take(by_date, session, &symbols, wanted.now_ns).await?;
        }
        Ok(Some(days))
    }

    async fn take(
        &mut self,
        vendor: &dyn BarsByDate,
        session: &Session,
        symbols: &BTreeSet<String>,
        now_ns: i64,
    ) -> Result<(), Failure> {
        let day = match vendor.day(session.date, symbols, now_ns).await {
            Ok(day) => day,
            // A plan without the present day refuses it where, by symbol, it tells nothing of it.
            Err(VendorError::Refused { kind: Refusal::Credentials, .. })
                if session.date == Calendar::xnys().date_of(now_ns) =>
            {
                return Ok(());
            }
            Err(error) => return Err(source::failure(error)),
        };
        self.skipped.add(day.skipped);
        for (symbol, bar) in day.bars {
            self.bars.entry(symbol).or_default().push(bar);
        }
        Ok(())
    }

    /// The bars of a symbol from `from_ns` on, in the order of time; `None` where it has to be asked for itself.
    pub(super) fn of(&self, symbol: &str, from_ns: i64) -> Option<Vec<Quoted>> {
        if from_ns < self.from_ns {
            return None;
        }
        let bars = self.bars.get(symbol).into_iter().flatten();
        Some(bars.filter(|bar| bar.start_ns >= from_ns).copied().collect())
    }

    /// The corporate actions of a symbol that goes on from `from_ns`, from the date of `actions_from_ns` on; `None`
    /// where it has to be asked for itself.
    pub(super) fn actions_of(&self, symbol: &str, from_ns: i64, actions_from_ns: i64) -> Option<Told> {
        let actions = self.actions.as_ref().filter(|_| from_ns >= self.from_ns)?;
        let first = Calendar::xnys().date_of(actions_from_ns);
        let mut told = actions.get(symbol).cloned().unwrap_or_default();
        told.actions.retain(|action| action.ex_date >= first);
        told.unapplied.retain(|other| other.date >= first);
        Some(told)
    }
}

/// The sessions of the span that have ended.
fn ended(wanted: &Wanted) -> Result<Vec<Session>, Failure> {
    let calendar = Calendar::xnys();
    let (first, last) = (calendar.date_of(wanted.from_ns), calendar.date_of(wanted.to_ns - 1));
    let sessions = calendar.sessions(first, last).map_err(|error| Failure::other(error.to_string()))?;
    Ok(sessions.iter().filter(|session| session.close_ns <= wanted.now_ns).copied().collect())
}

/// From where on to ask by date, of symbols that go on from `starts`, so that most requests are saved: one for each of
/// these symbols, less one for each session. `None` where nothing is saved.
fn cheaper(mut starts: Vec<i64>, sessions: &[Session]) -> Option<i64> {
    starts.sort_unstable_by(|a, b| b.cmp(a));
    let mut best: Option<(usize, i64)> = None;
    for (index, from_ns) in starts.into_iter().enumerate() {
        let since = sessions.iter().filter(|session| session.open_ns >= from_ns).count();
        let saved = (index + 1).saturating_sub(since);
        // Where no session has ended there is nothing to ask for by date.
        if since > 0 && saved > best.map_or(0, |(saved, _)| saved) {
            best = Some((saved, from_ns));
        }
    }
    best.map(|(_, from_ns)| from_ns)
}

/// Whether the splits and dividends of a span take fewer requests in a list of all than two for each of so many symbols.
fn one_list_is_cheaper(symbols: usize, span_ns: i64) -> bool {
    let pages = 2 + span_ns / DAY_NS / DIVIDEND_PAGE_DAYS;
    i64::try_from(symbols).is_ok_and(|symbols| 2 * symbols > pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts as dates of January 2026, and the date from which on it is asked by date.
    fn check(starts: &[&str], expected: Option<&str>) {
        let calendar = Calendar::xnys();
        let (first, last) = ("2026-01-02".parse().unwrap(), "2026-01-09".parse().unwrap());
        let sessions = calendar.sessions(first, last).unwrap();
        let starts = starts.iter().map(|date| calendar.start_of(date.parse().unwrap())).collect();
        let found = cheaper(starts, sessions).map(|from_ns| calendar.date_of(from_ns).to_string());
        assert_eq!(found.as_deref(), expected);
    }

    #[test]
    fn by_date_is_asked_for_where_there_are_fewer_sessions_than_symbols() {
        check(&[], None);
        check(&["2026-01-09"], None);
        check(&["2026-01-09"; 2], Some("2026-01-09"));
        // Six sessions.
        check(&["2026-01-02"; 6], None);
        check(&["2026-01-02"; 7], Some("2026-01-02"));
        // One that goes on from long before is asked for itself, unless that is dearer.
        let mixed = ["2026-01-02", "2026-01-09", "2026-01-08", "2026-01-09", "2026-01-08"];
        check(&mixed, Some("2026-01-08"));
        let mut many = vec!["2026-01-09"; 3];
        many.extend(["2026-01-02"; 9]);
        check(&many, Some("2026-01-02"));
        check(&["2026-01-10"; 3], None);
    }

    #[test]
    fn one_list_of_actions_is_asked_for_where_it_has_fewer_pages_than_two_for_each_symbol() {
        // An evening's: thirty days behind, and the day.
        assert!(!one_list_is_cheaper(4, 31 * DAY_NS));
        assert!(one_list_is_cheaper(5, 31 * DAY_NS));
        // Two years of all that is listed.
        assert!(!one_list_is_cheaper(70, 730 * DAY_NS));
        assert!(one_list_is_cheaper(8_000, 730 * DAY_NS));
    }
}
