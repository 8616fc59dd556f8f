//! What each source has brought: its series, from when to when, and the sessions that are missing in between; its articles.
//!
//! Read from MARKET and REFERENCE themselves, for read models do not keep who told of a bar. Memory grows with series and sessions,
//! not with bars.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use contracts::from_timestamp;
use contracts::stream::{MARKET, REFERENCE};
use contracts::v1::event::Body;
use domain::bar::Timeframe;
use domain::calendar::{Calendar, OutOfRange};
use event_log::{Delivery, LogError, Recorded, Tape};

/// Messages taken from a read at a time.
const READ_BATCH: usize = 4_096;

/// A series of one source.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SeriesStatus {
    /// Who told of the bars.
    pub source: String,
    /// Symbol.
    pub symbol: String,
    /// Timeframe.
    pub timeframe: String,
    /// Bars; one that was revised counts once.
    pub bars: u64,
    /// Close of the oldest bar, UTC nanoseconds.
    pub first_close_ns: i64,
    /// Close of the newest bar, UTC nanoseconds.
    pub last_close_ns: i64,
    /// When a bar came last, UTC nanoseconds; zero where that was not recorded.
    pub last_append_ns: i64,
    /// Sessions between the oldest and the newest bar without any; of a timeframe below a day also those whose bars
    /// do not reach the close.
    pub gaps: Vec<Gap>,
}

/// The articles of one source about a symbol.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ArticlesStatus {
    /// Who told them.
    pub source: String,
    /// Symbol.
    pub symbol: String,
    /// Articles; one that was revised counts once.
    pub articles: u64,
    /// When the oldest one came out, UTC nanoseconds.
    pub first_published_ns: i64,
    /// When the newest one came out, UTC nanoseconds.
    pub last_published_ns: i64,
    /// When an article or a revision came last, UTC nanoseconds; zero where that was not recorded.
    pub last_append_ns: i64,
}

/// Sessions in a row that are not all there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Gap {
    /// Date of the first one.
    pub from: NaiveDate,
    /// Date of the last one.
    pub to: NaiveDate,
    /// How many.
    pub sessions: u32,
}

#[derive(Debug, Default)]
struct Seen {
    bars: u64,
    first_ns: i64,
    last_ns: i64,
    appended_ns: i64,
    /// Close of the newest bar of each date.
    dates: BTreeMap<NaiveDate, i64>,
}

/// Source, symbol, timeframe.
type Key = (String, String, String);

/// Every series on the tape, which goes by `calendar`, by source, symbol and timeframe.
pub async fn status(tape: &Tape, calendar: &Calendar) -> Result<Vec<SeriesStatus>, LogError> {
    let filters = ["market.bar.>".to_owned()];
    let mut seen: BTreeMap<Key, Seen> = BTreeMap::new();
    let Some(last) = tape.last(MARKET, &filters[0]).await? else { return Ok(Vec::new()) };
    let mut reader = tape.read(MARKET, &filters, 1).await?;
    let mut at = 0;
    while at < last.sequence {
        for delivery in reader.batch(READ_BATCH).await? {
            at = delivery.sequence();
            match delivery {
                Delivery::Event(recorded) => fold(&mut seen, calendar, recorded),
                Delivery::Undecodable { sequence, subject, error, .. } => {
                    tracing::warn!(sequence, subject, "MARKET {sequence} passed over: {error}");
                }
            }
        }
    }
    Ok(seen.into_iter().map(|(key, seen)| told(calendar, key, seen)).collect())
}

/// The articles of every source, by source and symbol.
pub async fn articles(tape: &Tape) -> Result<Vec<ArticlesStatus>, LogError> {
    const FILTER: &str = "news.article.>";
    let mut seen: BTreeMap<(String, String), ArticlesStatus> = BTreeMap::new();
    let last = tape.last_sequence(REFERENCE, FILTER).await?;
    if last == 0 {
        return Ok(Vec::new());
    }
    let mut reader = tape.read(REFERENCE, &[FILTER.to_owned()], 1).await?;
    let mut at = 0;
    while at < last {
        for delivery in reader.batch(READ_BATCH).await? {
            at = delivery.sequence();
            match delivery {
                Delivery::Event(recorded) => fold_article(&mut seen, recorded),
                Delivery::Undecodable { sequence, subject, error, .. } => {
                    tracing::warn!(sequence, subject, "REFERENCE {sequence} passed over: {error}");
                }
            }
        }
    }
    Ok(seen.into_values().collect())
}

fn fold_article(seen: &mut BTreeMap<(String, String), ArticlesStatus>, recorded: Recorded) {
    let event = recorded.event;
    let Some(Body::NewsArticle(article)) = event.body else { return };
    let Some(published_ns) = article.published.as_ref().and_then(from_timestamp) else { return };
    let appended_ns = event.recorded_time.as_ref().and_then(from_timestamp).unwrap_or_default();
    let key = (event.source, article.symbol);
    let of = seen.entry(key.clone()).or_insert_with(|| ArticlesStatus {
        source: key.0,
        symbol: key.1,
        first_published_ns: published_ns,
        last_published_ns: published_ns,
        ..ArticlesStatus::default()
    });
    of.articles += u64::from(article.revision == 0);
    of.first_published_ns = of.first_published_ns.min(published_ns);
    of.last_published_ns = of.last_published_ns.max(published_ns);
    of.last_append_ns = of.last_append_ns.max(appended_ns);
}

fn fold(seen: &mut BTreeMap<Key, Seen>, calendar: &Calendar, recorded: Recorded) {
    let event = recorded.event;
    let Some(Body::Bar(bar)) = event.body else { return };
    let Some(close_ns) = event.event_time.as_ref().and_then(from_timestamp) else { return };
    let start_ns = bar.start.as_ref().and_then(from_timestamp).unwrap_or(close_ns);
    let appended_ns = event.recorded_time.as_ref().and_then(from_timestamp).unwrap_or_default();
    let series = seen.entry((event.source, bar.symbol, bar.timeframe)).or_default();
    if series.bars == 0 {
        (series.first_ns, series.last_ns) = (close_ns, close_ns);
    }
    series.bars += 1;
    series.first_ns = series.first_ns.min(close_ns);
    series.last_ns = series.last_ns.max(close_ns);
    series.appended_ns = series.appended_ns.max(appended_ns);
    let newest_ns = series.dates.entry(calendar.date_of(start_ns)).or_insert(close_ns);
    *newest_ns = close_ns.max(*newest_ns);
}

fn told(calendar: &Calendar, (source, symbol, timeframe): Key, seen: Seen) -> SeriesStatus {
    let is_day = timeframe == Timeframe::D1.name();
    SeriesStatus {
        source,
        symbol,
        timeframe,
        bars: seen.bars,
        first_close_ns: seen.first_ns,
        last_close_ns: seen.last_ns,
        last_append_ns: seen.appended_ns,
        // Bars of other centuries have no sessions to miss.
        gaps: gaps(calendar, &seen.dates, is_day).unwrap_or_default(),
    }
}

/// The sessions between the first and the last of `dates` that are none of them, or whose newest bar does not reach the
/// close, where it is not the bar of a day.
fn gaps(calendar: &Calendar, dates: &BTreeMap<NaiveDate, i64>, is_day: bool) -> Result<Vec<Gap>, OutOfRange> {
    let (Some((first, _)), Some((last, _))) = (dates.first_key_value(), dates.last_key_value()) else {
        return Ok(Vec::new());
    };
    let mut gaps: Vec<Gap> = Vec::new();
    let mut open = false;
    for session in calendar.sessions(*first, *last)? {
        let date = session.date;
        // The last one may be in progress.
        let whole = |newest_ns: &i64| is_day || date == *last || *newest_ns >= session.close_ns;
        if dates.get(&date).is_some_and(whole) {
            open = false;
            continue;
        }
        match gaps.last_mut().filter(|_| open) {
            Some(gap) => {
                gap.to = date;
                gap.sessions += 1;
            }
            None => gaps.push(Gap { from: date, to: date, sessions: 1 }),
        }
        open = true;
    }
    Ok(gaps)
}

#[cfg(test)]
mod tests {
    use domain::calendar::Market;

    use super::*;

    #[test]
    fn gaps_are_sessions_without_a_bar_and_no_holidays() {
        let date = |text: &str| text.parse::<NaiveDate>().unwrap();
        // New Year's Day and two weekends lie between, and three sessions.
        let dates = ["2025-12-30", "2025-12-31", "2026-01-05", "2026-01-08"];
        let dates: BTreeMap<NaiveDate, i64> = dates.map(|text| (date(text), 0)).into();
        let found = gaps(Calendar::xnys(), &dates, true).unwrap();
        let expected = [
            Gap { from: date("2026-01-02"), to: date("2026-01-02"), sessions: 1 },
            Gap { from: date("2026-01-06"), to: date("2026-01-07"), sessions: 2 },
        ];
        assert_eq!(found, expected);
        assert_eq!(gaps(Calendar::xnys(), &BTreeMap::new(), true).unwrap(), []);
        // A market that never closes has sessions on all of the days between.
        let found = gaps(Market::TwentyFourSeven.calendar(), &dates, true).unwrap();
        assert_eq!(found.iter().map(|gap| gap.sessions).collect::<Vec<_>>(), [4, 2]);
    }

    #[test]
    fn a_session_whose_bars_end_before_its_close_is_a_gap_and_the_last_one_may_be_in_progress() {
        let date = |text: &str| text.parse::<NaiveDate>().unwrap();
        let close_ns = |text: &str| Calendar::xnys().session(date(text)).unwrap().unwrap().close_ns;
        // 2025-12-24 closes at 13:00, of 2025-12-26 the last minute is missing.
        let held = [("2025-12-23", 0), ("2025-12-24", 0), ("2025-12-26", 60_000_000_000), ("2025-12-29", 1)];
        let dates: BTreeMap<NaiveDate, i64> =
            held.map(|(text, short_ns)| (date(text), close_ns(text) - short_ns)).into();
        let from = date("2025-12-26");
        let gaps = |is_day| gaps(Calendar::xnys(), &dates, is_day).unwrap();
        assert_eq!(gaps(false), [Gap { from, to: from, sessions: 1 }]);
        assert_eq!(gaps(true), []);
    }
}
