//! Through which broker an account is traded, as the configuration states it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use contracts::v1::TradingMode;
use serde::{Deserialize, Serialize};

use super::source::{Credential, is_safe};
use super::{AccountConfig, ConfigError, value};

/// Where paper orders go, and where orders with money do.
const PAPER: &str = "https://paper-api.alpaca.markets";
const LIVE: &str = "https://api.alpaca.markets";

/// An account at Alpaca.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlpacaAccountConfig {
    /// Address before the path; empty: Alpaca's own for the mode.
    pub base_url: String,
    /// Variable that holds the key.
    pub key_env: String,
    /// Variable that holds the secret.
    pub secret_env: String,
    /// File that holds the key, instead of the variable.
    pub key_file: Option<PathBuf>,
    /// File that holds the secret, instead of the variable.
    pub secret_file: Option<PathBuf>,
    /// Requests a minute.
    pub requests_per_minute: u32,
}

impl Default for AlpacaAccountConfig {
    fn default() -> Self {
        Self {
            base_url: String::new(),
            key_env: "APCA_API_KEY_ID".to_owned(),
            secret_env: "APCA_API_SECRET_KEY".to_owned(),
            key_file: None,
            secret_file: None,
            requests_per_minute: 180,
        }
    }
}

impl AccountConfig {
    /// Whether orders of the account go to Alpaca.
    pub fn is_at_alpaca(&self) -> bool {
        self.broker == ::broker::ALPACA
    }

    /// Whose money the account is to move, as configured.
    pub fn wanted_mode(&self) -> TradingMode {
        match (self.is_at_alpaca(), self.mode.as_str()) {
            (false, _) => TradingMode::Simulated,
            (true, "live") => TradingMode::Live,
            (true, _) => TradingMode::Paper,
        }
    }

    /// The address of the broker.
    pub fn broker_url(&self) -> &str {
        match (self.alpaca.base_url.as_str(), self.wanted_mode()) {
            ("", TradingMode::Live) => LIVE,
            ("", _) => PAPER,
            (stated, _) => stated,
        }
    }

    /// The broker's key and secret, of the account `name`.
    pub fn broker_credentials(&self, name: &str) -> [Credential<'_>; 2] {
        let of = |field: &str| format!("account.{name}.alpaca.{field}");
        let alpaca = &self.alpaca;
        [
            Credential::new(of("key_env"), &alpaca.key_env, alpaca.key_file.as_deref()),
            Credential::new(of("secret_env"), &alpaca.secret_env, alpaca.secret_file.as_deref()),
        ]
    }

    pub(super) fn validate_broker(&self, name: &str) -> Result<(), ConfigError> {
        if !matches!(self.broker.as_str(), ::broker::SIMULATED | ::broker::ALPACA) {
            return Err(value(format!("account.{name}.broker"), &self.broker, "simulated or alpaca"));
        }
        if !matches!(self.mode.as_str(), "paper" | "live") {
            return Err(value(format!("account.{name}.mode"), &self.mode, "paper or live"));
        }
        if self.mode == "live" && !self.is_at_alpaca() {
            let expected = "paper, or broker = \"alpaca\" beside it";
            return Err(value(format!("account.{name}.mode"), &self.mode, expected));
        }
        let field = format!("account.{name}.alpaca.base_url");
        let url = self.broker_url();
        if !is_safe(url) {
            let expected = "https://HOST, or http:// at a loopback address, without a slash at the end";
            return Err(value(field, url, expected));
        }
        let other = if self.wanted_mode() == TradingMode::Live { PAPER } else { LIVE };
        if url == other {
            let expected = format!("another address for mode = {:?}", self.mode);
            return Err(value(field, url, expected));
        }
        if !(1..=100_000).contains(&self.alpaca.requests_per_minute) {
            let field = format!("account.{name}.alpaca.requests_per_minute");
            return Err(value(field, self.alpaca.requests_per_minute, "1 to 100000"));
        }
        self.broker_credentials(name).iter().try_for_each(Credential::check)
    }
}

/// Refuses two accounts with one key: they are one at the broker, and what it holds would be held twice here.
pub(super) fn validate_keys(accounts: &BTreeMap<String, AccountConfig>) -> Result<(), ConfigError> {
    let mut known = BTreeMap::new();
    for (name, account) in accounts.iter().filter(|(_, account)| account.is_at_alpaca()) {
        let AlpacaAccountConfig { key_env, key_file, .. } = &account.alpaca;
        // A file stands in place of the variable.
        let (field, key) = match key_file {
            Some(file) => ("key_file", file.display().to_string()),
            None => ("key_env", key_env.clone()),
        };
        if let Some(other) = known.insert((account.broker_url(), field, key.clone()), name) {
            let expected = format!("a key of its own: account {other} has this one");
            return Err(value(format!("account.{name}.alpaca.{field}"), key, expected));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(text: &str) -> AccountConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn money_is_never_moved_by_an_account_that_says_paper() {
        let paper = account("broker = \"alpaca\"");
        assert_eq!((paper.wanted_mode(), paper.broker_url()), (TradingMode::Paper, PAPER));
        let live = account("broker = \"alpaca\"\nmode = \"live\"");
        assert_eq!((live.wanted_mode(), live.broker_url()), (TradingMode::Live, LIVE));
        let crossed = account(&format!("broker = \"alpaca\"\n[alpaca]\nbase_url = \"{LIVE}\""));
        let error = crossed.validate_broker("a").unwrap_err().to_string();
        assert!(error.starts_with("account.a.alpaca.base_url = https://api"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, field) in [
            ("broker = \"ib\"", "account.a.broker"),
            ("mode = \"real\"", "account.a.mode"),
            ("mode = \"live\"", "account.a.mode"),
            ("broker = \"alpaca\"\n[alpaca]\nbase_url = \"http://example.org\"", "account.a.alpaca.base_url"),
            ("broker = \"alpaca\"\n[alpaca]\nkey_env = \"\"", "account.a.alpaca.key_env"),
            (
                "broker = \"alpaca\"\n[alpaca]\nrequests_per_minute = 0",
                "account.a.alpaca.requests_per_minute",
            ),
        ] {
            let error = account(text).validate_broker("a").unwrap_err().to_string();
            assert!(error.starts_with(field), "{error}");
        }
        account("").validate_broker("a").unwrap();
    }

    #[test]
    fn two_accounts_are_not_one_at_the_broker() {
        let both = |first: &str, second: &str| {
            let names = ["a", "b"].map(str::to_owned);
            let accounts = [first, second].map(|more| account(&format!("broker = \"alpaca\"\n{more}")));
            validate_keys(&names.into_iter().zip(accounts).collect())
        };
        let error = both("", "").unwrap_err().to_string();
        assert!(error.starts_with("account.b.alpaca.key_env = APCA_API_KEY_ID"), "{error}");
        assert!(error.contains("account a has this one"), "{error}");
        let file = "[alpaca]\nkey_file = \"key\"";
        let error = both(file, file).unwrap_err().to_string();
        assert!(error.starts_with("account.b.alpaca.key_file = key"), "{error}");
        both("", "[alpaca]\nkey_env = \"OTHER\"").unwrap();
        both("", file).unwrap();
        // One with money has another key, whatever variable holds it.
        both("", "mode = \"live\"").unwrap();
    }
}
