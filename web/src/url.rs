//! Every address of the site, so that no page links to one that does not exist.

use std::fmt;

/// An address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Url<'a> {
    /// The Overview.
    Overview,
    /// One panel of the Overview, to load it again.
    Panel(&'a str, &'a str),
    /// Points of an account's equity line.
    EquityPoints(&'a str),
    /// Stop new exposure.
    Halt,
    /// End a halt.
    Resume,
    /// Let a strategy's signals take effect.
    StrategyEnable(&'a str),
    /// Stop a strategy.
    StrategyDisable(&'a str),
}

impl fmt::Display for Url<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overview => formatter.write_str("/"),
            Self::Panel(panel, account) => {
                write!(formatter, "/overview/panels/{panel}?account={}", escape(account))
            }
            Self::EquityPoints(account) => {
                write!(formatter, "/overview/equity.json?account={}", escape(account))
            }
            Self::Halt => formatter.write_str("/trading/halt"),
            Self::Resume => formatter.write_str("/trading/resume"),
            Self::StrategyEnable(name) => write!(formatter, "/strategies/{}/enable", escape(name)),
            Self::StrategyDisable(name) => write!(formatter, "/strategies/{}/disable", escape(name)),
        }
    }
}

/// Escapes one path segment or query value: everything but unreserved characters becomes `%XX`.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_segment() {
        assert_eq!(Url::StrategyEnable("a/../b?c").to_string(), "/strategies/a%2F..%2Fb%3Fc/enable");
        assert_eq!(Url::EquityPoints("a&b").to_string(), "/overview/equity.json?account=a%26b");
    }
}
