//! Whether a bar may stand on the tape, and what it is held against where it may not. Pure.

use contracts::v1::Origin;
use domain::bar::{Bar, Timeframe};
use domain::money::Price;

use super::decide::{Target, View};
use super::known::{Held, Prices};
use crate::file::{Rejected, Row};
use crate::quality::{Found, difference};

/// What a bar is to its series.
#[derive(Debug)]
pub(super) enum Standing {
    /// It is the series' bar.
    Own,
    /// It is another source's: that of the authority stands here, with these prices.
    Compared { authority: String, stands: Prices },
    /// It is another source's, and there is nothing to hold it against.
    Withheld,
    /// A bar that starts at other minutes stands across it, told by that source, with that close.
    Across { by: String, close_ns: i64 },
}

impl View<'_> {
    /// What a bar is to its series; `held` is the bar of its close.
    pub(super) fn standing(&self, target: &Target, bar: &Bar, held: Option<Held>) -> Standing {
        let series = &target.series;
        let date = || self.teller.market.calendar().date_of(bar.start_ns);
        let authorities = &self.standards.authorities;
        let stated = authorities
            .concern(&series.symbol, series.timeframe)
            .then(|| authorities.of(&series.symbol, series.timeframe, date()))
            .flatten();
        let first = held.map(|held| self.known.told(held));
        // A file that a person imports is that person's word, unless an authority is stated.
        let by_hand = self.teller.origin == Origin::Import;
        let authority = stated.or_else(|| first.filter(|_| !by_hand)).unwrap_or(&self.teller.source);
        if authority != self.teller.source {
            let authority = authority.to_owned();
            let stands = self.known.prices(target.known, bar.close_ns);
            return match stands.filter(|_| first == Some(authority.as_str())) {
                Some(stands) => Standing::Compared { authority, stands },
                None => Standing::Withheld,
            };
        }
        match held {
            Some(_) => Standing::Own,
            None => self.across(target, bar).unwrap_or(Standing::Own),
        }
    }

    /// The bar that stands across one of which the series has none.
    fn across(&self, target: &Target, bar: &Bar) -> Option<Standing> {
        let timeframe = target.series.timeframe;
        if timeframe == Timeframe::D1 {
            return None;
        }
        let (after_ns, before_ns) = across(timeframe, bar.start_ns, bar.close_ns);
        let close_ns = self.known.closes(target.known, after_ns, before_ns).find(|at| *at != bar.close_ns)?;
        let by = self.known.bar(target.known, close_ns).map(|held| self.known.told(held)).unwrap_or_default();
        Some(Standing::Across { by: by.to_owned(), close_ns })
    }

    /// What a bar of another source comes to beside the authority's.
    pub(super) fn compared(&self, bar: &Bar, authority: String, stands: Prices) -> Option<Found> {
        let told = [bar.open.0, bar.high.0, bar.low.0, bar.close.0];
        let (name, at, share) = difference(told, stands, self.standards.price_difference())?;
        let (told, stands) = (Price(told[at]), Price(stands[at]));
        let source = &self.teller.source;
        let detail =
            format!("{name} {told} by {source}, {stands} by {authority}: {:.3} % apart", share * 100.0);
        let (found, expected) = (told.to_string(), stands.to_string());
        Some(Found { found, expected, authority, ..Found::new("price_difference", detail) })
    }

    /// What new values of a bar come to that its own source told before, where bars are looked at.
    pub(super) fn changed(&self, target: &Target, bar: &Bar) -> Option<Found> {
        self.standards.rules.as_ref()?;
        let stands = self.known.prices(target.known, bar.close_ns)?;
        let told = [bar.open.0, bar.high.0, bar.low.0, bar.close.0];
        let (name, at, share) = difference(told, stands, self.standards.changed_values())?;
        let (told, stands) = (Price(told[at]), Price(stands[at]));
        let detail = format!("{name} {told} after {stands}: {:.3} % apart", share * 100.0);
        let (found, expected) = (told.to_string(), stands.to_string());
        Some(Found { found, expected, ..Found::new("changed_values", detail) })
    }
}

/// The closes of bars that lie across one, its own among them.
pub(super) fn across(timeframe: Timeframe, start_ns: i64, close_ns: i64) -> (i64, i64) {
    (start_ns.saturating_add(1), close_ns.saturating_add(timeframe.nanos() - 1))
}

/// A time of the exchange's minutes, for people.
pub(super) fn minute(ns: i64) -> String {
    chrono::DateTime::from_timestamp_nanos(ns).format("%Y-%m-%dT%H:%MZ").to_string()
}

/// Why a row that lies across the tape's bars does not go in.
pub(super) fn refusal(row: &Row, timeframe: Timeframe, by: &str, close_ns: i64) -> Rejected {
    let reason = format!(
        "lies across the {timeframe} bar of {by} that closes at {}: bars of one series start at the same minutes",
        minute(close_ns)
    );
    Rejected::new(row.line, "time", minute(row.bar.start_ns), reason)
}
