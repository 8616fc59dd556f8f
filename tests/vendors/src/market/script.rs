//! What a run begins with.

use chrono::DateTime;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::actions::{self, Dividend, Split};
use super::listing::{self, Listing};
use super::news::Article;

/// Tuesday, 2026-01-06, half an hour after the open in New York.
const START_NS: i64 = 1_767_711_600 * 1_000_000_000;

/// What a run begins with; everything may be left out.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// What prices follow from.
    pub seed: u64,
    /// Where the clock begins: RFC 3339, or UTC nanoseconds.
    #[serde(rename = "start", deserialize_with = "moment")]
    pub start_ns: i64,
    /// What is listed.
    pub listings: Vec<Listing>,
    /// Splits.
    pub splits: Vec<Split>,
    /// Dividends.
    pub dividends: Vec<Dividend>,
    /// Articles; when left out, as many as `article_count` are made up.
    pub articles: Option<Vec<Article>>,
    /// How many articles to make up.
    pub article_count: i64,
    /// Trades of each symbol in a minute.
    pub trades_per_minute: i64,
    /// Quotes of each symbol in a minute.
    pub quotes_per_minute: i64,
    /// A clock that moves by itself leaves out the time between sessions.
    pub skip_closed: bool,
}

impl Default for Script {
    fn default() -> Self {
        let (splits, dividends) = actions::usual();
        Self {
            seed: 1,
            start_ns: START_NS,
            listings: listing::usual(),
            splits,
            dividends,
            articles: None,
            article_count: 240,
            trades_per_minute: 4,
            quotes_per_minute: 6,
            skip_closed: false,
        }
    }
}

impl Script {
    /// A market of `count` symbols, S000 and so on, for measurements.
    #[must_use]
    pub fn of_symbols(count: usize) -> Self {
        let listing = |number| Listing::share(&format!("S{number:03}"), "A measured company", 50.0);
        Self { listings: (0..count).map(listing).collect(), ..Self::default() }
    }
}

/// A moment as RFC 3339 text or as UTC nanoseconds.
///
/// # Errors
/// When it is neither.
pub fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Moment {
        Nanos(i64),
        Text(String),
    }
    match Moment::deserialize(deserializer)? {
        Moment::Nanos(nanos) => Ok(nanos),
        Moment::Text(text) => DateTime::parse_from_rfc3339(&text)
            .ok()
            .and_then(|moment| moment.timestamp_nanos_opt())
            .ok_or_else(|| D::Error::custom(format!("{text:?} is no moment; expected RFC 3339"))),
    }
}
