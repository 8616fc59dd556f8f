//! Limits by scope in the configuration: `[[limits]]` tables.

use std::collections::BTreeMap;

use contracts::v1::TradeLimits;
use domain::book::Scope;
use domain::risk::fields;
use serde::{Deserialize, Serialize};

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
        Scope::new(&self.account, &self.strategy, &self.symbol.to_uppercase())
    }

    /// The limits as the tape states them.
    pub fn limits(&self) -> Result<TradeLimits, fields::LimitError> {
        let mut limits = TradeLimits::default();
        for (name, value) in &self.named {
            let text = match value {
                toml::Value::String(text) => text.clone(),
                toml::Value::Array(items) => {
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
        let refused = |error: fields::LimitError| {
            value(format!("limits[{index}].{}", error.field), error.value, error.expected)
        };
        self.limits().map(drop).map_err(refused)
    }
}
