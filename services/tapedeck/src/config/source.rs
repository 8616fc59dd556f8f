//! Vendors of market data, facts and news, as the configuration states them: where they are, who asks, how often.

use std::borrow::Cow;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{ConfigError, value};

/// Vendors by name.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourcesConfig {
    /// Yahoo's charts.
    pub yahoo: YahooConfig,
    /// Alpaca's market data.
    pub alpaca: AlpacaConfig,
    /// Massive.
    pub massive: MassiveConfig,
    /// NewsAPI.
    pub newsapi: NewsApiConfig,
}

/// Yahoo's charts and facts about companies.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct YahooConfig {
    /// Address before the path.
    pub base_url: String,
    /// Where the cookie is handed out that facts about companies need.
    pub cookie_url: String,
    /// Whether to agree, in the user's name, to what it asks consent for before it hands out the cookie.
    pub accept_consent: bool,
    /// Where it asks for consent.
    pub consent_url: String,
    /// Where the answer goes.
    pub collect_url: String,
    /// Requests a minute.
    pub requests_per_minute: u32,
}

/// Alpaca's market data.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlpacaConfig {
    /// Address before the path.
    pub base_url: String,
    /// Address of the trading interface, which tells what is listed; that of paper accounts or of live ones, as the key.
    pub assets_url: String,
    /// Variable that holds the key.
    pub key_env: String,
    /// Variable that holds the secret.
    pub secret_env: String,
    /// File that holds the key, instead of the variable.
    pub key_file: Option<PathBuf>,
    /// File that holds the secret, instead of the variable.
    pub secret_file: Option<PathBuf>,
    /// `sip`, `iex`, `otc` or `boats`.
    pub feed: String,
    /// Address of streams before the path.
    pub stream_url: String,
    /// Feed of the stream: `iex`, `sip`, `delayed_sip` or `test`.
    pub live_feed: String,
    /// What the stream speaks: `json` or `msgpack`.
    pub stream_format: String,
    /// Requests a minute.
    pub requests_per_minute: u32,
}

/// Massive.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MassiveConfig {
    /// Address before the path.
    pub base_url: String,
    /// Variable that holds the key.
    pub key_env: String,
    /// File that holds the key, instead of the variable.
    pub key_file: Option<PathBuf>,
    /// Address of streams before the path.
    pub stream_url: String,
    /// Requests a minute.
    pub requests_per_minute: u32,
}

/// NewsAPI.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewsApiConfig {
    /// Address before the path.
    pub base_url: String,
    /// Variable that holds the key.
    pub key_env: String,
    /// File that holds the key, instead of the variable.
    pub key_file: Option<PathBuf>,
    /// Requests a minute; the plan for developers has a hundred a day.
    pub requests_per_minute: u32,
    /// How many hours after its publication the plan shows an article.
    pub delay_hours: u32,
}

impl Default for YahooConfig {
    fn default() -> Self {
        Self {
            base_url: "https://query2.finance.yahoo.com".to_owned(),
            cookie_url: "https://fc.yahoo.com".to_owned(),
            accept_consent: false,
            consent_url: "https://guce.yahoo.com".to_owned(),
            collect_url: "https://consent.yahoo.com".to_owned(),
            requests_per_minute: 30,
        }
    }
}

impl Default for NewsApiConfig {
    fn default() -> Self {
        Self {
            base_url: "https://newsapi.org".to_owned(),
            key_env: "NEWSAPI_KEY".to_owned(),
            key_file: None,
            requests_per_minute: 10,
            delay_hours: 24,
        }
    }
}

impl Default for AlpacaConfig {
    fn default() -> Self {
        Self {
            base_url: "https://data.alpaca.markets".to_owned(),
            assets_url: "https://paper-api.alpaca.markets".to_owned(),
            key_env: "APCA_API_KEY_ID".to_owned(),
            secret_env: "APCA_API_SECRET_KEY".to_owned(),
            key_file: None,
            secret_file: None,
            feed: "sip".to_owned(),
            stream_url: "wss://stream.data.alpaca.markets".to_owned(),
            live_feed: "iex".to_owned(),
            stream_format: "json".to_owned(),
            requests_per_minute: 180,
        }
    }
}

impl Default for MassiveConfig {
    fn default() -> Self {
        Self {
            base_url: "https://api.massive.com".to_owned(),
            key_env: "MASSIVE_API_KEY".to_owned(),
            key_file: None,
            stream_url: "wss://socket.massive.com".to_owned(),
            requests_per_minute: 5,
        }
    }
}

/// Where one credential is.
#[derive(Clone, Debug)]
pub struct Credential<'a> {
    /// Its field.
    pub field: Cow<'static, str>,
    variable: &'a str,
    file: Option<&'a Path>,
}

impl<'a> Credential<'a> {
    /// One that stands in `variable`, or in `file` where that is stated; `field` names the variable.
    pub fn new(field: impl Into<Cow<'static, str>>, variable: &'a str, file: Option<&'a Path>) -> Self {
        Self { field: field.into(), variable, file }
    }

    /// Refuses a name that no variable can have.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.variable.is_empty() || self.variable.contains(['=', '\0', ' ']) {
            return Err(value(self.field.clone(), self.variable, "the name of a variable"));
        }
        Ok(())
    }
}

impl Credential<'_> {
    /// Whether there is one.
    pub fn is_set(&self) -> bool {
        matches!(self.look(), Ok(true))
    }

    /// The same; an error says why the file that is named is not taken.
    pub fn look(&self) -> Result<bool, ConfigError> {
        Ok(self.found()?.is_some())
    }

    /// Why there is none, in words; `None` where there is one.
    pub fn missing(&self) -> Option<String> {
        match self.look() {
            Ok(true) => None,
            Ok(false) => Some(format!("{} unset", self.field)),
            Err(error) => Some(error.to_string()),
        }
    }

    /// The credential; an error names the variable or the file that is to hold it.
    pub fn read(&self) -> Result<SecretString, ConfigError> {
        let missing = || {
            let expected =
                format!("the variable {} to be set, or {} to name a file", self.variable, self.file_field());
            value(self.field.clone(), self.variable, expected)
        };
        self.found()?.map(SecretString::from).ok_or_else(missing)
    }

    fn file_field(&self) -> String {
        self.field.replace("_env", "_file")
    }

    #[expect(clippy::disallowed_methods, reason = "the binary is where the environment is read")]
    fn found(&self) -> Result<Option<String>, ConfigError> {
        let text = match self.file {
            Some(path) => {
                let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
                let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode() & 0o777;
                if mode & 0o077 != 0 {
                    let expected =
                        format!("a file that its owner alone can read (chmod 600), found {mode:o}");
                    return Err(value(self.file_field(), path.display(), expected));
                }
                Some(std::fs::read_to_string(path).map_err(unreadable)?)
            }
            None => std::env::var(self.variable).ok(),
        };
        Ok(text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()))
    }
}

impl SourcesConfig {
    /// Every credential that a vendor takes.
    pub fn credentials(&self) -> Vec<Credential<'_>> {
        vec![self.alpaca.key(), self.alpaca.secret(), self.massive.key(), self.newsapi.key()]
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        for (field, url) in [
            ("yahoo.base_url", &self.yahoo.base_url),
            ("yahoo.cookie_url", &self.yahoo.cookie_url),
            ("yahoo.consent_url", &self.yahoo.consent_url),
            ("yahoo.collect_url", &self.yahoo.collect_url),
            ("alpaca.base_url", &self.alpaca.base_url),
            ("alpaca.assets_url", &self.alpaca.assets_url),
            ("massive.base_url", &self.massive.base_url),
            ("newsapi.base_url", &self.newsapi.base_url),
        ] {
            if !is_safe(url) {
                let expected = "https://HOST, or http:// at a loopback address, without a slash at the end";
                return Err(value(format!("source.{field}"), url, expected));
            }
        }
        for (name, per_minute) in [
            ("yahoo", self.yahoo.requests_per_minute),
            ("alpaca", self.alpaca.requests_per_minute),
            ("massive", self.massive.requests_per_minute),
            ("newsapi", self.newsapi.requests_per_minute),
        ] {
            if !(1..=100_000).contains(&per_minute) {
                return Err(value(format!("source.{name}.requests_per_minute"), per_minute, "1 to 100000"));
            }
        }
        if self.newsapi.delay_hours > 24 * 31 {
            return Err(value("source.newsapi.delay_hours", self.newsapi.delay_hours, "0 to 744"));
        }
        for (name, url) in [("alpaca", &self.alpaca.stream_url), ("massive", &self.massive.stream_url)] {
            if !is_safe_stream(url) {
                let expected = "wss://HOST, or ws:// at a loopback address, without a slash at the end";
                return Err(value(format!("source.{name}.stream_url"), url, expected));
            }
        }
        if !matches!(self.alpaca.live_feed.as_str(), "iex" | "sip" | "delayed_sip" | "test") {
            let expected = "iex, sip, delayed_sip or test";
            return Err(value("source.alpaca.live_feed", &self.alpaca.live_feed, expected));
        }
        if !matches!(self.alpaca.stream_format.as_str(), "json" | "msgpack") {
            let format = &self.alpaca.stream_format;
            return Err(value("source.alpaca.stream_format", format, "json or msgpack"));
        }
        if !matches!(self.alpaca.feed.as_str(), "sip" | "iex" | "otc" | "boats") {
            return Err(value("source.alpaca.feed", &self.alpaca.feed, "sip, iex, otc or boats"));
        }
        self.credentials().iter().try_for_each(Credential::check)
    }
}

impl AlpacaConfig {
    /// The key.
    pub fn key(&self) -> Credential<'_> {
        Credential::new("source.alpaca.key_env", &self.key_env, self.key_file.as_deref())
    }

    /// The secret.
    pub fn secret(&self) -> Credential<'_> {
        Credential::new("source.alpaca.secret_env", &self.secret_env, self.secret_file.as_deref())
    }
}

impl MassiveConfig {
    /// The key.
    pub fn key(&self) -> Credential<'_> {
        Credential::new("source.massive.key_env", &self.key_env, self.key_file.as_deref())
    }
}

impl NewsApiConfig {
    /// The key.
    pub fn key(&self) -> Credential<'_> {
        Credential::new("source.newsapi.key_env", &self.key_env, self.key_file.as_deref())
    }
}

/// The same for the address of a stream.
fn is_safe_stream(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let scheme = match scheme {
        "wss" => "https",
        "ws" => "http",
        _ => return false,
    };
    is_safe(&format!("{scheme}://{rest}"))
}

/// Whether an address is on this machine.
pub(super) fn is_local(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let plain = format!("http://{rest}");
    is_safe(&plain)
}

/// A key goes over TLS, or stays on this machine.
pub(super) fn is_safe(base_url: &str) -> bool {
    let Some((scheme, rest)) = base_url.split_once("://") else { return false };
    let authority = rest.split('/').next().unwrap_or_default();
    let plain = !authority.is_empty() && !authority.contains(['@', ' ']) && !base_url.ends_with('/');
    let host = authority
        .rsplit_once(':')
        .filter(|(_, port)| !port.contains(']'))
        .map_or(authority, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    plain && (scheme == "https" || (scheme == "http" && local))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_over_tls_or_stays_here() {
        for good in
            ["https://data.alpaca.markets", "http://127.0.0.1:9102", "http://[::1]:1", "http://localhost:1/x"]
        {
            assert!(is_safe(good), "{good}");
        }
        for bad in [
            "http://data.alpaca.markets",
            "https://",
            "data.alpaca.markets",
            "http://127.0.0.1@elsewhere",
            "ftp://x",
        ] {
            assert!(!is_safe(bad), "{bad}");
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_no_place_for_a_key() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key");
        std::fs::write(&file, "planted\n").unwrap();
        let config = MassiveConfig { key_file: Some(file.clone()), ..MassiveConfig::default() };
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = config.key().read().unwrap_err().to_string();
        assert!(error.starts_with("source.massive.key_file") && error.contains("640"), "{error}");
        assert!(!config.key().is_set());
        // That it is there and not taken is not the same as that nothing is there.
        let missing = config.key().missing().unwrap();
        assert!(missing.contains("chmod 600") && !missing.contains("unset"), "{missing}");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let key = config.key().read().unwrap();
        assert_eq!(secrecy::ExposeSecret::expose_secret(&key), "planted");
        assert_eq!(config.key().missing(), None);
        std::fs::write(&file, "").unwrap();
        assert_eq!(config.key().missing().as_deref(), Some("source.massive.key_env unset"));
    }

    #[test]
    fn a_missing_key_names_its_variable() {
        let config = MassiveConfig { key_env: "TAPEDECK_NO_SUCH_KEY".to_owned(), ..MassiveConfig::default() };
        let error = config.key().read().unwrap_err().to_string();
        assert!(
            error.contains("TAPEDECK_NO_SUCH_KEY") && error.contains("source.massive.key_file"),
            "{error}"
        );
    }
}
