//! Whose bars a series' are, as the configuration states it: `[[authority]]` tables, the first that covers a bar counts.

use chrono::NaiveDate;
use ingest::authority::{Authorities, Authority};
use serde::{Deserialize, Serialize};

use super::universe::check_traded;
use super::{ConfigError, LiveSection, value};

/// Sources whose bars come onto a tape through checks.
const SOURCES: [&str; 4] = ["yahoo", "alpaca", "massive", ingest::import::SOURCE];

/// A rule; what is left out covers everything.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthorityConfig {
    /// `yahoo`, `alpaca`, `massive`, or `import` for files.
    pub source: String,
    /// Symbols, or groups with an `@` before their names.
    pub symbols: Vec<String>,
    /// Timeframes.
    pub timeframes: Vec<String>,
    /// First date, `YYYY-MM-DD` in exchange time.
    pub from: String,
    /// Last date.
    pub to: String,
}

impl AuthorityConfig {
    fn rule(&self) -> Authority {
        Authority {
            source: self.source.clone(),
            symbols: self.symbols.clone(),
            timeframes: self.timeframes.iter().filter_map(|name| name.parse().ok()).collect(),
            from: self.from.parse().ok(),
            to: self.to.parse().ok(),
        }
    }

    fn validate(&self, index: usize) -> Result<(), ConfigError> {
        let field = |name: &str| format!("authority[{index}].{name}");
        if !SOURCES.contains(&self.source.as_str()) {
            return Err(value(field("source"), format!("{:?}", self.source), SOURCES.join(", ")));
        }
        check_traded(&field("symbols"), &self.symbols)?;
        for name in &self.timeframes {
            if name.parse::<domain::bar::Timeframe>().is_err() {
                return Err(value(field("timeframes"), format!("{name:?}"), domain::bar::EXPECTED));
            }
        }
        for (name, text) in [("from", &self.from), ("to", &self.to)] {
            if !text.is_empty() && text.parse::<NaiveDate>().is_err() {
                return Err(value(field(name), format!("{text:?}"), "a date YYYY-MM-DD, or nothing"));
            }
        }
        let rule = self.rule();
        if let (Some(from), Some(to)) = (rule.from, rule.to)
            && from > to
        {
            return Err(value(field("to"), to, format!("{from} or later")));
        }
        Ok(())
    }
}

/// The rules as they are applied.
pub(super) fn rules(rules: &[AuthorityConfig]) -> Authorities {
    Authorities::new(rules.iter().map(AuthorityConfig::rule).collect())
}

/// Refuses rules that are none, and a stream whose minutes would stand on no tape.
pub(super) fn validate(rules: &[AuthorityConfig], live: &LiveSection) -> Result<(), ConfigError> {
    for (index, rule) in rules.iter().enumerate() {
        rule.validate(index)?;
    }
    if !live.is_on() {
        return Ok(());
    }
    let authorities = self::rules(rules);
    let minute = domain::bar::Timeframe::M1;
    let other = |symbol: &&String| {
        authorities.to_come(symbol, minute).is_some_and(|authority| authority != live.source)
    };
    match live.symbols.iter().find(other) {
        None => Ok(()),
        Some(symbol) => {
            let authority = authorities.to_come(symbol, minute).unwrap_or_default();
            let expected =
                format!("{authority}, the authority of {symbol} {minute}: of another source nothing is kept");
            Err(value("live.source", &live.source, expected))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str, live: &LiveSection) -> String {
        #[derive(Deserialize)]
        struct Part {
            authority: Vec<AuthorityConfig>,
        }
        let part: Part = toml::from_str(&format!("[[authority]]\n{text}")).unwrap();
        validate(&part.authority, live).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_no_authority_can_be_is_refused_by_name() {
        let off = LiveSection::default();
        assert_eq!(problem("source = \"yahoo\"", &off), "");
        assert!(problem("source = \"bloomberg\"", &off).starts_with("authority[0].source = \"bloomberg\""));
        assert!(
            problem("source = \"yahoo\"\ntimeframes = [\"2h\"]", &off).contains("authority[0].timeframes")
        );
        for small in ["spy", "BACpK"] {
            let refused = problem(&format!("source = \"yahoo\"\nsymbols = [{small:?}]"), &off);
            let said = format!("authority[0].symbols = {small:?}: expected an upper-case");
            assert!(refused.starts_with(&said), "{refused}");
        }
        assert_eq!(problem("source = \"yahoo\"\nsymbols = [\"BRK.B\", \"ES=F\"]", &off), "");
        assert!(problem("source = \"yahoo\"\nfrom = \"soon\"", &off).contains("YYYY-MM-DD"));
        let turned = "source = \"yahoo\"\nfrom = \"2025-02-01\"\nto = \"2025-01-01\"";
        assert!(problem(turned, &off).contains("2025-02-01 or later"));
    }

    #[test]
    fn a_stream_that_is_no_authority_is_refused() {
        let live =
            LiveSection { source: "alpaca".into(), symbols: vec!["SPY".into()], ..LiveSection::default() };
        assert_eq!(problem("source = \"yahoo\"\ntimeframes = [\"1d\"]", &live), "");
        assert_eq!(problem("source = \"yahoo\"\nto = \"2025-12-31\"", &live), "");
        let refused = problem("source = \"massive\"", &live);
        assert!(refused.starts_with("live.source = alpaca: expected massive"), "{refused}");
    }
}
