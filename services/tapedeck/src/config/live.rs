//! What is streamed onto the tape `main`, as the configuration states it.

use std::time::Duration;

use domain::bar::Timeframe;
use ingest::standards::Standards;
use serde::{Deserialize, Serialize};

use super::source::is_local;
use super::universe::check_symbols;
use super::{ConfigError, SourcesConfig, value};

/// Symbols of one stream.
const SYMBOLS_MAX: usize = 2_000;

/// What is streamed.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LiveSection {
    /// `alpaca`, `massive`, or empty: nothing is streamed.
    pub source: String,
    /// Symbols.
    pub symbols: Vec<String>,
    /// Longer bars that are made of the minutes.
    pub timeframes: Vec<String>,
    /// Age in seconds up to which a bar may cause trades when it comes.
    pub fresh_s: u64,
    /// How long after its end a longer bar whose last minute did not come is made of what there is, in seconds.
    pub grace_s: u64,
    /// Seconds between two comparisons with the vendor's history; 0 for none.
    pub recheck_s: u64,
    /// How long a stream may tell nothing while the market is open, in seconds.
    pub silence_s: u64,
    /// Whether quotes are streamed too; alpaca alone.
    pub quotes: bool,
    /// Whether trades are; alpaca alone.
    pub trades: bool,
    /// Of each symbol one quote and one trade in so many milliseconds are put on the tape.
    pub ticks_ms: u64,
    /// Seconds by which this process's clock differs from the machine's, to practise with a market at a loopback address.
    pub clock_offset_s: i64,
}

impl Default for LiveSection {
    fn default() -> Self {
        Self {
            source: String::new(),
            symbols: Vec::new(),
            timeframes: ["5m", "1h", "1d"].map(str::to_owned).to_vec(),
            fresh_s: 180,
            grace_s: 5,
            recheck_s: 300,
            silence_s: 180,
            quotes: false,
            trades: false,
            ticks_ms: 1_000,
            clock_offset_s: 0,
        }
    }
}

impl LiveSection {
    /// Whether anything is streamed.
    pub fn is_on(&self) -> bool {
        !self.source.is_empty()
    }

    /// The service's configuration; `instance` is unique per start of the process.
    pub fn service(&self, standards: Standards, instance: String) -> ingest::live::LiveConfig {
        ingest::live::LiveConfig {
            symbols: self.symbols.clone(),
            timeframes: self.longer(),
            fresh: Duration::from_secs(self.fresh_s),
            grace: Duration::from_secs(self.grace_s),
            recheck: Duration::from_secs(self.recheck_s),
            ticks_every: Duration::from_millis(self.ticks_ms),
            standards,
            instance,
        }
    }

    fn longer(&self) -> Vec<Timeframe> {
        self.timeframes.iter().filter_map(|name| name.parse().ok()).collect()
    }

    pub(super) fn validate(&self, sources: &SourcesConfig) -> Result<(), ConfigError> {
        let addresses = match self.source.as_str() {
            "" => [None, None],
            "alpaca" => [Some(&sources.alpaca.base_url), Some(&sources.alpaca.stream_url)],
            "massive" => [Some(&sources.massive.base_url), Some(&sources.massive.stream_url)],
            other => return Err(value("live.source", format!("{other:?}"), "alpaca, massive or nothing")),
        };
        if self.is_on() && self.symbols.is_empty() {
            return Err(value("live.symbols", "[]", "at least one symbol"));
        }
        check_symbols("live.symbols", &self.symbols, SYMBOLS_MAX)?;
        for name in &self.timeframes {
            if !name.parse::<Timeframe>().is_ok_and(|timeframe| timeframe > Timeframe::M1) {
                return Err(value("live.timeframes", format!("{name:?}"), "5m, 15m, 30m, 1h or 1d"));
            }
        }
        for (field, found, range) in [
            ("fresh_s", self.fresh_s, 1..=86_400),
            ("grace_s", self.grace_s, 0..=600),
            ("recheck_s", self.recheck_s, 0..=86_400),
            ("silence_s", self.silence_s, 5..=86_400),
            ("ticks_ms", self.ticks_ms, 100..=60_000),
        ] {
            if !range.contains(&found) {
                let expected = format!("{} to {}", range.start(), range.end());
                return Err(value(format!("live.{field}"), found, expected));
            }
        }
        if self.source == "massive" && (self.quotes || self.trades) {
            let field = if self.quotes { "live.quotes" } else { "live.trades" };
            return Err(value(field, true, "false: of massive minutes alone are streamed"));
        }
        // A gap takes a request for each symbol, and half a minute at most.
        let least = u32::try_from(self.symbols.len() * 2).unwrap_or(u32::MAX);
        let per_minute = sources.massive.requests_per_minute;
        if self.source == "massive" && per_minute < least {
            let expected = format!(
                "at least {least} to ask for what {} symbols missed: a plan with streams has no limit",
                self.symbols.len()
            );
            return Err(value("source.massive.requests_per_minute", per_minute, expected));
        }
        let local = self.is_on() && addresses.iter().flatten().all(|url| is_local(url));
        if self.clock_offset_s != 0 && !local {
            let expected = "0, except with a source whose addresses are loopback ones";
            return Err(value("live.clock_offset_s", self.clock_offset_s, expected));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(change: impl FnOnce(&mut LiveSection, &mut SourcesConfig)) -> String {
        let mut live =
            LiveSection { source: "alpaca".into(), symbols: vec!["SPY".into()], ..Default::default() };
        let mut sources = SourcesConfig::default();
        change(&mut live, &mut sources);
        live.validate(&sources).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_cannot_be_streamed_is_refused_by_name() {
        assert_eq!(problem(|_, _| {}), "");
        assert!(problem(|live, _| live.symbols.clear()).starts_with("live.symbols = []"));
        assert!(problem(|live, _| live.symbols.push("spy".into())).contains("capital letters"));
        assert!(problem(|live, _| live.symbols.push("SPY".into())).contains("each symbol once"));
        assert!(problem(|live, _| live.timeframes.push("1m".into())).contains("5m, 15m"));
        assert!(problem(|live, _| live.source = "yahoo".into()).contains("alpaca, massive"));
        assert!(problem(|live, _| live.silence_s = 1).contains("5 to 86400"));
        assert!(problem(|live, _| live.ticks_ms = 5).contains("100 to 60000"));
        let quotes = problem(|live, sources| {
            (live.source, live.trades) = ("massive".into(), true);
            sources.massive.requests_per_minute = 1_000;
        });
        assert!(quotes.starts_with("live.trades = true: expected false"), "{quotes}");
        let slow = problem(|live, _| {
            live.source = "massive".into();
            live.symbols = ["A", "B", "C"].map(str::to_owned).to_vec();
        });
        assert!(slow.contains("requests_per_minute = 5: expected at least 6"), "{slow}");
    }

    #[test]
    fn the_clock_is_moved_only_where_the_market_is_on_this_machine() {
        let away = problem(|live, _| live.clock_offset_s = -1);
        assert!(away.starts_with("live.clock_offset_s = -1"), "{away}");
        let half = problem(|live, sources| {
            live.clock_offset_s = -1;
            sources.alpaca.base_url = "http://127.0.0.1:9102".into();
        });
        assert!(half.contains("loopback"), "{half}");
        let here = problem(|live, sources| {
            live.clock_offset_s = -1;
            sources.alpaca.base_url = "http://127.0.0.1:9102".into();
            sources.alpaca.stream_url = "ws://127.0.0.1:9102".into();
        });
        assert_eq!(here, "");
    }
}
