//! Limits by scope in the configuration: `[[limits]]` tables.

use std::collections::BTreeMap;

use contracts::v1::TradeLimits;
use domain::book::Scope;
use domain::risk::fields;
use serde::{Deserialize, Serialize};

use super::universe::check_traded;
use super::{AccountConfig, ConfigError, value};

/// Limits of one scope. The names are those of `tapedeck limits names`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct LimitsConfig {
    /// Account; empty for each one.
    #[serde(default)]
    pub account: String,
    /// Strategy; empty for each one.
    #[serde(default)]
    pub strategy: String,
    /// Symbol; empty for each one.
    #[serde(default)]
    pub symbol: String,
    /// The limits, by name.
    #[serde(flatten)]
    pub named: BTreeMap<String, toml::Value>,
}

impl LimitsConfig {
    /// What they are of.
    pub fn scope(&self) -> Scope {
        // What is no symbol stays as it is written: `validate` names it.
        let symbol = contracts::read_symbol(&self.symbol).unwrap_or_else(|_| self.symbol.clone());
        Scope::new(&self.account, &self.strategy, &symbol)
    }

    /// The limits as the tape states them.
    pub fn limits(&self) -> Result<TradeLimits, fields::LimitError> {
        let mut limits = TradeLimits::default();
        for (name, value) in &self.named {
            let text = match value {
                toml::Value::String(text) => text.clone(),
                toml::Value::Array(items) if is_list(name) && items.is_empty() => "none".to_owned(),
                toml::Value::Array(items) if is_list(name) => {
                    let item =
                        |item: &toml::Value| item.as_str().map_or_else(|| item.to_string(), str::to_owned);
                    items.iter().map(item).collect::<Vec<_>>().join(",")
                }
                other => other.to_string(),
            };
            fields::state(&mut limits, name, &text)?;
        }
        fields::check(&self.scope(), &limits)?;
        Ok(limits)
    }

    pub(super) fn validate(
        &self,
        index: usize,
        accounts: &BTreeMap<String, AccountConfig>,
    ) -> Result<(), ConfigError> {
        if !self.account.is_empty() && !accounts.contains_key(&self.account) {
            let known = accounts.keys().cloned().collect::<Vec<_>>().join(", ");
            let expected = format!("nothing, or one of {known}");
            return Err(value(format!("limits[{index}].account"), &self.account, expected));
        }
        if !self.symbol.is_empty() {
            check_traded(&format!("limits[{index}].symbol"), &[self.scope().symbol])?;
        }
        if self.named.is_empty() {
            let expected = "at least one limit, see `tapedeck limits names`";
            return Err(value(format!("limits[{index}]"), "nothing", expected));
        }
        let refused = |error: fields::LimitError| {
            value(format!("limits[{index}].{}", error.field), error.value, error.expected)
        };
        self.limits().map(drop).map_err(refused)
    }
}

/// Whether a limit is a list: of any other, a list is no value.
fn is_list(name: &str) -> bool {
    fields::fields().any(|field| field.name == name && field.unit == fields::Unit::Symbols)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(text: &str) -> Result<TradeLimits, fields::LimitError> {
        toml::from_str::<LimitsConfig>(text).unwrap().limits()
    }

    #[test]
    fn a_symbol_is_read_as_everywhere_else() {
        let of = |symbol: &str| LimitsConfig {
            symbol: symbol.to_owned(),
            named: BTreeMap::from([("max_open_orders".to_owned(), toml::Value::Integer(1))]),
            ..LimitsConfig::default()
        };
        assert_eq!(of("brk.b").scope().symbol, "BRK.B");
        of("brk.b").validate(0, &BTreeMap::new()).unwrap();
        let refused = of("stra\u{df}e").validate(3, &BTreeMap::new()).unwrap_err().to_string();
        assert!(refused.starts_with("limits[3].symbol = \"stra\u{df}e\": expected"), "{refused}");
    }

    #[test]
    fn a_list_is_a_list_of_symbols_and_no_number() {
        let restricted = limits("restricted = [\"GME\", \"AMC\"]\nmax_leverage = 2").unwrap();
        assert_eq!(restricted.restricted, ["GME", "AMC"]);
        assert_eq!(limits("restricted = []").unwrap(), TradeLimits::default());
        for found in ["[]", "[2]"] {
            let error = limits(&format!("max_leverage = {found}")).unwrap_err();
            assert_eq!((error.field.as_str(), error.value.as_str()), ("max_leverage", found));
        }
    }
}
