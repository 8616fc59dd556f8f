//! Sentiment of a headline and a summary by VADER's lexicon. Pure: equal text gives equal numbers, on any machine.
//!
//! Deliberately absent: the full text, which sources do not give; any weight for money words that the lexicon does
//! not know. `docs/decisions/0012-news-and-reference.md` says why this library.

use std::fmt;
use std::sync::LazyLock;

use contracts::v1::Sentiment;
use vader_parity::SentimentIntensityAnalyzer;

/// The library and its version, as they stand on events; the workspace pins it.
pub const LIBRARY: &str = "vader-parity";
/// Its version.
pub const VERSION: &str = "0.1.0";

static LEXICON: LazyLock<Lexicon> = LazyLock::new(Lexicon::new);

/// The lexicon, read once in a process.
pub(super) fn lexicon() -> &'static Lexicon {
    &LEXICON
}

/// A lexicon that was read.
pub(super) struct Lexicon(SentimentIntensityAnalyzer);

impl fmt::Debug for Lexicon {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Lexicon").finish_non_exhaustive()
    }
}

impl Lexicon {
    fn new() -> Self {
        Self(SentimentIntensityAnalyzer::new())
    }

    /// What it makes of a headline and a summary.
    pub(super) fn of(&self, headline: &str, summary: &str) -> Sentiment {
        let scores = self.0.polarity_scores(format!("{headline}. {summary}").trim());
        Sentiment {
            library: LIBRARY.to_owned(),
            version: VERSION.to_owned(),
            compound: scores.compound,
            negative: scores.neg,
            neutral: scores.neu,
            positive: scores.pos,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_news_is_good_and_bad_news_is_bad() {
        let lexicon = Lexicon::new();
        let of = |headline| lexicon.of(headline, "").compound;
        assert!(of("Great quarter: profit beats expectations, investors are happy") > 0.5);
        assert!(of("Fraud and lawsuits: shares crash in terrible losses") < -0.5);
        assert!(of("Annual meeting on Tuesday").abs() < 0.1);
    }

    #[test]
    fn the_version_is_the_one_that_is_built_in() {
        let lock = include_str!("../../../../Cargo.lock");
        let entry = format!("name = \"{LIBRARY}\"\nversion = \"{VERSION}\"\n");
        assert!(lock.contains(&entry), "Cargo.lock has another version than events state");
    }
}
