//! Bars that the calendar expects of a market and that it lacks.

use domain::calendar::Calendar;
use domain::series::BarSeries;

use crate::market::Loaded;

/// Bars for which the walked sessions have room and which the walked series lack.
///
/// A first session that was asked for counts from its opening; without one each series counts from its own first bar,
/// since it may have been listed later than others. A last session that was asked for counts up to the last bar of
/// any series: what the data do not reach may still lie ahead. Bars outside of sessions make up for nothing.
pub(crate) fn missing_bars(market: &Loaded) -> u64 {
    let series = &market.data.series;
    let last_ns = series.iter().filter_map(|one| one.close_ns.values().last().copied()).max();
    let counted = series.iter().map(|one| {
        let first_ns = market.from_ns.or_else(|| one.start_ns.values().first().copied());
        let until_ns = match market.until_ns {
            Some(until_ns) => last_ns.map(|last_ns| last_ns.min(until_ns)),
            None => one.close_ns.values().last().copied(),
        };
        match (first_ns, until_ns) {
            (Some(first_ns), Some(until_ns)) => missing_between(one, market.calendar, first_ns, until_ns),
            _ => 0,
        }
    });
    counted.sum()
}

/// The same of one series, within `first_ns..until_ns`, as far as the calendar knows its dates.
fn missing_between(series: &BarSeries, calendar: &Calendar, first_ns: i64, until_ns: i64) -> u64 {
    let from = calendar.date_of(first_ns).max(calendar.first_date());
    let to = calendar.date_of(until_ns.saturating_sub(1)).min(calendar.last_date());
    let (starts, closes) = (series.start_ns.values(), series.close_ns.values());
    let length_ns = series.timeframe.nanos();
    let mut missing = 0;
    for session in calendar.sessions(from, to).unwrap_or_default() {
        let (open_ns, close_ns) = (session.open_ns.max(first_ns), session.close_ns.min(until_ns));
        if open_ns >= close_ns {
            continue;
        }
        // Bars on the clock and bars from the opening on are as many; the last of them may be a short one.
        let expected = u64::try_from((close_ns - open_ns + length_ns - 1) / length_ns).unwrap_or_default();
        let begin = closes.partition_point(|close| *close <= open_ns);
        let end = starts.partition_point(|start| *start < close_ns);
        missing += expected.saturating_sub(end.saturating_sub(begin) as u64);
    }
    missing
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use domain::bar::{Bar, Timeframe};
    use domain::calendar::Market;
    use domain::money::{Price, Volume};
    use domain::series::MarketData;

    use super::*;

    const HOUR_NS: i64 = 3_600_000_000_000;

    fn date(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2024, 1, day).unwrap()
    }

    /// Bars of so many hours from 9:00 in New York on these days of January 2024.
    fn hours(symbol: &str, days: &[(u32, i64)]) -> BarSeries {
        let price = Price(1_000_000_000);
        let bar = |start_ns: i64| Bar {
            start_ns,
            close_ns: start_ns + HOUR_NS,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: Volume(1),
        };
        let day = |(day, hours): &(u32, i64)| {
            let nine_ns = Calendar::xnys().start_of(date(*day)) + 9 * HOUR_NS;
            (0..*hours).map(|hour| bar(nine_ns + hour * HOUR_NS)).collect::<Vec<_>>()
        };
        BarSeries::of("", symbol, Timeframe::H1, &days.iter().flat_map(day).collect::<Vec<_>>())
    }

    fn market(series: Vec<BarSeries>, calendar: Market) -> Loaded {
        Loaded {
            data: MarketData { series, ..MarketData::default() },
            calendar: calendar.calendar(),
            hash: String::new(),
            from_ns: None,
            until_ns: None,
            benchmark: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn missing(series: &[BarSeries]) -> u64 {
        missing_bars(&market(series.to_vec(), Market::Xnys))
    }

    #[test]
    fn hours_and_sessions_without_a_bar_count_and_those_before_a_listing_do_not() {
        // Monday the 8th to Friday the 12th; a session has room for seven hours.
        let whole = hours("AAA", &[(8, 7), (9, 7), (10, 7), (11, 7), (12, 7)]);
        assert_eq!(missing(std::slice::from_ref(&whole)), 0);
        assert_eq!(missing(&[hours("AAA", &[(8, 7), (9, 5), (11, 7), (12, 3)])]), 2 + 7);
        assert_eq!(missing(&[whole, hours("BBB", &[(10, 6), (11, 7)])]), 1);
        assert_eq!(missing(&[hours("AAA", &[])]), 0);
    }

    #[test]
    fn sessions_that_were_asked_for_are_expected_as_far_as_the_data_go() {
        let calendar = Calendar::xnys();
        let series = vec![hours("AAA", &[(8, 7), (9, 7), (10, 7)]), hours("BBB", &[(9, 7)])];
        let asked = Loaded {
            from_ns: Some(calendar.start_of(date(5))),
            until_ns: Some(calendar.start_of(date(13))),
            ..market(series, Market::Xnys)
        };
        // Friday the 5th of both, Monday and Wednesday of the second; nobody has the 11th and the 12th.
        assert_eq!(missing_bars(&asked), 2 * 7 + 2 * 7);
    }

    #[test]
    fn the_calendar_says_what_is_expected() {
        let series = vec![hours("AAA", &[(8, 7), (9, 7)])];
        assert_eq!(missing_bars(&market(series, Market::TwentyFourSeven)), 17);
    }
}
