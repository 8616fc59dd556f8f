//! Whose bars are a series': one source for each symbol, timeframe and date.
//!
//! Rules are asked in their order, and the first one that covers a bar names its authority. Bars of other sources are
//! held against the authority's and never take their place. Where no rule covers a bar, its authority is the source
//! whose bar stands on the tape; where none stands, whoever tells it first.
//!
//! Pure.

use chrono::NaiveDate;
use domain::bar::Timeframe;

/// A rule; what is left out covers everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authority {
    /// Name of the source, as on its bars.
    pub source: String,
    /// Symbols; empty means all.
    pub symbols: Vec<String>,
    /// Timeframes; empty means all.
    pub timeframes: Vec<Timeframe>,
    /// First date in exchange time.
    pub from: Option<NaiveDate>,
    /// Last date in exchange time.
    pub to: Option<NaiveDate>,
}

impl Authority {
    fn is_of(&self, symbol: &str, timeframe: Timeframe) -> bool {
        (self.symbols.is_empty() || self.symbols.iter().any(|known| known == symbol))
            && (self.timeframes.is_empty() || self.timeframes.contains(&timeframe))
    }

    fn covers(&self, date: NaiveDate) -> bool {
        self.from.is_none_or(|from| from <= date) && self.to.is_none_or(|to| date <= to)
    }
}

/// The rules in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authorities(Vec<Authority>);

impl Authorities {
    /// Rules, the first that covers a bar counts.
    #[must_use]
    pub fn new(rules: Vec<Authority>) -> Self {
        Self(rules)
    }

    /// The stated authority of a bar whose date in exchange time is `date`.
    #[must_use]
    pub fn of(&self, symbol: &str, timeframe: Timeframe, date: NaiveDate) -> Option<&str> {
        let rules = self.0.iter().filter(|rule| rule.is_of(symbol, timeframe));
        rules.into_iter().find(|rule| rule.covers(date)).map(|rule| rule.source.as_str())
    }

    /// The stated authority of the bars of a series that are still to come.
    #[must_use]
    pub fn to_come(&self, symbol: &str, timeframe: Timeframe) -> Option<&str> {
        let rules = self.0.iter().filter(|rule| rule.is_of(symbol, timeframe));
        rules.into_iter().find(|rule| rule.to.is_none()).map(|rule| rule.source.as_str())
    }

    /// Whether any rule is of a series.
    #[must_use]
    pub(crate) fn concern(&self, symbol: &str, timeframe: Timeframe) -> bool {
        self.0.iter().any(|rule| rule.is_of(symbol, timeframe))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_covers_a_bar_names_its_authority() {
        let date = |text: &str| text.parse::<NaiveDate>().unwrap();
        let rule = |source: &str| Authority { source: source.to_owned(), ..Authority::default() };
        let authorities = Authorities::new(vec![
            Authority {
                symbols: vec!["AAPL".into()],
                to: Some(date("2025-12-31")),
                timeframes: vec![Timeframe::H1],
                ..rule("yahoo")
            },
            Authority { symbols: vec!["AAPL".into()], from: Some(date("2025-06-01")), ..rule("alpaca") },
            Authority { timeframes: vec![Timeframe::D1], ..rule("massive") },
        ]);
        let check = |symbol, timeframe, text, expected| {
            assert_eq!(
                authorities.of(symbol, timeframe, date(text)),
                expected,
                "{symbol} {timeframe} {text}"
            );
        };
        check("AAPL", Timeframe::H1, "2025-12-31", Some("yahoo"));
        check("AAPL", Timeframe::H1, "2026-01-01", Some("alpaca"));
        check("AAPL", Timeframe::M1, "2025-05-31", None);
        check("AAPL", Timeframe::D1, "2025-05-31", Some("massive"));
        check("SPY", Timeframe::H1, "2026-01-01", None);
        assert_eq!(authorities.to_come("AAPL", Timeframe::H1), Some("alpaca"));
        assert_eq!(authorities.to_come("SPY", Timeframe::H1), None);
        assert!(authorities.concern("AAPL", Timeframe::M1) && !authorities.concern("SPY", Timeframe::M1));
        assert_eq!(Authorities::default().of("SPY", Timeframe::D1, date("2026-01-02")), None);
    }
}
