//! Whose news are followed on the tape `main`, as the configuration states it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::universe::check_symbols;
use super::{ConfigError, SourcesConfig, value};
use crate::cli::NewsVendor;

/// Symbols whose news are followed: what the tape holds of each is kept in memory.
const SYMBOLS_MAX: usize = 500;

/// What is followed.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewsSection {
    /// `alpaca`, `newsapi`, or empty: nothing is followed.
    pub source: String,
    /// Symbols.
    pub symbols: Vec<String>,
    /// Minutes from one round of questions over HTTP to the next.
    pub every_minutes: u64,
    /// Whether articles are streamed too; alpaca alone tells them by a stream.
    pub stream: bool,
}

impl Default for NewsSection {
    fn default() -> Self {
        Self { source: String::new(), symbols: Vec::new(), every_minutes: 15, stream: true }
    }
}

impl NewsSection {
    /// Whether anything is followed.
    pub fn is_on(&self) -> bool {
        !self.source.is_empty()
    }

    /// The vendor of a section that is on.
    pub fn vendor(&self) -> NewsVendor {
        if self.source == "newsapi" { NewsVendor::Newsapi } else { NewsVendor::Alpaca }
    }

    /// The service's configuration.
    pub fn service(&self) -> ingest::news::NewsConfig {
        let every = Duration::from_secs(self.every_minutes * 60);
        ingest::news::NewsConfig { symbols: self.symbols.clone(), every }
    }

    pub(super) fn validate(&self, sources: &SourcesConfig) -> Result<(), ConfigError> {
        let (name, per_minute) = match self.source.as_str() {
            "" => ("", u32::MAX),
            "alpaca" => ("alpaca", sources.alpaca.requests_per_minute),
            "newsapi" => ("newsapi", sources.newsapi.requests_per_minute),
            other => return Err(value("news.source", format!("{other:?}"), "alpaca, newsapi or nothing")),
        };
        if self.is_on() && self.symbols.is_empty() {
            return Err(value("news.symbols", "[]", "at least one symbol"));
        }
        check_symbols("news.symbols", &self.symbols, SYMBOLS_MAX)?;
        if !(1..=1_440).contains(&self.every_minutes) {
            return Err(value("news.every_minutes", self.every_minutes, "1 to 1440"));
        }
        // A round asks once for each symbol at least, and has to end before the next.
        let count = self.symbols.len() as u64;
        let least = count.div_ceil(u64::from(per_minute).max(1));
        if self.every_minutes < least {
            let expected = format!(
                "at least {least} to ask for {count} symbols with source.{name}.requests_per_minute = {per_minute}"
            );
            return Err(value("news.every_minutes", self.every_minutes, expected));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(change: impl FnOnce(&mut NewsSection)) -> String {
        let mut news =
            NewsSection { source: "newsapi".into(), symbols: vec!["SPY".into()], ..Default::default() };
        change(&mut news);
        news.validate(&SourcesConfig::default()).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_cannot_be_followed_is_refused_by_name() {
        assert_eq!(problem(|_| {}), "");
        assert_eq!(problem(|news| *news = NewsSection::default()), "");
        let yahoo = problem(|news| news.source = "yahoo".into());
        assert_eq!(yahoo, "news.source = \"yahoo\": expected alpaca, newsapi or nothing");
        assert_eq!(problem(|news| news.symbols.clear()), "news.symbols = []: expected at least one symbol");
        assert!(problem(|news| news.symbols.push("spy".into())).contains("capital letters"));
        assert!(problem(|news| news.symbols.push("SPY".into())).contains("each symbol once"));
        for minutes in [0, 1_441] {
            let range = problem(|news| news.every_minutes = minutes);
            assert_eq!(range, format!("news.every_minutes = {minutes}: expected 1 to 1440"));
        }
        let slow = problem(|news| {
            (news.symbols, news.every_minutes) = ((0..31).map(|n| format!("S{n}")).collect(), 3);
        });
        assert!(slow.starts_with("news.every_minutes = 3: expected at least 4 to ask for 31"), "{slow}");
    }
}
