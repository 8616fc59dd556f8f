//! Strategies, as the configuration states them.

use std::collections::BTreeMap;

use contracts::v1::{Parameter, StrategyMode};
use domain::strategy::ParameterError;
use runtime::command::{STRATEGY_NAME, first_mode, is_strategy_name};
use serde::{Deserialize, Serialize};

use super::universe::check_traded;
use super::{AccountConfig, ConfigError, group, value};

/// One built-in strategy.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StrategyConfig {
    /// Kind, for example `sma_cross`.
    pub kind: String,
    /// Account it trades on.
    #[serde(default = "default_account")]
    pub account: String,
    /// `shadow`, `paper` or `off`.
    #[serde(default = "default_mode")]
    pub mode: String,
    /// Symbols it trades; empty means all.
    #[serde(default)]
    pub symbols: Vec<String>,
    /// Timeframe it reads; empty means all.
    #[serde(default)]
    pub timeframe: String,
    /// `fraction:SHARE_OF_EQUITY` or another sizing ([`domain::sizing::EXPECTED`]).
    #[serde(default = "default_sizing")]
    pub sizing: String,
    /// `complete`, `unwind`, `alert` or `none`: what follows when one of a signal's orders fails.
    #[serde(default)]
    pub group_policy: group::Choice,
    /// The strategy's own parameters.
    #[serde(default)]
    pub params: BTreeMap<String, toml::Value>,
}

pub(super) fn default_account() -> String {
    "paper".to_owned()
}

fn default_mode() -> String {
    "paper".to_owned()
}

fn default_sizing() -> String {
    "fraction:0.1".to_owned()
}

/// Those that there are where the configuration names none.
pub fn built_in() -> BTreeMap<String, StrategyConfig> {
    ["momentum", "sma_cross"]
        .into_iter()
        .map(|kind| {
            let strategy = StrategyConfig {
                kind: kind.to_owned(),
                account: default_account(),
                mode: default_mode(),
                symbols: Vec::new(),
                timeframe: String::new(),
                sizing: default_sizing(),
                group_policy: group::Choice::default(),
                params: BTreeMap::new(),
            };
            (kind.to_owned(), strategy)
        })
        .collect()
}

impl StrategyConfig {
    /// Whether it says no more than the kind of its name.
    pub fn is_plain(&self) -> bool {
        self.params.is_empty()
            && self.symbols.is_empty()
            && self.sizing == default_sizing()
            && self.group_policy == group::Choice::default()
    }

    pub(super) fn validate(
        &self,
        name: &str,
        accounts: &BTreeMap<String, AccountConfig>,
    ) -> Result<(), ConfigError> {
        if !is_strategy_name(name) {
            return Err(value("strategy", format!("{name:?}"), STRATEGY_NAME));
        }
        let field = |field: &str| format!("strategy.{name}.{field}");
        if !accounts.contains_key(&self.account) {
            let known = accounts.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(value(field("account"), &self.account, format!("one of {known}")));
        }
        if self.mode != "off" && parse_mode(&self.mode).is_none() {
            let expected = match self.mode.as_str() {
                "live" => "shadow, paper or off; live by `tapedeck strategy enable NAME --mode live`",
                _ => "shadow, paper or off",
            };
            return Err(value(field("mode"), &self.mode, expected));
        }
        check_traded(&field("symbols"), &self.symbols)?;
        if !self.timeframe.is_empty() && self.timeframe.parse::<domain::bar::Timeframe>().is_err() {
            return Err(value(field("timeframe"), &self.timeframe, domain::bar::EXPECTED));
        }
        domain::sizing::parse(&self.sizing)
            .ok_or_else(|| value(field("sizing"), &self.sizing, domain::sizing::EXPECTED))?;
        let refused = |error: ParameterError| match error {
            ParameterError::UnknownKind { kind, known } => {
                value(field("kind"), kind, format!("one of {known}"))
            }
            ParameterError::Unknown { name, known, .. } => {
                value(field("params"), name, format!("one of {known}"))
            }
            ParameterError::Repeated { name } => value(field("params"), name, "each parameter once"),
            ParameterError::Invalid { name, value: found, expected } => {
                value(field(&format!("params.{name}")), found, expected)
            }
        };
        let parameters = domain::strategy::resolve(&self.kind, &self.parameters()).map_err(refused)?;
        // Without symbols it takes every bar there is; with some it must be given those that it names.
        let named = domain::strategy::named_symbols(&self.kind, &parameters).map_err(refused)?;
        let missing = |symbol: &&String| !self.symbols.is_empty() && !self.symbols.contains(*symbol);
        match named.iter().find(missing) {
            Some(symbol) => {
                let expected = format!("{symbol} among them, which `params` name");
                Err(value(field("symbols"), self.symbols.join(", "), expected))
            }
            None => Ok(()),
        }
    }

    /// The stated parameters, by name.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.params
            .iter()
            .map(|(name, value)| {
                let value = match value {
                    toml::Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                Parameter { name: name.clone(), value }
            })
            .collect()
    }
}

/// Reads a mode. Money takes a command, `strategy enable --mode live`, and no file that somebody wrote long ago.
pub fn parse_mode(text: &str) -> Option<StrategyMode> {
    first_mode(text).ok()
}
